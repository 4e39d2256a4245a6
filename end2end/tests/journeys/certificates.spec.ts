// The list of certificates: its orders, and the tab of revoked ones with when and why.
import type { Page } from "@playwright/test";
import { enrolled } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { expect, look, open, test } from "../../support/test";

test("certificates are put into another order by a column's head, and the order stays while searching", async ({ page }) => {
  const name = await three();
  await open(page, `/certificates?q=${name}`);
  await expect(head(page, "Ends")).toHaveAttribute("aria-sort", "ascending");
  await expect(head(page, "Device")).toHaveAttribute("aria-sort", "none");
  await head(page, "Device").getByRole("link").click();
  await expect(page).toHaveURL(/sort=device/);
  await expect(head(page, "Device")).toHaveAttribute("aria-sort", "ascending");
  await expect(names(page)).toHaveText([`${name}-a`, `${name}-b`, `${name}-c`]);
  // With the keyboard alone.
  await head(page, "Device").getByRole("link").focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/sort=-device/);
  await expect(head(page, "Device")).toHaveAttribute("aria-sort", "descending");
  await expect(names(page)).toHaveText([`${name}-c`, `${name}-b`, `${name}-a`]);
  await page.getByRole("searchbox", { name: "Search certificates" }).fill(`${name}-`);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`q=${name}-&sort=-device`));
  await expect(names(page)).toHaveText([`${name}-c`, `${name}-b`, `${name}-a`]);
  await head(page, "Ends").getByRole("link").click();
  await expect(page).not.toHaveURL(/sort=/);
  await look(page, "journey-certificates-sorted");
});

test("what was revoked has a tab of its own, the last in front, with its reason", async ({ page }) => {
  const name = await three();
  await open(page, `/certificates?q=${name}`);
  await tab(page, "Revoked").click();
  await expect(page.getByRole("heading", { name: "No certificates match" })).toBeVisible();
  await look(page, "journey-certificates-none-revoked");
  await revoke(`${name}-b`, "key_compromise");
  await revoke(`${name}-a`, "cessation_of_operation");
  await open(page, `/certificates?q=${name}`);
  await tab(page, "Revoked").click();
  await expect(tab(page, "Revoked")).toHaveAttribute("aria-current", "page");
  await expect(page).toHaveURL(/state=revoked&sort=-revoked/);
  await expect(names(page)).toHaveText([`${name}-a`, `${name}-b`]);
  await expect(page.getByRole("row", { name: new RegExp(`${name}-b`) })).toContainText("key compromise");
  await expect(head(page, "Revoked")).toHaveAttribute("aria-sort", "descending");
  await look(page, "journey-certificates-revoked");
  await head(page, "Revoked").getByRole("link").click();
  await expect(head(page, "Revoked")).toHaveAttribute("aria-sort", "ascending");
  await expect(names(page)).toHaveText([`${name}-b`, `${name}-a`]);
  await tab(page, "All").click();
  await expect(names(page)).toHaveCount(3);
  await expect(page).toHaveURL((url) => url.search === `?q=${name}`);
});

/** Three devices with names that begin alike, enrolled in another order than that of their names. */
async function three() {
  const name = unique("test-order");
  await enrolled(["b", "c", "a"].map((n) => `${name}-${n}`));
  return name;
}

async function revoke(device: string, reason: string) {
  const { id } = (await rest("GET", `/certificates?q=${device}`)).items[0];
  await rest("POST", `/certificates/${id}/revoke`, { reason });
}

const head = (page: Page, name: string) => page.getByRole("table", { name: /certificates$/ }).getByRole("columnheader", { name, exact: true });
const names = (page: Page) => page.getByRole("table", { name: /certificates$/ }).getByRole("rowheader");
const tab = (page: Page, name: string) => page.getByRole("navigation", { name: "Certificates by kind" }).getByRole("link", { name, exact: true });
