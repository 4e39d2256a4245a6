// What an approval takes: groups of approvers, rules for every rollout and for one device type, and terms. On a server of its own, because they hold for
// everybody's rollouts, and what is asked for less counts a day later.
import type { Locator, Page } from "@playwright/test";
import { test } from "../../support/own";
import { unique } from "../../support/system";
import { card, expect, fact, look, note, open, refusedByBrowser, withoutLimits } from "../../support/test";

test.use({ kept: "approvers" });
test.describe.configure({ timeout: 120_000 });

test("a group of approvers is made, filled and named by a rule, and then it can't go", async ({ own, page, browser }) => {
  const [bea, cleo] = [unique("Bea"), unique("Cleo")];
  for (const name of [bea, cleo]) await (await own.person(browser, name, "admin")).context().close();
  const [safety, spare] = [unique("safety"), unique("spare")];

  await open(page, "/approvals");
  const groups = card(page, "Groups of approvers");
  let form = await unfolded(groups, "New group");
  await form.getByLabel("Name").fill(" ");
  await form.getByRole("button", { name: "Make group" }).click();
  await expect(form.getByLabel("Name")).toHaveAccessibleDescription(/Give the group a name of 1 to 100 characters/);
  await look(page, "journey-approvers-refused");
  for (const name of [safety, spare]) {
    await open(page, "/approvals");
    form = await unfolded(groups, "New group");
    await form.getByLabel("Name").fill(name);
    await form.getByRole("group", { name: "Who is in it" }).getByLabel(bea, { exact: true }).check();
    await form.getByRole("button", { name: "Make group" }).click();
    await expect(note(page, "Group made")).toBeVisible();
    await expect(groups.getByRole("heading", { name, exact: true })).toBeVisible();
  }
  await open(page, "/approvals");
  form = await unfolded(groups, "New group");
  await form.getByLabel("Name").fill(safety);
  await form.getByRole("button", { name: "Make group" }).click();
  await expect(form.getByLabel("Name")).toHaveAccessibleDescription(/There is a group ".+" already\./);

  // Another member.
  await open(page, "/approvals");
  form = await unfolded(groups, `Change ${safety}`);
  const people = form.getByRole("group", { name: "Who is in it" });
  await expect(people.getByLabel(bea, { exact: true })).toBeChecked();
  await expect(people.getByLabel(cleo, { exact: true })).not.toBeChecked();
  await people.getByLabel(cleo, { exact: true }).check();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(note(page, "Saved")).toBeVisible();
  await open(page, "/approvals");
  form = await unfolded(groups, `Change ${safety}`);
  await expect(people.getByLabel(cleo, { exact: true })).toBeChecked();
  await look(page, "journey-approvers");

  // One that no rule names goes; without a member it is empty before.
  form = await unfolded(groups, `Change ${spare}`);
  await form.getByRole("group", { name: "Who is in it" }).getByLabel(bea, { exact: true }).uncheck();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(groups.getByText("Nobody is in it.")).toBeVisible();
  await open(page, "/approvals");
  form = await unfolded(groups, `Change ${spare}`);
  await form.getByRole("button", { name: "Delete group" }).click();
  await expect(note(page, "Group deleted")).toBeVisible();
  await open(page, "/approvals");
  await expect(groups.getByRole("heading", { name: spare, exact: true })).toHaveCount(0);

  // A rule names the other one.
  const type = unique("reactor");
  const rules = card(page, "Who approves");
  form = await unfolded(rules, "A rule for one device type");
  await form.getByLabel("Device type").fill(type);
  await form.getByLabel("Approvals a rollout needs").selectOption("1");
  await form.getByLabel(`From ${safety}`).selectOption({ label: "at least 1" });
  await form.getByRole("button", { name: "Change", exact: true }).click();
  await expect(note(page, "Changed")).toBeVisible();
  await open(page, "/approvals");
  await expect(rules).toContainText(`Rollouts for ${type} also need 1 approval, 1 of them by ${safety}, by people other than its author.`);
  form = await unfolded(groups, `Change ${safety}`);
  await expect(form.getByRole("button", { name: "Delete group" })).toHaveAttribute("aria-disabled", "true");
  await expect(form.getByRole("button", { name: "Delete group" })).toHaveAccessibleDescription("A rule names it.");
  await look(page, "journey-approvers-named");

  // Whoever may not change that is told so, in each card.
  const viewer = await own.person(browser, "Vera Viewer", "viewer");
  await open(viewer, "/approvals");
  for (const title of ["Who approves", "Groups of approvers", "For how long"]) {
    await expect(card(viewer, title)).toContainText("Changing that needs the role admin.");
    await expect(card(viewer, title).locator("summary")).toHaveCount(0);
  }
  await viewer.context().close();
});

test("a rule that nobody can fulfil is refused, and what asks for less counts a day later and can be taken back", async ({ own, page, browser }) => {
  for (const name of ["Dora", "Edda"]) await (await own.person(browser, unique(name), "admin")).context().close();
  const type = unique("boiler");
  await open(page, "/approvals");
  const rules = card(page, "Who approves");
  let form = await unfolded(rules, "A rule for one device type");
  const ask = async (needed: string) => {
    await form.getByLabel("Device type").fill(type);
    await form.getByLabel("Approvals a rollout needs").selectOption(needed);
    await form.getByRole("button", { name: "Change", exact: true }).click();
  };
  // No page offers another number; who makes one up is told so beside it.
  await form.getByLabel("Device type").fill(type);
  await form.getByLabel("Approvals a rollout needs").evaluate((el: HTMLSelectElement) => (el.options[0]!.value = "9"));
  await form.getByLabel("Approvals a rollout needs").selectOption({ index: 0 });
  await form.getByRole("button", { name: "Change", exact: true }).click();
  await expect(form.getByLabel("Approvals a rollout needs")).toHaveAccessibleDescription(/Choose a number from 1 to 5\./);
  await look(page, "journey-rule-refused");
  await open(page, "/approvals");
  form = await unfolded(rules, "A rule for one device type");
  await ask("2");
  await expect(note(page, "Changed")).toBeVisible();
  await open(page, "/approvals");
  await expect(rules).toContainText(`Rollouts for ${type} also need 2 approvals, by people other than its author.`);

  await rules.getByRole("button", { name: `Drop the rule for ${type}` }).click();
  await expect(note(page, "Dropped")).toBeVisible();
  await open(page, "/approvals");
  await expect(rules.getByRole("status").filter({ hasText: "No rule of its own from " })).toBeVisible();
  await expect(rules.getByRole("button", { name: `Drop the rule for ${type}` })).toHaveCount(0);
  await look(page, "journey-rule-dropped");
  await rules.getByRole("button", { name: "Keep 2 approvals", exact: true }).click();
  await expect(note(page, "Changed")).toBeVisible();
  await open(page, "/approvals");
  await expect(rules.getByRole("status").filter({ hasText: "No rule of its own from " })).toHaveCount(0);
  await expect(rules.getByRole("button", { name: `Drop the rule for ${type}` })).toBeVisible();
});

test("the rule for every rollout asks for more at once", async ({ own, page, browser }) => {
  for (const name of ["Fay", "Gina"]) await (await own.person(browser, unique(name), "admin")).context().close();
  await open(page, "/approvals");
  const rules = card(page, "Who approves");
  const form = await unfolded(rules, "Change the rule for every rollout");
  await form.getByLabel("Approvals a rollout needs").selectOption("2");
  await form.getByRole("button", { name: "Change", exact: true }).click();
  await expect(note(page, "Changed")).toBeVisible();
  await open(page, "/approvals");
  await expect(rules).toContainText("Every rollout needs 2 approvals");
});

test("for how long approvals are waited for is changed, and the glass is opened and shut", async ({ own, page, browser }) => {
  for (const name of ["Hanna", "Ida"]) await (await own.person(browser, unique(name), "admin")).context().close();
  await open(page, "/approvals");
  const terms = card(page, "For how long");
  const form = await unfolded(terms, "Change");
  const [decide, glass] = [form.getByLabel("Days to decide"), form.getByLabel("Admins may break the glass")];
  await decide.fill("366");
  await form.getByRole("button", { name: "Save" }).click();
  expect(await refusedByBrowser(decide)).toMatch(/365/);
  await withoutLimits(decide);
  await form.getByRole("button", { name: "Save" }).click();
  await expect(decide).toHaveAccessibleDescription(/Choose 0 to 365 days; 0 is never\./);
  await look(page, "journey-terms-refused");
  await decide.fill("5");
  await form.getByLabel("Hours to review a broken glass").fill("12");
  await glass.check();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(note(page, "Saved")).toBeVisible();
  await open(page, "/approvals");
  await expect(fact(terms, "A request is decided on for")).toHaveText("5 days");
  await expect(fact(terms, "It is reviewed within")).toHaveText("12 hours");
  // A day later, so that nobody opens it for themselves.
  await expect(fact(terms, "Break glass")).toHaveText(/^From .+ on an admin may start a rollout in an emergency without its approvals\.$/);
  await look(page, "journey-terms");
  await unfolded(terms, "Change");
  await expect(glass).toBeChecked();
  await glass.uncheck();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(note(page, "Saved")).toBeVisible();
  await open(page, "/approvals");
  await expect(fact(terms, "Break glass")).toHaveText("Nobody may start a rollout without its approvals.");
});

/** What stands behind this line of the card, opened. */
async function unfolded(within: Locator, line: string) {
  const summary = (of: Locator | Page) => of.locator("summary").filter({ hasText: new RegExp(`^\\s*${line}\\s*$`) });
  const fold = within.locator("details").filter({ has: summary(within.page()) });
  if ((await fold.getAttribute("open")) === null) await summary(fold).click();
  return fold;
}
