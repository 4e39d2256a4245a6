// A rollout in the making: metrics that devices report are suggested where a metric is asked for, and the draft says which approval it will take.
import type { Page } from "@playwright/test";
import { unique } from "../../support/system";
import { card, expect, fact, look, open, picture, refusedByBrowser, state, test } from "../../support/test";

test("metrics are suggested, a gate on one is checked beside its input, and the draft says who may approve it", async ({ page }) => {
  const name = unique("Draft");
  await open(page, "/rollouts/new");
  await page.getByLabel("Name of the rollout").fill(name);
  await page.getByRole("radio", { name: "1.1.0", exact: true }).check();
  await page.getByRole("button", { name: "Continue to devices" }).click();
  await expect(page.getByText("Devices report, with a value that one of them sent last:")).toContainText(/metric\.battery\.percent( \(|,)/);
  await page.getByLabel("Which devices").fill("metric.battery.percent>0");
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await expect(page).toHaveURL(/battery/);
  await expect(page.getByRole("heading", { name: /^Preview, [1-9]\d* devices?$/ })).toBeVisible();
  await picture(page, "journey-metric-in-a-selector");
  await page.getByLabel("Which devices").fill("");
  await page.getByRole("button", { name: "Continue to stages" }).click();
  await page.getByRole("button", { name: "Canary, then all" }).click();
  await expect(page.getByLabel("How long stage 3 is watched")).toHaveCount(0);
  // Enough devices on both sides of the first stage to compare.
  await page.getByLabel("Reach of stage 1").fill("50");
  await page.getByRole("button", { name: "Continue to health gates" }).click();

  const metric = page.getByLabel("Metric, stage 1, metric 1", { exact: true });
  const suggested = page.locator(`datalist#${await metric.getAttribute("list")} option`);
  const values = await suggested.evaluateAll((all) => all.map((option) => (option as HTMLOptionElement).value));
  expect(values).toEqual(expect.arrayContaining(["battery.percent", "cpu.percent", "temp.celsius"]));
  await expect(suggested.first()).toHaveText(/^last seen: /);
  await metric.fill("battery.percent");
  await page.getByLabel("Which way is worse, stage 1, metric 1").selectOption({ label: "Lower" });
  const each = page.getByLabel("Devices of each group, stage 1, metric 1");
  const usual = await each.inputValue();
  await each.fill("3");
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await expect(each).toHaveAttribute("aria-invalid", "true");
  await expect(each).toHaveAccessibleDescription(/Compare at least 4 and at most 2,000 devices of each group\.$/);
  await look(page, "journey-metric-refused");
  await each.fill(usual);
  await page.getByRole("button", { name: "Continue to review" }).click();
  await page.getByLabel("Why, for the person who approves it").fill("Watches the batteries.");
  await page.getByRole("button", { name: "Save draft" }).click();

  await expect(state(page, "Draft")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  const approval = card(page, "Approval it will take");
  await expect(fact(approval, "Takes")).toHaveText(/^\d+ other (person|people) than its author$/);
  for (const who of ["Adrian Admin", "Ava Approver"]) await expect(fact(approval, "May approve")).toContainText(who);
  // Who drafted it is none of them, nor is who may not approve at all.
  await expect(fact(approval, "May approve")).not.toContainText("Olivia Operator");
  await expect(fact(approval, "May approve")).not.toContainText("Vic Viewer");
  await expect(card(page, "Plan")).toContainText("compares battery.percent while it is watched: says no when an updated device has a lower one");
  await look(page, "journey-draft");
});

test("the chosen release says what it is, filters write the selector, and a plan begins with one site", async ({ page }) => {
  await open(page, "/rollouts/new");
  await expect(card(page, "Chosen release")).toContainText("Choose a release");
  await page.getByLabel("Name of the rollout").fill(unique("Draft"));
  await page.getByRole("radio", { name: "1.1.0", exact: true }).check();
  // Beside the list at once, without another page.
  const chosen = card(page, /1\.1\.0$/);
  await expect(fact(chosen, "Installs over")).toBeVisible();
  await expect(fact(chosen, "Your devices")).toContainText(/ of \d+ devices? can take it/);
  await expect(chosen.getByRole("heading", { name: "Notes" })).toBeVisible();
  await look(page, "journey-chosen-release");
  await page.getByRole("button", { name: "Continue to devices" }).click();

  await page.getByText("Site", { exact: true }).click();
  await look(page, "journey-filters-of-a-plan");
  await page.getByRole("button", { name: /^attr\.site:berlin-1/ }).click();
  await expect(page.getByLabel("Which devices")).toHaveValue("attr.site:berlin-1");
  await page.getByRole("button", { name: "Remove attr.site:berlin-1" }).click();
  await expect(page.getByLabel("Which devices")).toHaveValue("");
  await page.getByRole("button", { name: "Continue to stages" }).click();

  const first = page.getByLabel("Or one site, group or tag first");
  await page.getByRole("button", { name: "One site first" }).click();
  await expect(first).toHaveAccessibleDescription(/Choose which devices go first/);
  const offered = await page.locator(`datalist#${await first.getAttribute("list")} option`).evaluateAll((all) => all.map((one) => (one as HTMLOptionElement).value));
  expect(offered).toEqual(expect.arrayContaining(["attr.site:berlin-1", "attr.site:lyon-2"]));
  await first.fill("attr.site:lyon-2");
  await page.getByRole("button", { name: "One site first" }).click();
  await expect(page.getByLabel("Reach of stage 1")).toHaveValue("attr.site:lyon-2");
  await expect(page.getByLabel("Name of stage 1")).toHaveValue("lyon-2");
  await expect(page.getByLabel("Reach of stage 3")).toHaveValue("100");
  await look(page, "journey-one-site-first");
  for (const step of ["health gates", "review"]) await page.getByRole("button", { name: `Continue to ${step}` }).click();

  await expect(page.getByText(/lyon-2 goes first with [\d,]+ devices? in 1 site\./)).toBeVisible();
  const approval = card(page, "Approval it will take");
  await expect(fact(approval, "Takes")).toHaveText(/^\d+ other (person|people) than its author$/);
  await expect(fact(approval, "May approve")).toContainText("Ava Approver");
  await expect(page.getByRole("button", { name: "Send for approval" })).toBeEnabled();
  await look(page, "journey-review");
});

test("a stage says in a line what it is, opens with a key, and keeps what is typed while it is closed", async ({ page }) => {
  await open(page, "/rollouts/new");
  await page.getByLabel("Name of the rollout").fill(unique("Draft"));
  await page.getByRole("radio", { name: "1.1.0", exact: true }).check();
  for (const step of ["devices", "stages"]) await page.getByRole("button", { name: `Continue to ${step}` }).click();
  await page.getByRole("button", { name: "Canary, half, all" }).click();
  await expect(page.getByLabel("Reach of stage 3")).toHaveCount(1);

  // The first is open; the others are a line each.
  await expect(stage(page, 1)).toHaveAttribute("open");
  await expect(page.getByLabel("Reach of stage 1")).toBeVisible();
  await expect(page.getByLabel("Reach of stage 2")).toBeHidden();
  const line = stage(page, 2).locator("summary");
  await expect(line).toContainText(/Half · up to 50 % · .*watch for 10 min, then go on · halts above 5 % errors/);
  await line.focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("Reach of stage 2").fill("60");
  await page.getByLabel("How long stage 2 is watched").fill("2 h");
  // The line follows, and neither closes what was opened nor opens anything else.
  await expect(line).toContainText("up to 60 %");
  await expect(line).toContainText("watch for 2 h 00 min");
  await expect(page.getByLabel("Reach of stage 2")).toBeVisible();
  await expect(page.getByLabel("Reach of stage 3")).toBeHidden();
  await expect(page.getByLabel("Devices come")).toBeHidden();
  await look(page, "journey-stages-folded");
  await line.click();
  await expect(page.getByLabel("Reach of stage 2")).toBeHidden();
  await page.getByRole("button", { name: "Add stage" }).click();
  await expect(page).toHaveURL(/stages\.1\.reach=60.*stages\.1\.soak_s=2(\+|%20)h/);
  // What was only just added is open.
  await expect(page.getByLabel("Name of stage 3")).toHaveValue("Stage 3");
  await expect(page.getByLabel("Name of stage 3")).toBeVisible();
  await expect(page.getByLabel("Name of stage 3")).toBeFocused();
  await expect(page.getByLabel("Reach of stage 2")).toBeHidden();

  // What is wrong is open too, and its line says so; what was opened by hand stays so.
  await stage(page, 4).locator("summary").click();
  await page.locator("details.fold").filter({ has: page.getByRole("heading", { level: 2, name: "Order", exact: true }) }).locator("summary").click();
  await page.getByLabel("Reach of stage 3").fill("30");
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await expect(stage(page, 3).locator("summary")).toContainText("Percentages are cumulative");
  await expect(page.getByLabel("Reach of stage 3")).toBeVisible();
  await expect(page.getByLabel("Reach of stage 3")).toHaveAttribute("aria-invalid", "true");
  for (const label of ["Reach of stage 4", "Devices come"]) await expect(page.getByLabel(label)).toBeVisible();
  await expect(page.getByLabel("Reach of stage 2")).toBeHidden();
  await look(page, "journey-stages-refused");

  // The next one stands where the one before was, and the page stays there.
  await page.getByRole("button", { name: "Remove stage 3" }).press("Enter");
  await expect(page.getByLabel("Name of stage 4")).toHaveCount(0);
  await expect(stage(page, 3).locator("summary")).toBeFocused();
  await expect(stage(page, 3).locator("summary")).toBeInViewport();
});

test("what the browser wants put right before it goes on is opened where it is folded away", async ({ page }) => {
  await open(page, "/rollouts/new");
  await page.getByLabel("Name of the rollout").fill(unique("Draft"));
  await page.getByRole("radio", { name: "1.1.0", exact: true }).check();
  for (const step of ["devices", "stages"]) await page.getByRole("button", { name: `Continue to ${step}` }).click();
  // No input that is folded away has such a limit by itself.
  const zone = page.getByLabel("Zone of devices that report none");
  await zone.evaluate((el: HTMLInputElement) => void (el.required = true));
  await expect(zone).toBeHidden();
  await page.getByRole("button", { name: "Continue to health gates" }).click();
  await expect(zone).toBeVisible();
  await expect(zone).toBeFocused();
  expect(await refusedByBrowser(zone)).not.toBe("");
  await expect(page).toHaveURL(/go=stages/);
  await zone.fill("Europe/Berlin");
  await page.getByRole("button", { name: "Continue to health gates" }).click();
  await expect(page.getByLabel("Success percentage to pass, stage 1")).toBeVisible();
});

/** A stage of the plan, as the part of the form that opens. */
const stage = (page: Page, n: number) => page.locator("details.fold").filter({ has: page.getByRole("heading", { level: 3, name: `Stage ${n}`, exact: true, includeHidden: true }) });

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("is not named among those who may approve a draft of their own", async ({ page }) => {
    const name = unique("Draft");
    await open(page, "/rollouts/new");
    await page.getByLabel("Name of the rollout").fill(name);
    await page.getByRole("radio", { name: "1.1.0", exact: true }).check();
    for (const step of ["devices", "stages", "health gates", "review"]) await page.getByRole("button", { name: `Continue to ${step}` }).click();
    await page.getByLabel("Why, for the person who approves it").fill("To see who may.");
    await page.getByRole("button", { name: "Save draft" }).click();
    await expect(state(page, "Draft")).toBeVisible();
    const approval = card(page, "Approval it will take");
    await expect(fact(approval, "May approve")).toContainText("Ava Approver");
    await expect(fact(approval, "May approve")).not.toContainText("Adrian Admin");
    await picture(page, "journey-draft-of-an-admin");
  });
});
