// A question that is left unanswered is not asked again: not by a reload, and not on the way back. The focus goes to what opened it. News leaves it alone.
import type { Page } from "@playwright/test";
import { ASKING, address, question, wayOut } from "../../support/questions";
import { rest, unique } from "../../support/system";
import { expect, expectAccessible, hydrated, open, test } from "../../support/test";

test.use({ role: "admin" });

const WAYS = [
  {
    by: "Escape",
    leave: async (page: Page) => {
      await wayOut(page).focus();
      await page.keyboard.press("Escape");
    },
  },
  { by: "its way out", leave: (page: Page) => wayOut(page).click() },
];

for (const { name, prepare } of ASKING) {
  test(`a question about ${name} is left`, async ({ page }) => {
    const { path, opener } = await prepare(page, open);
    await open(page, path);
    const here = address(page);
    const asking = (await opener.getAttribute("href"))!;
    const dialog = page.getByRole("dialog");
    const left = async () => {
      await expect(dialog).toBeHidden();
      await expect(opener).toBeFocused();
      expect(address(page)).toBe(here);
    };
    await opener.click();
    await expect(dialog).toBeVisible();
    await page.keyboard.press("Escape");
    await left();
    await opener.click();
    await expect(dialog).toBeVisible();
    // Beside the dialog.
    await page.mouse.click(5, 5);
    await left();
    await opener.click();
    await dialog.locator("footer a[data-close]").click();
    await left();

    for (const { by, leave } of WAYS) {
      await test.step(`which the address asks, by ${by}`, async () => {
        await open(page, path);
        await open(page, asking);
        await expect(question(page)).toBeVisible();
        await expectAccessible(page);
        await leave(page);
        await expect(question(page)).toHaveCount(0);
        await expect(opener).toBeFocused();
        expect(address(page)).toBe(here);
        await page.reload();
        await hydrated(page);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        await expect(question(page)).toHaveCount(0);
        await page.goBack();
        await hydrated(page);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        await expect(question(page)).toHaveCount(0);
        expect(address(page)).toBe(here);
      });
    }
  });
}

test("news that was on its way when a dialog was opened is shown when it is closed", async ({ page }) => {
  const [asked, news] = [unique("Asked about"), unique("Made meanwhile")];
  const row = (label: string) => page.getByRole("row").filter({ hasText: label });
  await rest("POST", "/enrolment-tokens", { label: asked });
  // The page is read once more as soon as it follows the fleet; that is held up here until there is something new.
  let onItsWay = 0;
  let letPass = () => {};
  const passes = new Promise<void>((done) => (letPass = done));
  await page.route(/\/rpc\/enrolment\?/, async (route) => {
    onItsWay += 1;
    await passes;
    await route.continue();
  });
  await open(page, "/enrolment");
  await expect.poll(() => onItsWay).toBe(1);
  await rest("POST", "/enrolment-tokens", { label: news });
  await row(asked).getByRole("link", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog", { name: `Revoke ${asked}` });
  await expect(dialog).toBeVisible();
  const come = page.waitForResponse(/\/rpc\/enrolment\?/);
  letPass();
  await (await come).finished();
  // As long as a page takes to be shown again, and more.
  await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
  await expect(dialog).toBeVisible();
  await expect(page.getByText(news)).toHaveCount(0);
  await page.keyboard.press("Escape");
  await expect(row(news)).toBeVisible();
});
