//! A payload made out of the file that runs and its difference from it, so that little is downloaded.
//!
//! Nothing of this is trusted: what comes out has the digest that was signed, or the whole payload is fetched instead. Owns when the shorter way is
//! tried and when it is given up; refuses to report anything, because giving it up is no failure.

use super::{
    Updates,
    execute::Means,
    fetch::{self, fetch},
};
use crate::{
    backoff::Backoff,
    http,
    slots::{Slot, finish},
};
use aws_lc_rs::digest::{Context, SHA256};
use std::{
    fs::File,
    io::{self, BufReader, Read as _, Write as _},
    path::Path,
};
use wire::{
    device::{Delta, Offer},
    manifest::Payload,
};
use zstd::stream::read::Decoder;

/// Most bytes of memory that it may take: the file that runs and the new one.
const MOST_MEMORY: u64 = 256 << 20;
/// How often in a row it may break without a single new byte.
const MOST_MISSES: u32 = 3;
/// What every zstd reads without being told.
const USUAL_WINDOW: u32 = 27;

impl Updates {
    /// Makes the payload's part out of the delta; false when the whole payload has to be fetched, whyever.
    pub(super) async fn by_delta(
        &self,
        (offer, delta, payload): (&Offer, &Delta, &Payload),
        to: Slot,
        means: &Means<'_>,
        progress: impl Fn(u64),
    ) -> bool {
        let (base, whole) = (self.slots().payload(to.other(), &delta.base_sha256), self.slots().part(to, &payload.sha256));
        let memory = std::fs::metadata(&base).map_or(u64::MAX, |file| file.len().saturating_add(payload.size));
        // What was begun as a whole goes on as a whole.
        if memory > MOST_MEMORY || delta.size >= payload.size || whole.exists() {
            return false;
        }
        let told = Payload { name: payload.name.clone(), size: delta.size, sha256: delta.sha256.clone(), format: "zstd".into() };
        let (part, made) = (self.slots().part(to, &delta.sha256), self.slots().payload(to, &delta.sha256));
        let scaled = |got: u64| progress(got.saturating_mul(payload.size) / delta.size.max(1));
        let done = if let Err(error) = self.fetched(offer, &delta.path, &told, &part, means, scaled).await {
            Err(error.to_string())
        } else {
            let (out, payload) = (made.clone(), payload.clone());
            let applied = tokio::task::spawn_blocking(move || apply(&base, &part, &payload, &out)).await;
            applied.map_err(io::Error::other).flatten().and_then(|()| std::fs::rename(&made, &whole)).map_err(|e| e.to_string())
        };
        if let Err(error) = self.slots().forget(to, &delta.sha256) {
            tracing::debug!(%error, "the delta stays until the slot is prepared again");
        }
        match &done {
            Ok(()) => {
                self.note(|journal| journal.shortened(delta.size, payload.size));
                tracing::info!(update = %offer.update_id, bytes = delta.size, instead_of = payload.size, "made from a delta");
            }
            Err(error) => tracing::info!(update = %offer.update_id, error, "the delta is of no use; the whole file is fetched"),
        }
        done.is_ok()
    }

    /// Fetches the delta, again and again while bytes come.
    async fn fetched(
        &self,
        offer: &Offer,
        path: &str,
        told: &Payload,
        part: &Path,
        means: &Means<'_>,
        progress: impl Fn(u64),
    ) -> Result<(), fetch::Error> {
        let (mut backoff, mut carrier, mut misses) = (Backoff::reconnect(), means.carrier.clone(), 0);
        let there = || std::fs::metadata(part).map_or(0, |file| file.len());
        loop {
            carrier.up().await;
            let before = there();
            let attempt = async {
                let client = (means.client)()?;
                fetch(&client, path, told, part, means.rate, &progress).await
            };
            let error = tokio::select! {
                done = attempt => match done {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                () = carrier.lost() => fetch::Error::Http(http::Error::Broken("the network went away".into())),
            };
            misses = if there() > before { 0 } else { misses + 1 };
            let refused = matches!(error, fetch::Error::Http(http::Error::Answer { .. }));
            if !error.passing() || refused || misses == MOST_MISSES || means.clock.now() >= offer.deadline {
                return Err(error);
            }
            tokio::time::sleep(backoff.wait(means.entropy.unit())).await;
        }
    }
}

/// Writes the payload to `made`, synced; an error when what comes out is something else.
fn apply(base: &Path, delta: &Path, payload: &Payload, made: &Path) -> io::Result<()> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let base = std::fs::read(base)?;
    let mut decoder = Decoder::with_ref_prefix(BufReader::new(File::open(delta)?), &base)?;
    decoder.window_log_max(payload.size.max(1).next_power_of_two().ilog2().max(USUAL_WINDOW))?;
    let mut out = File::create(made)?;
    let (mut context, mut piece, mut got) = (Context::new(&SHA256), vec![0; 1 << 16], 0);
    loop {
        match decoder.read(&mut piece)? {
            0 => break,
            n => {
                got += n as u64;
                if got > payload.size {
                    return Err(wrong(format!("it makes more than {} bytes", payload.size)));
                }
                context.update(&piece[..n]);
                out.write_all(&piece[..n])?;
            }
        }
    }
    let found = finish(context);
    if found != payload.sha256 {
        return Err(wrong(format!("it makes a file of the digest {found}, the manifest says {}", payload.sha256)));
    }
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use wire::ids::Digest;
    use zstd::stream::write::Encoder;

    fn digest(bytes: &[u8]) -> Digest {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        finish(context)
    }

    fn delta(base: &[u8], target: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::with_ref_prefix(Vec::new(), 3, base).unwrap();
        encoder.set_pledged_src_size(Some(target.len() as u64)).unwrap();
        encoder.write_all(target).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_what_was_signed_comes_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).unwrap();
            dir.path().join(name)
        };
        let old: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new[5_000..5_010].fill(7);
        let payload = Payload { name: "fw".into(), size: new.len() as u64, sha256: digest(&new), format: "raw".into() };
        let (base, told) = (file("base", &old), delta(&old, &new));
        assert!(told.len() < 1_000, "{}", told.len());
        let made = dir.path().join("made");
        apply(&base, &file("delta", &told), &payload, &made).unwrap();
        assert_eq!(std::fs::read(&made).unwrap(), new);

        let fails =
            |base: &Path, told: &[u8], payload: &Payload| apply(base, &file("delta", told), payload, &made).unwrap_err().to_string();
        let mut other = old.clone();
        other[50_000] ^= 1;
        fails(&file("other", &other), &told, &payload);
        fails(&base, &told[..told.len() - 3], &payload);
        assert!(fails(&base, &delta(&old, &old), &payload).contains("digest"), "a right delta to something else");
        let short = Payload { size: payload.size - 1, ..payload.clone() };
        assert!(fails(&base, &told, &short).contains("more than"));
        for at in (0..told.len()).step_by(5) {
            let mut broken = told.clone();
            broken[at] ^= 0x10;
            // What does not show in the file is no harm; everything else is an error.
            if apply(&base, &file("delta", &broken), &payload, &made).is_ok() {
                assert_eq!(std::fs::read(&made).unwrap(), new);
            }
        }
    }
}
