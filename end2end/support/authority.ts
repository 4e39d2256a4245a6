// An authority of a customer's: a key and a certificate made with openssl in a folder, as its owner has them, and lists of revoked certificates.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folderFor } from "./folders";

const SETTINGS = (name: string) => `
[req]
prompt = no
distinguished_name = name
x509_extensions = authority
[name]
CN = ${name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca]
default_ca = here
[here]
database = index.txt
crlnumber = number
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
crl_extensions = list
[list]
authorityKeyIdentifier = keyid:always
`;

export class OwnersAuthority {
  private readonly folder = folderFor("owners-authority");

  constructor(readonly name: string) {
    this.write("ca.cnf", SETTINGS(name));
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key"];
    this.run("openssl", "req", "-x509", "-config", "ca.cnf", ...key, "-days", "3650", "-out", "ca.pem");
  }

  /** Its certificate, PEM. */
  get certificate() {
    return this.read("ca.pem");
  }

  /** Does what the console says, where the authority's key is; the verification certificate, PEM. */
  proof(lines: string) {
    this.run("sh", "-ec", lines);
    return this.read("verify.pem");
  }

  /** Its list with this number (hex, an even number of digits) and the certificates with these serial numbers on it, PEM. */
  list(number: string, serials: string[]) {
    const line = (serial: string) => `R\t360101000000Z\t250101000000Z,keyCompromise\t${serial}\tunknown\t/CN=device ${serial}\n`;
    this.write("index.txt", serials.map(line).join(""));
    this.write("number", `${number}\n`);
    this.run("openssl", "ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem");
    return this.read("list.pem");
  }

  private run = (program: string, ...words: string[]) => execFileSync(program, words, { cwd: this.folder, stdio: "pipe" });
  private read = (name: string) => readFileSync(join(this.folder, name), "utf8");
  private write = (name: string, text: string) => writeFileSync(join(this.folder, name), text);
}
