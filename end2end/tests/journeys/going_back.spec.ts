// Going back: the release that devices would go back to is chosen in the plan and approved with it, and when a person rolls the rollout back, a rollout of its own
// takes the devices there. Each page leads to the other.
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, decide, expect, fact, look, note, open, refusedByBrowser, someoneElse, state, test } from "../../support/test";

test.use({ role: "admin" });
test.describe.configure({ timeout: 180_000 });

test("an admin rolls a rollout back to the release that its plan names", async ({ page, browser }) => {
  // A type of its own: nobody else counts its devices, and no other rollout means them.
  const [type, name] = [unique("valve"), unique("Valves")];
  const [device] = await enrolled([unique("test-valve")], [], undefined, "", type);
  const id = device!.id;
  const agent = connected(device!, ["--trusted-key", `${system().signing_key}.pub`]);
  try {
    await expectOnline(device!);
    const stamp = Date.now();
    const [bad, good] = [`71.0.${stamp}`, `70.0.${stamp}`];
    const released = [await release(bad, 71, type), await release(good, 72, type)];
    const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
    const drafted = await rest("POST", "/rollouts", {
      name,
      release: released[0],
      // Watched for an hour, so that it does not end by itself.
      stages: [{ name: "All", reach: { percent: 100 }, soak_s: 3600, gate }],
      reason: "To see how it is taken back.",
    });
    const path = `/rollouts/${drafted.row.id}`;

    await open(page, `${path}/edit?step=gates`);
    const back = page.getByLabel("Devices go back to");
    await expect(back.locator("option:checked")).toHaveText("No way back");
    await back.selectOption({ label: `${good}, sequence 72` });
    await look(page, "journey-way-back-chosen");
    await page.getByRole("button", { name: "Continue to review" }).click();
    await page.getByLabel("Why, for the person who approves it").fill("With a way back.");
    await page.getByRole("button", { name: "Send for approval" }).click();
    await expect(state(page, "Waiting for approval")).toBeVisible();
    expect((await rest("GET", path)).spec.way_back).toBe(released[1]);

    const approver = await someoneElse(browser, "approver");
    await open(approver, path);
    await expect(fact(card(approver, "Plan"), "Way back")).toContainText(`${good}, sequence 72`);
    await decide(approver, "Approve", "It can be taken back.");
    await expect(note(approver, "Approved")).toBeVisible();
    await approver.context().close();
    await expect.poll(async () => (await rest("GET", path)).row.counts.succeeded, { timeout: 60_000 }).toBe(1);
    await expect.poll(async () => (await rest("GET", `/devices?q=id:${id}`)).items[0].version).toBe(bad);

    // Not while it runs.
    await open(page, `${path}/roll-back`);
    await expect(page.getByRole("main")).toContainText("Pause it first.");
    await open(page, path);
    await page.getByRole("link", { name: "Pause…" }).first().click();
    await page.getByRole("dialog", { name: `Pause: ${name}` }).getByRole("button", { name: "Pause", exact: true }).click();
    await expect(note(page, "Paused")).toBeVisible();

    await open(page, path);
    await expect(state(page, "Paused")).toBeVisible();
    await page.getByRole("link", { name: "Roll back…" }).first().click();
    const dialog = page.getByRole("dialog", { name: `Roll back: ${name}` });
    await expect(dialog).toContainText(`Nobody gets ${bad} any more`);
    await expect(dialog).toContainText(`A rollout of its own sends ${good} to the devices that run ${bad}: 1 device by now`);
    const why = dialog.getByLabel("Reason (required)");
    const doIt = dialog.getByRole("button", { name: "Roll back", exact: true });
    await dialog.getByLabel(`Type ${name} to confirm`).fill(name);
    await doIt.click();
    expect(await refusedByBrowser(why)).not.toBe("");
    await why.fill("It leaks.");
    await look(page, "journey-roll-back-asked");
    await doIt.click();
    await expect(note(page, "Rolling back")).toBeVisible();

    // The page is not loaded anew meanwhile: the rollout that takes the device back appears on it, and at last that it is done.
    const link = fact(card(page, "Plan"), "Way back").getByRole("link", { name: `Way back of ${name}` });
    await expect(link).toBeVisible({ timeout: 30_000 });
    await expect(state(page, "Rolled back")).toBeVisible({ timeout: 90_000 });
    await expect.poll(async () => (await rest("GET", `/devices?q=id:${id}`)).items[0].version).toBe(good);
    await expect(card(page, "History")).toContainText("It leaks.");
    await look(page, "journey-rolled-back");
    const after = await rest("GET", path);
    expect([after.row.state, after.way_back.release]).toEqual(["rolled_back", released[1]]);
    const goes = await rest("GET", `/rollouts/${after.way_back.rollout.id}`);
    expect([goes.row.state, goes.row.version, goes.back_of.id, goes.row.counts.succeeded]).toEqual(["completed", good, drafted.row.id, 1]);

    await link.click();
    await expect(page.getByRole("heading", { level: 1, name: `Way back of ${name}` })).toBeVisible();
    await expect(state(page, "Completed")).toBeVisible();
    await expect(page.getByText("This is the way back of ").getByRole("link", { name, exact: true })).toHaveAttribute("href", path);
    await expect(page.getByRole("main")).toContainText("It can be taken back.");
  } finally {
    await gone(agent);
  }
  await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});

/** A published release of this type; its id. */
async function release(version: string, sequence: number, type: string) {
  const { payload, manifest } = signedFirmware(version, sequence, `${type} ${version}`, undefined, type);
  await uploaded([payload, manifest]);
  const made = (await rest("GET", `/releases?q=${version}`)).items[0];
  if (made.state === "verified") await rest("POST", `/releases/${made.id}/publish`, {});
  return made.id as string;
}
