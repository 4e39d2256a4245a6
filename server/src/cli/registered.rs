//! `fleetward ca register|code|verify|enable|disable|upload-list|list-address|fetch-list|remove`: somebody else's authority, whose devices are believed. The words are those of the REST
//! API. A server that runs beside it follows within a second.

use super::{
    authority::{Which, meant},
    one_of,
};
use anyhow::{Context as _, Result};
use app::ui::number::counted;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};
use wire::{
    Timestamp,
    registered::{
        EndedList, JustInTime, JustInTimePolicy, NewRegisteredAuthority, RegisteredAuthority, TEMPLATE, awaited_warning, verification_lines,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Registered {
    /// Register an authority of your own by its certificate; prints the code that proves you hold its key, and how. For one that is registered, a renewed
    /// certificate for its key takes the place of the one before
    Register {
        /// The authority's certificate, PEM or DER
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
        /// What people call it
        #[arg(long)]
        label: String,
    },
    /// Make another verification code for a registered authority
    Code(Which),
    /// Prove that you hold a registered authority's key, by a certificate that names the code
    Verify {
        #[command(flatten)]
        which: Which,
        /// The verification certificate, PEM or DER
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Believe a verified authority's devices; of one that is enabled, change what becomes of new devices
    Enable(Enable),
    /// Believe a registered authority's devices no longer; they are cut off until it is enabled again
    Disable(Which),
    /// Bring a registered authority's list of revoked certificates: what is on it is cut off, and the next one takes its place
    #[command(alias = "upload-crl")]
    UploadList {
        #[command(flatten)]
        which: Which,
        /// The list, PEM or DER
        #[arg(value_name = "FILE")]
        list: PathBuf,
    },
    /// Say where a registered authority's list of revoked certificates is fetched; without an address, say what came of the one there is
    ListAddress {
        #[command(flatten)]
        which: Which,
        /// http://… or https://…, without user name and password
        #[arg(value_name = "URL")]
        url: Option<String>,
        /// Fetch it no more: then it is brought, by upload-list
        #[arg(long, conflicts_with = "url")]
        none: bool,
    },
    /// Fetch a registered authority's list of revoked certificates now, from its address; a server that runs does that within seconds
    FetchList(Which),
    /// Remove a registered authority that has let no device in
    Remove(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Enable {
    #[command(flatten)]
    which: Which,
    /// What becomes of a device that is seen for the first time
    #[arg(long, value_name = "POLICY", default_value = "off", value_parser = one_of::<JustInTime>(JustInTime::ALL.iter().map(|p| p.as_str())))]
    just_in_time: JustInTime,
    /// Type given to its devices
    #[arg(long, alias = "type", value_name = "TYPE", default_value = "")]
    device_type: String,
    /// A tag given to its devices; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A group that its devices are put into, by its name or id; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// What a device id is made from: {CN}, {serialNumber}, {SAN:URI}
    #[arg(long, default_value = TEMPLATE)]
    template: String,
    /// Device ids it may let in, for example gw-* or "gw-1 gw-2"; any unless given
    #[arg(long, default_value = "")]
    pattern: String,
    /// How many devices it may let in, in all
    #[arg(long, value_name = "N", default_value_t = JustInTimePolicy::default().max_devices)]
    max_devices: i64,
    /// How many within 24 hours; what comes after waits for a person
    #[arg(long, value_name = "N", default_value_t = JustInTimePolicy::default().per_day)]
    per_day: i64,
    /// What becomes of its devices when its list of revoked certificates has ended for more than a day
    #[arg(long, value_name = "POLICY", default_value = "closed", value_parser = one_of::<EndedList>(EndedList::ALL.iter().map(|p| p.as_str())))]
    ended_list: EndedList,
    /// Let its devices trade their certificate for one of ours by EST
    #[arg(long)]
    exchange: bool,
}

/// What `ca list` says of them.
pub(super) async fn list(fleet: &Fleet, actor: &Actor) -> Result<()> {
    for a in fleet.pki().registered_authorities(actor).await? {
        let policy = a.policy.just_in_time;
        println!(
            "{}  registered  {:<10}  new devices {policy:<7}  {:>6} devices  until {}  {} ({})",
            a.id,
            a.state.as_str(),
            a.devices,
            a.not_after,
            a.subject,
            a.label
        );
        if let Some(warning) = a.list_warning(fleet.clock().now()) {
            println!("    {warning}");
        }
    }
    Ok(())
}

/// Pure: all that is known of a registered authority, in lines, its certificate at the end.
pub(super) fn told(a: &RegisteredAuthority) -> String {
    let p = &a.policy;
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let readable = |at: Option<Timestamp>| at.map(Timestamp::readable).unwrap_or_default();
    let mut out = format!("{}\n", a.subject);
    // Writing to a string can't fail.
    for (name, value) in [
        ("id", a.id.to_string()),
        ("label", a.label.clone()),
        ("state", format!("{}, registered {} by {}", a.state, a.created_at.readable(), a.created_by)),
        ("verified", readable(a.verified_at)),
        ("valid", format!("{} to {}", a.not_before, a.not_after)),
        ("key", format!("{}, SHA-256 {}", a.key_alg, a.spki_sha256)),
        ("fingerprint", a.fingerprint.clone()),
        ("devices", format!("{} in use, {} let in, {} refused", a.devices, a.admitted, a.refused)),
        ("last let in", readable(a.last_admitted_at)),
        ("last seen", readable(a.last_seen_at)),
        ("new devices", format!("{}, at most {} in all and {} in 24 hours", p.just_in_time, p.max_devices, p.per_day)),
        ("ids", format!("{} from {}", or(p.pattern.clone(), "any"), p.template)),
        ("type", p.device_type.clone()),
        ("tags", p.tags.join(" ")),
        ("groups", p.groups.join(", ")),
        ("ended list", p.ended_list.to_string()),
        ("exchange", if p.exchange { "yes" } else { "no" }.to_owned()),
        ("list", a.list.as_ref().map(|l| format!("{}, until {}", certificates(l.entries), l.next_update)).unwrap_or_default()),
        ("fetched from", a.list_address.as_ref().map(|at| at.url.clone()).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:<13}{value}");
        }
    }
    out.push_str(&a.pem);
    out
}

/// Where its list comes from, and what came.
fn says_list(a: &RegisteredAuthority) {
    if let Some(made) = a.list_awaited {
        println!("{}.", awaited_warning(&a.label, made));
    }
    match &a.list_address {
        None => println!("The list of {} is not fetched; bring it with: fleetward ca upload-list {} FILE", a.label, a.id),
        Some(at) => {
            println!("The list of {} is fetched from {}, next at {}.", a.label, at.url, at.next_at);
            match (at.fetched_at, at.asked_at) {
                (_, None) => println!("It was not asked yet; a server that runs does that within seconds."),
                (Some(fetched), Some(_)) if at.failures == 0 => println!("It gave a list that counts at {fetched}."),
                (_, Some(asked)) if at.failures == 0 => println!("It is being asked since {asked}."),
                (fetched, Some(asked)) => {
                    let before = fetched.map_or_else(|| "never before".to_owned(), |at| format!("the last time at {at}"));
                    println!("Asked at {asked}, it gave none ({} times in a row, {before}): {}", at.failures, at.error);
                }
            }
        }
    }
    match &a.list {
        None => println!("There is no list yet."),
        Some(list) => println!("The list that is here has {} and holds until {}.", certificates(list.entries), list.next_update),
    }
}

/// Pure: so many certificates in words.
fn certificates(n: i64) -> String {
    counted(n, "certificate", "certificates")
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: Registered) -> Result<()> {
    let (pki, devices) = (fleet.pki(), fleet.devices());
    match command {
        Registered::Register { certificate, label } => {
            let new = NewRegisteredAuthority { label, certificate: text(&read(&certificate)?) };
            asks(&devices.register_authority(actor, &new).await?);
        }
        Registered::Code(which) => {
            let id = meant(fleet, actor, which.id).await?;
            asks(&pki.renew_verification_code(actor, &id).await?);
        }
        Registered::Verify { which, certificate } => {
            let id = meant(fleet, actor, which.id).await?;
            pki.verify_authority(actor, &id, &read(&certificate)?).await?;
            println!("{id} is verified. Enable it: fleetward ca enable {id} --just-in-time off|pending|auto");
        }
        Registered::Enable(e) => {
            let Enable { which, just_in_time, device_type, tags, groups, template, pattern, max_devices, per_day, ended_list, exchange } =
                e;
            let id = meant(fleet, actor, which.id).await?;
            let policy =
                JustInTimePolicy { just_in_time, device_type, tags, groups, template, pattern, max_devices, per_day, ended_list, exchange };
            devices.enable_authority(actor, &id, policy).await?;
            println!("Devices of {id} are believed; new ones: {just_in_time}.");
        }
        Registered::Disable(which) => {
            let id = meant(fleet, actor, which.id).await?;
            pki.disable_authority(actor, &id).await?;
            println!("Devices of {id} are cut off until it is enabled again.");
        }
        Registered::UploadList { which, list } => {
            let id = meant(fleet, actor, which.id).await?;
            let shown = pki.bring_list(actor, &id, read(&list)?).await?;
            if let Some(list) = shown.list {
                let are = if list.entries == 1 { "is" } else { "are" };
                println!("{} {are} revoked by the list of {id}, which holds until {}.", certificates(list.entries), list.next_update);
            }
        }
        Registered::ListAddress { which, url, none } => {
            let id = meant(fleet, actor, which.id).await?;
            let shown = if url.is_none() && !none {
                pki.registered_authority(actor, &id).await?
            } else {
                pki.set_list_address(actor, &id, &url.unwrap_or_default()).await?
            };
            says_list(&shown);
        }
        Registered::FetchList(which) => {
            let id = meant(fleet, actor, which.id).await?;
            says_list(&pki.fetch_list_now(actor, &id).await?);
        }
        Registered::Remove(which) => {
            let id = meant(fleet, actor, which.id).await?;
            pki.remove_authority(actor, &id).await?;
            println!("{id} is removed.");
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}

/// DER as the base64 that a JSON body would carry.
fn text(bytes: &[u8]) -> String {
    str::from_utf8(bytes).map_or_else(|_| STANDARD.encode(bytes), str::to_owned)
}

fn asks(a: &RegisteredAuthority) {
    println!("{}", a.id);
    if let (Some(code), Some(until)) = (&a.code, a.code_until) {
        println!("Prove by {until} that you hold the key of {}, where ca.pem and ca.key are its certificate and key:", a.subject);
        for line in verification_lines(code) {
            println!("  {line}");
        }
        println!("  fleetward ca verify {} verify.pem", a.id);
    } else if a.verified_at.is_some() {
        println!("The certificate takes the place of the one before, until {}; it is {} as it was.", a.not_after, a.state.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::registered::RegisteredState;

    #[test]
    fn a_registered_authority_is_shown_with_what_becomes_of_its_devices() {
        let policy =
            JustInTimePolicy { just_in_time: JustInTime::Pending, tags: vec!["eu".into(), "lab".into()], ..JustInTimePolicy::default() };
        let authority = RegisteredAuthority {
            id: format!("ca_{:032x}", 7).parse().unwrap(),
            label: "Plant 3".into(),
            subject: "CN=Plant CA".into(),
            key_alg: "ECDSA P-256".into(),
            spki_sha256: "ab".into(),
            fingerprint: "cd".into(),
            not_before: Timestamp(0),
            not_after: Timestamp(86_400_000),
            state: RegisteredState::Active,
            code: None,
            code_until: None,
            policy,
            list: None,
            list_address: None,
            list_awaited: None,
            devices: 3,
            admitted: 4,
            last_admitted_at: None,
            last_seen_at: None,
            refused: 1,
            created_at: Timestamp(0),
            created_by: "Ada".into(),
            verified_at: None,
            pem: "-----BEGIN CERTIFICATE-----\n".into(),
        };
        let said = told(&authority);
        assert!(said.starts_with("CN=Plant CA\n  id           ca_0"), "{said}");
        for line in [
            "  label        Plant 3\n",
            "  state        active, registered 1 Jan 1970 00:00 UTC by Ada\n",
            "  devices      3 in use, 4 let in, 1 refused\n",
            "  new devices  pending, at most ",
            "  tags         eu lab\n",
        ] {
            assert!(said.contains(line), "{line:?} in:\n{said}");
        }
        assert_eq!([certificates(1), certificates(0)], ["1 certificate", "0 certificates"]);
        assert!(!said.contains("verified") && said.ends_with("-----BEGIN CERTIFICATE-----\n"), "{said}");
    }
}
