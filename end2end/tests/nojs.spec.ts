// Reading and every form work without JavaScript: the server renders, links and forms do the rest.
import { rest, system } from "../support/system";
import { decide, expect, test } from "../support/test";

test.describe("signing in", () => {
  test.use({ role: undefined });

  test("with the right password leads to the overview", async ({ page }) => {
    await page.goto("/sign-in");
    await page.getByLabel("E-mail").fill(system().operator.email);
    await page.getByLabel("Password").fill(system().operator.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL((url) => url.pathname === "/");
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  });

  test("with a wrong password says so and keeps the address", async ({ page }) => {
    await page.goto("/sign-in");
    await page.getByLabel("E-mail").fill(system().operator.email);
    await page.getByLabel("Password").fill("not-the-password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByText(/wrong|not right|incorrect|does not match/i)).toBeVisible();
    await expect(page).toHaveURL(/sign-in/);
  });
});

test("the device list filters by a form and pages by links", async ({ page }) => {
  const { total } = await rest("GET", "/devices?rows=1");
  await page.goto("/devices");
  const rows = page.getByRole("table").getByRole("row");
  await expect(rows).toHaveCount(1 + Math.min(total, 50));
  const one = (await rest("GET", "/devices?rows=1")).items[0].device_id as string;
  await page.getByRole("searchbox").first().fill(one);
  await page.getByRole("searchbox").first().press("Enter");
  await expect(page).toHaveURL(/q=/);
  await expect(page.getByRole("link", { name: one })).toBeVisible();
  await page.goto("/devices?rows=2");
  await page.getByRole("link", { name: /next/i }).click();
  await expect(page).toHaveURL(/cursor=/);
  await expect(rows).toHaveCount(3);
});

test.describe("an enrolment token", () => {
  test.use({ role: "admin" });

  test("is made by a form and shows its line once", async ({ page }) => {
    await page.goto("/enrolment");
    await page.getByLabel(/label/i).first().fill("Made without JavaScript");
    await page.getByRole("button", { name: /(create|make|new).*token/i }).click();
    await expect(page.getByText(/--token fet_/)).toBeVisible();
    await page.goto("/enrolment");
    await expect(page.getByText("Made without JavaScript")).toBeVisible();
    await expect(page.getByText(/--token fet_/)).toHaveCount(0);
  });
});

test.describe("an approval", () => {
  test.use({ role: "admin" });

  test("is given by a form", async ({ page }) => {
    const releases = (await rest("GET", "/releases")).items as { id: string; version: string }[];
    const release = releases.find((release) => release.version === "1.1.0")!.id;
    const name = "Approved without JavaScript";
    const everyone = { name: "Everyone", reach: { percent: 100 }, soak_s: 0 };
    const one = (await rest("GET", "/devices?rows=1")).items[0].device_id as string;
    await rest("POST", "/rollouts", { name, release, selector: `id:${one}`, stages: [{ ...everyone, name: "First", reach: { percent: 50 } }, everyone] })
      .then((drafted) => rest("POST", `/rollouts/${drafted.row.id}/submit`, { generation: drafted.generation }));
    await page.goto("/approvals");
    await page.getByRole("link", { name }).first().click();
    await decide(page, "Approve", "Looks right without scripts as well.");
    await expect(page.getByText(/^(approved|running|completed)$/i).first()).toBeVisible();
  });
});
