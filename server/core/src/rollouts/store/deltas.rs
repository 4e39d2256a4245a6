//! Which files of a release a device can be told as their difference from what it runs.

use crate::{
    db::{Conn, Error, Sql, rows},
    devices::DeviceNo,
    releases::RolloutRelease,
};
use std::collections::{HashMap, HashSet};
use wire::{
    device::{ARTIFACTS, Delta},
    ids::{Digest, OrgId, ReleaseId},
};

// What a device runs is what it said: the version and the sequence of a release of its type.
pub(super) const TO_DEVICE: Sql = Sql::same(
    "SELECT d.target_sha256, d.base_sha256, d.sha256, d.size FROM devices v
     JOIN releases b ON b.org_id = v.org_id AND b.device_type = v.device_type AND b.sequence = v.sequence AND b.version = v.version
     JOIN release_files h ON h.release_id = b.id JOIN release_files f ON f.release_id = $2
     JOIN deltas d ON d.target_sha256 = f.sha256 AND d.base_sha256 = h.sha256
     WHERE v.number = $1 AND b.state <> 'draft' AND d.state = 'ready' ORDER BY d.size DESC",
);

// The same for every release that devices may run.
pub(super) const SIZES: Sql = Sql::same(
    "SELECT b.version, b.sequence, d.target_sha256, MIN(d.size) FROM release_files f JOIN deltas d ON d.target_sha256 = f.sha256
     JOIN release_files h ON h.sha256 = d.base_sha256 JOIN releases b ON b.id = h.release_id
     WHERE b.org_id = $1 AND b.device_type = $2 AND f.release_id = $3 AND b.state <> 'draft' AND d.state = 'ready'
     GROUP BY b.version, b.sequence, d.target_sha256",
);

// Those that speak hawkBit's protocol, which knows no deltas: they have described themselves by it, or been offered something.
pub(super) const WITHOUT: Sql = Sql::same(
    "SELECT v.number FROM devices v WHERE v.org_id = $1 AND v.device_type = $2
     AND (v.described_at IS NOT NULL OR EXISTS (SELECT 1 FROM ddi_actions a WHERE a.device = v.number))",
);

/// What a device downloads of a release that runs this version with this sequence.
#[derive(Debug, Default)]
pub(in crate::rollouts) struct Sizes {
    whole: u64,
    by_base: HashMap<(String, i64), u64>,
    /// Who downloads whole files whatever it runs.
    without: HashSet<DeviceNo>,
}

impl Sizes {
    /// What no device downloads more than.
    pub(in crate::rollouts) const fn most(&self) -> u64 {
        self.whole
    }

    /// Of a device that runs this.
    pub(in crate::rollouts) fn of(&self, device: DeviceNo, version: &str, sequence: i64) -> u64 {
        if self.by_base.is_empty() || self.without.contains(&device) {
            return self.whole;
        }
        self.by_base.get(&(version.to_owned(), sequence)).copied().unwrap_or(self.whole)
    }
}

/// What devices of a type download of a release, by what they run: deltas where they are ready and the device takes them, and otherwise whole files.
pub(in crate::rollouts) async fn sizes(on: &mut impl Conn, org: &OrgId, release: &RolloutRelease) -> Result<Sizes, Error> {
    let files: HashMap<&str, u64> = release.manifest.payloads.iter().map(|p| (p.sha256.as_str(), p.size)).collect();
    let whole = release.manifest.payloads.iter().fold(0_u64, |sum, p| sum.saturating_add(p.size));
    let mut by_base: HashMap<(String, i64), u64> = HashMap::new();
    let found = rows!(on, (String, i64, String, i64), SIZES, org.as_str(), release.row.device_type.as_str(), release.row.id.as_str())?;
    for (version, sequence, target, size) in found {
        let file = files.get(target.as_str()).copied().unwrap_or(0);
        let saved = file.saturating_sub(u64::try_from(size).map_err(Error::corrupt)?);
        let left = by_base.entry((version, sequence)).or_insert(whole);
        *left = left.saturating_sub(saved);
    }
    // Nobody is looked up where there is no delta.
    let without = if by_base.is_empty() {
        HashSet::new()
    } else {
        rows!(on, (DeviceNo,), WITHOUT, org.as_str(), release.row.device_type.as_str())?.into_iter().map(|(device,)| device).collect()
    };
    Ok(Sizes { whole, by_base, without })
}

/// The deltas to a release's files that start from the release the device runs, with the digest each leads to; the smallest to a file is the last.
pub(in crate::rollouts) async fn to_device(
    on: &mut impl Conn,
    device: DeviceNo,
    release: &ReleaseId,
) -> Result<Vec<(Digest, Delta)>, Error> {
    let found = rows!(on, (String, String, String, i64), TO_DEVICE, device, release.as_str())?;
    let read = |(target, base, own, size): (String, String, String, i64)| {
        let digest = |text: String| text.parse::<Digest>().map_err(Error::corrupt);
        let sha256 = digest(own)?;
        let size = u64::try_from(size).map_err(Error::corrupt)?;
        Ok((digest(target)?, Delta { path: format!("{ARTIFACTS}{sha256}"), sha256, size, base_sha256: digest(base)? }))
    };
    found.into_iter().map(read).collect()
}
