// Adding devices: the card of a new token keeps to the page, its table to its card, and devices that wait are let in one at a time, by their codes.
import type { Page } from "@playwright/test";
import { asking } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { card, expect, expectCopyBesideLines, expectNoControlCutOff, expectNoSideScroll, expectWithin, look, note, open, someoneElse, test } from "../../support/test";

test.use({ role: "admin", viewport: { width: 1400, height: 900 } });

for (const tab of ["agent", "est"]) {
  test(`the card of a new token keeps to the page on the tab ${tab}`, async ({ page }) => {
    const label = unique("Within the page");
    await open(page, `/enrolment?tab=${tab}`);
    const form = card(page, "New token");
    await form.getByLabel("What it is for").fill(label);
    await form.getByRole("button", { name: "Make token" }).click();
    const made = card(page, `Token for ${label}`);
    await expect(made.getByRole("button", { name: "Copy", exact: true })).toBeVisible();
    // It stands above the form: who made it is led there.
    await expect(made.getByRole("heading", { level: 2 })).toBeFocused();
    await expect(made.getByRole("heading", { level: 2 })).toBeInViewport();
    await keepsToThePage(page, `Token for ${label}`);
    // A token's row and what can be done with it are whole.
    await expect(page.getByRole("table", { name: "Enrolment tokens" }).getByRole("row").filter({ hasText: label })).toContainText("never used");
    await expectNoControlCutOff(page);
    await look(page, `journey-new-token-${tab}`);
    await page.setViewportSize({ width: 390, height: 844 });
    await keepsToThePage(page, `Token for ${label}`);
  });
}

test("a tab that is chosen by keyboard keeps the focus, and a phone shows it", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, "/enrolment?tab=own");
  const tab = (name: string) => page.getByRole("navigation", { name: "Ways to add a device" }).getByRole("link", { name, exact: true });
  await tab("hawkBit").press("Enter");
  await expect(tab("hawkBit")).toHaveAttribute("aria-current", "page");
  await expect(tab("hawkBit")).toBeFocused();
  await open(page, "/enrolment?tab=import");
  // In its row: how far down that begins depends on what waits above it.
  const shown = () =>
    tab("Import").evaluate((tab) => {
      const [own, row] = [tab.getBoundingClientRect(), tab.parentElement!.getBoundingClientRect()];
      return own.left >= row.left && own.right <= row.right;
    });
  await expect.poll(shown).toBe(true);
});

test("the card of a gateway's token keeps to the page", async ({ page }) => {
  const label = unique("Gateway within");
  await open(page, "/enrolment?tab=hawkbit");
  const form = card(page, "New gateway token");
  await form.getByRole("textbox").first().fill(label);
  await form.getByRole("button").first().click();
  await expect(page.locator("section.created")).toBeVisible();
  for (const width of [1400, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await expectNoSideScroll(page);
    await expectWithin(page.locator("section.created"));
  }
});

test("a secret that is made after another one is shown in its place", async ({ page }) => {
  const [token, gateway] = [unique("First a token"), unique("Then a gateway")];
  await open(page, "/enrolment?tab=agent");
  await card(page, "New token").getByLabel("What it is for").fill(token);
  await card(page, "New token").getByRole("button", { name: "Make token" }).click();
  await expect(page.locator("section.created")).toContainText(token);
  await page.getByRole("navigation", { name: "Ways to add a device" }).getByRole("link", { name: "hawkBit", exact: true }).click();
  const form = card(page, "New gateway token");
  await form.getByRole("textbox").first().fill(gateway);
  await form.getByRole("button").first().click();
  await expect(page.locator("section.created")).toContainText(gateway);
  await expect(page.locator("section.created")).toHaveCount(1);
});

test("one device is let in at a time, in a question that names it and its code", async ({ page }) => {
  const [first, second] = [unique("test-waits-a"), unique("test-waits-b")];
  await asking([first, second]);
  await open(page, "/enrolment");
  const waits = page.getByRole("table", { name: "Devices that wait for approval" });
  const row = (id: string) => waits.getByRole("row").filter({ has: page.getByRole("rowheader", { name: id, exact: true }) });
  const code = (await row(first).locator("strong").textContent())!;
  const [approve, reject] = [row(first).getByRole("link", { name: "Approve…" }), row(first).getByRole("link", { name: "Reject…" })];
  const [left, right] = [(await approve.boundingBox())!, (await reject.boundingBox())!];
  expect(left.y, "side by side").toBe(right.y);
  expect(right.x).toBeGreaterThan(left.x + left.width);
  // However much a device says of itself, deciding about it stays within the card.
  await expectNoControlCutOff(page);

  await approve.click();
  const dialog = page.getByRole("dialog", { name: "Decide about a device" });
  await expect(dialog).toContainText(`Approve ${first}`);
  await expect(dialog).toContainText(code);
  await look(page, "journey-let-in");
  // Who comes or goes meanwhile does not change whom it is about.
  await asking([unique("test-waits-0")]);
  await expect(dialog).toContainText(`Approve ${first}`);
  await dialog.getByRole("button", { name: "I have compared the code: approve" }).dblclick();
  await expect(note(page, "Device approved")).toBeVisible();
  await expect(row(first)).toHaveCount(0);
  await expect(row(second)).toBeVisible();
  const waiting = (await rest("GET", "/enrolment-requests?rows=200")).items as { device_id: string }[];
  expect(waiting.map((r) => r.device_id)).toContain(second);
});

test("a device that nobody knows is sent away, and whoever may only look decides nothing", async ({ page, browser }) => {
  const id = unique("test-sent-away");
  await asking([id]);
  const row = (page: Page) =>
    page.getByRole("table", { name: "Devices that wait for approval" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name: id, exact: true }) });
  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, "/enrolment");
  await expect(row(viewer)).toBeVisible();
  await expect(row(viewer).getByRole("link")).toHaveCount(0);
  await viewer.context().close();

  await open(page, "/enrolment");
  await row(page).getByRole("link", { name: "Reject…" }).click();
  const dialog = page.getByRole("dialog", { name: "Decide about a device" });
  await expect(dialog).toContainText(`Reject ${id}`);
  await expect(dialog).toContainText("gets no certificate and is told so when it asks again. Its key may not ask for a week.");
  await look(page, "journey-sent-away");
  await dialog.getByRole("button", { name: "Reject device" }).click();
  await expect(note(page, "Device rejected")).toBeVisible();
  await open(page, "/enrolment");
  await expect(page.getByRole("heading", { level: 1, name: "Add devices" })).toBeVisible();
  await expect(row(page)).toHaveCount(0);
  expect((await rest("GET", `/devices?q=id:${id}`)).items).toEqual([]);
});

test("no button that copies lies over what it copies", async ({ page }) => {
  const { id } = ((await rest("GET", "/authorities")).items as { id: string; kind: string }[]).find((one) => one.kind === "root")!;
  await open(page, `/certificates/authorities/${id}`);
  for (const width of [1400, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await expect(page.locator(".code > .btn").first()).toBeVisible();
    await expectCopyBesideLines(page);
  }
});

async function keepsToThePage(page: Page, title: string) {
  await expectNoSideScroll(page);
  await expectWithin(card(page, title));
  await expectCopyBesideLines(page);
}
