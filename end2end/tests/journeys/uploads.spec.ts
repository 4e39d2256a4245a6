// Files on their way to the server: they go on while other pages are shown, go on where they were after the page was loaded anew, and are taken wherever
// they are dropped.
import { foreignKey, signedFirmware, system } from "../../support/system";
import { expect, hydrated, look, note, open, state, test } from "../../support/test";
import type { Page } from "@playwright/test";

const MIB = 1 << 20;
const CHUNKS = /\/api\/v1\/uploads\/[^/?]+\?offset=/;

test("an upload goes on while other pages are shown, and its chip leads back and then to the release", async ({ page }) => {
  const { payload, manifest } = firmware("0.9.3", 93);
  let goOn = () => {};
  const later = new Promise<void>((resolve) => (goOn = resolve));
  await page.route(CHUNKS, async (route) => {
    if (!route.request().url().endsWith("offset=0")) await later;
    await route.continue();
  });
  await open(page, "/firmware");
  await send(page, [payload, manifest]);
  await expect(page.getByText("4.0 MiB of 9.0 MiB")).toBeVisible();
  await expect(chip(page)).toHaveCount(0);

  await toDevices(page);
  await expect(chip(page)).toHaveAccessibleName("Upload: 44 %");
  await look(page, "journey-upload-elsewhere");
  // Whoever is about to leave the site is asked first, and stays.
  const asked = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  await chip(page).click();
  await expect(page).toHaveURL(/\/firmware$/);
  await expect(page.getByRole("progressbar", { name: "Upload" })).toBeVisible();

  await toDevices(page);
  goOn();
  await expect(note(page, `Uploaded ${system().device_type} 0.9.3 into quarantine`)).toBeVisible();
  await expect(chip(page)).toHaveAccessibleName(`Upload done: ${system().device_type} 0.9.3`);
  await chip(page).click();
  await expect(page).toHaveURL(/\/firmware\/rel_/);
  await expect(state(page, "Quarantined")).toBeVisible();
  await expect(chip(page)).toHaveCount(0);
});

test("what had arrived before the page was loaded anew is not sent again", async ({ page }) => {
  const { payload, manifest } = firmware("0.9.4", 94);
  // What comes after the first chunk stays on its way.
  await page.route(CHUNKS, async (route) => {
    if (route.request().url().endsWith("offset=0")) await route.continue();
  });
  await open(page, "/firmware");
  await send(page, [payload, manifest]);
  await expect(page.getByText("4.0 MiB of 9.0 MiB")).toBeVisible();
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await hydrated(page);
  await page.unrouteAll({ behavior: "ignoreErrors" });

  const offsets: number[] = [];
  page.on("request", (request) => {
    if (CHUNKS.test(request.url())) offsets.push(Number(new URL(request.url()).searchParams.get("offset")));
  });
  await send(page, [payload, manifest]);
  await page.waitForURL(/\/firmware\/rel_/);
  expect(offsets).toEqual([4 * MIB, 8 * MIB, 0]);
});

test("files that are dropped anywhere on the page of firmware are uploaded", async ({ page }) => {
  await open(page, "/firmware");
  const held = await holding(page, "dropped.bin");
  await page.getByRole("heading", { level: 1 }).dispatchEvent("dragover", { dataTransfer: held });
  const zone = page.locator(".dropzone");
  await expect(zone).toHaveAttribute("data-over", "true");
  await page.getByRole("heading", { level: 1 }).dispatchEvent("drop", { dataTransfer: held });
  await page.waitForURL(/\/firmware\/rel_/);
  await expect(page.getByRole("rowheader", { name: "dropped.bin" })).toBeVisible();
});

test("a file of a factory is dropped on its form as if it had been chosen", async ({ page }) => {
  await open(page, "/enrolment?tab=factory");
  const zone = page.locator(".dropzone").filter({ hasText: "File with requests" });
  const held = await holding(page, "requests.csv");
  await zone.dispatchEvent("dragenter", { dataTransfer: held });
  await expect(zone).toHaveAttribute("data-over", "true");
  await zone.dispatchEvent("drop", { dataTransfer: held });
  await expect(zone).not.toHaveAttribute("data-over", "true");
  const chosen = await page.getByLabel("File with requests").evaluate((input: HTMLInputElement) => [...input.files!].map((file) => file.name));
  expect(chosen).toEqual(["requests.csv"]);
});

/** Three chunks, by a key that nobody trusts: no other journey meets what becomes of it. */
const firmware = (version: string, sequence: number) => signedFirmware(version, sequence, Buffer.alloc(9 * MIB, version), foreignKey());

const chip = (page: Page) => page.getByRole("link", { name: /^Upload(:| done:| failed:)/ });

/** To the devices as people go, without loading the site anew. */
async function toDevices(page: Page) {
  await page.locator('nav a[href="/devices"]').filter({ visible: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Devices" })).toBeVisible();
}

async function send(page: Page, files: string[]) {
  await page.locator("input[type=file]").setInputFiles(files);
  await page.getByRole("button", { name: "Upload release" }).click();
}

/** What is held by whoever drags a file of this name. */
const holding = (page: Page, name: string) =>
  page.evaluateHandle((name) => {
    const held = new DataTransfer();
    held.items.add(new File(["what was dropped"], name));
    return held;
  }, name);
