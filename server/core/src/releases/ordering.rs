//! Pure: whether a release's version and its sequence say the same of what comes before it. Devices go by the sequence alone; people read the version.

use wire::selector::Version;

/// What to look at when a release comes after others by its sequence and before one of them by its version; `before` are the versions of lower sequences.
/// None where they agree, where a version is none that can be compared, and where the release says by its version that it goes back on purpose, as
/// `sign --again` names it.
pub(super) fn disagree<'a>(version: &str, sequence: i64, before: impl Iterator<Item = &'a str>) -> Option<String> {
    let own = Version::parse(version)?;
    if version.split_once('+').is_some_and(|(_, build)| build == sequence.to_string()) {
        return None;
    }
    let read = before.filter_map(|other| Some((Version::parse(other)?, other)));
    let (newest, name) = read.max_by(|(one, _), (other, _)| one.cmp(other))?;
    (newest > own).then(|| {
        format!(
            "its version {version} is older than {name}, which is published, but its sequence {sequence} is higher: devices that run {name} would take it for the newer one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_sequence_say_the_same_or_it_is_told() {
        let told = |version: &str, before: &[&str]| disagree(version, 24, before.iter().copied());
        let text = told("1.0.1", &["1.2.0", "1.3.0", "1.1.0"]).unwrap();
        assert!(text.starts_with("its version 1.0.1 is older than 1.3.0") && text.contains("sequence 24"), "{text}");
        assert!(told("1.3.0-rc.1", &["1.3.0"]).is_some(), "what was published is newer than its candidate");
        for (version, before) in
            [("1.4.0", &["1.3.0"][..]), ("1.0.0+24", &["1.3.0"]), ("spring", &["1.3.0"]), ("1.0.0", &["spring"]), ("1.0.0", &[])]
        {
            assert_eq!(told(version, before), None, "{version}");
        }
        assert!(told("1.0.0+7", &["1.3.0"]).is_some(), "another number says nothing of going back");
    }
}
