//! The room's SQL. Refuses to decide anything. Devices' rows are read for their names and states, which certificates are judged by; they are
//! written by the `devices` room, but for the trust bundle that a device says it holds (`bundles.rs`, R-10).

/// The authorities of which nothing is believed: retired, given up, or own ones that are not enabled.
macro_rules! unbelieved {
    () => {
        "(SELECT x.id FROM authorities x WHERE x.state NOT IN ('staged', 'active', 'retiring'))"
    };
}
pub(crate) use unbelieved;

/// That a certificate `c` was revoked: by us, or by the list of its authority's owner.
macro_rules! cut {
    () => {
        "(c.state = 'revoked' OR c.owner_listed_at IS NOT NULL)"
    };
}
pub(crate) use cut;

mod authorities;
mod blocked;
mod bundles;
mod certificates;
mod consents;
mod journal;
mod listing;
mod names;
mod profiles;
mod publication;
mod renewals;
mod requests;
mod roots;
mod rules;
mod secrets;
mod serials;
mod trust;
mod unbooked;

pub(super) use authorities::*;
pub(super) use blocked::*;
pub(super) use bundles::*;
pub(super) use certificates::*;
pub(super) use consents::*;
pub(super) use journal::*;
pub(super) use listing::*;
pub(super) use names::*;
pub(super) use profiles::*;
pub(super) use publication::*;
pub(super) use renewals::*;
pub(super) use requests::*;
pub(super) use roots::*;
pub(super) use rules::*;
pub(super) use secrets::*;
pub(super) use serials::*;
pub(super) use trust::*;
pub(super) use unbooked::*;

use crate::db::Sql;

pub(crate) const ALL: &[&Sql] = &[
    &authorities::SLUG,
    &authorities::AUTHORITY,
    &authorities::AUTHORITIES,
    &authorities::SEALED_KEYS,
    &authorities::SET_SEALED_KEY,
    &authorities::GENERATION,
    &names::OUR_SUBJECTS,
    &names::KEPT_NAMES,
    &names::THEIR_SUBJECTS,
    &authorities::IN_STATE,
    &authorities::AUTHORITY_STATE,
    &authorities::SET_STATE,
    &authorities::RETIRE_ACTIVE,
    &authorities::UNEXPIRED,
    &authorities::BELIEVED_UNDER,
    &authorities::BUNDLE_OF,
    &authorities::ISSUER_STATE,
    &authorities::LIVE_UNDER,
    &authorities::STAGED_UNDER,
    &authorities::HANGING,
    &authorities::ISSUED_AS,
    &authorities::ALARM,
    &authorities::ALARM_OF,
    &authorities::ALARM_CLEAR,
    &authorities::ALARMED,
    &authorities::FREEZE,
    &authorities::THAW,
    &authorities::WAY_BACK,
    &authorities::LEFT_BEHIND,
    &blocked::BLOCK,
    &blocked::UNBLOCK,
    &blocked::ALL_BLOCKED,
    &blocked::KEY_OF,
    &blocked::AUTHORITY_KEY,
    &blocked::BLOCKED_ONE,
    &blocked::BLOCKED,
    &blocked::BLOCKED_COUNT,
    &bundles::BUNDLE_NEWEST,
    &bundles::BUNDLES,
    &bundles::BUNDLES_BESIDE,
    &bundles::BUNDLE_RAISE,
    &bundles::BUNDLE_FIRST,
    &bundles::BUNDLE_HELD,
    &bundles::BUNDLE_BEHIND,
    &bundles::BUNDLE_CANNOT_TELL,
    &bundles::BUNDLE_HELD_BY,
    &bundles::BUNDLE_HOLD,
    &bundles::CROSS,
    &bundles::CROSSES,
    &certificates::KEY_USERS,
    &certificates::HOLDER,
    &certificates::RESERVE,
    &certificates::SIGNED,
    &certificates::ISSUED,
    &certificates::LEAF_FILES,
    &certificates::SIGNED_OF,
    &certificates::HAS_KEY,
    &certificates::IS_ACTIVE,
    &certificates::IS_UNUSED,
    &certificates::TO_RECOVER,
    &certificates::GIVEN_FOR,
    &certificates::RENEWED_FOR,
    &certificates::SUCCESSOR_IN_USE,
    &certificates::RENEWED_LATELY,
    &certificates::GIVEN_TO,
    &certificates::FOR_REVOCATION,
    &certificates::USABLE_OF,
    &certificates::FOR_SAME_KEY,
    &certificates::SAME_KEY,
    &certificates::REVOKE,
    &certificates::KEEP_SUPERSEDED,
    &certificates::COMPROMISE,
    &listing::PAGE,
    &listing::PAGE_DESC,
    &listing::PAGE_BY_DEVICE,
    &listing::PAGE_BY_DEVICE_DESC,
    &listing::FEW_BY_DEVICE,
    &listing::FEW_BY_DEVICE_DESC,
    &listing::FEW_REVOKED_BY_DEVICE,
    &listing::FEW_REVOKED_BY_DEVICE_DESC,
    &listing::PAGE_BY_REVOCATION,
    &listing::PAGE_BY_REVOCATION_DESC,
    &listing::COUNT,
    &listing::ENDS_BY_WEEK,
    &listing::DETAIL,
    &listing::OF_DEVICE,
    &listing::EXPIRING,
    &consents::APPROVALS,
    &consents::SET_APPROVALS,
    &consents::SERVER_KEYS,
    &consents::SET_SERVER_KEYS,
    &consents::STATES,
    &consents::ASK,
    &consents::ONE,
    &consents::WAITING,
    &consents::OVER,
    &consents::SAME,
    &consents::FOR_OTHERS,
    &consents::DECIDE,
    &consents::LATE,
    &journal::REVOKED_ONE,
    &journal::ALL_REVOKED,
    &journal::REVOKED_FINGERPRINTS,
    &journal::COMPROMISED,
    &journal::GIVEN_NAMES,
    &journal::KEEP_NAME,
    &journal::REVOKE_KNOWN,
    &journal::REVOKE_LOST,
    &profiles::PROFILES,
    &profiles::PROFILE_KEYS,
    &profiles::PROFILE,
    &profiles::PROFILE_PUT,
    &profiles::PROFILE_REMOVE,
    &profiles::PROFILE_USERS,
    &profiles::LONGEST_PROFILE,
    &profiles::LONGEST_LEAF,
    &publication::CRL_BEFORE,
    &publication::PUT_CRL,
    &publication::REVOKED,
    &publication::ENDED_UNDER,
    &publication::CRLS,
    &publication::CRL,
    &publication::STANDINGS,
    &renewals::ORDER_RENEWALS,
    &renewals::RENEWED_HERE,
    &renewals::TO_RENEW,
    &renewals::PROGRESS,
    &requests::REQUEST,
    &requests::REQUESTS,
    &requests::END_REQUEST,
    &requests::REQUEST_KEYS,
    &requests::SET_REQUEST_KEY,
    &roots::SEALED_KEY,
    &roots::EXPORTED,
    &roots::TAKE_OFFLINE,
    &roots::OFFLINE,
    &roots::BROUGHT_LISTS,
    &rules::RULES,
    &rules::SET_RULES,
    &rules::REKEY,
    &secrets::SECRET,
    &secrets::SECRET_INSERT,
    &secrets::SECRETS,
    &secrets::SECRET_UPDATE,
    &serials::SERIALS_RESERVE,
    &serials::SERIALS_TAKE,
    &serials::SERIALS_OLD,
    &serials::SERIALS_DROP,
    &trust::NEXT_TRUST,
    &trust::LEAVES,
    &trust::CLAIMS,
    &trust::TRUST_SEQ,
    &trust::TOUCH_DEVICE,
    &trust::TOUCH_DEVICES,
    &trust::FIRST_USE,
    &trust::RETIRE_OLDER,
    &trust::SUPERSEDE,
    &trust::EXPIRE,
    &trust::REVIVE,
    &trust::DUE,
    &trust::UNUSED,
    &trust::OTHERS,
    &trust::FORSAKE,
    &unbooked::UNBOOKED_RESERVE,
    &unbooked::UNBOOKED_TAKE,
    &unbooked::UNBOOKED_GIVE_UP,
    &unbooked::UNBOOKED,
    &unbooked::KEY_IN_USE,
    &unbooked::UNBOOKED_DROP,
];
