//! `fleetward cert`: the certificates of devices, for when the console is out of reach. The words are those of the REST API.

use super::{one_of, print_table};
use anyhow::{Result, bail};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{
    ids::CertificateId,
    pki::{CertificateQuery, CertificateRow, RevocationReason},
    states::CertificateState,
};

#[derive(Debug, Subcommand)]
pub(super) enum Cert {
    /// List certificates, those that end first in front
    List {
        /// A part of the device's id, or the beginning of the serial number or of the fingerprint in hex
        #[arg(long, value_name = "TEXT", default_value = "")]
        q: String,
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = one_of::<CertificateState>(CertificateState::ALL.iter().map(|s| s.as_str())))]
        state: Option<CertificateState>,
        /// Only what ends within so many days and has no successor in use
        #[arg(long, value_name = "DAYS")]
        within: Option<u32>,
    },
    /// Show what is written in a certificate, where it stands, and its chain
    Show {
        /// The certificate's id
        id: CertificateId,
    },
    /// Write a certificate with its chain as PEM
    Pem {
        /// The certificate's id
        id: CertificateId,
        /// The file; printed unless given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Revoke a certificate: connections that use it are closed within a second, and it can't be taken back
    Revoke {
        /// The certificate's id
        id: CertificateId,
        /// Why (RFC 5280 §5.3.1)
        #[arg(long, default_value = "unspecified", value_parser = one_of::<RevocationReason>(RevocationReason::ALL.iter().map(|r| r.as_str())))]
        reason: RevocationReason,
    },
}

pub(super) async fn run(fleet: &Fleet, command: Cert) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    let pki = fleet.pki();
    match command {
        Cert::List { q, state, within } => {
            let mut query = CertificateQuery { q, state, within, ..CertificateQuery::default() };
            let mut rows = Vec::new();
            loop {
                let page = pki.certificates_page(&actor, &query).await?.certificates;
                rows.extend(page.items.iter().map(line));
                query.cursor = page.next;
                if query.cursor.is_none() {
                    break;
                }
            }
            if rows.is_empty() {
                println!("No certificate fits.");
            } else {
                print_table(&["ID", "DEVICE", "STATE", "UNTIL", "KEY", "SERIAL"], &rows);
            }
        }
        Cert::Show { id } => {
            let c = pki.certificate(&actor, &id).await?;
            let state = if c.row.reason.is_empty() || c.row.reason == c.row.state.as_str() { c.row.state.to_string() } else { format!("{} ({})", c.row.state, c.row.reason) };
            let or_never = |at: Option<wire::Timestamp>| at.map_or_else(|| "not yet".to_owned(), |at| at.to_string());
            for (name, value) in [
                ("Device", c.row.device_id.to_string()),
                ("State", state),
                ("Subject", c.decoded.subject),
                ("Issuer", c.decoded.issuer),
                ("Names", c.decoded.alternatives.join(", ")),
                ("Usages", c.decoded.usages.join(", ")),
                ("Key", c.row.key_alg),
                ("Key made by", c.row.key_origin.to_string()),
                ("Valid", format!("{} to {}", c.row.not_before, c.row.not_after)),
                ("Usable until", c.usable_until.to_string()),
                ("First used", or_never(c.row.first_used_at)),
                ("Enrolled by", c.enrolled_by),
                ("Serial", c.row.serial),
                ("SHA-256", c.row.fingerprint),
                ("Published at", c.decoded.addresses.join(", ")),
                ("Chain", c.chain.iter().map(|a| a.subject.as_str()).collect::<Vec<_>>().join(" < ")),
            ] {
                if !value.is_empty() {
                    println!("{name:<14}{value}");
                }
            }
        }
        Cert::Pem { id, out } => {
            let c = pki.certificate(&actor, &id).await?;
            let text: String = std::iter::once(c.pem).chain(c.chain.into_iter().map(|a| a.pem)).collect();
            match out {
                Some(path) if path.exists() => bail!("{} is there already; give another file", path.display()),
                Some(path) => std::fs::write(path, text)?,
                None => print!("{text}"),
            }
        }
        Cert::Revoke { id, reason } => {
            let c = pki.certificate(&actor, &id).await?;
            pki.revoke(&actor, &id, reason).await?;
            println!("{id} of {} is revoked. A running server closes its connections within a second.", c.row.device_id);
        }
    }
    Ok(())
}

fn line(c: &CertificateRow) -> Vec<String> {
    vec![c.id.to_string(), c.device_id.to_string(), c.state.to_string(), c.not_after.to_string(), c.key_alg.clone(), c.serial.clone()]
}
