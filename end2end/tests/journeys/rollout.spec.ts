// The main job: firmware is uploaded, a rollout is drafted, its author cannot approve it, someone else does, devices
// take it stage by stage while the page shows it, and a bad one stops in its first stage.
import { foreignKey, rest, signedFirmware, system, uploaded } from "../../support/system";
import { decide, expect, look, open, picture, someoneElse, state, test } from "../../support/test";
import type { Page } from "@playwright/test";

test.describe.configure({ mode: "serial", timeout: 180_000 });

test("the waiting rollout is approved by the admin and runs to its end before everyone's eyes", async ({ page, browser }) => {
  await open(page, `/rollouts/${system().rollout}`);
  await expect(state(page, "Waiting for approval")).toBeVisible();
  // Who would be in which stage is listed before anybody says yes to it.
  const whom = page.getByRole("table", { name: "Who would be in it" });
  await expect(whom.getByRole("row").filter({ has: page.getByRole("rowheader") }).first()).toBeVisible();

  const admin = await someoneElse(browser, "admin");
  await open(admin, "/approvals");
  await expect(admin.locator(`a[href="/rollouts/${system().rollout}#would-be"]`)).toHaveText("Who would be in it");
  await picture(admin, "journey-approvals");
  await admin.getByRole("link", { name: system().rollout_name }).first().click();
  await decide(admin, "Approve", "Tried on the bench for a day.");

  // The operator's page is not reloaded.
  await expect(state(page, "Running")).toBeVisible({ timeout: 20_000 });
  await picture(page, "journey-rollout-running");
  await expect(state(page, "Completed")).toBeVisible({ timeout: 150_000 });
  await picture(page, "journey-rollout-completed");
  // From which version to which each of them went stands on one line.
  await page.setViewportSize({ width: 1300, height: 900 });
  const versions = page.locator("tbody th").getByText(/ → /);
  await expect(versions.first()).toBeVisible();
  const lines = await versions.evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().height)));
  expect(new Set(lines).size).toBe(1);
  expect(lines[0]).toBeLessThan(30);
  const { stages, row } = await rest("GET", `/rollouts/${system().rollout}`);
  expect(stages.map((stage: any) => stage.state)).toEqual(["succeeded", "succeeded", "succeeded"]);
  expect(row.counts.succeeded).toBe(system().devices);
  await admin.context().close();
});

test("a release is uploaded by hand with its signed manifest and published", async ({ page }) => {
  const { payload, manifest } = signedFirmware("1.2.0", 3, "steady firmware 1.2.0\n".repeat(4096));
  await open(page, "/firmware");
  await choose(page, [payload, manifest]);
  // A pipeline's upload makes the page show itself again: what was chosen stays chosen.
  const other = signedFirmware("0.9.0", 98, "by somebody else meanwhile", foreignKey());
  await uploaded([other.payload, other.manifest]);
  await expect(page.getByRole("link", { name: "0.9.0" })).toBeVisible();
  expect(await page.locator("input[type=file]").evaluate((input: HTMLInputElement) => input.files!.length)).toBe(2);
  await page.getByRole("button", { name: "Upload release" }).click();
  const release = await releaseOf("1.2.0");
  await page.waitForURL(`**/firmware/${release.id}`);
  if (release.state === "verified") {
    await page.getByRole("link", { name: "Publish…" }).click();
    await page.getByRole("button", { name: "Publish", exact: true }).click();
  }
  await expect(state(page, "Published")).toBeVisible();
});

test("a file signed by an unknown key is quarantined with the reason", async ({ page }) => {
  const { payload, manifest } = signedFirmware("9.9.9", 99, "signed by a stranger", foreignKey());
  const before = await ids();
  await open(page, "/firmware");
  await upload(page, [payload, manifest]);
  await expect.poll(async () => (await ids()).length).toBe(before.length + 1);
  const fresh = (await ids()).find((id) => !before.includes(id));
  await open(page, `/firmware/${fresh}`);
  await expect(state(page, "Quarantined")).toBeVisible();
  await expect(page.getByRole("alert")).toContainText(/key|sign/i);
});

test("its author drafts a rollout in the wizard, sees who is in which stage, and cannot approve it", async ({ browser }) => {
  const author = await someoneElse(browser, "admin");
  await open(author, "/rollouts/new");
  await author.getByLabel("Name of the rollout").fill("Gateway 1.2.0");
  await author.getByRole("radio", { name: "1.2.0" }).check();
  await author.getByRole("button", { name: "Continue to devices" }).click();
  await expect(author.getByRole("heading", { name: `Preview, ${system().devices} devices` })).toBeVisible();
  await author.getByRole("button", { name: "Continue to stages" }).click();
  await author.getByRole("button", { name: "Canary, then all" }).click();
  // What is typed before the stages are there is theirs no more.
  await expect(author.getByLabel("How long stage 3 is watched")).toHaveCount(0);
  await author.getByLabel("How long stage 1 is watched").fill("1 s");
  await author.getByRole("button", { name: "Continue to health gates" }).click();
  // What the fleet's own updates came to stands under the limits: those of the rollout before, at least.
  await expect(author.getByLabel("Success percentage to pass, stage 1")).toHaveAccessibleDescription(/^Of the devices that have finished\. This fleet, last 30 days: \d+(\.\d)? % of \d+/);
  await author.getByLabel("Devices that may fail to install, stage 1").fill("2");
  await author.getByLabel("Devices that may refuse, stage 1").fill("0");
  await picture(author, "journey-wizard-gates");
  await author.getByRole("button", { name: "Continue to review" }).click();
  await expect(author.getByText(/halts when more than 2 devices could not install; halts when more than 0 devices refused/).first()).toBeVisible();
  await author.getByLabel("Why, for the person who approves it").fill("The next step after 1.1.0.");
  await author.getByRole("button", { name: "Send for approval" }).click();
  await expect(state(author, "Waiting for approval")).toBeVisible();
  // An admin could decide, but not on a plan of their own.
  await expect(author.getByRole("link", { name: "Approve…" })).toHaveCount(0);
  await expect(author.getByRole("button", { name: "Approve…" })).toHaveAttribute("aria-disabled", "true");

  const approver = await someoneElse(browser, "approver");
  await open(approver, new URL(author.url()).pathname);
  await decide(approver, "Approve", "Looks right.");
  await expect(state(author, "Completed")).toBeVisible({ timeout: 150_000 });
  await author.context().close();
  await approver.context().close();
});

test("a release that does not boot halts in its first stage and says why", async ({ page, browser }) => {
  const { payload, manifest } = signedFirmware("1.3.0", 4, `fleetward-sim fail_boot=1.0\n${"bad ".repeat(4096)}`);
  await open(page, "/firmware");
  await upload(page, [payload, manifest]);
  const release = await releaseOf("1.3.0");
  if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 95, error_percent: 10, min_sample: 2, max_errors: 0 };
  const drafted = await rest("POST", "/rollouts", {
    name: "Gateway 1.3.0",
    release: release.id,
    stages: [
      { name: "Canary", reach: { count: 6 }, soak_s: 1, gate },
      { name: "Everyone", reach: { percent: 100 }, soak_s: 0, gate },
    ],
    reason: "A release that is meant to fail.",
  });
  const path = `/rollouts/${drafted.row.id}`;
  await rest("POST", `${path}/submit`, {});
  await open(page, path);
  const admin = await someoneElse(browser, "admin");
  await open(admin, path);
  await decide(admin, "Approve", "Looks right.");
  await expect(state(page, "Halted")).toBeVisible({ timeout: 90_000 });
  await expect(page.getByText(/Halted by a gate\./)).toBeVisible();
  await expect(page.getByText(/\d+ of \d+ finished devices/).first()).toBeVisible();
  await picture(page, "journey-rollout-halted");
  // Nobody outside the first stage got it.
  const after = await rest("GET", path);
  expect(after.row.counts.waiting).toBeGreaterThanOrEqual(system().devices - 6);
  expect(after.row.counts.succeeded).toBeLessThanOrEqual(1);
  await admin.context().close();
});

test("the devices of a rollout are sorted, searched, and narrowed by how their updates ended", async ({ page }) => {
  const path = `/rollouts/${system().rollout}`;
  const backwards = (await rest("GET", `${path}/updates?sort=-device`)).items as { device_id: string }[];
  await open(page, path);
  const table = page.getByRole("table", { name: "Devices of all stages" });
  const shown = table.getByRole("rowheader");
  const head = table.getByRole("columnheader", { name: "Device" });
  for (const [sort, order] of [["device", "ascending"], ["-device", "descending"]] as const) {
    await head.getByRole("link").click();
    await expect(page).toHaveURL((url) => url.searchParams.get("sort") === sort);
    // The head leads to the other order once the list is there in this one.
    await expect(head).toHaveAttribute("aria-sort", order);
  }
  await expect(shown.first()).toContainText(backwards[0]!.device_id);
  await look(page, "journey-rollout-devices-sorted");

  const search = page.getByLabel("Search devices of this rollout");
  await search.fill(`id:${backwards[1]!.device_id}`);
  await search.press("Enter");
  await expect(page).toHaveURL((url) => url.searchParams.get("q") === `id:${backwards[1]!.device_id}` && url.searchParams.get("sort") === "-device");
  await expect(shown).toHaveCount(1);
  await page.locator(".filters summary").filter({ hasText: "Outcome" }).click();
  await page.getByRole("link", { name: /^Rejected/ }).click();
  await expect(page).toHaveURL((url) => url.searchParams.get("outcome") === "rejected");
  await expect(page.getByRole("heading", { name: "No device matches" })).toBeVisible();
  await look(page, "journey-rollout-devices-none");
  await page.getByRole("link", { name: "Clear filters" }).click();
  await expect(page).toHaveURL((url) => url.searchParams.get("q") === null && url.searchParams.get("outcome") === null);
  await expect(shown.first()).toContainText(backwards[0]!.device_id);

  // What can't be read says where, and the rest of the page stays.
  await open(page, `${path}?q=nonsense:x`);
  await expect(page.getByRole("heading", { name: /^The search is not understood at character \d+/ })).toBeVisible();
  await expect(state(page, "Completed")).toBeVisible();
});

const choose = (page: Page, files: string[]) => page.locator("input[type=file]").setInputFiles(files);

async function upload(page: Page, files: string[]) {
  await choose(page, files);
  await page.getByRole("button", { name: "Upload release" }).click();
}

const releases = async () => (await rest("GET", "/releases")).items as { id: string; version: string; state: string }[];
const ids = async () => (await releases()).map((release) => release.id);

async function releaseOf(version: string) {
  await expect.poll(async () => (await releases()).map((release) => release.version), { timeout: 20_000 }).toContain(version);
  return (await releases()).find((release) => release.version === version)!;
}
