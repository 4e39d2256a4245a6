//! Pure: who is counted as one by everything that bounds what strangers do. Owns what an address says of that; refuses to know what is counted.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Whoever sends from one address; with IPv6 from one network, as a host there has as many addresses as it likes (RFC 6177). An IPv4 client on an
/// IPv6 socket is the same client. Those without an address that can be read are one as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// The source of an address as text.
    pub fn of(from: &str) -> Self {
        from.parse::<IpAddr>().map_or(Self(None), Self::from)
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

/// The IPv4 address, or the /64 of IPv6; nothing for those without.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Some(v4 @ IpAddr::V4(_)) => write!(f, "{v4}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        for (address, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
            ("", ""),
            ("nowhere", ""),
        ] {
            assert_eq!(Source::of(address).to_string(), shown, "{address}");
        }
        assert_eq!(Source::of("2001:db8:1:2::1"), Source::of("2001:db8:1:2:ffff::9"));
        assert_ne!(Source::of("2001:db8:1:2::1"), Source::of("2001:db8:1:3::1"));
        assert_ne!(Source::of("192.0.2.1"), Source::of("192.0.2.2"));
    }
}
