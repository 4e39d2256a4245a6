// A server of a worker's own, for what must not happen to the one that all journeys share: there authorities are given up, key sets are
// published and the database is set back.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, cpSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext } from "@playwright/test";
import { folderFor } from "./folders";
import { signIn } from "./sessions";
import { results, system, unique, type Reach } from "./system";
import { test as base } from "./test";

export class Own implements Reach {
  readonly operator_url: string;
  readonly folder = folderFor("own");
  readonly admin = { email: "admin@own.example", password: randomBytes(12).toString("hex") };
  /** What a browser keeps of the admin's session. */
  session: Awaited<ReturnType<BrowserContext["storageState"]>> | undefined;
  api_token = "";
  private server: ChildProcess | undefined;
  private log = "";

  private constructor(
    private readonly ports: number[],
    private readonly surroundings: Record<string, string>,
  ) {
    this.operator_url = `http://127.0.0.1:${ports[0]}`;
  }

  /** An empty fleet in which nobody is yet. */
  static async bare(surroundings: Record<string, string> = {}) {
    const own = new Own(await freePorts(5), surroundings);
    return own.orEnd(() => own.serve());
  }

  /** An empty fleet with an admin. */
  static async start(browser: Browser, surroundings: Record<string, string> = {}) {
    const own = await Own.bare(surroundings);
    return own.orEnd(async () => {
      own.add(own.admin, "Ada Alone", "admin");
      own.api_token = own.fleetward("token", "create", "--email", own.admin.email, "--role", "admin", "--name", "journeys").trim();
      own.session = await signIn(browser, own.operator_url, own.admin);
    });
  }

  /** Itself, when this is done; where it can't be, nothing of it stays behind. */
  private async orEnd(done: () => Promise<void>) {
    try {
      await done();
    } catch (error) {
      await this.end();
      throw error;
    }
    return this;
  }

  /** Another person, in a browser of their own. */
  async person(browser: Browser, name: string, role: "viewer" | "operator" | "admin") {
    const person = { email: `${unique("person")}@own.example`, password: randomBytes(12).toString("hex") };
    this.add(person, name, role);
    const storageState = await signIn(browser, this.operator_url, person);
    const context = await browser.newContext({ baseURL: this.operator_url, storageState, timezoneId: "UTC", locale: "en-GB" });
    return context.newPage();
  }

  /** What the server has said so far. */
  said = () => readFileSync(this.log, "utf8");

  /** A path beside the server's data. */
  file = (name: string) => join(this.folder, name);

  /** The command line beside the server, on its data. */
  fleetward = (...words: string[]) =>
    execFileSync(system().fleetward, ["--data", this.data, ...words], { encoding: "utf8", env: { ...process.env, FLEETWARD_LOG: "error" } });

  /** A statement on the server's data, for what only days would bring about. It takes SQLite's own program, `sqlite3`. */
  asTimeWould = (sql: string) => void execFileSync("sqlite3", ["-cmd", ".timeout 10000", join(this.data, "fleet.db"), sql], { stdio: "pipe" });

  /** Stops the server for a copy of its data, as a backup is made. */
  async backup() {
    const copy = this.file(`backup-${Date.now()}`);
    await this.halt();
    cpSync(this.data, copy, { recursive: true });
    await this.serve();
    return copy;
  }

  /** Puts a copy back: what happened since has not happened. */
  async restore(copy: string) {
    await this.halt();
    rmSync(this.data, { recursive: true });
    cpSync(copy, this.data, { recursive: true });
    await this.serve();
  }

  async end() {
    await this.halt();
    rmSync(this.folder, { recursive: true });
  }

  private get data() {
    return join(this.folder, "data");
  }

  private async serve() {
    const [operator, device, enrol, publish, ops] = this.ports.map((port) => `127.0.0.1:${port}`) as [string, string, string, string, string];
    // It outlives the folder, for whoever looks why a journey failed.
    this.log = join(results, `own-${this.ports[0]}.log`);
    const log = openSync(this.log, "a");
    const listeners = ["--operator-addr", operator, "--device-addr", device, "--enrol-addr", enrol, "--publish-addr", publish, "--ops-addr", ops];
    const env = { ...process.env, ...this.surroundings };
    const server = spawn(system().fleetward, ["--data", this.data, "serve", ...listeners], { stdio: ["ignore", log, log], env });
    closeSync(log);
    this.server = server;
    for (let tries = 0; tries < 600; tries++) {
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}: see own-${this.ports[0]}.log`);
      if (await fetch(`http://${ops}/readyz`).then((answer) => answer.ok, () => false)) return;
      await sleep(100);
    }
    throw new Error("the server did not become ready within a minute");
  }

  private async halt() {
    const server = this.server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }

  private add({ email, password }: { email: string; password: string }, name: string, role: string) {
    const file = this.file("password");
    writeFileSync(file, password, { mode: 0o600 });
    this.fleetward("user", "add", "--email", email, "--name", name, "--role", role, "--password-file", file);
    rmSync(file);
  }
}

/** Different ones: all are held until the last one is known. */
async function freePorts(count: number) {
  const held = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
    }),
  );
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The tests' usual surroundings, with the admin signed in at the worker's own server. */
export const test = base.extend<{}, { kept: string; surroundings: Record<string, string>; own: Own }>({
  /** For whom: files that say the same word may share a server, and no others do. A worker is begun anew for another word, and its server with it. */
  kept: ["", { option: true, scope: "worker" }],
  /** What the server has in its environment beside what the tests have. */
  surroundings: [async ({}, use) => use({}), { scope: "worker" }],
  own: [
    async ({ browser, surroundings }, use) => {
      const own = await Own.start(browser, surroundings);
      await use(own);
      await own.end();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  baseURL: async ({ own }, use) => use(own.operator_url),
  storageState: async ({ own }, use) => use(own.session),
});
