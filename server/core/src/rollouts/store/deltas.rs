//! Which files of a release a device can be told as their difference from what it runs.

use crate::{
    db::{Conn, Error, Sql, rows},
    devices::DeviceNo,
};
use wire::{
    device::{ARTIFACTS, Delta},
    ids::{Digest, ReleaseId},
};

// What a device runs is what it said: the version and the sequence of a release of its type.
pub(super) const TO_DEVICE: Sql = Sql::same(
    "SELECT d.target_sha256, d.base_sha256, d.sha256, d.size FROM devices v
     JOIN releases b ON b.org_id = v.org_id AND b.device_type = v.device_type AND b.sequence = v.sequence AND b.version = v.version
     JOIN release_files h ON h.release_id = b.id JOIN release_files f ON f.release_id = $2
     JOIN deltas d ON d.target_sha256 = f.sha256 AND d.base_sha256 = h.sha256
     WHERE v.number = $1 AND b.state <> 'draft' AND d.state = 'ready' ORDER BY d.size DESC",
);

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
