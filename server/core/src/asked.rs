//! Which request is being answered: one word for all that the books say of it (K-8). The face that took the request says it; whoever makes an
//! [`Actor`](crate::access::Actor) asks here, and hands it on. Refuses to know headers. Work that goes on behind the answer is nobody's request.

use std::{cell::OnceCell, future::Future};

/// An id, made when it is first asked for.
struct Asked {
    id: OnceCell<String>,
    make: fn() -> String,
}

tokio::task_local! {
    static REQUEST: Asked;
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
    REQUEST.scope(Asked { id: OnceCell::from(id), make: String::new }, answer).await
}

/// The same where most requests leave nothing in the books: where none was sent, `make` makes one when the first word of this one goes there.
pub fn lazily<F: Future>(sent: Option<String>, make: fn() -> String, answer: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(Asked { id: sent.map(OnceCell::from).unwrap_or_default(), make }, answer)
}

/// The id of the request that is being answered; empty where none is.
#[must_use]
pub fn request() -> String {
    REQUEST.try_with(|asked| asked.id.get_or_init(asked.make).clone()).unwrap_or_default()
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
    use super::{LONGEST, fit, lazily, request, within};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_request_has_its_id_while_it_is_answered_and_nobody_elses() {
        assert_eq!(request(), "");
        let (one, two) = tokio::join!(within("one".into(), async { request() }), within("two".into(), async { request() }));
        assert_eq!((one.as_str(), two.as_str(), request().as_str()), ("one", "two", ""));
    }

    #[tokio::test]
    async fn an_id_is_made_when_it_is_first_asked_for_and_stays() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let make = || format!("made-{}", MADE.fetch_add(1, Ordering::Relaxed));
        lazily(None, make, async {}).await;
        assert_eq!(lazily(Some("sent".into()), make, async { request() }).await, "sent");
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        let told = lazily(None, make, async { (request(), request()) }).await;
        assert_eq!(told, ("made-0".to_owned(), "made-0".to_owned()));
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
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
