//! What is fetched where a delta is offered: the delta, if the old file is there and all fits; else the whole.

use super::*;

/// What a device asks for that has `base` in its active slot under the digest of the right one, and is answered like this. Whatever the delta
/// is, the firmware is there at the end.
async fn asked(base: Option<&[u8]>, told: &[u8], answers: Vec<Vec<u8>>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (mut offer, keys) = signed(2);
    let base_sha256 = digest_of_bytes(&old());
    let delta = Delta { path: "/delta".into(), sha256: digest_of_bytes(told), size: told.len() as u64, base_sha256: base_sha256.clone() };
    let payload = Payload { name: "fw".into(), size: new().len() as u64, sha256: digest_of_bytes(&new()), format: "raw".into() };
    offer.downloads = vec![Download { sha256: payload.sha256.clone(), size: payload.size, path: "/whole".into(), delta: Some(delta) }];
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    if let Some(base) = base {
        fs::write(updates.slots().payload(Slot::A, &base_sha256), base).unwrap();
    }
    let (peer, mut heard) = crate::peer::Peer::saying(answers).await;
    let (clock, entropy) = (Manual::at(Timestamp(0)), Entropy::seeded(1));
    let client = || Ok(peer.client());
    let means = Means { client: &client, ..means(&clock, &entropy) };
    updates.payload(&offer, &payload, Slot::B, &means, |_| {}).await.unwrap();
    let part = updates.slots().part(Slot::B, &payload.sha256);
    assert_eq!(fs::read(part).unwrap(), new());
    assert_eq!(fs::read_dir(updates.slots().path(Slot::B)).unwrap().count(), 1, "nothing else stays");
    let line = |request: String| request.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned();
    std::iter::from_fn(|| heard.try_recv().ok()).map(line).collect()
}

/// What runs: nothing that is short in itself.
fn old() -> Vec<u8> {
    (0..7_500u32).flat_map(|n| n.wrapping_mul(2_246_822_519).to_le_bytes()).collect()
}

fn new() -> Vec<u8> {
    [old(), (0..2_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>()].concat()
}

fn told(base: &[u8], target: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, base).unwrap();
    encoder.write_all(target).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_delta_is_enough_where_the_old_file_is() {
    let told = told(&old(), &new());
    assert_eq!(asked(Some(&old()), &told, vec![sent(&told)]).await, ["/delta"]);
    // Cut in the middle it goes on.
    let rest = format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 100-{}/{}\r\n", told.len() - 1, told.len());
    let rest = [format!("{rest}content-length: {}\r\n\r\n", told.len() - 100).as_bytes(), &told[100..]].concat();
    let cut = sent(&told)[..sent(&told).len() - told.len() + 100].to_vec();
    assert_eq!(asked(Some(&old()), &told, vec![cut, rest]).await, ["/delta", "/delta"]);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_delta_the_whole_file_is_fetched() {
    let good = told(&old(), &new());
    let whole = sent(&new());
    let mut broken = good.clone();
    broken[good.len() / 2] ^= 0x40;
    let both = ["/delta", "/whole"];
    assert_eq!(asked(None, &good, vec![whole.clone()]).await, ["/whole"], "without the old file it is not even fetched");
    assert_eq!(asked(Some(&vec![6; 30_000]), &good, vec![sent(&good), whole.clone()]).await, both, "another file under the old one's name");
    assert_eq!(asked(Some(&old()), &broken, vec![sent(&broken), whole.clone()]).await, both, "broken where it was made");
    assert_eq!(asked(Some(&old()), &good, vec![sent(&broken), whole.clone()]).await, both, "broken on its way");
    let other = told(&old(), b"something else");
    assert_eq!(asked(Some(&old()), &other, vec![sent(&other), whole.clone()]).await, both, "a delta to something else");
    let gone = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    assert_eq!(asked(Some(&old()), &good, vec![gone, whole.clone()]).await, both);
    let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    assert_eq!(asked(Some(&old()), &good, vec![busy, whole]).await, both, "the whole file does not wait for it");
}
