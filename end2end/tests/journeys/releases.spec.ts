// Releases: where one is, how its life goes on, what differs from another one, and whether the images in it are signed by whom they should be.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { foreignKey, rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, expect, look, note, open, refusedByBrowser, someoneElse, state, test, withoutLimits } from "../../support/test";

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
    for (const label of ["Name", "Certificate or public key"]) await expect(keys.getByLabel(label)).toHaveValue("");
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

test.describe("whoever may change a release", () => {
  test.use({ role: "admin" });

  test("publishes it, lets no new rollout use it, and recalls it with a reason", async ({ page, browser }) => {
    const type = unique("lathe");
    const { payload, manifest } = signedFirmware("1.0.0", 1, `lathe ${type}`, undefined, type);
    await uploaded([payload, manifest]);
    const { id } = (await rest("GET", `/releases?q=${type}`)).items[0];
    const path = `/firmware/${id}`;
    await open(page, path);
    await page.getByRole("link", { name: "Publish…" }).click();
    const ask = (verb: string) => page.getByRole("dialog", { name: `${verb} ${type} 1.0.0` });
    await expect(ask("Publish")).toContainText("Nothing is installed by this alone.");
    await ask("Publish").getByRole("button", { name: "Publish", exact: true }).click();
    await expect(note(page, "Done")).toBeVisible();
    await open(page, path);
    await expect(state(page, "Published")).toBeVisible();

    await page.getByRole("link", { name: "Deprecate…" }).click();
    await expect(ask("Deprecate")).toContainText("New rollouts can't use it any more.");
    await ask("Deprecate").getByRole("button", { name: "Deprecate", exact: true }).click();
    await expect(note(page, "Done")).toBeVisible();
    await open(page, path);
    await expect(state(page, "Deprecated")).toBeVisible();
    await expect(page.getByRole("button", { name: "New rollout with this" })).toHaveAccessibleDescription("It is deprecated: new rollouts can't use it.");

    // Recalling is an admin's.
    const operator = await someoneElse(browser, "operator");
    await open(operator, path);
    await expect(state(operator, "Deprecated")).toBeVisible();
    await expect(operator.getByRole("link", { name: "Recall…" })).toHaveCount(0);
    await operator.context().close();

    await page.getByRole("link", { name: "Recall…" }).click();
    const recall = ask("Recall");
    const [version, reason] = [recall.getByLabel("Type 1.0.0 to confirm"), recall.getByLabel("Reason (required)")];
    const doIt = recall.getByRole("button", { name: "Recall", exact: true });
    await version.fill("1.0.1");
    await reason.fill("It loses its settings.");
    await doIt.click();
    expect(await refusedByBrowser(version)).not.toBe("");
    await withoutLimits(version);
    await doIt.click();
    await expect(version).toHaveAccessibleDescription("Type 1.0.0 to confirm.");
    await expect(reason).toHaveValue("It loses its settings.");
    await look(page, "journey-recall-refused");
    await version.fill("1.0.0");
    await doIt.click();
    await expect(note(page, "Done")).toBeVisible();
    await open(page, path);
    await expect(state(page, "Recalled")).toBeVisible();
    await expect(page.getByRole("link", { name: "Recall…" })).toHaveCount(0);
    await look(page, "journey-recalled");
    const log = (await rest("GET", `/audit?action=release.recall&q=${id}`)).items as { detail: string }[];
    expect(log[0]!.detail).toContain("It loses its settings.");
  });

  test("checks an upload by a stranger's key again, and deletes it", async ({ page, browser }) => {
    const type = unique("mixer");
    const { payload, manifest } = signedFirmware("1.0.0", 1, `mixer ${type}`, foreignKey(), type);
    await uploaded([payload, manifest]);
    const { id } = (await rest("GET", `/releases?q=${type}`)).items[0];
    const path = `/firmware/${id}`;
    const viewer = await someoneElse(browser, "viewer");
    await open(viewer, path);
    await expect(state(viewer, "Quarantined")).toBeVisible();
    await expect(viewer.getByRole("link", { name: /^(Check again|Delete|Publish)…$/ })).toHaveCount(0);
    await viewer.context().close();

    await open(page, path);
    await page.getByRole("link", { name: "Check again…" }).click();
    const again = page.getByRole("dialog", { name: `Check again ${type} 1.0.0` });
    await again.getByRole("button", { name: "Check again", exact: true }).click();
    await expect(note(page, "Done")).toBeVisible();
    await open(page, path);
    await expect(state(page, "Quarantined")).toBeVisible();
    await page.getByRole("link", { name: "Delete…" }).click();
    const gone = page.getByRole("dialog", { name: `Delete ${type} 1.0.0` });
    await expect(gone).toContainText("The upload and its files are deleted. This cannot be undone.");
    await look(page, "journey-release-delete");
    await gone.getByLabel("Type 1.0.0 to confirm").fill("1.0.0");
    await gone.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(page).toHaveURL(/\/firmware$/);
    expect((await rest("GET", `/releases?q=${type}`)).items).toEqual([]);
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
