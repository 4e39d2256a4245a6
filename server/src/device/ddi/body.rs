//! Pure: what clients send, read with patience. They leave fields out, send numbers as texts and texts as numbers, and put raw control characters
//! into strings. What is needed must be there; everything else is ignored.

use crate::http::fault::Problem;
use fleet::rollouts::confirming::Decision;
use serde_json::Value;
use std::collections::BTreeMap;
use wire::{FaultKind, device::Telling};

/// Most lines of a feedback that are kept: the last ones, because there is the reason.
const MOST_LINES: usize = 100;

/// What a device does, in hawkBit's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Execution {
    Closed,
    Proceeding,
    Canceled,
    Scheduled,
    Rejected,
    Resumed,
    Downloaded,
    Download,
}

/// What a device says of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Feedback {
    pub execution: Execution,
    /// Whether it says that it failed. A success and nothing are told apart by nobody.
    pub failed: bool,
    /// Percent.
    pub progress: Option<u8>,
    /// The device maker's own number.
    pub code: Option<i64>,
    /// Lines for people, the oldest first.
    pub details: Vec<String>,
}

impl Feedback {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let body = json(body).or_else(|error| torn(body).ok_or(error))?;
        let status = &body["status"];
        let result = &status["result"];
        let execution = match status["execution"].as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("closed") => Execution::Closed,
            Some("proceeding" | "none") => Execution::Proceeding,
            Some("canceled") => Execution::Canceled,
            Some("scheduled") => Execution::Scheduled,
            Some("rejected") => Execution::Rejected,
            Some("resumed") => Execution::Resumed,
            Some("downloaded") => Execution::Downloaded,
            Some("download") => Execution::Download,
            _ => {
                return Err(wrong(
                    "status.execution is closed, proceeding, canceled, scheduled, rejected, resumed, downloaded or download.",
                ));
            }
        };
        let failed = match result["finished"].as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("failure") => true,
            Some("success" | "none") => false,
            None if result["finished"].is_null() => false,
            _ => return Err(wrong("status.result.finished is success, failure or none.")),
        };
        let progress = match (number(&result["progress"]["cnt"]), number(&result["progress"]["of"])) {
            (Some(count), Some(of)) if of > 0 && (0..=of).contains(&count) => u8::try_from(i128::from(count) * 100 / i128::from(of)).ok(),
            _ => None,
        };
        Ok(Self { execution, failed, progress, code: number(&status["code"]), details: lines(&status["details"]) })
    }
}

/// What a device says of itself.
pub(super) fn attributes(body: &[u8]) -> Result<(Telling, BTreeMap<String, String>), Problem> {
    let body = json(body)?;
    let telling = match &body["mode"] {
        Value::Null => Telling::Merge,
        mode => {
            let word = mode.as_str().unwrap_or_default().to_ascii_lowercase();
            word.parse().map_err(|_| wrong("mode is merge, replace or remove."))?
        }
    };
    let data = body["data"].as_object().ok_or_else(|| wrong("data is an object of attributes."))?;
    // A value that is taken away needs none.
    let said = data.iter().filter_map(|(name, value)| Some((name.clone(), text(value).or_else(|| value.is_null().then(String::new))?)));
    Ok((telling, said.collect()))
}

/// The name and the version of what a device says that it runs.
pub(super) fn assigned(body: &[u8]) -> Result<(String, String), Problem> {
    let body = json(body)?;
    let word = |field: &str| text(&body[field]).filter(|word| !word.is_empty());
    word("name").zip(word("version")).ok_or_else(|| wrong("name and version are those of what the device runs."))
}

/// What somebody at the device has decided, and lines for people, the oldest first.
pub(super) fn decision(body: &[u8]) -> Result<(Decision, Vec<String>), Problem> {
    let body = json(body)?;
    let decision = match body["confirmation"].as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("confirmed") => Decision::Confirmed,
        Some("denied") => Decision::Denied,
        _ => return Err(wrong("confirmation is confirmed or denied.")),
    };
    Ok((decision, lines(&body["details"])))
}

/// Who answers once for whatever comes, and why; both may be left out, and the body with them.
pub(super) fn initiator(body: &[u8]) -> Result<(String, String), Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok((String::new(), String::new()));
    }
    let body = json(body)?;
    Ok((text(&body["initiator"]).unwrap_or_default(), text(&body["remark"]).unwrap_or_default()))
}

/// Lines for people; the last ones of many.
fn lines(details: &Value) -> Vec<String> {
    let mut lines: Vec<String> = match details {
        Value::Array(lines) => lines.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    };
    lines.retain(|line| !line.trim().is_empty());
    lines.drain(..lines.len().saturating_sub(MOST_LINES));
    lines
}

/// SWUpdate ends lines of its log inside strings, which JSON forbids; outside of strings white space means nothing.
fn printable(body: &[u8]) -> String {
    let printable: Vec<u8> = body.iter().map(|byte| if *byte < 0x20 { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&printable).into_owned()
}

fn json(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_str(&printable(body)).map_err(|e| wrong(&format!("The body is no JSON: {e}.")))
}

/// Reads feedback whose details are no JSON: SWUpdate writes its log between quotes as it is, with quotes and backslashes of its own. What stands
/// before them says how it went; the rest is text, one line where a quote, a comma and a quote stand side by side.
fn torn(body: &[u8]) -> Option<Value> {
    const DETAILS: &str = "\"details\"";
    let body = printable(body);
    let (head, rest) = body.split_once(DETAILS)?;
    let rest = rest.trim_start_matches([' ', ':']).trim_start_matches([' ', '[']);
    let rest = rest.trim_end_matches([' ', '}']);
    let rest = rest.strip_suffix(']').unwrap_or(rest).trim_end();
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let lines: Vec<&str> = rest.strip_suffix('"').unwrap_or(rest).split("\",\"").collect();
    let open = depth(head)?;
    let whole = format!("{head}{DETAILS}:{}{}", Value::from(lines), "}".repeat(open));
    serde_json::from_str(&whole).ok()
}

/// How many objects are open at the end of this piece of JSON; none when it ends inside a string.
fn depth(json: &str) -> Option<usize> {
    let (mut open, mut inside, mut escaped) = (0_usize, false, false);
    for c in json.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            '{' if !inside => open += 1,
            '}' if !inside => open = open.checked_sub(1)?,
            _ => {}
        }
    }
    (!inside).then_some(open)
}

/// A scalar as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn wrong(message: &str) -> Problem {
    Problem::new(FaultKind::Invalid, "bad_feedback", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Feedback, u16> {
        Feedback::read(body.as_bytes()).map_err(|problem| crate::http::fault::status(problem.0.kind).as_u16())
    }

    #[test]
    fn what_real_clients_send() {
        let swupdate = read(
            r#"{"id":4711,"time":"20261122T043032","status":{"result":{"progress":{"cnt":0,"of":1},"finished":"none"},"execution":"proceeding","details":["Installing Update Chunk Artifacts."]}}"#,
        );
        let expected = Feedback {
            execution: Execution::Proceeding,
            failed: false,
            progress: Some(0),
            code: None,
            details: vec!["Installing Update Chunk Artifacts.".into()],
        };
        assert_eq!(swupdate, Ok(expected));
        let rauc = read(
            r#"{"id":"4711","time":"20261122T043032","status":{"result":{"finished":"success"},"execution":"closed","details":["Software bundle installed successfully."]}}"#,
        )
        .unwrap();
        assert_eq!((rauc.execution, rauc.failed, rauc.details.len()), (Execution::Closed, false, 1));
        let zephyr = read(r#"{"status":{"execution":"closed","result":{"finished":"failure"}}}"#).unwrap();
        assert_eq!((zephyr.execution, zephyr.failed, zephyr.details.len()), (Execution::Closed, true, 0));
    }

    #[test]
    fn a_log_with_raw_ends_of_lines_is_read() {
        let failed = read("{\"id\":\"\",\"status\":{\"result\":{\"finished\":\"failure\",\"progress\":null},\"execution\":\"closed\",\n\"details\":[\"one\ntwo\tthree\u{1}\",\"\",7]}}").unwrap();
        assert_eq!(failed.details, ["one two three ", "7"]);
        let torn = b"{\"status\":{\"execution\":\"closed\",\"result\":{},\"details\":[\"\xff\xfe\"]}}";
        assert!(!Feedback::read(torn).unwrap().failed);
    }

    #[test]
    fn a_log_with_raw_quotes_is_read() {
        let torn = |details: &str| {
            let body = format!(
                "{{\"id\": 4711, \"status\": {{ \"result\": {{ \"progress\": {{ \"cnt\" : 0, \"of\" : 1 }}, \"finished\": \"failure\" }}, \
                 \"execution\": \"closed\", \"details\" : [ {details} ] }} }}"
            );
            let read = read(&body).unwrap();
            assert_eq!((read.execution, read.failed, read.progress), (Execution::Closed, true, Some(0)), "{details}");
            read.details
        };
        assert_eq!(
            torn("\"x\",\"[string \"x\"]:1: C:\\windows {\n\",\"the \"end\"\""),
            ["x", "[string \"x\"]:1: C:\\windows { ", "the \"end\""]
        );
        assert_eq!(torn("\"Lua: \"a\" said \"details\": [\"x\"]\""), ["Lua: \"a\" said \"details\": [\"x\"]"]);
        assert_eq!(torn("\"half of it"), ["half of it"]);
        assert_eq!(read("{\"status\":{\"details\":[\"a\"b\"],\"execution\":\"closed\"}}"), Err(400), "what follows is text too");
        assert_eq!(read("{\"note\":\"\"details\":[\"a\"b\"]}"), Err(400));
    }

    #[test]
    fn the_last_lines_are_kept() {
        let lines: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        let body = serde_json::json!({ "status": { "execution": "proceeding", "details": lines } });
        let kept = read(&body.to_string()).unwrap().details;
        assert_eq!((kept.len(), kept[0].as_str(), kept[99].as_str()), (100, "400", "499"));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"status":"closed"}"#,
            r#"{"status":{"execution":"done"}}"#,
            r#"{"status":{"execution":"closed","result":{"finished":"maybe"}}}"#,
        ] {
            assert_eq!(read(body), Err(400), "{body}");
        }
    }

    #[test]
    fn attributes_come_in_three_modes() {
        let said = |body: &str| attributes(body.as_bytes()).map_err(|problem| problem.0.code);
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let swupdate = r#"{"id":"","time":"20261122T042704","status":{"result":{"finished":"success"},"execution":"closed","details":[""]},"data":{"hw_revision":"1.0"}}"#;
        assert_eq!(said(swupdate), Ok((Telling::Merge, one("hw_revision", "1.0"))));
        assert_eq!(said(r#"{"mode":null,"data":{"n":1}}"#), Ok((Telling::Merge, one("n", "1"))));
        assert_eq!(said(r#"{"mode":"replace","data":{}}"#), Ok((Telling::Replace, BTreeMap::new())));
        assert_eq!(said(r#"{"mode":"remove","data":{"n":null,"deep":{}}}"#), Ok((Telling::Remove, one("n", ""))));
        for wrong in [r#"{"mode":"x","data":{}}"#, r#"{"mode":1,"data":{}}"#, "{}", r#"{"data":[]}"#] {
            assert_eq!(said(wrong), Err("bad_feedback".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_decision_is_read_with_patience() {
        let read = |body: &str| decision(body.as_bytes()).map_err(|problem| problem.0.code);
        let crate_says = r#"{"confirmation":"confirmed","code":1,"details":[]}"#;
        assert_eq!(read(crate_says), Ok((Decision::Confirmed, Vec::new())));
        let denied = r#"{"confirmation":"DENIED","code":-1,"details":["not now",""]}"#;
        assert_eq!(read(denied), Ok((Decision::Denied, vec!["not now".to_owned()])));
        for wrong in ["", "{}", r#"{"confirmation":"later"}"#, r#"{"confirmation":1}"#] {
            assert_eq!(read(wrong), Err("bad_feedback".to_owned()), "{wrong}");
        }
        let by = |body: &str| initiator(body.as_bytes()).map_err(|problem| problem.0.code);
        assert_eq!(by(" "), Ok((String::new(), String::new())));
        assert_eq!(by(r#"{"initiator":"ann","remark":null}"#), Ok(("ann".to_owned(), String::new())));
        assert!(by("{").is_err());
    }

    proptest! {
        #[test]
        fn what_is_no_feedback_is_refused_as_that(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for refused in [Feedback::read(&body).err(), attributes(&body).err(), decision(&body).err()].into_iter().flatten() {
                prop_assert_eq!((refused.0.kind, refused.0.code.as_str()), (FaultKind::Invalid, "bad_feedback"));
            }
        }

        #[test]
        fn what_is_read_of_a_feedback_is_within_bounds(
            count in any::<i64>(),
            of in any::<i64>(),
            details in proptest::collection::vec(".{0,10}", 0..150),
        ) {
            let progress = serde_json::json!({ "cnt": count, "of": of });
            let status = serde_json::json!({ "execution": "proceeding", "result": { "progress": progress }, "details": details });
            let read = read(&serde_json::json!({ "status": status }).to_string());
            let read = read.map_err(|status| TestCaseError::fail(format!("refused with {status}")))?;
            prop_assert!(read.progress.is_none_or(|percent| percent <= 100));
            prop_assert!(read.details.len() <= MOST_LINES && read.details.iter().all(|line| !line.trim().is_empty()));
        }
    }
}
