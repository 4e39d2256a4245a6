// A device is told to renew its certificate now, and does so when it comes.
import { connected, enrolled, gone } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { card, expect, look, open, test } from "../../support/test";

const certificates = async (id: string) => (await rest("GET", `/devices/${id}`)).certificates as { renew_ordered_at?: number }[];

test("a device that is away renews when it comes", async ({ page }) => {
  const [device] = await enrolled([unique("test-renewed")]);
  const { id } = device!;
  await open(page, `/devices/${id}/certificates`);
  const renewal = card(page, "Renewal");
  await expect(renewal).toContainText("It renews its certificate by itself in time.");
  await renewal.getByRole("button", { name: "Renew now" }).click();
  await expect(renewal).toContainText("Ordered ");
  await expect(renewal.getByRole("button", { name: "Order again" })).toBeVisible();
  await look(page, "journey-renewal-ordered");
  const running = connected(device!);
  try {
    const carriedOut = async () => {
      const all = await certificates(id);
      return all.length === 2 && all.every((c) => c.renew_ordered_at === undefined);
    };
    await expect.poll(carriedOut, { timeout: 60_000 }).toBe(true);
  } finally {
    await gone(running);
  }
  await open(page, `/devices/${id}/certificates`);
  await expect(page.getByRole("table", { name: "Certificates of this device" }).getByRole("rowheader")).toHaveCount(2);
  await expect(renewal.getByRole("button", { name: "Renew now" })).toBeVisible();
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("a renewal is ordered by a form", async ({ page }) => {
    const [device] = await enrolled([unique("test-renewed")]);
    await page.goto(`/devices/${device!.id}/certificates`);
    await card(page, "Renewal").getByRole("button", { name: "Renew now" }).click();
    await expect(card(page, "Renewal")).toContainText("Ordered ");
  });
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("is not offered to order a renewal", async ({ page }) => {
    const [device] = await enrolled([unique("test-renewed")]);
    await open(page, `/devices/${device!.id}/certificates`);
    await expect(card(page, "Renewal")).toBeVisible();
    await expect(card(page, "Renewal").getByRole("button")).toHaveCount(0);
  });
});
