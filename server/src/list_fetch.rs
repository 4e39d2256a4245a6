//! How a registered authority's list of revoked certificates is fetched (E-10): one GET to the address that an admin has named, and never to one that
//! an answer, a certificate or a list names. Owns the time and the bytes that it may take. Refuses to know where none may lead, what is due and what
//! counts as a list: the core says so.

use fleet::pki::registered::{
    ListAnswer, Validators,
    reachable::{CLOSED, allow},
};
use reqwest::{
    Client, StatusCode, Url, dns,
    header::{self, HeaderMap, HeaderName},
    redirect,
};
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// From the question to the whole of the answer.
pub const WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MOST: usize = 10 * 1024 * 1024;

/// Fetches.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    within: Duration,
    near: bool,
}

impl Fetcher {
    /// One whose every fetch ends within this time; `near`: from private and loopback addresses, too.
    pub fn new(within: Duration, near: bool) -> Result<Self, reqwest::Error> {
        // No redirect and no proxy: who answers is who was named.
        let client =
            || Client::builder().redirect(redirect::Policy::none()).no_proxy().dns_resolver(Names { near }).pool_max_idle_per_host(0);
        let client = || client().user_agent("fleetward");
        // A list is signed: without any authority to check TLS with, it still comes over plain HTTP.
        let client = client().build().or_else(|_| client().tls_certs_only([]).build())?;
        Ok(Self { client, within, near })
    }

    /// What is there, unless that is what came with these; otherwise why not, in words for a person.
    pub async fn fetch(&self, url: &str, known: Option<&Validators>) -> Result<ListAnswer, String> {
        let late = |_| Err(format!("no whole answer within {} s", self.within.as_secs_f32()));
        tokio::time::timeout(self.within, self.ask(url, known)).await.unwrap_or_else(late)
    }

    async fn ask(&self, url: &str, known: Option<&Validators>) -> Result<ListAnswer, String> {
        let url = Url::parse(url).map_err(|e| format!("it is no address: {e}"))?;
        // An address that stands there itself is looked up nowhere.
        if let Some(ip) = literal(&url) {
            allow(ip, self.near)?;
        }
        let mut asked = self.client.get(url).header(header::ACCEPT, "application/pkix-crl, */*;q=0.5");
        // Both where there are both: whoever understands the first leaves the second alone (RFC 9110 §13.1.3).
        if let Some(tag) = known.and_then(Validators::etag) {
            asked = asked.header(header::IF_NONE_MATCH, tag);
        }
        if let Some(time) = known.and_then(Validators::last_modified) {
            asked = asked.header(header::IF_MODIFIED_SINCE, time);
        }
        let mut answer = asked.send().await.map_err(why)?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(ListAnswer::Unchanged);
        }
        if status.is_redirection() {
            return Err(format!("it answers {status} and leads elsewhere; that is not followed, so name the address where the list is"));
        }
        if status != StatusCode::OK {
            return Err(format!("it answers {status}, not 200"));
        }
        let too_large = || format!("its answer is larger than {} MiB, and no list", MOST / 1024 / 1024);
        if answer.content_length().is_some_and(|length| length > MOST as u64) {
            return Err(too_large());
        }
        let validators = validators(answer.headers());
        let mut list = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(why)? {
            if list.len() + chunk.len() > MOST {
                return Err(too_large());
            }
            list.extend_from_slice(&chunk);
        }
        if list.is_empty() { Err("its answer is empty".to_owned()) } else { Ok(ListAnswer::List { list, validators }) }
    }
}

/// What came with a list. A time of change in the second of the answer is none: it may be changed again in that second (RFC 9110 §8.8.2.2).
fn validators(headers: &HeaderMap) -> Validators {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Validators::of(text(header::ETAG), text(header::LAST_MODIFIED).filter(|changed| text(header::DATE) != Some(*changed)))
}

/// Without the address, which stands beside it, and without the layers above the cause.
fn why(error: reqwest::Error) -> String {
    let what = if error.is_connect() { "no connection" } else { "no answer" };
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    format!("{what}: {cause}")
}

/// The address that stands in the place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// The machine's names, without what none may lead to.
#[derive(Debug, Clone, Copy)]
struct Names {
    near: bool,
}

impl dns::Resolve for Names {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let near = self.near;
        Box::pin(async move {
            let allowed = addresses(name.as_str(), near).await?;
            let allowed: dns::Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

async fn addresses(name: &str, near: bool) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(|at| allow(at.ip(), near).is_ok()).collect();
    match found.first() {
        Some(first) if allowed.is_empty() => Err(allow(first.ip(), near).err().unwrap_or(CLOSED).into()),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_list_that_may_have_changed_again_in_its_second_is_not_asked_for_by_time() {
        let (earlier, later) = ("Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:01 GMT");
        let came = |date| {
            let named = [(header::ETAG, "\"5\""), (header::LAST_MODIFIED, earlier), (header::DATE, date)];
            validators(&named.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect())
        };
        assert_eq!(came(later), Validators::of(Some("\"5\""), Some(earlier)));
        assert_eq!(came(earlier), Validators::of(Some("\"5\""), None));
        assert!(validators(&HeaderMap::new()).is_empty());
    }

    #[tokio::test]
    async fn a_44_addresses_are_refused_however_they_are_written() {
        let fetcher = Fetcher::new(WITHIN, false).unwrap();
        for host in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9", "127.1:9", "0x7f000001:9", "localhost:9"] {
            let refused = fetcher.fetch(&format!("http://{host}/x.crl"), None).await.unwrap_err();
            assert!(refused.contains("not public"), "{host}: {refused}");
        }
        let near = Fetcher::new(WITHIN, true).unwrap();
        for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]"] {
            let refused = near.fetch(&format!("http://{host}/x.crl"), None).await.unwrap_err();
            assert!(refused.contains("metadata"), "{host}: {refused}");
        }
    }
}
