// Two people decide on authorities: one admin asks, another one rejects or approves with a reason, and only then something happens; the rule itself ends the
// same way. On a server of its own, because it holds for every step of every authority.
import type { Browser, Page } from "@playwright/test";
import { test, type Own } from "../../support/own";
import { unique } from "../../support/system";
import { card, expect, look, note, open, picture, refusedByBrowser, withoutLimits } from "../../support/test";

test.use({ kept: "second person" });
test.describe.configure({ timeout: 180_000 });

const PATH = "/certificates/authorities/requests";
const DEED = "Make the authority of claims";

test("what one admin asks for is taken back, rejected, and done when another one approves it", async ({ own, page, browser }) => {
  await open(page, PATH);
  await expect(card(page, "Who decides on authorities")).toContainText("One person decides, because there is only one admin.");
  await expect(page.getByRole("button", { name: "Let two people decide" })).toHaveCount(0);
  const second = await own.person(browser, "Ben Beside", "admin");
  await open(page, PATH);
  await page.getByRole("button", { name: "Let two people decide" }).click();
  await expect(note(page, "The rule is changed, or asked for")).toBeVisible();
  await open(page, PATH);
  await expect(card(page, "Who decides on authorities")).toContainText("Two people");

  // Without a reason nothing is asked for.
  const claims = card(page, "Claims");
  const why = claims.getByLabel("Why (required)");
  await claims.getByRole("button", { name: "Ask for an authority of claims" }).click();
  expect(await refusedByBrowser(why)).not.toBe("");
  await withoutLimits(why);
  await claims.getByRole("button", { name: "Ask for an authority of claims" }).click();
  await expect(why).toHaveAccessibleDescription(/Say why, in 1 to [\d,]+ characters that can be seen/);
  await look(page, "journey-authority-asked-without-reason");

  await ask(page, "The first claims are made in May.");
  // Nobody approves what they have asked for themselves.
  await expect(waiting(page).getByRole("button", { name: "Approve…" })).toHaveAttribute("aria-disabled", "true");
  await expect(waiting(page).getByRole("button", { name: "Approve…" })).not.toHaveAccessibleDescription("");
  await expect(waiting(page)).toContainText("The first claims are made in May.");
  await expect(waiting(page)).toContainText("Cuts off no device as of now.");
  await look(page, "journey-authority-asked");
  await waiting(page).getByRole("button", { name: "Take back" }).click();
  await expect(note(page, "Taken back")).toBeVisible();
  await open(page, PATH);
  await expect(over(page).filter({ hasText: "Taken back" })).toHaveCount(1);

  await ask(page, "The first claims are made in June.");
  await open(second, PATH);
  await decide(second, "Reject", "Not before the summer.", "journey-authority-reject");
  await expect(note(second, "Rejected")).toBeVisible();
  await open(page, PATH);
  await expect(over(page).filter({ hasText: "Rejected" })).toContainText("Not before the summer.");
  await expect(over(page).filter({ hasText: "Rejected" })).toContainText("Ben Beside");

  await ask(page, "It is summer.");
  await everybodyElse(own, browser);
  await open(second, PATH);
  await decide(second, "Approve", "It is.", "journey-authority-approve");
  await expect(note(second, "Approved, and done")).toBeVisible();
  await open(page, PATH);
  await expect(over(page).filter({ hasText: "Approved and done" })).toContainText("It is.");
  await picture(page, "journey-authority-requests-over");
  await open(page, "/certificates/authorities");
  await expect(page.getByRole("table", { name: "Authorities" }).getByRole("cell", { name: "issues claims" })).toHaveCount(1);

  // The rule ends as it decides: one asks, another one approves.
  await open(page, PATH);
  const rule = card(page, "Who decides on authorities");
  await rule.getByLabel("Why one should be enough again (required)").fill("Ben goes on leave.");
  await rule.getByRole("button", { name: "Ask to let one be enough" }).click();
  await expect(note(page, "The rule is changed, or asked for")).toBeVisible();
  await open(second, PATH);
  await second.getByRole("link", { name: "Approve…" }).click();
  const dialog = second.getByRole("dialog", { name: "Approve: Let one person be enough again" });
  await dialog.getByLabel("Remark (required)").fill("Until I am back.");
  await dialog.getByRole("button", { name: "Approve and do it" }).click();
  await expect(note(second, "Approved, and done")).toBeVisible();
  await open(page, PATH);
  await expect(rule).toContainText("One person");
  await expect(page.getByRole("button", { name: "Let two people decide" })).toBeVisible();
  await second.context().close();
});

/** Somebody who is no admin is offered nothing, whatever they are shown. */
async function everybodyElse(own: Own, browser: Browser) {
  const operator = await own.person(browser, unique("Otto"), "operator");
  await open(operator, PATH);
  await expect(operator.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(operator.getByRole("main").getByRole("button", { name: /^(Take back|Ask|Let two)/ })).toHaveCount(0);
  await expect(operator.getByRole("main").getByRole("link", { name: /^(Approve|Reject)…$/ })).toHaveCount(0);
  await operator.context().close();
}

/** Asks for the authority of claims. */
async function ask(page: Page, reason: string) {
  await open(page, PATH);
  const claims = card(page, "Claims");
  await claims.getByLabel("Why (required)").fill(reason);
  await claims.getByRole("button", { name: "Ask for an authority of claims" }).click();
  await expect(note(page, "Another admin is asked")).toBeVisible();
  await open(page, PATH);
  await expect(waiting(page)).toHaveCount(1);
}

/** Answers the request that waits; without a reason nothing is decided. */
async function decide(page: Page, verb: "Approve" | "Reject", reason: string, name: string) {
  await waiting(page).getByRole("link", { name: `${verb}…` }).click();
  const dialog = page.getByRole("dialog", { name: `${verb}: ${DEED}` });
  const why = dialog.getByLabel(verb === "Approve" ? "Remark (required)" : "Reason (required)");
  const button = dialog.getByRole("button", { name: verb === "Approve" ? "Approve and do it" : "Reject", exact: true });
  await button.click();
  expect(await refusedByBrowser(why)).not.toBe("");
  await why.fill(reason);
  await look(page, name);
  await button.click();
}

const waiting = (page: Page) => page.getByRole("article").filter({ has: page.getByRole("heading", { level: 2, name: DEED }) });
const over = (page: Page) => page.getByRole("table", { name: "Requests that are over" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name: DEED }) });
