//! Devices' certificates: as lists show them, how lists are asked for, and one with all that is known of it.

use super::{AuthorityRow, ClockPage};
use crate::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId},
    page::Page,
    states::{CertificateState, KeyOrigin},
};
use serde::{Deserialize, Serialize};

/// The [reason](CertificateRow::reason) of one that is shown as revoked because its owner's list names it (E-10): nobody here has revoked it.
pub const OWNERS_LIST: &str = "owners_list";

/// A certificate in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateRow {
    /// Its id.
    pub id: CertificateId,
    /// Whose it is.
    pub device_id: DeviceId,
    /// Serial number in hex.
    pub serial: String,
    /// SHA-256 of the DER in hex.
    pub fingerprint: String,
    /// Who issued it.
    pub issuer: String,
    /// The authority that did.
    pub issuer_id: AuthorityId,
    /// Algorithm of its key.
    pub key_alg: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Where it is in its life.
    pub state: CertificateState,
    /// Why it was revoked, or why its authority is not believed; empty for neither.
    pub reason: String,
    /// When it was first used.
    pub first_used_at: Option<Timestamp>,
    /// When it was revoked or superseded, or found on its owner's list.
    pub revoked_at: Option<Timestamp>,
    /// Where its key was made.
    pub key_origin: KeyOrigin,
    /// When an operator ordered that it is renewed; none where nobody did, or when its successor has been used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_ordered_at: Option<Timestamp>,
    /// When its device is told so, while the order stands: orders to many are spread over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_due_at: Option<Timestamp>,
}

impl CertificateRow {
    /// Whether it is shown as revoked because its owner's list names it, and may come back with the next one.
    pub fn is_on_owners_list(&self) -> bool {
        self.reason == OWNERS_LIST
    }
}

crate::states::words! {
    /// Orders of the list of certificates; each has an index.
    CertificateSort {
        /// What ends first in front.
        End = "end",
        /// What ends last in front.
        EndDesc = "-end",
        /// By the device's id, a device's certificates as they were issued.
        Device = "device",
        /// The same from the end.
        DeviceDesc = "-device",
        /// What was revoked first in front; of revoked ones only.
        Revoked = "revoked",
        /// What was revoked last in front; of revoked ones only.
        RevokedDesc = "-revoked",
    }
}

impl CertificateSort {
    /// Whether only revoked certificates have this order.
    pub const fn of_revoked(self) -> bool {
        matches!(self, Self::Revoked | Self::RevokedDesc)
    }

    /// Whether it is from the end.
    pub const fn descends(self) -> bool {
        matches!(self.as_str().as_bytes(), [b'-', ..])
    }
}

/// Which certificates to list. The same shape is a page's URL and a REST query.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CertificateQuery {
    /// A part of the device's id, or the beginning of the serial number or of the fingerprint in hex; empty means all.
    // Always written: an address without any pair would be no query at all.
    #[serde(default)]
    pub q: String,
    /// Only what ends in this week from now on, 0 being the next seven days, and has no successor in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub week: Option<u32>,
    /// Only what ends within so many days from now, and has no successor in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u32>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CertificateState>,
    /// Only those of this authority; unless a state or a time is asked for, of these only what is in use and has no successor in use: what depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<AuthorityId>,
    /// Their order; what ends first in front unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<CertificateSort>,
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows, at most [`crate::page::MAX_ROWS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

/// All the certificates page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificatesPage {
    /// Certificates, in the order asked for.
    pub certificates: Page<CertificateRow>,
    /// The authorities, root first.
    pub authorities: Vec<AuthorityRow>,
    /// Those of them that have an alarm: somebody else may have their key (H-4).
    pub alarmed: Vec<AuthorityId>,
    /// How many active certificates without a successor in use end in each of the next [`WEEKS`] weeks, from now on.
    pub weeks: Vec<i64>,
    /// Whether the caller may revoke.
    pub may_revoke: bool,
    /// What the server's clock does: nothing is issued while it is off.
    pub clock: ClockPage,
    /// When this was read.
    pub at: Timestamp,
}

/// What is written in a certificate, as text. Control and direction characters are escaped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodedCertificate {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject alternative names.
    pub alternatives: Vec<String>,
    /// Key usages and extended key usages.
    pub usages: Vec<String>,
    /// Signature algorithm.
    pub signature: String,
    /// Subject key identifier, hex.
    pub subject_key: String,
    /// Authority key identifier, hex.
    pub authority_key: String,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`), hex.
    pub public_key_sha256: String,
    /// Where its revocation list, its responder and its issuer's certificate are.
    pub addresses: Vec<String>,
}

/// One certificate with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateDetail {
    /// As in the list.
    pub row: CertificateRow,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// By what its device was let in, or which renewal it is.
    pub enrolled_by: String,
    /// The profile it is of; empty for none.
    pub profile: String,
    /// When it stops being usable: its end, or earlier once a successor was used.
    pub usable_until: Timestamp,
    /// The certificate it succeeds.
    pub replaces: Option<CertificateId>,
    /// Its successor.
    pub replaced_by: Option<CertificateId>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: String,
    /// Since when it is known or suspected to be wrong, if that was said.
    pub invalidity_date: Option<Timestamp>,
    /// What whoever revoked it has noted.
    pub revocation_note: String,
    /// When it was said that its key is compromised, where it had been revoked for another reason before.
    pub raised_at: Option<Timestamp>,
    /// Who said so.
    pub raised_by: String,
    /// How many other certificates for the same key are revoked with it when that key is said to be compromised.
    pub same_key: i64,
    /// How many of them its device may use still: it is cut off then.
    pub same_key_usable: i64,
    /// What is written in it.
    pub decoded: DecodedCertificate,
    /// PEM.
    pub pem: String,
    /// From its issuer to the root.
    pub chain: Vec<AuthorityRow>,
    /// Those of them that have an alarm: somebody else may have their key (H-4).
    pub alarmed: Vec<AuthorityId>,
    /// Whether the caller may revoke.
    pub may_revoke: bool,
    /// When this was read.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_from_the_end_by_its_word() {
        for sort in CertificateSort::ALL {
            assert_eq!(sort.descends(), format!("{sort:?}").ends_with("Desc"), "{sort}");
        }
    }
}
