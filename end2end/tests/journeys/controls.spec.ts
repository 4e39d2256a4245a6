// What people do to a rollout besides approving it: rejected and sent again, started before its time, paused, resumed and stopped, each with a question before.
import { connected, enrolled, expectOnline, gone } from "../../support/devices";
import { rest, signedFirmware, system, unique, uploaded } from "../../support/system";
import { decide, expect, look, note, open, refusedByBrowser, someoneElse, state, test, withoutLimits } from "../../support/test";

test.describe.configure({ timeout: 180_000 });

test("a rollout is rejected, sent again, started early, paused, resumed and stopped", async ({ page, browser }) => {
  // A type of its own: nobody else counts its devices, and no other rollout means them. The device is away, so that the stage runs on.
  const [type, name] = [unique("crane"), unique("Cranes")];
  const [device] = await enrolled([unique("test-crane")], [], undefined, "", type);
  const agent = connected(device!, ["--trusted-key", `${system().signing_key}.pub`]);
  await expectOnline(device!);
  await gone(agent);
  const version = `61.0.${Date.now()}`;
  const { payload, manifest } = signedFirmware(version, 61, `crane ${version}`, undefined, type);
  await uploaded([payload, manifest]);
  const release = (await rest("GET", `/releases?q=${version}`)).items[0];
  if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
  const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
  const spec = {
    name,
    release: release.id,
    stages: [{ name: "All", reach: { percent: 100 }, soak_s: 0, gate }],
    start_at: Date.now() + 20 * 86_400_000,
    reason: "To see what people do with it.",
  };
  const drafted = await rest("POST", "/rollouts", spec);
  const path = `/rollouts/${drafted.row.id}`;
  const ask = async (verb: string, on = page) => {
    await open(on, path);
    await on.getByRole("link", { name: `${verb}…` }).first().click();
    const asked = on.getByRole("dialog", { name: `${verb}: ${name}` });
    await expect(asked).toBeVisible();
    return asked;
  };

  await (await ask("Send for approval")).getByRole("button", { name: "Send for approval" }).click();
  await expect(note(page, "Sent for approval")).toBeVisible();
  const approver = await someoneElse(browser, "approver");
  await open(approver, path);
  await decide(approver, "Reject", "Cranes stand still on Fridays only.");
  await expect(note(approver, "Rejected")).toBeVisible();
  await open(page, path);
  await expect(state(page, "Rejected")).toBeVisible();
  await expect(page.getByRole("main")).toContainText("Cranes stand still on Fridays only.");
  await look(page, "journey-rollout-rejected");
  // What was rejected is no draft before it was changed.
  await expect(page.getByRole("button", { name: "Send for approval…" })).toBeDisabled();
  const { generation } = await rest("GET", path);
  await rest("PUT", path, { generation, spec: { ...spec, reason: "On a Friday." } });

  await (await ask("Send for approval")).getByRole("button", { name: "Send for approval" }).click();
  await expect(note(page, "Sent for approval")).toBeVisible();
  await open(approver, path);
  await decide(approver, "Approve", "It is a Friday.");
  await expect(note(approver, "Approved")).toBeVisible();
  await open(page, path);
  await expect(state(page, "Scheduled")).toBeVisible();

  // Whoever may only look is offered none of it, nor by the address of a question.
  const viewer = await someoneElse(browser, "viewer");
  await open(viewer, path);
  await expect(state(viewer, "Scheduled")).toBeVisible();
  await expect(viewer.getByRole("main").getByRole("link", { name: /^(Start now|Pause|Stop|Edit plan)/ })).toHaveCount(0);
  await open(viewer, `${path}/stop`);
  await expect(viewer.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(viewer.getByRole("main").getByRole("button", { name: "Stop", exact: true })).toHaveCount(0);
  await viewer.context().close();

  // The time was approved, too.
  await expect(page.getByRole("button", { name: "Start now…" })).toBeDisabled();
  const start = await ask("Start now", approver);
  await expect(start).toContainText("Stage 1 begins now instead of at the planned time.");
  await start.getByRole("button", { name: "Start now" }).click();
  await expect(note(approver, "Started")).toBeVisible();
  await approver.context().close();
  await open(page, path);
  await expect(state(page, "Running")).toBeVisible({ timeout: 20_000 });

  const pause = await ask("Pause");
  await expect(pause).toContainText("No further device is offered the release;");
  await look(page, "journey-rollout-pause");
  await pause.getByLabel("Reason (optional)").fill("The wind is too strong.");
  await pause.getByRole("button", { name: "Pause" }).click();
  await expect(note(page, "Paused")).toBeVisible();
  await open(page, path);
  await expect(state(page, "Paused")).toBeVisible();
  await (await ask("Resume")).getByRole("button", { name: "Resume" }).click();
  await expect(note(page, "Resumed")).toBeVisible();
  await open(page, path);
  await expect(state(page, "Running")).toBeVisible();

  const stop = await ask("Stop");
  await expect(stop).toContainText("This ends the rollout for good.");
  const typed = stop.getByLabel(`Type ${name} to confirm`);
  const reason = stop.getByLabel("Reason (required)");
  const doIt = stop.getByRole("button", { name: "Stop", exact: true });
  await reason.fill("Seen.");
  await typed.fill("Another rollout");
  await doIt.click();
  expect(await refusedByBrowser(typed)).not.toBe("");
  await withoutLimits(typed);
  await doIt.click();
  await expect(typed).toHaveAccessibleDescription(`Type ${name} to confirm.`);
  await expect(reason).toHaveValue("Seen.");
  await look(page, "journey-rollout-stop-refused");
  await typed.fill(name);
  await doIt.click();
  await expect(note(page, "Stopping")).toBeVisible();
  await open(page, path);
  await expect(state(page, "Stopped")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole("link", { name: "New rollout from this" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("Seen.");
  await look(page, "journey-rollout-stopped");
  await rest("POST", `/devices/${device!.id}/life`, { step: "decommission" });
});

test("a stage that waits for a person is followed by the next one when somebody says so", async ({ page, browser }) => {
  const [type, name] = [unique("press"), unique("Presses")];
  const [lab, field] = await enrolled([unique("test-lab"), unique("test-field")], [], undefined, "", type);
  const trusting = ["--trusted-key", `${system().signing_key}.pub`];
  const agents = [lab!, field!].map((device) => connected(device, trusting));
  try {
    for (const device of [lab!, field!]) await expectOnline(device);
    // The second one is away when its stage begins, so that it runs on.
    await gone(agents[1]!);
    const version = `62.0.${Date.now()}`;
    const { payload, manifest } = signedFirmware(version, 62, `press ${version}`, undefined, type);
    await uploaded([payload, manifest]);
    const release = (await rest("GET", `/releases?q=${version}`)).items[0];
    if (release.state === "verified") await rest("POST", `/releases/${release.id}/publish`, {});
    const gate = { success_percent: 0, error_percent: 100, min_sample: 1, max_errors: 0 };
    const drafted = await rest("POST", "/rollouts", {
      name,
      release: release.id,
      stages: [
        { name: "Lab", reach: { matching: `id:${lab!.id}` }, soak_s: 0, confirm: true, gate },
        { name: "Field", reach: { percent: 100 }, soak_s: 0, gate },
      ],
      reason: "To see who lets it go on.",
    });
    const path = `/rollouts/${drafted.row.id}`;
    await rest("POST", `${path}/submit`, {});
    const approver = await someoneElse(browser, "approver");
    await open(approver, path);
    await decide(approver, "Approve", "The lab first.");
    await approver.context().close();

    // The page is not loaded anew meanwhile.
    await open(page, path);
    const next = page.getByRole("link", { name: "Start stage 2…" }).first();
    await expect(next).toBeVisible({ timeout: 90_000 });
    const viewer = await someoneElse(browser, "viewer");
    await open(viewer, path);
    await expect(state(viewer, "Running")).toBeVisible();
    await expect(viewer.getByRole("link", { name: "Start stage 2…" })).toHaveCount(0);
    await viewer.context().close();
    await next.click();
    const dialog = page.getByRole("dialog", { name: `Start stage 2: ${name}` });
    await expect(dialog).toContainText("Stage 2, Field, begins: ");
    await dialog.getByLabel("Reason (optional)").fill("The lab is content.");
    await look(page, "journey-stage-promoted");
    await dialog.getByRole("button", { name: "Start stage 2" }).click();
    await expect(note(page, "Stage ended")).toBeVisible();
    await open(page, path);
    await expect(page.getByRole("link", { name: "Start stage 2…" })).toHaveCount(0);
    await expect.poll(async () => (await rest("GET", path)).row.stage).toBe(2);
    await expect(page.getByRole("main")).toContainText("The lab is content.");
    await rest("POST", `${path}/stop`, { reason: "Seen." });
  } finally {
    for (const agent of agents) await gone(agent);
  }
  for (const { id } of [lab!, field!]) await rest("POST", `/devices/${id}/life`, { step: "decommission" });
});
