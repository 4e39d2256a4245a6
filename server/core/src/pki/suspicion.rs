//! Pure: signs that two hold one device's key (R-2, "clone alarm"). Owns what counts as a sign and how it is told; refuses to know what is
//! done about it, which is the `devices` room's and the organization's business.

use super::peer::DevicePeer;
use std::{fmt, net::IpAddr};

/// How long after its successor's first use an old certificate may still turn up: connections that were being made just then.
pub(super) const GRACE: i64 = 5 * 60_000;

/// What was seen, of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// The device, by the certificate that was seen.
    pub peer: DevicePeer,
    /// What was seen.
    pub sign: Sign,
}

/// A sign of a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A connection by a certificate whose successor is in use.
    OldCertificate {
        /// From where; none when the listener does not know.
        from: Option<IpAddr>,
    },
    /// One certificate is connected from two networks, and both sides speak.
    TwoNetworks([IpAddr; 2]),
}

impl Sign {
    /// The word in the audit log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::OldCertificate { .. } => "old_certificate",
            Self::TwoNetworks(_) => "two_networks",
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldCertificate { from: Some(from) } => {
                write!(f, "A certificate whose successor is in use was used again, from {from}.")
            }
            Self::OldCertificate { from: None } => write!(f, "A certificate whose successor is in use was used again."),
            Self::TwoNetworks([one, other]) => write!(f, "Its certificate was in use from {one} and {other} at the same time."),
        }
    }
}

/// Whether two addresses are of different networks: beyond the 24 bits (IPv4) or 48 bits (IPv6) that one site commonly has. Addresses of two
/// families say nothing, a device may well have both.
pub fn apart(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.to_bits() >> 8 != other.to_bits() >> 8,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 80 != other.to_bits() >> 80,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("192.0.2.1", "192.0.2.250", false)]
    #[case("192.0.2.1", "192.0.3.1", true)]
    #[case("::ffff:192.0.2.1", "192.0.2.9", false)]
    #[case("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    #[case("2001:db8:1::1", "2001:db8:2::1", true)]
    #[case("192.0.2.1", "2001:db8::1", false)]
    fn networks_are_apart_beyond_what_one_site_has(#[case] one: IpAddr, #[case] other: IpAddr, #[case] expected: bool) {
        assert_eq!((apart(one, other), apart(other, one)), (expected, expected));
    }
}
