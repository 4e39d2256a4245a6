// The running system: where it listens, who may sign in, what its tools are. Written by `cargo xtask demo --json`.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { folderFor } from "./folders";

/** `approver` is a second admin, made by setup.ts as `viewer` is: nobody approves a rollout of their own, an admin neither. */
export type Role = "operator" | "admin" | "approver" | "viewer";

export interface System {
  operator: { email: string; password: string };
  admin: { email: string; password: string };
  approver: { email: string; password: string };
  viewer: { email: string; password: string };
  operator_url: string;
  enrol_url: string;
  api_token: string;
  signing_key: string;
  device_type: string;
  rollout: string;
  rollout_name: string;
  /** Devices in all, the host's own included. */
  devices: number;
  fleetward: string;
  data: string;
  server_log: string;
}

/** Waits for the test without JavaScript; planned for next year, so that it never meets the other journeys. */
export const NOSCRIPT_ROLLOUT = "Next year's firmware";

export const results = join(__dirname, "..", "results");

/** A name that no other test has. */
export const unique = (what: string) => `${what}-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;

/** Read anew in every worker: the file is complete before the first test starts. */
export const system = (): System => JSON.parse(readFileSync(process.env.END2END_SYSTEM!, "utf8"));

/** Firmware with its signed manifest, made with the binary's own offline tool. */
export function signedFirmware(version: string, sequence: number, content: string | Buffer, key = system().signing_key, device_type = system().device_type) {
  const { fleetward } = system();
  const dir = folderFor("firmware");
  const payload = join(dir, `gateway-${version}.bin`);
  const manifest = join(dir, `gateway-${version}.manifest.json`);
  writeFileSync(payload, content);
  execFileSync(fleetward, [
    "sign", "--key", key, "--type", device_type, "--version", version, "--sequence", String(sequence), "--payload", payload, "--out", manifest,
  ]);
  return { payload, manifest };
}

/** A key that no organization trusts. */
export function foreignKey() {
  const key = join(folderFor("key"), "foreign.key");
  execFileSync(system().fleetward, ["key", "generate", "--out", key]);
  return key;
}

/** Where a REST API is, and the token that opens it. */
export type Reach = Pick<System, "operator_url" | "api_token">;

/** The public REST API with the pipeline's token. */
export const rest = <T = any>(method: string, path: string, body?: unknown): Promise<T> => restOf<T>(system(), method, path, body);

/** The same of any server. */
export async function restOf<T = any>({ operator_url, api_token }: Reach, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${operator_url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${api_token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text ? JSON.parse(text) : undefined) as T;
}

/** An upload whose file is not the one that was signed: the longest reason there is. Made once. */
export async function quarantined() {
  const known = (await rest("GET", "/releases")).items as { quarantine: string }[];
  if (known.some((release) => release.quarantine.includes("SHA-256"))) return;
  const { payload, manifest } = signedFirmware("7.7.7", 77, "what was signed");
  writeFileSync(payload, "something else.");
  await uploaded([payload, manifest]);
}

/** A release as a pipeline uploads it. */
export async function uploaded(files: string[], at: Reach = system()) {
  const uploads = [];
  for (const file of files) {
    const bytes = readFileSync(file);
    const { id } = await restOf(at, "POST", "/uploads", { name: basename(file), size: bytes.length });
    const sent = await fetch(`${at.operator_url}/api/v1/uploads/${id}?offset=0`, {
      method: "PUT",
      headers: { authorization: `Bearer ${at.api_token}` },
      body: bytes,
    });
    if (!sent.ok) throw new Error(`PUT ${file}: ${sent.status} ${await sent.text()}`);
    uploads.push(id);
  }
  await restOf(at, "POST", "/releases", { uploads });
}
