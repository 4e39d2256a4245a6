//! One payload onto the disk: resumed where a cut left it, never a byte more than was signed, hashed on the way.

use crate::{http, slots::finish};
use aws_lc_rs::digest::{Context, SHA256};
use std::{io, path::Path, time::Duration};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
    time::Instant,
};
use wire::{ids::Digest, manifest::Payload};

/// How fast a device may download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rate {
    /// As fast as it comes.
    #[default]
    Unlimited,
    /// At most so many bytes a second.
    Bytes(u64),
    /// Evenly over this time, whatever the size: how a simulator makes progress visible.
    Spread(Duration),
}

impl Rate {
    /// The time that `bytes` of `size` may take at least.
    fn time(self, bytes: u64, size: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a pace, not an amount")]
        let share = |of: u64| bytes as f64 / of.max(1) as f64;
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::Bytes(per_second) => Duration::from_secs_f64(share(per_second).min(1e9)),
            Self::Spread(over) => over.mul_f64(share(size).min(1.0)),
        }
    }
}

/// Why a payload is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The way there.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The disk.
    #[error("cannot store the download: {0}")]
    Files(#[from] io::Error),
    /// It ended early; what came is kept.
    #[error("the download ended after {got} of {size} bytes")]
    Short {
        /// Bytes on disk.
        got: u64,
        /// Bytes signed.
        size: u64,
    },
    /// More came than was signed.
    #[error("the download is longer than the {0} bytes that were signed")]
    Long(u64),
    /// Something else came than was signed.
    #[error("the download has the digest {found}, the manifest says {expected}")]
    Digest {
        /// What the manifest says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
}

impl Error {
    /// Whether trying again may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Http(e) => e.passing(),
            Self::Short { .. } => true,
            Self::Files(_) | Self::Long(_) | Self::Digest { .. } => false,
        }
    }

    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "download_failed",
            Self::Files(e) if e.kind() == io::ErrorKind::StorageFull => "no_space",
            Self::Files(_) => "disk_error",
            Self::Short { .. } => "download_short",
            Self::Long(_) => "size_mismatch",
            Self::Digest { .. } => "digest_mismatch",
        }
    }
}

/// Brings `part` to the payload's size and digest, from wherever it stands; synced when this returns. `progress` hears how many bytes are there.
///
/// A part that turns out wrong is removed, so that the next attempt begins anew.
pub async fn fetch(
    client: &http::Client,
    path: &str,
    payload: &Payload,
    part: &Path,
    rate: Rate,
    mut progress: impl FnMut(u64),
) -> Result<(), Error> {
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(part).await?;
    let (mut context, mut got) = known(&mut file, payload.size).await?;
    progress(got);
    if got < payload.size {
        let mut download = client.get(path, got).await?;
        if download.from() != got {
            // The server sends from somewhere else, which can only be the beginning.
            if download.from() != 0 {
                return Err(http::Error::Unexpected(format!("asked from byte {got}, got from {}", download.from())).into());
            }
            file.set_len(0).await?;
            file.rewind().await?;
            (context, got) = (Context::new(&SHA256), 0);
        }
        let (begun, first) = (Instant::now(), got);
        while let Some(piece) = download.piece().await? {
            if got + piece.len() as u64 > payload.size {
                drop(file);
                tokio::fs::remove_file(part).await?;
                return Err(Error::Long(payload.size));
            }
            file.write_all(&piece).await?;
            context.update(&piece);
            got += piece.len() as u64;
            progress(got);
            tokio::time::sleep_until(begun + rate.time(got - first, payload.size)).await;
        }
    }
    file.flush().await?;
    file.sync_all().await?;
    if got < payload.size {
        return Err(Error::Short { got, size: payload.size });
    }
    let found = finish(context);
    if found != payload.sha256 {
        drop(file);
        tokio::fs::remove_file(part).await?;
        return Err(Error::Digest { expected: payload.sha256.clone(), found });
    }
    Ok(())
}

/// Hashes what is there already and stands behind it. More than was signed counts for nothing.
async fn known(file: &mut File, size: u64) -> io::Result<(Context, u64)> {
    if file.metadata().await?.len() > size {
        file.set_len(0).await?;
    }
    let (mut context, mut got, mut piece) = (Context::new(&SHA256), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).await? {
            0 => return Ok((context, got)),
            n => {
                context.update(&piece[..n]);
                got += n as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;

    #[test]
    fn rates_are_times() {
        assert_eq!(Rate::Unlimited.time(1 << 30, 1 << 30), Duration::ZERO);
        assert_eq!(Rate::Bytes(1000).time(2500, 9000), Duration::from_millis(2500));
        assert_eq!(Rate::Spread(Duration::from_secs(8)).time(25, 100), Duration::from_secs(2));
        assert_eq!(Rate::Spread(Duration::from_secs(8)).time(0, 0), Duration::ZERO);
    }

    const BODY: &[u8] = b"0123456789";

    fn payload() -> Payload {
        let mut context = Context::new(&SHA256);
        context.update(BODY);
        Payload { name: "fw".into(), size: BODY.len() as u64, sha256: finish(context), format: "raw".into() }
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat()
    }

    /// Fetches as often as there are answers, and says how each attempt ended and what lies on the disk then.
    async fn attempts(answers: Vec<Vec<u8>>) -> (Vec<(Result<(), Error>, Option<Vec<u8>>)>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("part");
        let count = answers.len();
        let (peer, mut heard) = Peer::saying(answers).await;
        let (mut ends, mut ranges) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let end = fetch(&peer.client(), "/fw", &payload(), &part, Rate::Unlimited, |_| {}).await;
            ends.push((end, std::fs::read(&part).ok()));
            let request = heard.recv().await.unwrap();
            ranges.push(request.lines().find_map(|l| l.strip_prefix("range: ")).unwrap_or_default().to_owned());
        }
        (ends, ranges)
    }

    #[tokio::test]
    async fn a_cut_download_goes_on_from_its_last_byte() {
        let (ends, ranges) = attempts(vec![
            answer("200 OK\r\ncontent-length: 10", &BODY[..4]),
            answer("206 Partial Content\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6", &BODY[4..7]),
            answer("206 Partial Content\r\ncontent-range: bytes 7-9/10\r\ncontent-length: 3", &BODY[7..]),
        ])
        .await;
        assert_eq!(ranges, ["", "bytes=4-", "bytes=7-"]);
        assert!(ends[0].0.as_ref().unwrap_err().passing() && ends[1].0.as_ref().unwrap_err().passing());
        assert!(ends[2].0.is_ok());
        assert_eq!(ends[2].1.as_deref(), Some(BODY));
    }

    #[tokio::test]
    async fn a_server_without_ranges_sends_it_all_again() {
        let (ends, _) =
            attempts(vec![answer("200 OK\r\ncontent-length: 10", &BODY[..4]), answer("200 OK\r\ncontent-length: 10", BODY)]).await;
        assert!(ends[1].0.is_ok());
        assert_eq!(ends[1].1.as_deref(), Some(BODY));
    }

    #[tokio::test]
    async fn a_41_endless_data_ends_at_the_size_that_was_signed() {
        // Neither a length nor an end; and one that lies about its length.
        let endless = [b"ab".repeat(1 << 20), BODY.to_vec()].concat();
        let chunk = [format!("{:x}\r\n", endless.len()).as_bytes(), &endless, b"\r\n"].concat();
        let (ends, _) = attempts(vec![
            answer("200 OK\r\nconnection: close", &endless),
            answer("200 OK\r\ntransfer-encoding: chunked", &chunk.repeat(3)),
            answer(&format!("200 OK\r\ncontent-length: {}", 1_u64 << 40), &endless),
        ])
        .await;
        let codes: Vec<_> = ends.iter().map(|(end, _)| end.as_ref().map_err(Error::code).unwrap_err()).collect();
        assert_eq!(codes, ["size_mismatch"; 3]);
        assert!(ends.iter().all(|(_, left)| left.is_none()), "nothing of it stays on the disk");
    }

    #[tokio::test]
    async fn a_40_what_was_not_signed_does_not_stay() {
        let (ends, _) = attempts(vec![
            answer("200 OK\r\ncontent-length: 11", b"0123456789X"),
            answer("200 OK\r\ncontent-length: 10", b"012345678X"),
            answer("200 OK\r\ncontent-length: 4", b"0123"),
            answer("206 Partial Content\r\ncontent-range: bytes 2-9/10\r\ncontent-length: 8", &BODY[2..]),
            answer("404 Not Found\r\ncontent-length: 0", b""),
            answer("503 Service Unavailable\r\ncontent-length: 0", b""),
        ])
        .await;
        let codes: Vec<_> = ends.iter().map(|(end, _)| end.as_ref().map_err(Error::code).unwrap_err()).collect();
        assert_eq!(codes[..3], ["size_mismatch", "digest_mismatch", "download_short"]);
        let passing: Vec<_> = ends.iter().map(|(end, _)| end.as_ref().unwrap_err().passing()).collect();
        assert_eq!(passing, [false, false, true, false, false, true]);
        assert_eq!((&ends[0].1, &ends[1].1), (&None, &None), "what was wrong is gone");
        assert_eq!(ends[3].1.as_deref(), Some(&BODY[..4]), "what was right is kept");
    }
}
