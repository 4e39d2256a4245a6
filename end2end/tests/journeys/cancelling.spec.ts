// While a rollout runs: one device's update is cancelled on its firmware tab, and of those that ended some are chosen for a retry, in a dialog that news leaves
// as it is filled in.
import { randomBytes } from "node:crypto";
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, decide, expect, look, open, someoneElse, test } from "../../support/test";

test.describe.configure({ timeout: 180_000 });

test("an update is cancelled, and a retry is of those that were chosen, whatever happens meanwhile", async ({ page, browser }) => {
  // A type of its own: nobody else counts its devices, and no other rollout means them. All say which key they trust; the last one is away then, so that the
  // stage runs on. The others take half an hour over a download.
  const type = unique("panel");
  const names = ["test-slow", "test-slower", "test-away"].map(unique);
  const devices = await enrolled(names, [], undefined, "", type);
  const [slow, slower, away] = devices;
  const trusting = ["--trusted-key", `${system().signing_key}.pub`];
  const slowly = [...trusting, "--download-kib-s", "1"];
  const leaves = connected(away!, trusting);
  const agents = [connected(slow!, slowly), connected(slower!, slowly)];
  try {
    for (const device of devices) await expectOnline(device);
    await gone(leaves);
    const version = `41.0.${Date.now()}`;
    const { payload, manifest } = signedFirmware(version, 41, randomBytes(2 * 1024 * 1024), undefined, type);
    await uploaded([payload, manifest]);
    const release = (await rest("GET", "/releases")).items.find((one: { version: string }) => one.version === version);
    if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
    const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
    const drafted = await rest("POST", "/rollouts", {
      name: unique("Panels"),
      release: release.id,
      stages: [{ name: "All", reach: { percent: 100 }, soak_s: 0, gate }],
      reason: "To see who is taken out, and who comes again.",
    });
    const path = `/rollouts/${drafted.row.id}`;
    await rest("POST", `${path}/submit`, {});
    const approver = await someoneElse(browser, "approver");
    await open(approver, path);
    await decide(approver, "Approve", "Looks right.");
    await approver.context().close();

    await expect.poll(async () => (await rest("GET", path)).row.counts.updating, { timeout: 60_000 }).toBe(2);
    await expect.poll(async () => (await rest("GET", `/devices/${slow!.id}`)).slots.length, { timeout: 30_000 }).toBe(2);

    await open(page, `/devices/${slow!.id}/firmware`);
    const places = page.getByRole("table", { name: "Slots of this device" });
    await expect(places.getByRole("row").filter({ hasText: "Running" })).toContainText("0.0.0");
    await page.getByRole("link", { name: "Cancel the update…" }).click();
    const question = page.getByRole("dialog", { name: `Cancel the update of ${slow!.id} to ${version}?` });
    await question.getByLabel("Why (optional)").fill("It is on show.");
    await look(page, "journey-cancel-asked");
    await question.getByRole("button", { name: "Cancel it" }).click();
    await expect(page.getByRole("table", { name: "Updates of this device" }).getByRole("row").nth(1)).toContainText("Cancelled");
    await expect(page.getByRole("link", { name: "Cancel the update…" })).toHaveCount(0);

    await open(page, path);
    await page.getByRole("link", { name: "Retry devices…" }).click();
    const retry = page.getByRole("dialog", { name: /^Retry devices: / });
    const box = (ended: string) => retry.getByRole("checkbox", { name: new RegExp(`^${ended} \\(`) });
    for (const usual of ["Failed", "Timed out"]) {
      await expect(box(usual)).toBeChecked();
      await box(usual).uncheck();
    }
    await box("Cancelled").check();
    const why = retry.getByLabel("Reason (optional)");
    await why.fill("The show is over.");
    await expect(retry.getByText("Cancelled (1 device)")).toBeVisible();
    await rest("POST", `/devices/${slower!.id}/cancel-update`, { rollout: drafted.row.id, reason: "It is on show, too." });
    await expect.poll(async () => (await rest("GET", path)).cancelled).toBe(2);
    // News waits until the question is answered: what was chosen and typed is there.
    for (const ended of ["Failed", "Timed out", "Reverted", "Rejected"]) await expect(box(ended)).not.toBeChecked();
    await expect(box("Cancelled")).toBeChecked();
    await expect(why).toHaveValue("The show is over.");
    await look(page, "journey-retry-chosen");
    await retry.getByRole("button", { name: "Retry devices", exact: true }).click();
    await expect(card(page, "History")).toContainText("2 devices to try again, of those that somebody cancelled, by ");
    // Out of the lists of what runs and needs attention.
    await rest("POST", `${path}/stop`, { reason: "Seen." });
  } finally {
    for (const agent of [...agents, leaves]) await gone(agent);
  }
  for (const { id } of devices) await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});
