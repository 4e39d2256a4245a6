// Freezes: made, seen on a small laptop, and ended with a reason that stays in the audit log.
import { rest, unique } from "../../support/system";
import { card, expect, expectNoControlCutOff, look, note, open, someoneElse, test } from "../../support/test";

test.use({ role: "admin" });

test("a freeze is made, and ended with a reason", async ({ page }) => {
  const name = unique("Stocktaking");
  await page.setViewportSize({ width: 1300, height: 900 });
  await open(page, "/freezes");
  const form = card(page, "New freeze");
  await form.getByLabel("Name").fill(name);
  // Far ahead: it holds back nothing that other journeys do.
  const year = new Date().getUTCFullYear() + 2;
  await form.getByLabel("From (UTC)").fill(`${year}-01-02T06:00`);
  await form.getByLabel("Until (UTC)").fill(`${year}-01-03T06:00`);
  await form.getByLabel("Why").fill("Everything is counted.");
  await form.getByRole("button", { name: "Freeze", exact: true }).click();
  await expect(note(page, "Frozen")).toBeVisible();
  // The next one begins empty.
  await expect(form.getByLabel("Name")).toHaveValue("");
  await expect(form.getByLabel("Until (UTC)")).toHaveValue("");
  await expect(form.getByLabel("Why")).toHaveValue("");

  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });
  await expect(row).toContainText("Everything is counted.");
  await expectNoControlCutOff(page);
  await row.getByRole("link", { name: "Take back…" }).click();
  const question = page.getByRole("dialog");
  await expect(question).toContainText("never begins");
  await look(page, "journey-freeze-asked");
  await question.getByLabel("Reason (required)").fill("Counted already.");
  await question.getByRole("button", { name: "Take back", exact: true }).click();
  await expect(note(page, "Ended")).toBeVisible();
  await expect(row).toContainText("Taken back");
  const log = await rest("GET", `/audit?action=freeze.end&q=${encodeURIComponent(name)}`);
  expect(log.items[0].detail).toContain("Counted already.");
  expect(log.items[0].detail).toContain("Everything is counted.");
});

test("a freeze that ends before it begins is refused, and only admins make any", async ({ page, browser }) => {
  const name = unique("Backwards");
  await open(page, "/freezes");
  const form = card(page, "New freeze");
  const year = new Date().getUTCFullYear() + 2;
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("From (UTC)").fill(`${year}-01-03T06:00`);
  const until = form.getByLabel("Until (UTC)");
  await until.fill(`${year}-01-02T06:00`);
  await form.getByRole("button", { name: "Freeze", exact: true }).click();
  await expect(until).toHaveAccessibleDescription(/Let it end after it begins, and after now\./);
  await expect(until).toHaveAttribute("aria-invalid", "true");
  // What was typed is there to be put right.
  await expect(form.getByLabel("Name")).toHaveValue(name);
  await look(page, "journey-freeze-refused");
  await open(page, "/freezes");
  await expect(page.getByRole("heading", { level: 1, name: "Freezes" })).toBeVisible();
  await expect(page.getByRole("rowheader", { name })).toHaveCount(0);

  const operator = await someoneElse(browser, "operator");
  await open(operator, "/freezes");
  await expect(operator.getByRole("heading", { level: 1, name: "Freezes" })).toBeVisible();
  await expect(operator.getByRole("heading", { name: "New freeze" })).toHaveCount(0);
  await expect(operator.getByRole("main").getByRole("link", { name: /^(Take back|Lift|End)…$/ })).toHaveCount(0);
  await operator.context().close();
});
