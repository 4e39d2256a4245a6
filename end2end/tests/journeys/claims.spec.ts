// Claims: one for an image of many devices, which is a file, and one for the device that somebody stands at; both are disabled when they have leaked.
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { unique } from "../../support/system";
import { card, expect, expectNoSideScroll, look, note, open, refusedByBrowser, someoneElse, test } from "../../support/test";

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("makes a claim for an image, saves it as a file and disables it", async ({ page, browser }) => {
    const label = unique("Image");
    await open(page, "/enrolment?tab=claim");
    const form = card(page, "New claim");
    await form.getByLabel("What it is for").fill(label);
    const most = form.getByLabel("Devices it may enrol");
    await most.fill("0");
    await form.getByLabel("Device ids").fill("test-image-*");
    await form.getByRole("button", { name: "Make and save claim" }).click();
    expect(await refusedByBrowser(most)).not.toBe("");
    await most.fill("3");
    const saved = page.waitForEvent("download");
    await form.getByRole("button", { name: "Make and save claim" }).click();
    const file = await saved;
    expect(file.suggestedFilename()).toMatch(/\.pem$/);
    const pem = readFileSync((await file.path())!, "utf8");
    expect(pem).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect(pem).toContain("PRIVATE KEY-----");

    await open(page, "/enrolment?tab=claim");
    await expect(claim(page, label)).toContainText("Usable");
    await expect(claim(page, label)).toContainText("3 of 3");
    await look(page, "journey-claims");
    const viewer = await someoneElse(browser, "viewer");
    await open(viewer, "/enrolment?tab=claim");
    await expect(claim(viewer, label)).toContainText("Usable");
    await expect(claim(viewer, label).getByRole("link", { name: "Disable…" })).toHaveCount(0);
    for (const heading of ["New claim", "You stand at the device?"]) await expect(viewer.getByRole("heading", { name: heading })).toHaveCount(0);
    await viewer.context().close();

    await claim(page, label).getByRole("link", { name: "Disable…" }).click();
    const dialog = page.getByRole("dialog", { name: `Disable ${label}` });
    await expect(dialog).toContainText("Every device that still has it is refused from now on.");
    await look(page, "journey-claim-disable");
    await dialog.getByRole("button", { name: "Disable claim" }).click();
    await expect(note(page, "Claim disabled")).toBeVisible();
    await open(page, "/enrolment?tab=claim");
    await expect(claim(page, label)).toContainText("Disabled");
    await expect(claim(page, label).getByRole("link", { name: "Disable…" })).toHaveCount(0);
  });

  test("is told in words why a claim is not made", async ({ page }) => {
    await open(page, "/enrolment?tab=claim");
    const form = card(page, "New claim");
    await form.getByLabel("What it is for").fill(unique("Wrong"));
    await form.getByLabel("Device ids").fill("gw/1");
    await form.getByRole("button", { name: "Make and save claim" }).click();
    await expect(page.getByText(/"gw\/1" can't be a device id: use at most 64 letters, digits/)).toBeVisible();
    await look(page, "journey-claim-refused");
  });
});

test("an operator makes a claim for the device they stand at, and disables it", async ({ page }) => {
  const [id, label] = [unique("test-here"), unique("Bench")];
  await open(page, "/enrolment?tab=claim");
  // One that lasts is an admin's.
  await expect(page.getByRole("heading", { name: "New claim" })).toHaveCount(0);
  const form = card(page, "You stand at the device?");
  await form.getByLabel("Device id").fill("gw/1");
  await form.getByLabel("What it is for").fill(label);
  await form.getByRole("button", { name: "Make claim" }).click();
  await expect(form.getByLabel("Device id")).toHaveAccessibleDescription(/"gw\/1" can't be a device id/);
  await expect(form.getByLabel("What it is for")).toHaveValue(label);
  await look(page, "journey-claim-here-refused");
  await form.getByLabel("Device id").fill(id);
  await form.getByRole("button", { name: "Make claim" }).click();
  const made = card(page, `Claim for ${id}`);
  await expect(made).toContainText("Ends in five minutes");
  await expect(made.getByRole("region", { name: "Line to paste on the device" })).toContainText("agent run --code");
  await look(page, "journey-claim-here");
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSideScroll(page);
  await page.setViewportSize({ width: 1440, height: 900 });

  // It is shown this once.
  await open(page, "/enrolment?tab=claim");
  await expect(made).toHaveCount(0);
  await expect(claim(page, label)).toContainText("five minutes");
  await claim(page, label).getByRole("link", { name: "Disable…" }).click();
  await page.getByRole("dialog", { name: `Disable ${label}` }).getByRole("button", { name: "Disable claim" }).click();
  await expect(note(page, "Claim disabled")).toBeVisible();
  await open(page, "/enrolment?tab=claim");
  await expect(claim(page, label)).toContainText("Disabled");
});

const claim = (page: Page, label: string) => page.getByRole("table", { name: "Claims" }).getByRole("row").filter({ hasText: label });
