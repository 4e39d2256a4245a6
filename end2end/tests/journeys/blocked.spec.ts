// A key that was found where others can read it is blocked by hand, with why; an admin lets it be used again.
import { randomBytes } from "node:crypto";
import { card, expect, look, note, open, test } from "../../support/test";
import type { Page } from "@playwright/test";

const row = (page: Page, key: string) => page.getByRole("table", { name: "Blocked keys" }).getByRole("row").filter({ hasText: key.slice(0, 16) });

/** Blocks a key by its digest. */
async function block(page: Page, key: string, why: string) {
  await open(page, "/certificates/rules");
  const form = card(page, "Block a key");
  await form.getByLabel("The key").fill(key);
  await form.getByLabel("Why").fill(why);
  await form.getByRole("button", { name: "Block key" }).click();
}

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("blocks a key and lets it be used again", async ({ page }) => {
    const key = randomBytes(32).toString("hex");
    await block(page, key, "In the image of 2.1.");
    await expect(row(page, key)).toContainText("In the image of 2.1.");
    await expect(note(page, "Key blocked")).toBeVisible();
    // The next one begins with an empty form.
    for (const label of ["The key", "Why"]) await expect(card(page, "Block a key").getByLabel(label)).toHaveValue("");
    await look(page, "journey-blocked-keys");
    await row(page, key).getByRole("button", { name: "Unblock" }).click();
    await expect(row(page, key)).toHaveCount(0);
  });

  test("is told beside the input what is no key", async ({ page }) => {
    await block(page, "a key", "In the image of 2.1.");
    await expect(card(page, "Block a key").getByLabel("The key")).toHaveAccessibleDescription(/Give the SHA-256 of the key's SubjectPublicKeyInfo as 64 hex digits\./);
    // What was typed is there to be put right.
    await expect(card(page, "Block a key").getByLabel("Why")).toHaveValue("In the image of 2.1.");
  });
});

test("an operator blocks a key, and only an admin unblocks it", async ({ page }) => {
  const key = randomBytes(32).toString("hex");
  await block(page, key, "In a public repository.");
  await expect(row(page, key)).toContainText("In a public repository.");
  await expect(row(page, key).getByRole("button", { name: "Unblock" })).toHaveCount(0);
});
