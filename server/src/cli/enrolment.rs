//! `fleetward enrolment-token`: secrets that trade a CSR for a certificate, for when the console is out of reach.

use super::said::every;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::io::IsTerminal as _;
use wire::{
    enrolment::{EnrolmentMode, GivenGroup, NewEnrolmentToken},
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
    /// What it is for
    #[arg(long)]
    label: String,
    /// Device ids it may enrol, for example gw-* or "gw-1 gw-2"; any unless given
    #[arg(long, default_value = "")]
    pattern: String,
    /// Type given to its devices
    #[arg(long = "type", value_name = "TYPE", default_value = "")]
    device_type: String,
    /// A tag given to its devices; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A group that its devices are put into, by its name or id; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
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
    /// A person approves each device
    #[arg(long)]
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
                label: c.label,
                pattern: c.pattern,
                device_type: c.device_type,
                tags: c.tags,
                groups: c.groups,
                max_uses: c.max_uses,
                hours: c.hours,
                source: c.source,
                mode: if c.approval { EnrolmentMode::Approval } else { EnrolmentMode::Auto },
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
                let standing = match t.revoked_at {
                    Some(_) => "revoked",
                    None if t.uses >= t.max_uses => "used up",
                    None if t.expires_at <= now => "expired",
                    None if t.frozen_by.is_some() => "frozen",
                    None => "usable",
                };
                let uses = format!("{} of {} used, {} connected", t.uses, t.max_uses, t.connected);
                let profile = (!t.profile.is_empty()).then(|| format!("profile {}", t.profile));
                let words: Vec<String> = [t.label].into_iter().chain(t.groups.iter().map(GivenGroup::words)).chain(profile).collect();
                println!("{}  {standing:<8}  {uses}  until {}  {}", t.id, t.expires_at, words.join("  "));
            }
        }
        EnrolmentToken::Revoke { id } => {
            fleet.devices().revoke_enrolment_token(&actor, &id).await?;
            println!("{id} is revoked.");
        }
    }
    Ok(())
}

/// Prints the code for a camera, and as text for whoever has none.
fn show(code: &str) -> Result<()> {
    let drawn =
        super::qr::lines(code, std::io::stdout().is_terminal()).context("the code is too long for a QR code; use the line above")?;
    println!("\n{drawn}\n{code}");
    Ok(())
}
