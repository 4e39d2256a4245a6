//! How a registered authority's list of revoked certificates is fetched (E-10): one GET to the address that an admin has named, and never to one that
//! an answer, a certificate or a list names. Owns the time and the bytes that it may take, and where none may lead. Refuses to know what is due and what
//! counts as a list: the core says so.

use fleet::pki::registered::{ListAnswer, Validators};
use reqwest::{
    Client, StatusCode, Url, dns,
    header::{self, HeaderMap, HeaderName},
    redirect,
};
use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// From the question to the whole of the answer.
pub const WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MOST: usize = 10 * 1024 * 1024;

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

const CLOSED: &str = "it leads to a link-local, multicast or metadata address, where none may lead";
const NOT_PUBLIC: &str = "it leads to an address that is not public; where lists are published inside the company, the server's configuration has to \
                          say list_fetch_private = true";

/// Nothing, or why this address is not asked.
fn allow(ip: IpAddr, near: bool) -> Result<(), &'static str> {
    if closed(ip) {
        Err(CLOSED)
    } else if near || public(ip) {
        Ok(())
    } else {
        Err(NOT_PUBLIC)
    }
}

/// The IPv4 address that one of IPv6 stands for: mapped, compatible, translated (RFC 6052 §2.1) or 6to4 (RFC 3056 §2).
fn within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    let segments = ip.segments();
    let [begin @ .., high, low] = segments;
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return Some(mapped);
    }
    // ::1 and :: are themselves.
    if begin == TRANSLATED || (begin == [0; 6] && high != 0) {
        return Some(of(high, low));
    }
    let [first, second, third, ..] = segments;
    (first == 0x2002).then(|| of(second, third))
}

/// Whether nobody may lead there, however near they are.
fn closed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let nowhere = ip.octets()[0] == 0 || ip.is_broadcast() || ip.is_multicast();
            ip.is_link_local() || nowhere || METADATA_V4.contains(&ip)
        }
        IpAddr::V6(ip) => {
            let nowhere = ip.is_unspecified() || ip.is_multicast();
            ip.is_unicast_link_local() || nowhere || METADATA_V6.contains(&ip) || within(ip).is_some_and(|ip| closed(IpAddr::V4(ip)))
        }
    }
}

/// Whether everybody has the same there: neither this machine, nor a network of somebody's own, nor what is kept for other ends (RFC 6890).
fn public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let own = ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && (b & 0xc0) == 64);
            let kept = matches!((a, b, c), (192, 0, 0) | (192, 88, 99)) || (a == 198 && (b & 0xfe) == 18) || ip.is_documentation();
            // 0 is this network, and from 224 on are groups and what is reserved.
            !own && !kept && a != 0 && a < 224
        }
        IpAddr::V6(ip) => {
            if let Some(ip) = within(ip) {
                return public(IpAddr::V4(ip));
            }
            // Of all of IPv6 only 2000::/3 is given out; of that 2001::/23 (Teredo among them) and two for manuals are not.
            let [first, second, ..] = ip.segments();
            let manuals = (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second < 0x200) && !manuals
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
    fn a_44_nobody_is_led_to_secrets_of_a_cloud_however_near() {
        for ip in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!((allow(ip, true), allow(ip, false)), (Err(CLOSED), Err(CLOSED)), "{ip}");
        }
    }

    #[test]
    fn a_44_only_public_addresses_are_asked_unless_the_server_says_otherwise() {
        for ip in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.7",
            "172.31.0.1",
            "192.168.1.1",
            "::ffff:192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "192.0.2.7",
            "240.0.0.1",
            "fd00::7",
            "fc00::1",
            "2001:db8::7",
            "2001::1",
            "64:ff9b::a00:7",
            "2002:a00:7::1",
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!((allow(ip, false), allow(ip, true)), (Err(NOT_PUBLIC), Ok(())), "{ip}");
        }
        for ip in ["1.1.1.1", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"] {
            assert_eq!(allow(ip.parse().unwrap(), false), Ok(()), "{ip}");
        }
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
