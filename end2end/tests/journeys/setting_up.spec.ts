// A new installation: the first account is made with the code that the server says as it starts. On a server of its own, where nobody is yet.
import { Own } from "../../support/own";
import { expect, hydrated, look, test } from "../../support/test";

test.use({ role: "nobody" });

test("the first account is made with the code of the log, which works once", async ({ page }) => {
  test.setTimeout(120_000);
  const own = await Own.bare();
  try {
    const codes = () => own.said().match(/[0-9a-f]{4}(-[0-9a-f]{4}){5}/g) ?? [];
    await expect.poll(() => codes().length).toBeGreaterThan(0);
    const code = codes().at(-1)!;
    await page.goto(`${own.operator_url}/set-up`);
    await hydrated(page);
    await expect(page.getByRole("heading", { level: 1, name: "Set up Fleetward" })).toBeVisible();
    const fill = async (said: string, password: string) => {
      await page.getByLabel("Set-up code").fill(said);
      await page.getByLabel("Your name").fill("Fiona First");
      await page.getByLabel("E-mail").fill(own.admin.email);
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Make the account" }).click();
    };
    await fill("no-such-code", own.admin.password);
    await expect(page.getByRole("alert")).toBeVisible();
    await look(page, "journey-set-up-refused");
    await fill(code, "short");
    await expect(page.getByLabel("Password")).toHaveAccessibleDescription(/The password is too short: use at least 12 characters\./);
    await fill(code, own.admin.password);
    await expect(page).toHaveURL(/\/sign-in\?set_up=done$/);
    await page.getByLabel("E-mail").fill(own.admin.email);
    await page.getByLabel("Password").fill(own.admin.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();

    await page.goto(`${own.operator_url}/set-up`);
    await hydrated(page);
    await expect(page.getByRole("heading", { level: 1, name: "Fleetward is set up" })).toBeVisible();
    await expect(page.getByLabel("Set-up code")).toHaveCount(0);
  } finally {
    await own.end();
  }
});
