// At 390 px every page can be read without scrolling sideways, and nothing lies over what it copies.
import { PAGES, STEPS } from "../support/routes";
import { expectCopyBesideLines, expectNoSideScroll, open, picture, test } from "../support/test";

test.use({ role: "admin" });

for (const { name, path } of [...PAGES, ...STEPS]) {
  test(name, async ({ page }) => {
    await open(page, await path());
    await expectNoSideScroll(page);
    await expectCopyBesideLines(page);
    await picture(page, `${name}-phone`);
  });
}
