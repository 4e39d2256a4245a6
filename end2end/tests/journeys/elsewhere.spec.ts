// A root that is kept elsewhere: the next authority for devices is asked for in the console, signed with the root's file and brought back; and once the key is
// gone from the server, the root's list of revoked certificates goes the same way. On a server of its own, because a root leaves it.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "../../support/own";
import { restOf, system } from "../../support/system";
import { card, expect, hydrated, look, note, open, picture } from "../../support/test";

test.use({ kept: "elsewhere" });
test.describe.configure({ timeout: 120_000 });

const PATH = "/certificates/authorities/elsewhere";

test("an authority is signed where the root's key is, and the root's list after that", async ({ own, page }) => {
  const [passphrase, root] = [own.file("passphrase"), own.file("root.age")];
  writeFileSync(passphrase, "a few unrelated words\n", { mode: 0o600 });
  const key = ["--root", root, "--passphrase-file", passphrase];
  // Where the root's key is there is neither a server nor its data.
  const there = (...words: string[]) => execFileSync(system().fleetward, ["ca", ...words], { encoding: "utf8", stdio: "pipe" });
  own.fleetward("ca", "root", "export", "--passphrase-file", passphrase, "--out", root);

  await open(page, PATH);
  await expect(page.getByRole("heading", { name: /^List of revoked certificates of / })).toHaveCount(0);
  await page.getByLabel("It will issue to").selectOption({ label: "Devices" });
  await page.getByRole("button", { name: "Make a key and a request" }).click();
  await expect(note(page, "The request is ready")).toBeVisible();
  await open(page, PATH);
  const [csr, signed] = [own.file("ca.csr"), own.file("ca.pem")];
  writeFileSync(csr, await page.getByRole("region", { name: "The request as PEM" }).innerText());
  there("issue-intermediate", ...key, "--csr", csr, "--out", signed);
  const back = card(page, "3. Bring the certificate back");
  await back.getByLabel("Certificates, PEM").fill("nonsense");
  await back.getByRole("button", { name: "Check and stage" }).click();
  await expect(back.getByLabel("Certificates, PEM")).toHaveAccessibleDescription(/The file has no certificate in PEM \(-----BEGIN CERTIFICATE-----\)\./);
  await look(page, "journey-import-refused");
  await back.getByLabel("Certificates, PEM").fill(readFileSync(signed, "utf8"));
  await back.getByRole("button", { name: "Check and stage" }).click();
  await expect(note(page, "The certificate is in")).toBeVisible();
  await open(page, "/certificates/authorities");
  const staged = page.getByRole("table", { name: "Authorities" }).getByRole("row").filter({ hasText: "issues to devices" }).filter({ hasText: "Staged" });
  await expect(staged).toHaveCount(1);
  await picture(page, "journey-import-staged");
  await open(page, PATH);
  await expect(card(page, "1. Ask")).toBeVisible();
  await expect(page.getByRole("button", { name: "Give it up" })).toHaveCount(0);

  // The key leaves; from then on the list is signed where it is.
  own.fleetward("ca", "root", "offline", "--file", root, "--passphrase-file", passphrase, "--yes");
  const lists = page.locator("section.card").filter({ has: page.getByRole("heading", { level: 2, name: /^List of revoked certificates of / }) });
  await expect(async () => {
    await page.goto(PATH);
    await expect(lists).toHaveCount(1, { timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
  await hydrated(page);
  const { id } = ((await restOf(own, "GET", "/authorities")).items as { id: string; kind: string }[]).find((one) => one.kind === "root")!;
  const [request, list] = [own.file("request.json"), own.file("root.crl")];
  own.fleetward("ca", "crl", "request", id, "--out", request);
  there("root", "crl", ...key, "--request", request, "--out", list);
  const field = lists.getByLabel("The signed list, PEM");
  await field.fill("nonsense");
  await lists.getByRole("button", { name: "Check and publish" }).click();
  await expect(lists.getByRole("alert")).toBeVisible();
  // What was pasted is there to be put right.
  await expect(field).toHaveValue("nonsense");
  await look(page, "journey-root-list-refused");
  await field.fill(readFileSync(list, "utf8"));
  await lists.getByRole("button", { name: "Check and publish" }).click();
  await expect(note(page, "The list is published")).toBeVisible();
  await open(page, "/audit?q=crl.publish");
  await expect(page.getByRole("table", { name: "Audit log" }).getByRole("cell", { name: "Ada Alone" }).first()).toBeVisible();
});
