// Authorities that can't be trusted any more: a certificate that nobody issued raises an alarm, and one whose key is lost is given up. And those that are
// made ahead: for claims, and by a root that is elsewhere. On a server of its own, because what is given up cuts off every device.
import { OwnersAuthority } from "../../support/authority";
import { connected, enrolled, expectOnline, gone, token } from "../../support/devices";
import { test, type Own } from "../../support/own";
import { restOf, unique } from "../../support/system";
import { card, expect, look, note, open, picture, refusedByBrowser, state, withoutLimits } from "../../support/test";

test.describe.configure({ mode: "serial", timeout: 240_000 });

test("a certificate that was never issued raises an alarm, which stays until somebody has looked at it", async ({ own, page }) => {
  // What a backup that was put back looks like: the authority has signed it, and the database knows nothing of it.
  const backup = await own.backup();
  const [device] = await enrolled([unique("unknown")], [], own);
  await own.restore(backup);
  const line = page.getByRole("link", { name: /may be in other hands, or the database was set back\./ });
  const agent = connected(device!);
  try {
    await expect(async () => {
      await open(page, "/");
      await expect(line).toBeVisible({ timeout: 3_000 });
    }).toPass({ timeout: 90_000 });
  } finally {
    // As long as it is shown, each time gives the alarm again.
    await gone(agent);
  }
  await picture(page, "journey-alarm-overview");
  await line.click();
  const alarm = page.getByRole("alert").filter({ hasText: "Somebody else may have this authority's key." });
  await expect(alarm).toContainText(device!.id);
  await expect(alarm).toContainText("it has this authority's signature and was never issued here.");
  await expect(alarm).toContainText("If a backup was put back, devices that were enrolled after it show such certificates: enrol them again.");
  await look(page, "journey-alarm");
  const its = page.url();
  await open(page, "/certificates");
  await expect(page.getByRole("table", { name: "Authorities" }).getByRole("row").filter({ hasText: "Alarm" })).toHaveCount(1);
  await open(page, its);
  await alarm.getByRole("button", { name: "I have looked at it" }).click();
  await expect(alarm).toHaveCount(0);
  await open(page, "/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await expect(line).toHaveCount(0);
  await open(page, "/audit?q=authority.cleared");
  await expect(page.getByRole("table", { name: "Audit log" }).getByRole("cell", { name: "Ada Alone" })).toBeVisible();
});

test("an authority is given up: what it signed counts no more, tokens freeze, and devices come back by their old keys", async ({ own, page }) => {
  const [device] = await enrolled([unique("cut")], [], own);
  const id = device!.id;
  const label = unique("Left over");
  await token(label, 5, [], own);
  let agent = connected(device!);
  try {
    await expectOnline(device!, own);
    const old = `/certificates/authorities/${await issuing(own)}`;
    await open(page, old);
    const name = await page.getByRole("heading", { level: 1 }).innerText();

    await page.getByRole("link", { name: "Give up as compromised…" }).click();
    const dialog = page.getByRole("dialog", { name: "Change an authority" });
    await expect(dialog).toContainText(`Give up as compromised: ${name}`);
    await expect(dialog).toContainText("The connections of 1 certificate are cut, until they enrol again or you let them back by their keys.");
    await expect(dialog).toContainText("the enrolment tokens and claims there are now stay frozen until you lift that. This can't be undone.");
    const confirm = dialog.getByLabel(`Type ${name} to confirm`);
    await confirm.fill("Some other authority");
    await dialog.getByRole("button", { name: "Give up as compromised" }).click();
    expect(await refusedByBrowser(confirm)).not.toBe("");
    await confirm.fill(name);
    await look(page, "journey-give-up");
    await dialog.getByRole("button", { name: "Give up as compromised" }).click();
    await expect(note(page, "It is given up")).toBeVisible();
    await expect(state(page, "Compromised")).toBeVisible();
    await expect(page.getByRole("alert")).toContainText("Given up: somebody else may have its key. Nothing of it is believed, for good.");
    await expect(card(page, "Where it stands")).toContainText("Nothing is issued for its use until another authority is staged and activated.");
    await expect(card(page, "Where it stands")).toContainText("1 device had no other certificate.");
    const after = card(page, "Its devices");
    await expect(after).toContainText("1 device has a certificate of it and none that is trusted, so they are cut off.");
    await expect(after).toContainText("They stay out until they are enrolled again or are let back by their old keys.");
    await look(page, "journey-given-up");
    await gone(agent);

    // What is cut off can be listed, and says why.
    await after.getByRole("link", { name: "Devices that are cut off" }).click();
    await expect(page).toHaveURL(/\/devices\?q=certificate/);
    await expect(page.getByRole("main")).toContainText(id);
    await open(page, `/devices/${id}/certificates`);
    await expect(page.getByRole("table", { name: "Certificates of this device" })).toContainText("Not trusted");
    await open(page, `/certificates?q=${id}`);
    const issuer = page.getByRole("table", { name: "Device certificates" }).getByRole("cell", { name: `${name} Compromised` });
    await expect(issuer).toBeVisible();
    await open(page, "/enrolment");
    const left = page.getByRole("table", { name: "Enrolment tokens" }).getByRole("row").filter({ hasText: label });
    await expect(left).toContainText("Frozen");
    await expect(left).toContainText(`since ${name} was given up`);
    await picture(page, "journey-frozen-token");

    // The overview does not call that well.
    await open(page, "/");
    const cut = page.getByRole("link", { name: `1 device is cut off since ${name} was given up` });
    await expect(cut).toHaveAttribute("href", "/devices?q=certificate:untrusted");

    // The one that comes after it is staged from where one stands.
    await open(page, old);
    await page.getByRole("link", { name: "Stage the next one…" }).click();
    await dialog.getByRole("button", { name: "Stage the next one" }).click();
    await expect(state(page, "Staged")).toBeVisible();
    await page.getByRole("link", { name: "Activate…" }).click();
    await dialog.getByRole("button", { name: "Activate", exact: true }).click();
    await expect(state(page, "Active")).toBeVisible();
    await open(page, old);
    await expect(card(page, "Where it stands")).toContainText("has come after it.");
    await expect(page.getByRole("link", { name: "Stage the next one…" })).toHaveCount(0);

    const days = after.getByLabel("For so many days");
    await after.getByLabel("They come back").selectOption({ label: "At once" });
    await days.fill("91");
    await after.getByRole("button", { name: "Save" }).click();
    expect(await refusedByBrowser(days)).toMatch(/90/);
    await withoutLimits(days);
    await after.getByRole("button", { name: "Save" }).click();
    await expect(days).toHaveAccessibleDescription(/Give 1 to 90 days\./);
    await picture(page, "journey-way-back-refused");
    await days.fill("7");
    await after.getByRole("button", { name: "Save" }).click();
    await expect(note(page, "The way back is changed")).toBeVisible();
    await expect(after).toContainText("They come back by themselves, each by its old key, until ");

    agent = connected(device!);
    await expectOnline(device!, own);
    await open(page, old);
    await expect(card(page, "Where it stands")).toContainText("No device is left whose only certificate was its.");
    await expect(after).toContainText("No device is cut off by its end any more.");
    await open(page, `/devices/${id}/certificates`);
    await expect(page.getByRole("table", { name: "Certificates of this device" })).toContainText("Valid");

    await open(page, old);
    await expect(after).toContainText("are frozen. Revoke those that nobody needs before you lift that; new ones work at once.");
    await after.getByRole("button", { name: "Lift the freeze" }).click();
    await expect(note(page, "Tokens and claims count again")).toBeVisible();
    await expect(after.getByRole("button", { name: "Lift the freeze" })).toHaveCount(0);
    await look(page, "journey-after-it-was-given-up");
    await open(page, "/enrolment");
    await expect(left).toContainText("Usable");
    await expect(left).not.toContainText("given up");
  } finally {
    await gone(agent);
  }
});

test("claims get their authority before the root's key goes", async ({ own, page, browser }) => {
  const make = page.getByRole("button", { name: "Make the authority for claims now" });
  const authorities = page.getByRole("table", { name: "Authorities" });
  await open(page, "/certificates/authorities");
  await expect(card(page, "To do about roots")).toContainText("Once the key is gone from here, this needs the root's file:");
  await expect(authorities.getByRole("cell", { name: "issues claims" })).toHaveCount(0);
  await look(page, "journey-claims-without-authority");
  const viewer = await own.person(browser, "Vera Viewer", "viewer");
  await open(viewer, "/certificates/authorities");
  await expect(viewer.getByText("Only an admin can change authorities.")).toBeVisible();
  await expect(viewer.getByRole("button", { name: "Make the authority for claims now" })).toHaveCount(0);
  await viewer.context().close();

  await make.click();
  await expect(note(page, "Claims have their authority")).toBeVisible();
  await open(page, "/certificates/authorities");
  await expect(authorities.getByRole("cell", { name: "issues claims" })).toHaveCount(1);
  await expect(make).toHaveCount(0);
});

test("a request that is to be signed elsewhere is made and given up, and what is no answer to one is refused", async ({ own, page, browser }) => {
  await open(page, "/certificates/authorities");
  await page.getByRole("link", { name: "Signed elsewhere" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Signed elsewhere" })).toBeVisible();
  const requests = page.locator("section.card").filter({ has: page.getByRole("button", { name: "Give it up" }) });
  await expect(requests).toHaveCount(0);
  await page.getByLabel("It will issue to").selectOption({ label: "Devices" });
  await page.getByRole("button", { name: "Make a key and a request" }).click();
  await expect(note(page, "The request is ready")).toBeVisible();
  await open(page, "/certificates/authorities/elsewhere");
  await expect(requests).toHaveCount(1);
  await expect(requests.getByRole("region", { name: "The request as PEM" })).toContainText("-----BEGIN CERTIFICATE REQUEST-----");
  await expect(requests).toContainText("Asked for by Ada Alone");

  const back = card(page, "3. Bring the certificate back");
  const certificates = back.getByLabel("Certificates, PEM");
  for (const wrong of ["nonsense", new OwnersAuthority(unique("Stranger")).certificate]) {
    await certificates.fill(wrong);
    await back.getByRole("button", { name: "Check and stage" }).click();
    await expect(back.getByRole("alert")).toBeVisible();
    // What was pasted is there to be put right.
    await expect(certificates).toHaveValue(/nonsense|BEGIN CERTIFICATE/);
  }
  await look(page, "journey-signed-elsewhere-refused");
  await requests.getByRole("button", { name: "Give it up" }).click();
  await expect(note(page, "The request is given up")).toBeVisible();
  await open(page, "/certificates/authorities/elsewhere");
  await expect(card(page, "1. Ask")).toBeVisible();
  await expect(requests).toHaveCount(0);

  const operator = await own.person(browser, "Otto Operator", "operator");
  await open(operator, "/certificates/authorities/elsewhere");
  await expect(operator.getByRole("heading", { name: "Not for you" })).toBeVisible();
  await expect(operator.getByRole("main").getByRole("button")).toHaveCount(0);
  await operator.context().close();
});

/** The authority that issues to devices. */
async function issuing(own: Own) {
  const all = (await restOf(own, "GET", "/authorities")).items as { id: string; kind: string; state: string }[];
  return all.find((one) => one.kind === "device" && one.state === "active")!.id;
}
