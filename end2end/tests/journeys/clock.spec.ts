// The machine's clock jumps: nothing is issued, pages say so and why, and it goes on when the clock is set right or an admin says that the new time is right.
// On a server of its own, whose clock can be set.
import type { Page } from "@playwright/test";
import { SettableClock } from "../../support/clock";
import { enrolled } from "../../support/devices";
import { test as base, type Own } from "../../support/own";
import { restOf, unique } from "../../support/system";
import { expect, look, note, open } from "../../support/test";

const test = base.extend<{}, { clock: SettableClock }>({
  clock: [
    async ({}, use) => {
      const clock = new SettableClock();
      await use(clock);
      clock.end();
    },
    { scope: "worker" },
  ],
  surroundings: [async ({ clock }, use) => use(clock.surroundings), { scope: "worker" }],
});

test.describe.configure({ mode: "serial", timeout: 120_000 });

/** More than the five minutes that two clocks may be apart, and less than anybody's session lasts. */
const AHEAD_S = 400;

test("while the clock is off nothing is issued and pages say why, until it is set right", async ({ own, clock, page, browser }) => {
  const operator = await own.person(browser, "Olga Operator", "operator");
  await open(page, "/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await expect(told(page)).toHaveCount(0);
  await open(page, "/certificates");
  await expect(banner(page)).toHaveCount(0);

  clock.set(AHEAD_S);
  await refused(own);
  await open(page, "/");
  await expect(told(page)).toHaveText("The server's clock has jumped by +6 min: nothing is issued until it is right, or an admin accepts the new time");
  await look(page, "journey-clock-overview");
  await told(page).click();
  await expect(page).toHaveURL(/\/certificates$/);
  await expect(banner(page)).toContainText("The server's clock has jumped by +6 min and shows ");
  await expect(banner(page)).toContainText("Nothing is issued until it is right again.");
  await expect(accept(page)).toBeVisible();
  await look(page, "journey-clock");

  // Who may not say that the time is right is told who may.
  await open(operator, "/certificates");
  await expect(banner(operator)).toContainText("has jumped by +6 min");
  await expect(operator.getByText("Saying that this time is right needs the role admin.")).toBeVisible();
  await expect(accept(operator)).toHaveCount(0);
  await operator.context().close();

  await booked(page, "clock.jump");
  clock.set(0);
  await open(page, "/certificates");
  await expect(page.getByRole("heading", { level: 1, name: "Certificates" })).toBeVisible();
  await expect(banner(page)).toHaveCount(0);
  await enrolled([unique("right")], [], own);
  await booked(page, "clock.right");
});

test("an admin says that the new time is right, and devices enrol again", async ({ own, clock, page }) => {
  clock.set(AHEAD_S);
  await refused(own);
  await open(page, "/certificates");
  await expect(banner(page)).toBeVisible();
  // With the keyboard alone.
  await accept(page).press("Enter");
  await expect(note(page, "The new time holds")).toBeVisible();
  await expect(banner(page)).toHaveCount(0);
  await enrolled([unique("accepted")], [], own);
  await open(page, "/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await expect(told(page)).toHaveCount(0);
  await booked(page, "clock.accept", "Ada Alone");
});

/** Nothing is signed, whoever asks. */
async function refused(own: Own) {
  await expect(restOf(own, "POST", "/authorities", { kind: "device" })).rejects.toThrow(/503 .*clock_jumped/);
}

/** The audit log has it, once the server has looked at its clock. */
async function booked(page: Page, action: string, by = "") {
  await expect(async () => {
    await open(page, `/audit?q=${action}`);
    const line = page.getByRole("table", { name: "Audit log" }).getByRole("row").filter({ has: page.getByRole("cell", { name: action, exact: true }) });
    await expect(line.first()).toContainText(by, { timeout: 2_000 });
  }).toPass({ timeout: 40_000 });
}

const told = (page: Page) => page.getByRole("link", { name: /^The server's clock has jumped/ });
const banner = (page: Page) => page.getByRole("alert").filter({ hasText: "The server's clock has jumped" });
const accept = (page: Page) => page.getByRole("button", { name: "This time is right" });
