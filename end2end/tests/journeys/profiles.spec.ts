// Certificate profiles: their limits, and who may change them.
import { rest, unique } from "../../support/system";
import { expect, look, open, refusedByBrowser, test, withoutLimits } from "../../support/test";
import type { Page } from "@playwright/test";

test.use({ role: "admin" });

test("a profile out of bounds is refused beside the input that is wrong", async ({ page }) => {
  const name = unique("too-long");
  await open(page, "/certificates/rules");
  await called(page).fill(name);
  await hours(page).fill("19801");
  await save(page);
  // The browser holds it back before anything is sent.
  expect(await refusedByBrowser(hours(page))).toMatch(/19800/);
  await withoutLimits(hours(page));
  await save(page);
  await expect(hours(page)).toHaveAccessibleDescription(/Give 1 to 19800 hours \(825 days\)\./);
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
  expect((await profiles()).filter((profile) => profile.name === name)).toEqual([]);
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
