// The main job: firmware is uploaded, a rollout is drafted, its author cannot approve it, someone else does, devices
// take it stage by stage while the page shows it, and a bad one stops in its first stage.
import { rest, signedFirmware, foreignKey, system } from "../../support/system";
import { decide, expect, open, picture, someoneElse, test } from "../../support/test";
import type { Page } from "@playwright/test";

test.describe.configure({ mode: "serial", timeout: 120_000 });

test("the waiting rollout is approved by the admin and runs to its end before everyone's eyes", async ({ page, browser }) => {
  const path = `/rollouts/${system().rollout}`;
  await open(page, path);
  await expect(page.getByText(/^waiting for approval$/i).first()).toBeVisible();

  const admin = await someoneElse(browser, "admin");
  await open(admin, "/approvals");
  await admin.getByRole("link", { name: system().rollout_name }).first().click();
  await decide(admin, "Approve", "Tried on the bench for a day.");

  // The operator's page is not reloaded.
  await expect(page.getByText(/^running$/i).first()).toBeVisible({ timeout: 20_000 });
  await picture(page, "journey-rollout-running");
  await expect(page.getByText(/^completed$/i).first()).toBeVisible({ timeout: 90_000 });
  await picture(page, "journey-rollout-completed");
  await admin.context().close();
});

test("a release is uploaded by hand with its signed manifest and published", async ({ page }) => {
  await open(page, "/firmware");
  const { payload, manifest } = signedFirmware("1.2.0", 3, "steady firmware 1.2.0\n".repeat(4096));
  await upload(page, [payload, manifest]);
  await expect(page.getByText("1.2.0").first()).toBeVisible();
  const release = await releaseOf("1.2.0");
  expect(release.state).toMatch(/verified|published/);
  await open(page, `/firmware/${release.id}`);
  if (release.state === "verified") await page.getByRole("button", { name: /publish/i }).click();
  await expect(page.getByText(/published/i).first()).toBeVisible();
});

test("a file signed by an unknown key is quarantined with the reason", async ({ page }) => {
  await open(page, "/firmware");
  const { payload, manifest } = signedFirmware("9.9.9", 99, "signed by a stranger", foreignKey());
  await upload(page, [payload, manifest]);
  await expect(page.getByText(/quarantined/i).first()).toBeVisible();
  const release = await releaseOf("9.9.9");
  expect(release.quarantine).toMatch(/key|sign/i);
});

test("its author drafts a rollout in the wizard, sees who is in which stage, and cannot approve it", async ({ page, browser }) => {
  await open(page, "/rollouts/new");
  await page.getByLabel(/^name/i).first().fill("Gateway 1.2.0");
  await page.getByLabel(/release|firmware/i).first().selectOption({ label: /1\.2\.0/ as unknown as string });
  await expect(page.getByText(/7 devices/i).first()).toBeVisible();
  await page.getByRole("button", { name: /send for approval/i }).click();
  await expect(page.getByText(/^waiting for approval$/i).first()).toBeVisible();
  await expect(page.getByText(/someone else must approve/i)).toBeVisible();
  const path = new URL(page.url()).pathname;

  const admin = await someoneElse(browser, "admin");
  await open(admin, path);
  await decide(admin, "Approve", "Looks right.");
  await expect(page.getByText(/^completed$/i).first()).toBeVisible({ timeout: 90_000 });
  await admin.context().close();
});

test("a release that does not boot halts in its first stage and says why", async ({ page, browser }) => {
  const { payload, manifest } = signedFirmware("1.3.0", 4, `fleetward-sim fail_boot=1.0\n${"bad ".repeat(4096)}`);
  await open(page, "/firmware");
  await upload(page, [payload, manifest]);
  await expect(page.getByText("1.3.0").first()).toBeVisible();
  const release = await releaseOf("1.3.0");
  if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 95, error_percent: 10, min_sample: 2, max_errors: 0 };
  const drafted = await rest("POST", "/rollouts", {
    name: "Gateway 1.3.0",
    release: release.id,
    stages: [
      { name: "Canary", reach: { percent: 40 }, soak_s: 1, gate },
      { name: "Everyone", reach: { percent: 100 }, soak_s: 0, gate },
    ],
  });
  const id = drafted.row.id as string;
  await rest("POST", `/rollouts/${id}/submit`, { generation: drafted.generation });
  await open(page, `/rollouts/${id}`);
  const admin = await someoneElse(browser, "admin");
  await open(admin, `/rollouts/${id}`);
  await decide(admin, "Approve", "Looks right.");
  await expect(page.getByText(/^halted$/i).first()).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText(/\d+ of \d+ finished devices/i).first()).toBeVisible();
  await picture(page, "journey-rollout-halted");
  // Nobody outside the first stage got it.
  const after = await rest("GET", `/rollouts/${id}`);
  expect(after.stages[1].counts.waiting).toBe(after.stages[1].counts.total);
  await admin.context().close();
});

async function upload(page: Page, files: string[]) {
  await page.locator("input[type=file]").first().setInputFiles(files);
  const button = page.getByRole("button", { name: /upload/i });
  if (await button.count()) await button.first().click();
}

async function releaseOf(version: string) {
  await expect.poll(async () => ((await rest("GET", "/releases")).items as { version: string }[]).map((r) => r.version)).toContain(version);
  return ((await rest("GET", "/releases")).items as any[]).find((release) => release.version === version);
}
