//! `fleetward device import`: devices of another system or a spreadsheet, looked at or taken in. The words are those of the REST API.

use super::said::table;
use anyhow::{Context as _, Result, bail};
use fleet::{
    Fleet,
    access::Actor,
    devices::{ImportFormat, ImportHow, MOST_IMPORT_BYTES},
};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use wire::enrolment::ImportOutcome;

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

/// Pure: what it came to, and each line that was not taken.
fn told(outcome: &ImportOutcome) -> String {
    let mut said = format!("{}\n", outcome.words());
    if outcome.secrets_off && outcome.secrets > 0 {
        said.push_str("Their secrets are not taken yet: fleetward shared-secret-settings --tokens on\n");
    }
    if !outcome.problems.is_empty() {
        let row = |problem: &wire::enrolment::ImportProblem| {
            vec![problem.line.to_string(), problem.device_id.clone(), problem.field.clone(), problem.message.clone()]
        };
        let rows: Vec<Vec<String>> = outcome.problems.iter().map(row).collect();
        said.push_str(&table(&["LINE", "DEVICE", "COLUMN", "WHY"], &rows));
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
        let missing = taken_in(&w.fleet, &actor, &folder.path().join("none"), look).await.unwrap_err();
        assert!(missing.to_string().starts_with("opening "), "{missing}");
    }
}
