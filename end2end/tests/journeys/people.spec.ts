// People and API tokens: a login is made, gets another role and is switched off; a script's token is shown once and revoked.
import type { Page } from "@playwright/test";
import { system, unique } from "../../support/system";
import { card, expect, look, note, open, refusedByBrowser, test, withoutLimits } from "../../support/test";

test.describe("an admin", () => {
  test.use({ role: "admin" });

  test("adds a person, changes their role and switches them off", async ({ page }) => {
    const name = unique("Petra");
    const email = `${name.toLowerCase()}@demo.example`;
    await open(page, "/people");
    const form = card(page, "Add a person");
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("E-mail").fill(email);
    await form.getByLabel("Role").selectOption("viewer");
    const password = form.getByLabel("First password");
    await password.fill("short");
    await form.getByRole("button", { name: "Add person" }).click();
    await expect(password).toHaveAccessibleDescription(/The password is too short: use at least 12 characters\./);
    await expect(password).toHaveAttribute("aria-invalid", "true");
    // What was typed is there to be put right.
    await expect(form.getByLabel("E-mail")).toHaveValue(email);
    await look(page, "journey-person-refused");
    await password.fill("a few unrelated words");
    await form.getByRole("button", { name: "Add person" }).click();
    await expect(note(page, "Added")).toBeVisible();
    // The next one begins empty.
    for (const label of ["Name", "E-mail", "First password"]) await expect(form.getByLabel(label)).toHaveValue("");
    await open(page, "/people");
    await expect(person(page, name)).toContainText("Active");

    const role = person(page, name).getByLabel(`Role of ${name}`, { exact: true });
    await expect(role).toHaveValue("viewer");
    await role.selectOption("operator");
    await person(page, name).getByRole("button", { name: `Change the role of ${name}` }).click();
    await expect(note(page, "Role changed")).toBeVisible();
    await open(page, "/people");
    await expect(role).toHaveValue("operator");

    await person(page, name).getByRole("link", { name: "Switch off…" }).click();
    const dialog = page.getByRole("dialog", { name: `Switch off ${name}` });
    await expect(dialog).toContainText("They can't sign in any more, and their sessions end at once.");
    const confirm = dialog.getByLabel(`Type ${email} to confirm`);
    await confirm.fill("somebody-else@demo.example");
    await dialog.getByRole("button", { name: "Switch off" }).click();
    expect(await refusedByBrowser(confirm)).not.toBe("");
    await withoutLimits(confirm);
    await dialog.getByRole("button", { name: "Switch off" }).click();
    await expect(confirm).toHaveAccessibleDescription(new RegExp(`Type ${email} to confirm\\.`));
    await look(page, "journey-person-off-asked");
    await confirm.fill(email);
    await dialog.getByRole("button", { name: "Switch off" }).click();
    await expect(note(page, "Switched off")).toBeVisible();
    await open(page, "/people");
    await expect(person(page, name)).toContainText("Switched off");
    await expect(person(page, name).getByRole("link", { name: "Switch off…" })).toHaveCount(0);
    await expect(role).toHaveCount(0);
  });

  test("is told that an address has a login already", async ({ page }) => {
    await open(page, "/people");
    const form = card(page, "Add a person");
    await form.getByLabel("Name").fill("Once more");
    await form.getByLabel("E-mail").fill(system().viewer.email);
    await form.getByLabel("First password").fill("a few unrelated words");
    await form.getByRole("button", { name: "Add person" }).click();
    await expect(form.getByLabel("E-mail")).toHaveAttribute("aria-invalid", "true");
    await expect(form.getByRole("alert")).toBeVisible();
    await expect(page.getByRole("rowheader", { name: "Once more", exact: true })).toHaveCount(0);
  });
});

test("an operator makes a script's token, never a larger one than their own, and revokes it", async ({ page }) => {
  const name = unique("Pipeline");
  await open(page, "/people");
  // Whoever may not manage people is not offered to.
  await expect(page.getByRole("heading", { name: "Add a person" })).toHaveCount(0);
  await expect(page.getByRole("table", { name: "People" }).getByRole("link", { name: "Switch off…" })).toHaveCount(0);

  const form = card(page, "New API token");
  await form.getByLabel("What it is for").fill(name);
  const role = form.getByLabel("Its role");
  await role.selectOption("admin");
  await form.getByRole("button", { name: "Make token" }).click();
  await expect(role).toHaveAccessibleDescription(/A token can't have a larger role than you\./);
  await look(page, "journey-api-token-refused");
  await role.selectOption("viewer");
  const days = form.getByLabel("Valid for, in days");
  await days.fill("367");
  await form.getByRole("button", { name: "Make token" }).click();
  expect(await refusedByBrowser(days)).toMatch(/366/);
  await withoutLimits(days);
  await form.getByRole("button", { name: "Make token" }).click();
  await expect(days).toHaveAccessibleDescription(/A token lives 1 to 366 days\./);
  await days.fill("1");
  await form.getByRole("button", { name: "Make token" }).click();
  await expect(note(page, "Token made")).toBeVisible();
  const made = card(page, `API token for ${name}`);
  const secret = (await made.getByRole("region", { name: "API token" }).innerText()).trim();
  await look(page, "journey-api-token");
  const asks = () => fetch(`${system().operator_url}/api/v1/devices?rows=1`, { headers: { authorization: `Bearer ${secret}` } }).then((answer) => answer.status);
  expect(await asks()).toBe(200);

  // It is shown this once.
  await open(page, "/people");
  await expect(token(page, name)).toContainText("Usable");
  await expect(made).toHaveCount(0);
  await token(page, name).getByRole("link", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog", { name: `Revoke ${name}` });
  await expect(dialog).toContainText("Scripts that use it are refused from now on.");
  await look(page, "journey-api-token-revoke");
  await dialog.getByRole("button", { name: "Revoke token" }).click();
  await expect(note(page, "Token revoked")).toBeVisible();
  await open(page, "/people");
  await expect(token(page, name)).toContainText("Revoked");
  await expect(token(page, name).getByRole("link", { name: "Revoke…" })).toHaveCount(0);
  expect(await asks()).toBe(401);
});

test.describe("a viewer", () => {
  test.use({ role: "viewer" });

  test("sees who is there and is offered nothing", async ({ page }) => {
    await open(page, "/people");
    await expect(page.getByRole("table", { name: "People" }).getByRole("rowheader", { name: "Vic Viewer" })).toBeVisible();
    for (const heading of ["Add a person", "New API token"]) await expect(page.getByRole("heading", { name: heading })).toHaveCount(0);
    await expect(page.getByRole("main").getByRole("link", { name: /^(Switch off|Revoke)…$/ })).toHaveCount(0);
  });
});

const person = (page: Page, name: string) =>
  page.getByRole("table", { name: "People" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
const token = (page: Page, name: string) =>
  page.getByRole("table", { name: "API tokens" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
