// Keys that the server makes for devices: where two people decide on authorities they agree to that first, and one of them ends it. On a server of its own,
// which is allowed to make them.
import type { Page } from "@playwright/test";
import { test as base } from "../../support/own";
import { card, expect, look, note, open } from "../../support/test";

const test = base.extend({
  surroundings: [async ({}, use) => use({ FLEETWARD_ALLOW_SERVER_KEYGEN: "true" }), { scope: "worker" }],
});

test.describe.configure({ timeout: 120_000 });

const FACTORY = "/enrolment?tab=factory";
const REQUESTS = "/certificates/authorities/requests";

test("two people agree that keys are made for devices, and one ends it", async ({ own, page, browser }) => {
  const second = await own.person(browser, "Ben Beside", "admin");
  // One decides, so nobody is asked.
  await open(page, FACTORY);
  await expect(make(page)).toBeEnabled();
  await open(page, REQUESTS);
  await expect(keys(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Let two people decide" }).click();
  await expect(note(page, "The rule is changed, or asked for")).toBeVisible();

  await open(page, FACTORY);
  await expect(make(page)).toHaveAttribute("aria-disabled", "true");
  await expect(make(page)).toHaveAccessibleDescription(/^Two people decide on authorities here, and have not agreed/);
  await look(page, "journey-server-keys-wait");
  await card(page, "Make the keys here").getByRole("link", { name: "Requests about authorities" }).click();
  await expect(page).toHaveURL(new RegExp(`${REQUESTS}$`));
  await expect(keys(page)).toContainText("None is made until two people agree to it");
  await keys(page).getByLabel("Why (required)").fill("The old boards have no good randomness.");
  await keys(page).getByRole("button", { name: "Ask to let keys be made" }).click();
  await expect(note(page, "Asked for, or ended")).toBeVisible();
  await expect(keys(page)).toContainText("None is made until another admin approves the request above.");
  await look(page, "journey-server-keys-asked");

  await open(second, REQUESTS);
  await second.getByRole("link", { name: "Approve…" }).click();
  const dialog = second.getByRole("dialog", { name: "Approve: Let the server make keys for devices" });
  await dialog.getByLabel("Remark (required)").fill("Until the new boards are here.");
  await dialog.getByRole("button", { name: "Approve and do it" }).click();
  await expect(note(second, "Approved, and done")).toBeVisible();
  await second.context().close();

  await open(page, FACTORY);
  await expect(make(page)).toBeEnabled();
  await open(page, REQUESTS);
  await expect(keys(page)).toContainText("Agreed");
  await look(page, "journey-server-keys-agreed");
  await keys(page).getByRole("button", { name: "Make no more keys" }).click();
  await expect(note(page, "Asked for, or ended")).toBeVisible();
  await expect(keys(page)).toContainText("None is made until two people agree to it");
  await open(page, FACTORY);
  await expect(make(page)).toHaveAttribute("aria-disabled", "true");
});

const make = (page: Page) => page.getByRole("button", { name: "Make keys and save archive" });
const keys = (page: Page) => card(page, "Keys that the server makes");
