//! `fleetward sign`: describes files in a manifest and signs it, offline. Needs a key and the files, no server and no data folder.

use anyhow::{Context as _, Result, bail};
use fleet::{
    clock::{Clock as _, SystemClock},
    releases::signing::{SigningKeyPair, payload},
};
use std::path::{Path, PathBuf};
use wire::manifest::{Manifest, Payload, SCHEMA};
use zeroize::Zeroizing;

/// Sign a release: writes the manifest that is uploaded along with the files.
#[derive(Debug, Clone, clap::Args)]
pub struct Sign {
    /// The private key's file, as `key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The device type it runs on, compared exactly.
    #[arg(long = "type", value_name = "TYPE")]
    pub device_type: String,
    /// The version people read.
    #[arg(long)]
    pub version: String,
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
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub payload: Vec<PathBuf>,
    /// How devices treat the files.
    #[arg(long, default_value = "raw")]
    pub format: String,
    /// Where to write the manifest; its name must end in `.manifest.json`.
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
    let notes = match (&args.notes, &args.notes_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => std::fs::read_to_string(file).with_context(|| format!("reading the notes {}", file.display()))?,
        (None, None) => String::new(),
    };
    let created = SystemClock.now();
    let manifest = Manifest {
        schema: SCHEMA,
        device_type: args.device_type.clone(),
        hardware: args.hardware.clone(),
        version: args.version.clone(),
        sequence: args.sequence,
        min_sequence: args.min_sequence,
        payloads: args.payload.iter().map(|file| describe(file, &args.format)).collect::<Result<_>>()?,
        created,
        expires: args.expires.map(|days| created.plus(i64::from(days) * 86_400_000)),
        notes,
    };
    let envelope = key.sign(&manifest)?;
    std::fs::write(&args.out, envelope).with_context(|| format!("writing {}", args.out.display()))?;
    println!("{}: {} {} (sequence {}), signed with {}", args.out.display(), args.device_type, args.version, args.sequence, key.keyid());
    for file in &manifest.payloads {
        println!("  {}  {} bytes  {}", file.sha256, file.size, file.name);
    }
    Ok(())
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
    use fleet::releases::{
        manifest::{Key, verify},
        signing::parse_public,
    };

    fn args(folder: &Path) -> Sign {
        Sign {
            key: folder.join("k"),
            device_type: "gateway".into(),
            version: "1.0.0".into(),
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
        let key = Key { name: "k".into(), keyid: fleet::releases::signing::keyid(&public), public };
        let verified = verify(&std::fs::read(&sign.out).unwrap(), &[key]).unwrap();
        assert_eq!(verified.manifest.payloads[0].name, "fw.bin");
        assert_eq!(verified.manifest.payloads[0].size, 8);
        assert_eq!(verified.manifest.expires.unwrap().since(verified.manifest.created), 30 * 86_400_000);
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
            (Sign { version: "1 0".into(), ..good.clone() }, "version"),
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
}
