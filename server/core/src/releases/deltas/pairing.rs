//! Pure: which file of a release follows which file of an older one. Files often carry the version in their names, so equal names are only the first thing
//! that is looked at.

/// What stands for the parts of a name that change from version to version.
const CHANGES: char = '#';

/// A release as it is compared: its version and the names of its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub version: &'a str,
    pub names: &'a [&'a str],
}

/// For each file of the newer release the place of the file in the older one that it follows; none where nothing says which. One file each are a pair
/// whatever they are called. Of several, those of equal names are, then those whose names are equal without the version, then without any number; each only
/// where it is the only one on both sides.
pub(super) fn pairs(newer: Side<'_>, older: Side<'_>) -> Vec<Option<usize>> {
    if newer.names.len() == 1 && older.names.len() == 1 {
        return vec![Some(0)];
    }
    let mut found: Vec<Option<usize>> = vec![None; newer.names.len()];
    let keys: [fn(&str, &str) -> String; 3] = [as_it_is, without_version, without_numbers];
    for key in keys {
        let left = older.names.iter().enumerate().filter(|(at, _)| !found.contains(&Some(*at)));
        let before: Vec<(usize, String)> = left.map(|(at, name)| (at, key(name, older.version))).collect();
        let wanted: Vec<Option<String>> =
            newer.names.iter().zip(&found).map(|(name, at)| at.is_none().then(|| key(name, newer.version))).collect();
        for (at, name) in wanted.iter().enumerate() {
            let Some(name) = name else { continue };
            let alone = wanted.iter().flatten().filter(|other| *other == name).count() == 1;
            let mut same = before.iter().filter(|(_, other)| other == name);
            if let (true, Some((of, _)), None) = (alone, same.next(), same.next()) {
                found[at] = Some(*of);
            }
        }
    }
    found
}

fn as_it_is(name: &str, _version: &str) -> String {
    name.to_owned()
}

fn without_version(name: &str, version: &str) -> String {
    if version.is_empty() { name.to_owned() } else { name.replace(version, &CHANGES.to_string()) }
}

/// Runs of digits, with the points, hyphens and underscores between them, count as one change.
fn without_numbers(name: &str, version: &str) -> String {
    let mut out = String::new();
    let name = without_version(name, version);
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let changes = c.is_ascii_digit() || c == CHANGES;
        let between = matches!(c, '.' | '-' | '_') && out.ends_with(CHANGES) && rest.peek().is_some_and(char::is_ascii_digit);
        if !changes && !between {
            out.push(c);
        } else if !out.ends_with(CHANGES) {
            out.push(CHANGES);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(newer: (&str, &[&str]), older: (&str, &[&str])) -> Vec<Option<usize>> {
        pairs(Side { version: newer.0, names: newer.1 }, Side { version: older.0, names: older.1 })
    }

    #[test]
    fn one_file_each_are_a_pair_whatever_they_are_called() {
        assert_eq!(of(("1.2.0", &["s120.bin"]), ("1.1.0", &["s110.bin"])), [Some(0)]);
        assert_eq!(of(("2", &["new.swu"]), ("1", &["old.raucb"])), [Some(0)]);
        assert_eq!(of(("2", &["a", "b"]), ("1", &["c"])), [None, None]);
    }

    #[test]
    fn of_several_the_version_in_a_name_does_not_count() {
        let older: &[&str] = &["boot.bin", "fw-1.1.0.swu", "radio_v7.hex"];
        let newer: &[&str] = &["radio_v8.hex", "fw-1.2.0-rc1.swu", "boot.bin"];
        assert_eq!(of(("1.2.0-rc1", newer), ("1.1.0", older)), [Some(2), Some(1), Some(0)]);
        // Slots are told apart by what is left when only the version is taken out.
        let slots = |v: &str| [format!("slot1-{v}.bin"), format!("slot2-{v}.bin")];
        let (new, old) = (slots("1.2.0"), slots("1.1.0"));
        assert_eq!(of(("1.2.0", &[new[1].as_str(), new[0].as_str()]), ("1.1.0", &[old[0].as_str(), old[1].as_str()])), [Some(1), Some(0)]);
    }

    #[test]
    fn what_could_be_either_is_neither() {
        assert_eq!(of(("2", &["part-3.bin", "part-4.bin"]), ("1", &["part-5.bin", "part-6.bin"])), [None, None]);
        assert_eq!(of(("2", &["app.bin", "logo.png"]), ("1", &["app.bin", "sound.wav"])), [Some(0), None]);
    }
}
