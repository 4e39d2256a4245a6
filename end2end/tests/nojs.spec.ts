// Reading and every form work without JavaScript: the server renders, links and forms do the rest.
import { enrolled } from "../support/devices";
import { ASKING, address, question, wayOut } from "../support/questions";
import { NOSCRIPT_ROLLOUT, rest, system, unique } from "../support/system";
import { card, decide, expect, expectNoSideScroll, expectWithin, fact, test } from "../support/test";

test.describe("signing in", () => {
  test.use({ role: "nobody" });

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
    await expect(page.getByRole("alert")).toBeVisible();
    await expect(page).toHaveURL(/sign-in/);
  });
});

test("the device list filters by a form and pages by links", async ({ page }) => {
  await page.goto("/devices");
  const rows = page.getByRole("table").getByRole("row");
  await expect(rows).toHaveCount(1 + 50);
  await page.getByRole("link", { name: "Next" }).click();
  await expect(page).toHaveURL(/cursor=/);
  expect(await rows.count()).toBeLessThan(1 + 50);
  await page.getByRole("link", { name: "First" }).click();
  const one = (await rest("GET", "/devices?rows=1")).items[0].device_id as string;
  await page.getByRole("searchbox", { name: "Search devices" }).fill(`id:${one}`);
  await page.getByRole("searchbox", { name: "Search devices" }).press("Enter");
  await expect(page).toHaveURL(/q=/);
  await expect(rows).toHaveCount(1 + 1);
  await expect(page.getByRole("link", { name: one, exact: true })).toBeVisible();
});

test("a list says which words of its address it does not know, and leads to itself without them", async ({ page }) => {
  await page.goto("/devices?q=type:gateway&status=foo&sort=bar");
  const notice = page.getByRole("status").filter({ hasText: "“status” says nothing here; “bar” is no order of devices. This is shown without them." });
  await expect(notice).toBeVisible();
  expect(await page.getByRole("table").getByRole("row").count()).toBeGreaterThan(1);
  await notice.getByRole("link", { name: "Leave it out of the address" }).click();
  await expect(page).toHaveURL(/\/devices\?q=type:gateway$/);
  await expect(notice).toHaveCount(0);
  expect((await page.goto("/rollouts?tab=odd"))?.status()).toBe(200);
  await expect(page.getByRole("status").filter({ hasText: "“odd” is no list of rollouts." })).toBeVisible();
});

test("the card of a new token keeps to the page", async ({ page }) => {
  const label = unique("Plain");
  await page.goto("/enrolment");
  await card(page, "New token").getByLabel("What it is for").fill(label);
  await card(page, "New token").getByRole("button", { name: "Make token" }).click();
  for (const width of [1400, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await expect(card(page, `Token for ${label}`)).toBeVisible();
    await expectNoSideScroll(page);
    await expectWithin(card(page, `Token for ${label}`));
  }
});

test("an entry of the audit log is opened by a link", async ({ page }) => {
  await page.goto("/audit");
  const number = page.getByRole("table", { name: "Audit log" }).getByRole("rowheader").first().getByRole("link");
  const seq = (await number.innerText()).trim();
  await number.click();
  await expect(fact(card(page, `Entry ${seq}`), "Hash")).toHaveText(/^[0-9a-f]{64}$/);
});

test("a column sorts by a link", async ({ page }) => {
  await page.goto("/devices");
  await page.getByRole("columnheader", { name: "Last seen" }).getByRole("link").click();
  await expect(page).toHaveURL(/sort=/);
  await expect(page.getByRole("columnheader", { name: "Last seen" })).toHaveAttribute("aria-sort", /ascending|descending/);
});

test("the overview draws how many were connected in the last day", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("link", { name: /^Connected/ }).getByRole("img", { name: /^Over the last 24 hours from [\d,]+ to [\d,]+$/ })).toBeVisible();
});

test("a device's connections are a page of it", async ({ page }) => {
  const id = (await rest("GET", "/devices?q=online:yes&rows=1")).items[0].device_id as string;
  await page.goto(`/devices/${id}/connections`);
  await expect(page.getByRole("img", { name: /^Connected / })).toBeVisible();
  await expect(page.getByRole("table", { name: "Connections of this device" }).getByRole("row").nth(1)).toContainText("Connected");
});

test("a device is pinned and unpinned by forms", async ({ page }) => {
  const [device] = await enrolled([unique("test-noscript")]);
  await page.goto(`/devices/${device!.id}/firmware`);
  await page.getByRole("link", { name: "Pin…" }).click();
  await page.getByLabel("Why").fill("Without scripts.");
  await page.getByRole("button", { name: "Pin it" }).click();
  await expect(card(page, "Pinned to what it runs")).toContainText("Without scripts.");
  await page.getByRole("button", { name: "Unpin" }).click();
  await expect(page.getByRole("link", { name: "Pin…" })).toBeVisible();
});

test("certificates sort by a link, and the revoked ones are a tab", async ({ page }) => {
  await page.goto("/certificates");
  await page.getByRole("columnheader", { name: "Device", exact: true }).getByRole("link").click();
  await expect(page.getByRole("columnheader", { name: "Device", exact: true })).toHaveAttribute("aria-sort", "ascending");
  const revoked = page.getByRole("navigation", { name: "Certificates by kind" }).getByRole("link", { name: "Revoked" });
  await revoked.click();
  await expect(page).toHaveURL(/state=revoked/);
  await expect(revoked).toHaveAttribute("aria-current", "page");
});

test("devices are ticked and tagged by forms", async ({ page }) => {
  const id = (await rest("GET", "/devices?rows=1")).items[0].device_id as string;
  await page.goto(`/devices?q=id:${id}`);
  await page.getByRole("checkbox", { name: `Select ${id}`, exact: true }).check();
  await page.getByRole("toolbar", { name: "Selected devices" }).getByRole("button", { name: "Tag…" }).click();
  const question = page.locator("section.card.ask");
  await expect(question).toContainText(`This is about 1 device: ${id}.`);
  await question.getByLabel("Add tags").fill("without-scripts");
  await question.getByRole("button", { name: "Tag 1 device" }).click();
  await expect(page).toHaveURL((url) => url.search === `?q=id:${id}`);
  await expect(page.getByRole("table", { name: "Devices" })).toContainText("without-scripts");
  await page.getByRole("checkbox", { name: `Select ${id}`, exact: true }).check();
  await page.getByRole("button", { name: "Tag…" }).click();
  await question.getByLabel("Remove tags").fill("without-scripts");
  await question.getByRole("button", { name: "Tag 1 device" }).click();
  await expect(page.getByRole("table", { name: "Devices" })).not.toContainText("without-scripts");
});

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("makes an enrolment token by a form and sees its secret once", async ({ page }) => {
    await page.goto("/enrolment");
    await page.getByLabel("What it is for").fill("Made without scripts");
    await page.getByRole("button", { name: "Make token" }).click();
    const line = page.getByRole("region", { name: "Line to paste on the device" });
    await expect(line).toContainText(/fet_[A-Za-z0-9]{16}/);
    await page.goto("/enrolment");
    await expect(page.getByRole("rowheader", { name: "Made without scripts" })).toBeVisible();
    await expect(line).toHaveCount(0);
  });

  for (const { name, prepare } of ASKING) {
    test(`leaves a question about ${name} by a link that leads back to what opened it`, async ({ page }) => {
      const { path, opener } = await prepare(page, (page, path) => page.goto(path));
      await page.goto(path);
      const here = address(page);
      await opener.click();
      await expect(question(page)).toBeVisible();
      await wayOut(page).click();
      await expect(question(page)).toHaveCount(0);
      expect(address(page)).toBe(here);
      await expect(opener).toBeFocused();
      await page.reload();
      await expect(question(page)).toHaveCount(0);
    });
  }

  test("approves a rollout by a form", async ({ page }) => {
    await page.goto("/approvals");
    await page.getByRole("link", { name: NOSCRIPT_ROLLOUT }).click();
    await decide(page, "Approve", "Looks right without scripts as well.");
    await expect(page.getByText("Scheduled", { exact: true }).first()).toBeVisible();
  });
});

test("a file of devices is looked at and imported by forms", async ({ page }) => {
  const device = unique("plain-moved");
  const file = { name: "devices.csv", mimeType: "text/csv", buffer: Buffer.from(`device_id,type\n${device},moved-kind\n`) };
  await page.goto("/enrolment?tab=import");
  await page.getByLabel("Change devices that are there already").check();
  await page.getByLabel("File with devices").setInputFiles({ ...file, buffer: Buffer.from(`devise_id\n${device}\n`) });
  await page.getByRole("button", { name: "Show preview" }).click();
  await expect(card(page, "Import devices").getByRole("alert")).toContainText("Did you mean device_id?");
  await expect(page.getByLabel("Change devices that are there already")).toBeChecked();
  await page.getByLabel("Change devices that are there already").uncheck();
  await page.getByLabel("File with devices").setInputFiles(file);
  await page.getByRole("button", { name: "Show preview" }).click();
  await expect(fact(card(page, "Preview of devices.csv"), "New")).toHaveText("1");
  await page.getByRole("button", { name: "Import 1 device" }).click();
  await expect(card(page, "Import of devices.csv")).toBeVisible();
  expect((await rest("GET", `/devices/${device}`)).row.state).toBe("preregistered");
});
