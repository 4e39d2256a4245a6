// A token puts its devices into groups: chosen in its form, kept when a group is renamed, and said to be gone when one is deleted.
import type { Page } from "@playwright/test";
import { enrolledBy } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { card, expect, fact, look, open, test } from "../../support/test";

test("devices of a token are in its groups, whatever the groups are called, and come in when one is gone", async ({ page }) => {
  const [north, hall, label, device] = [unique("north"), unique("Hall 3"), unique("Into groups"), unique("test-grouped")];
  for (const name of [north, hall]) await rest("POST", "/groups", { name });
  await open(page, "/enrolment");
  const made = card(page, "New token");
  await made.getByLabel("What it is for").fill(label);
  await made.getByLabel("Devices it may enrol").fill("3");
  await made.locator("summary").filter({ hasText: /^More$/ }).click();
  const groups = made.getByRole("group", { name: "Groups" });
  await expect(groups).toHaveAccessibleDescription("Its devices are put into these as they come in.");
  await expect(groups.getByLabel(north, { exact: true })).toBeVisible();
  // With the keyboard as with the mouse.
  await groups.getByLabel(north, { exact: true }).focus();
  await page.keyboard.press("Space");
  await groups.getByLabel(hall, { exact: true }).check();
  // From the top: what the page's head covers is no target.
  await page.evaluate(() => scrollTo(0, 0));
  await look(page, "journey-groups-of-a-token");
  await made.getByRole("button", { name: "Make token" }).click();
  const shown = card(page, `Token for ${label}`);
  await expect(fact(shown, "Into groups")).toHaveText(`${hall}, ${north}`);
  const line = (await shown.getByRole("region", { name: "Line to paste on the device" }).textContent())!;
  await expect(row(page, label)).toContainText(`group ${north}`);

  enrolledBy(line, `${device}-1`);
  const renamed = unique("northern");
  await rest("PUT", `/groups/${encodeURIComponent(north)}`, { name: renamed });
  enrolledBy(line, `${device}-2`);
  expect(await members(renamed)).toEqual([`${device}-1`, `${device}-2`]);

  await rest("DELETE", `/groups/${encodeURIComponent(hall)}`);
  enrolledBy(line, `${device}-3`);
  expect(await members(renamed)).toEqual([1, 2, 3].map((n) => `${device}-${n}`));
  await open(page, "/enrolment");
  await expect(row(page, label)).toContainText(`group ${renamed}`);
  await expect(row(page, label)).toContainText(`group ${hall} (deleted)`);
  await made.locator("summary").filter({ hasText: /^More$/ }).click();
  await expect(groups.getByLabel(renamed, { exact: true })).toBeVisible();
  await expect(groups.getByLabel(hall, { exact: true })).toHaveCount(0);
  await open(page, `/devices/${device}-3`);
  await expect(page.getByText(renamed).first()).toBeVisible();
});

const row = (page: Page, label: string) => page.getByRole("table", { name: "Enrolment tokens" }).getByRole("row").filter({ hasText: label });

const members = async (group: string) => {
  const found = (await rest("GET", `/devices?q=${encodeURIComponent(`group:"${group}"`)}`)).items as { device_id: string }[];
  return found.map((device) => device.device_id);
};
