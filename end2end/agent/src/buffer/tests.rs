//! The buffer against a server that keeps what it is sent, with crashes and cuts between any two steps.

use super::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, fs};

fn sample(id: u32) -> Vec<Sample> {
    vec![Sample { m: "id".into(), t: 0, v: f64::from(id) }]
}

fn names() -> impl FnMut() -> String {
    let mut n = 0;
    move || {
        n += 1;
        format!("stream-{n}")
    }
}

/// What the server side of `wire::device` promises: numbers without gaps, each stored once.
#[derive(Default)]
struct Server {
    held: BTreeMap<String, u64>,
    values: Vec<u32>,
}

impl Server {
    fn take(&mut self, stream: &str, frame: &Samples) {
        let held = self.held.entry(stream.to_owned()).or_default();
        if frame.seq == *held + 1 {
            *held += 1;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the test's own small ids")]
            self.values.extend(frame.samples.iter().map(|s| s.v as u32));
        } else {
            assert!(frame.seq <= *held, "a gap: {} after {held} in {stream}", frame.seq);
        }
    }

    fn held(&self, stream: &str) -> u64 {
        self.held.get(stream).copied().unwrap_or(0)
    }
}

/// Connects and sends everything there is, with every acknowledgement arriving.
fn drain(buffer: &mut Buffer, server: &mut Server, mut name: impl FnMut() -> String) {
    for _ in 0..4 {
        let stream = buffer.stream().to_owned();
        buffer.welcome(server.held(&stream)).unwrap();
        loop {
            match buffer.step().unwrap() {
                Step::Send(frame) => {
                    server.take(&stream, &frame);
                    buffer.ack(server.held(&stream)).unwrap();
                }
                Step::Idle => return,
                Step::Turn => {
                    assert_eq!(buffer.in_flight(), 0);
                    buffer.turn(name()).unwrap();
                    break;
                }
            }
        }
    }
    panic!("it turns for ever");
}

fn last_file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "log")).collect();
    files.sort();
    files.pop().unwrap()
}

#[derive(Debug, Clone)]
enum Op {
    Append(u8),
    /// Connects, sends at most so many, hears of at most so many acknowledgements.
    Connect {
        send: u8,
        hear: u8,
    },
    /// `kill -9` in the middle of writing a record.
    Kill {
        torn: u8,
    },
    /// The power goes and takes the last bytes that were not synced.
    PowerCut {
        lost: u16,
    },
}

fn ops(power: bool) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1u8..20).prop_map(Op::Append),
        4 => (0u8..20, 0u8..20).prop_map(|(send, hear)| Op::Connect { send, hear }),
        1 => (0u8..80).prop_map(|torn| Op::Kill { torn }),
        u32::from(power) => (0u16..300).prop_map(|lost| Op::PowerCut { lost }),
    ];
    prop::collection::vec(op, 1..40)
}

/// Runs the story and returns what the server has at its end, and which values were measured since the last power cut.
fn run(ops: Vec<Op>) -> (Vec<u32>, std::ops::Range<u32>) {
    let dir = tempfile::tempdir().unwrap();
    let mut name = names();
    let mut server = Server::default();
    let mut buffer = Buffer::open(dir.path(), DEFAULT_BYTES, &mut name).unwrap();
    let (mut id, mut since) = (0, 0);
    for op in ops {
        match op {
            Op::Append(n) => {
                for _ in 0..n {
                    buffer.append(&sample(id)).unwrap();
                    id += 1;
                }
            }
            Op::Connect { send, hear } => {
                let stream = buffer.stream().to_owned();
                buffer.welcome(server.held(&stream)).unwrap();
                for i in 0..send {
                    match buffer.step().unwrap() {
                        Step::Send(frame) => server.take(&stream, &frame),
                        Step::Idle => break,
                        Step::Turn => {
                            if buffer.in_flight() == 0 {
                                buffer.turn(name()).unwrap();
                            }
                            break;
                        }
                    }
                    if i < hear {
                        buffer.ack(server.held(&stream)).unwrap();
                    }
                }
            }
            Op::Kill { torn } => {
                drop(buffer);
                let record = record::encode(1 << 40, &sample(id)).unwrap();
                let path = last_file(dir.path());
                let mut bytes = fs::read(&path).unwrap();
                bytes.extend_from_slice(&record[..usize::from(torn).min(record.len() - 1)]);
                fs::write(&path, bytes).unwrap();
                buffer = Buffer::open(dir.path(), DEFAULT_BYTES, &mut name).unwrap();
            }
            Op::PowerCut { lost } => {
                since = id;
                drop(buffer);
                let path = last_file(dir.path());
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len().saturating_sub(usize::from(lost))]).unwrap();
                buffer = Buffer::open(dir.path(), DEFAULT_BYTES, &mut name).unwrap();
            }
        }
    }
    drain(&mut buffer, &mut server, &mut name);
    assert_eq!(buffer.waiting(), 0);
    (server.values, since..id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives_once_and_in_order_whatever_is_killed_and_cut(ops in ops(false)) {
        let (values, measured) = run(ops);
        prop_assert_eq!(values, measured.collect::<Vec<_>>());
    }

    #[test]
    fn a_power_cut_loses_values_but_never_doubles_or_reorders_them(ops in ops(true)) {
        let (values, since) = run(ops);
        prop_assert!(values.is_sorted_by(|a, b| a < b), "{:?}", values);
        // Numbers that the lost records had are not taken for those of the new ones.
        prop_assert!(values.ends_with(&since.clone().collect::<Vec<_>>()), "{:?} without all of {:?}", values, since);
    }
}

#[test]
fn a_write_cut_at_any_byte_loses_that_record_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut buffer = Buffer::open(dir.path(), DEFAULT_BYTES, names()).unwrap();
    for id in 0..3 {
        buffer.append(&sample(id)).unwrap();
    }
    let whole = fs::read(last_file(dir.path())).unwrap();
    let record = whole.len() / 3;
    for cut in 2 * record..whole.len() {
        fs::write(last_file(dir.path()), &whole[..cut]).unwrap();
        let mut buffer = Buffer::open(dir.path(), DEFAULT_BYTES, names()).unwrap();
        let mut server = Server::default();
        drain(&mut buffer, &mut server, names());
        assert_eq!(server.values, [0, 1], "cut at {cut}");
    }
}

#[test]
fn a_full_buffer_gives_up_the_oldest_counts_them_and_stays_within_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut name = names();
    let mut buffer = Buffer::open(dir.path(), 1 << 16, &mut name).unwrap();
    let mut server = Server::default();
    let stream = buffer.stream().to_owned();
    for id in 0..5000 {
        buffer.append(&sample(id)).unwrap();
        if id == 10 {
            buffer.welcome(0).unwrap();
            let Step::Send(frame) = buffer.step().unwrap() else { panic!("there is one") };
            server.take(&stream, &frame);
        }
    }
    assert!(buffer.bytes() <= 1 << 16);
    assert!(buffer.dropped() > 0);
    drain(&mut buffer, &mut server, &mut name);
    // The one that was sent, then the newest ones without a hole among them.
    let kept = &server.values[1..];
    assert_eq!(server.values[0], 0);
    assert_eq!(*kept, (kept[0]..5000).collect::<Vec<_>>());
    assert_eq!(buffer.dropped(), u64::from(kept[0]));
    assert_ne!(buffer.stream(), stream);
}

#[test]
fn a_server_that_lost_its_samples_gets_what_is_left_under_a_new_stream() {
    let dir = tempfile::tempdir().unwrap();
    let mut name = names();
    let mut buffer = Buffer::open(dir.path(), 1 << 16, &mut name).unwrap();
    let mut server = Server::default();
    for id in 0..500 {
        buffer.append(&sample(id)).unwrap();
    }
    drain(&mut buffer, &mut server, &mut name);
    let mut restored = Server::default();
    for id in 500..520 {
        buffer.append(&sample(id)).unwrap();
    }
    drain(&mut buffer, &mut restored, &mut name);
    assert!(restored.values.ends_with(&(500..520).collect::<Vec<_>>()));
    assert!(restored.values.is_sorted_by(|a, b| a < b));
}

#[test]
fn the_disk_is_freed_as_acknowledgements_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut name = names();
    let mut buffer = Buffer::open(dir.path(), 1 << 16, &mut name).unwrap();
    let mut server = Server::default();
    for id in 0..2000 {
        buffer.append(&sample(id)).unwrap();
        if id % 7 == 0 {
            drain(&mut buffer, &mut server, &mut name);
        }
    }
    drain(&mut buffer, &mut server, &mut name);
    assert_eq!((buffer.dropped(), server.values.len()), (0, 2000));
    assert!(buffer.bytes() < 1 << 12, "{} bytes for nothing", buffer.bytes());
}
