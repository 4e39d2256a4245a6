//! Pure: at which addresses lists of revoked certificates are asked for. Refuses to know names: whoever looks one up asks here about what it
//! leads to.

use super::list_address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds tell secrets to whoever asks from inside, beside the link-local addresses: Alibaba, Azure, Oracle; Amazon, Google.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
/// IPv4 behind a translator (RFC 6052 §2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Refuses a URL in which an address stands itself, where that is not asked: it is looked up nowhere. A name passes, wherever it may lead.
pub(super) fn literal(url: &str, near: bool) -> Result<(), &'static str> {
    let authority = list_address::authority(url);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    match host.and_then(|host| host.trim_end_matches('.').parse().ok()) {
        Some(ip) => allow(ip, near),
        None => Ok(()),
    }
}

/// Of an address where nobody is asked, however near.
pub const CLOSED: &str = "it leads to a link-local, multicast or metadata address, where none may lead";
/// Of one that is somebody's own.
pub const NOT_PUBLIC: &str = "it leads to an address that is not public; where lists are published inside the company, the server's configuration has to \
                          say list_fetch_private = true";

/// Refuses an address that is not asked, with why. `near`: private and loopback addresses are asked, too.
pub fn allow(ip: IpAddr, near: bool) -> Result<(), &'static str> {
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

    #[test]
    fn a_44_an_address_that_stands_in_a_url_is_refused_before_it_is_asked() {
        for url in ["http://127.0.0.1:1/x", "https://10.0.0.7", "http://[::1]:80/x", "http://[::ffff:192.168.1.1]/", "HTTP://192.168.1.1?x"]
        {
            assert_eq!((literal(url, false), literal(url, true)), (Err(NOT_PUBLIC), Ok(())), "{url}");
        }
        assert_eq!(literal("http://169.254.169.254/latest", true), Err(CLOSED));
        for url in ["http://1.1.1.1/x", "http://pki.example.com/plant.crl", "http://[2606:4700::1111]:80/"] {
            assert_eq!(literal(url, false), Ok(()), "{url}");
        }
    }
}
