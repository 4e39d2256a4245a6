// Selectors go on by themselves while they are typed: fields, then the values that the fleet has; with the keyboard alone, or with the mouse.
import { enrolled } from "../../support/devices";
import { rest, system, unique } from "../../support/system";
import { expect, look, open, test } from "../../support/test";
import type { Page } from "@playwright/test";

test("a filter is put together with the keyboard alone", async ({ page }) => {
  const { device_type } = system();
  await open(page, "/devices");
  const search = page.getByRole("combobox", { name: "Search devices" });
  await search.focus();
  await expect(search).toHaveAttribute("aria-expanded", "false");
  await page.keyboard.press("ArrowDown");
  await expect(search).toHaveAttribute("aria-expanded", "true");
  await expect(ways(page).first()).toHaveAttribute("aria-selected", "true");
  await expect(ways(page)).toHaveCount(18);
  await look(page, "journey-completion");
  await page.keyboard.press("Escape");
  await expect(list(page)).toBeHidden();

  await page.keyboard.type("ty");
  await expect(ways(page)).toHaveCount(1);
  await page.keyboard.press("ArrowDown");
  expect(await search.getAttribute("aria-activedescendant")).toBe(await ways(page).first().getAttribute("id"));
  await page.keyboard.press("Enter");
  await expect(search).toHaveValue("type:");
  await expect(ways(page).filter({ hasText: device_type })).toHaveCount(1);
  await page.keyboard.type(device_type.slice(0, -1));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(search).toHaveValue(`type:${device_type}`);
  await expect(list(page)).toBeHidden();
  // Nothing is chosen: it sends the form.
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL((url) => url.searchParams.get("q") === `type:${device_type}`);
  await expect(page.getByText(/^[\d,]+ of [\d,]+ match$/)).toBeVisible();
});

test("a value is taken with the mouse, and what is wrong is still said", async ({ page }) => {
  await open(page, "/devices");
  const search = page.getByRole("combobox", { name: "Search devices" });
  await search.pressSequentially("online:");
  await ways(page).filter({ hasText: "yes" }).click();
  await expect(search).toHaveValue("online:yes");
  await expect(search).toBeFocused();
  await search.pressSequentially(" nonsense:x");
  await expect(page.getByText(/there is no field "nonsense"/)).toBeVisible();
});

test("what is typed stays while the list is read again", async ({ page }) => {
  const id = unique("test-typed");
  await open(page, `/devices?q=id:${id}`);
  const search = page.getByRole("combobox", { name: "Search devices" });
  await search.focus();
  await page.keyboard.press("End");
  await page.keyboard.type(" ty");
  // Somebody else's device is what the list was asked for, and comes into it.
  await enrolled([id]);
  await expect(page.getByRole("link", { name: id })).toBeVisible();
  await expect(search).toHaveValue(`id:${id} ty`);
  await expect(search).toBeFocused();
});

test("the devices of a rollout are asked for in the same way", async ({ page }) => {
  const release = ((await rest("GET", "/releases")).items as { id: string; version: string }[]).find((one) => one.version === "1.1.0")!;
  await open(page, `/rollouts/new?step=devices&name=${unique("Completed")}&release=${release.id}`);
  const which = page.getByRole("combobox", { name: "Which devices" });
  await which.pressSequentially("pres");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(which).toHaveValue("presence:");
  await expect(ways(page)).toHaveText([/online/, /stale/, /offline/]);
  await look(page, "journey-completion-wizard");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await expect(which).toHaveValue("presence:offline");
  // What was taken counts as typed: the preview follows.
  await expect(page.getByRole("heading", { name: /^Preview, \d+ devices?$|^Preview/ }).first()).toBeVisible();
  await page.getByRole("button", { name: "Continue to stages" }).click();
  await expect(page).toHaveURL(/selector=presence(:|%3A)offline/);
});

test("a slip in a selector is said beside its input with its place, also in the selector of a stage", async ({ page }) => {
  const release = ((await rest("GET", "/releases")).items as { id: string; version: string }[]).find((one) => one.version === "1.1.0")!;
  await open(page, `/rollouts/new?step=devices&name=${unique("Slipped")}&release=${release.id}`);
  const which = page.getByRole("combobox", { name: "Which devices" });
  await which.fill("version:<1.2.0");
  await expect(which).toHaveAttribute("aria-invalid", "true");
  await expect(which).toHaveAccessibleDescription(/At character 9: .*Write version<1\.2\.0\.$/);
  await page.keyboard.press("Escape");
  await look(page, "journey-selector-refused");
  await which.fill("state:active");
  await expect(which).not.toHaveAttribute("aria-invalid", "true");
  await which.fill("");
  await page.getByRole("button", { name: "Continue to stages" }).click();

  await page.getByLabel("Or one site, group or tag first").fill("tag:lab");
  await page.getByRole("button", { name: "One site first" }).click();
  const reach = page.getByLabel("Reach of stage 1");
  await expect(reach).toHaveValue("tag:lab");
  await reach.fill("type:'gw");
  await expect(reach).toHaveAttribute("aria-invalid", "true");
  await expect(reach).toHaveAccessibleDescription(/^At character 6: .*Write type:gw, or type:"gw box"/);
  await reach.fill("type:gw");
  await expect(reach).not.toHaveAccessibleDescription(/At character/);
});

const list = (page: Page) => page.getByRole("listbox", { name: "Ways to go on" });
const ways = (page: Page) => list(page).getByRole("option");
