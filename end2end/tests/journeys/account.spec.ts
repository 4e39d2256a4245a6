// One's own account: another browser's session is ended, and the password is changed, which ends the others as well. A person of the test's own.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "@playwright/test";
import { folderFor } from "../../support/folders";
import { system, unique } from "../../support/system";
import { card, expect, hydrated, look, open, test } from "../../support/test";

test.use({ role: "nobody" });

test("a session elsewhere is ended, and a changed password ends the others", async ({ page, browser }) => {
  const { email, password } = somebody();
  await signIn(page, email, password);
  const first = await elsewhere(browser, email, password);
  await open(page, "/account");
  const sessions = page.getByRole("table", { name: "Sessions" });
  await expect(sessions.getByRole("row").filter({ hasText: "This one" })).toHaveCount(1);
  await sessions.getByRole("button", { name: "End" }).click();
  await expect(sessions.getByRole("button", { name: "End" })).toHaveCount(0);
  await first.goto("/devices");
  await expect(first).toHaveURL(/\/sign-in/);
  await first.context().close();

  const second = await elsewhere(browser, email, password);
  const form = card(page, "Password");
  const [old, next] = [form.getByLabel("Present password"), form.getByLabel("New password")];
  const change = async (from: string, to: string) => {
    await old.fill(from);
    await next.fill(to);
    await form.getByRole("button", { name: "Change password" }).click();
  };
  await change("not the present one", "a few unrelated words");
  await expect(old).toHaveAccessibleDescription(/The present password is wrong\./);
  await expect(old).toHaveAttribute("aria-invalid", "true");
  await change(password, "short");
  await expect(next).toHaveAccessibleDescription(/The password is too short: use at least 12 characters\./);
  await expect(next).toHaveAttribute("aria-invalid", "true");
  await expect(old).not.toHaveAttribute("aria-invalid");
  await look(page, "journey-password-refused");
  await change(password, "a few unrelated words");
  await expect(form.getByRole("status")).toContainText("The password is changed. Your other sessions have ended.");
  // Nobody reads it off the screen that was left open.
  await expect(old).toHaveValue("");
  await expect(next).toHaveValue("");
  await second.goto("/devices");
  await expect(second).toHaveURL(/\/sign-in/);
  // The old one opens nothing any more, the new one does.
  await signIn(second, email, password, /sign-in/);
  await expect(second.getByRole("alert")).toBeVisible();
  await signIn(second, email, "a few unrelated words");
  await second.context().close();
  await open(page, "/account");
  await expect(page.getByRole("heading", { level: 1, name: "Ursula Own" })).toBeVisible();
  await look(page, "journey-account");
});

test("the theme that is chosen is there from the first moment of the next page", async ({ page }) => {
  const { email, password } = somebody();
  await signIn(page, email, password);
  await open(page, "/account");
  const root = page.locator("html");
  const choose = (theme: string) => page.getByRole("group", { name: "Theme" }).getByText(theme, { exact: true }).click();
  await choose("Dark");
  await expect(root).toHaveAttribute("data-theme", "dark");
  await open(page, "/account");
  await expect(root).toHaveAttribute("data-theme", "dark");
  await expect(page.getByLabel("Dark", { exact: true })).toBeChecked();
  await choose("As the system");
  await expect(root).not.toHaveAttribute("data-theme");
  await open(page, "/account");
  await expect(root).not.toHaveAttribute("data-theme");
});

/** A viewer whom no other test knows. */
function somebody() {
  const person = { email: `${unique("ursula")}@demo.example`, password: randomBytes(12).toString("hex") };
  const file = join(folderFor("person"), "password");
  writeFileSync(file, person.password, { mode: 0o600 });
  const { fleetward, data } = system();
  execFileSync(fleetward, ["user", "add", "--data", data, "--email", person.email, "--name", "Ursula Own", "--role", "viewer", "--password-file", file]);
  return person;
}

async function signIn(page: Page, email: string, password: string, then = /\/$/) {
  await page.goto("/sign-in");
  await hydrated(page);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(then);
}

/** The same person in another browser. */
async function elsewhere(browser: Browser, email: string, password: string) {
  const context = await browser.newContext({ baseURL: system().operator_url, timezoneId: "UTC", locale: "en-GB" });
  const page = await context.newPage();
  await signIn(page, email, password);
  return page;
}
