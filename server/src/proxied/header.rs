//! Pure: a device's certificate as proxies write it into a header (H-8). Owns the three forms, of which the configuration chooses one; refuses to guess: what
//! is not exactly one whole certificate in that form is none. Refuses to know whether the certificate is good, and who may say so.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use wire::percent;

/// Most bytes of the header. A certificate of 8 KiB, more than which no device has, takes 13 KiB in the longest of the three forms.
const LONGEST: usize = 24 * 1024;

/// Which header of a proxy is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// `Client-Cert`, a byte sequence between colons (RFC 9440 §2.2).
    ClientCert,
    /// `X-SSL-Cert`, percent-encoded PEM: nginx's `$ssl_client_escaped_cert`.
    XSslCert,
    /// `X-Forwarded-Client-Cert`, of which `Cert` is read, percent-encoded PEM: Envoy.
    XForwardedClientCert,
}

/// Why there is no certificate in a header that should have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The header, or the certificate in it, is there twice: one of them may be the client's own.
    #[error("there is more than one, of which the client may have sent one itself")]
    Several,
    /// More than any certificate needs.
    #[error("it is larger than 24 KiB")]
    TooLong,
    /// Not in its form.
    #[error("it is not in that form")]
    Malformed,
    /// Something is said of a certificate, and it is not there.
    #[error("the certificate itself is not in it")]
    Missing,
}

impl Header {
    /// Its name.
    pub const fn name(self) -> HeaderName {
        match self {
            Self::ClientCert => HeaderName::from_static("client-cert"),
            Self::XSslCert => HeaderName::from_static("x-ssl-cert"),
            Self::XForwardedClientCert => HeaderName::from_static("x-forwarded-client-cert"),
        }
    }

    /// What belongs into it, in words.
    pub const fn form(self) -> &'static str {
        match self {
            Self::ClientCert => "the device's certificate as base64 of its DER between two colons (RFC 9440)",
            Self::XSslCert => "the device's certificate as percent-encoded PEM, nginx's $ssl_client_escaped_cert",
            Self::XForwardedClientCert => "one element with Cert=\"…\", the device's certificate as percent-encoded PEM",
        }
    }

    /// The certificate in it, DER as far as can be told without reading that. None where the header is missing or empty: the device has shown none.
    pub fn certificate(self, headers: &HeaderMap) -> Result<Option<CertificateDer<'static>>, Wrong> {
        let mut values = headers.get_all(self.name()).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Wrong::Several);
        }
        if value.len() > LONGEST {
            return Err(Wrong::TooLong);
        }
        let text = value.to_str().map_err(|_| Wrong::Malformed)?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let der = match self {
            Self::ClientCert => byte_sequence(text)?,
            Self::XSslCert => escaped_pem(text)?,
            Self::XForwardedClientCert => escaped_pem(&element(text)?)?,
        };
        if der.is_empty() { Err(Wrong::Missing) } else { Ok(Some(der.into())) }
    }
}

/// A structured field's byte sequence (RFC 8941 §3.3.5), without parameters: none are defined here.
fn byte_sequence(text: &str) -> Result<Vec<u8>, Wrong> {
    let base64 = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or(Wrong::Malformed)?;
    STANDARD.decode(base64).map_err(|_| Wrong::Malformed)
}

/// One certificate, and nothing before, between or after it. A chain is refused: the first of it need not be the one that the device has shown.
fn escaped_pem(text: &str) -> Result<Vec<u8>, Wrong> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let pem = percent::decoded(text).and_then(|pem| String::from_utf8(pem).ok()).ok_or(Wrong::Malformed)?;
    let body = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(Wrong::Malformed)?;
    if body.contains(BEGIN) {
        return Err(Wrong::Several);
    }
    let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).map_err(|_| Wrong::Malformed)
}

/// The value of `Cert` in the only element. Elements are parted by commas, pairs by semicolons; a value in quotes may hold both, and a quote behind a
/// backslash.
fn element(text: &str) -> Result<String, Wrong> {
    let mut found = None;
    for pair in pairs(text)? {
        let (key, value) = pair.split_once('=').ok_or(Wrong::Malformed)?;
        if key.trim().eq_ignore_ascii_case("cert") && found.replace(unquoted(value.trim())?).is_some() {
            return Err(Wrong::Several);
        }
    }
    found.ok_or(Wrong::Missing)
}

fn pairs(text: &str) -> Result<Vec<&str>, Wrong> {
    let (mut all, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            // Another element is what another proxy, or the client, has said.
            ',' if !quoted => return Err(Wrong::Several),
            ';' if !quoted => {
                all.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(Wrong::Malformed);
    }
    all.push(&text[begin..]);
    Ok(all)
}

/// Nothing that is looked for has a quote in it.
fn unquoted(value: &str) -> Result<String, Wrong> {
    let inside = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(Wrong::Malformed)?,
        None => value,
    };
    if inside.contains('"') { Err(Wrong::Malformed) } else { Ok(inside.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const ALL: [Header; 3] = [Header::ClientCert, Header::XSslCert, Header::XForwardedClientCert];

    fn read(header: Header, values: &[&str]) -> Result<Option<Vec<u8>>, Wrong> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header.name(), HeaderValue::from_str(value).unwrap());
        }
        header.certificate(&headers).map(|der| der.map(|der| der.to_vec()))
    }

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    }

    fn escaped(text: &str) -> String {
        percent::encoded(text, b"")
    }

    /// All three forms of it.
    fn written(der: &[u8]) -> [(Header, String); 3] {
        let pem = escaped(&pem(der));
        [
            (Header::ClientCert, format!(":{}:", STANDARD.encode(der))),
            (Header::XSslCert, pem.clone()),
            (Header::XForwardedClientCert, format!("By=spiffe://a;Hash=0a;Cert=\"{pem}\";Subject=\"CN=\\\"a;,=b\\\"\"")),
        ]
    }

    #[test]
    fn h_8_each_form_holds_one_certificate() {
        let der: Vec<u8> = (0..=255).cycle().take(1200).collect();
        for (header, text) in written(&der) {
            assert_eq!(read(header, &[&text]), Ok(Some(der.clone())), "{text}");
            assert_eq!(read(header, &[&format!(" {text}\t")]), Ok(Some(der.clone())), "{text}");
            assert_eq!(read(header, &[&text, &text]), Err(Wrong::Several));
            assert_eq!(read(header, &["", &text]), Err(Wrong::Several), "whichever is empty");
            assert_eq!(read(header, &[]), Ok(None));
            assert_eq!(read(header, &[""]), Ok(None));
            assert_eq!(read(header, &[" "]), Ok(None));
            // The others' headers are not read.
            for other in ALL.into_iter().filter(|other| *other != header) {
                let headers = HeaderMap::from_iter([(other.name(), HeaderValue::from_str(&text).unwrap())]);
                assert_eq!(header.certificate(&headers), Ok(None));
                assert!(read(other, &[&text]).is_err(), "{text} is not {}", other.name());
            }
        }
    }

    #[test]
    fn h_8_the_largest_certificate_that_a_device_may_have_fits() {
        for byte in [0, 0xfb, 0xff] {
            let der = vec![byte; 8 * 1024];
            // Every 64 characters a line end, as in what OpenSSL writes.
            let lines: Vec<u8> = STANDARD.encode(&der).into_bytes().chunks(64).flat_map(|line| [line, b"\n"].concat()).collect();
            let pem = format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", String::from_utf8(lines).unwrap());
            if byte == 0 {
                assert_eq!(read(Header::XSslCert, &[&escaped(&pem)]), Ok(Some(der.clone())));
            }
            assert_eq!(read(Header::ClientCert, &[&format!(":{}:", STANDARD.encode(&der))]), Ok(Some(der)));
        }
        for (header, text) in written(&vec![0; 32 * 1024]) {
            assert_eq!(read(header, &[&text]), Err(Wrong::TooLong));
        }
    }

    #[test]
    fn h_8_what_is_not_exactly_one_certificate_is_none() {
        use Header as H;
        let two = escaped(&(pem(b"a") + &pem(b"b")));
        let one = escaped(&pem(b"a"));
        let quoted = |value: &str| format!("Cert=\"{value}\"");
        for (header, text, wrong) in [
            (H::ClientCert, "::".to_owned(), Wrong::Missing),
            (H::ClientCert, ":".to_owned(), Wrong::Malformed),
            (H::ClientCert, "YQ==".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YQ==".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YQ==:, :Yg==:".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YQ==:;a=1".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YQ:".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YR==:".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":YQ==\t:".to_owned(), Wrong::Malformed),
            (H::ClientCert, ":-_==:".to_owned(), Wrong::Malformed),
            (H::ClientCert, "\"YQ==\"".to_owned(), Wrong::Malformed),
            (H::XSslCert, two.clone(), Wrong::Several),
            (H::XSslCert, escaped(&("x\n".to_owned() + &pem(b"a"))), Wrong::Malformed),
            (H::XSslCert, escaped(&(pem(b"a") + "x")), Wrong::Malformed),
            (H::XSslCert, escaped(&pem(b"")), Wrong::Missing),
            (H::XSslCert, escaped(&pem(b"a").replace("CERTIFICATE", "PRIVATE KEY")), Wrong::Malformed),
            (H::XSslCert, escaped(&one), Wrong::Malformed),
            (H::XSslCert, format!("{one}%"), Wrong::Malformed),
            (H::XSslCert, format!("{one}%ff"), Wrong::Malformed),
            (H::XSslCert, format!("{one}%00"), Wrong::Malformed),
            (H::XSslCert, "(null)".to_owned(), Wrong::Malformed),
            (H::XForwardedClientCert, quoted(&two), Wrong::Several),
            (H::XForwardedClientCert, format!("{},{}", quoted(&one), quoted(&one)), Wrong::Several),
            (H::XForwardedClientCert, format!("{};{}", quoted(&one), quoted(&one)), Wrong::Several),
            (H::XForwardedClientCert, format!("Hash=a, {}", quoted(&one)), Wrong::Several),
            (H::XForwardedClientCert, "Hash=a;Subject=\"CN=gw-1\"".to_owned(), Wrong::Missing),
            (H::XForwardedClientCert, format!("Hash=a;Chain=\"{one}\""), Wrong::Missing),
            (H::XForwardedClientCert, format!("Subject=\"\\\";{one}\""), Wrong::Missing),
            (H::XForwardedClientCert, format!("Cert=\"{one}"), Wrong::Malformed),
            (H::XForwardedClientCert, format!("Cert={one}\"\""), Wrong::Malformed),
            (H::XForwardedClientCert, "Cert".to_owned(), Wrong::Malformed),
            (H::XForwardedClientCert, ";".to_owned(), Wrong::Malformed),
            (H::XForwardedClientCert, "Cert=".to_owned(), Wrong::Malformed),
        ] {
            assert_eq!(read(header, &[&text]), Err(wrong), "{}: {text}", header.name());
        }
        let mut headers = HeaderMap::new();
        headers.insert(H::ClientCert.name(), HeaderValue::from_bytes(b":\xff:").unwrap());
        assert_eq!(H::ClientCert.certificate(&headers), Err(Wrong::Malformed));
        // What Envoy says of the certificate in other words counts for nothing; nor does how it writes the key.
        assert_eq!(read(H::XForwardedClientCert, &[&format!("cert={one}; URI=spiffe://b")]), Ok(Some(b"a".to_vec())));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(der in prop::collection::vec(any::<u8>(), 1..600)) {
            for (header, text) in written(&der) {
                prop_assert_eq!(read(header, &[&text]), Ok(Some(der.clone())));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for header in ALL {
                let mut headers = HeaderMap::new();
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    headers.insert(header.name(), value);
                }
                let _ = header.certificate(&headers);
            }
        }

        #[test]
        fn any_element_is_read_or_refused(text in "([A-Za-z]{0,5}[=;,\"\\\\]{0,3}){0,12}") {
            let _ = element(&text);
        }
    }
}
