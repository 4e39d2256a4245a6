//! `fleetward key set`: documents that say which keys devices trust and how many of them must sign (U-1). Made and signed offline; published to
//! a fleet, whose devices fetch them.

use super::{files, release::key_of, table};
use crate::config::Flags;
use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{
    Fleet,
    access::Actor,
    clock::{Clock as _, SystemClock},
    releases::{
        manifest::written,
        signing::{keyid, parse_public},
        succession,
    },
};
use std::path::{Path, PathBuf};
use wire::{
    Timestamp,
    manifest::Envelope,
    signing::{KEY_SET_TYPE, KeySet, KeySetRow, ListedKey, SCHEMA, Thresholds, TypeThreshold},
};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What can be done with key sets.
#[derive(Debug, clap::Subcommand)]
pub enum KeySets {
    /// Make a key set; works without a data folder
    Make(MakeSet),
    /// Sign a key set; works without a data folder
    Sign(SignSet),
    /// List the key sets that were published, newest first
    List(Box<Flags>),
    /// Publish a key set that enough keys have signed
    Publish {
        #[command(flatten)]
        publish: PublishSet,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// Make a key set; works without a data folder. It counts once enough of the keys before it and enough of its own have signed it.
#[derive(Debug, Clone, clap::Args)]
pub struct MakeSet {
    /// One more than the version of the set before; 1 for the first.
    #[arg(long, value_name = "N")]
    pub version: u64,
    /// A key of the set: what people call it, and its public half's file. Given once for each.
    #[arg(long = "trust", value_name = "NAME=FILE", required = true, value_parser = named)]
    pub keys: Vec<(String, PathBuf)>,
    /// How many of them must sign a release.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threshold: u32,
    /// How many must sign a release for one device type; may be given several times.
    #[arg(long = "device-type", alias = "type", value_name = "TYPE=N", value_parser = typed)]
    pub device_types: Vec<TypeThreshold>,
    /// After how many days it ends; never unless given. Devices then install nothing until the next one came, which can still follow on it.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub expires: Option<u32>,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Sign a key set; works without a data folder.
#[derive(Debug, Clone, clap::Args)]
pub struct SignSet {
    /// The private key's file: of a key that is trusted before the set, or of the set itself.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The key set, which gets the signature.
    #[arg(long, value_name = "FILE")]
    pub set: PathBuf,
}

/// Publish a key set that enough keys have signed; from then on it decides about keys and thresholds.
#[derive(Debug, Clone, clap::Args)]
pub struct PublishSet {
    /// The key set.
    #[arg(long, value_name = "FILE")]
    pub set: PathBuf,
}

/// How many keys must have signed a release, where no key set decides; without flags, what holds.
#[derive(Debug, Clone, clap::Args)]
pub struct SetThreshold {
    /// Of every device type that has none of its own.
    #[arg(long, value_name = "N")]
    pub threshold: Option<u32>,
    /// Of one device type; may be given several times. Types that are not given have none of their own any more.
    #[arg(long = "device-type", alias = "type", value_name = "TYPE=N", value_parser = typed, requires = "threshold")]
    pub device_types: Vec<TypeThreshold>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    text.split_once('=').map(|(name, file)| (name.to_owned(), file.into())).ok_or_else(|| "expected NAME=FILE".to_owned())
}

fn typed(text: &str) -> Result<TypeThreshold, String> {
    let (device_type, n) = text.rsplit_once('=').ok_or_else(|| "expected TYPE=N".to_owned())?;
    Ok(TypeThreshold { device_type: device_type.to_owned(), threshold: n.parse().map_err(|_| "expected TYPE=N, N a number".to_owned())? })
}

/// Writes an unsigned key set.
pub fn make(args: &MakeSet) -> Result<()> {
    let mut keys = Vec::new();
    for (name, file) in &args.keys {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading the public key {}", file.display()))?;
        let public = parse_public(&text).with_context(|| file.display().to_string())?;
        keys.push(ListedKey { name: name.clone(), public: hex::encode(public) });
    }
    let thresholds = Thresholds { threshold: args.threshold, device_types: args.device_types.clone() };
    let created = SystemClock.now();
    let expires = args.expires.map(|days| created.plus(i64::from(days) * DAY_MS));
    let set = KeySet { schema: SCHEMA, version: args.version, created, expires, keys, thresholds };
    if let Some(problem) = set.problem() {
        bail!("the key set {problem}");
    }
    let payload = STANDARD.encode(serde_json::to_vec(&set)?);
    let envelope = Envelope { payload_type: KEY_SET_TYPE.to_owned(), payload, signatures: Vec::new() };
    files::write(&args.out, &written(&envelope)?, files::PUBLIC)?;
    println!("{}: key set {}, not signed yet", args.out.display(), set.version);
    Ok(())
}

/// Shows what is signed and adds the signature.
pub fn sign(args: &SignSet) -> Result<()> {
    let (envelope, set) = read(&args.set)?;
    let key = key_of(&args.key)?;
    let signed = key.countersign(&envelope)?;
    files::replace(&args.set, &written(&signed)?)?;
    let end = set.expires.map_or_else(|| "it never ends".to_owned(), |end| format!("it ends on {}", end.readable()));
    println!("key set {}: {} of {} keys must sign; {end}", set.version, set.thresholds.threshold, set.keys.len());
    for of in &set.thresholds.device_types {
        println!("  {} for {}", of.threshold, of.device_type);
    }
    for listed in &set.keys {
        println!("  {}  {}", listed.bytes().map(|public| keyid(&public)).unwrap_or_default(), listed.name);
    }
    println!("{}: signed with {}, signature {}", args.set.display(), key.keyid(), signed.signatures.len());
    Ok(())
}

/// Publishes it for the default organization.
pub async fn publish(args: &PublishSet, fleet: &Fleet) -> Result<()> {
    let bytes = std::fs::read(&args.set).with_context(|| format!("reading {}", args.set.display()))?;
    let actor = Actor::shell(fleet.default_org().clone());
    let row = fleet.releases().publish_key_set(&actor, &bytes).await.map_err(|e| e.fault())?;
    println!("key set {} holds: {}", row.version, row.keys.join(", "));
    Ok(())
}

/// The published ones of the default organization.
pub(super) async fn list(fleet: &Fleet) -> Result<String> {
    let sets = fleet.releases().key_sets(&Actor::shell(fleet.default_org().clone())).await?;
    if sets.is_empty() {
        return Ok("There is no key set: keys are added and revoked one by one.\n".to_owned());
    }
    let line = |set: &KeySetRow| {
        let end = set.expires.map_or_else(|| "never".to_owned(), Timestamp::readable);
        let must = format!("{} of {}", set.thresholds.threshold, set.keys.len());
        vec![set.version.to_string(), must, end, set.published_at.readable(), set.keys.join(", ")]
    };
    Ok(table(&["VERSION", "MUST SIGN", "ENDS", "PUBLISHED", "KEYS"], &sets.iter().map(line).collect::<Vec<_>>()))
}

/// Changes the thresholds of the default organization, or prints them.
pub async fn threshold(args: &SetThreshold, fleet: &Fleet) -> Result<()> {
    let (actor, releases) = (Actor::shell(fleet.default_org().clone()), fleet.releases());
    let policy = match args.threshold {
        Some(threshold) => releases.set_thresholds(&actor, Thresholds { threshold, device_types: args.device_types.clone() }).await,
        None => releases.signing_policy(&actor).await,
    };
    let policy = policy.map_err(|e| e.fault())?;
    println!("{} of {} keys must sign", policy.thresholds.threshold, policy.keys);
    for of in &policy.thresholds.device_types {
        println!("  {} for {}", of.threshold, of.device_type);
    }
    if let Some(version) = policy.key_set {
        println!("as key set {version} says");
    }
    for short in &policy.short {
        println!("{} {} is published with {} of {} signatures", short.device_type, short.version, short.have, short.need);
    }
    Ok(())
}

fn read(file: &Path) -> Result<(Envelope, KeySet)> {
    let bytes = std::fs::read(file).with_context(|| format!("reading the key set {}", file.display()))?;
    let (envelope, _, set) = succession::open(&bytes).map_err(|e| anyhow::anyhow!("{}: the key set {e}", file.display()))?;
    Ok((envelope, set))
}

#[cfg(test)]
mod tests {
    use super::{super::key, *};
    use fleet::{
        db::EngineKind,
        releases::succession::{Before, KeySetError, follows, keys},
        testing::World,
    };

    #[test]
    fn u_1_a_set_that_is_made_and_signed_offline_follows_on_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c"] {
            key::generate(&key::GenerateKey { out: at(name) }).unwrap();
        }
        let of = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), at(&format!("{n}.pub")))).collect::<Vec<_>>();
        let set = |version: u64, names: &[&str], out: &str| MakeSet {
            version,
            keys: of(names),
            threshold: 2,
            device_types: vec![typed("lamp=1").unwrap()],
            expires: Some(365),
            out: at(out),
        };
        let signs = |by: &str, set: &str| sign(&SignSet { key: at(by), set: at(set) });
        make(&set(1, &["a", "b"], "one.json")).unwrap();
        assert!(make(&set(1, &["a", "b"], "one.json")).unwrap_err().to_string().contains("exists already"));
        assert!(make(&set(1, &["a"], "bad.json")).unwrap_err().to_string().contains("asks for 2 signatures"));
        assert!(make(&set(1, &["a", "a"], "bad.json")).unwrap_err().to_string().contains("twice"));
        signs("a", "one.json").unwrap();
        assert!(signs("a", "one.json").unwrap_err().to_string().contains("has signed it already"));
        signs("b", "one.json").unwrap();
        make(&set(2, &["b", "c"], "two.json")).unwrap();
        signs("c", "two.json").unwrap();
        signs("b", "two.json").unwrap();
        let first = keys(&read(&at("one.json")).unwrap().1);
        let before = Before { keys: &first, quorum: 2, version: Some(1) };
        let bytes = |name: &str| std::fs::read(at(name)).unwrap();
        assert_eq!(follows(&bytes("two.json"), &before), Err(KeySetError::Before { have: 1, need: 2 }));
        signs("a", "two.json").unwrap();
        let next = follows(&bytes("two.json"), &before).unwrap();
        assert_eq!((next.version, next.thresholds.of("lamp"), next.keys[0].name.as_str()), (2, 1, "b"));
        assert_eq!(next.expires.map(|end| end.since(next.created)), Some(365 * DAY_MS));
    }

    #[tokio::test]
    async fn u_1_published_sets_are_listed_beside_the_server() {
        let w = World::open(EngineKind::Sqlite).await;
        assert!(list(&w.fleet).await.unwrap().starts_with("There is no key set"));
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        key::generate(&key::GenerateKey { out: at("a") }).unwrap();
        key::add(&key::AddKey { name: "a".into(), public: at("a.pub") }, &w.fleet).await.unwrap();
        let keys = vec![("a".to_owned(), at("a.pub"))];
        make(&MakeSet { version: 1, keys, threshold: 1, device_types: Vec::new(), expires: None, out: at("one.json") }).unwrap();
        let unsigned = publish(&PublishSet { set: at("one.json") }, &w.fleet).await.unwrap_err().to_string();
        assert!(unsigned.contains("0 of 1 signatures"), "{unsigned}");
        sign(&SignSet { key: at("a"), set: at("one.json") }).unwrap();
        publish(&PublishSet { set: at("one.json") }, &w.fleet).await.unwrap();
        let listed = list(&w.fleet).await.unwrap();
        assert!(listed.contains("1 of 1") && listed.contains("never") && listed.trim_end().ends_with('a'), "{listed}");
    }
}
