//! `fleetward enrolment-token`: secrets that trade a CSR for a certificate, for when the console is out of reach.

use super::{
    newcomers::Newcomers,
    said::{every, one_of},
};
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::io::IsTerminal as _;
use wire::{
    Timestamp,
    enrolment::{EnrolmentMode, EnrolmentToken as Kept, GivenGroup, NewEnrolmentToken},
    ids::EnrolmentTokenId,
    page::MAX_ROWS,
};

#[derive(Debug, Subcommand)]
pub(super) enum EnrolmentToken {
    /// Make an enrolment token; prints the line to paste on a device, with the secret, once
    Create(Box<Create>),
    /// List the enrolment tokens, newest first
    List,
    /// Revoke an enrolment token; devices it enrolled stay
    Revoke {
        /// The token's id
        id: EnrolmentTokenId,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    newcomers: Newcomers,
    /// How many devices it may enrol, 1 to 10,000
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_uses: i64,
    /// How many hours it lives, 1 to 720
    #[arg(long, value_name = "N", default_value_t = 24)]
    hours: i64,
    /// The network it may be used from, for example 192.0.2.0/24
    #[arg(long, value_name = "CIDR", default_value = "")]
    source: String,
    /// SHA-256 of the only public key it is for, 64 hex digits
    #[arg(long, value_name = "HEX", default_value = "")]
    spki_sha256: String,
    /// SHA-256 of the only CSR it is for, 64 hex digits
    #[arg(long, value_name = "HEX", default_value = "")]
    csr_sha256: String,
    /// The profile of the certificates it gives: see cert profile list
    #[arg(long, value_name = "NAME", default_value = "")]
    profile: String,
    /// What its devices go through before they are in: nothing, or a person who approves each; auto unless given
    #[arg(long, value_parser = one_of::<EnrolmentMode>(EnrolmentMode::ALL.iter().map(|m| m.as_str())))]
    mode: Option<EnrolmentMode>,
    /// The same as --mode approval: its name before
    #[arg(long, hide = true, conflicts_with = "mode")]
    approval: bool,
    /// Show what the device needs as a QR code as well
    #[arg(long)]
    qr: bool,
}

pub(super) async fn run(fleet: &Fleet, command: EnrolmentToken) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    match command {
        EnrolmentToken::Create(c) => {
            let new = NewEnrolmentToken {
                label: c.newcomers.label,
                pattern: c.newcomers.pattern,
                device_type: c.newcomers.device_type,
                tags: c.newcomers.tags,
                groups: c.newcomers.groups,
                max_uses: c.max_uses,
                hours: c.hours,
                source: c.source,
                mode: if c.approval { EnrolmentMode::Approval } else { c.mode.unwrap_or_default() },
                spki_sha256: c.spki_sha256,
                csr_sha256: c.csr_sha256,
                profile: c.profile,
            };
            let created = fleet.devices().create_enrolment_token(&actor, new).await?;
            println!("{}\n{}", created.token.id, created.command);
            if c.qr {
                show(&created.code)?;
            }
        }
        EnrolmentToken::List => {
            let (devices, now) = (fleet.devices(), fleet.clock().now());
            let tokens = every(async |cursor| devices.enrolment_tokens(&actor, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            for t in tokens {
                println!("{}", line(t, now));
            }
        }
        EnrolmentToken::Revoke { id } => {
            fleet.devices().revoke_enrolment_token(&actor, &id).await?;
            println!("{id} is revoked.");
        }
    }
    Ok(())
}

/// Pure: a token in a line, with what is to be looked at at its end.
fn line(t: Kept, now: Timestamp) -> String {
    let standing = match t.revoked_at {
        Some(_) => "revoked",
        None if t.uses >= t.max_uses => "used up",
        None if t.expires_at <= now => "expired",
        None if t.frozen_by.is_some() => "frozen",
        None => "usable",
    };
    let uses = format!("{} of {} used, {} connected", t.uses, t.max_uses, t.connected);
    let profile = (!t.profile.is_empty()).then(|| format!("profile {}", t.profile));
    let reused = t.reused_at.map(|at| format!("tried again from {} on {}", t.reused_from, at.readable()));
    let device_type = (!t.device_type.is_empty()).then(|| format!("type {}", t.device_type));
    let pattern = (!t.pattern.is_empty()).then(|| format!("for {}", t.pattern));
    let approval = (t.mode == EnrolmentMode::Approval).then(|| "a person approves each".to_owned());
    let limits = [pattern, device_type, profile, approval, reused].into_iter().flatten();
    let words: Vec<String> = [t.label].into_iter().chain(t.groups.iter().map(GivenGroup::words)).chain(limits).collect();
    format!("{}  {standing:<8}  {uses}  until {}  {}", t.id, t.expires_at, words.join("  "))
}

/// Prints the code for a camera, and as text for whoever has none.
fn show(code: &str) -> Result<()> {
    let drawn =
        super::qr::lines(code, std::io::stdout().is_terminal()).context("the code is too long for a QR code; use the line above")?;
    println!("\n{drawn}\n{code}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn e_3_a_token_that_was_tried_from_elsewhere_says_so(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let new = NewEnrolmentToken { label: "Hall 3".into(), max_uses: 1, hours: 1, ..NewEnrolmentToken::default() };
        let token = w.fleet.devices().create_enrolment_token(&w.operator().await, new).await.unwrap().token;
        let narrow = Kept { pattern: "gw-*".into(), device_type: "gateway".into(), mode: EnrolmentMode::Approval, ..token.clone() };
        let narrow = line(narrow, Timestamp(0));
        assert!(narrow.ends_with("  Hall 3  for gw-*  type gateway  a person approves each"), "{narrow}");
        let quiet = line(token.clone(), Timestamp(0));
        assert!(quiet.contains("  usable    0 of 1 used, 0 connected  until ") && quiet.ends_with("  Hall 3"), "{quiet}");
        let spent = Kept { uses: 1, reused_at: Some(Timestamp(1_795_341_432_000)), reused_from: "198.51.100.7".into(), ..token };
        let told = line(spent, Timestamp(0));
        assert!(told.contains("  used up   1 of 1 used"), "{told}");
        assert!(told.ends_with("  Hall 3  tried again from 198.51.100.7 on 22 Nov 2026 09:57 UTC"), "{told}");
    }
}
