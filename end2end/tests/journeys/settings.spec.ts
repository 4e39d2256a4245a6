// Settings of the organization: who may ask to join without a token, shared secrets of hawkBit's clients, how fast devices download, and what holds for their
// certificates. On a server of its own, because each holds for every device.
import type { Page } from "@playwright/test";
import { test } from "../../support/own";
import { unique } from "../../support/system";
import { card, expect, look, note, open, refusedByBrowser, withoutLimits } from "../../support/test";

test.use({ kept: "settings" });

test("devices without a token may ask to join, and may no longer", async ({ own, page, browser }) => {
  const setting = card(page, "Without a token");
  await open(page, "/enrolment");
  await expect(setting).toContainText("Devices without a token are refused.");
  await setting.getByRole("button", { name: "Let them ask" }).click();
  await expect(note(page, "Setting changed")).toBeVisible();
  await open(page, "/enrolment");
  await expect(setting).toContainText("Devices without a token may ask to join. Each waits until a person approves it, at most a week.");
  await expect(page.getByRole("heading", { name: "No device waits" })).toBeVisible();
  await look(page, "journey-without-a-token");

  const operator = await own.person(browser, "Otto Operator", "operator");
  await open(operator, "/enrolment");
  await expect(card(operator, "Without a token")).toContainText("may ask to join");
  await expect(card(operator, "Without a token").getByRole("button")).toHaveCount(0);
  await operator.context().close();

  await setting.getByRole("button", { name: "Refuse them" }).click();
  await expect(setting).toContainText("Devices without a token are refused.");
  await open(page, "/enrolment");
  await expect(setting.getByRole("button", { name: "Let them ask" })).toBeVisible();
});

test("shared secrets are taken, for devices named here and those that gateways announce, and no longer", async ({ own, page, browser }) => {
  const setting = card(page, "Tokens instead of certificates");
  const press = async (name: string, then: string) => {
    await setting.getByRole("button", { name }).click();
    await expect(setting).toContainText(then);
    await open(page, "/enrolment?tab=hawkbit");
    await expect(setting).toContainText(then);
  };
  await open(page, "/enrolment?tab=hawkbit");
  await expect(setting).toContainText("No token is taken: only certificates say who a device is.");
  await press("Take tokens", "Tokens speak for devices that are named here and have no certificate.");
  await press("Let gateways announce devices", "each waits until a person lets it in.");
  await expect(setting.getByRole("link", { name: "Devices that wait" })).toBeVisible();
  await look(page, "journey-shared-secrets");
  await press("Only devices named here", "Tokens speak for devices that are named here and have no certificate.");

  const operator = await own.person(browser, "Olga Operator", "operator");
  await open(operator, "/enrolment?tab=hawkbit");
  await expect(card(operator, "Tokens instead of certificates").getByRole("button")).toHaveCount(0);
  await expect(operator.getByRole("heading", { name: "New gateway token" })).toHaveCount(0);
  await operator.context().close();
  await press("Take no tokens", "No token is taken: only certificates say who a device is.");
});

test("a gateway's token is shown once and revoked", async ({ page }) => {
  const label = unique("Gateway");
  await open(page, "/enrolment?tab=hawkbit");
  const form = card(page, "New gateway token");
  const what = form.getByLabel("What it is for");
  await form.getByRole("button", { name: "Make gateway token" }).click();
  expect(await refusedByBrowser(what)).not.toBe("");
  await withoutLimits(what);
  await form.getByRole("button", { name: "Make gateway token" }).click();
  await expect(what).toHaveAttribute("aria-invalid", "true");
  await expect(form.getByRole("alert")).toBeVisible();
  await look(page, "journey-gateway-token-refused");
  await what.fill(label);
  await form.getByRole("button", { name: "Make gateway token" }).click();
  await expect(card(page, `Gateway token ${label}`)).toContainText("Copy it now: the secret is shown this once.");
  await open(page, "/enrolment?tab=hawkbit");
  await expect(card(page, `Gateway token ${label}`)).toHaveCount(0);
  const row = page.getByRole("table", { name: "Gateway tokens" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name: label, exact: true }) });
  await expect(row).toContainText("Usable");
  await row.getByRole("link", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog", { name: `Revoke ${label}` });
  await expect(dialog).toContainText("Every device that speaks by it is refused from now on");
  await look(page, "journey-gateway-token-revoke");
  await dialog.getByRole("button", { name: "Revoke token" }).click();
  await expect(note(page, "Gateway token revoked")).toBeVisible();
  await open(page, "/enrolment?tab=hawkbit");
  await expect(row).toContainText("Revoked");
  await expect(row.getByRole("link", { name: "Revoke…" })).toHaveCount(0);
});

test("a device gets a target token, which its own page takes away", async ({ own, page, browser }) => {
  const id = unique("test-hawk");
  await open(page, "/enrolment?tab=hawkbit");
  const form = card(page, "Target token for a device");
  await form.getByLabel("Device id").fill("no/such id");
  await form.getByRole("button", { name: "Make target token" }).click();
  await expect(form.getByLabel("Device id")).toHaveAccessibleDescription(/Use 1 to 64 letters, digits/);
  await look(page, "journey-target-token-refused");
  await form.getByLabel("Device id").fill(id);
  await form.getByRole("button", { name: "Make target token" }).click();
  const made = card(page, `Target token of ${id}`);
  await expect(made.getByRole("region", { name: "SWUpdate's configuration" })).toContainText(id);
  await look(page, "journey-target-token");

  const viewer = await own.person(browser, "Vera Viewer", "viewer");
  await open(viewer, `/devices/${id}/certificates`);
  await expect(card(viewer, "Target token")).toContainText("last used never");
  await expect(card(viewer, "Target token").getByRole("button")).toHaveCount(0);
  await viewer.context().close();

  await open(page, `/devices/${id}/certificates`);
  const secret = card(page, "Target token");
  await expect(secret).toContainText("by Ada Alone");
  await secret.getByRole("button", { name: "Revoke" }).click();
  await expect(secret.getByRole("link", { name: "Make one" })).toBeVisible();
  await open(page, `/devices/${id}/certificates`);
  await expect(secret.getByRole("button", { name: "Revoke" })).toHaveCount(0);
  // The way back to the form names the device.
  await secret.getByRole("link", { name: "Make one" }).click();
  await expect(form.getByLabel("Device id")).toHaveValue(id);
});

test("how fast devices download, and how much, is limited and let go again", async ({ own, page, browser }) => {
  const limits = card(page, "Downloads");
  const all = limits.getByLabel("All downloads together, at most (KB a second)");
  const budget = limits.getByLabel("Files for one device in 30 days, at most (MB)");
  const save = () => limits.getByRole("button", { name: "Save limits" }).click();
  await open(page, "/firmware");
  await all.fill("fast");
  await save();
  await expect(all).toHaveAccessibleDescription(/Write kilobytes a second, for example 500, or leave it empty\./);
  await expect(all).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-limits-refused");
  await all.fill("500");
  await budget.fill("a lot");
  await save();
  await expect(budget).toHaveAccessibleDescription(/Write a whole number of MB, for example 200, or leave it empty\./);
  await expect(all).not.toHaveAttribute("aria-invalid");
  await budget.fill("200");
  await save();
  await expect(note(page, "Limits saved")).toBeVisible();
  await open(page, "/firmware");
  await expect(all).toHaveValue("500");
  await expect(budget).toHaveValue("200");

  const viewer = await own.person(browser, "Vito Viewer", "viewer");
  await open(viewer, "/firmware");
  await expect(card(viewer, "Downloads")).toContainText("200 MB in 30 days");
  await expect(card(viewer, "Downloads").getByRole("button")).toHaveCount(0);
  await viewer.context().close();

  for (const one of [all, budget]) await one.fill("");
  await save();
  await expect(note(page, "Limits saved")).toBeVisible();
  await open(page, "/firmware");
  await expect(all).toHaveValue("");
});

test("what holds for certificates that have ended is changed, within bounds", async ({ page }) => {
  await open(page, "/certificates/rules");
  const rules = card(page, "Rules");
  const [late, days] = [rules.getByLabel("When a device comes too late to renew"), rules.getByLabel("For so many days after the end")];
  const save = () => rules.getByRole("button", { name: "Save rules" }).click();
  await days.fill("366");
  await save();
  expect(await refusedByBrowser(days)).toMatch(/365/);
  await withoutLimits(days);
  await save();
  await expect(days).toHaveAccessibleDescription(/365/);
  await expect(days).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-rules-refused");
  await days.fill("14");
  await late.selectOption({ label: "It may ask to come back, and a person approves it" });
  await rules.getByLabel("When two seem to hold one device's key").selectOption({ label: "Tell people and suspend the device" });
  await save();
  await expect(note(page, "Rules saved")).toBeVisible();
  await open(page, "/certificates/rules");
  await expect(days).toHaveValue("14");
  await expect(chosen(page, "When a device comes too late to renew")).toHaveText("It may ask to come back, and a person approves it");
  await expect(chosen(page, "When two seem to hold one device's key")).toHaveText("Tell people and suspend the device");
  await look(page, "journey-rules");
});

const chosen = (page: Page, label: string) => card(page, "Rules").getByLabel(label).locator("option:checked");
