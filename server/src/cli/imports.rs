//! `fleetward device import`: devices of another system or a spreadsheet, looked at or taken in. The words are those of the REST API.

use super::said::table;
use anyhow::{Context as _, Result, bail};
use fleet::{
    Fleet,
    access::Actor,
    devices::{ImportFormat, ImportHow, MOST_IMPORT_BYTES},
};
use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use wire::enrolment::{ImportChange, ImportOutcome, ImportProblem};

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file: CSV with a line of names and `device_id` among them, or what hawkBit's GET /rest/v1/targets answers; at most 10,000 devices
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only say what it would come to, line by line where one is not taken
    #[arg(long)]
    preview: bool,
    /// Change devices that are there where the file says otherwise; without it they are left as they are
    #[arg(long)]
    update: bool,
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, import: Import) -> Result<()> {
    let Import { file, preview, update } = import;
    let outcome = taken_in(fleet, actor, &file, ImportHow { preview, update }).await?;
    print!("{}", told(&outcome));
    if outcome.errors > 0 && !preview {
        bail!("{} lines were not taken; the others are done", outcome.errors);
    }
    Ok(())
}

async fn taken_in(fleet: &Fleet, actor: &Actor, file: &Path, how: ImportHow) -> Result<ImportOutcome> {
    let opened = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let mut bytes = Vec::new();
    // One byte more is enough to be refused.
    opened.take(MOST_IMPORT_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", file.display()))?;
    let format = ImportFormat::of(&bytes);
    Ok(fleet.devices().import_devices(actor, bytes.into(), format, how).await?)
}

/// Pure: what it came to, what becomes of devices that are there, each line that was not taken, and each of which something is to be known.
fn told(outcome: &ImportOutcome) -> String {
    let mut said = format!("{}\n", outcome.words());
    if outcome.secrets_off && outcome.secrets > 0 {
        said.push_str("Their secrets are not taken yet: fleetward shared-secret-settings --tokens on\n");
    }
    if !outcome.changes.is_empty() && (outcome.preview || outcome.update) {
        let row = |change: &ImportChange| vec![change.line.to_string(), change.device_id.clone(), change.words()];
        let rows: Vec<Vec<String>> = outcome.changes.iter().map(row).collect();
        let what = match (outcome.preview, outcome.update) {
            (_, false) => "DIFFERS IN",
            (true, true) => "WOULD GET",
            (false, true) => "GOT",
        };
        said.push_str(&table(&["LINE", "DEVICE", what], &rows));
        let more = outcome.differing - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if more > 0 {
            // Writing to a string can't fail.
            let _ = writeln!(said, "… and {more} more.");
        }
    }
    for (why, lines) in [("WHY", &outcome.problems), ("NOTE", &outcome.notes)] {
        if lines.is_empty() {
            continue;
        }
        let row = |line: &ImportProblem| vec![line.line.to_string(), line.device_id.clone(), line.field.clone(), line.message.clone()];
        let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
        said.push_str(&table(&["LINE", "DEVICE", "COLUMN", why], &rows));
    }
    said
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
    async fn a_file_is_looked_at_and_taken_in_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let actor = Actor::shell(w.org.clone());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("devices.csv");
        std::fs::write(&file, "device_id,type,security_token\ngw-1,gateway,0123456789abcdef\nbad id,gateway,\n").unwrap();
        let look = ImportHow { preview: true, update: false };
        let looked = told(&taken_in(&w.fleet, &actor, &file, look).await.unwrap());
        assert!(looked.starts_with("1 would come in, ") && looked.contains("--tokens on"), "{looked}");
        assert!(looked.contains("bad id") && looked.contains("device_id") && looked.lines().count() == 4, "{looked}");
        let import = |preview| Import { file: file.clone(), preview, update: false };
        run(&w.fleet, &actor, import(true)).await.unwrap();
        let refused = run(&w.fleet, &actor, import(false)).await.unwrap_err().to_string();
        assert_eq!(refused, "1 lines were not taken; the others are done");
        assert!(w.fleet.device(&actor, &"gw-1".parse().unwrap()).await.unwrap().target_token.is_some());
        let secret = "0123456789abcdef";
        std::fs::write(&file, format!("device_id,type,tags,security_token\ngw-1,sensor,uk,\ngw-2,,,{secret}\ngw-3,,,{secret}\n")).unwrap();
        let update = ImportHow { preview: true, update: true };
        let looked = told(&taken_in(&w.fleet, &actor, &file, update).await.unwrap());
        assert!(looked.contains("WOULD GET") && looked.contains("type sensor; tags uk"), "{looked}");
        assert!(
            looked.contains("NOTE") && looked.contains("2 devices of the file have this secret, the first is gw-2 on line 3"),
            "{looked}"
        );
        let missing = taken_in(&w.fleet, &actor, &folder.path().join("none"), look).await.unwrap_err();
        assert!(missing.to_string().starts_with("opening "), "{missing}");
    }
}
