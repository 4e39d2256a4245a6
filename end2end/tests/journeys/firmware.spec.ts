// A device's firmware tab: a person pins it, so a rollout leaves it out and says so; another one says why it fails, and that stands there word for word.
import type { Page } from "@playwright/test";
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, decide, expect, look, open, someoneElse, test } from "../../support/test";

test.describe.configure({ timeout: 120_000 });

test("a pinned device is left out and says why, and another one is told by its own words", async ({ page, browser }) => {
  // A type of its own: nobody else counts its devices, and no other rollout means them.
  const type = unique("kiosk");
  const devices = await enrolled([unique("test-kept"), unique("test-moved")], [], undefined, "", type);
  const [kept, moved] = devices;
  // Both have said whom they trust, or nothing would be for them; nothing can be installed on them.
  const trusting = ["--trusted-key", `${system().signing_key}.pub`, "--install-hook", "/bin/false"];
  for (const device of devices) {
    const agent = connected(device, trusting);
    await expectOnline(device);
    await gone(agent);
  }
  await open(page, `/devices/${kept!.id}`);
  await sections(page).getByRole("link", { name: "Firmware" }).click();
  await expect(page.getByRole("heading", { name: "Not updated yet" })).toBeVisible();

  await page.getByRole("link", { name: "Pin…" }).click();
  const dialog = page.getByRole("dialog", { name: `Pin ${kept!.id}?` });
  await look(page, "journey-pin-asked");
  await dialog.getByLabel("Why").fill("It is on show until May.");
  await page.keyboard.press("Enter");
  const pinned = card(page, "Pinned to what it runs");
  await expect(pinned).toContainText("It is on show until May.");
  await expect(pinned).toContainText("Olivia Operator");
  await expect(page.locator(".page-title")).toContainText("Pinned");
  await expect(page.getByRole("link", { name: "Install a version…" })).toHaveCount(0);

  const version = `31.0.${Date.now()}`;
  const { payload, manifest } = signedFirmware(version, 31, `kiosk ${version}`, undefined, type);
  await uploaded([payload, manifest]);
  const release = (await rest("GET", "/releases")).items.find((one: { version: string }) => one.version === version);
  if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
  const drafted = await rest("POST", "/rollouts", {
    name: unique("Kiosks"),
    release: release.id,
    stages: [{ name: "All", reach: { percent: 100 }, soak_s: 0, gate }],
    reason: "To see who is left out.",
  });
  const path = `/rollouts/${drafted.row.id}`;
  await rest("POST", `${path}/submit`, {});
  const approver = await someoneElse(browser, "approver");
  await open(approver, path);
  await expect(approver.getByText("1 pinned to what it runs").first()).toBeVisible();
  await decide(approver, "Approve", "Looks right.");
  await approver.context().close();
  await expect.poll(async () => (await rest("GET", path)).row.state).toMatch(/running|completed/);

  // The one that is pinned is told why, by name.
  await open(page, `/devices/${kept!.id}/firmware`);
  await expect(page.locator("tr[data-reason]")).toContainText("pinned by Olivia Operator on ");
  await look(page, "journey-pinned");

  // The other one can't install it, and says so.
  const agent = connected(moved!, trusting);
  try {
    await open(page, `/devices/${moved!.id}/firmware`);
    const updates = page.getByRole("table", { name: "Updates of this device" });
    await expect(updates.getByRole("row").nth(1)).toContainText("Failed", { timeout: 60_000 });
    const { items } = await rest("GET", `/devices/${moved!.id}/updates`);
    expect(items[0].failure).toBe("failed");
    expect(items[0].code).not.toBe("");
    await expect(updates.getByRole("row").nth(1)).toContainText(items[0].code);

    // With the keyboard: what it said of it is folded.
    const log = page.locator("details").filter({ hasText: `What it said of ${version}` });
    await expect(log.getByRole("listitem")).toHaveCount(0);
    await log.locator("summary").focus();
    await page.keyboard.press("Enter");
    await expect(log.getByRole("listitem").first()).toContainText(items[0].code);
    await expect(log.getByRole("listitem").first()).toContainText(items[0].detail);
    await look(page, "journey-update-log");
  } finally {
    await gone(agent);
  }

  await open(page, `/devices/${kept!.id}/firmware`);
  await page.getByRole("button", { name: "Unpin" }).focus();
  await page.keyboard.press("Enter");
  await expect(pinned).toHaveCount(0);
  await expect(page.getByRole("link", { name: "Pin…" })).toBeVisible();
  const entries = (await rest("GET", `/audit?q=${kept!.id}`)).items as { action: string }[];
  expect(entries.map((entry) => entry.action).filter((action) => action.endsWith("pin"))).toEqual(["device.unpin", "device.pin"]);
  // Out of the lists of what needs attention.
  for (const { id } of [kept!, moved!]) await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});

const sections = (page: Page) => page.getByRole("navigation", { name: "Device sections" });
