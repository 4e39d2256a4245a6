//! `fleetward enrolment-request`, `enrolment-settings` and `claim`: devices that wait for a person, whether strangers may ask, and shared certificates by
//! which devices join (E-6, E-9). The words are those of the REST API.

use super::{files, newcomers::Newcomers, said::every, table};
use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor, devices::Devices};
use std::{fmt::Write as _, io::Write as _, path::PathBuf};
use wire::{
    Timestamp,
    enrolment::{Claim as Row, EnrolmentRequest as Waiting, EnrolmentSettings, GivenGroup, NewClaim, Returns},
    ids::{ClaimId, EnrolmentRequestId},
    page::MAX_ROWS,
};

#[derive(Debug, Subcommand)]
pub(super) enum EnrolmentRequest {
    /// List the devices that wait for approval, oldest first; compare the code with what the device shows
    List,
    /// Let a waiting device in; it gets its certificate the next time it asks
    Approve(Which),
    /// Send a waiting device away
    Reject(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The request's id, as the list shows it
    id: EnrolmentRequestId,
}

/// What is to be changed; nothing shows what holds.
#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    /// Whether devices without a token may ask to join; a person approves each
    #[arg(long, value_enum)]
    open: Option<Switch>,
    /// The profile of the certificates that they get, see cert profile list; an empty one is none
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// They may
    On,
    /// They may not; what waits already stays
    Off,
}

#[derive(Debug, Subcommand)]
pub(super) enum Claim {
    /// Make a claim: a shared certificate that is good for asking to join, and nothing else; writes it with its key to a file, once
    Create(Create),
    /// List the claims, newest first
    List,
    /// Disable a claim at once; devices it let in stay
    Disable {
        /// The claim's id
        id: ClaimId,
    },
    /// List the devices that a claim let in
    Devices {
        /// The claim's id
        id: ClaimId,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    newcomers: Newcomers,
    /// The profile of the certificates it gives: see cert profile list
    #[arg(long, value_name = "NAME", default_value = "")]
    profile: String,
    /// For a person who stands at the device: one use within five minutes
    #[arg(long, conflicts_with_all = ["max_uses", "hours"])]
    trusted_user: bool,
    /// How often it may be used, 1 to 100,000
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_uses: i64,
    /// How many hours it lives, 1 to 8760
    #[arg(long, value_name = "N", default_value_t = 1)]
    hours: i64,
    /// How often it may be used in a minute, 1 to 10,000
    #[arg(long, value_name = "N", default_value_t = 60)]
    per_minute: i64,
    /// A file with a CSR (PEM), for a key that is kept elsewhere; without it a key is made
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Where to write the certificate, and its key if it was made here; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn request(fleet: &Fleet, command: EnrolmentRequest) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    Ok(match command {
        EnrolmentRequest::List => {
            let waiting = every(async |cursor| devices.enrolment_requests(&actor, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            if waiting.is_empty() {
                return Ok("No device waits.\n".to_owned());
            }
            let rows: Vec<Vec<String>> = waiting.into_iter().map(waits).collect();
            table(&["ID", "DEVICE", "CODE", "TYPE", "WAITS SINCE", "FROM", "CAME BY"], &rows)
        }
        EnrolmentRequest::Approve(Which { id }) => {
            devices.approve_enrolment(&actor, &id).await?;
            format!("{id} is approved. The device gets its certificate when it asks again, within a minute.\n")
        }
        EnrolmentRequest::Reject(Which { id }) => {
            devices.reject_enrolment(&actor, &id).await?;
            format!("{id} is rejected. The device is told so when it asks again.\n")
        }
    })
}

/// A device that waits, as a line of the list.
fn waits(w: Waiting) -> Vec<String> {
    let by = match (w.returns, w.recovers) {
        (Some(Returns::NewKey), _) => "comes back with a new key".to_owned(),
        (Some(Returns::RevokedBefore), _) => "comes back after a revocation".to_owned(),
        (None, true) => "its certificate has ended".to_owned(),
        (None, false) if w.token.is_empty() => "no token".to_owned(),
        (None, false) if w.authority => format!("authority {}", w.token),
        (None, false) => format!("token {}", w.token),
    };
    vec![w.id.to_string(), w.device_id.to_string(), w.code, w.device_type, w.asked_at.readable(), w.address, by]
}

pub(super) async fn settings(fleet: &Fleet, change: &Settings) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    let mut settings = devices.enrolment_settings(&actor).await?;
    if change.open.is_some() || change.profile.is_some() {
        let open = change.open.map_or(settings.open, |open| open == Switch::On);
        let profile = change.profile.as_deref().map_or(settings.profile.as_str(), str::trim).to_owned();
        settings = EnrolmentSettings { open, profile };
        devices.set_open_enrolment(&actor, &settings).await?;
    }
    let mut out = if settings.open {
        "open: on. Devices without a token may ask to join, and a person approves each (fleetward enrolment-request list).\n".to_owned()
    } else {
        "open: off. Devices need a token, a claim or a certificate of a registered authority to join.\n".to_owned()
    };
    if !settings.profile.is_empty() {
        // Writing to a string can't fail.
        let _ = writeln!(out, "Their certificates are of the profile {}.", settings.profile);
    }
    Ok(out)
}

pub(super) async fn claim(fleet: &Fleet, command: Claim) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    Ok(match command {
        Claim::Create(new) => create(devices, &actor, new).await?,
        Claim::List => {
            let at = fleet.clock().now();
            let claims = every(async |cursor| devices.claims(&actor, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            let rows: Vec<Vec<String>> = claims.iter().map(|claim| line(claim, at)).collect();
            if rows.is_empty() {
                return Ok("There is no claim.\n".to_owned());
            }
            table(&["ID", "STATE", "USED", "A MINUTE", "DEVICES", "GROUPS", "PROFILE", "UNTIL", "LABEL"], &rows)
        }
        Claim::Disable { id } => {
            devices.disable_claim(&actor, &id).await?;
            format!("{id} is disabled; devices it let in stay. A running server follows within seconds.\n")
        }
        Claim::Devices { id } => {
            let came = every(async |cursor| devices.claim_devices(&actor, &id, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            let rows: Vec<Vec<String>> =
                came.into_iter().map(|d| vec![d.device_id.to_string(), d.state.to_string(), d.at.readable()]).collect();
            if rows.is_empty() {
                return Ok("It has let no device in.\n".to_owned());
            }
            table(&["DEVICE", "STATE", "CAME"], &rows)
        }
    })
}

fn line(claim: &Row, at: Timestamp) -> Vec<String> {
    let state = match claim.disabled_at {
        Some(_) => "disabled",
        None if claim.expires_at <= at => "expired",
        None if claim.uses >= claim.max_uses => "used up",
        None => "usable",
    };
    let pattern = if claim.pattern.is_empty() { "any".to_owned() } else { claim.pattern.clone() };
    let profile = if claim.profile.is_empty() { "none".to_owned() } else { claim.profile.clone() };
    let groups: Vec<String> = claim.groups.iter().map(GivenGroup::words).collect();
    let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
    let used = format!("{} of {}", claim.uses, claim.max_uses);
    let (until, label) = (claim.expires_at.readable(), claim.label.clone());
    vec![claim.id.to_string(), state.to_owned(), used, claim.per_minute.to_string(), pattern, groups, profile, until, label]
}

async fn create(devices: &Devices, actor: &Actor, new: Create) -> Result<String> {
    let csr = new.csr.as_ref().map(|file| std::fs::read_to_string(file).with_context(|| format!("reading the CSR {}", file.display())));
    let csr = csr.transpose()?.unwrap_or_default();
    let out_file = new.out;
    let asked = NewClaim {
        label: new.newcomers.label,
        pattern: new.newcomers.pattern,
        device_type: new.newcomers.device_type,
        tags: new.newcomers.tags,
        groups: new.newcomers.groups,
        profile: new.profile,
        trusted_user: new.trusted_user,
        max_uses: new.max_uses,
        hours: new.hours,
        per_minute: new.per_minute,
        csr,
    };
    // The file is there before anything is issued: a key that has no place to go would be lost.
    let filled = files::filled(&out_file, files::PRIVATE, async |file| {
        let made = devices.create_claim(actor, asked).await?;
        let written = file.write_all(made.certificate.as_bytes()).and_then(|()| file.write_all(made.key.as_bytes()));
        let written = written.and_then(|()| file.sync_all());
        if written.is_err() {
            // What nobody has is of no use to anybody.
            devices.disable_claim(actor, &made.claim.id).await?;
        }
        written.with_context(|| format!("writing {}; the claim is disabled", out_file.display()))?;
        Ok(made)
    });
    let made = Box::pin(filled).await?;
    let mut out = format!("{}\n", made.claim.id);
    let what = if made.key.is_empty() { "certificate is" } else { "certificate and key are" };
    // Writing to a string can't fail.
    let _ = writeln!(
        out,
        "Its {what} in {}, until {}. Put the file on the devices, or use it with EST. A running server lets it in within seconds.",
        out_file.display(),
        made.claim.expires_at.readable()
    );
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{
        db::EngineKind,
        devices::{Attempt, Error, Over},
        testing::{World, csr},
    };
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt as _;
    use wire::{enrolment::EnrolRequest, pki::ProfileRules};

    fn asks(id: &str) -> EnrolRequest {
        let (device_type, hardware) = ("gateway".to_owned(), String::new());
        EnrolRequest { csr: csr(id), device_id: Some(id.into()), device_type, hardware, attributes: std::collections::BTreeMap::default() }
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn e_6_who_waits_is_let_in_or_sent_away_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let over = Over { open: Some(&w.org), ..Over::default() };
        let knock =
            async |request: &EnrolRequest| w.fleet.devices().enrol_over(Attempt { secret: "", request, address: "192.0.2.1" }, over).await;
        let (one, two) = (asks("gw-1"), asks("gw-2"));
        assert!(matches!(knock(&one).await, Err(Error::NoToken)));
        assert!(settings(&w.fleet, &Settings { open: None, profile: None }).await.unwrap().starts_with("open: off."));
        assert!(settings(&w.fleet, &Settings { open: Some(Switch::On), profile: None }).await.unwrap().starts_with("open: on."));
        assert_eq!(request(&w.fleet, EnrolmentRequest::List).await.unwrap(), "No device waits.\n");
        for asked in [&one, &two] {
            assert!(matches!(knock(asked).await, Err(Error::Pending)));
        }
        let list = request(&w.fleet, EnrolmentRequest::List).await.unwrap();
        let code = w.fleet.devices().enrolment_requests(&Actor::system(w.org.clone()), None, None).await.unwrap().items[0].code.clone();
        assert!(list.starts_with("ID ") && list.contains("gw-1") && list.contains(&code) && list.contains("no token"), "{list}");
        let id = |device: &str| {
            let row = list.lines().find(|line| line.contains(device)).unwrap();
            Which { id: row.split_whitespace().next().unwrap().parse().unwrap() }
        };
        request(&w.fleet, EnrolmentRequest::Approve(id("gw-1"))).await.unwrap();
        request(&w.fleet, EnrolmentRequest::Reject(id("gw-2"))).await.unwrap();
        assert!(knock(&one).await.is_ok() && matches!(knock(&two).await, Err(Error::Rejected(_))));
        let again = request(&w.fleet, EnrolmentRequest::Approve(id("gw-1"))).await.unwrap_err();
        assert_eq!(super::super::in_words(again).to_string(), "There is no such waiting enrolment request.");
        let month = ProfileRules { hours: 720, factory: false, keys: Vec::new(), rekey: None };
        w.fleet.pki().set_profile(&Actor::system(w.org.clone()), "month", month).await.unwrap();
        let named = settings(&w.fleet, &Settings { open: None, profile: Some("month".into()) }).await.unwrap();
        assert!(named.starts_with("open: on.") && named.ends_with("of the profile month.\n"), "{named}");
        let wrong = settings(&w.fleet, &Settings { open: None, profile: Some("year".into()) }).await.unwrap_err();
        assert!(super::super::in_words(wrong).to_string().contains("no such certificate profile"));
        let closed = settings(&w.fleet, &Settings { open: Some(Switch::Off), profile: None }).await.unwrap();
        assert!(closed.starts_with("open: off.") && closed.contains("month"), "{closed}");
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn e_9_a_claim_is_made_used_and_disabled_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("claim.pem");
        let new = Create {
            newcomers: Newcomers {
                label: "line 3".into(),
                pattern: "gw-*".into(),
                device_type: "gateway".into(),
                tags: vec!["eu".into()],
                groups: vec!["Hall 3".into()],
            },
            profile: "month".into(),
            trusted_user: false,
            max_uses: 0,
            hours: 1,
            per_minute: 60,
            csr: None,
            out: out.clone(),
        };
        assert_eq!(claim(&w.fleet, Claim::List).await.unwrap(), "There is no claim.\n");
        w.fleet.devices().create_group(&Actor::system(w.org.clone()), "Hall 3").await.unwrap();
        let month = ProfileRules { hours: 720, factory: false, keys: Vec::new(), rekey: None };
        w.fleet.pki().set_profile(&Actor::system(w.org.clone()), "month", month).await.unwrap();
        let refused = claim(&w.fleet, Claim::Create(new.clone())).await.unwrap_err();
        assert!(super::super::in_words(refused).to_string().contains("1 to 100,000 times") && !out.exists());
        let new = Create { max_uses: 5, ..new };
        let made = claim(&w.fleet, Claim::Create(new.clone())).await.unwrap();
        let id: ClaimId = made.lines().next().unwrap().parse().unwrap();
        let pem = std::fs::read_to_string(&out).unwrap();
        assert!(pem.contains("BEGIN CERTIFICATE") && pem.contains("BEGIN PRIVATE KEY"));
        assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(claim(&w.fleet, Claim::Create(new.clone())).await.unwrap_err().to_string().contains("exists already"));
        // A key that was made elsewhere stays there.
        let (elsewhere, asked) = (folder.path().join("elsewhere.pem"), folder.path().join("claim.csr"));
        std::fs::write(&asked, csr("line-3")).unwrap();
        claim(&w.fleet, Claim::Create(Create { csr: Some(asked), out: elsewhere.clone(), ..new })).await.unwrap();
        assert!(!std::fs::read_to_string(elsewhere).unwrap().contains("PRIVATE KEY"));

        let over = Over { claim: Some(&id), ..Over::default() };
        let request = asks("gw-1");
        w.fleet.devices().enrol_over(Attempt { secret: "", request: &request, address: "192.0.2.1" }, over).await.unwrap();
        let list = claim(&w.fleet, Claim::List).await.unwrap();
        assert!(list.contains("usable") && list.contains("1 of 5") && list.contains("line 3") && list.contains("month"), "{list}");
        assert!(list.contains("group Hall 3"), "{list}");
        assert!(claim(&w.fleet, Claim::Devices { id: id.clone() }).await.unwrap().contains("gw-1"));
        claim(&w.fleet, Claim::Disable { id: id.clone() }).await.unwrap();
        assert!(claim(&w.fleet, Claim::List).await.unwrap().contains("disabled"));
        let request = asks("gw-2");
        let refused = w.fleet.devices().enrol_over(Attempt { secret: "", request: &request, address: "192.0.2.1" }, over).await;
        assert!(matches!(refused, Err(Error::BadClaim)));
    }
}
