// A certificate profile: made with its limits, given by an enrolment token, and kept while the token may still use it.
import { enrolled } from "../../support/devices";
import { rest, system, unique } from "../../support/system";
import { card, expect, expectNoSideScroll, look, note, open, picture, refusedByBrowser, test } from "../../support/test";
import type { Page } from "@playwright/test";

test.use({ role: "admin" });

test("a profile out of bounds is refused beside the input that is wrong", async ({ page }) => {
  const name = unique("too-long");
  await open(page, "/certificates/rules");
  await called(page).fill(name);
  await hours(page).fill("87601");
  await save(page);
  // The browser holds it back before anything is sent.
  expect(await refusedByBrowser(hours(page))).toMatch(/87600/);
  await hours(page).fill("19801");
  await save(page);
  await expect(hours(page)).toHaveAccessibleDescription(/Give 1 to 19800 hours \(825 days\)\. What holds longer is a factory profile: say so\./);
  await expect(hours(page)).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByRole("alert")).toContainText("Give 1 to 19800 hours (825 days).");
  await look(page, "journey-profile-refused");

  await hours(page).fill("720");
  // No page offers another type; who makes one up is told so beside them.
  await key(page, "p-384").check();
  await key(page, "p-256").evaluate((box: HTMLInputElement) => (box.value = "dsa"));
  await key(page, "p-256").check();
  await save(page);
  await expect(keys(page)).toHaveAccessibleDescription(/"dsa" is none of: p-256, p-384, ed25519, rsa\./);
  await expect(hours(page)).not.toHaveAttribute("aria-invalid");

  await expect(key(page, "p-384")).toBeChecked();
  await key(page, "p-256").evaluate((box: HTMLInputElement) => (box.value = "p-256"));
  await called(page).fill("With Capitals");
  await save(page);
  await expect(called(page)).toHaveAccessibleDescription(/A profile's name has 1 to 40 lower-case letters, digits and -/);
  expect((await profiles()).filter((profile) => profile.name === name)).toEqual([]);
});

test("a profile is made, a token gives it, and it goes when the token is gone", async ({ page }) => {
  const [name, label] = [unique("short"), unique("Short-lived")];
  await open(page, "/certificates/rules");
  await called(page).fill(name);
  await hours(page).fill("48");
  await key(page, "p-256").check();
  await key(page, "ed25519").check();
  await page.getByLabel("With a renewal, the key").selectOption({ label: "must change" });
  await save(page);
  await expect(note(page, "Profile saved")).toBeVisible();
  const row = page.getByRole("table", { name: "Certificate profiles" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
  await expect(row.getByRole("cell")).toHaveText(["2 days", "p-256, ed25519", "must change", "0", /Remove/]);
  await look(page, "journey-profiles");

  await open(page, "/enrolment");
  const made = card(page, "New token");
  await made.getByLabel("What it is for").fill(label);
  await made.locator("summary").filter({ hasText: /^More$/ }).click();
  const choice = made.getByLabel("Certificate profile");
  await expect(choice).toHaveAccessibleDescription("Admins make profiles under Certificates, Rules.");
  await choice.selectOption({ label: name });
  // Somebody else makes a token meanwhile, and the page shows it: what was picked stays picked.
  const other = unique("Another");
  await rest("POST", "/enrolment-tokens", { label: other, device_type: "bench", tags: [], max_uses: 1, hours: 1 });
  await expect(page.getByRole("row").filter({ hasText: other })).toBeVisible();
  await expect(choice.locator("option:checked")).toHaveText(name);
  await picture(page, "journey-token-of-a-profile");
  await made.getByRole("button", { name: "Make token" }).click();
  const token = page.getByRole("table", { name: "Enrolment tokens" }).getByRole("row").filter({ hasText: label });
  await expect(token).toContainText(`profile ${name}`);
  await expect(token).toContainText("Usable");

  await open(page, "/certificates/rules");
  await row.getByRole("button", { name: "Remove" }).click();
  await expect(page.getByRole("alert")).toContainText("This profile is in use: 1 enrolment token");
  await expect(row).toBeVisible();

  await open(page, "/enrolment");
  await token.getByRole("link", { name: "Revoke…" }).click();
  await page.getByRole("dialog", { name: `Revoke ${label}` }).getByRole("button", { name: "Revoke token" }).click();
  await expect(token).toContainText("Revoked");
  await open(page, "/certificates/rules");
  await row.getByRole("button", { name: "Remove" }).click();
  await expect(note(page, "Profile removed")).toBeVisible();
  await expect(row).toHaveCount(0);
});

test("a profile that certificates are of stays, and says so within a narrow screen", async ({ page }) => {
  const name = unique("kept");
  await open(page, "/certificates/rules");
  await called(page).fill(name);
  await hours(page).fill("720");
  await key(page, "p-256").check();
  await save(page);
  await expect(note(page, "Profile saved")).toBeVisible();
  await enrolled([unique("test-kept")], [], system(), name);
  await page.setViewportSize({ width: 360, height: 780 });
  await open(page, "/certificates/rules");
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
  await expect(row).toContainText("In use; it can be removed when no active certificate is of it.");
  await expect(row.getByRole("button", { name: "Remove" })).toHaveCount(0);
  // The words for assistive technology stand in the last column, which only the table's own box scrolls to.
  await expectNoSideScroll(page);
});

test.describe("an operator", () => {
  test.use({ role: "operator" });

  test("reads the rules and is not asked to change them", async ({ page }) => {
    await open(page, "/certificates/rules");
    await expect(page.getByText("Only admins change these.")).toBeVisible();
    await expect(page.getByRole("button", { name: /save|remove/i })).toHaveCount(0);
  });
});

const called = (page: Page) => page.getByLabel("Name", { exact: true });
const hours = (page: Page) => page.getByLabel("Hours it holds");
const keys = (page: Page) => page.getByRole("group", { name: "Types of keys" });
const key = (page: Page, type: string) => keys(page).getByLabel(type, { exact: true });
const save = (page: Page) => page.getByRole("button", { name: "Save profile" }).click();
const profiles = async () => (await rest("GET", "/certificate-profiles")).items as { name: string }[];
