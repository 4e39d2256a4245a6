//! The device's HTTP/1.1: a JSON question with an answer, and a body from a byte on.
//!
//! Owns one connection per request, limits and time-outs. Refuses to follow redirects and to know what is asked.

use crate::tls::{self, Endpoint};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use tokio_util::task::AbortOnDropHandle;

/// Most bytes of an answer that is not a download.
const ANSWER: usize = 1 << 20;
/// Most time until the head of an answer, and between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The server does not accept this device's certificate: revoked, suspended, expired or unknown. Asking again won't help.
    #[error("the server refused this device's certificate")]
    Refused,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("no answer for {} seconds", SILENCE.as_secs())]
    Silent,
    /// The server said no, with a reason where it gave one.
    #[error("the server answered {status}: {message}")]
    Answer {
        /// HTTP status.
        status: StatusCode,
        /// The fault's word for programs; empty where there was none.
        code: String,
        /// The fault's sentence.
        message: String,
        /// Seconds to wait before asking again, where it said so.
        retry_after: Option<u64>,
    },
    /// The answer is not what was agreed.
    #[error("the server's answer is not understood: {0}")]
    Unexpected(String),
}

impl Error {
    /// Whether asking again later may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Tls(tls::Error::Unreachable { .. } | tls::Error::Handshake { .. }) | Self::Broken(_) | Self::Silent => true,
            Self::Answer { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::ACCEPTED)
            }
            _ => false,
        }
    }

    fn broken(error: &hyper::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(e) = cause {
            if e.downcast_ref::<std::io::Error>().is_some_and(tls::refused) {
                return Self::Refused;
            }
            cause = e.source();
        }
        Self::Broken(error.to_string())
    }
}

/// Asks one server, as whoever the configuration says we are.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    endpoint: Endpoint,
}

impl Client {
    /// A client for the server at `https://host[:port]`.
    pub fn new(tls: Arc<ClientConfig>, url: &str) -> Result<Self, Error> {
        Ok(Self { tls, endpoint: url.parse()? })
    }

    /// Sends `body` as JSON and reads the answer as JSON. Any status but 200 and 201 is an error (202 too: [`Error::passing`]).
    pub async fn post<T: Serialize + Sync, R: DeserializeOwned>(&self, path: &str, bearer: Option<&str>, body: &T) -> Result<R, Error> {
        let body = serde_json::to_vec(body).map_err(|e| Error::Unexpected(e.to_string()))?;
        let mut request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let (response, _connection) = self.send(request, Bytes::from(body)).await?;
        let answer = Answer::read(response).await?;
        if !matches!(answer.status, StatusCode::OK | StatusCode::CREATED) {
            return Err(answer.into());
        }
        serde_json::from_slice(&answer.body).map_err(|e| Error::Unexpected(e.to_string()))
    }

    /// Asks for a JSON document.
    pub async fn ask<R: DeserializeOwned>(&self, path: &str) -> Result<R, Error> {
        let (response, _connection) = self.send(Request::builder().method(Method::GET).uri(path), Bytes::new()).await?;
        let answer = Answer::read(response).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into());
        }
        serde_json::from_slice(&answer.body).map_err(|e| Error::Unexpected(e.to_string()))
    }

    /// Asks for the resource from byte `from` on (RFC 9110 §14). The server may send all of it instead: see [`Download::from`].
    pub async fn get(&self, path: &str, from: u64) -> Result<Download, Error> {
        let mut request = Request::builder().method(Method::GET).uri(path);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let (response, connection) = self.send(request, Bytes::new()).await?;
        let from = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
                let first = range.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(|n| n.parse().ok());
                first.ok_or_else(|| Error::Unexpected(format!("Content-Range {range:?}")))?
            }
            _ => return Err(Answer::read(response).await?.into()),
        };
        Ok(Download { from, body: response.into_body(), _connection: connection })
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Error> {
        let stream = tls::connect(&self.tls, &self.endpoint).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| Error::broken(&e))?;
        // Its error reaches us through the request or the body as well.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { connection.await.unwrap_or_default() }));
        let request = request
            .header(header::HOST, self.endpoint.to_string())
            .header(header::USER_AGENT, crate::AGENT)
            .body(Full::new(body))
            .map_err(|e| Error::Unexpected(e.to_string()))?;
        match tokio::time::timeout(SILENCE, sender.send_request(request)).await {
            Ok(Ok(response)) => Ok((response, connection)),
            Ok(Err(e)) => Err(Error::broken(&e)),
            Err(_) => Err(Error::Silent),
        }
    }
}

/// The word for programs and the words for people of a refusal (RFC 9457, `application/problem+json`). The words are printed on terminals, and who
/// wrote them may be anybody.
pub(crate) fn problem(body: &[u8]) -> (String, String) {
    #[derive(serde::Deserialize)]
    struct Problem {
        code: String,
        detail: String,
    }
    let (code, words) = match serde_json::from_slice(body) {
        Ok(Problem { code, detail }) => (code, detail),
        Err(_) => (String::new(), String::from_utf8_lossy(body).into_owned()),
    };
    (code, words.chars().filter(|c| !c.is_control()).take(500).collect())
}

/// A whole answer that is not a download.
struct Answer {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Bytes,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Result<Self, Error> {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let body = tokio::time::timeout(SILENCE, Limited::new(response.into_body(), ANSWER).collect())
            .await
            .map_err(|_| Error::Silent)?
            .map_err(|e| Error::Broken(e.to_string()))?
            .to_bytes();
        Ok(Self { status, retry_after, body })
    }
}

impl From<Answer> for Error {
    fn from(Answer { status, retry_after, body }: Answer) -> Self {
        let (code, message) = problem(&body);
        Self::Answer { status, code, message, retry_after }
    }
}

/// A body on its way.
#[derive(Debug)]
pub struct Download {
    from: u64,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Download {
    /// The position of the first byte that comes; 0 where the server ignored the range.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The next piece; none at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await.map_err(|_| Error::Silent)?;
            match frame {
                None => return Ok(None),
                Some(Err(e)) => return Err(Error::broken(&e)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{Authority, Peer};

    #[tokio::test]
    async fn a_certificate_that_is_refused_is_known_as_such() {
        let (peer, _heard) = Peer::saying(vec![]).await;
        let stranger = peer.authority.client_config(&Authority::new("stranger"));
        let error = Client::new(stranger, &peer.url).unwrap().get("/", 0).await.unwrap_err();
        assert!(matches!(error, Error::Refused), "{error:?}");
        assert!(!error.passing());
    }

    #[tokio::test]
    async fn a_server_of_another_root_is_not_asked_twice() {
        let (peer, _heard) = Peer::saying(vec![]).await;
        let believing_another = Authority::new("another").client_config(&peer.authority);
        let error = Client::new(believing_another, &peer.url).unwrap().get("/", 0).await.unwrap_err();
        assert!(matches!(error, Error::Tls(tls::Error::Distrusted { .. })), "{error:?}");
        assert!(!error.passing());
    }

    #[tokio::test]
    async fn a_fault_keeps_its_words_and_an_endless_answer_ends() {
        let fault = r#"{"type":"urn:x","title":"Busy","status":503,"detail":"Later.","code":"queue_full"}"#;
        let head = format!("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n{fault}", fault.len());
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'1'; ANSWER + 1]].concat();
        let (peer, _heard) = Peer::saying(vec![head.into_bytes(), endless]).await;
        let ask = || async { peer.client().post::<_, u64>("/", None, &1).await.unwrap_err() };
        match ask().await {
            Error::Answer { status, code, message, retry_after } => {
                assert_eq!((status.as_u16(), code.as_str(), message.as_str(), retry_after), (503, "queue_full", "Later.", Some(7)));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(ask().await, Error::Broken(_)));
    }
}
