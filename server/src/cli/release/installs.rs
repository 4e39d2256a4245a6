//! How many devices run a release, in lines. Refuses to know how that is counted.

use crate::cli::said::table;
use app::ui::number::{counted, grouped};
use wire::releases::{ReleaseInstalls, VersionInstalls};

/// A sentence, and a table of the versions that devices of the release's type run.
pub(super) fn told(installs: ReleaseInstalls) -> String {
    let (run, are) = (if installs.running == 1 { "runs" } else { "run" }, if installs.assigned == 1 { "is" } else { "are" });
    let (running, devices, assigned) =
        (grouped(installs.running), counted(installs.devices, "device", "devices"), grouped(installs.assigned));
    let rest = (installs.others > 0).then(|| vec!["others".to_owned(), installs.others.to_string(), String::new()]);
    let line = |v: VersionInstalls| {
        let version = if v.version.is_empty() { "not said".to_owned() } else { v.version };
        vec![version, v.devices.to_string(), v.release.map(|id| id.to_string()).unwrap_or_default()]
    };
    let rows: Vec<Vec<String>> = installs.versions.into_iter().map(line).chain(rest).collect();
    format!("{running} of {devices} {run} it, {assigned} {are} to get it\n{}", table(&["VERSION", "DEVICES", "RELEASE"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_is_told_as_one() {
        let versions = vec![VersionInstalls { version: String::new(), devices: 1, release: None }];
        let of = |running, devices, assigned| told(ReleaseInstalls { devices, running, assigned, versions: versions.clone(), others: 3 });
        assert!(of(1, 1, 1).starts_with("1 of 1 device runs it, 1 is to get it\n"), "{}", of(1, 1, 1));
        let some = of(0, 1_200, 2);
        assert!(some.starts_with("0 of 1,200 devices run it, 2 are to get it\n"), "{some}");
        let rows: Vec<Vec<&str>> = some.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [vec!["VERSION", "DEVICES", "RELEASE"], vec!["not", "said", "1"], vec!["others", "3"]]);
    }
}
