//! What a demonstration begins with: two people, a signing key, a fleet, a signed release and a rollout that waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::Options;
use super::rest::{Rest, text};
use super::system::System;
use crate::{process, progress};

/// The device type of everything in the demonstration, this host included, so that one rollout reaches all.
const DEVICE_TYPE: &str = "gateway";
/// What the firmware file weighs: enough that a download is seen, little enough for a laptop.
const FIRMWARE_BYTES: usize = 2 << 20;
/// How long no device may come before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Serialize)]
pub struct Login {
    pub email: String,
    pub password: String,
}

/// What was made, for the announcement and for tests.
#[derive(Serialize)]
pub struct Seeded {
    pub operator: Login,
    pub admin: Login,
    pub api_token: String,
    pub signing_key: PathBuf,
    pub device_type: String,
    /// All of them, this host included.
    pub devices: u32,
    pub rollout: String,
    pub rollout_name: String,
}

pub fn fill(system: &mut System, options: &Options) -> Result<Seeded> {
    let operator = add_user(system, "operator", "Olivia Operator")?;
    let admin = add_user(system, "admin", "Adrian Admin")?;
    let api_token = process::capture(
        system
            .fleetward(&["token", "create", "--email", &operator.email, "--role", "operator", "--name", "demo"])
            .env("FLEETWARD_LOG", "error"),
    )?;
    let api_token = api_token.trim().to_owned();
    let signing_key = make_signing_key(system)?;
    let rest = Rest::new(&system.addresses.operator, &api_token);
    progress::during("enrol and connect the devices", String::new, || start_fleet(system, &rest, &signing_key, options))?;
    let release = progress::during("upload a signed release", String::new, || upload_release(system, &rest, &signing_key))?;
    let rollout_name = "Gateway 1.1.0".to_owned();
    let rollout = draft_rollout(&rest, &release, &rollout_name, options.soak)?;
    Ok(Seeded {
        operator,
        admin,
        api_token,
        signing_key,
        device_type: DEVICE_TYPE.to_owned(),
        devices: options.devices + 1,
        rollout,
        rollout_name,
    })
}

fn add_user(system: &System, role: &str, name: &str) -> Result<Login> {
    let login = Login { email: format!("{role}@demo.example"), password: password()? };
    let file = system.secret_file(&format!("{role}.password"), &login.password)?;
    let mut command = system.fleetward(&["user", "add", "--email", &login.email, "--name", name, "--role", role, "--password-file"]);
    process::capture(command.arg(&file))?;
    fs::remove_file(&file)?;
    Ok(login)
}

fn make_signing_key(system: &System) -> Result<PathBuf> {
    let key = system.file("demo-signing.key");
    process::capture(system.program("fleetward").args(["key", "generate", "--out"]).arg(&key))?;
    process::capture(system.fleetward(&["key", "add", "--name", "Demo builds", "--public"]).arg(public_half(&key)))?;
    Ok(key)
}

fn public_half(key: &Path) -> PathBuf {
    key.with_extension("key.pub")
}

fn start_fleet(system: &mut System, rest: &Rest, signing_key: &Path, options: &Options) -> Result<()> {
    let (token, root) = enrolment_token(rest, "Simulated devices", options.devices)?;
    let mut simulate = system.program("agent");
    simulate.arg("simulate").args(["--enrol", &system.addresses.enrol, "--token-file"]).arg(system.secret_file("simulated.token", &token)?);
    simulate.args(["--root-fingerprint", &root, "--type", DEVICE_TYPE]);
    simulate.args(["--count", &options.devices.to_string(), "--flaky", &options.flaky.to_string(), "--pace-s", &options.pace.to_string()]);
    simulate.arg("--trusted-key").arg(public_half(signing_key)).arg("--state").arg(system.file("simulated"));
    system.launch("simulated-devices", simulate)?;

    let (token, root) = enrolment_token(rest, "This host", 1)?;
    let mut host = system.program("agent");
    host.arg("run").args(["--enrol", &system.addresses.enrol, "--token-file"]).arg(system.secret_file("host.token", &token)?);
    host.args(["--root-fingerprint", &root, "--type", DEVICE_TYPE, "--device-id", &host_name(), "--factory-version", "1.0.0"]);
    host.arg("--trusted-key").arg(public_half(signing_key)).arg("--state").arg(system.file("this-host"));
    system.launch("this-host", host)?;

    wait_for_devices(system, rest, options.devices + 1)
}

fn enrolment_token(rest: &Rest, label: &str, uses: u32) -> Result<(String, String)> {
    let wanted = json!({ "label": label, "device_type": DEVICE_TYPE, "tags": ["demo"], "max_uses": uses, "hours": 24 });
    let created = rest.post("/enrolment-tokens", &wanted)?;
    let command = text(&created, "/command")?;
    let fingerprint = command
        .split_whitespace()
        .skip_while(|word| *word != "--root-fingerprint")
        .nth(1)
        .with_context(|| format!("no --root-fingerprint in `{command}`"))?;
    Ok((text(&created, "/secret")?.to_owned(), fingerprint.to_owned()))
}

/// Waits until all have enrolled and most are connected, for as long as it goes on: thousands take longer than a few.
fn wait_for_devices(system: &mut System, rest: &Rest, wanted: u32) -> Result<()> {
    let count = |query: &str| -> Result<u64> {
        let found = rest.get(&format!("/devices?rows=1{query}"))?;
        found.pointer("/total").and_then(Value::as_u64).with_context(|| format!("no total in {found}"))
    };
    let (mut all, mut online, mut newest) = (0, 0, Instant::now());
    while newest.elapsed() < PATIENCE {
        system.check()?;
        let before = all + online;
        (all, online) = (count("")?, count("&q=online:yes")?);
        // A flaky device may be away at any moment, so having enrolled is what counts for them.
        if all >= u64::from(wanted) && online * 10 >= all * 8 {
            return Ok(());
        }
        if all + online > before {
            newest = Instant::now();
        }
        process::pause(Duration::from_millis(250))?;
    }
    bail!("of {wanted} devices {all} have enrolled and {online} are connected, and for a minute there was no other")
}

fn upload_release(system: &System, rest: &Rest, signing_key: &Path) -> Result<String> {
    let firmware = system.file("gateway-1.1.0.bin");
    fs::write(&firmware, firmware_bytes()?)?;
    let manifest = system.file("gateway-1.1.0.manifest.json");
    let mut sign = system.program("fleetward");
    sign.arg("sign").arg("--key").arg(signing_key).args(["--type", DEVICE_TYPE, "--version", "1.1.0", "--sequence", "2"]);
    sign.args(["--notes", "Steadier uplink on weak links; starts 2 s sooner.", "--payload"]).arg(&firmware).arg("--out").arg(&manifest);
    process::capture(&mut sign)?;
    let uploads = [upload(rest, &firmware)?, upload(rest, &manifest)?];
    let release = rest.post("/releases", &json!({ "uploads": uploads }))?;
    let id = text(&release, "/row/id")?.to_owned();
    if text(&release, "/row/state")? == "verified" {
        rest.post(&format!("/releases/{id}/publish"), &json!({}))?;
    }
    Ok(id)
}

fn upload(rest: &Rest, file: &Path) -> Result<String> {
    let bytes = fs::read(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let upload = rest.post("/uploads", &json!({ "name": name, "size": bytes.len() }))?;
    let id = text(&upload, "/id")?.to_owned();
    rest.put_bytes(&format!("/uploads/{id}?offset=0"), &bytes)?;
    Ok(id)
}

fn draft_rollout(rest: &Rest, release: &str, name: &str, soak: u32) -> Result<String> {
    let gate = json!({ "success_percent": 90.0, "error_percent": 20.0, "min_sample": 2, "max_errors": 0 });
    let stage =
        |name: &str, percent: f64, soak: u32| json!({ "name": name, "reach": { "percent": percent }, "soak_s": soak, "gate": gate });
    let spec = json!({
        "name": name,
        "release": release,
        "stages": [stage("Canary", 12.0, soak), stage("Half", 50.0, soak), stage("Everyone", 100.0, 0)],
        "timeout_min": 10,
        "reason": "Fixes the reconnect storms seen at sites with weak links.",
    });
    let drafted = rest.post("/rollouts", &spec)?;
    let id = text(&drafted, "/row/id")?.to_owned();
    rest.post(&format!("/rollouts/{id}/submit"), &json!({}))?;
    Ok(id)
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    if plain.is_empty() { "this-host".to_owned() } else { plain }
}

fn firmware_bytes() -> Result<Vec<u8>> {
    let mut bytes = vec![0; FIRMWARE_BYTES];
    random(&mut bytes)?;
    Ok(bytes)
}

/// 100 bits, in letters and digits that can be read aloud.
fn password() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    random(&mut bytes)?;
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    Ok(letters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join("-"))
}

fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_can_be_read_aloud() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 23);
        assert!(one.chars().all(|c| c == '-' || c.is_ascii_lowercase() || ('2'..='9').contains(&c)), "{one}");
    }

    #[test]
    fn the_public_half_lies_beside_the_key() {
        assert_eq!(public_half(Path::new("/x/demo-signing.key")), Path::new("/x/demo-signing.key.pub"));
    }
}
