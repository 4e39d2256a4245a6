// Before the first test: a system to test, and a signed-in browser state for each role.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium, type FullConfig } from "@playwright/test";
import { results, stateOf, system, type Role } from "./system";

export default async function setup(config: FullConfig) {
  mkdirSync(results, { recursive: true });
  const stop = process.env.END2END_SYSTEM ? undefined : await startSystem();
  const { launchOptions } = config.projects[0]!.use;
  const browser = await chromium.launch(launchOptions);
  for (const role of ["operator", "admin"] as Role[]) {
    const context = await browser.newContext({ baseURL: system().operator_url });
    const page = await context.newPage();
    await page.goto("/sign-in");
    await page.getByLabel("E-mail").fill(system()[role].email);
    await page.getByLabel("Password").fill(system()[role].password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL((url) => url.pathname === "/");
    await context.storageState({ path: stateOf(role) });
    await context.close();
  }
  await browser.close();
  return stop;
}

/** For `npx playwright test` by hand: what `cargo xtask test` would have started. */
async function startSystem() {
  const file = join(results, "system.json");
  rmSync(file, { force: true });
  const demo = spawn("cargo", ["xtask", "demo", "--dev", "--devices", "6", "--flaky", "1", "--soak", "1", "--json", file], { stdio: "inherit" });
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
