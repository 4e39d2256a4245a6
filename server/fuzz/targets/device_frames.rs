//! The reader of device frames (A-18): whatever text comes is refused or read within its bounds, and reads the same when it is written again. Also
//! what a device reads of ours.
//!
//! The reader is compiled in as the file it is: it is pure, and the package around it, with all pages of the console, would cost minutes.

#![no_main]

#[path = "../../src/device/frame.rs"]
mod frame;

use libfuzzer_sys::fuzz_target;
use wire::device::{Down, Samples, Up};

/// The fewest bytes of text that a sample takes.
const SMALLEST: usize = r#"{"m":"","t":0,"v":0}"#.len();

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok(read) = frame::read(text) {
        if let Some(left_out) = &read.left_out {
            assert!(left_out.samples > 0 && !left_out.code.is_empty() && left_out.message.ends_with('.'));
            assert!(matches!(read.up, Up::Samples(_)), "only samples are left out one by one");
        }
        if let Up::Samples(Samples { samples, .. }) = &read.up {
            assert!(samples.len() * SMALLEST <= text.len(), "more samples than there is text for");
            assert!(samples.iter().all(|sample| sample.v.is_finite()), "a value that is none");
        }
        let written = serde_json::to_string(&read.up).expect("what was read can be written");
        let again = frame::read(&written).expect("what we write we can read");
        assert_eq!(again.left_out, None);
        assert_same(&again.up, &read.up);
    }
    if let Ok(down) = serde_json::from_str::<Down>(text) {
        let written = serde_json::to_string(&down).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<Down>(&written).expect("what we write we can read"), down);
    }
});

/// Equal, but for the last bit of a value: the parser rounds decimal fractions to within one.
fn assert_same(again: &Up, first: &Up) {
    let (Up::Samples(a), Up::Samples(b)) = (again, first) else { return assert_eq!(again, first) };
    assert_eq!((a.seq, a.samples.len()), (b.seq, b.samples.len()));
    for (a, b) in a.samples.iter().zip(&b.samples) {
        assert_eq!((&a.m, a.t), (&b.m, b.t));
        assert!((a.v - b.v).abs() <= b.v.abs() * (4.0 * f64::EPSILON), "{} became {}", b.v, a.v);
    }
}
