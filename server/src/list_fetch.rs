//! How a registered authority's list of revoked certificates is fetched (E-10): one GET to the address that an admin has named, and never to one that
//! an answer, a certificate or a list names. Owns the time and the bytes that it may take, and where no name may lead. Refuses to know what is due and what
//! counts as a list: the core says so.

use fleet::pki::registered::{ListAnswer, MAX_LIST_BYTES, Validators};
use reqwest::{
    Client, StatusCode, dns,
    header::{self, HeaderMap, HeaderName},
    redirect,
};
use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// From the question to the whole of the answer.
pub const WITHIN: Duration = Duration::from_secs(30);

/// Where clouds tell secrets to whoever asks from inside, beside the link-local addresses: Alibaba, Azure, Oracle; Amazon, Google.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
/// IPv4 behind a translator (RFC 6052 §2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Fetches.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    within: Duration,
}

impl Fetcher {
    /// One whose every fetch ends within this time.
    pub fn new(within: Duration) -> Result<Self, reqwest::Error> {
        // No redirect and no proxy: who answers is who was named.
        let client = || Client::builder().redirect(redirect::Policy::none()).no_proxy().dns_resolver(Names).pool_max_idle_per_host(0);
        let client = || client().user_agent("fleetward");
        // A list is signed: without any authority to check TLS with, it still comes over plain HTTP.
        let client = client().build().or_else(|_| client().tls_certs_only([]).build())?;
        Ok(Self { client, within })
    }

    /// What is there, unless that is what came with these; otherwise why not, in words for a person.
    pub async fn fetch(&self, url: &str, known: Option<&Validators>) -> Result<ListAnswer, String> {
        let late = |_| Err(format!("no whole answer within {} s", self.within.as_secs_f32()));
        tokio::time::timeout(self.within, self.ask(url, known)).await.unwrap_or_else(late)
    }

    async fn ask(&self, url: &str, known: Option<&Validators>) -> Result<ListAnswer, String> {
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
        let too_large = || format!("its answer is larger than {} MiB, and no list", MAX_LIST_BYTES / 1024 / 1024);
        if answer.content_length().is_some_and(|length| length > MAX_LIST_BYTES as u64) {
            return Err(too_large());
        }
        let validators = validators(answer.headers());
        let mut list = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(why)? {
            if list.len() + chunk.len() > MAX_LIST_BYTES {
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

/// The machine's names, without what no name may lead to. An address that stands in the URL itself is not asked about: whoever has written it means it.
#[derive(Debug, Clone, Copy)]
struct Names;

impl dns::Resolve for Names {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        Box::pin(async move {
            let allowed = addresses(name.as_str()).await?;
            let allowed: dns::Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

async fn addresses(name: &str) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    let allowed: Vec<SocketAddr> = found.filter(|at| !forbidden(at.ip())).collect();
    if allowed.is_empty() {
        return Err("its name leads to link-local or metadata addresses, where no name may lead".into());
    }
    Ok(allowed)
}

/// Whether no name may lead there.
fn forbidden(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => {
            let [begin @ .., high, low] = ip.segments();
            let behind = || {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            };
            ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || METADATA_V6.contains(&ip)
                || (begin == TRANSLATED && forbidden(behind()))
        }
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

    #[test]
    fn names_lead_to_no_secrets_of_a_cloud() {
        let forbidden = |text: &str| forbidden(text.parse().unwrap());
        for ip in
            ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fd00:ec2::254", "168.63.129.16", "0.0.0.0"]
        {
            assert!(forbidden(ip), "{ip}");
        }
        for ip in ["127.0.0.1", "10.0.0.7", "192.0.2.7", "::1", "fd00::7", "2001:db8::7", "64:ff9b::c000:207"] {
            assert!(!forbidden(ip), "an authority's own network may be near: {ip}");
        }
    }
}
