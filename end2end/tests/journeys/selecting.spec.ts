// Devices are ticked in the list and changed together; all that a filter means in two steps; and what the filter's menus count.
import type { Page } from "@playwright/test";
import { enrolled } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { expect, hydrated, look, note, open, test } from "../../support/test";

test("a few devices are ticked with the keyboard and tagged", async ({ page }) => {
  const tag = await three();
  await open(page, `/devices?q=tag:${tag}`);
  await expect(bar(page)).toBeHidden();
  await box(page, `${tag}-1`).focus();
  await page.keyboard.press("Space");
  await box(page, `${tag}-3`).check();
  await expect(bar(page)).toContainText("2 selected");
  await look(page, "journey-selected");
  await bar(page).getByRole("button", { name: "Tag…" }).click();
  const question = page.locator("section.card.ask");
  await expect(question).toContainText(`This is about 2 devices: ${tag}-1, ${tag}-3.`);
  await page.locator("html[data-hydrated]").waitFor();
  await look(page, "journey-selected-question");
  await question.getByLabel("Add tags").fill(`${tag}-picked`);
  await question.getByRole("button", { name: "Tag 2 devices" }).click();
  await expect(note(page, "Tagged")).toBeVisible();
  await expect(page).toHaveURL((url) => url.search === `?q=tag:${tag}`);
  await expect(question).toHaveCount(0);
  await expect(bar(page)).toBeHidden();
  const tagged = (await rest("GET", `/devices?q=tag:${tag}-picked`)).items as { device_id: string }[];
  expect(tagged.map((device) => device.device_id)).toEqual([`${tag}-1`, `${tag}-3`]);
});

test("a whole page is ticked, cleared, and what was ticked does not wander when the list changes", async ({ page }) => {
  const tag = await three();
  await open(page, `/devices?q=tag:${tag}`);
  await box(page, `${tag}-2`).check();
  await bar(page).getByRole("button", { name: "Select these 3" }).click();
  await expect(bar(page)).toContainText("3 selected");
  await bar(page).getByRole("button", { name: "Clear" }).click();
  await expect(bar(page)).toBeHidden();
  await box(page, `${tag}-2`).check();
  // The first one leaves the list: the tick stays with its device, not with its row.
  await rest("PUT", `/devices/${tag}-1/tags`, { tags: [] });
  await expect(box(page, `${tag}-1`)).toHaveCount(0);
  await expect(box(page, `${tag}-2`)).toBeChecked();
  await expect(box(page, `${tag}-3`)).not.toBeChecked();
});

test("all that match are selected in two steps, and nothing is changed when they are others by then", async ({ page }) => {
  const tag = unique("test-all");
  await enrolled(Array.from({ length: 51 }, (_, n) => `${tag}-${String(n).padStart(2, "0")}`), [tag]);
  await open(page, `/devices?q=tag:${tag}`);
  await box(page, `${tag}-00`).check();
  await bar(page).getByRole("link", { name: "Select all 51 that match" }).click();
  await expect(bar(page)).toContainText("51 devices selected: all that match");
  await expect(box(page, `${tag}-07`)).toBeChecked();
  await look(page, "journey-selected-all");
  await bar(page).getByRole("link", { name: "Suspend or resume…" }).click();
  const dialog = page.getByRole("dialog", { name: "Suspend or resume 51 devices" });
  await expect(dialog).toContainText(`the devices that match tag:${tag} now: 51 devices.`);
  await rest("PUT", `/devices/${tag}-00/tags`, { tags: [] });
  await dialog.getByRole("button", { name: "Do it" }).click();
  await expect(dialog.getByRole("alert")).toContainText("The filter matches 50 devices now, not 51. Nothing was changed.");
  expect((await rest("GET", `/devices?q=tag:${tag} state:suspended`)).items).toEqual([]);
  await dialog.getByRole("link", { name: "Cancel" }).click();
  await bar(page).getByRole("link", { name: "Clear" }).click();
  await expect(page).toHaveURL((url) => url.search === `?q=tag:${tag}`);
  await expect(bar(page)).toBeHidden();
});

test("whoever asks about renewing those that are ticked comes back to the list as it was", async ({ page }) => {
  const tag = await three();
  await open(page, `/devices?q=tag:${tag}&sort=-last_seen`);
  await box(page, `${tag}-2`).check();
  await bar(page).getByRole("button", { name: "Renew certificates…" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Ask devices to renew their certificates" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText(`This is about ${tag}-2: 1 device.`);
  await hydrated(page);
  await page.getByRole("link", { name: "Back to the devices" }).click();
  await expect(page).toHaveURL((url) => url.pathname === "/devices" && url.search === `?q=tag:${tag}&sort=-last_seen`);
  await expect(page.getByText(/^3 of [\d,]+ match$/)).toBeVisible();
});

test("the filter's menus say how many devices a value means, and lead to them", async ({ page }) => {
  const tag = await three();
  const menu = page.locator("details.facet").filter({ has: page.locator("summary", { hasText: /^\s*Type\s*$/ }) });
  const bench = menu.getByRole("link", { name: /^bench [\d,]+$/ });
  // What the menus offer may be a few seconds old.
  await expect(async () => {
    await open(page, `/devices?q=tag:${tag}`);
    await menu.locator("summary").click();
    await expect(bench).toBeVisible({ timeout: 2_000 });
  }).toPass();
  await expect(menu).toContainText("Numbers are of the whole fleet.");
  // The menu lies over some of a button below it, as menus do; whoever wants that one closes it first.
  await page.locator(".all-listed").evaluate((row) => row.setAttribute("inert", ""));
  await look(page, "journey-facets");
  await bench.click();
  await expect(page).toHaveURL(/type:bench/);
  await expect(page.getByText(/^3 of [\d,]+ match$/)).toBeVisible();
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("has nothing to tick", async ({ page }) => {
    await open(page, "/devices");
    await expect(page.getByRole("table", { name: "Devices" })).toBeVisible();
    await expect(page.getByRole("checkbox")).toHaveCount(0);
  });
});

/** Three devices with a tag of their own, which also begins their names. */
async function three() {
  const tag = unique("test-tick");
  await enrolled([1, 2, 3].map((n) => `${tag}-${n}`), [tag]);
  return tag;
}

const bar = (page: Page) => page.getByRole("toolbar", { name: "Selected devices" });
const box = (page: Page, id: string) => page.getByRole("checkbox", { name: `Select ${id}`, exact: true });
