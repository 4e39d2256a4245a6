//! Stored content as an answer (RFC 9110 §13 and §14): its tag, which bytes of it are asked for, and the head of the answer. Refuses to know who asks, and how
//! fast they are sent it.

use super::{
    fault::Problem,
    range::{self, Selected},
    tags,
};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::ops::Range;
use wire::FaultKind;

/// What is answered.
pub enum Answered {
    /// All there is to say: nothing of the content follows.
    Done(Response),
    /// These bytes of the content follow.
    Bytes {
        /// 200, or 206 for a part.
        status: StatusCode,
        /// The head.
        head: HeaderMap,
        /// Which bytes; within the content.
        part: Range<u64>,
    },
}

/// The answer to a `GET` or `HEAD` with these headers for content of `size` bytes, whose strong entity tag is `etag` (with its quotes). A `HEAD` is of all of it:
/// `Range` is defined for `GET` alone (§14.2).
pub fn answered(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Answered {
    // In the order of §13.2.2.
    if tags::unwanted(headers, etag) {
        let problem = Problem::new(FaultKind::Conflict, "other_content", "The file has another entity tag than If-Match names.");
        return Answered::Done(problem.under(StatusCode::PRECONDITION_FAILED));
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let range = text(header::RANGE).filter(|_| *method == Method::GET);
    let selected = range::select(range, text(header::IF_RANGE), etag, size);
    let mut head = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    head.insert(header::ETAG, value(etag));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-transform"));
    if tags::held(headers, etag) {
        return Answered::Done((StatusCode::NOT_MODIFIED, head).into_response());
    }
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (status, part) = match selected {
        Selected::Whole => (StatusCode::OK, 0..size),
        Selected::Part(part) => {
            head.insert(header::CONTENT_RANGE, value(&range::content_range(&part, size)));
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Selected::Unsatisfiable => {
            head.insert(header::CONTENT_RANGE, value(&range::unsatisfied_range(size)));
            return Answered::Done((StatusCode::RANGE_NOT_SATISFIABLE, head).into_response());
        }
    };
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    Answered::Bytes { status, head, part }
}

/// The value of `Content-Disposition` that has a browser save a file under this name (RFC 6266 §4, RFC 8187 §3.2).
pub fn saved_as(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-' | ' ') { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    if ascii == name {
        return format!("attachment; filename=\"{name}\"");
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", wire::percent::encoded(name, b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_for_get_alone() {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=2-4"))]);
        for (method, expected) in [(Method::GET, (206, 2..5, "3", Some("bytes 2-4/10"))), (Method::HEAD, (200, 0..10, "10", None))] {
            let Answered::Bytes { status, head, part } = answered(&method, &headers, "\"a\"", 10) else { panic!("{method}") };
            let said = |name: header::HeaderName| head.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((status.as_u16(), part, said(header::CONTENT_LENGTH).unwrap(), said(header::CONTENT_RANGE)), expected, "{method}");
            assert_eq!(said(header::ACCEPT_RANGES), Some("bytes"), "{method}");
        }
        let past = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=10-"))]);
        assert!(matches!(answered(&Method::HEAD, &past, "\"a\"", 10), Answered::Bytes { status: StatusCode::OK, .. }));
    }

    #[test]
    fn names_are_saved_as_they_are_and_never_end_the_header() {
        assert_eq!(saved_as("fw-1.2.0 b.swu"), "attachment; filename=\"fw-1.2.0 b.swu\"");
        assert_eq!(saved_as("a\"b;é.bin"), "attachment; filename=\"a_b__.bin\"; filename*=UTF-8''a%22b%3B%C3%A9.bin");
    }
}
