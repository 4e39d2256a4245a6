// A device that a gateway brings with a shared secret: nobody knows it, it waits, and a person lets it in on its page. On a server of its own, because who may
// bring devices holds for the whole organization.
import { Agent, get } from "node:https";
import { test } from "../../support/own";
import { restOf, unique } from "../../support/system";
import { card, expect, look, note, open, state } from "../../support/test";

test.use({ kept: "gateways" });
test.describe.configure({ timeout: 120_000 });

test("a device that a gateway announces waits until a person lets it in", async ({ own, page, browser }) => {
  const [label, type, id] = [unique("Hall"), unique("meter"), unique("test-brought")];
  await open(page, "/enrolment?tab=hawkbit");
  const setting = card(page, "Tokens instead of certificates");
  await setting.getByRole("button", { name: "Take tokens" }).click();
  await expect(setting).toContainText("Tokens speak for devices that are named here and have no certificate.");
  await open(page, "/enrolment?tab=hawkbit");
  const form = card(page, "New gateway token");
  await form.getByLabel("What it is for").fill(label);
  await form.getByLabel("Device type").fill(type);
  await form.getByRole("button", { name: "Make gateway token" }).click();
  // The lines that stand there are all that its owner takes along.
  const lines = await card(page, `Gateway token ${label}`).getByRole("region", { name: "SWUpdate's configuration" }).innerText();
  const said = (word: string) => new RegExp(`\\b${word} = "([^"]*)";`).exec(lines)![1]!;
  const asks = () => polled(`${said("url")}/${said("tenant")}/controller/v1/${id}`, said("gatewaytoken"));
  const standing = async () => (await restOf(own, "GET", `/devices?q=id:${id}`)).items[0]?.state;

  // A gateway brings nobody before somebody has said that it may.
  const refused = await asks();
  expect([refused.status, refused.body.code]).toEqual([403, "unknown_device"]);
  expect(await standing()).toBeUndefined();
  await setting.getByRole("button", { name: "Let gateways announce devices" }).click();
  await expect(note(page, "Setting changed")).toBeVisible();
  await open(page, "/enrolment?tab=hawkbit");
  await expect(setting).toContainText("each waits until a person lets it in.");
  const first = await asks();
  expect([first.status, first.body._links?.deploymentBase]).toEqual([200, undefined]);
  expect(await standing()).toBe("pending");

  await setting.getByRole("link", { name: "Devices that wait" }).click();
  await expect(page).toHaveURL((url) => url.pathname === "/devices" && url.searchParams.get("q") === "state:pending");
  const row = page.getByRole("table", { name: "Devices" }).getByRole("row").filter({ has: page.getByRole("link", { name: id, exact: true }) });
  await expect(row).toContainText("Pending");
  await expect(row).toContainText(type);
  await look(page, "journey-gateway-waits");

  // Whoever may only look lets nobody in.
  const viewer = await own.person(browser, unique("Vera"), "viewer");
  await open(viewer, `/devices/${id}`);
  await expect(state(viewer, "Pending")).toBeVisible();
  await expect(viewer.getByRole("link", { name: "Let in…" })).toHaveCount(0);
  await open(viewer, `/devices/${id}/admit`);
  await expect(viewer.getByRole("alert")).toContainText("Let in is not possible now, or your role does not allow it.");
  await viewer.context().close();

  const operator = await own.person(browser, unique("Otto"), "operator");
  await open(operator, `/devices/${id}`);
  await operator.getByRole("link", { name: "Let in…" }).click();
  const dialog = operator.getByRole("dialog", { name: `Let in ${id}?` });
  await expect(dialog).toContainText("A gateway has announced it with a shared secret; nothing else says who it is.");
  await look(operator, "journey-gateway-let-in");
  await dialog.getByRole("button", { name: "Let in", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(state(operator, "Offline")).toBeVisible();
  await expect(operator.getByRole("link", { name: "Let in…" })).toHaveCount(0);
  expect(await standing()).toBe("active");
  expect((await asks()).status).toBe(200);
  await open(operator, `/devices/${id}/activity`);
  for (const deed of ["Let in", "Announced with a shared secret"]) await expect(card(operator, "Activity")).toContainText(deed);
  await operator.context().close();

  // Nobody waits any more, and the token says that it was used.
  await open(page, "/devices?q=state%3Apending");
  await expect(page.getByRole("link", { name: id, exact: true })).toHaveCount(0);
  const tokens = (await restOf(own, "GET", "/gateway-tokens")).items as { label: string; last_used_at?: number }[];
  expect(tokens.find((token) => token.label === label)!.last_used_at).toBeGreaterThan(0);
});

/** What hawkBit's client does: asks whether there is something for the device. Who is asked is not what this is about. */
function polled(url: string, secret: string) {
  const agent = new Agent({ rejectUnauthorized: false });
  return new Promise<{ status: number; body: any }>((resolve, reject) => {
    const asked = get(url, { agent, family: 4, headers: { authorization: `GatewayToken ${secret}` } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode!, body: text ? JSON.parse(text) : {} }));
    });
    asked.on("error", reject);
  }).finally(() => agent.destroy());
}
