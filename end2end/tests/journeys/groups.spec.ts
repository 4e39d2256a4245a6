// Groups: made, filled by ids and by a selector, renamed and deleted; and filled from the list of devices.
import type { Page } from "@playwright/test";
import { enrolled } from "../../support/devices";
import { rest, unique } from "../../support/system";
import { card, expect, look, note, open, refusedByBrowser, someoneElse, test, withoutLimits } from "../../support/test";

test("a group is made, filled and emptied, gets another name and goes", async ({ page, browser }) => {
  const [name, other, tag] = [unique("Hall"), unique("North"), unique("test-hall")];
  await enrolled([1, 2, 3].map((n) => `${tag}-${n}`), [tag]);
  await open(page, "/groups");
  const form = card(page, "New group");
  await form.getByLabel("Name").fill("north*");
  await form.getByRole("button", { name: "Make group" }).click();
  await expect(form.getByLabel("Name")).toHaveAccessibleDescription(/A group has a name of 1 to 100 characters without \*/);
  await look(page, "journey-group-refused");
  await form.getByLabel("Name").fill(name);
  await form.getByRole("button", { name: "Make group" }).click();
  await expect(page).toHaveURL((url) => url.pathname === "/groups" && url.searchParams.get("name") === name);
  await expect(page.getByRole("heading", { name: "No device in it" })).toBeVisible();

  // By their ids: all of them, or none.
  const changes = card(page, "Change who is in it");
  const ids = changes.getByLabel("Devices by their ids");
  const put = changes.getByRole("button", { name: "Do it" });
  await ids.fill(`${tag}-1 ${tag}-none`);
  await put.click();
  await expect(changes.getByRole("alert").first()).toBeVisible();
  await expect(members(page, name).getByRole("rowheader")).toHaveCount(0);
  await ids.fill("no/such:id!");
  await put.click();
  await expect(ids).toHaveAccessibleDescription(/1 to 64 letters, digits/);
  await look(page, "journey-group-members-refused");
  await ids.fill(`${tag}-1, ${tag}-2`);
  await put.click();
  await expect(note(page, "Changed")).toBeVisible();
  await expect(members(page, name).getByRole("rowheader")).toHaveText([`${tag}-1`, `${tag}-2`]);

  // By a selector, which is counted before.
  const count = async (meant: string) => {
    const selector = changes.getByLabel("Every device that a selector means");
    await selector.fill(meant);
    // What it could go on with lies over the button.
    await selector.press("Escape");
    await changes.getByRole("button", { name: "Count them" }).click();
  };
  await count("colour:red");
  await expect(changes).toContainText("Not understood at character 1");
  await count(`tag:${tag}`);
  await expect(changes).toContainText("3 devices now. If it is another number by then, nothing is changed.");
  await look(page, "journey-group-counted");
  await put.first().click();
  await expect(members(page, name).getByRole("rowheader")).toHaveCount(3);
  // What was counted has been done; they are counted anew.
  await count(`tag:${tag}`);
  await expect(changes).toContainText("3 devices now.");
  await changes.getByLabel("What to do").first().selectOption({ label: "Take them out" });
  await put.first().click();
  await expect(page.getByRole("heading", { name: "No device in it" })).toBeVisible();
  await ids.fill(`${tag}-3`);
  await put.last().click();
  await expect(members(page, name).getByRole("rowheader")).toHaveCount(1);
  await open(page, `/groups?name=${name}`);
  await expect(members(page, name).getByRole("rowheader")).toHaveText([`${tag}-3`]);

  // Who may only look is told what it takes.
  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, `/groups?name=${name}`);
  await expect(card(viewer, "Change who is in it")).toContainText("Changing who is in a group needs the role operator.");
  await expect(viewer.getByRole("link", { name: /^(Rename|Delete)…$/ })).toHaveCount(0);
  await open(viewer, "/groups");
  await expect(card(viewer, "New group")).toContainText("Making and filling groups needs the role operator.");
  await viewer.context().close();

  await rest("POST", "/groups", { name: other });
  await page.getByRole("link", { name: "Rename…" }).click();
  const rename = page.getByRole("dialog", { name: `Rename ${name}` });
  const to = rename.getByLabel("New name");
  await to.fill(other);
  await rename.getByRole("button", { name: "Rename", exact: true }).click();
  await expect(to).toHaveAccessibleDescription(/There is a group ".+" already\./);
  await expect(to).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-group-rename-refused");
  const renamed = unique("South");
  await to.fill(renamed);
  await rename.getByRole("button", { name: "Rename", exact: true }).click();
  await expect(page).toHaveURL((url) => url.searchParams.get("name") === renamed);
  await expect(page.getByRole("heading", { level: 1, name: renamed })).toBeVisible();
  await open(page, "/groups");
  await expect(page.getByRole("rowheader", { name: renamed, exact: true })).toBeVisible();
  await expect(page.getByRole("rowheader", { name, exact: true })).toHaveCount(0);

  await open(page, `/groups?name=${renamed}`);
  await page.getByRole("link", { name: "Delete…" }).click();
  const gone = page.getByRole("dialog", { name: `Delete ${renamed}` });
  await expect(gone).toContainText("The group of 1 device goes; the devices stay as they are.");
  const confirm = gone.getByLabel(`Type ${renamed} to confirm`);
  await confirm.fill(name);
  await gone.getByRole("button", { name: "Delete group" }).click();
  expect(await refusedByBrowser(confirm)).not.toBe("");
  await withoutLimits(confirm);
  await gone.getByRole("button", { name: "Delete group" }).click();
  await expect(confirm).toHaveAccessibleDescription(`Type ${renamed} to confirm.`);
  await look(page, "journey-group-delete");
  await confirm.fill(renamed);
  await gone.getByRole("button", { name: "Delete group" }).click();
  await expect(page).toHaveURL(/\/groups$/);
  await expect(page.getByRole("rowheader", { name: renamed, exact: true })).toHaveCount(0);
  await rest("DELETE", `/groups/${encodeURIComponent(other)}`);
});

test("what a list means is put into a group that is made by that, and taken out of it", async ({ page }) => {
  const [name, tag] = [unique("Listed"), unique("test-listed")];
  await enrolled([1, 2].map((n) => `${tag}-${n}`), [tag]);
  await open(page, `/devices?q=tag:${tag}`);
  await page.getByRole("link", { name: "Group…" }).click();
  const dialog = page.getByRole("dialog", { name: "Group 2 devices" });
  await expect(dialog).toContainText(`the devices that match tag:${tag} now: 2 devices.`);
  const group = dialog.getByLabel("Group", { exact: true });
  await group.fill("any*");
  await dialog.getByRole("button", { name: "Do it for 2 devices" }).click();
  await expect(group).toHaveAccessibleDescription(/A group has a name of 1 to 100 characters without \*/);
  await look(page, "journey-group-of-a-list-refused");
  await group.fill(name);
  await dialog.getByRole("button", { name: "Do it for 2 devices" }).click();
  await expect(note(page, "Grouped")).toBeVisible();
  await open(page, `/groups?name=${name}`);
  await expect(members(page, name).getByRole("rowheader")).toHaveText([`${tag}-1`, `${tag}-2`]);

  await open(page, `/devices?q=tag:${tag}`);
  await page.getByRole("link", { name: "Group…" }).click();
  await group.fill(name);
  await dialog.getByLabel("What to do").selectOption({ label: "Take them out" });
  await dialog.getByRole("button", { name: "Do it for 2 devices" }).click();
  await expect(note(page, "Grouped")).toBeVisible();
  await open(page, `/groups?name=${name}`);
  await expect(page.getByRole("heading", { name: "No device in it" })).toBeVisible();
  await rest("DELETE", `/groups/${encodeURIComponent(name)}`);
});

const members = (page: Page, name: string) => page.getByRole("table", { name: `Devices of ${name}` });
