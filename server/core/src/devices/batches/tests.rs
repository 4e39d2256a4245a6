//! Batches on both engines, and what is in an upload whatever it is packed in.

use super::{
    super::{Error, NewBatch},
    Broken,
    archive::Archive,
    read::{Asked, Entry, read},
    receiving::{SILENCE, while_it_speaks},
};
use crate::{
    access::Actor,
    db::EngineKind,
    testing::{START, World, csr, csr_by},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use proptest::prelude::*;
use rstest::rstest;
use std::io::{self, Write as _};
use wire::{
    devices::DeviceQuery,
    enrolment::{BatchLineState, BatchState, EnrolmentBatch},
    states::DeviceState,
};

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, Broken> {
    let mut all = Vec::new();
    read(bytes, &mut |entry| {
        all.push(entry);
        Ok(())
    })?;
    Ok(all)
}

fn labels(bytes: &[u8]) -> Vec<(String, Option<&'static str>)> {
    entries(bytes).unwrap().into_iter().map(|e| (e.label, e.said.err().map(|r| r.code))).collect()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::new(START);
    for (name, data) in files {
        archive.add(name, data).unwrap();
    }
    archive.finish().unwrap()
}

/// A zip entry as a program writes that does not know sizes before: packed, with the sizes behind the data.
fn streamed_zip(name: &str, data: &[u8], signed: bool) -> Vec<u8> {
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(data).unwrap();
    let packed = packed.finish().unwrap();
    let mut zip = b"PK\x03\x04\x14\0\x08\0\x08\0\0\0\0\0".to_vec();
    zip.extend([0; 12]);
    zip.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    zip.extend([0, 0]);
    zip.extend(name.as_bytes());
    zip.extend(&packed);
    if signed {
        zip.extend(b"PK\x07\x08");
    }
    for n in [crc32fast::hash(data), u32::try_from(packed.len()).unwrap(), u32::try_from(data.len()).unwrap()] {
        zip.extend(n.to_le_bytes());
    }
    let directory = u32::try_from(zip.len()).unwrap();
    zip.extend(b"PK\x01\x02\x14\0\x14\0\x08\0\x08\0\0\0\0\0");
    for n in [crc32fast::hash(data), u32::try_from(packed.len()).unwrap(), u32::try_from(data.len()).unwrap()] {
        zip.extend(n.to_le_bytes());
    }
    zip.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    zip.extend([0; 16]);
    zip.extend(name.as_bytes());
    let end = u32::try_from(zip.len()).unwrap();
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend((end - directory).to_le_bytes());
    zip.extend(directory.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

fn tar_of(files: &[(&str, &[u8], u8)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, data, kind) in files {
        let mut head = [0_u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        head[156] = *kind;
        head[257..262].copy_from_slice(b"ustar");
        head[148..156].fill(b' ');
        let sum: u64 = head.iter().map(|b| u64::from(*b)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(head);
        tar.extend(*data);
        tar.extend(vec![0; data.len().next_multiple_of(512) - data.len()]);
    }
    tar.extend([0; 1024]);
    tar
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(data).unwrap();
    packed.finish().unwrap()
}

#[test]
fn the_same_requests_are_read_from_every_form() {
    let pem = csr("gw-1");
    let asked = |device_id: &str| Asked { device_id: device_id.into(), csr: pem.clone().into_bytes(), ..Asked::default() };
    let file = [("lot/gw-1.csr", pem.as_bytes())];
    let tar = tar_of(&[("lot/", b"", b'5'), ("lot/gw-1.csr", pem.as_bytes(), b'0')]);
    for archive in [
        zip_of(&file),
        streamed_zip("lot/gw-1.csr", pem.as_bytes(), true),
        streamed_zip("lot/gw-1.csr", pem.as_bytes(), false),
        gz(&tar),
        tar,
    ] {
        assert_eq!(entries(&archive).unwrap(), [Entry { label: "lot/gw-1.csr".into(), said: Ok(asked("")) }]);
    }
    let quoted = format!("\u{feff}csr;DEVICE_ID\r\n\"{pem}\";gw-1\r\n\r\n\"{pem}\";gw-2\r\n");
    let csv = entries(quoted.as_bytes()).unwrap();
    assert_eq!(csv[0].label, "line 2: gw-1");
    // What surrounds a cell's text is not part of it.
    let trimmed = |device_id| Asked { csr: pem.trim().as_bytes().to_vec(), ..asked(device_id) };
    assert_eq!([csv[0].said.clone(), csv[1].said.clone()], [Ok(trimmed("gw-1")), Ok(trimmed("gw-2"))]);
    let json =
        format!("{}\n\n{{\"x\":1}}\n", serde_json::json!({ "device_id": "gw-1", "type": "gateway", "tags": ["eu", "a"], "csr": pem }));
    let lines = entries(json.as_bytes()).unwrap();
    assert_eq!(lines[0].said, Ok(Asked { device_type: "gateway".into(), tags: "eu a".into(), ..asked("gw-1") }));
    assert_eq!((lines[1].label.as_str(), lines[1].said.as_ref().unwrap_err().code), ("line 3", "bad_json"));
}

struct Endless;

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'{');
        Ok(buffer.len())
    }
}

/// what unpacks without bound ends the reading, however it is packed; what is only large is refused by itself.
#[test]
fn a_28_bombs_and_floods_are_refused_while_they_are_read() {
    let zeros = vec![0; 40 << 20];
    let bomb = streamed_zip("a.csr", &zeros, true);
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    assert!(matches!(entries(&bomb), Err(Broken::Bomb)));
    assert!(matches!(entries(&gz(&tar_of(&[("a.csr", &zeros, b'0')]))), Err(Broken::Bomb)));
    // An archive in an archive is a file that is no CSR: nobody unpacks it.
    assert_eq!(labels(&zip_of(&[("inner.zip", &zip_of(&[("a", b"x")]))])), [("inner.zip".into(), None)]);

    let large = vec![b'A'; 33 << 10];
    assert_eq!(labels(&zip_of(&[("large", &large), ("small", b"x")])), [("large".into(), Some("csr_too_large")), ("small".into(), None)]);
    assert_eq!(
        labels(&tar_of(&[("large", &large, b'0'), ("small", b"x", b'0')])),
        [("large".into(), Some("csr_too_large")), ("small".into(), None)]
    );
    let text = String::from_utf8(large).unwrap();
    let csv = format!("device_id,csr\ngw-1,{text}\ngw-2,x\n");
    assert_eq!(labels(csv.as_bytes()), [("line 2".into(), Some("csr_too_large")), ("line 3: gw-2".into(), None)]);
    let json = format!("{{\"csr\":\"{text}\"}}\n{{\"csr\":\"x\"}}\n");
    assert_eq!(labels(json.as_bytes()), [("line 1".into(), Some("csr_too_large")), ("line 2".into(), None)]);

    let many = |n: usize| "{}\n".repeat(n).into_bytes();
    assert_eq!(entries(&many(10_000)).unwrap().len(), 10_000);
    assert!(matches!(entries(&many(10_001)), Err(Broken::TooMany)));
    assert!(matches!(read(Endless, &mut |_| Ok(())), Err(Broken::TooMuch)));
}

/// a name in an archive is a label; one that would lead elsewhere is refused.
#[test]
fn a_29_names_in_archives_never_lead_anywhere() {
    for bad in [
        "../gw.csr",
        "a/../../gw",
        "/etc/passwd",
        "C:/gw",
        "c:gw",
        "a\\b",
        "..\\gw",
        "%2e%2e/gw",
        "a%2Fb",
        "nul",
        "CON.csr",
        "lot/com1.txt",
        "a\u{0}b",
        "a\u{202e}b",
        "a\u{1b}[31m",
    ] {
        let found = labels(&zip_of(&[(bad, b"x")]));
        assert_eq!(found[0].1, Some("bad_name"), "{bad:?}");
        assert!(!found[0].0.chars().any(crate::text::unseen), "{bad:?} is shown without what can't be seen");
    }
    for fine in ["gw-1.csr", "lot 17/gw-1.csr", "Größe.pem", "console.csr", "a..b", "com10"] {
        assert_eq!(labels(&zip_of(&[(fine, b"x")])), [(fine.to_owned(), None)]);
    }
    assert_eq!(
        labels(&tar_of(&[("../x", b"x", b'0'), ("link", b"", b'2')])),
        [("../x".into(), Some("bad_name")), ("link".into(), Some("not_a_file"))]
    );
}

#[test]
fn damaged_files_are_refused_in_words() {
    let good = zip_of(&[("a", b"abc")]);
    let mut damaged = good.clone();
    damaged[32] ^= 1;
    assert!(matches!(entries(&damaged), Err(Broken::Malformed(_))));
    assert!(matches!(entries(&good[..32]), Err(Broken::Cut)));
    // Without its directory an archive is not whole, whatever stands before.
    assert!(matches!(entries(&good[..good.len() - 30]), Err(Broken::Cut)));
    let mut locked = good;
    let directory = locked.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    locked[6] |= 1;
    locked[directory + 8] |= 1;
    assert!(matches!(entries(&locked), Err(Broken::Malformed(why)) if why.contains("password")));
    for bad in [&b""[..], b"\n", b"device_id,colour\n", b"csr,csr\n", b"device_id,csr\n", b"\x1f\x8bnonsense", b"hello"] {
        assert!(matches!(entries(bad), Err(Broken::Malformed(_) | Broken::Cut)), "{bad:?}");
    }
    let uneven = b"device_id,device_type,csr\njustone\na,b,c,d\ngw-1,,x\n";
    let columns = [("line 2".into(), Some("bad_csv")), ("line 3".into(), Some("bad_csv")), ("line 4: gw-1".into(), None)];
    assert_eq!(labels(uneven), columns);
    assert_eq!(labels(b"device_id,csr\ngw-1,\"a\"b\ngw-2,x\n"), [("line 2".into(), Some("bad_csv")), ("line 3: gw-2".into(), None)]);
}

proptest! {
    /// whatever is sent is read or refused.
    #[test]
    fn a_18_any_upload_is_read_or_refused(begin in prop::sample::select(vec![&b"PK\x03\x04"[..], b"\x1f\x8b\x08", b"{", b"device_id,csr\n", b""]), rest in prop::collection::vec(any::<u8>(), 0..800)) {
        let _ = entries(&[begin, &rest].concat());
    }
}

async fn send(w: &World, actor: &Actor, bytes: Vec<u8>) -> Result<EnrolmentBatch, Error> {
    let pieces: Vec<io::Result<Bytes>> = bytes.chunks(1000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let new = NewBatch { label: "lot 17".into(), device_type: "gateway".into(), tags: vec!["eu".into()], ..NewBatch::default() };
    w.fleet.devices().receive_batch(actor, new, futures::stream::iter(pieces)).await
}

async fn work(w: &World) {
    while w.fleet.devices().work_batches().await.unwrap() {}
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_issues_line_by_line_and_gives_an_archive(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    w.device("gw-0", "gateway").await;
    let line = |id: &str, csr: &str| serde_json::json!({ "device_id": id, "csr": csr }).to_string();
    let same = csr("gw-1");
    let lines = [
        line("gw-1", &same),
        line("gw-0", &csr("gw-0")),
        line("gw-2", &csr("other")),
        line("gw-3", "nonsense"),
        line("", &same),
        line("", &csr("gw-4")),
        line("gw-5", ""),
        line("", ""),
        serde_json::json!({ "device_id": "gw-6", "type": "=cmd", "tags": ["ok", "-no"], "csr": csr("gw-6") }).to_string(),
    ];
    let batch = send(&w, &operator, lines.join("\n").into_bytes()).await.unwrap();
    assert_eq!((batch.state, batch.lines, batch.refused), (BatchState::Working, 9, 0));
    work(&w).await;
    let batch = w.fleet.devices().batch(&operator, &batch.id).await.unwrap();
    assert_eq!((batch.state, batch.issued, batch.registered, batch.refused), (BatchState::Done, 2, 1, 6));
    let all = w.fleet.devices().batch_lines(&operator, &batch.id, None, None, None).await.unwrap().items;
    let codes: Vec<_> = all.iter().map(|l| (l.state, l.code.as_str())).collect();
    let refused = BatchLineState::Refused;
    assert_eq!(
        codes,
        [
            (BatchLineState::Issued, ""),
            (refused, "device_exists"),
            (refused, "identity_mismatch"),
            (refused, "csr_malformed"),
            (refused, "device_exists"),
            (BatchLineState::Issued, ""),
            (BatchLineState::Registered, ""),
            (refused, "invalid"),
            (refused, "invalid"),
        ]
    );
    let list = w.fleet.devices().list(&operator, &DeviceQuery { q: "tag:eu".into(), ..DeviceQuery::default() }).await.unwrap();
    let states: Vec<_> = list.items.iter().map(|d| (d.device_id.as_str().to_owned(), d.state)).collect();
    assert_eq!(
        states,
        [("gw-1".into(), DeviceState::Active), ("gw-4".into(), DeviceState::Active), ("gw-5".into(), DeviceState::Preregistered)]
    );

    // The certificates are in the archive, whole, and believed.
    let archive = w.fleet.devices().batch_result(&operator, &batch.id).await.unwrap();
    let files: Vec<(String, Vec<u8>)> = entries(&archive).unwrap().into_iter().map(|e| (e.label, e.said.unwrap().csr)).collect();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["certs/gw-1.pem", "certs/gw-4.pem", "manifest.csv", "chain.pem", "refused.csv"]);
    let der = <rustls_pki_types::CertificateDer<'_> as rustls_pki_types::pem::PemObject>::from_pem_slice(&files[0].1).unwrap();
    assert_eq!(w.fleet.pki().trust().check(&der).unwrap().device_id.as_str(), "gw-1");
    let manifest = String::from_utf8(files[2].1.clone()).unwrap();
    assert!(
        manifest.starts_with("\"device_id\",\"serial\",\"sha256\",\"not_after\"\r\n\"gw-1\",\"") && manifest.lines().count() == 4,
        "{manifest}"
    );
    assert!(String::from_utf8(files[4].1.clone()).unwrap().contains("\"line 2\""));

    // What was registered enrols with a token made for exactly it, and not with a shared one.
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap();
    for action in ["enrolment_batch.create", "enrolment_batch.done", "device.preregister"] {
        assert!(log.entries.items.iter().any(|e| e.action == action), "{action}");
    }
    w.enrol("gw-5", "gateway", csr("gw-5")).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_batch_leaves_nothing_and_a_stopped_one_what_it_made(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    let lines = (0..120).map(|i| format!("{{\"device_id\":\"p-{i}\"}}")).collect::<Vec<_>>().join("\n");
    assert!(matches!(send(&w, &viewer, lines.clone().into_bytes()).await, Err(Error::Access(_))));
    let flood = "{\"device_id\":\"x\"}\n".repeat(10_001);
    assert!(matches!(send(&w, &operator, flood.into_bytes()).await, Err(Error::Batch(Broken::TooMany))));
    assert!(w.fleet.devices().batches(&operator, None, None).await.unwrap().items.is_empty());

    let batch = send(&w, &operator, lines.into_bytes()).await.unwrap();
    assert!(w.fleet.devices().work_batches().await.unwrap());
    // One line a call; another process goes on where the last commit was.
    assert_eq!(w.fleet.devices().batch(&operator, &batch.id).await.unwrap().registered, 1);
    assert!(matches!(w.fleet.devices().cancel_batch(&viewer, &batch.id).await, Err(Error::Access(_))));
    w.fleet.devices().cancel_batch(&operator, &batch.id).await.unwrap();
    assert!(matches!(w.fleet.devices().cancel_batch(&operator, &batch.id).await, Err(Error::BatchEnded(_))));
    work(&w).await;
    let after = w.fleet.devices().batch(&operator, &batch.id).await.unwrap();
    assert_eq!((after.state, after.registered), (BatchState::Cancelled, 1));
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..operator.clone() };
    assert!(matches!(w.fleet.devices().batch(&elsewhere, &batch.id).await, Err(Error::NotFound(_))));

    w.clock.advance(31 * 24 * 3_600_000);
    w.fleet.devices().sweep_batches().await.unwrap();
    assert!(w.fleet.devices().batches(&operator, None, None).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_falls_silent_is_cut_off() {
    let begun = tokio::time::Instant::now();
    let body = stream::iter([Ok(Bytes::from_static(b"csr"))]).chain(stream::pending());
    let mut pieces = while_it_speaks(body);
    assert_eq!(pieces.next().await.unwrap().unwrap(), "csr");
    let silence = pieces.next().await.unwrap().unwrap_err();
    assert!(matches!(Broken::from(silence), Broken::Cut));
    assert!(pieces.next().await.is_none(), "nobody waits for more");
    assert!((SILENCE..2 * SILENCE).contains(&begun.elapsed()));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_14_what_a_batch_tries_is_counted_and_in_the_books_as_with_a_token(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let requests = include_str!("../../pki/testdata/requests.txt");
    let authority = requests.split("== ").find_map(|block| block.strip_prefix("ca-true csr_forbidden_extension\n")).unwrap();
    let line = |id: &str, csr: &str| serde_json::json!({ "device_id": id, "csr": csr }).to_string();
    let mut lines = vec![line("gw-7", &csr_by(&key, "gw-7")), line("gw-8", &csr_by(&key, "gw-8")), line("gw-9", "")];
    lines.extend((0..20).map(|_| line("gw-1", authority)));
    let batch = send(&w, &operator, lines.join("\n").into_bytes()).await.unwrap();
    work(&w).await;
    let counted: Vec<_> = w.fleet.devices().take_batch_outcomes().into_iter().collect();
    assert_eq!(counted, [("csr_forbidden_extension".to_owned(), 20), ("issued".to_owned(), 1), ("key_in_use".to_owned(), 1)]);
    assert!(w.fleet.devices().take_batch_outcomes().is_empty(), "taken once");

    w.fleet.attacks().write_down().await.unwrap();
    let booked = async |action: &str| {
        let found = w.fleet.access().search_audit(&Actor::system(w.org.clone()), action, None).await.unwrap();
        let of_it = found.entries.items.into_iter().filter(|entry| entry.action == action);
        of_it.map(|entry| (entry.object, serde_json::from_str::<serde_json::Value>(&entry.detail).unwrap())).collect::<Vec<_>>()
    };
    let [(object, detail)] = booked("certificate.refuse").await.try_into().unwrap();
    assert_eq!(object, batch.id.as_str());
    assert_eq!((detail["key_of"].as_str(), detail["device_id"].as_str()), (Some("gw-7"), Some("gw-8")), "{detail}");
    assert_eq!(detail["batch"].as_str(), Some("lot 17"));
    let refused = booked("enrolment_batch.refuse").await;
    assert_eq!(refused.len(), 10, "so many in a minute");
    assert!(refused.iter().any(|(_, detail)| detail["code"] == "csr_forbidden_extension"), "{refused:?}");

    // The books count as people do who look into the file.
    let text = format!("device_id,device_type,csr\n\ngw-1,gateway,\"{authority}\"\n");
    w.clock.advance(120_000);
    let batch = send(&w, &operator, text.into_bytes()).await.unwrap();
    work(&w).await;
    let refused = booked("enrolment_batch.refuse").await;
    let (_, detail) = refused.iter().find(|(object, _)| object == batch.id.as_str()).unwrap();
    assert_eq!(detail["line"], 3, "the empty line counts: {detail}");
}
