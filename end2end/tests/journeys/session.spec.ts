// Signing in and out in the browser.
import { system } from "../../support/system";
import { expect, hydrated, open, test } from "../../support/test";

test.use({ role: "nobody" });

test("a wrong password is refused in words, the right one leads to the page that was asked for", async ({ page }) => {
  await page.goto("/devices");
  await expect(page).toHaveURL(/\/sign-in\?/);
  await hydrated(page);
  await page.getByLabel("E-mail").fill(system().operator.email);
  await page.getByLabel("Password").fill("not-the-password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await page.getByLabel("Password").fill(system().operator.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/devices/);
});

test("after signing out nothing can be read any more", async ({ page }) => {
  await open(page, "/sign-in");
  await page.getByLabel("E-mail").fill(system().operator.email);
  await page.getByLabel("Password").fill(system().operator.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL((url) => url.pathname === "/");
  await hydrated(page);
  await page.getByRole("button", { name: /account menu/i }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  await page.goto("/devices");
  await expect(page).toHaveURL(/\/sign-in/);
});
