//! Pure: a frame of the live socket, taken out of its JSON by hand. The derived reader of tagged enums buffers every frame in a second tree and
//! brings a good deal of code for it; a test holds the two together.

use crate::api::decode::{parse, take};
use serde_json::{Map, Value};
use wire::live::{Data, Tell};

/// Reads a frame; none when it is from a server that is newer than this page.
pub fn read(text: &str) -> Option<Tell> {
    let Value::Object(mut frame) = parse(text)? else { return None };
    let Value::String(kind) = frame.remove("type")? else { return None };
    Some(match kind.as_str() {
        "hello" => Tell::Hello { epoch: field(&mut frame, "epoch")?, time: field(&mut frame, "time")? },
        "snapshot" => {
            Tell::Snapshot { topic: field(&mut frame, "topic")?, seq: field(&mut frame, "seq")?, data: data(frame.remove("data")?)? }
        }
        "delta" => Tell::Delta { topic: field(&mut frame, "topic")?, seq: field(&mut frame, "seq")?, data: data(frame.remove("data")?)? },
        "lagged" => Tell::Lagged { topic: field(&mut frame, "topic")?, skipped: field(&mut frame, "skipped")? },
        "refused" => Tell::Refused { topic: field(&mut frame, "topic")? },
        "beat" => Tell::Beat { time: field(&mut frame, "time")? },
        _ => return None,
    })
}

fn field<T: serde::de::DeserializeOwned>(frame: &mut Map<String, Value>, name: &str) -> Option<T> {
    take(frame.remove(name)?)
}

fn data(value: Value) -> Option<Data> {
    let kind = value.get("kind")?.as_str()?.to_owned();
    Some(match kind.as_str() {
        "changed" => Data::Changed,
        "counts" => Data::Counts(take(value)?),
        "device" => Data::Device(take(value)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        live::{DeviceLive, MetricPoints, Topic},
        overview::FleetCounts,
    };

    #[test]
    fn every_frame_is_read_as_it_was_written() {
        let device: Topic = "device/gw-1".parse().unwrap();
        let points = vec![MetricPoints { metric: "cpu".into(), points: vec![(1_795_341_432_000, 0.5), (2, 3.0)] }];
        let live = DeviceLive { online: Some(false), points, at: Timestamp(i64::MAX) };
        for frame in [
            Tell::Hello { epoch: u64::MAX, time: Timestamp(-1) },
            Tell::Snapshot {
                topic: Topic::Fleet,
                seq: 1,
                data: Data::Counts(FleetCounts { devices: 3, online: 2, ..FleetCounts::default() }),
            },
            Tell::Snapshot { topic: Topic::Rollouts, seq: 0, data: Data::Changed },
            Tell::Delta { topic: device.clone(), seq: u64::MAX, data: Data::Device(live) },
            Tell::Delta { topic: device.clone(), seq: 3, data: Data::Device(DeviceLive::default()) },
            Tell::Lagged { topic: device.clone(), skipped: 7 },
            Tell::Refused { topic: device },
            Tell::Beat { time: Timestamp(5) },
        ] {
            let text = serde_json::to_string(&frame).unwrap();
            assert_eq!(read(&text).as_ref(), Some(&frame), "{text}");
        }
        for text in ["", "null", "{}", r#"{"type":"song"}"#, r#"{"type":"beat"}"#, r#"{"type":"refused","topic":"nowhere"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
