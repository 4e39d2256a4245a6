//! `fleetward sign`: describes files in a manifest and signs it, offline; or signs an old manifest's files again, to go back to them. Needs a key
//! and the files or the old manifest, no server and no data folder.

use super::files;
use anyhow::{Context as _, Result, bail};
use fleet::{
    clock::{Clock as _, SystemClock},
    releases::{
        manifest::{Key, MAX_ENVELOPE},
        signing::{SigningKeyPair, again, keyid, parse_public, payload},
    },
};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};
use wire::{
    Timestamp,
    manifest::{Manifest, Payload, SCHEMA},
};
use zeroize::Zeroizing;

/// Sign a release: writes the manifest that is uploaded along with the files.
#[derive(Debug, Clone, clap::Args)]
pub struct Sign {
    /// The private key's file, as `key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Sign what this manifest describes again, under a higher sequence: the way back to it. The files are not needed. Its type, hardware, files
    /// and notes stay; it must be signed by the same key, or by one given as --signed-by.
    #[arg(long, value_name = "OLD", conflicts_with_all = ["device_type", "payload", "hardware", "min_sequence", "format"])]
    pub again: Option<PathBuf>,
    /// The public key that signed the old manifest, where it was another one.
    #[arg(long, value_name = "FILE", requires = "again")]
    pub signed_by: Option<PathBuf>,
    /// The device type it runs on, compared exactly.
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "again")]
    pub device_type: Option<String>,
    /// The version people read; with --again the old one with the new sequence behind a plus sign, unless given.
    #[arg(long, required_unless_present = "again")]
    pub version: Option<String>,
    /// Goes up by at least one with every release of a type; devices refuse to go back.
    #[arg(long, value_name = "N")]
    pub sequence: u64,
    /// The lowest sequence it can be installed over; 0 means any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_sequence: u64,
    /// Hardware revisions it runs on, separated by commas; all unless given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub hardware: Vec<String>,
    /// Release notes.
    #[arg(long, value_name = "TEXT", conflicts_with = "notes_file")]
    pub notes: Option<String>,
    /// A file with the release notes.
    #[arg(long, value_name = "FILE")]
    pub notes_file: Option<PathBuf>,
    /// Days after which no device installs it any more; never unless given.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expires: Option<u32>,
    /// A file of the release; may be given several times.
    #[arg(long, value_name = "FILE", required_unless_present = "again", num_args = 1..)]
    pub payload: Vec<PathBuf>,
    /// How devices treat the files: a word that they know; most take them as they are.
    #[arg(long, default_value = "raw")]
    pub format: String,
    /// Where to write the manifest, a new file; its name must end in `.manifest.json`.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Reads the files, signs, writes the manifest, and says what was signed.
pub fn run(args: &Sign) -> Result<()> {
    if !args.out.to_string_lossy().ends_with(".manifest.json") {
        bail!("--out {} must end in .manifest.json: that is how the manifest is told from the other files.", args.out.display());
    }
    let pem = Zeroizing::new(std::fs::read(&args.key).with_context(|| format!("reading the key {}", args.key.display()))?);
    let key = SigningKeyPair::from_pem(&pem).with_context(|| args.key.display().to_string())?;
    let manifest = match &args.again {
        Some(old) => renewed(args, old, &key)?,
        None => described(args)?,
    };
    let envelope = key.sign(&manifest)?;
    files::write(&args.out, &envelope, files::PUBLIC)?;
    println!(
        "{}: {} {} (sequence {}), signed with {}",
        args.out.display(),
        manifest.device_type,
        manifest.version,
        manifest.sequence,
        key.keyid()
    );
    for file in &manifest.payloads {
        println!("  {}  {} bytes  {}", file.sha256, file.size, file.name);
    }
    Ok(())
}

/// A manifest of the files that are here.
fn described(args: &Sign) -> Result<Manifest> {
    let created = SystemClock.now();
    Ok(Manifest {
        schema: SCHEMA,
        device_type: args.device_type.clone().unwrap_or_default(),
        hardware: args.hardware.clone(),
        version: args.version.clone().unwrap_or_default(),
        sequence: args.sequence,
        min_sequence: args.min_sequence,
        payloads: args.payload.iter().map(|file| describe(file, &args.format)).collect::<Result<_>>()?,
        created,
        expires: expires(args, created),
        notes: notes(args)?.unwrap_or_default(),
    })
}

/// The old manifest's files under the new sequence. The old one's end was that of the old one.
fn renewed(args: &Sign, old: &Path, key: &SigningKeyPair) -> Result<Manifest> {
    let mut keys = vec![key.public()];
    if let Some(file) = &args.signed_by {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading the public key {}", file.display()))?;
        keys.push(parse_public(&text).with_context(|| file.display().to_string())?);
    }
    let keys: Vec<Key> = keys.into_iter().map(|public| Key { name: keyid(&public), keyid: keyid(&public), public }).collect();
    let envelope = read_envelope(old).with_context(|| format!("reading the manifest {}", old.display()))?;
    let renewed = again(&envelope, &keys, args.sequence, args.version.as_deref(), SystemClock.now());
    let mut manifest = renewed.with_context(|| {
        format!("{}; where another key than --key has signed it, give that one's public half as --signed-by", old.display())
    })?;
    manifest.expires = expires(args, manifest.created);
    if let Some(notes) = notes(args)? {
        manifest.notes = notes;
    }
    Ok(manifest)
}

/// One byte more than a manifest may have tells that it is too large; more is not read.
fn read_envelope(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_ENVELOPE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn expires(args: &Sign, created: Timestamp) -> Option<Timestamp> {
    args.expires.map(|days| created.plus(i64::from(days) * wire::time::DAY_MS))
}

fn notes(args: &Sign) -> Result<Option<String>> {
    Ok(match (&args.notes, &args.notes_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => Some(std::fs::read_to_string(file).with_context(|| format!("reading the notes {}", file.display()))?),
        (None, None) => None,
    })
}

/// The file under its own name, without its folder.
fn describe(path: &Path, format: &str) -> Result<Payload> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.with_context(|| format!("{} has no name in UTF-8", path.display()))?;
    let mut file = std::fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    payload(name, format, &mut file).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::releases::manifest::verify;

    fn args(folder: &Path) -> Sign {
        Sign {
            key: folder.join("k"),
            again: None,
            signed_by: None,
            device_type: Some("gateway".into()),
            version: Some("1.0.0".into()),
            sequence: 1,
            min_sequence: 0,
            hardware: vec!["A".into()],
            notes: Some("first".into()),
            notes_file: None,
            expires: Some(30),
            payload: vec![folder.join("fw.bin")],
            format: "raw".into(),
            out: folder.join("fw.manifest.json"),
        }
    }

    #[test]
    fn what_is_signed_is_what_is_verified() {
        let folder = tempfile::tempdir().unwrap();
        let sign = args(folder.path());
        super::super::key::generate(&super::super::key::GenerateKey { out: sign.key.clone() }).unwrap();
        std::fs::write(&sign.payload[0], b"firmware").unwrap();
        run(&sign).unwrap();
        let public = parse_public(&std::fs::read_to_string(folder.path().join("k.pub")).unwrap()).unwrap();
        let key = Key { name: "k".into(), keyid: keyid(&public), public };
        let verified = verify(&std::fs::read(&sign.out).unwrap(), &[key]).unwrap();
        assert_eq!(verified.manifest.payloads[0].name, "fw.bin");
        assert_eq!(verified.manifest.payloads[0].size, 8);
        assert_eq!(verified.manifest.expires.unwrap().since(verified.manifest.created), 30 * 86_400_000);
        // What was signed once is signed again into another file.
        let before = std::fs::read(&sign.out).unwrap();
        let said = run(&Sign { version: Some("1.0.1".into()), ..sign.clone() }).unwrap_err().to_string();
        assert!(said.contains("fw.manifest.json exists already"), "{said}");
        assert_eq!(std::fs::read(&sign.out).unwrap(), before);
    }

    #[test]
    fn what_no_server_would_take_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let good = args(folder.path());
        super::super::key::generate(&super::super::key::GenerateKey { out: good.key.clone() }).unwrap();
        std::fs::write(&good.payload[0], b"firmware").unwrap();
        for (wrong, says) in [
            (Sign { sequence: 0, ..good.clone() }, "sequence"),
            (Sign { min_sequence: 2, ..good.clone() }, "min_sequence"),
            (Sign { version: Some("1 0".into()), ..good.clone() }, "version"),
            (Sign { out: folder.path().join("fw.json"), ..good.clone() }, ".manifest.json"),
            (Sign { payload: vec![folder.path().join("missing.bin")], ..good.clone() }, "missing.bin"),
            (Sign { payload: vec![good.payload[0].clone(), good.payload[0].clone()], ..good.clone() }, "twice"),
            (Sign { key: good.payload[0].clone(), ..good.clone() }, "fw.bin"),
        ] {
            let error = format!("{:#}", run(&wrong).unwrap_err());
            assert!(error.contains(says), "{error}");
            assert!(!good.out.exists());
        }
    }

    #[test]
    fn old_files_are_signed_again_without_being_there() {
        let folder = tempfile::tempdir().unwrap();
        let first = args(folder.path());
        super::super::key::generate(&super::super::key::GenerateKey { out: first.key.clone() }).unwrap();
        std::fs::write(&first.payload[0], b"firmware").unwrap();
        run(&first).unwrap();
        std::fs::remove_file(&first.payload[0]).unwrap();
        let back = Sign {
            again: Some(first.out.clone()),
            device_type: None,
            version: None,
            sequence: 3,
            hardware: Vec::new(),
            notes: None,
            expires: None,
            payload: Vec::new(),
            out: folder.path().join("back.manifest.json"),
            ..first.clone()
        };
        run(&back).unwrap();
        let public = parse_public(&std::fs::read_to_string(folder.path().join("k.pub")).unwrap()).unwrap();
        let key = Key { name: "k".into(), keyid: keyid(&public), public };
        let read = |out: &Path| verify(&std::fs::read(out).unwrap(), std::slice::from_ref(&key)).unwrap().manifest;
        let (old, new) = (read(&first.out), read(&back.out));
        assert_eq!((new.version.as_str(), new.sequence, new.expires), ("1.0.0+3", 3, None));
        assert_eq!((&new.payloads, &new.hardware, &new.notes), (&old.payloads, &old.hardware, &old.notes));

        // What somebody else signed is signed again only where their key is given.
        let other = folder.path().join("other");
        super::super::key::generate(&super::super::key::GenerateKey { out: other.clone() }).unwrap();
        let rolled = Sign { key: other, sequence: 4, out: folder.path().join("rolled.manifest.json"), ..back.clone() };
        let error = format!("{:#}", run(&rolled).unwrap_err());
        assert!(error.contains("--signed-by") && !rolled.out.exists(), "{error}");
        run(&Sign { signed_by: Some(folder.path().join("k.pub")), ..rolled }).unwrap();
        let error = format!("{:#}", run(&Sign { sequence: 1, ..back }).unwrap_err());
        assert!(error.contains("sequence 1 is not above 1"), "{error}");
    }

    #[test]
    fn the_flags_of_one_way_are_not_those_of_the_other() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            sign: Sign,
        }
        let read = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' ')).map(|line| line.sign);
        assert!(read("sign --again old.manifest.json --sequence 3 --key k --out o.manifest.json").unwrap().payload.is_empty());
        assert!(read("sign --again old.manifest.json --sequence 3 --key k --out o.manifest.json --payload fw.bin").is_err());
        assert!(read("sign --type gw --version 1 --sequence 3 --key k --out o.manifest.json").is_err());
        assert!(read("sign --type gw --version 1 --sequence 3 --key k --out o.manifest.json --payload fw.bin").is_ok());
    }
}
