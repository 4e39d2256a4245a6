// Columns of the device list, and views of it under a name: chosen, saved, opened again, replaced and removed; each person has their own.
import { system, unique } from "../../support/system";
import { expect, hydrated, look, note, open, picture, someoneElse, test } from "../../support/test";
import type { Page } from "@playwright/test";

test("a view keeps filter, order and columns under a name", async ({ page, browser }) => {
  const name = unique("Silent ones");
  await open(page, `/devices?q=type:${system().device_type}&sort=last_seen`);
  await menu(page, "Columns").click();
  await page.getByRole("link", { name: "Hardware, shown: hide it" }).click();
  await expect(page).toHaveURL((url) => url.searchParams.get("cols") === "status,version,type,update,last_seen,tags");
  await expect(heads(page)).toHaveText(["Device", "Status", "Firmware", "Type", "Update", "Last seen", "Tags"]);

  await menu(page, "Views").click();
  await page.getByRole("link", { name: "Save or remove…" }).click();
  await expect(dialog(page)).toContainText(`The devices that match type:${system().device_type}, in this order and with these columns.`);
  // The menu has closed by then: the focus goes back to it.
  await page.keyboard.press("Escape");
  await expect(menu(page, "Views")).toBeFocused();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Save or remove…" }).click();
  await dialog(page).getByLabel("Name of the view").fill(name);
  await look(page, "journey-view-asked");
  await page.keyboard.press("Enter");
  await expect(note(page, "View saved")).toBeVisible();
  await expect(dialog(page)).toBeHidden();

  // From a list without any of that, with the keyboard alone.
  await open(page, "/devices");
  await menu(page, "Views").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL((url) => url.searchParams.get("q") === `type:${system().device_type}` && url.searchParams.get("sort") === "last_seen");
  await expect(heads(page)).toHaveCount(7);
  await menu(page, "Views").click();
  await expect(page.getByRole("link", { name })).toHaveAttribute("aria-current", "true");
  await picture(page, "journey-views");

  const other = await someoneElse(browser, "viewer");
  await other.goto("/devices");
  await hydrated(other);
  await menu(other, "Views").click();
  await expect(other.getByRole("link", { name: "Save or remove…" })).toBeVisible();
  await expect(other.getByRole("link", { name })).toHaveCount(0);
  await other.context().close();

  await page.getByRole("link", { name: "Save or remove…" }).click();
  await look(page, "journey-views-there");
  await dialog(page).getByRole("button", { name: `Remove ${name}` }).click();
  await expect(note(page, "View removed")).toBeVisible();
  await menu(page, "Views").click();
  await expect(page.getByRole("link", { name })).toHaveCount(0);
});

test("what no list could show is not saved, and the dialog says why", async ({ page }) => {
  await open(page, "/devices?q=nonsense:x");
  await menu(page, "Views").click();
  await page.getByRole("link", { name: "Save or remove…" }).click();
  await dialog(page).getByLabel("Name of the view").fill("Broken");
  await dialog(page).getByRole("button", { name: "Save view" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText('there is no field "nonsense"');
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("a view is saved and removed by forms", async ({ page }) => {
    const name = unique("Plain");
    await page.goto("/devices?cols=status");
    await expect(heads(page)).toHaveText(["Device", "Status"]);
    await page.goto("/devices?cols=status&ask=views");
    await page.getByLabel("Name of the view").fill(name);
    await page.getByRole("button", { name: "Save view" }).click();
    await expect(page).toHaveURL((url) => url.search === "?cols=status");
    await page.goto("/devices?ask=views");
    await page.getByRole("button", { name: `Remove ${name}` }).click();
    await page.goto("/devices?ask=views");
    await expect(page.getByRole("button", { name: `Remove ${name}` })).toHaveCount(0);
  });
});

const menu = (page: Page, name: string) => page.locator("details.facet > summary").filter({ hasText: new RegExp(`^\\s*${name}\\s*$`) });
const dialog = (page: Page) => page.getByRole("dialog", { name: "Saved views" });
const heads = (page: Page) => page.getByRole("table", { name: "Devices" }).getByRole("columnheader");
