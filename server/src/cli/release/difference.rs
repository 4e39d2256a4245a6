//! Two releases beside each other, in lines. Refuses to know what differs, which is the core's business, and where the two are.

use std::fmt::Write as _;
use wire::{
    change::FieldChange,
    releases::{FileChange, ReleaseDifference},
};

/// A comparison in lines: `-` before what was, `+` before what is.
pub(super) fn told(difference: &ReleaseDifference) -> String {
    let mut out = String::new();
    for (mark, row) in [("---", &difference.before), ("+++", &difference.after)] {
        // Writing to a string can't fail.
        let _ = writeln!(out, "{mark} {} {} {}", row.id, row.device_type, row.version);
    }
    if difference.is_empty() {
        out.push_str("They have the same fields and files.\n");
        return out;
    }
    for line in &difference.lines {
        changed(&mut out, line, "");
    }
    for file in &difference.files {
        let named = file.after.as_ref().or(file.before.as_ref()).map_or("", |row| row.name.as_str());
        let grown = if file.growth() == 0 { String::new() } else { format!(", {:+} bytes", file.growth()) };
        let _ = writeln!(out, "{named}: {}{grown}", file.change);
        if file.change != FileChange::Same {
            for (mark, row) in [('-', &file.before), ('+', &file.after)] {
                if let Some(row) = row {
                    let _ = writeln!(out, "  {mark} {}  {} bytes  {}", row.sha256, row.size, row.name);
                }
            }
        }
        for line in &file.lines {
            changed(&mut out, line, "  ");
        }
    }
    out
}

/// One thing that differs, each line of it with its mark.
fn changed(out: &mut String, line: &FieldChange, indent: &str) {
    let _ = writeln!(out, "{indent}{}", line.what);
    for (mark, text) in [('-', &line.before), ('+', &line.after)] {
        for text in text.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "{indent}  {mark} {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Release, run, sending::upload},
        *,
    };
    use crate::config::Flags;
    use fleet::releases::signing::SigningKeyPair;
    use wire::ids::ReleaseId;

    #[rstest::rstest]
    #[case::sqlite(fleet::db::EngineKind::Sqlite)]
    #[case::postgres(fleet::db::EngineKind::Postgres)]
    #[tokio::test]
    async fn two_releases_are_told_apart_in_lines(#[case] kind: fleet::db::EngineKind) {
        let w = fleet::testing::World::open(kind).await;
        let admin = w.admin().await;
        let pair = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
        w.fleet.releases().add_key(&admin, "build", &pair.public_pem()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut ids = Vec::new();
        for (version, sequence, content) in [("1.0.0", 1, &b"firmware"[..]), ("1.1.0", 2, b"newer firmware")] {
            let at = |name: &str| folder.path().join(name);
            std::fs::write(at("fw.bin"), content).unwrap();
            let mut manifest = fleet::testing::manifest(version, sequence, &[("fw.bin", "raw", content)]);
            manifest.notes = format!("Notes of {version}\nin two lines");
            std::fs::write(at("fw.manifest.json"), pair.sign(&manifest).unwrap()).unwrap();
            ids.push(upload(&w.fleet, &admin, &[at("fw.bin"), at("fw.manifest.json")]).await.unwrap().created.release.row.id);
        }
        let told = async |before: &ReleaseId, after: &ReleaseId| told(&w.fleet.releases().difference(&admin, before, after).await.unwrap());
        let lines = told(&ids[0], &ids[1]).await;
        for line in ["Version\n  - 1.0.0\n  + 1.1.0\n", "Notes\n  - Notes of 1.0.0\n  - in two lines\n", "fw.bin: changed, +6 bytes\n"] {
            assert!(lines.contains(line), "{line:?} in:\n{lines}");
        }
        assert!(told(&ids[0], &ids[0]).await.ends_with("They have the same fields and files.\n"));
        let flags = Box::new(Flags::default());
        run(&w.fleet, Release::Diff { before: ids[0].clone(), after: ids[1].clone(), flags }).await.unwrap();
    }
}
