//! Which request is being answered: one word for all that the books say of it (K-8). The face that took the request says it; whoever makes an
//! [`Actor`](crate::access::Actor) asks here, and hands it on. Refuses to know headers. Work that goes on behind the answer is nobody's request.

use std::future::Future;

tokio::task_local! {
    static REQUEST: String;
}

/// Most characters of a request's id that are taken from outside.
pub const LONGEST: usize = 64;

/// Whether words from outside may stand in the log and the books as a request's id.
#[must_use]
pub fn fit(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Answers a request under this id.
pub async fn within<F: Future>(id: String, answer: F) -> F::Output {
    REQUEST.scope(id, answer).await
}

/// The id of the request that is being answered; empty where none is.
#[must_use]
pub fn request() -> String {
    REQUEST.try_with(Clone::clone).unwrap_or_default()
}

/// From where something is asked for, and by which request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The address; empty where there is none.
    pub address: &'a str,
    /// The request's id; empty where nobody asked over HTTP.
    pub request: &'a str,
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, fit, request, within};

    #[tokio::test]
    async fn a_request_has_its_id_while_it_is_answered_and_nobody_elses() {
        assert_eq!(request(), "");
        let (one, two) = tokio::join!(within("one".into(), async { request() }), within("two".into(), async { request() }));
        assert_eq!((one.as_str(), two.as_str(), request().as_str()), ("one", "two", ""));
    }

    #[test]
    fn only_a_plain_word_from_outside_is_an_id() {
        for good in ["1", "018f-2c", "Trace_1.2", &"a".repeat(LONGEST)] {
            assert!(fit(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a\nb", "\"", "ä", &"a".repeat(LONGEST + 1)] {
            assert!(!fit(bad.as_bytes()), "{bad}");
        }
    }
}
