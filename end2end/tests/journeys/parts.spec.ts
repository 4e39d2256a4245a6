// The console's parts: what stands there when one can't be fetched, and that nothing is broken by it.
import { expect, open, test } from "../../support/test";

test("a part that can't be fetched is said on its page, and trying again mends it", async ({ context, page, noise }) => {
  await open(page, "/");
  const part = "**/pkg/devices.*.wasm";
  await context.route(part, (route) => route.abort());
  await page.locator("nav.side").getByRole("link", { name: /^Devices/ }).click();
  await expect(page.getByText("This page could not be loaded")).toBeVisible();
  await expect(page).toHaveURL(/\/devices$/);
  // The browser says in its console that the file is missing, and nothing else.
  for (const line of noise.splice(0)) expect(line).toMatch(/Failed to (load|fetch)/);
  await context.unroute(part);
  await page.getByRole("link", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Devices" })).toBeVisible();
});
