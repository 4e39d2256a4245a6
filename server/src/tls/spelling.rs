//! The spelling of one header's name. `Title-Case` makes `Www-Authenticate` of what every document calls `WWW-Authenticate` (RFC 9110 §11.6.1), and
//! clients that compare header names octet by octet, such as libest, then see no challenge. Owns how hyper is told; refuses to touch what it writes.

use futures::FutureExt as _;
use http::{Extensions, Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{cell::Cell, convert::Infallible, future::ready, sync::LazyLock};

/// The name as it is meant, as often as an answer may have it.
const MEANT: &[u8] = b"GET / HTTP/1.1\r\nWWW-Authenticate: a\r\nWWW-Authenticate: b\r\n\r\n";

/// What an answer over HTTP/1.1 is extended with so that up to two challenges in it are spelled as they are meant. hyper follows names' spelling in a type
/// that it keeps to itself, and makes of a message that it reads ([`http1::Builder::preserve_header_case`]): so it reads one.
pub(super) static CHALLENGES: LazyLock<Extensions> = LazyLock::new(|| {
    let read = Cell::new(Extensions::new());
    let service = service_fn(|request: Request<Incoming>| {
        read.set(request.into_parts().0.extensions);
        ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let mut reader = http1::Builder::new();
    reader.preserve_header_case(true);
    // All of it is there already, so nothing is waited for.
    let _ = reader.serve_connection(TokioIo::new(tokio::io::join(MEANT, tokio::io::sink())), service).now_or_never();
    read.into_inner()
});

#[cfg(test)]
mod tests {
    use super::{
        super::{Http, Stop, speak},
        *,
    };
    use axum::{Router, body::Body, response::AppendHeaders, routing::get};
    use http::{
        StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    };
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::sync::CancellationToken;

    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const BODY: &str = "\r\nWww-Authenticate: a body says what it likes\r\n";

    /// An answer with two challenges, through a pipe that takes so many octets at a time.
    async fn answered(takes: usize, title_case: bool) -> String {
        let challenges = async || {
            let headers = [(WWW_AUTHENTICATE, "Basic realm=\"est\""), (WWW_AUTHENTICATE, "Bearer"), (RETRY_AFTER, "1")];
            (StatusCode::UNAUTHORIZED, AppendHeaders(headers), BODY)
        };
        let routes = Router::new().route("/", get(challenges));
        let (near, mut far) = tokio::io::duplex(takes);
        let ask = async move {
            far.write_all(ASKED).await.unwrap();
            let mut read = String::new();
            far.read_to_string(&mut read).await.unwrap();
            read
        };
        let (token, stop) = (CancellationToken::new(), Stop { soft: CancellationToken::new(), hard: CancellationToken::new() });
        let how = Http { h2: false, head: Duration::from_secs(20), title_case };
        let (served, read) = tokio::join!(speak(near, (routes, |_: &mut Request<Body>| {}), how, &token, &stop), ask);
        served.unwrap();
        read
    }

    #[tokio::test]
    async fn the_name_is_spelled_as_documents_do_in_heads_alone_however_little_is_taken_at_a_time() {
        for takes in [1, 7, 30, 4096] {
            let read = answered(takes, true).await;
            assert_eq!(read.matches("\r\nWWW-Authenticate: ").count(), 2, "{takes}: {read}");
            assert_eq!((read.matches("Www-Authenticate").count(), read.matches(BODY).count()), (1, 1), "{takes}: {read}");
            assert_eq!(read.matches("\r\nRetry-After: 1\r\n").count(), 1, "{takes}: {read}");
        }
    }

    #[tokio::test]
    async fn elsewhere_names_are_written_as_hyper_writes_them() {
        let read = answered(4096, false).await;
        assert_eq!((read.matches("\r\nwww-authenticate: ").count(), read.matches("WWW-").count()), (2, 0), "{read}");
    }
}
