// A plan that asks somebody at the device: for one that asks nobody, a person confirms in the console, on its firmware tab.
import { line } from "../../support/requests";
import { rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { decide, expect, look, open, someoneElse, test } from "../../support/test";

test.describe.configure({ timeout: 120_000 });

test("an update that waits for somebody at the device is confirmed in the console", async ({ page, browser }) => {
  // A type of its own: nobody else counts its devices, and no other rollout means them.
  const type = unique("scale");
  // A factory has sent its request: it has not said that it would ask anybody, as our agent does.
  const id = unique("test-agreed");
  const { operator_url, api_token } = system();
  const lot = { method: "POST", headers: { authorization: `Bearer ${api_token}` }, body: line(id, type) };
  expect((await fetch(`${operator_url}/api/v1/enrolment-batches?label=${id}`, lot)).ok).toBe(true);
  await expect.poll(async () => (await rest("GET", `/devices?q=id:${id}`)).items.length).toBe(1);
  const version = `51.0.${Date.now()}`;
  const { payload, manifest } = signedFirmware(version, 51, `scale ${version}`, undefined, type);
  await uploaded([payload, manifest]);
  const release = (await rest("GET", "/releases")).items.find((one: { version: string }) => one.version === version);
  if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
  const drafted = await rest("POST", "/rollouts", {
    name: unique("Scales"),
    release: release.id,
    stages: [{ name: "All", reach: { percent: 100 }, soak_s: 0, gate }],
    confirm_at_device: true,
    reason: "To see who has to agree.",
  });
  const path = `/rollouts/${drafted.row.id}`;
  await rest("POST", `${path}/submit`, {});
  const approver = await someoneElse(browser, "approver");
  await open(approver, path);
  await decide(approver, "Approve", "Looks right.");
  await approver.context().close();
  await expect.poll(async () => (await rest("GET", path)).row.state).toBe("running");

  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, `/devices/${id}/firmware`);
  const agreed = viewer.getByRole("row").filter({ has: viewer.getByRole("rowheader", { name: "Somebody agrees" }) });
  await expect(agreed).toContainText("the plan asks for somebody at the device, and the device does not say that it asks.");
  await expect(viewer.getByRole("button", { name: /^Confirm / })).toHaveCount(0);
  await viewer.context().close();

  await open(page, `/devices/${id}/firmware`);
  const confirm = page.getByRole("button", { name: `Confirm ${version} for this device` });
  await look(page, "journey-confirm-asked");
  // With the keyboard.
  await confirm.focus();
  await page.keyboard.press("Enter");
  await expect(confirm).toHaveCount(0);
  await open(page, `/devices/${id}/firmware`);
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Somebody agrees" }) });
  await expect(row).toContainText("somebody has confirmed it in the console.");
  await expect(row).toContainText("Met");
  await look(page, "journey-confirmed");
  // Out of the lists of what runs.
  await rest("POST", `${path}/stop`, { reason: "Seen." });
  await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});
