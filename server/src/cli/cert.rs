//! `fleetward cert`: the certificates of devices, for when the console is out of reach. The words are those of the REST API.

use super::{
    authority,
    blocked::{self, BlockedKeys},
    files, one_of,
    profile::{self, Profile},
    said::{Named, every, instant_flag, table},
};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId},
    page::MAX_ROWS,
    pki::{
        AuthorityRow, CertificateDetail, CertificateQuery, CertificateRow, CertificateSort, IdentityRules, Revocation, RevocationReason,
    },
    states::{CertificateState, ClonePolicy, RecoveryPolicy, RekeyPolicy},
};

#[derive(Debug, Subcommand)]
pub(super) enum Cert {
    /// List certificates, those that end first in front unless another order is asked for
    List(List),
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
    /// Write a certificate as DER
    Der {
        /// The certificate's id
        id: CertificateId,
        /// The file; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what holds for clones, keys at renewal and certificates that have ended, or change what is named
    Rules(Rules),
    /// Profiles: kinds of device certificates that tokens, claims, batches and approvals without a token give
    #[command(subcommand)]
    Profile(Profile),
    /// Keys that get no certificate any more: compromised ones, and those that were found where others can read them
    #[command(subcommand)]
    BlockedKey(BlockedKeys),
    /// Revoke a certificate: connections that use it are closed within a second, and it can't be taken back. What was revoked may still be said to be a key compromise
    Revoke {
        /// The certificate's id
        id: CertificateId,
        /// Why (RFC 5280 §5.3.1)
        #[arg(long, value_parser = one_of::<RevocationReason>(RevocationReason::ALL.iter().map(|r| r.as_str())))]
        reason: RevocationReason,
        /// Since when it is known or suspected to be wrong, for example 2026-11-22T09:57:00Z; published with the revocation
        #[arg(long, alias = "invalid-since", value_name = "TIME", value_parser = instant_flag)]
        invalidity_date: Option<Timestamp>,
        /// For those who look at it later; never published
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
}

/// Which certificates are listed; all unless something is said.
#[derive(Debug, Default, clap::Args)]
pub(super) struct List {
    /// A part of the device's id, or the beginning of the serial number or of the fingerprint in hex
    #[arg(long, value_name = "TEXT", default_value = "")]
    q: String,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = one_of::<CertificateState>(CertificateState::ALL.iter().map(|s| s.as_str())))]
    state: Option<CertificateState>,
    /// Only those of this authority, by its id, its name, or the label it was registered under; unless a state or a time is asked for, of these only what is in
    /// use and has no successor in use: what depends on it
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<Named<AuthorityId>>,
    /// Only what ends in this week from now on, 0 being the next seven days, and has no successor in use
    #[arg(long, value_name = "N")]
    week: Option<u32>,
    /// Only what ends within so many days and has no successor in use
    #[arg(long, value_name = "DAYS")]
    within: Option<u32>,
    /// In this order; in that of revocation only revoked ones are listed
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true, value_parser = one_of::<CertificateSort>(CertificateSort::ALL.iter().map(|s| s.as_str())))]
    sort: Option<CertificateSort>,
}

/// What is to be changed; nothing shows what holds.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Rules {
    /// When two seem to hold one device's key: tell people, or suspend the device as well
    #[arg(long, value_name = "POLICY", value_parser = one_of::<ClonePolicy>(ClonePolicy::ALL.iter().map(|p| p.as_str())))]
    clones: Option<ClonePolicy>,
    /// Whether a device must, may or must not change its key with a renewal
    #[arg(long, value_name = "POLICY", value_parser = one_of::<RekeyPolicy>(RekeyPolicy::ALL.iter().map(|p| p.as_str())))]
    rekey: Option<RekeyPolicy>,
    /// Whether a device whose certificate has ended may come back by its old key
    #[arg(long, value_name = "POLICY", value_parser = one_of::<RecoveryPolicy>(RecoveryPolicy::ALL.iter().map(|p| p.as_str())))]
    recovery: Option<RecoveryPolicy>,
    /// For how many days after its end, 1 to 365
    #[arg(long, value_name = "N")]
    recovery_days: Option<u32>,
}

/// Pure: a chain from its issuer up, with a word behind whom somebody else may have the key of.
fn chain(chain: &[AuthorityRow], alarmed: &[AuthorityId]) -> String {
    let one = |a: &AuthorityRow| format!("{}{}", a.subject, if alarmed.contains(&a.id) { " (ALARM)" } else { "" });
    chain.iter().map(one).collect::<Vec<_>>().join(" < ")
}

pub(super) async fn run(fleet: &Fleet, command: Cert) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    let pki = fleet.pki();
    match command {
        Cert::List(wanted) => print!("{}", list(fleet, &actor, wanted).await?),
        Cert::Show { id } => {
            let c = pki.certificate(&actor, &id).await?;
            let state = if c.row.reason.is_empty() || c.row.reason == c.row.state.as_str() {
                c.row.state.to_string()
            } else {
                format!("{} ({})", c.row.state, c.row.reason)
            };
            // What was cut off, or has ended, is usable no more.
            let usable = matches!(c.row.state, CertificateState::Active | CertificateState::Superseded);
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
                ("Usable until", if usable { c.usable_until.to_string() } else { String::new() }),
                ("First used", or_never(c.row.first_used_at)),
                ("Enrolled by", c.enrolled_by),
                ("Profile", c.profile),
                ("Revoked", c.revoked_at.map(|at| format!("{at} by {}", c.revoked_by)).unwrap_or_default()),
                ("Compromised", c.raised_at.map(|at| format!("told {at} by {}", c.raised_by)).unwrap_or_default()),
                ("Invalid since", c.invalidity_date.map(|at| at.to_string()).unwrap_or_default()),
                ("Note", c.revocation_note),
                ("Serial", c.row.serial),
                ("SHA-256", c.row.fingerprint),
                ("Published at", c.decoded.addresses.join(", ")),
                ("Chain", chain(&c.chain, &c.alarmed)),
            ] {
                if !value.is_empty() {
                    println!("{name:<14}{value}");
                }
            }
        }
        Cert::Profile(command) => profile::run(fleet, &actor, command).await?,
        Cert::BlockedKey(command) => blocked::run(fleet, &actor, command).await?,
        Cert::Pem { id, out } => {
            let c = pki.certificate(&actor, &id).await?;
            let text: String = std::iter::once(c.pem).chain(c.chain.into_iter().map(|a| a.pem)).collect();
            match out {
                Some(path) => files::write(&path, text.as_bytes(), files::PUBLIC)?,
                None => print!("{text}"),
            }
        }
        Cert::Der { id, out } => {
            files::write(&out, &pki.certificate_der(&actor, &id).await?, files::PUBLIC)?;
        }
        Cert::Rules(change) => print!("{}", rules(fleet, &actor, &change).await?),
        Cert::Revoke { id, reason, invalidity_date, note } => {
            let c = pki.certificate(&actor, &id).await?;
            pki.revoke(&actor, &id, Revocation { reason, invalidity_date, note }).await?;
            println!("{}", revoked(&c, reason));
        }
    }
    Ok(())
}

/// The certificates as a table.
async fn list(fleet: &Fleet, actor: &Actor, wanted: List) -> Result<String> {
    let List { q, state, authority, week, within, sort } = wanted;
    let authority = match authority {
        Some(named) => Some(authority::meant(fleet, actor, named).await?),
        None => None,
    };
    let (pki, query) = (fleet.pki(), CertificateQuery { q, week, within, state, authority, sort, cursor: None, rows: Some(MAX_ROWS) });
    let page = async |cursor: Option<String>| {
        pki.certificates_page(actor, &CertificateQuery { cursor, ..query.clone() }).await.map(|page| page.certificates)
    };
    let rows: Vec<Vec<String>> = every(page).await?.iter().map(line).collect();
    Ok(if rows.is_empty() {
        "No certificate fits.\n".to_owned()
    } else {
        table(&["ID", "DEVICE", "STATE", "UNTIL", "KEY", "SERIAL"], &rows)
    })
}

/// What a revocation for this reason has come to, from how the certificate was before.
fn revoked(before: &CertificateDetail, reason: RevocationReason) -> String {
    let (id, device) = (&before.row.id, &before.row.device_id);
    match before.revoked_at.filter(|_| matches!(before.row.state, CertificateState::Revoked | CertificateState::Superseded)) {
        Some(at) if before.row.reason != reason.as_str() => format!(
            "{id} of {device} was revoked on {} with reason {}. The reason is {reason} now, and its key is never taken again.",
            at.readable(),
            before.row.reason
        ),
        Some(at) => format!("{id} of {device} was revoked on {} with reason {reason}; nothing has changed.", at.readable()),
        None => format!("{id} of {device} is revoked. A running server closes its connections within a second."),
    }
}

async fn rules(fleet: &Fleet, actor: &Actor, change: &Rules) -> Result<String> {
    let now = fleet.pki().rules(actor).await?.rules;
    let to = IdentityRules {
        clones: change.clones.unwrap_or(now.clones),
        rekey: change.rekey.unwrap_or(now.rekey),
        recovery: change.recovery.unwrap_or(now.recovery),
        recovery_days: change.recovery_days.unwrap_or(now.recovery_days),
    };
    // Also what stays as it is goes to the books, once somebody has said so.
    if change.clones.is_some() || change.rekey.is_some() || change.recovery.is_some() || change.recovery_days.is_some() {
        fleet.pki().set_rules(actor, to).await?;
    }
    Ok(format!(
        "clones         {}\nrekey          {}\nrecovery       {}\nrecovery_days  {}\n",
        to.clones, to.rekey, to.recovery, to.recovery_days
    ))
}

fn line(c: &CertificateRow) -> Vec<String> {
    vec![c.id.to_string(), c.device_id.to_string(), c.state.to_string(), c.not_after.to_string(), c.key_alg.clone(), c.serial.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use rstest::rstest;

    #[tokio::test]
    async fn a_certificate_is_written_as_der_and_nothing_is_written_over() {
        let w = World::open(EngineKind::Sqlite).await;
        w.device("gw-1", "gateway").await;
        let actor = Actor::shell(w.org.clone());
        let row = w.fleet.pki().certificates_page(&actor, &CertificateQuery::default()).await.unwrap().certificates.items.remove(0);
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("gw-1.cer");
        let write = async || run(&w.fleet, Cert::Der { id: row.id.clone(), out: out.clone() }).await;
        write().await.unwrap();
        assert_eq!(hex::encode(fleet::pki::csr::sha256(&std::fs::read(&out).unwrap())), row.fingerprint);
        assert!(write().await.unwrap_err().to_string().contains("gw-1.cer exists already"));
        let pem = async |out| run(&w.fleet, Cert::Pem { id: row.id.clone(), out: Some(out) }).await;
        assert!(pem(out.clone()).await.unwrap_err().to_string().contains("gw-1.cer exists already"));
        let other = folder.path().join("gw-1.pem");
        pem(other.clone()).await.unwrap();
        assert!(std::fs::read_to_string(&other).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn certificates_are_listed_by_their_authority_and_in_an_order(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        for id in ["gw-1", "gw-2"] {
            w.device(id, "gateway").await;
        }
        let actor = Actor::shell(w.org.clone());
        let of = |kind: &str| w.fleet.pki().list_authorities(&actor).unwrap().into_iter().find(|a| a.kind == kind).unwrap();
        let say = async |wanted| list(&w.fleet, &actor, wanted).await.map_err(|e| e.to_string());
        let by = async |text: &str| say(List { authority: Some(text.parse().unwrap()), ..List::default() }).await;
        let (device, root) = (of("device"), of("root"));
        for text in [device.id.as_str(), device.common_name(), &device.subject] {
            let said = by(text).await.unwrap();
            assert!(said.contains("gw-1") && said.contains("gw-2") && said.lines().count() == 3, "{text}: {said}");
        }
        assert_eq!(by(root.common_name()).await.unwrap(), "No certificate fits.\n");
        assert_eq!(by("Nobody's CA").await.unwrap_err(), "there is no authority Nobody's CA");
        let last = say(List { sort: Some(CertificateSort::DeviceDesc), ..List::default() }).await.unwrap();
        assert!(last.lines().nth(1).unwrap().contains("gw-2"), "{last}");
        let none = say(List { state: Some(CertificateState::Revoked), ..List::default() }).await.unwrap();
        assert_eq!(none, "No certificate fits.\n");
    }

    #[tokio::test]
    async fn h_4_a_chain_says_whose_key_somebody_else_may_have() {
        let w = World::open(EngineKind::Sqlite).await;
        w.device("gw-1", "gateway").await;
        let actor = Actor::shell(w.org.clone());
        let row = w.fleet.pki().certificates_page(&actor, &CertificateQuery::default()).await.unwrap().certificates.items.remove(0);
        let above = w.fleet.pki().certificate(&actor, &row.id).await.unwrap().chain;
        let [issuer, root] = &above[..] else { panic!("{above:?}") };
        assert_eq!(chain(&above, &[]), format!("{} < {}", issuer.subject, root.subject));
        assert_eq!(chain(&above, std::slice::from_ref(&root.id)), format!("{} < {} (ALARM)", issuer.subject, root.subject));
    }

    /// what was revoked stays as it was, and that is what is said.
    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn r_5_revoking_again_says_that_nothing_has_changed_and_only_a_compromise_may_follow(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        w.device("gw-1", "gateway").await;
        let actor = Actor::shell(w.org.clone());
        let row = w.fleet.pki().certificates_page(&actor, &CertificateQuery::default()).await.unwrap().certificates.items.remove(0);
        let before = async |reason| revoked(&w.fleet.pki().certificate(&actor, &row.id).await.unwrap(), reason);
        let revoke = async |reason| {
            let (id, note) = (row.id.clone(), String::new());
            let done = run(&w.fleet, Cert::Revoke { id, reason, invalidity_date: None, note }).await;
            done.map_err(|e| super::super::in_words(e).to_string())
        };
        assert!(before(RevocationReason::Superseded).await.ends_with("closes its connections within a second."));
        for _ in 0..2 {
            revoke(RevocationReason::Superseded).await.unwrap();
        }
        let again = before(RevocationReason::Superseded).await;
        assert!(again.contains("was revoked on ") && again.ends_with("with reason superseded; nothing has changed."), "{again}");
        let refused = revoke(RevocationReason::Unspecified).await.unwrap_err();
        assert!(refused.contains("It was revoked on ") && refused.contains("with reason superseded; the reason stays."), "{refused}");
        let worse = before(RevocationReason::KeyCompromise).await;
        assert!(worse.contains("with reason superseded. The reason is key_compromise now"), "{worse}");
        revoke(RevocationReason::KeyCompromise).await.unwrap();
        let refused = revoke(RevocationReason::Superseded).await.unwrap_err();
        assert!(refused.contains("with reason key_compromise; the reason stays."), "{refused}");
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn r_4_rules_are_shown_and_changed_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let actor = Actor::shell(w.org.clone());
        let say = async |change| rules(&w.fleet, &actor, &change).await.map_err(|e| super::super::in_words(e).to_string());
        let before = say(Rules::default()).await.unwrap();
        assert!(before.contains("clones         alert\n") && before.contains("recovery       off\n"), "{before}");
        let changed = say(Rules { recovery: Some(RecoveryPolicy::Approval), recovery_days: Some(7), ..Rules::default() }).await.unwrap();
        assert!(
            changed.contains("clones         alert\n") && changed.ends_with("recovery       approval\nrecovery_days  7\n"),
            "{changed}"
        );
        assert_eq!(say(Rules::default()).await.unwrap(), changed);
        let refused = say(Rules { recovery_days: Some(0), ..Rules::default() }).await.unwrap_err();
        assert!(refused.contains("365"), "{refused}");
    }
}
