// Browsers in which somebody is signed in: each role's state is kept in a file, and made anew before it is too old.
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "@playwright/test";
import { results, system, type Role } from "./system";

/** Whoever uses a session after a quarter of an hour renews it, and what others have kept of it is worth nothing a minute later. A test takes its part of that. */
const FRESH_MS = 10 * 60_000;

const kept = (role: Role) => join(results, `signed-in-${role}.json`);

/** The state of a browser in which somebody has just signed in. */
export async function signIn(browser: Browser, baseURL: string, { email, password }: { email: string; password: string }) {
  // Nobody yet, whoever the test that asks is signed in as.
  const context = await browser.newContext({ baseURL, storageState: { cookies: [], origins: [] } });
  const page = await context.newPage();
  await page.goto("/sign-in");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  const state = await context.storageState();
  await context.close();
  return state;
}

/** What is kept of an earlier system is worth nothing in this one. */
export const forgetSession = (role: Role) => rmSync(kept(role), { force: true });

/** The file with a state in which this role is signed in, for longer than a test takes. */
export async function sessionOf(browser: Browser, role: Role) {
  const file = kept(role);
  const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Date.now() - made > FRESH_MS) {
    // Other workers may read it meanwhile.
    const whole = `${file}.${process.pid}`;
    writeFileSync(whole, JSON.stringify(await signIn(browser, system().operator_url, system()[role])), { mode: 0o600 });
    renameSync(whole, file);
  }
  return file;
}
