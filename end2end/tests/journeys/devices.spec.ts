// A device is enrolled with the line from the console and appears at once; its page shows what it sends while it sends it.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { folderFor } from "../../support/folders";
import { rest, system } from "../../support/system";
import { expect, open, picture, test } from "../../support/test";

test("a new token's line enrols a device, which appears without a reload", async ({ page, context }) => {
  await open(page, "/enrolment");
  await page.getByLabel("What it is for").fill("Bench two");
  await page.getByRole("button", { name: "Make token" }).click();
  const line = await page.getByRole("region", { name: "Line to paste on the device" }).innerText();
  expect(line).toMatch(/^agent run --enrol https:\/\/\S+ --token fet_\S+ --root-fingerprint [0-9a-f]{64}/);

  const list = await context.newPage();
  await open(list, "/devices?q=id:journey-*");
  const id = `journey-${Date.now().toString(36)}`;
  const words = line.trim().split(/\s+/).slice(1);
  const args = words.includes("--device-id") ? words.slice(0, words.indexOf("--device-id")) : words;
  const state = folderFor("device");
  const agent = spawn(join(dirname(system().fleetward), "agent"), [...args, "--device-id", id, "--state", state], { stdio: "ignore" });
  try {
    await expect(list.getByRole("link", { name: id, exact: true })).toBeVisible({ timeout: 20_000 });
    await picture(list, "journey-device-appeared");
  } finally {
    agent.kill("SIGTERM");
  }
});

test("a device's charts move while it sends", async ({ page }) => {
  const online = (await rest("GET", "/devices?q=online:yes&rows=1")).items[0].device_id as string;
  await open(page, `/devices/${online}/telemetry`);
  await expect(page.getByRole("button", { name: /live/i }).first()).toBeVisible();
  const chart = page.getByRole("figure").first();
  await expect(chart).toBeVisible();
  const before = await chart.screenshot();
  await expect.poll(async () => before.equals(await chart.screenshot()), { timeout: 15_000 }).toBe(false);
  await picture(page, "journey-live-charts");
});

test("a cut connection is shown, not hidden", async ({ page, context, noise }) => {
  await open(page, "/devices");
  await expect(page.getByRole("button", { name: /live/i }).first()).toBeVisible();
  await context.setOffline(true);
  await expect(page.getByText(/stale|offline/i).first()).toBeVisible({ timeout: 25_000 });
  await context.setOffline(false);
  await expect(page.getByRole("button", { name: /^live/i }).first()).toBeVisible({ timeout: 40_000 });
  // Chromium reports every connection that fails while it is offline.
  noise.length = 0;
});
