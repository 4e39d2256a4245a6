//! Orders to renew: of one device, of many, and how far an authority's devices are with them.

use crate::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId},
};
use serde::{Deserialize, Serialize};

/// Longest time over which the devices of one order are told, in minutes: a week.
pub const MAX_RENEWAL_MINUTES: u32 = 7 * 24 * 60;

/// An order to renew, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewalOrder {
    /// The device.
    pub device_id: DeviceId,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// Which of its certificates are to be renewed: the one it connects with, and one that it was given and has not used.
    pub certificates: Vec<CertificateId>,
}

/// An order that every device renews that a selector means, or that is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewMany {
    /// The selector; `""` means every device that is not decommissioned. It has to be said, unless `devices` names some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// These devices instead of a selector, at most 200. Where one of them is not there, nobody is asked; one that is named twice counts once.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
    /// Of these only the devices that have a certificate of this authority to renew, and of theirs only that one: its id, or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Over how many minutes they are told, one after the other, at most a week; 0 is at once. Unless given, a hundred a second are told; more than 300 a
    /// second never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// How many devices that are, as the preview told; another number by now is a conflict. An order needs it, a preview does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<i64>,
}

/// What an order that many devices renew does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManyRenewals {
    /// Devices that are meant.
    pub devices: i64,
    /// Those of them that are asked.
    pub asked: i64,
    /// Left out because they are suspended: nothing of them is renewed until they are resumed.
    pub suspended: i64,
    /// Left out because nothing of them is renewed here: they have no certificate that they may connect with, or it is of an owner's authority.
    pub nothing_to_renew: i64,
    /// Left out because they are asked already, and have not used a new certificate.
    pub already_asked: i64,
    /// Left out because they never had a channel, by which alone a device is told: clients of EST and of hawkBit, which renew by themselves, and devices that
    /// have not connected yet.
    pub no_channel: i64,
    /// Left out because one order asks 100,000 devices at most: give it again for them.
    pub for_later: i64,
    /// Over how many minutes they are told; 0 is at once.
    pub minutes: u32,
    /// When the last one is told at the latest, if the order is given now; one that is not connected is told when it is.
    pub told_by: Timestamp,
}

/// An order that many devices renew which is being carried out: whom it asks is settled, and each of them is reached one after the other, also after a
/// restart of the server. One that has reached all is in the audit log alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewalUnderWay {
    /// Whom it is about, as the audit log says it: a selector, devices by their names, or an authority.
    pub about: String,
    /// The authority whose certificates alone are renewed.
    pub authority: Option<AuthorityId>,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// Who gave it.
    pub ordered_by: String,
    /// Devices that it asks.
    pub asked: i64,
    /// Those of them that it has reached: it is settled when they are told, or they were left out because they were suspended, were asked otherwise or had
    /// nothing to renew any more.
    pub reached: i64,
}

/// How far the devices of an authority are with the orders that they renew: of those whose certificate of it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewalProgress {
    /// Devices that were asked.
    pub asked: i64,
    /// Those of them that have used a new certificate since.
    pub renewed: i64,
    /// When the last one of the others is told, or was told, if it was connected.
    pub told_by: Option<Timestamp>,
    /// Whether the caller may ask more of them.
    pub may_ask: bool,
}
