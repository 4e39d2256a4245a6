// Break glass: an admin starts a rollout in an emergency without its approval, everybody sees that at once, and two others review it afterwards. On a server of
// its own: admins may do that a day after it was asked for, and a day is made to pass there.
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { test, type Own } from "../../support/own";
import { line } from "../../support/requests";
import { restOf, signedFirmware, system, unique, uploaded } from "../../support/system";
import { card, expect, fact, look, note, open, picture, refusedByBrowser, state } from "../../support/test";

test.use({ kept: "glass" });
test.describe.configure({ timeout: 120_000 });

const REASON = "The field burns.";

test("a rollout is started in an emergency without its approval, and two others review that", async ({ own, page, browser }) => {
  const [beas, cleos] = [unique("Bea"), unique("Cleo")];
  const [bea, cleo] = [await own.person(browser, beas, "admin"), await own.person(browser, cleos, "admin")];
  await allowed(own);
  const { name, path } = await waiting(own);

  // Whoever is no admin is not offered it, nor by the address of the question.
  const operator = await own.person(browser, unique("Otto"), "operator");
  await open(operator, path);
  await expect(state(operator, "Waiting for approval")).toBeVisible();
  await expect(operator.getByRole("link", { name: "Break glass…" })).toHaveCount(0);
  await open(operator, `${path}/break-glass`);
  await expect(operator.getByRole("heading", { name: "Not for you" })).toBeVisible();

  // Its author can't approve it, and starts it all the same.
  await open(page, path);
  await expect(page.getByRole("button", { name: "Approve…" })).toHaveAttribute("aria-disabled", "true");
  await page.getByRole("link", { name: "Break glass…" }).first().click();
  const dialog = page.getByRole("dialog", { name: `Break glass: ${name}` });
  await expect(dialog).toContainText("Everybody sees that, it stays in the audit log, and two other admins review it afterwards.");
  const reason = dialog.getByLabel("Reason (required)");
  await dialog.getByLabel(`Type ${name} to confirm`).fill(name);
  await dialog.getByRole("button", { name: "Break glass", exact: true }).click();
  expect(await refusedByBrowser(reason)).not.toBe("");
  await reason.fill(REASON);
  await look(page, "journey-glass-asked");
  await dialog.getByRole("button", { name: "Break glass", exact: true }).click();
  await expect(note(page, "Started without approval")).toBeVisible();
  await expect.poll(async () => (await restOf(own, "GET", path)).row.state).toBe("running");
  const broken = await glassOf(own, name);
  expect(broken).toMatchObject({ by_name: "Ada Alone", reason: REASON, given: 0, needed: 1, missing: 2, overdue: false });
  expect(broken.settled_at ?? null).toBeNull();

  // It stands over everything else on the rollout's page and on the overview, for everybody.
  await open(operator, path);
  const loud = operator.getByRole("alert").filter({ hasText: "Started without approval." });
  await expect(loud).toContainText("Ada Alone broke the glass");
  await expect(loud).toContainText(`“${REASON}”`);
  await expect(loud).toContainText("2 people have to review that");
  await look(operator, "journey-glass-broken");
  await open(operator, "/");
  await expect(operator.getByRole("link", { name: `${name} was started by Ada Alone without approval: two people review that` })).toBeVisible();
  await open(operator, "/approvals");
  await expect(article(operator, name)).toContainText("Reviewing needs the role admin.");
  await expect(article(operator, name).getByRole("button", { name: "Accept" })).toHaveCount(0);
  await operator.context().close();

  // Who broke it reviews nothing.
  await open(page, "/approvals");
  await expect(article(page, name)).toContainText("You broke the glass: two other people review that.");
  await expect(article(page, name).getByRole("button", { name: "Accept" })).toHaveCount(0);

  await open(bea, "/approvals");
  const hers = article(bea, name);
  await expect(hers).toContainText("To be reviewed");
  await expect(fact(hers, "Why")).toHaveText(REASON);
  await expect(fact(hers, "Approvals")).toHaveText("0 of 1");
  await expect(fact(hers, "Still to review")).toHaveText("2 people");
  await hers.getByRole("button", { name: "Accept" }).click();
  expect(await refusedByBrowser(hers.getByLabel("Remark (required)"))).not.toBe("");
  await hers.getByLabel("Remark (required)").fill("It had to be.");
  await hers.getByRole("button", { name: "Accept" }).click();
  await expect(note(bea, "Reviewed")).toBeVisible();
  await expect(hers).toContainText("You have reviewed it; it waits for somebody else.");
  expect((await glassOf(own, name)).missing).toBe(1);

  // One word is not enough, and the second one may be against it: then the rollout stands still.
  await open(cleo, "/approvals");
  await expect(fact(article(cleo, name), "Still to review")).toHaveText("1 person");
  await expect(article(cleo, name)).toContainText(`${beas} accepted: “It had to be.”`);
  await look(cleo, "journey-glass-review");
  await article(cleo, name).getByLabel("Remark (required)").fill("It was not that bad.");
  await article(cleo, name).getByRole("button", { name: "Object and halt it" }).click();
  await expect(note(cleo, "Reviewed")).toBeVisible();
  await expect(article(cleo, name)).toHaveCount(0);
  const settled = await glassOf(own, name);
  expect(settled.missing).toBe(0);
  expect(settled.settled_at).toBeGreaterThan(0);
  const said = settled.reviews.map((review: { by_name: string; accepted: boolean }) => [review.by_name, review.accepted]);
  expect(said.sort()).toEqual([[beas, true], [cleos, false]].sort());
  expect((await restOf(own, "GET", path)).row.state).toBe("halted");

  await open(page, path);
  await expect(state(page, "Halted")).toBeVisible();
  await expect(page.getByRole("alert").filter({ hasText: "Started without approval." })).toContainText("with an objection.");
  await expect(page.getByRole("main")).toContainText(`${cleos} objected: “It was not that bad.”`);
  await picture(page, "journey-glass-settled");
  // Somebody who neither wrote it nor broke the glass has to let it go on.
  await open(page, `${path}/resume`);
  await expect(page.getByRole("main")).toContainText("Somebody objected to its start without approval.");
  await expect(page.getByRole("main").getByRole("button", { name: /^Resume/ })).toHaveCount(0);
  await open(page, "/approvals?tab=done");
  const lately = card(page, "Started without approval lately").getByRole("listitem").filter({ hasText: name });
  await expect(lately).toContainText(REASON);
  await expect(lately).toContainText(`${cleos} objected`);
  for (const other of [bea, cleo]) await other.context().close();
});

const article = (page: Page, name: string) => page.getByRole("article").filter({ has: page.getByRole("heading", { name, exact: true }) });

const glassOf = async (own: Own, name: string) =>
  ((await restOf(own, "GET", "/break-glass")).items as any[]).find((one) => one.rollout_name === name);

/** Lets admins break the glass, as of now. */
async function allowed(own: Own) {
  const asked = await restOf(own, "PUT", "/approval-terms", { request_days: 7, start_days: 30, review_hours: 24, break_glass: true });
  if (!asked.break_glass) own.asTimeWould(`UPDATE approval_terms SET break_glass_from = break_glass_from - ${24 * 3_600_000} WHERE break_glass_from IS NOT NULL`);
  expect((await restOf(own, "GET", "/approval-terms")).break_glass).toBe(true);
}

/** A rollout of the admin's own that waits for approval, for a device that is not there, so that it runs on. */
async function waiting(own: Own) {
  const [id, type, name] = [unique("test-pylon"), unique("pylon"), unique("Pylons")];
  const lot = { method: "POST", headers: { authorization: `Bearer ${own.api_token}` }, body: line(id, type) };
  expect((await fetch(`${own.operator_url}/api/v1/enrolment-batches?label=${id}`, lot)).ok).toBe(true);
  await expect.poll(async () => (await restOf(own, "GET", `/devices?q=id:${id}`)).items.length).toBe(1);
  await restOf(own, "POST", "/signing-keys", { name: unique("Builds"), public: readFileSync(`${system().signing_key}.pub`, "utf8") });
  const { payload, manifest } = signedFirmware("1.0.0", 1, `pylon ${type}`, undefined, type);
  await uploaded([payload, manifest], own);
  const release = ((await restOf(own, "GET", "/releases")).items as any[]).find((one) => one.device_type === type);
  if (release.state === "verified") await restOf(own, "POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
  const stages = [{ name: "All", reach: { percent: 100 }, soak_s: 0, gate }];
  const drafted = await restOf(own, "POST", "/rollouts", { name, release: release.id, stages, reason: "To see who starts it." });
  const path = `/rollouts/${drafted.row.id}`;
  await restOf(own, "POST", `${path}/submit`, {});
  return { name, path };
}
