//! Pure: why a connection came to nothing, as a closed set of words, and which of them are signs of attack. Refuses to decide whether it does.

use fleet::{access::attacks::Kind, pki::Refusal};
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

macro_rules! reasons { ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
    /// Why a handshake failed, or a connection was refused after it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Reason { $($(#[$doc])* $name,)* }
    impl Reason {
        /// Every reason.
        pub const ALL: &'static [Self] = &[$(Self::$name),*];
        /// The word in metrics.
        pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }
    }
} }

reasons! {
    /// No client certificate where one is a must.
    NoCertificate = "no_certificate",
    /// Signed by itself, or by nobody who is believed.
    UnknownIssuer = "unknown_issuer",
    /// By an authority that is no longer believed, or not any more for this.
    Authority = "authority_not_trusted",
    /// Revoked.
    Revoked = "revoked",
    /// Its successor is in use.
    Superseded = "superseded",
    /// Past its end.
    Expired = "expired",
    /// Before its beginning.
    NotYetValid = "not_yet_valid",
    /// Good for something else.
    WrongPurpose = "wrong_purpose",
    /// An authority above it may not vouch for it: too far below, or by a name out of that one's bounds.
    Constraints = "constraints",
    /// Its device is suspended, or out of the fleet.
    Suspended = "suspended",
    /// By one of our authorities, and never issued here.
    NeverIssued = "never_issued",
    /// The same, but it may have been issued a moment ago by another instance.
    NotYetKnown = "not_yet_known",
    /// The names in it are not those that it was issued with.
    Names = "names",
    /// Of a registered authority: being decided about.
    Arriving = "arriving",
    /// Of a registered authority: not let in.
    TurnedAway = "turned_away",
    /// Of a registered authority whose list of what it has revoked is too old, where that lets nobody in.
    ListEnded = "list_ended",
    /// The same where a list that has counted is not here again, after the database was set back.
    ListAwaited = "list_awaited",
    /// Whoever showed it has not proved its key.
    KeyNotProved = "key_not_proved",
    /// Too large, too long a chain, unreadable, or demanding to be understood in what nobody here understands.
    Malformed = "malformed",
    /// The server could not judge: it has not heard from its database.
    Stale = "stale",
    /// No version, suite or key exchange in common.
    Incompatible = "incompatible",
    /// The other side refused us, by an alert.
    RefusedByPeer = "refused_by_peer",
    /// Broken or forbidden messages.
    Protocol = "protocol",
    /// It took too long.
    Timeout = "timeout",
    /// The other side went away.
    Disconnected = "disconnected",
    /// Where proxies speak for devices: an address that is not one of theirs.
    NotAProxy = "not_a_proxy",
}

impl Reason {
    /// Of a certificate whose chain is good.
    pub(super) const fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::NeverIssued,
            Refusal::NotYetKnown => Self::NotYetKnown,
            Refusal::Revoked => Self::Revoked,
            Refusal::Superseded => Self::Superseded,
            Refusal::Expired => Self::Expired,
            Refusal::NotYetValid => Self::NotYetValid,
            Refusal::DeviceInactive => Self::Suspended,
            Refusal::Authority => Self::Authority,
            Refusal::Arriving => Self::Arriving,
            Refusal::TurnedAway => Self::TurnedAway,
            Refusal::Names => Self::Names,
            Refusal::ListEnded => Self::ListEnded,
            Refusal::ListAwaited => Self::ListAwaited,
            Refusal::Stale => Self::Stale,
        }
    }

    /// Of a certificate whose chain is none. One with the name of an authority and another's signature is by nobody.
    pub(super) fn of_chain(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::BadSignature) => Self::UnknownIssuer,
            other => Self::of_tls(other),
        }
    }

    fn of_tls(error: &Error) -> Self {
        use CertificateError as C;
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(certificate) => match certificate {
                C::UnknownIssuer => Self::UnknownIssuer,
                C::Expired | C::ExpiredContext { .. } => Self::Expired,
                C::NotValidYet | C::NotValidYetContext { .. } => Self::NotYetValid,
                C::Revoked => Self::Revoked,
                C::InvalidPurpose | C::InvalidPurposeContext { .. } => Self::WrongPurpose,
                C::BadSignature => Self::KeyNotProved,
                C::Other(error) => Self::of_webpki(error),
                _ => Self::Malformed,
            },
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::AlertReceived(_) => Self::RefusedByPeer,
            _ => Self::Protocol,
        }
    }

    /// What webpki says where rustls has no word for it.
    fn of_webpki(OtherError(error): &OtherError) -> Self {
        use webpki::Error as W;
        match error.downcast_ref::<W>() {
            // An authority's certificate in the place of a device's, or the other way round.
            Some(W::CaUsedAsEndEntity | W::EndEntityUsedAsCa) => Self::WrongPurpose,
            Some(W::PathLenConstraintViolated | W::NameConstraintViolation) => Self::Constraints,
            // The rest is about how the certificate is written, or how much there is of it.
            _ => Self::Malformed,
        }
    }

    /// Of a handshake that failed.
    pub(crate) fn of_failure(error: &io::Error) -> Self {
        error.get_ref().and_then(|e| e.downcast_ref()).map_or(Self::Disconnected, Self::of_tls)
    }

    /// The sign of attack that it is. What happens to honest devices is none: no certificate, or one that has ended. Certificates that were never issued
    /// are told by who asks the database.
    pub(super) const fn sign(self) -> Option<Kind> {
        match self {
            // A chain that its own authorities don't allow leads to nobody who is believed.
            Self::UnknownIssuer | Self::Constraints => Some(Kind::UnknownIssuer),
            Self::Revoked => Some(Kind::RevokedCertificate),
            Self::Superseded => Some(Kind::SupersededCertificate),
            Self::Suspended => Some(Kind::InactiveDevice),
            Self::WrongPurpose => Some(Kind::WrongPurpose),
            Self::KeyNotProved => Some(Kind::KeyNotProved),
            _ => None,
        }
    }
}

/// Whether a chain is none because an authority's certificate stands in a device's place.
pub(super) fn is_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
    matches!(error.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// What the owner of the authority that has signed a certificate is told where that, or its way there, was refused: a word for the books (E-10). None where it
/// has only ended, or not begun, as happens to good ones; and where it leads to the name of one of ours without that one's signature: that is somebody's
/// attack on us, whoever has signed below the name.
pub(super) fn for_owner(error: &Error) -> Option<&'static str> {
    use CertificateError as C;
    use webpki::Error as W;
    let Error::InvalidCertificate(why) = error else { return None };
    match why {
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } | C::BadSignature => None,
        // It is in order by itself: what is between is not, or is not there.
        C::UnknownIssuer => Some("chain"),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => Some("wrong_usage"),
        C::Other(OtherError(error)) => match error.downcast_ref::<W>() {
            Some(W::CaUsedAsEndEntity) => Some("an_authority"),
            Some(W::UnsupportedCertVersion) => Some("not_version_3"),
            Some(W::UnsupportedCriticalExtension) => Some("unknown_critical_extension"),
            Some(W::PathLenConstraintViolated | W::NameConstraintViolation) => Some("chain"),
            _ => Some("malformed"),
        },
        _ => Some("malformed"),
    }
}

/// Why a certificate's chain ends nowhere when nobody is believed: what is wrong with it by itself, as where somebody is, and otherwise that nobody has
/// signed it. Never that it is good.
pub(super) fn of_nobody(leaf: &CertificateDer<'_>, now: UnixTime) -> Error {
    use CertificateError as C;
    use webpki::Error as W;
    let Ok(certificate) = webpki::EndEntityCert::try_from(leaf) else { return C::BadEncoding.into() };
    let followed = certificate.verify_for_usage(&[], &[], &[], now, webpki::KeyUsage::client_auth(), None, None);
    let why = match followed.err().unwrap_or(W::UnknownIssuer) {
        W::UnknownIssuer => C::UnknownIssuer,
        W::CertExpired { .. } | W::InvalidCertValidity => C::Expired,
        W::CertNotValidYet { .. } => C::NotValidYet,
        W::RequiredEkuNotFoundContext(_) => C::InvalidPurpose,
        W::BadDer | W::BadDerTime | W::TrailingData(_) => C::BadEncoding,
        other => C::Other(OtherError(Arc::new(other))),
    };
    why.into()
}

/// A counter of each reason.
#[derive(Debug)]
pub struct Reasons([AtomicU64; Reason::ALL.len()]);

impl Default for Reasons {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Reason::ALL.len()])
    }
}

impl Reasons {
    pub(crate) fn count(&self, reason: Reason) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it was this one.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// All of them with their counts.
    pub fn all(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().map(|reason| (*reason, self.of(*reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
    use std::time::Duration;

    #[test]
    fn where_nobody_is_believed_a_certificate_is_refused_for_what_it_is() {
        let now = UnixTime::since_unix_epoch(Duration::from_hours(498_706));
        let why = |change: fn(&mut CertificateParams)| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::ExplicitNoCa;
            change(&mut params);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            of_nobody(made.der(), now)
        };
        let reason = |change: fn(&mut CertificateParams)| Reason::of_chain(&why(change));
        assert_eq!(reason(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), Reason::UnknownIssuer);
        assert_eq!(reason(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), Reason::WrongPurpose);
        assert_eq!(reason(|params| params.extended_key_usages = Vec::new()), Reason::UnknownIssuer);
        assert_eq!(reason(|params| params.not_after = date_time_ymd(2026, 1, 1)), Reason::Expired);
        assert_eq!(reason(|params| params.not_before = date_time_ymd(2027, 1, 1)), Reason::NotYetValid);
        assert!(is_an_authority(&why(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))));
        assert_eq!(Reason::of_chain(&of_nobody(&CertificateDer::from_slice(&[]), now)), Reason::Malformed);
    }

    #[test]
    fn what_webpki_says_is_told_apart() {
        use webpki::Error as W;
        let reason = |error: W| Reason::of_chain(&CertificateError::Other(OtherError(Arc::new(error))).into());
        for (error, expected) in [
            (W::CaUsedAsEndEntity, Reason::WrongPurpose),
            (W::EndEntityUsedAsCa, Reason::WrongPurpose),
            (W::PathLenConstraintViolated, Reason::Constraints),
            (W::NameConstraintViolation, Reason::Constraints),
            (W::UnsupportedCriticalExtension, Reason::Malformed),
            (W::UnsupportedCertVersion, Reason::Malformed),
            (W::SignatureAlgorithmMismatch, Reason::Malformed),
            (W::MaximumSignatureChecksExceeded, Reason::Malformed),
        ] {
            let said = error.to_string();
            assert_eq!(reason(error), expected, "{said}");
        }
        for (error, told) in [
            (W::UnsupportedCertVersion, "not_version_3"),
            (W::UnsupportedCriticalExtension, "unknown_critical_extension"),
            (W::CaUsedAsEndEntity, "an_authority"),
            (W::NameConstraintViolation, "chain"),
            (W::MalformedExtensions, "malformed"),
        ] {
            let said = error.to_string();
            assert_eq!(for_owner(&CertificateError::Other(OtherError(Arc::new(error))).into()), Some(told), "{said}");
        }
        assert_eq!(for_owner(&CertificateError::UnknownIssuer.into()), Some("chain"));
        assert_eq!(for_owner(&CertificateError::InvalidPurpose.into()), Some("wrong_usage"));
        assert_eq!(for_owner(&CertificateError::Expired.into()), None, "that happens to good ones");
        assert_eq!(for_owner(&CertificateError::BadSignature.into()), None, "one of our names under another's signature");
        let strange = CertificateError::Other(OtherError(Arc::new(io::Error::other("not webpki's"))));
        assert_eq!(Reason::of_chain(&strange.into()), Reason::Malformed);
    }
}
