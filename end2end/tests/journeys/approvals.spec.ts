// The inbox: what waits for whom, a decision in it, and what became of what was sent, each tab with its own address.
import { rest, unique } from "../../support/system";
import { expect, look, note, open, picture, someoneElse, test } from "../../support/test";
import type { Page } from "@playwright/test";

test.use({ role: "admin" });

// Planned for later, so that it never meets the other journeys.
const plan = (name: string, release: string) => ({
  name,
  release,
  stages: [
    { name: "Berlin", reach: { matching: "attr.site:berlin-1" }, soak_s: 3600, confirm: true },
    { name: "Everyone", reach: { percent: 100 } },
  ],
  start_at: Date.now() + 20 * 86_400_000,
  reason: "To see what becomes of it.",
});

async function sent(name: string) {
  const releases = (await rest("GET", "/releases")).items as { id: string; version: string }[];
  const drafted = await rest("POST", "/rollouts", plan(name, releases.find((release) => release.version === "1.1.0")!.id));
  return (await rest("POST", `/rollouts/${drafted.row.id}/submit`, {})) as { row: { id: string }; generation: number; spec: object };
}

const tab = (page: Page, name: string) => page.getByRole("navigation", { name: "Approvals by what became of them" }).getByRole("link", { name });
const article = (page: Page, name: string) => page.getByRole("article").filter({ has: page.getByRole("heading", { name, exact: true }) });
const line = (page: Page, name: string) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });

test("what waits is decided in the inbox and found again under what became of it", async ({ page, browser }) => {
  const [approved, voided] = [unique("Approved"), unique("Voided")];
  const first = await sent(approved);
  const second = await sent(voided);

  await open(page, "/approvals");
  await expect(tab(page, "Waiting for me")).toHaveAttribute("aria-current", "page");
  const mine = article(page, approved);
  await expect(mine).toContainText("Berlin goes first with");
  await expect(mine).toContainText("Olivia Operator by token demo");
  await expect(mine.getByRole("button", { name: "Copy digest" })).toBeVisible();
  // A press away; the page reads itself again whenever some rollout changes, and then it is closed.
  await expect(mine.getByRole("table", { name: `Stages of ${approved}`, includeHidden: true })).toContainText("Berlin");
  await look(page, "journey-inbox");

  // Whoever can't decide is told so, and sees what waits all the same.
  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, "/approvals");
  await expect(viewer.getByRole("heading", { name: "Deciding needs the role admin" })).toBeVisible();
  await tab(viewer, "Waiting").last().click();
  await expect(viewer).toHaveURL(/tab=waiting/);
  await expect(article(viewer, approved)).toContainText("Deciding needs the role admin.");
  await expect(article(viewer, approved).getByRole("link", { name: "Approve…" })).toHaveCount(0);
  await viewer.context().close();

  await mine.getByRole("link", { name: "Approve…" }).click();
  await page.getByLabel("Remark").filter({ visible: true }).fill("Berlin is a good place to begin.");
  await page.getByRole("button", { name: "Approve", exact: true }).click();
  await expect(note(page, "Approved")).toBeVisible();
  await expect(mine).toHaveCount(0);
  await expect(article(page, voided)).toBeVisible();
  await tab(page, "Done").click();
  await expect(page).toHaveURL(/tab=done/);
  await expect(line(page, approved)).toContainText("Scheduled");
  await expect(line(page, approved)).toContainText("Approved by Adrian Admin: “Berlin is a good place to begin.”");
  await look(page, "journey-inbox-done");

  // An edit takes it out of everybody's hands.
  await rest("PUT", `/rollouts/${second.row.id}`, { generation: second.generation, spec: { ...second.spec, reason: "Another reason." } });
  await open(page, "/approvals?tab=void");
  await expect(tab(page, "Expired or void")).toHaveAttribute("aria-current", "page");
  await expect(line(page, voided)).toContainText("The plan was edited after it was sent");
  await picture(page, "journey-inbox-void");

  const author = await someoneElse(browser, "operator");
  await open(author, "/approvals?tab=mine");
  for (const name of [approved, voided]) await expect(line(author, name)).toBeVisible();
  await author.context().close();
  await rest("POST", `/rollouts/${first.row.id}/stop`, { reason: "Seen." });
});
