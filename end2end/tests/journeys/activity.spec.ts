// What happened to a device, in one order: what was done to it, when it was there, and in parts. Who may not read the audit log is told so.
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { card, expect, look, open, test } from "../../support/test";
import type { Page } from "@playwright/test";

test("a device's activity tells what was done to it and when it was there", async ({ page }) => {
  const [device] = await enrolled([unique("test-activity")]);
  const id = device!.id;
  await open(page, `/devices/${id}`);
  await sections(page).getByRole("link", { name: "Activity" }).click();
  await expect(sections(page).getByRole("link", { name: "Activity" })).toHaveAttribute("aria-current", "page");
  await expect(happened(page).filter({ hasText: "Enrolled" })).toHaveCount(1);
  await kinds(page).getByRole("link", { name: "Connections" }).click();
  await expect(page.getByRole("heading", { level: 2, name: "It was not connected lately" })).toBeVisible();
  await look(page, "journey-activity-empty");

  const agent = connected(device!);
  try {
    await expectOnline(device!);
    await rest("PUT", `/devices/${id}/tags`, { tags: ["eu", "lab"] });
  } finally {
    await gone(agent);
  }
  await expect.poll(async () => (await rest("GET", `/devices?q=id:${id}`)).items[0].online, { timeout: 30_000 }).toBe(false);
  await open(page, `/devices/${id}/activity`);
  await expect(happened(page).first()).toContainText("Disconnected");
  await expect(happened(page).filter({ hasText: "Tags changed" })).toContainText("tags: eu, lab");
  await expect(happened(page).filter({ hasText: /^\s*Connected/ })).toHaveCount(1);
  await look(page, "journey-activity");

  // With the keyboard: the address says what is shown.
  await kinds(page).getByRole("link", { name: "What was done to it" }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/activity\?show=deeds$/);
  await expect(happened(page).filter({ hasText: /onnected/ })).toHaveCount(0);
  await card(page, "Activity").getByRole("link", { name: "In the audit log" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Audit log" })).toBeVisible();
  await expect(page.getByRole("table", { name: "Audit log" }).getByRole("cell", { name: "device.tags", exact: true })).toBeVisible();
});

test("a question that waits for an answer can be read before it is answered", async ({ page }) => {
  const [device] = await enrolled([unique("test-question")]);
  await open(page, `/devices/${device!.id}`);
  await page.getByRole("link", { name: "Decommission…" }).click();
  const dialog = page.getByRole("dialog", { name: `Decommission ${device!.id}?` });
  await look(page, "journey-decommission-asked");
  await dialog.getByLabel(`Type ${device!.id} to confirm`).fill("something");
  await dialog.getByRole("link", { name: "Keep device" }).click();
  // Opened again it asks anew.
  await page.getByRole("link", { name: "Decommission…" }).click();
  await expect(dialog.getByLabel(`Type ${device!.id} to confirm`)).toHaveValue("");
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("is told that there is more in the audit log", async ({ page }) => {
    const [device] = await enrolled([unique("test-viewed")]);
    await open(page, `/devices/${device!.id}/activity`);
    await expect(card(page, "Activity").getByRole("status")).toContainText("Ask an admin for the role operator.");
    await expect(kinds(page).getByRole("link")).toHaveText(["All", "Connections", "Updates"]);
    await expect(page.getByRole("link", { name: "In the audit log" })).toHaveCount(0);
    await look(page, "journey-activity-viewer");
  });
});

const sections = (page: Page) => page.getByRole("navigation", { name: "Device sections" });
const kinds = (page: Page) => page.getByRole("navigation", { name: "What to show" });
const happened = (page: Page) => card(page, "Activity").getByRole("listitem");
