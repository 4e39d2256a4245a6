// Devices of a test's own: enrolled by the real agent, of a type that no rollout is for, so that nobody else counts them.
// Names that begin with test- stand behind the demonstration's in every list.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { dirname, join } from "node:path";
import { expect } from "@playwright/test";
import { folderFor } from "./folders";
import { restOf, system, type Reach } from "./system";

/** A device, with the folder of its key and certificate. */
export interface Device {
  id: string;
  state: string;
}

const agent = () => join(dirname(system().fleetward), "agent");

/** A token, with what an agent needs to use it. */
export async function token(label: string, uses: number, tags: string[] = [], at: Reach = system(), profile = "", type = "bench") {
  const made = await restOf(at, "POST", "/enrolment-tokens", { label, device_type: type, tags, max_uses: uses, hours: 1, profile });
  return howOf(made.command as string);
}

/** What an agent needs of the line that a token is shown with. */
function howOf(line: string) {
  const words = line.trim().split(/\s+/);
  const flags = ["--enrol", "--token", "--root-fingerprint", "--key"].filter((flag) => words.includes(flag));
  return flags.flatMap((flag) => [flag, words[words.indexOf(flag) + 1]!]);
}

/** Enrols devices with these names. They have a certificate each, of this profile if there is one, and have never connected. */
export async function enrolled(ids: string[], tags: string[] = [], at: Reach = system(), profile = "", type = "bench"): Promise<Device[]> {
  const how = await token(`Journey of ${ids[0]}`, ids.length, tags, at, profile, type);
  return ids.map((id) => comes(how, id, type));
}

/** Enrols a device by the line that the console shows with a token. */
export const enrolledBy = (line: string, id: string) => comes(howOf(line), id);

function comes(how: string[], id: string, type = "bench"): Device {
  const state = folderFor("device");
  execFileSync(agent(), ["enrol", ...how, "--device-id", id, "--type", type, "--state", state], { stdio: "ignore" });
  return { id, state };
}

/** Devices with these names that wait for a person. They have asked once, and are not there any more. */
export async function asking(ids: string[], at: Reach = system()) {
  const wanted = { label: `Asked by ${ids[0]}`, device_type: "bench", max_uses: ids.length, hours: 1, mode: "approval" };
  const how = howOf((await restOf(at, "POST", "/enrolment-tokens", wanted)).command as string);
  for (const id of ids) {
    const state = folderFor("device");
    const one = spawn(agent(), ["enrol", ...how, "--device-id", id, "--type", "bench", "--state", state], { stdio: "ignore" });
    try {
      const names = async () => ((await restOf(at, "GET", "/enrolment-requests?rows=200")).items as { device_id: string }[]).map((r) => r.device_id);
      await expect.poll(names, { timeout: 30_000 }).toContain(id);
    } finally {
      await gone(one);
    }
  }
}

/** Connects a device that is enrolled; `how` is what else its agent is told. */
export const connected = (device: Device, how: string[] = []) => spawn(agent(), ["run", "--state", device.state, ...how], { stdio: "ignore" });

/**
 * Speaks with a device's own key from this address of the machine, over one connection, twice a second; what it gives back ends that. Two addresses that are
 * in different networks are what two who hold one key look like.
 */
export function speaking({ state }: Device, localAddress: string) {
  const { certificate, chain, device_url } = JSON.parse(readFileSync(join(state, "identity.json"), "utf8"));
  const { hostname, port } = new URL(device_url);
  const cert = [certificate, ...chain].join("\n");
  // Who is spoken to is not what this is about.
  const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, cert, key: readFileSync(join(state, "key.pem")) });
  const say = () => {
    const asked = get({ hostname, port, path: "/device/v1/trust-bundle", agent, localAddress, family: 4 }, (answer) => void answer.resume());
    asked.on("error", () => {});
  };
  const timer = setInterval(say, 500);
  return () => {
    clearInterval(timer);
    agent.destroy();
  };
}

/** Stops it and waits until it is gone. */
export async function gone(process: ChildProcess) {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise((resolve) => process.once("exit", resolve));
  process.kill("SIGTERM");
  await ended;
}

/** Waits until the server sees it connected. */
export const expectOnline = (device: Device, at: Reach = system()) =>
  expect.poll(async () => (await restOf(at, "GET", `/devices?q=id:${device.id}`)).items[0]?.online, { timeout: 60_000 }).toBe(true);
