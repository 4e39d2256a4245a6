// A device's own page: its tags, the steps of its life with a question before each, and a sign that somebody else holds its key.
import type { Page } from "@playwright/test";
import { enrolled, speaking } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { expect, look, open, refusedByBrowser, someoneElse, state, test, withoutLimits } from "../../support/test";

test("a device's tags are changed on its page, and what can be none is said beside them", async ({ page, browser }) => {
  const [device] = await enrolled([unique("test-tagged")], ["bench"]);
  await open(page, `/devices/${device!.id}`);
  await page.getByRole("link", { name: "Edit tags" }).click();
  const dialog = page.getByRole("dialog", { name: `Tags of ${device!.id}` });
  const tags = dialog.getByLabel("Tags");
  await expect(tags).toHaveValue("bench");
  await tags.fill("lab, a&b");
  await dialog.getByRole("button", { name: "Save tags" }).click();
  await expect(tags).toHaveAccessibleDescription(/"a&b" can't be a tag: use letters, digits, - _ \. and \/, at most 50\./);
  await expect(tags).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-tags-refused");
  await tags.fill("lab, eu/north");
  await dialog.getByRole("button", { name: "Save tags" }).click();
  await expect(dialog).toBeHidden();
  await open(page, `/devices/${device!.id}`);
  for (const tag of ["lab", "eu/north"]) await expect(state(page, tag)).toBeVisible();
  await expect(state(page, "bench")).toHaveCount(0);

  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, `/devices/${device!.id}`);
  await expect(viewer.getByRole("heading", { level: 1, name: device!.id })).toBeVisible();
  for (const name of ["Edit tags", "Suspend…", "Decommission…", "Delete…"]) await expect(viewer.getByRole("link", { name })).toHaveCount(0);
  // Nor by the address of the question.
  await open(viewer, `/devices/${device!.id}/suspend`);
  await expect(viewer.getByRole("alert")).toContainText("Suspend is not possible now, or your role does not allow it.");
  await viewer.context().close();
});

test("an operator suspends and resumes a device, and is offered neither its deletion nor its way back", async ({ page }) => {
  const [device] = await enrolled([unique("test-paused")]);
  const id = device!.id;
  await open(page, `/devices/${id}`);
  await expect(page.getByRole("link", { name: "Delete…" })).toHaveCount(0);
  await step(page, id, "Suspend", "Its connection is closed at once", "journey-suspend");
  await open(page, `/devices/${id}`);
  await expect(state(page, "Suspended")).toBeVisible();
  await expect(page.getByRole("link", { name: "Suspend…" })).toHaveCount(0);
  await step(page, id, "Resume", "It may connect again with the certificates it has.");
  await open(page, `/devices/${id}`);
  await expect(page.getByRole("link", { name: "Suspend…" })).toBeVisible();
  await step(page, id, "Decommission", "Its certificates are revoked for good", "journey-decommission", id);
  await open(page, `/devices/${id}`);
  await expect(state(page, "Decommissioned")).toBeVisible();
  for (const name of ["Recommission…", "Delete…", "Resume…"]) await expect(page.getByRole("link", { name })).toHaveCount(0);
});

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("gives a decommissioned device's id free again, and deletes it", async ({ page }) => {
    const [device] = await enrolled([unique("test-again")]);
    const id = device!.id;
    await rest("POST", `/devices/${id}/life`, { step: "decommission" });
    await open(page, `/devices/${id}`);
    await step(page, id, "Recommission", "Its id can be enrolled again", "journey-recommission", id);
    await open(page, `/devices/${id}`);
    await expect(state(page, "Not seen yet")).toBeVisible();

    await page.getByRole("link", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${id}?` });
    const confirm = dialog.getByLabel(`Type ${id} to confirm`);
    await confirm.fill("another-device");
    await withoutLimits(confirm);
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(confirm).toHaveAccessibleDescription(`Type ${id} to confirm.`);
    await look(page, "journey-delete-refused");
    await confirm.fill(id);
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(page).toHaveURL(/\/devices$/);
    expect((await rest("GET", `/devices?q=id:${id}`)).items).toEqual([]);
    await page.goto(`/devices/${id}`);
    await expect(page.getByRole("heading", { level: 1, name: "Not found" })).toBeVisible();
  });
});

test("two that speak with one device's key raise an alarm, which stays until somebody has looked at it", async ({ page, browser }) => {
  test.setTimeout(180_000);
  const [device] = await enrolled([unique("test-cloned")]);
  const id = device!.id;
  const alarm = page.getByRole("alert").filter({ hasText: "Somebody else may hold this device's key." });
  const ends = ["127.0.0.1", "127.0.9.1"].map((from) => speaking(device!, from));
  try {
    await expect(async () => {
      await open(page, `/devices/${id}`);
      await expect(alarm).toBeVisible({ timeout: 3_000 });
    }).toPass({ timeout: 120_000 });
  } finally {
    // As long as both speak, each look gives the alarm again.
    for (const end of ends) end();
  }
  await expect(alarm).toContainText(/Its certificate was in use from 127\.0\.\d\.1 and 127\.0\.\d\.1 at the same time\./);
  await expect(alarm).toContainText("Revoke its certificate with the reason key compromise, or suspend it, unless you know where both came from.");
  await look(page, "journey-clone-alarm");
  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, `/devices/${id}`);
  await expect(viewer.getByRole("alert").filter({ hasText: "Somebody else may hold this device's key." })).toBeVisible();
  await expect(viewer.getByRole("button", { name: "I have looked at it" })).toHaveCount(0);
  await viewer.context().close();

  await alarm.getByRole("button", { name: "I have looked at it" }).click();
  await expect(alarm).toHaveCount(0);
  await open(page, `/devices/${id}`);
  await expect(page.getByRole("heading", { level: 1, name: id })).toBeVisible();
  await expect(alarm).toHaveCount(0);
  const done = (await rest("GET", `/audit?q=${id}`)).items as { action: string }[];
  expect(done.map((entry) => entry.action)).toContain("device.cleared");
  await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});

/** Takes a step by its question; with `typed` its name has to be typed, and another one does not count. */
async function step(page: Page, id: string, verb: string, says: string, picture = "", typed = "") {
  await page.getByRole("link", { name: `${verb}…` }).click();
  const dialog = page.getByRole("dialog", { name: `${verb} ${id}?` });
  await expect(dialog).toContainText(says);
  if (typed) {
    const confirm = dialog.getByLabel(`Type ${typed} to confirm`);
    await confirm.fill("another-device");
    await dialog.getByRole("button", { name: verb, exact: true }).click();
    expect(await refusedByBrowser(confirm)).not.toBe("");
    await confirm.fill(typed);
  }
  if (picture) await look(page, picture);
  await dialog.getByRole("button", { name: verb, exact: true }).click();
  await expect(dialog).toBeHidden();
}
