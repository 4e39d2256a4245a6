// At 390 px every page can be read without scrolling sideways, and nothing lies over what it copies.
import { PAGES, STEPS } from "../support/routes";
import { expect, expectCopyBesideLines, expectNoSideScroll, open, picture, test } from "../support/test";

test.use({ role: "admin" });

for (const { name, path } of [...PAGES, ...STEPS]) {
  test(name, async ({ page }) => {
    await open(page, await path());
    await expectNoSideScroll(page);
    await expectCopyBesideLines(page);
    await picture(page, `${name}-phone`);
  });
}

test("the menu and the search open from the top bar, and the menu has a way out", async ({ page }) => {
  await open(page, "/");
  const opener = page.getByRole("link", { name: "Open menu" });
  await opener.click();
  const menu = page.getByRole("dialog", { name: "Menu", exact: true });
  await expect(menu.getByRole("link", { name: "Devices" })).toBeVisible();
  await menu.getByRole("button", { name: "Close menu" }).click();
  await expect(menu).toBeHidden();
  await expect(opener).toBeFocused();
  await page.getByRole("link", { name: "Search or jump to" }).click();
  await expect(page.getByRole("combobox", { name: "Search or jump to" })).toBeFocused();
});
