//! What an EST client gets: base64 in lines of 64 columns with the headers old stacks look for, and refusals as one line of text. The one table
//! of its status codes is [`status`] (E-15).

use crate::http::{fault, own_words::Said};
use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::{devices::PENDING, pki::est};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{Fault, FaultKind, pki::KeyType};
use zeroize::Zeroizing;

/// Deprecated and harmless; old clients look for it (E-12).
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";
/// Between the parts of an answer with a key; no base64 has a hyphen.
const BOUNDARY: &str = "fleetward-serverkeygen";

/// A success.
pub(super) enum Answer {
    /// One thing, of this media type.
    One(&'static str, Vec<u8>),
    /// A key that was made here, and the certificate for it (RFC 7030 §4.4.2).
    WithKey(Zeroizing<Vec<u8>>, Vec<u8>),
}

impl Answer {
    /// Certificates and nothing else.
    pub(super) fn certificates<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::One(CERTIFICATES, est::certs_only(all))
    }

    /// Only the issued certificate (RFC 7030 §4.2.3), from PEM.
    pub(super) fn certificate(pem: &str) -> Result<Self, Refusal> {
        Ok(Self::One(CERTIFICATES, certs_only(pem)?))
    }

    /// The issued certificate, from PEM, behind its key (PKCS#8 in DER).
    pub(super) fn with_key(pem: &str, key: Zeroizing<Vec<u8>>) -> Result<Self, Refusal> {
        Ok(Self::WithKey(key, certs_only(pem)?))
    }

    /// What a CSR should have where keys of these types are taken.
    pub(super) fn attributes(keys: &[KeyType]) -> Self {
        Self::One("application/csrattrs", est::csr_attributes(keys))
    }
}

fn certs_only(pem: &str) -> Result<Vec<u8>, Refusal> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
        tracing::error!(%error, "an issued certificate can't be read back");
        Fault::new(FaultKind::Internal, "internal", "Something failed on the server.")
    })?;
    Ok(est::certs_only([der.as_ref()]))
}

/// Key and certificate as `multipart/mixed` (RFC 2046 §5.1). Old clients ask for the transfer encoding of each part, and for exactly this type of the
/// second one (E-12). The text is wiped once it is sent.
fn parts(key: &[u8], certificates: &[u8]) -> Bytes {
    let (key, certificates) = (Zeroizing::new(est::encode(key)), est::encode(certificates));
    // With room for all of it nothing is moved, and no copy of the key stays behind.
    let mut text = Zeroizing::new(String::with_capacity(key.len() + certificates.len() + 512));
    for (media, body) in [("application/pkcs8", key.as_str()), (CERTIFICATES, certificates.as_str())] {
        for piece in ["--", BOUNDARY, "\r\nContent-Type: ", media, "\r\nContent-Transfer-Encoding: base64\r\n\r\n", body, "\r\n"] {
            text.push_str(piece);
        }
    }
    for piece in ["--", BOUNDARY, "--\r\n"] {
        text.push_str(piece);
    }
    Bytes::from_owner(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::One(media, der) => {
                let headers = [(header::CONTENT_TYPE, media), (TRANSFER_ENCODING, "base64"), (header::CACHE_CONTROL, "no-store")];
                (headers, est::encode(&der)).into_response()
            }
            Self::WithKey(key, certificates) => {
                let media = format!("multipart/mixed; boundary={BOUNDARY}");
                let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store".to_owned())];
                (headers, parts(&key, &certificates)).into_response()
            }
        }
    }
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum Refusal {
    /// As the core or this face says.
    Fault(Fault),
    /// Another method than the only one here.
    Method(Method),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<fleet::devices::Error> for Refusal {
    fn from(error: fleet::devices::Error) -> Self {
        Self::Fault(error.fault())
    }
}

impl From<fleet::pki::Error> for Refusal {
    fn from(error: fleet::pki::Error) -> Self {
        Self::Fault(error.fault())
    }
}

impl Refusal {
    /// In a word, for counters.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Fault(fault) => &fault.code,
            Self::Method(_) => "method",
        }
    }
}

/// Device stacks know few codes, so what has no code of its own in EST is a plain 400 or 503.
const fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Conflict | FaultKind::Gone => StatusCode::BAD_REQUEST,
        FaultKind::NoSpace => StatusCode::SERVICE_UNAVAILABLE,
        other => fault::status(other),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message, retry_after, allow) = match self {
            // No refusal: the client sends the same request again after a while (E-15).
            Self::Fault(Fault { code, message, retry_after, .. }) if code == PENDING => (StatusCode::ACCEPTED, message, retry_after, None),
            Self::Fault(Fault { kind, message, retry_after, .. }) => (status(kind), message, retry_after, None),
            Self::Method(allowed) => (StatusCode::METHOD_NOT_ALLOWED, format!("Use {allowed} here."), None, Some(allowed)),
        };
        let line = format!("{}\n", message.replace(['\r', '\n'], " "));
        let mut response = (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response();
        response.extensions_mut().insert(Said);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"est\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allowed) = allow {
            // What may be read may be asked about (RFC 9110 §9.3.2).
            let allowed = if allowed == Method::GET { "GET, HEAD" } else { "POST" };
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as clients meet it.
    #[test]
    fn every_fault_has_a_code_that_est_knows() {
        use FaultKind as K;
        let kinds = [
            (K::Invalid, 400),
            (K::Unauthenticated, 401),
            (K::Forbidden, 403),
            (K::NotFound, 404),
            (K::Conflict, 400),
            (K::Gone, 400),
            (K::TooLarge, 413),
            (K::Unsupported, 415),
            (K::TooMany, 429),
            (K::Busy, 503),
            (K::NoSpace, 503),
            (K::Internal, 500),
        ];
        for (kind, code) in kinds {
            let response = Refusal::from(Fault::new(kind, "x", "Two\nlines.").retry_after(7)).into_response();
            assert_eq!(response.status().as_u16(), code, "{kind:?}");
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.headers().get("www-authenticate").is_some(), code == 401);
        }
        let waits = Refusal::from(fleet::devices::Error::Pending).into_response();
        assert!(waits.status() == 202 && waits.headers().contains_key("retry-after"));
        let other = Refusal::Method(Method::GET).into_response();
        assert_eq!((other.status().as_u16(), &other.headers()["allow"]), (405, &HeaderValue::from_static("GET, HEAD")));
    }
}
