//! `release show`: all that is known of one release, in lines, and which release an id or a version means. Refuses to know what may be done with it, which
//! the core says.

use super::{
    super::said::{Named, every, only, table},
    recalling,
};
use crate::config::Flags;
use anyhow::Result;
use app::ui::number::{counted, grouped};
use clap::Args;
use fleet::{Fleet, access::Actor};
use std::{collections::BTreeSet, fmt::Write as _};
use wire::{
    Timestamp,
    access::{AuditEntry, AuditQuery},
    ids::ReleaseId,
    page::MAX_ROWS,
    releases::{ArtifactRow, Container, Recalled, ReleaseDetail, ReleaseQuery, ReleaseRow, ReleaseUse},
    signing::SignatureRow,
    states::ReleaseState,
};

/// A release of the fleet, by its id or by its version.
#[derive(Debug, Clone, Args)]
pub struct Chosen {
    /// The release's id, or its version
    #[arg(value_name = "ID|VERSION")]
    pub(super) release: Named<ReleaseId>,
    /// The device type that it is for, where releases for several have this version
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) device_type: Option<String>,
    #[command(flatten)]
    pub(super) flags: Box<Flags>,
}

impl Chosen {
    /// The id of the one that is meant.
    pub(super) async fn id(&self, fleet: &Fleet, actor: &Actor) -> Result<ReleaseId> {
        let version = match &self.release {
            Named::Id(id) => return Ok(id.clone()),
            Named::Name(version) => version,
        };
        let query =
            ReleaseQuery { q: version.clone(), device_type: self.device_type.clone(), rows: Some(MAX_ROWS), ..ReleaseQuery::default() };
        let page = async |cursor: Option<String>| fleet.releases().list(actor, &ReleaseQuery { cursor, ..query.clone() }).await;
        // The list has those as well that have the text elsewhere.
        let found = every(page).await?.into_iter().filter(|row| row.version == *version).collect();
        only("release", version, meant(found).into_iter().map(|row| row.id).collect())
    }
}

/// Pure: those of one version that somebody may mean who says only that: of a device type the published one, and none in quarantine while another one is not.
/// An upload that nobody has signed takes no name away.
fn meant(mut found: Vec<ReleaseRow>) -> Vec<ReleaseRow> {
    let sound = found.iter().any(|row| row.quarantine.is_empty());
    found.retain(|row| !sound || row.quarantine.is_empty());
    let published = found.iter().filter(|row| row.state == ReleaseState::Published);
    let published: BTreeSet<String> = published.map(|row| row.device_type.clone()).collect();
    found.retain(|row| row.state == ReleaseState::Published || !published.contains(&row.device_type));
    found
}

/// All of a release, in whole lines.
pub(super) async fn told(fleet: &Fleet, actor: &Actor, id: &ReleaseId) -> Result<String> {
    let release = Box::pin(fleet.release_detail(actor, id)).await?;
    let published = match release.row.state {
        ReleaseState::Draft | ReleaseState::Verified => None,
        ReleaseState::Published | ReleaseState::Deprecated | ReleaseState::Recalled => publishing(fleet, actor, &release).await?,
    };
    Ok(lines(&release, published.as_ref()))
}

/// The entry of the audit log by which it was published.
async fn publishing(fleet: &Fleet, actor: &Actor, release: &ReleaseDetail) -> Result<Option<AuditEntry>> {
    let row = &release.row;
    let (q, action) = (row.id.to_string(), "release.publish".to_owned());
    let mut asked = AuditQuery { q, action, since: Some(row.created_at), rows: Some(MAX_ROWS), ..AuditQuery::default() };
    loop {
        let page = fleet.access().find_audit(actor, &asked).await?.entries;
        let found = page.items.into_iter().find(|entry| entry.object == row.id.as_str());
        if found.is_some() || page.next.is_none() {
            return Ok(found);
        }
        asked.cursor = page.next;
    }
}

/// Pure: the release in lines: what it is, its files, who has signed it, what speaks against it, and its notes at the end.
fn lines(release: &ReleaseDetail, published: Option<&AuditEntry>) -> String {
    let row = &release.row;
    let by = |at: Timestamp, who: &str| format!("{} by {who}", at.readable());
    let over = if release.min_sequence > 0 { format!("sequence {} or newer", release.min_sequence) } else { "any version".to_owned() };
    let steps = [
        (release.may_publish, "publish"),
        (release.may_deprecate, "deprecate"),
        (release.may_recall, "recall"),
        (release.may_recheck, "recheck"),
        (release.may_remove, "delete"),
    ];
    let possible: Vec<&str> = steps.into_iter().filter_map(|(may, step)| may.then_some(step)).collect();
    let mut out = String::new();
    // Writing to a string can't fail.
    for (name, value) in [
        ("Release", row.id.to_string()),
        ("Type", row.device_type.clone()),
        ("Version", row.version.clone()),
        ("Sequence", row.sequence.to_string()),
        ("State", row.state.to_string()),
        ("Quarantine", row.quarantine.clone()),
        ("Hardware", if release.hardware.is_empty() { "every revision".to_owned() } else { release.hardware.join(", ") }),
        ("Installs over", over),
        ("Uploaded", by(row.created_at, &row.created_by)),
        ("Published", published.map(|entry| by(entry.at, &entry.actor)).unwrap_or_default()),
        ("Recalled", release.recalled.as_ref().map(recalled).unwrap_or_default()),
        ("Signatures", release.signatures.as_ref().map(|s| format!("{} of {}", s.have, s.need)).unwrap_or_default()),
        ("Manifest", release.manifest_sha256.clone()),
        ("Runs on", counted(row.installed, "device", "devices")),
        ("Possible", possible.join(", ")),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<15}{value}");
        }
    }
    let files: Vec<Vec<String>> = release.artifacts.iter().map(file).collect();
    let _ = write!(out, "\n{}", table(&["FILE", "BYTES", "SHA-256", "COMPARED", "DAMAGE"], &files));
    if row.damaged > 0 {
        let _ = writeln!(out, "Damaged files are not given out. `fleetward release upload` with the same file heals it.");
    }
    for artifact in &release.artifacts {
        if let Some(image) = &artifact.container {
            let _ = writeln!(out, "{} is {}", artifact.name, container(image));
        }
        if let Some(signature) = &artifact.signature {
            let _ = writeln!(out, "{} is {}", artifact.name, signature.told());
        }
    }
    let signatures: Vec<Vec<String>> = release.signatures.iter().flat_map(|s| &s.signatures).map(signature).collect();
    if !signatures.is_empty() {
        let _ = write!(out, "\n{}", table(&["SIGNED WITH", "KEY", "COUNTS", "ADDED"], &signatures));
    }
    let rollouts: Vec<Vec<String>> = release.rollouts.iter().map(rollout).collect();
    if !rollouts.is_empty() {
        let _ = write!(out, "\n{}", table(&["ROLLOUT", "STATE", "SUCCEEDED", "NAME"], &rollouts));
    }
    if let Some(recalled) = &release.recalled {
        let _ = write!(out, "\n{}", recalling::left(release, recalled));
    }
    for warning in &release.warnings {
        let _ = writeln!(out, "\nWarning: {warning}");
    }
    if let Some(back) = &release.go_back {
        let _ = writeln!(out, "\nDevices go back to it from {} where it is signed again: {}", back.from, back.command);
    }
    if !release.notes.is_empty() {
        let _ = writeln!(out, "\n{}", release.notes.trim_end());
    }
    out
}

/// Which release it is, and how it stands, in a line.
pub(super) fn headed(row: &ReleaseRow) -> String {
    format!("{} {} {} (sequence {}): {}", row.id, row.device_type, row.version, row.sequence, row.state)
}

/// When, by whom and why it was recalled.
fn recalled(of: &Recalled) -> String {
    let by = if of.by.is_empty() { String::new() } else { format!(" by {}", of.by) };
    let reason = if of.reason.is_empty() { "no reason was given" } else { of.reason.as_str() };
    format!("{}{by}: {reason}", of.at.readable())
}

fn file(artifact: &ArtifactRow) -> Vec<String> {
    let compared = artifact.checked_at.map_or_else(|| "not yet".to_owned(), Timestamp::readable);
    let damage = artifact.damage.map(|damage| damage.to_string()).unwrap_or_default();
    vec![artifact.name.clone(), artifact.size.to_string(), artifact.sha256.to_string(), compared, damage]
}

/// What a container says of itself.
fn container(image: &Container) -> String {
    let fits = if image.fits.is_empty() { String::new() } else { format!("for {}", image.fits.join(" ")) };
    let said = [image.name.as_str(), &image.version, &fits, &image.note];
    let said: Vec<&str> = said.into_iter().filter(|part| !part.is_empty()).collect();
    if said.is_empty() { format!("an image of {}", image.kind) } else { format!("an image of {}: {}", image.kind, said.join(", ")) }
}

fn signature(row: &SignatureRow) -> Vec<String> {
    let name = if row.name.is_empty() { "unknown".to_owned() } else { row.name.clone() };
    let counts = if row.counts { "yes".to_owned() } else { format!("no: {}", row.why) };
    let added = row.added_at.map_or_else(|| "by its upload".to_owned(), |at| format!("{} by {}", at.readable(), row.added_by));
    vec![name, row.keyid.clone(), counts, added]
}

fn rollout(of: &ReleaseUse) -> Vec<String> {
    let succeeded = format!("{} of {}", grouped(of.counts.succeeded), grouped(of.counts.total));
    vec![of.id.to_string(), of.state.to_string(), succeeded, of.name.clone()]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::in_words, Release, Which, fetching, run, sending::upload},
        *,
    };
    use fleet::{db::EngineKind, releases::signing::SigningKeyPair, testing::World};
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_release_is_shown_fetched_looked_at_again_and_deleted_by_commands(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (admin, shell) = (w.admin().await, Actor::shell(w.org.clone()));
        let pair = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let send = async |version: &str, sequence: u64, content: &[u8]| {
            let mut manifest = fleet::testing::manifest(version, sequence, &[("fw.bin", "raw", content)]);
            (manifest.min_sequence, manifest.notes) = (1, "Fixes the radio.".into());
            std::fs::write(at("fw.bin"), content).unwrap();
            std::fs::write(at("fw.manifest.json"), pair.sign(&manifest).unwrap()).unwrap();
            upload(&w.fleet, &admin, &[at("fw.bin"), at("fw.manifest.json")]).await.unwrap().created.release.row.id
        };
        let flags = || Box::new(Flags::default());
        let chosen = |text: &str| Chosen { release: text.parse().unwrap(), device_type: None, flags: flags() };
        let show = async |text: &str| {
            let id = chosen(text).id(&w.fleet, &shell).await.map_err(|e| e.to_string())?;
            told(&w.fleet, &shell, &id).await.map_err(|e| in_words(e).to_string())
        };
        let one = send("1.0.0", 1, b"firmware").await;
        let before = show(one.as_str()).await.unwrap();
        assert!(before.contains("State          draft\nQuarantine     "), "{before}");
        assert!(before.contains("Possible       recheck, delete\n"), "{before}");
        w.fleet.releases().add_key(&admin, "build", &pair.public_pem()).await.unwrap();
        let which = |id: &ReleaseId| Which { id: id.clone(), flags: flags() };
        let act = async |command| Box::pin(run(&w.fleet, command)).await.map_err(|e| in_words(e).to_string());
        act(Release::Recheck(which(&one))).await.unwrap();
        act(Release::Publish(which(&one))).await.unwrap();

        let said = show("1.0.0").await.unwrap();
        for line in [
            "Type           gateway\n",
            "State          published\n",
            "Hardware       every revision\nInstalls over  sequence 1 or newer\nUploaded       ",
            "Published      22 Nov 2026 10:00 UTC by command line\nSignatures     1 of 1\n",
            "Possible       deprecate, recall\n",
        ] {
            assert!(said.contains(line), "{line:?} in:\n{said}");
        }
        assert!(said.contains("fw.bin  8") && said.contains(&pair.keyid()) && said.contains("  yes"), "{said}");
        assert!(said.ends_with("\nFixes the radio.\n"), "{said}");
        assert_eq!(show("9.9.9").await.unwrap_err(), "there is no release 9.9.9");

        let stranger = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(2)).unwrap();
        std::fs::write(at("fw.bin"), b"other").unwrap();
        let other = stranger.sign(&fleet::testing::manifest("1.0.0", 9, &[("fw.bin", "raw", b"other")])).unwrap();
        std::fs::write(at("fw.manifest.json"), other).unwrap();
        let other = upload(&w.fleet, &admin, &[at("fw.bin"), at("fw.manifest.json")]).await.unwrap().created.release.row;
        assert!(!other.quarantine.is_empty() && other.version == "1.0.0", "{other:?}");
        assert_eq!(chosen("1.0.0").id(&w.fleet, &shell).await.unwrap(), one, "an upload in quarantine takes no name away");
        w.fleet.releases().remove(&admin, &other.id).await.unwrap();

        let digest = w.fleet.releases().detail(&admin, &one).await.unwrap().artifacts[0].sha256.to_string();
        for (file, out) in [("fw.bin", "by-name"), (digest.as_str(), "by-digest")] {
            fetching::artifact(&w.fleet, &shell, &one, file, &at(out)).await.unwrap();
            assert_eq!(std::fs::read(at(out)).unwrap(), b"firmware");
        }
        let again = fetching::artifact(&w.fleet, &shell, &one, "fw.bin", &at("by-name")).await.unwrap_err().to_string();
        assert!(again.contains("exists already"), "{again}");
        let none = fetching::artifact(&w.fleet, &shell, &one, "rootfs", &at("none")).await.unwrap_err().to_string();
        assert!(none.contains("has no file rootfs; it has fw.bin") && !at("none").exists(), "{none}");
        let manifest = fetching::manifest(&w.fleet, &shell, &one, Some(at("out.json").as_path())).await.unwrap();
        assert!(manifest.ends_with("out.json.\n"), "{manifest}");
        let printed = fetching::manifest(&w.fleet, &shell, &one, None).await.unwrap();
        assert_eq!(printed.into_bytes(), std::fs::read(at("out.json")).unwrap());

        let two = send("2.0.0", 2, b"newer").await;
        let gone = async || show(two.as_str()).await.is_err();
        act(Release::Delete { yes: false, which: which(&two) }).await.unwrap();
        assert!(!gone().await, "nothing is deleted that nobody has said --yes to");
        act(Release::Delete { yes: true, which: which(&two) }).await.unwrap();
        assert!(gone().await);
        for yes in [false, true] {
            let kept = act(Release::Delete { yes, which: which(&one) }).await.unwrap_err();
            assert_eq!(kept, fleet::releases::Error::Kept.fault().message);
        }
    }

    #[test]
    fn a_version_means_the_published_one_of_a_device_type_and_none_in_quarantine() {
        let row = |id: u32, device_type: &str, state, quarantine: &str| ReleaseRow {
            id: format!("rel_{id:032x}").parse().unwrap(),
            device_type: device_type.into(),
            version: "1.0.0".into(),
            sequence: 1,
            state,
            quarantine: quarantine.into(),
            size: 8,
            signed_by: Vec::new(),
            created_at: Timestamp(0),
            created_by: "Oli".into(),
            installed: 0,
            rollouts: 0,
            damaged: 0,
        };
        let unsigned = row(1, "gateway", ReleaseState::Draft, "no signature counts");
        let (recalled, published) = (row(2, "gateway", ReleaseState::Recalled, ""), row(3, "gateway", ReleaseState::Published, ""));
        let (verified, again) = (row(4, "sensor", ReleaseState::Verified, ""), row(5, "sensor", ReleaseState::Verified, ""));
        let all = |of: &[&ReleaseRow]| meant(of.iter().map(|&row| row.clone()).collect());
        assert_eq!(all(&[&unsigned, &recalled, &published]), std::slice::from_ref(&published));
        assert_eq!(all(&[&unsigned, &verified]), std::slice::from_ref(&verified));
        assert_eq!(all(&[&unsigned]), std::slice::from_ref(&unsigned), "where there is no other one");
        assert_eq!(all(&[&published, &verified]), [published.clone(), verified.clone()], "two types: who asks says which");
        assert_eq!(all(&[&verified, &again]), [verified.clone(), again.clone()]);
    }

    #[test]
    fn a_container_says_what_it_says() {
        let kind = wire::releases::ContainerKind::Rauc;
        let image = |name: &str, fits: &[&str]| {
            let fits = fits.iter().map(|&fit| fit.to_owned()).collect();
            container(&Container { kind, name: name.into(), version: String::new(), fits, signature: None, note: String::new() })
        };
        assert_eq!(image("", &[]), "an image of rauc");
        assert_eq!(image("bundle", &["a", "b"]), "an image of rauc: bundle, for a b");
    }
}
