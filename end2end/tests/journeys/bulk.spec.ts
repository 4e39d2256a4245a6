// All devices that a filter means are suspended and resumed at once: what the dialog says, that nothing happens when their number has changed, and
// the way of those who use no mouse.
import { enrolled } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { expect, look, note, open, picture, test } from "../../support/test";
import type { Page } from "@playwright/test";

test("everything that a filter means is suspended, and resumed with the keyboard alone", async ({ page }) => {
  const tag = await three();
  await open(page, `/devices?q=tag:${tag}`);
  await expect(page.getByText(/^3 of [\d,]+ match$/)).toBeVisible();
  await opener(page).click();
  await expect(dialog(page)).toContainText(
    `This is about the devices that match tag:${tag} now: 3 devices. If the number is another one by then, or one of them can't take the step, nothing is changed.`,
  );
  await expect(dialog(page)).toContainText("Who is suspended can't connect, enrol or renew until it is resumed; certificates stay as they are.");
  await look(page, "journey-suspend-all");
  await choice(page).selectOption({ label: "Suspend them: their connections are closed at once" });
  await doIt(page).click();
  await expect(note(page, "Done")).toBeVisible();
  await expect(dialog(page)).toBeHidden();
  await expect(words(page, "Suspended")).toHaveCount(3);
  await picture(page, "journey-suspended");

  await opener(page).focus();
  await page.keyboard.press("Enter");
  // The first thing that a key would press is the way out; Escape is another one, and leads back to where one was.
  await expect(dialog(page).getByRole("link", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toBeHidden();
  await expect(opener(page)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(dialog(page).getByRole("link", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Shift+Tab");
  await expect(choice(page)).toBeFocused();
  await page.keyboard.press("End");
  await expect(choice(page)).toHaveValue("resume");
  await page.keyboard.press("Tab");
  await expect(dialog(page).getByRole("link", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(doIt(page)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(dialog(page)).toBeHidden();
  await expect(words(page, "Offline")).toHaveCount(3);
  await expect(words(page, "Suspended")).toHaveCount(0);
});

test("nothing is suspended when the filter means another number of devices by then", async ({ page }) => {
  const tag = await three();
  await open(page, `/devices?q=tag:${tag}`);
  await opener(page).click();
  await expect(dialog(page)).toContainText("3 devices");
  // Somebody else takes one out while the question is open; the list is not shown again beneath it.
  await rest("PUT", `/devices/${tag}-1/tags`, { tags: [] });
  await doIt(page).click();
  await expect(dialog(page).getByRole("alert")).toHaveText(
    "The filter matches 2 devices now, not 3. Nothing was changed. Look at the list again, and repeat it with 2.",
  );
  await look(page, "journey-suspend-refused");
  for (const n of [1, 2, 3]) expect((await rest("GET", `/devices?q=id:${tag}-${n}`)).items[0].state).toBe("active");
  await dialog(page).getByRole("link", { name: "Cancel" }).click();
  // Opened anew it says nothing of that, and is about the list as it is by then.
  await opener(page).click();
  await expect(dialog(page).getByRole("alert")).toHaveCount(0);
  await expect(dialog(page)).toContainText(`the devices that match tag:${tag} now: 2 devices.`);
  await expect(doIt(page)).toHaveText("Do it for 2 devices");
  await doIt(page).click();
  await expect(words(page, "Suspended")).toHaveCount(2);
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("is not offered to suspend", async ({ page }) => {
    await open(page, "/devices");
    await expect(page.getByRole("heading", { level: 1, name: "Devices" })).toBeVisible();
    await expect(opener(page)).toHaveCount(0);
  });
});

/** Three devices with a tag of their own, which also begins their names. */
async function three() {
  const tag = unique("test-bulk");
  await enrolled([1, 2, 3].map((n) => `${tag}-${n}`), [tag]);
  return tag;
}

const opener = (page: Page) => page.getByRole("link", { name: "Suspend or resume…" });
const dialog = (page: Page) => page.getByRole("dialog", { name: /^Suspend or resume \d+ devices$/ });
const choice = (page: Page) => dialog(page).getByLabel("What to do");
const doIt = (page: Page) => dialog(page).getByRole("button", { name: "Do it" });
const words = (page: Page, word: string) => page.getByRole("table", { name: "Devices" }).getByRole("cell", { name: word, exact: true });
