// Before the first test: a system to test, two more people, and a signed-in browser state for each role.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium, type FullConfig } from "@playwright/test";
import { foldersOfRun } from "./folders";
import { forgetSession, sessionOf } from "./sessions";
import { NOSCRIPT_ROLLOUT, quarantined, rest, results, system, type Role } from "./system";

export default async function setup(config: FullConfig) {
  mkdirSync(results, { recursive: true });
  const takeFolders = foldersOfRun();
  const stop = process.env.END2END_SYSTEM ? undefined : await startSystem();
  addPeople();
  await draftForLater();
  await quarantined();
  const { launchOptions } = config.projects[0]!.use;
  const browser = await chromium.launch(launchOptions);
  for (const role of ["operator", "admin", "approver", "viewer"] as Role[]) {
    forgetSession(role);
    await sessionOf(browser, role);
  }
  await browser.close();
  return async () => {
    await stop?.();
    takeFolders();
  };
}

/** A second admin and a viewer, as an operator of the machine would add them; known to the tests through the same file. */
function addPeople() {
  const known = system();
  if (known.viewer) return;
  const add = (key: "approver" | "viewer", name: string, role: string) => {
    const person = { email: `${key}@demo.example`, password: randomBytes(12).toString("hex") };
    const file = join(results, `${key}.password`);
    writeFileSync(file, person.password, { mode: 0o600 });
    execFileSync(known.fleetward, [
      "user", "add", "--data", known.data, "--email", person.email, "--name", name, "--role", role, "--password-file", file,
    ]);
    rmSync(file);
    return person;
  };
  const approver = add("approver", "Ava Approver", "admin");
  const viewer = add("viewer", "Vic Viewer", "viewer");
  writeFileSync(process.env.END2END_SYSTEM!, JSON.stringify({ ...known, approver, viewer }));
}

async function draftForLater() {
  const known = (await rest("GET", "/rollouts")).items as { name: string }[];
  if (known.some((rollout) => rollout.name === NOSCRIPT_ROLLOUT)) return;
  const releases = (await rest("GET", "/releases")).items as { id: string; version: string }[];
  const drafted = await rest("POST", "/rollouts", {
    name: NOSCRIPT_ROLLOUT,
    release: releases.find((release) => release.version === "1.1.0")!.id,
    stages: [{ name: "Everyone", reach: { percent: 100 } }],
    start_at: Date.now() + 20 * 86_400_000,
    reason: "So that the form has something to decide on.",
  });
  await rest("POST", `/rollouts/${drafted.row.id}/submit`, {});
}

/** For `npx playwright test` by hand: what `cargo xtask test` would have started. */
async function startSystem() {
  const file = join(results, "system.json");
  rmSync(file, { force: true });
  const demo = spawn("cargo", ["xtask", "demo", "--dev", "--devices", "54", "--flaky", "2", "--soak", "1", "--json", file], { stdio: "inherit" });
  const ended = new Promise<void>((resolve) => demo.once("exit", () => resolve()));
  while (!existsSync(file)) {
    if (demo.exitCode !== null) throw new Error(`cargo xtask demo ended with ${demo.exitCode}`);
    await sleep(200);
  }
  process.env.END2END_SYSTEM = file;
  return async () => {
    demo.kill("SIGTERM");
    await ended;
  };
}
