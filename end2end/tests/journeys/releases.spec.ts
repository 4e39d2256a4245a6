// Releases: where one is, how its life goes on, what differs from another one, and whether the images in it are signed by whom they should be.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { foreignKey, rest, signedFirmware, system, uploaded } from "../../support/system";
import { card, expect, look, note, open, test } from "../../support/test";

test("a release's page draws its life and says which devices and rollouts have it", async ({ page }) => {
  await open(page, `/firmware/${await releaseOf("1.1.0")}`);
  await expect(card(page, "States").getByRole("img", { name: /^The release: Published\. Before: Verified\. May follow: / })).toBeVisible();
  const where = card(page, "Where it is");
  await expect(where.getByRole("img", { name: /of [\d,]+ devices runs? it/ })).toBeVisible();
  await expect(where.getByRole("listitem").first()).toBeVisible();
  await expect(page.getByRole("table", { name: "Rollouts with this release" }).getByRole("link", { name: system().rollout_name })).toBeVisible();
  await look(page, "journey-release");
  const saved = page.waitForEvent("download");
  await page.getByRole("table", { name: "Files" }).getByRole("link", { name: "gateway-1.1.0.bin" }).click();
  expect((await saved).suggestedFilename()).toBe("gateway-1.1.0.bin");
});

test("two releases are compared, from the list and from a release's page, and by an address", async ({ page }) => {
  const key = foreignKey();
  for (const { payload, manifest } of [
    signedFirmware("0.8.0", 80, "one\n".repeat(2048), key),
    signedFirmware("0.8.1", 81, "one and more\n".repeat(2048), key),
  ]) {
    await uploaded([payload, manifest]);
  }
  const [before, after] = [await releaseOf("0.8.0"), await releaseOf("0.8.1")];
  const title = page.getByRole("heading", { level: 1 });
  await open(page, "/firmware");
  await page.getByRole("link", { name: "Compare", exact: true }).click();
  await expect(title).toHaveText("Compare releases");
  await page.getByLabel("Before", { exact: true }).selectOption(before);
  await page.getByLabel("After", { exact: true }).selectOption(after);
  await page.getByRole("button", { name: "Compare", exact: true }).click();
  await expect(title).toHaveText(`${system().device_type} 0.8.1 against 0.8.0`);
  const version = page.getByRole("table", { name: "Fields that differ" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Version", exact: true }) });
  await expect(version).toContainText("0.8.0");
  await expect(version).toContainText("0.8.1");
  await expect(page.getByRole("table", { name: "Files of both" })).toContainText("gateway-0.8.1.bin");
  await look(page, "journey-compare");

  // The address says it all.
  await open(page, `/firmware/compare?before=${after}&after=${before}`);
  await expect(title).toHaveText(`${system().device_type} 0.8.0 against 0.8.1`);
  await open(page, `/firmware/${after}`);
  await page.getByRole("link", { name: "Compare", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/firmware/compare\\?after=${after}$`));
  await expect(page.getByLabel("After", { exact: true })).toHaveValue(after);
});

test("the list of releases fits beside the menu, and is searched and narrowed by its address", async ({ page }) => {
  const { payload, manifest } = signedFirmware("0.7.7", 77, "by somebody unknown", foreignKey());
  await uploaded([payload, manifest]);
  const view = page.viewportSize()!;
  for (const width of [1280, 1360, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    await open(page, "/firmware");
    const hidden = await page.getByRole("region", { name: "Releases", exact: true }).evaluate((box) => box.scrollWidth - box.clientWidth);
    expect(hidden, `at ${width} pixels`).toBeLessThanOrEqual(0);
  }
  await page.setViewportSize(view);

  const shown = page.getByRole("table", { name: "Releases", exact: true }).getByRole("rowheader");
  const search = page.getByRole("searchbox", { name: "Search releases" });
  await search.fill("0.7.7");
  await search.press("Enter");
  await expect(page).toHaveURL((url) => url.searchParams.get("q") === "0.7.7");
  await expect(shown).toHaveCount(1);
  await expect(shown).toContainText(`${system().device_type} · sequence 77`);
  // What nobody knows who signed is no signed one.
  const files = page.locator(".filters summary").filter({ hasText: "Files" });
  await files.click();
  await page.getByRole("link", { name: "Signed", exact: true }).click();
  await expect(page.getByRole("heading", { name: "No release matches" })).toBeVisible();
  await look(page, "journey-releases-none");
  await page.getByRole("link", { name: "Remove files Signed" }).click();
  await expect(page).toHaveURL((url) => url.searchParams.get("check") === null && url.searchParams.get("q") === "0.7.7");
  await expect(shown).toHaveCount(1);
  await open(page, "/firmware?state=published&check=signed");
  await expect(shown.first()).toBeVisible();
  await expect(shown.filter({ hasText: "0.7.7" })).toHaveCount(0);
  await look(page, "journey-releases-narrowed");
  await open(page, "/firmware?q=no-such-release");
  await page.getByRole("link", { name: "Clear filters" }).click();
  await expect(page).toHaveURL(/\/firmware$/);
  await expect(search).toHaveValue("");
  const listed = await rest("GET", "/releases?q=0.7.7&check=unsigned");
  expect(listed.items.every((release: { version: string }) => release.version === "0.7.7") && listed.total > 0).toBe(true);
});

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("makes an image key known, and a release tells that its image is signed by it", async ({ page }) => {
    const { payload, manifest } = signedFirmware("1.0.1", 11, image());
    await uploaded([payload, manifest]);
    const path = `/firmware/${await releaseOf("1.0.1")}`;
    const file = page.getByRole("table", { name: "Files" }).getByRole("row").nth(1);
    await open(page, path);
    await expect(file).toContainText("Unknown signer");
    await expect(file).toContainText("signed by O=Example, CN=Example builds, not trusted here: no image key is known here");

    await open(page, "/firmware");
    const keys = card(page, "Image keys");
    await keys.locator("summary").filter({ hasText: "Add an image key" }).click();
    await keys.getByLabel("Name").fill("Image authority");
    await keys.getByLabel("Certificate or public key").fill("nonsense");
    await keys.getByRole("button", { name: "Add image key" }).click();
    await expect(keys.getByLabel("Certificate or public key")).toHaveAccessibleDescription(/That is no certificate and no public key that could be an image key/);
    await look(page, "journey-image-key-refused");
    await keys.getByLabel("Certificate or public key").fill(made("authority").toString("base64"));
    await keys.getByRole("button", { name: "Add image key" }).click();
    await expect(note(page, "Image key added")).toBeVisible();
    await expect(keys.getByRole("row").filter({ hasText: "Image authority" })).toContainText("certificate · O=Example, CN=Example image authority");

    await open(page, path);
    await expect(file).toContainText("Signature trusted");
    await look(page, "journey-image-signed");

    await open(page, "/firmware");
    await keys.getByRole("link", { name: "Remove…" }).click();
    const question = page.getByRole("dialog", { name: "Remove Image authority" });
    await question.getByRole("button", { name: "Remove key" }).click();
    await expect(note(page, "Image key removed")).toBeVisible();
    await expect(keys).toContainText("None is known");
  });
});

/** What openssl has made for the core's own tests. */
function made(name: string) {
  const all = readFileSync(join(__dirname, "../../../server/core/src/releases/containers/testdata/signatures.txt"), "utf8");
  return Buffer.from(all.split(`== ${name}\n`)[1]!.split("== ")[0]!, "base64");
}

/** An image of SWUpdate: a cpio archive of its description and the signature of that. */
function image() {
  const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  const member = (name: string, content: Buffer) => {
    const fields = [1, 0o100644, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0")).join("")}${name}\0`;
    return Buffer.concat([padded(Buffer.from(head)), padded(content)]);
  };
  return Buffer.concat([member("sw-description", made("sw-description")), member("sw-description.sig", made("cms")), member("TRAILER!!!", Buffer.alloc(0))]);
}

async function releaseOf(version: string) {
  const releases = (await rest("GET", "/releases")).items as { id: string; version: string }[];
  return releases.find((release) => release.version === version)!.id;
}
