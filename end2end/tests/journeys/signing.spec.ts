// Who signs: keys that are made known and revoked, how many of them a release needs, a signature that is added to one, and the server's own keys. On a
// server of its own, because every upload is held against them.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { test, type Own } from "../../support/own";
import { restOf, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, expect, look, note, open, picture, refusedByBrowser, state, withoutLimits } from "../../support/test";

test.use({ kept: "signing" });

test("two keys have to sign a release of one device type, and the second one signs in the console", async ({ own, page, browser }) => {
  const [first, second] = [unique("Builds"), unique("Safety")].map((name) => ({ name, key: keyOf(own, name) }));
  const type = unique("pump");
  await open(page, "/firmware");
  const form = card(page, "Add a signing key");
  const add = async (name: string, text: string) => {
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("Public key (Ed25519)").fill(text);
    await form.getByRole("button", { name: "Add key" }).click();
  };
  await add(first!.name, "nonsense");
  await expect(form.getByLabel("Public key (Ed25519)")).toHaveAttribute("aria-invalid", "true");
  await expect(form.getByRole("alert")).toBeVisible();
  await look(page, "journey-signing-key-refused");
  for (const { name, key } of [first!, second!]) {
    await add(name, readFileSync(`${key}.pub`, "utf8"));
    await expect(row(page, name)).toContainText("Trusted");
    // The next one begins empty.
    await expect(form.getByLabel("Name")).toHaveValue("");
  }

  const needed = card(page, "Signatures that are needed");
  const [number, types] = [needed.getByLabel("Different keys that must have signed a release"), needed.getByLabel("Other numbers for some device types")];
  const ask = async (all: string, some: string) => {
    await number.fill(all);
    await types.fill(some);
    await needed.getByRole("button", { name: "Save" }).click();
  };
  await ask("many", "");
  await expect(number).toHaveAccessibleDescription(/Write a whole number from 1 to 16\./);
  await ask("16", "");
  await expect(number).toHaveAccessibleDescription(/asks for 16 signatures, and there are \d+ keys only/);
  await ask("1", type);
  await expect(types).toHaveAccessibleDescription(/Write a line for each type, for example gateway=2\./);
  await expect(types).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-thresholds-refused");
  await ask("1", `${type}=2`);
  await expect(note(page, "Saved")).toBeVisible();
  await open(page, "/firmware");
  await expect(number).toHaveValue("1");
  await expect(types).toHaveValue(`${type}=2`);

  const { payload, manifest } = signedFirmware("1.0.0", 1, `pump ${type}`, first!.key, type);
  await uploaded([payload, manifest], own);
  const release = (await restOf(own, "GET", "/releases")).items.find((one: { device_type: string }) => one.device_type === type);
  await open(page, `/firmware/${release.id}`);
  const signatures = card(page, /^Signatures: /);
  await expect(signatures.getByRole("heading")).toHaveText("Signatures: 1 of 2 signatures");
  await expect(page.getByRole("button", { name: "Publish…" })).toHaveAccessibleDescription(/It can't be published: /);
  await signatures.locator("summary").filter({ hasText: "Add a signature" }).click();
  const text = signatures.getByLabel("Signature", { exact: true });
  await text.fill("nonsense");
  await signatures.getByRole("button", { name: "Add signature" }).click();
  await expect(signatures.getByRole("alert")).toBeVisible();
  await look(page, "journey-signature-refused");
  const detached = own.file(`${type}.json`);
  execFileSync(system().fleetward, ["release", "sign", "--manifest", manifest, "--key", second!.key, "--detached", detached]);
  await text.fill(readFileSync(detached, "utf8"));
  await signatures.getByRole("button", { name: "Add signature" }).click();
  await expect(note(page, "Signature added")).toBeVisible();
  await open(page, `/firmware/${release.id}`);
  await expect(signatures.getByRole("heading")).toHaveText("Signatures: 2 of 2 signatures");
  await expect(signatures.getByRole("row").filter({ has: page.getByRole("rowheader", { name: new RegExp(`^${second!.name}`) }) })).toContainText("counts");
  await expect(state(page, "Verified")).toBeVisible();
  await expect(page.getByRole("link", { name: "Publish…" })).toBeVisible();
  await look(page, "journey-signed-by-two");

  // Whoever may not is told what holds, and is offered nothing.
  const viewer = await own.person(browser, "Vera Viewer", "viewer");
  await open(viewer, "/firmware");
  await expect(card(viewer, "Signatures that are needed")).toContainText("2 signatures");
  for (const heading of ["Add a signing key"]) await expect(viewer.getByRole("heading", { name: heading })).toHaveCount(0);
  for (const name of ["Save", "Make another key", "Retire"]) await expect(viewer.getByRole("main").getByRole("button", { name, exact: true })).toHaveCount(0);
  await open(viewer, `/firmware/${release.id}`);
  await expect(card(viewer, /^Signatures: /)).toBeVisible();
  await expect(viewer.getByText("Add a signature")).toHaveCount(0);
  await viewer.context().close();

  // One key fewer: nothing of that type gets far enough, and the page says so.
  await open(page, "/firmware");
  await row(page, second!.name).getByRole("link", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog", { name: `Revoke ${second!.name}` });
  await expect(dialog).toContainText("Its signatures count no more");
  const confirm = dialog.getByLabel(`Type ${second!.name} to confirm`);
  await confirm.fill(first!.name);
  await dialog.getByRole("button", { name: "Revoke key" }).click();
  expect(await refusedByBrowser(confirm)).not.toBe("");
  await withoutLimits(confirm);
  await dialog.getByRole("button", { name: "Revoke key" }).click();
  await expect(confirm).toHaveAccessibleDescription(`Type ${second!.name} to confirm.`);
  await confirm.fill(second!.name);
  await dialog.getByRole("button", { name: "Revoke key" }).click();
  await expect(note(page, "Key revoked")).toBeVisible();
  await open(page, "/firmware");
  await expect(row(page, second!.name)).toContainText("Revoked");
  await expect(row(page, second!.name).getByRole("link", { name: "Revoke…" })).toHaveCount(0);
  await ask("1", "");
  await expect(note(page, "Saved")).toBeVisible();
  await picture(page, "journey-signing-key-revoked");
});

test("another key for assignments is made, and the one before it is retired", async ({ page }) => {
  await open(page, "/firmware");
  const keys = card(page, "Keys for assignments");
  const of = (word: string) => keys.getByRole("row").filter({ has: page.getByRole("cell", { name: word, exact: true }) });
  await expect(of("In use")).toHaveCount(1);
  // The only one stays.
  await expect(keys.getByRole("button", { name: "Retire" })).toHaveCount(0);
  const before = (await of("In use").getByRole("rowheader").innerText()).trim();
  await keys.getByRole("button", { name: "Make another key" }).click();
  await expect(note(page, "Key made")).toBeVisible();
  await open(page, "/firmware");
  await expect(of("In use")).toHaveCount(2);
  await look(page, "journey-assignment-keys");
  await of("In use").filter({ hasText: before }).getByRole("button", { name: "Retire" }).click();
  await expect(note(page, "Key retired")).toBeVisible();
  await open(page, "/firmware");
  await expect(of("Retired").filter({ hasText: before })).toHaveCount(1);
  await expect(of("In use")).toHaveCount(1);
  await expect(keys.getByRole("button", { name: "Retire" })).toHaveCount(0);
});

/** A key pair; the path of its private half. */
function keyOf(own: Own, name: string) {
  const key = own.file(`${name}.key`);
  execFileSync(system().fleetward, ["key", "generate", "--out", key]);
  return key;
}

const row = (page: Page, name: string) =>
  page.getByRole("table", { name: "Signing keys" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
