//! Pure: what differs between two releases, field by field and file by file, in words that people compare. Refuses to judge: what is better is
//! for people to say.

use super::deltas::follows;
use wire::{
    change::FieldChange,
    manifest::{Manifest, Payload},
    releases::{ArtifactRow, Container, FileChange, FileDifference, ReleaseRow},
};

/// A release as it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// Its row.
    pub row: &'a ReleaseRow,
    /// What it says of itself; none where it came without a manifest that can be read.
    pub manifest: Option<&'a Manifest>,
    /// Its files.
    pub files: &'a [ArtifactRow],
}

impl Side<'_> {
    fn payload(&self, file: &ArtifactRow) -> Option<&Payload> {
        self.manifest?.payloads.iter().find(|payload| payload.name == file.name)
    }
}

/// What differs between `before` and `after`, in the order of the manifest; nothing when they say the same.
pub(super) fn fields(before: Side<'_>, after: Side<'_>) -> Vec<FieldChange> {
    let mut lines = Lines(Vec::new());
    let mut of = |field: &str, what: &str, read: &dyn Fn(&Side<'_>) -> Option<String>| {
        lines.differ((field, what), read(&before), read(&after));
    };
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    of("device_type", "Device type", &|side| said(&side.row.device_type));
    of("version", "Version", &|side| said(&side.row.version));
    of("sequence", "Sequence", &|side| Some(side.row.sequence.to_string()));
    of("state", "State", &|side| Some(side.row.state.to_string()));
    of("hardware", "Hardware", &|side| side.manifest.map(|m| revisions(&m.hardware)));
    of("min_sequence", "Installs over", &|side| side.manifest.map(|m| over(m.min_sequence)));
    of("signed_by", "Signed by", &|side| said(&sorted(&side.row.signed_by).join(", ")));
    of("created", "Made", &|side| side.manifest.map(|m| m.created.readable()));
    of("expires", "Ends", &|side| side.manifest.map(|m| m.expires.map_or_else(|| "never".to_owned(), wire::Timestamp::readable)));
    of("notes", "Notes", &|side| side.manifest.and_then(|m| said(&m.notes)));
    lines.0
}

/// Every file of both: as `after` has them, each with the one that it follows, then those that only `before` has.
pub(super) fn files(before: Side<'_>, after: Side<'_>) -> Vec<FileDifference> {
    let mut left: Vec<Option<&ArtifactRow>> = before.files.iter().map(Some).collect();
    let mut pairs: Vec<Option<&ArtifactRow>> = after
        .files
        .iter()
        .map(|file| {
            // The same bytes are the same file whatever it is called; of several copies the one of the same name.
            let same = |other: Option<&ArtifactRow>| other.is_some_and(|other| other.sha256 == file.sha256);
            let named = |other: Option<&ArtifactRow>| other.is_some_and(|other| other.sha256 == file.sha256 && other.name == file.name);
            let at = left.iter().copied().position(named).or_else(|| left.iter().copied().position(same))?;
            left.get_mut(at)?.take()
        })
        .collect();
    let open: Vec<usize> = pairs.iter().enumerate().filter(|(_, pair)| pair.is_none()).map(|(at, _)| at).collect();
    let (rest, old): (Vec<&ArtifactRow>, Vec<&ArtifactRow>) =
        (open.iter().filter_map(|at| after.files.get(*at)).collect(), left.iter().copied().flatten().collect());
    let followed = follows((&after.row.version, &names(&rest)), (&before.row.version, &names(&old)));
    let mut gone: Vec<Option<&ArtifactRow>> = old.iter().copied().map(Some).collect();
    for (at, of) in open.iter().zip(followed) {
        if let (Some(pair), Some(of)) = (pairs.get_mut(*at), of.and_then(|of| gone.get_mut(of)?.take())) {
            *pair = Some(of);
        }
    }
    let kept = after.files.iter().zip(pairs).map(|(file, pair)| told((before, pair), (after, Some(file))));
    let removed = gone.into_iter().flatten().map(|file| told((before, Some(file)), (after, None)));
    kept.chain(removed).collect()
}

fn names<'a>(all: &[&'a ArtifactRow]) -> Vec<&'a str> {
    all.iter().map(|file| file.name.as_str()).collect()
}

fn told(before: (Side<'_>, Option<&ArtifactRow>), after: (Side<'_>, Option<&ArtifactRow>)) -> FileDifference {
    let change = match (before.1, after.1) {
        (None, _) => FileChange::Added,
        (_, None) => FileChange::Removed,
        (Some(old), Some(new)) if old.sha256 != new.sha256 => FileChange::Changed,
        (Some(old), Some(new)) if old.name != new.name => FileChange::Renamed,
        _ => FileChange::Same,
    };
    let mut lines = Lines(Vec::new());
    if let (Some(old), Some(new)) = (before.1, after.1) {
        let format =
            |(side, file): (Side<'_>, &ArtifactRow)| side.payload(file).map(|payload| payload.format.clone()).filter(|f| !f.is_empty());
        lines.differ(("format", "Format"), format((before.0, old)), format((after.0, new)));
        lines.container(old.container.as_ref(), new.container.as_ref());
    }
    FileDifference { change, before: before.1.cloned(), after: after.1.cloned(), lines: lines.0 }
}

fn revisions(all: &[String]) -> String {
    if all.is_empty() { "all revisions".to_owned() } else { sorted(all).join(", ") }
}

fn over(sequence: u64) -> String {
    if sequence == 0 { "any".to_owned() } else { format!("sequence {sequence} or newer") }
}

/// The order in which revisions and keys are named says nothing.
fn sorted(all: &[String]) -> Vec<String> {
    let mut all = all.to_vec();
    all.sort();
    all
}

struct Lines(Vec<FieldChange>);

impl Lines {
    fn differ(&mut self, (field, what): (&str, &str), before: Option<String>, after: Option<String>) {
        self.0.extend(FieldChange::between(field, what, before, after));
    }

    fn container(&mut self, before: Option<&Container>, after: Option<&Container>) {
        let mut of = |field: &str, what: &str, read: &dyn Fn(&Container) -> String| {
            let said = |c: Option<&Container>| c.map(read).filter(|text| !text.is_empty());
            self.differ((field, what), said(before), said(after));
        };
        of("container.kind", "Container", &|c| c.kind.to_string());
        of("container.name", "Name inside", &|c| c.name.clone());
        of("container.version", "Version inside", &|c| c.version.clone());
        of("container.fits", "Fits", &|c| sorted(&c.fits).join(", "));
        of("container.note", "Note", &|c| c.note.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        ids::Digest,
        manifest::SCHEMA,
        releases::ContainerKind,
        states::ReleaseState::{self, Published, Verified},
    };

    fn row(version: &str, sequence: i64, state: ReleaseState) -> ReleaseRow {
        ReleaseRow {
            id: format!("rel_{sequence:032x}").parse().unwrap(),
            device_type: "gateway".into(),
            version: version.into(),
            sequence,
            state,
            quarantine: String::new(),
            size: 0,
            signed_by: vec!["lead".into(), "build".into()],
            created_at: Timestamp(0),
            created_by: String::new(),
            installed: 0,
            rollouts: 0,
            damaged: 0,
        }
    }

    fn file(name: &str, content: u8, size: i64) -> ArtifactRow {
        ArtifactRow {
            name: name.into(),
            size,
            sha256: Digest::from_bytes(&[content; 32]),
            checked_at: None,
            damage: None,
            container: None,
            signature: None,
        }
    }

    fn manifest(version: &str, sequence: u64, files: &[(&str, &str)]) -> Manifest {
        let payload = |(name, format): &(&str, &str)| Payload {
            name: (*name).into(),
            size: 1,
            sha256: Digest::from_bytes(&[0; 32]),
            format: (*format).into(),
        };
        Manifest {
            schema: SCHEMA,
            device_type: "gateway".into(),
            hardware: vec!["B".into(), "A".into()],
            version: version.into(),
            sequence,
            min_sequence: 0,
            payloads: files.iter().map(payload).collect(),
            created: Timestamp(1_795_341_600_000),
            expires: None,
            notes: "First".into(),
        }
    }

    fn said(lines: &[FieldChange]) -> Vec<String> {
        let word = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
        lines.iter().map(|l| format!("{}: {} > {}", l.field, word(l.before.as_ref()), word(l.after.as_ref()))).collect()
    }

    #[test]
    fn fields_that_say_the_same_are_not_told() {
        let (one, two) = (row("1.0.0", 1, Published), row("1.1.0", 2, Verified));
        let first = manifest("1.0.0", 1, &[]);
        let second = Manifest {
            hardware: vec!["A".into(), "B".into(), "C".into()],
            min_sequence: 1,
            notes: String::new(),
            ..manifest("1.1.0", 2, &[])
        };
        let (before, after) =
            (Side { row: &one, manifest: Some(&first), files: &[] }, Side { row: &two, manifest: Some(&second), files: &[] });
        assert!(fields(before, before).is_empty());
        assert_eq!(
            said(&fields(before, after)),
            [
                "version: 1.0.0 > 1.1.0",
                "sequence: 1 > 2",
                "state: published > verified",
                "hardware: A, B > A, B, C",
                "min_sequence: any > sequence 1 or newer",
                "notes: First > -",
            ]
        );
        let turned = ReleaseRow { signed_by: vec!["build".into(), "lead".into()], ..row("1.0.0", 1, Published) };
        assert!(fields(before, Side { row: &turned, ..before }).is_empty(), "the order of keys says nothing");
        // One without a manifest says nothing of what only a manifest says.
        let bare = said(&fields(before, Side { manifest: None, ..before }));
        assert_eq!(bare.len(), 5, "{bare:?}");
    }

    #[test]
    fn files_are_told_by_what_became_of_them() {
        let (one, two) = (row("1.0.0", 1, Published), row("1.1.0", 2, Published));
        let old = [file("boot.bin", 1, 10), file("fw-1.0.0.swu", 2, 100), file("logo.png", 3, 5), file("sound.wav", 4, 7)];
        let new = [file("fw-1.1.0.swu", 5, 120), file("boot.bin", 1, 10), file("brand.png", 3, 5), file("help.html", 6, 9)];
        let (before, after) = (Side { row: &one, manifest: None, files: &old }, Side { row: &two, manifest: None, files: &new });
        let told = files(before, after);
        let said: Vec<_> = told
            .iter()
            .map(|f| {
                let name = |file: Option<&ArtifactRow>| file.map_or("-", |file| file.name.as_str()).to_owned();
                (f.change, name(f.before.as_ref()), name(f.after.as_ref()), f.growth())
            })
            .collect();
        let line = |change, before: &str, after: &str, growth: i64| (change, before.to_owned(), after.to_owned(), growth);
        assert_eq!(
            said,
            [
                line(FileChange::Changed, "fw-1.0.0.swu", "fw-1.1.0.swu", 20),
                line(FileChange::Same, "boot.bin", "boot.bin", 0),
                line(FileChange::Renamed, "logo.png", "brand.png", 0),
                line(FileChange::Added, "-", "help.html", 9),
                line(FileChange::Removed, "sound.wav", "-", -7),
            ]
        );
        assert!(files(before, before).iter().all(|f| f.change == FileChange::Same && f.lines.is_empty()));
    }

    #[test]
    fn what_is_in_a_container_and_how_it_is_treated_is_told_of_the_file() {
        let container = |version: &str, fits: &[&str]| Container {
            kind: ContainerKind::Swupdate,
            name: String::new(),
            version: version.into(),
            fits: fits.iter().map(|f| (*f).into()).collect(),
            signature: None,
            note: String::new(),
        };
        let (one, two) = (row("1.0.0", 1, Published), row("1.1.0", 2, Published));
        let old = [ArtifactRow { container: Some(container("1", &["a", "b"])), ..file("fw.swu", 1, 1) }];
        let new = [ArtifactRow { container: Some(container("2", &["b", "a"])), ..file("fw.swu", 2, 1) }];
        let (first, second) = (manifest("1.0.0", 1, &[("fw.swu", "raw")]), manifest("1.1.0", 2, &[("fw.swu", "swu")]));
        let told = files(Side { row: &one, manifest: Some(&first), files: &old }, Side { row: &two, manifest: Some(&second), files: &new });
        assert_eq!(said(&told[0].lines), ["format: raw > swu", "container.version: 1 > 2"]);
    }
}
