// Every page, in both themes: reads, hydrates without a word in the console, passes axe, and is kept as a picture.
import { PAGES, STEPS } from "../support/routes";
import { expect, expectAccessible, expectNoControlCutOff, expectNoSideScroll, open, picture, test } from "../support/test";

test.use({ role: "admin" });

for (const { name, path, heading } of [...PAGES, ...STEPS]) {
  test(name, async ({ page }, info) => {
    await open(page, await path());
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(heading);
    await expect(page).toHaveTitle(/Fleetward/);
    await expectAccessible(page);
    await picture(page, `${name}-${info.project.name}`);
    // On a small laptop nothing sticks out and nothing that can be pressed is cut off.
    await page.setViewportSize({ width: 1280, height: 800 });
    await expectNoSideScroll(page);
    await expectNoControlCutOff(page);
  });
}

for (const path of ["/devices", "/certificates", "/audit"]) {
  test(`what stands in the search of ${path} ends before the key that leads to it`, async ({ page }) => {
    await open(page, path);
    const { end, key } = await page.locator(".search").first().evaluate((search) => {
      const input = search.querySelector("input")!;
      const end = input.getBoundingClientRect().right - parseFloat(getComputedStyle(input).paddingRight);
      return { end, key: search.querySelector("kbd")!.getBoundingClientRect().left };
    });
    expect(end).toBeLessThanOrEqual(key);
  });
}

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  for (const { name, path } of PAGES.filter(({ name }) => ["overview", "rollouts", "release"].includes(name))) {
    test(`is not offered a rollout on ${name}`, async ({ page }) => {
      await open(page, await path());
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await expect(page.getByRole("link", { name: /new rollout|plan a rollout/i })).toHaveCount(0);
    });
  }
});

test.describe("without a session", () => {
  test.use({ role: "nobody" });

  test("sign-in", async ({ page }, info) => {
    await open(page, "/sign-in");
    await expectAccessible(page);
    await picture(page, `sign-in-${info.project.name}`);
  });

  test("a page asked for is where one lands after signing in", async ({ page }) => {
    await page.goto("/devices?q=type:gateway");
    await expect(page).toHaveURL(/\/sign-in\?/);
  });
});

test("an address that leads nowhere says so", async ({ page }, info) => {
  const response = await page.goto("/no/such/page");
  expect(response?.status()).toBe(404);
  await expectAccessible(page);
  await picture(page, `not-found-${info.project.name}`);
});
