// At 390 px every page can be read without scrolling sideways.
import { PAGES, STEPS } from "../support/routes";
import { expectNoSideScroll, open, picture, test } from "../support/test";

test.use({ role: "admin" });

for (const { name, path } of [...PAGES, ...STEPS]) {
  test(name, async ({ page }) => {
    await open(page, await path());
    await expectNoSideScroll(page);
    await picture(page, `${name}-phone`);
  });
}
