// The audit log as a file: JSON lines that hold by themselves.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { system } from "../../support/system";
import { card, expect, expectWithin, fact, look, open, test } from "../../support/test";

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("takes the log out as lines of JSON, whose chain is checked without the server", async ({ page }) => {
    await open(page, "/audit");
    await look(page, "journey-audit");
    const downloading = page.waitForEvent("download");
    await page.getByRole("link", { name: "Export" }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^audit-1-\d+\.jsonl$/);
    const file = await download.path();
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const [head, ...entries] = lines.map((line) => JSON.parse(line));
    expect(head).toMatchObject({ format: "fleetward-audit/1", after: 0, before: "" });
    expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: head.last }, (_, i) => i + 1));
    for (const entry of entries) expect(entry).toMatchObject({ actor: expect.any(String), action: expect.any(String), hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const last = entries.at(-1);
    expect(last).toMatchObject({ seq: head.last, hash: head.head, action: "audit.export", actor: "Adrian Admin" });
    execFileSync(system().fleetward, ["audit", "verify", "--file", file]);
    // That it was taken out is in the log for everybody who may read it.
    await open(page, "/audit?q=audit.export");
    await expect(page.getByRole("table", { name: "Audit log" }).getByRole("cell", { name: "audit.export", exact: true }).first()).toBeVisible();
  });
});

test("an entry is opened with every detail and its place in the chain, with the keyboard alone", async ({ page }) => {
  await open(page, "/audit");
  const number = page.getByRole("table", { name: "Audit log" }).getByRole("rowheader").first().getByRole("link");
  const seq = (await number.innerText()).trim();
  await number.focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`entry=${seq}$`));
  const entry = card(page, `Entry ${seq}`);
  await expect(fact(entry, "Hash")).toHaveText(/^[0-9a-f]{64}$/);
  await expect(fact(entry, "Hash of the entry before")).toHaveText(/^[0-9a-f]{64}$/);
  await expect(fact(entry, "Who")).not.toBeEmpty();
  await expectWithin(entry);
  await look(page, "journey-audit-entry");
  await entry.getByRole("link", { name: "Back to the list" }).click();
  await expect(entry).toHaveCount(0);
  await expect(page).toHaveURL((url) => url.search === "");
  await open(page, "/audit?entry=999999999");
  await expect(page.getByRole("heading", { name: "Not found" })).toBeVisible();
});

test("an operator reads the log and is not offered the file", async ({ page }) => {
  await open(page, "/audit");
  await expect(page.getByRole("heading", { level: 1, name: "Audit log" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Export" })).toHaveCount(0);
});
