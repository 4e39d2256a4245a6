// When a device was connected: it appears while it happens, says how long and why it ended, and is there as a file.
import type { Page } from "@playwright/test";
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { unique } from "../../support/system";
import { card, expect, look, open, test } from "../../support/test";

test("a device comes and goes, and its page has each connection", async ({ page }) => {
  const [device] = await enrolled([unique("test-comes")]);
  const id = device!.id;
  await open(page, `/devices/${id}`);
  await page.getByRole("navigation", { name: "Device sections" }).getByRole("link", { name: "Connections" }).click();
  await expect(page).toHaveURL((url) => url.pathname === `/devices/${id}/connections`);
  await expect(page.getByRole("heading", { name: "It was not connected lately" })).toBeVisible();
  await look(page, "journey-connections-none");

  let running = connected(device!);
  try {
    await expectOnline(device!);
    await expect(lines(page)).toHaveCount(1);
    await expect(lines(page).first()).toContainText("Connected");
    await gone(running);
    await expect(lines(page).first().getByRole("cell").nth(1).locator("time")).toBeVisible();
    running = connected(device!);
    await expectOnline(device!);
    await expect(lines(page)).toHaveCount(2);
  } finally {
    await gone(running);
  }
  const month = card(page, "Connection, last 30 days");
  await expect(month.getByRole("img")).toHaveAccessibleName(/^Connected [\d.]+ % of the time that is known$/);
  await look(page, "journey-connections");
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "CSV" }).click();
  expect((await download).suggestedFilename()).toBe(`connections-${id}.csv`);
});

const lines = (page: Page) => page.getByRole("table", { name: "Connections of this device" }).locator("tbody tr");
