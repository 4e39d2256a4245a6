// A customer's authority: registered, proved with the lines that the console shows, and its lists of revoked certificates.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { OwnersAuthority } from "../../support/authority";
import { unique } from "../../support/system";
import { card, expect, fact, look, note, open, picture, test } from "../../support/test";

test.use({ role: "admin" });

test("a customer's authority is proved, its list is taken, and a wrong or an old one is not", async ({ page }) => {
  const authority = new OwnersAuthority(unique("Plant"));
  const stranger = new OwnersAuthority(unique("Stranger"));
  await open(page, "/enrolment?tab=own");
  const register = card(page, "Register an authority");
  await register.getByLabel("What you call it").fill(authority.name);
  await register.getByLabel("Certificate", { exact: true }).fill("-----BEGIN X509 CRL-----");
  await register.getByRole("button", { name: "Register", exact: true }).click();
  await expect(register.getByLabel("Certificate", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await register.getByLabel("Certificate", { exact: true }).fill(authority.certificate);
  await register.getByRole("button", { name: "Register", exact: true }).click();

  const own = card(page, authority.name);
  await expect(own).toContainText("Not proved yet");
  // Whoever has not proved that the key is theirs brings no list.
  await expect(own.getByText("Bring its list of revoked certificates")).toHaveCount(0);
  const lines = await own.getByRole("region", { name: "With openssl; ca.pem and ca.key are the authority's" }).innerText();
  await own.getByLabel("Verification certificate").fill(authority.proof(lines));
  await own.getByRole("button", { name: "Verify" }).click();
  await expect(note(page, "Possession proved")).toBeVisible();
  await expect(own).toContainText("Proved, not enabled");
  await expect(fact(own, "Its list of revoked certificates")).toHaveText("none yet");

  await own.getByText("Bring its list of revoked certificates").click();
  const list = own.getByLabel("List", { exact: true });
  const bring = async (text: string) => {
    await list.fill(text);
    await own.getByRole("button", { name: "Bring list" }).click();
  };
  await bring(authority.certificate);
  await expect(list).toHaveAccessibleDescription(/The list is refused: it is neither PEM \(-----BEGIN X509 CRL-----\) nor DER\./);
  await bring(stranger.list("01", ["0A"]));
  await expect(list).toHaveAccessibleDescription(/The list is refused: it is not from this authority;/);
  await expect(list).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-list-refused");

  await bring(authority.list("02", ["0A"]));
  await expect(note(page, "List brought")).toBeVisible();
  await expect(fact(own, "Its list of revoked certificates")).toContainText("1 certificate on it, made ");
  await expect(fact(own, "Its list of revoked certificates")).toContainText("from Adrian Admin");
  await look(page, "journey-list");

  // An old list must not bring back what a newer one has revoked.
  if (!(await list.isVisible())) await own.getByText("Bring its list of revoked certificates").click();
  await bring(authority.list("01", []));
  await expect(list).toHaveAccessibleDescription(/A list that is as new, or newer, is here already: numbers and times only grow\./);
  await bring(authority.list("03", ["0A", "0B"]));
  await expect(fact(own, "Its list of revoked certificates")).toContainText("2 certificates on it, made ");
  await expect(list).not.toHaveAttribute("aria-invalid");
  await picture(page, "journey-list-renewed");

  // From now on it is fetched from where its owner publishes it.
  const published = authority.list("04", ["0A", "0B", "0C"]);
  const site = createServer((asked, answer) => {
    if (asked.url === "/plant.crl") answer.end(published);
    else answer.writeHead(404).end();
  });
  await new Promise<void>((listening) => site.listen(0, "127.0.0.1", listening));
  const at = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  await own.getByText("Fetch its list of revoked certificates from an address").click();
  const address = own.getByLabel("Address", { exact: true });
  const set = async (url: string) => {
    await address.fill(url);
    await own.getByRole("button", { name: "Set address" }).click();
  };
  await set("http://admin:secret@127.0.0.1/plant.crl");
  await expect(address).toHaveAccessibleDescription(/Leave user name and password out/);
  await expect(address).toHaveAttribute("aria-invalid", "true");
  await look(page, "journey-list-address-refused");
  await set(`${at}/other.crl`);
  await expect(fact(own, "Fetched from")).toContainText("it answers 404 Not Found, not 200");
  await look(page, "journey-list-not-fetched");
  if (!(await address.isVisible())) await own.getByText("Fetch its list of revoked certificates from an address").click();
  await set(`${at}/plant.crl`);
  await expect(fact(own, "Fetched from")).toContainText("it gave a list that counts");
  await expect(fact(own, "Its list of revoked certificates")).toContainText("3 certificates on it, made ");
  await expect(fact(own, "Its list of revoked certificates")).toContainText(`from ${at}/plant.crl`);
  await picture(page, "journey-list-fetched");
  site.close();
});
