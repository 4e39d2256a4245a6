// Batches of requests: a file goes in, what is refused says why, a long one is stopped, and all that was issued is revoked at once. On a server of its own,
// because a batch that is long enough to be stopped leaves its devices behind.
import type { Page } from "@playwright/test";
import { line } from "../../support/requests";
import { test } from "../../support/own";
import { restOf, unique } from "../../support/system";
import { card, expect, look, note, open, refusedByBrowser, withoutLimits } from "../../support/test";

test.use({ kept: "factory" });
test.describe.configure({ timeout: 120_000 });

test("a batch is issued, says which lines were refused and why, and is revoked as one", async ({ own, page, browser }) => {
  const lot = unique("Lot");
  const ids = [1, 2].map((n) => `${lot}-${n}`.toLowerCase());
  await open(page, "/enrolment?tab=factory");
  const form = card(page, "Send a batch");
  await form.getByRole("button", { name: "Send and issue" }).click();
  expect(await refusedByBrowser(form.getByLabel("What it is"))).not.toBe("");
  const wrong = JSON.stringify({ device_id: `${ids[0]}-odd`, csr: "nonsense" });
  await send(page, lot, [...ids.map((id) => line(id)), wrong].join("\n"));
  await expect(page).toHaveURL(/tab=factory&batch=/);
  const address = page.url();
  const batch = card(page, lot);
  await expect(batch).toContainText("2 issued, 0 registered, 1 refused, 0 to go", { timeout: 30_000 });
  await expect(page.getByRole("table", { name: "Refused lines" }).getByRole("row").filter({ hasText: "line 3" })).toContainText("the CSR is malformed");
  await expect(page.getByRole("table", { name: "Batches of requests" }).getByRole("row").filter({ hasText: lot })).toContainText("2 of 3");
  await expect(batch.getByRole("link", { name: "ZIP" })).toBeVisible();
  await look(page, "journey-batch");

  const viewer = await own.person(browser, unique("Vera"), "viewer");
  await open(viewer, address);
  await expect(card(viewer, lot)).toContainText("2 issued");
  await expect(viewer.getByRole("heading", { name: "Send a batch" })).toHaveCount(0);
  await expect(viewer.getByRole("link", { name: "Revoke all…" })).toHaveCount(0);
  await viewer.context().close();

  await batch.getByRole("link", { name: "Revoke all…" }).click();
  const dialog = page.getByRole("dialog", { name: `Revoke ${lot}` });
  await expect(dialog).toContainText("2 devices are cut off within seconds, with what their certificates were renewed to");
  const confirm = dialog.getByLabel(`Type ${lot} to confirm`);
  await dialog.getByLabel("Reason").selectOption({ label: "superseded" });
  await confirm.fill("another lot");
  await dialog.getByRole("button", { name: "Revoke all" }).click();
  expect(await refusedByBrowser(confirm)).not.toBe("");
  await withoutLimits(confirm);
  await dialog.getByRole("button", { name: "Revoke all" }).click();
  await expect(confirm).toHaveAccessibleDescription(`Type ${lot} to confirm.`);
  await look(page, "journey-batch-revoke");
  await confirm.fill(lot);
  await dialog.getByRole("button", { name: "Revoke all" }).click();
  await expect(note(page, "Batch revoked")).toBeVisible();
  await open(page, address);
  await expect(batch).toContainText("Its certificates were revoked ");
  await expect(batch.getByRole("link", { name: "Revoke all…" })).toHaveCount(0);
  for (const id of ids) {
    const { items } = await restOf(own, "GET", `/certificates?q=${id}`);
    expect(items.map((certificate: { state: string }) => certificate.state)).toEqual(["revoked"]);
  }
});

test("a batch is stopped, and what was made by then stays", async ({ page }) => {
  const lot = unique("Long");
  // Without requests the devices are only registered; there are enough of them to come between.
  const lines = Array.from({ length: 9_000 }, (_, n) => `${lot.toLowerCase()}-${n},bench`);
  await open(page, "/enrolment?tab=factory");
  await send(page, lot, ["device_id,device_type", ...lines].join("\n"), "lot.csv");
  await expect(page).toHaveURL(/tab=factory&batch=/);
  const address = page.url();
  const batch = card(page, lot);
  await page.locator("html[data-hydrated]").waitFor();
  await expect(batch).toContainText("Issuing");
  await batch.getByRole("button", { name: "Stop; what is issued stays" }).click();
  await expect(note(page, "Batch stopped")).toBeVisible();
  await open(page, address);
  await expect(batch).toContainText("Stopped");
  await expect(batch.getByRole("button", { name: /^Stop/ })).toHaveCount(0);
  // No further line is worked on.
  const said = async () => (await batch.getByText(/ issued, .* to go$/).innerText()).trim();
  const before = await said();
  expect(before).not.toContain(" 0 to go");
  await open(page, address);
  expect(await said()).toBe(before);
  await look(page, "journey-batch-stopped");
});

test("a file that is no batch is refused in words, with a way back", async ({ page }) => {
  await open(page, "/enrolment?tab=factory");
  await send(page, unique("Wrong"), "colour,size\nred,2\n", "lot.csv");
  await expect(page.getByText(/The first line of a CSV names its columns: device_id, device_type, csr/)).toBeVisible();
  await look(page, "journey-batch-refused");
  await page.getByRole("link", { name: "Go back and try again" }).click();
  await expect(page).toHaveURL(/\/enrolment\?tab=factory$/);
  await expect(card(page, "Send a batch")).toBeVisible();
});

/** Sends a file by the page's form. */
async function send(page: Page, label: string, content: string, name = "requests.jsonl") {
  const form = card(page, "Send a batch");
  await form.getByLabel("What it is").fill(label);
  await form.getByLabel("File with requests").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
  await form.getByRole("button", { name: "Send and issue" }).click();
}
