// Requests for certificates (PKCS#10) as a factory collects them: each with a key of its own, made with openssl.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { folderFor } from "./folders";

/** The line of a file with requests for this device. */
export const line = (device_id: string, device_type = "bench") => JSON.stringify({ device_id, device_type, csr: request(device_id) });

function request(name: string) {
  const folder = folderFor("request");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", join(folder, "device.key")];
  execFileSync("openssl", ["req", "-new", ...key, "-subj", `/CN=${name}`, "-out", join(folder, "device.csr")], { stdio: "pipe" });
  return readFileSync(join(folder, "device.csr"), "utf8");
}
