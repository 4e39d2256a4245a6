// A customer's authority beside its lists: another code, the policy it is enabled with, and its end.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { OwnersAuthority } from "../../support/authority";
import { unique } from "../../support/system";
import { card, expect, fact, look, note, open, someoneElse, test } from "../../support/test";

test.use({ role: "admin" });

test("a customer's authority is proved by another code, enabled with a policy, disabled and removed", async ({ page, browser }) => {
  const authority = new OwnersAuthority(unique("Works"));
  const own = await registered(page, authority);
  const address = page.url();
  const before = (await fact(own, "Code").innerText()).trim();
  await own.getByRole("button", { name: "Make another code" }).click();
  await expect(note(page, "Code made")).toBeVisible();
  await expect(fact(own, "Code")).not.toHaveText(before);
  // What proves another code proves nothing here.
  await own.getByLabel("Verification certificate").fill(authority.certificate);
  await own.getByRole("button", { name: "Verify" }).click();
  await expect(own.getByLabel("Verification certificate")).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-authority-proof-refused");
  await own.getByLabel("Verification certificate").fill(await proof(page, authority));
  await own.getByRole("button", { name: "Verify" }).click();
  await expect(note(page, "Possession proved")).toBeVisible();

  await open(page, address);
  const template = own.getByLabel("Device id", { exact: true });
  await template.fill("gw-{colour}");
  await own.getByRole("button", { name: "Enable", exact: true }).click();
  await expect(template).toHaveAccessibleDescription(/A template knows \{CN\}, \{serialNumber\} and \{SAN:URI\}\./);
  await expect(template).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-authority-policy-refused");
  await template.fill("works-{CN}");
  await own.getByLabel("New devices").selectOption({ label: "A person approves each" });
  await own.getByRole("button", { name: "Enable", exact: true }).click();
  await expect(note(page, "Authority enabled")).toBeVisible();
  await open(page, address);
  await expect(own).toContainText("Enabled");
  await expect(template).toHaveValue("works-{CN}");
  await expect(row(page, authority.name)).toContainText("wait for a person");
  await look(page, "journey-authority-enabled");

  const operator = await someoneElse(browser, "operator");
  await open(operator, address);
  await expect(card(operator, authority.name)).toContainText("Enabled");
  for (const name of ["Change policy", "Remove"]) await expect(card(operator, authority.name).getByRole("button", { name })).toHaveCount(0);
  await expect(card(operator, authority.name).getByRole("link", { name: "Disable…" })).toHaveCount(0);
  await expect(card(operator, "Register an authority")).toContainText("Only admins register an authority");
  await operator.context().close();

  await own.getByRole("link", { name: "Disable…" }).click();
  const dialog = page.getByRole("dialog", { name: `Disable ${authority.name}` });
  await expect(dialog).toContainText("0 devices that it has let in are cut off within a second, and none gets in until it is enabled again.");
  await look(page, "journey-authority-disable");
  await dialog.getByRole("button", { name: "Disable authority" }).click();
  await expect(note(page, "Authority disabled")).toBeVisible();
  await open(page, address);
  await expect(own).toContainText("Disabled");
  await expect(own.getByRole("link", { name: "Disable…" })).toHaveCount(0);
  await own.getByRole("button", { name: "Remove" }).click();
  await expect(note(page, "Authority removed")).toBeVisible();
  await open(page, "/enrolment?tab=own");
  await expect(row(page, authority.name)).toHaveCount(0);
});

test("an authority's list is fetched at once when somebody does not want to wait", async ({ page }) => {
  const authority = new OwnersAuthority(unique("Mill"));
  const own = await registered(page, authority);
  await own.getByLabel("Verification certificate").fill(await proof(page, authority));
  await own.getByRole("button", { name: "Verify" }).click();
  await expect(note(page, "Possession proved")).toBeVisible();
  let published = "";
  const site = createServer((_, answer) => {
    if (published) answer.end(published);
    else answer.writeHead(404).end();
  });
  await new Promise<void>((listening) => site.listen(0, "127.0.0.1", listening));
  try {
    await own.getByText("Fetch its list of revoked certificates from an address").click();
    await own.getByLabel("Address", { exact: true }).fill(`http://127.0.0.1:${(site.address() as AddressInfo).port}/mill.crl`);
    await own.getByRole("button", { name: "Set address" }).click();
    await expect(fact(own, "Fetched from")).toContainText("it answers 404 Not Found, not 200");
    published = authority.list("01", ["0A"]);
    // It was asked when it was set, and is not asked again at once.
    await expect(async () => {
      await own.getByRole("button", { name: "Fetch now" }).click();
      await expect(note(page, "Its address is asked now")).toBeVisible({ timeout: 2_000 });
    }).toPass({ timeout: 30_000 });
    await expect(fact(own, "Fetched from")).toContainText("it gave a list that counts");
    await page.reload();
    await expect(fact(own, "Its list of revoked certificates")).toContainText("1 certificate on it, made ");
    await look(page, "journey-list-fetched-now");
  } finally {
    site.close();
  }
  await page.locator("html[data-hydrated]").waitFor();
  await own.getByRole("button", { name: "Remove" }).click();
  await expect(note(page, "Authority removed")).toBeVisible();
});

/** Registers it by the form, and shows it. */
async function registered(page: Page, authority: OwnersAuthority) {
  await open(page, "/enrolment?tab=own");
  const register = card(page, "Register an authority");
  await register.getByLabel("What you call it").fill(authority.name);
  await register.getByLabel("Certificate", { exact: true }).fill(authority.certificate);
  await register.getByRole("button", { name: "Register", exact: true }).click();
  const own = card(page, authority.name);
  await expect(own).toContainText("Not proved yet");
  await row(page, authority.name).getByRole("link", { name: authority.name }).click();
  await expect(page).toHaveURL(/ca=/);
  await expect(own).toContainText("Not proved yet");
  return own;
}

/** What its owner makes with the lines that the page shows. */
const proof = async (page: Page, authority: OwnersAuthority) =>
  authority.proof(await card(page, authority.name).getByRole("region", { name: "With openssl; ca.pem and ca.key are the authority's" }).innerText());

const row = (page: Page, name: string) => page.getByRole("table", { name: "Registered authorities" }).getByRole("row").filter({ hasText: name });
