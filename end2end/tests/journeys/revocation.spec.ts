// A certificate is revoked with its reason, since when it is wrong, and a note for those who look at it later.
import { enrolled } from "../../support/devices";
import { question } from "../../support/questions";
import { rest, unique } from "../../support/system";
import { card, expect, fact, look, note, open, picture, refusedByBrowser, state, test } from "../../support/test";

test("a certificate is revoked with reason, date and note, and its page tells them", async ({ page }) => {
  const [device] = await enrolled([unique("test-revoked")]);
  const id = device!.id;
  await open(page, `/devices/${id}/certificates`);
  await page.getByRole("table", { name: "Certificates of this device" }).getByRole("rowheader").getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1, name: `Certificate of ${id}` })).toBeVisible();
  const address = new URL(page.url()).pathname;

  await page.getByRole("link", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog", { name: "Revoke a certificate" });
  await expect(dialog).toContainText(`${id} is cut off within a second and cannot come back with this certificate.`);
  const [reason, since, remark] = [dialog.getByLabel("Reason", { exact: true }), dialog.getByLabel("Wrong since (UTC)"), dialog.getByLabel("Note", { exact: true })];
  const confirm = dialog.getByLabel(`Type ${id} to confirm`);
  const doIt = dialog.getByRole("button", { name: "Revoke certificate" });
  // A reason that nobody thought of is none, and another device's name confirms nothing.
  await doIt.click();
  expect(await refusedByBrowser(reason)).not.toBe("");
  await reason.selectOption({ label: "key compromise" });
  await confirm.fill("another-device");
  await doIt.click();
  expect(await refusedByBrowser(confirm)).not.toBe("");
  await confirm.fill(id);

  await since.fill(typed(new Date(Date.now() + 2 * DAY)));
  await remark.fill("Board sent back with its flash read out.");
  await doIt.click();
  await expect(since).toHaveAccessibleDescription(/known or suspected to be wrong: not later than now\./);
  await expect(since).toHaveAttribute("aria-invalid", "true");
  // What was typed is still there.
  await expect(remark).toHaveValue("Board sent back with its flash read out.");
  await look(page, "journey-revoke-refused");

  const wrong = new Date(Math.floor((Date.now() - DAY) / MINUTE) * MINUTE);
  await since.fill(typed(wrong));
  await doIt.click();
  await expect(note(page, "Certificate revoked")).toBeVisible();
  await expect(dialog).toBeHidden();
  await open(page, address);
  await expect(state(page, "Revoked")).toBeVisible();
  const standing = card(page, "Where it stands");
  await expect(fact(standing, "Reason")).toHaveText("key compromise");
  await expect(fact(standing, "By")).toHaveText("Olivia Operator");
  await expect(fact(standing, "Wrong since")).toHaveText(inKathmandu(wrong));
  await expect(fact(standing, "Note")).toHaveText("Board sent back with its flash read out.");
  await expect(page.getByRole("link", { name: "Revoke…" })).toHaveCount(0);
  await look(page, "journey-revoked");
  await open(page, `/devices/${id}/certificates`);
  await expect(page.getByText("Revoked: key compromise")).toBeVisible();
});

test("what was revoked for a weaker reason is raised to key compromise", async ({ page }) => {
  const { device, address } = await revokedFor("superseded", "Replaced on the bench.");
  await open(page, address);
  await page.getByRole("link", { name: "Raise the reason…" }).click();
  const dialog = page.getByRole("dialog", { name: "Raise the reason to key compromise" });
  await expect(dialog).toContainText(`${device} lost this certificate for the reason “superseded”.`);
  await expect(dialog).toContainText("its key never gets a certificate again, also after a backup is put back");
  await expect(dialog.getByLabel("Reason", { exact: true })).toHaveCount(0);
  const confirm = dialog.getByLabel(`Type ${device} to confirm`);
  const doIt = dialog.getByRole("button", { name: "Raise the reason" });
  await confirm.fill("another-device");
  await doIt.click();
  expect(await refusedByBrowser(confirm)).not.toBe("");
  await confirm.fill(device);
  await look(page, "journey-raise");
  await doIt.click();
  await expect(note(page, "The reason is key compromise now")).toBeVisible();
  await expect(dialog).toBeHidden();
  const standing = card(page, "Where it stands");
  await expect(fact(standing, "Reason")).toHaveText("key compromise");
  await expect(fact(standing, "Note")).toHaveText("Replaced on the bench.");
  // There is nothing worse to say.
  await expect(page.getByRole("link", { name: "Raise the reason…" })).toHaveCount(0);
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("the reason is raised by a form in the page", async ({ page }) => {
    const { device, address } = await revokedFor("cessation_of_operation");
    await page.goto(address);
    await page.getByRole("link", { name: "Raise the reason…" }).click();
    const asked = question(page);
    await expect(asked).toContainText("its key never gets a certificate again");
    await asked.getByLabel("Note", { exact: true }).fill("Its flash was read out.");
    await asked.getByLabel(`Type ${device} to confirm`).fill(device);
    await asked.getByRole("button", { name: "Raise the reason" }).click();
    await expect(question(page)).toHaveCount(0);
    const standing = card(page, "Where it stands");
    await expect(fact(standing, "Reason")).toHaveText("key compromise");
    await expect(fact(standing, "Note")).toHaveText("Its flash was read out.");
    await expect(page.getByRole("link", { name: "Raise the reason…" })).toHaveCount(0);
  });
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("reads a certificate and is not offered to revoke it", async ({ page }) => {
    const [device] = await enrolled([unique("test-kept")]);
    await open(page, `/devices/${device!.id}/certificates`);
    await page.getByRole("table", { name: "Certificates of this device" }).getByRole("rowheader").getByRole("link").click();
    await expect(state(page, "Valid")).toBeVisible();
    await expect(page.getByRole("link", { name: "Revoke…" })).toHaveCount(0);
    await picture(page, "journey-certificate-of-a-viewer");
  });

  test("is not offered to raise a reason", async ({ page }) => {
    const { address } = await revokedFor("superseded");
    await open(page, `${address}?raise=it`);
    await expect(state(page, "Revoked")).toBeVisible();
    await expect(question(page)).toHaveCount(0);
    await expect(page.getByRole("link", { name: "Raise the reason…" })).toHaveCount(0);
  });
});

const [MINUTE, DAY] = [60_000, 86_400_000];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As an input of date and time has it, in UTC. */
const typed = (at: Date) => at.toISOString().slice(0, 16);

/** As the console writes it for a reader in the browser's zone, 5 h 45 min ahead (playwright.config.ts). */
function inKathmandu(at: Date) {
  const there = new Date(at.getTime() + 345 * MINUTE);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${there.getUTCDate()} ${MONTHS[there.getUTCMonth()]} ${there.getUTCFullYear()}`;
  return `${day} ${two(there.getUTCHours())}:${two(there.getUTCMinutes())}:00`;
}

/** A device whose certificate is revoked for this reason, and the address of the certificate's page. */
async function revokedFor(reason: string, remark = "") {
  const [device] = await enrolled([unique("test-raised")]);
  const { id } = (await rest("GET", `/certificates?q=${device!.id}`)).items[0];
  await rest("POST", `/certificates/${id}/revoke`, { reason, note: remark });
  return { device: device!.id, address: `/certificates/${id}` };
}
