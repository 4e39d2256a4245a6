// Key sets: which keys devices trust, published in the console. One that ends soon is a warning on the overview until the next one is there. On a
// server of its own, because a key set decides about every release from then on.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test, type Own } from "../../support/own";
import { system, unique } from "../../support/system";
import { card, expect, look, note, open, picture } from "../../support/test";
import type { Page } from "@playwright/test";

test.describe.configure({ mode: "serial", timeout: 120_000 });

test("a key set that ends soon is warned of until the next one is published", async ({ own, page }) => {
  const key = own.file("builds.key");
  execFileSync(system().fleetward, ["key", "generate", "--out", key]);
  own.fleetward("key", "add", "--name", "Builds", "--public", `${key}.pub`);
  const warning = page.getByRole("link", { name: /^Key set \d+ (ends|has ended) on / });
  await open(page, "/");
  await expect(page.getByRole("heading", { level: 2, name: "Needs attention" })).toBeVisible();
  await expect(warning).toHaveCount(0);

  await open(page, "/firmware");
  await expect(page.getByRole("heading", { name: "Add a signing key" })).toBeVisible();
  await publish(page, keySet(own, key, 1, { days: 20, signed: false }));
  await expect(page.getByLabel("Key set", { exact: true })).toHaveAccessibleDescription(
    /The key set has 0 of 1 signatures by the keys that are trusted before it\./,
  );
  await look(page, "journey-key-set-refused");
  await publish(page, keySet(own, key, 1, { days: 20, signed: true }));
  await expect(note(page, "Key set published")).toBeVisible();
  const sets = page.getByRole("table", { name: "Key sets" });
  await expect(sets.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "1", exact: true }) })).toContainText(/Builds.*1 signature.*in (19|20) d/);
  await expect(card(page, "Signatures that are needed")).toContainText("Key set 1 says so, and which keys are trusted.");
  // Keys are not added one by one any more.
  await expect(page.getByRole("heading", { name: "Add a signing key" })).toHaveCount(0);

  await open(page, "/");
  await expect(warning).toHaveText(/^Key set 1 ends on .+: devices install nothing by it after that\. Publish the next one, signed by its keys$/);
  await look(page, "journey-key-set-ends");
  await warning.click();
  await expect(page).toHaveURL(/\/firmware#signing$/);
  await expect(page.getByRole("heading", { name: "Signatures that are needed" })).toBeVisible();

  await publish(page, keySet(own, key, 3, { signed: true }));
  await expect(page.getByLabel("Key set", { exact: true })).toHaveAccessibleDescription(/The key set has version 3; 2 is the next one\./);
  await publish(page, keySet(own, key, 2, { signed: true }));
  await expect(sets.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "2", exact: true }) })).toContainText("never");
  await picture(page, "journey-key-sets");
  await open(page, "/");
  await expect(page.getByRole("heading", { level: 2, name: "Needs attention" })).toBeVisible();
  await expect(warning).toHaveCount(0);
});

/** A key set with one key, made and signed with the binary's own offline tools; the text of its file. */
function keySet(own: Own, key: string, version: number, { days, signed }: { days?: number; signed: boolean }) {
  const file = own.file(`${unique("set")}.json`);
  const ends = days === undefined ? [] : ["--expires", String(days)];
  execFileSync(system().fleetward, ["key", "set", "make", "--version", String(version), "--trust", `Builds=${key}.pub`, ...ends, "--out", file]);
  if (signed) execFileSync(system().fleetward, ["key", "set", "sign", "--key", key, "--set", file]);
  return readFileSync(file, "utf8");
}

async function publish(page: Page, text: string) {
  const field = page.getByLabel("Key set", { exact: true });
  if (!(await field.isVisible())) await page.locator("summary").filter({ hasText: "Publish a key set" }).click();
  await field.fill(text);
  await page.getByRole("button", { name: "Publish key set" }).click();
}
