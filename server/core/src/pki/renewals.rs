//! Orders to renew: which certificates they are of, when their devices are told, and how far those are. Who is asked is the `devices` room's.
//!
//! An order is data: each certificate has when it was ordered and when its device is told. Every instance has them in memory, in the order in which they are
//! due, and tells the channels that it has; so what is not told before a restart is told after it. It ends with the first use of a successor.

use super::{Error, Pki, authorities::Authority, profile::Kind, store};
use crate::{
    access::{Act, Actor, allowed},
    bus::Event,
    db::{Conn, Tx, list},
};
use serde::Serialize;
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, OrgId},
    pki::{RenewalProgress, common_name},
};

/// A device that is asked to renew.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct DueRenewal {
    /// Its number.
    pub device: i64,
    /// When it is told so, in Unix milliseconds.
    pub due: i64,
}

impl Pki {
    /// Whether an [order](Self::order_renewal) would be of anything now.
    pub(crate) async fn renewable(&self, on: &mut impl Conn, device: i64, now: Timestamp) -> Result<bool, Error> {
        Ok(store::renewable(on, device, now).await?)
    }

    /// Of which of these devices an order would be of anything now, whether they are asked already and have not renewed, and whether they ever had a channel,
    /// by which alone a device is told; `of` narrows it to an authority's certificates.
    pub(crate) async fn to_renew(
        &self,
        on: &mut impl Conn,
        devices: &[i64],
        of: Option<&AuthorityId>,
        now: Timestamp,
    ) -> Result<HashMap<i64, (bool, bool)>, Error> {
        Ok(store::to_renew(on, devices, of, now).await?)
    }

    /// An [order](Self::order_renewals) to one device, which is told at once. Refused where it would be of nothing.
    pub(crate) async fn order_renewal(&self, tx: &mut Tx, device: i64, now: Timestamp) -> Result<Vec<CertificateId>, Error> {
        let ordered = self.order_renewals(tx, &[DueRenewal { device, due: now.0 }], None, now).await?;
        if ordered.is_empty() {
            return Err(Error::NothingToRenew);
        }
        Ok(ordered)
    }

    /// Orders inside the caller's transaction that devices renew their certificates, whatever their age: those that they may connect with, that are
    /// renewed here and have no successor in use; `of` narrows it to an authority's. Gives which these are. After the commit call [`Pki::reload`]: a channel
    /// that is open on any instance is told when that is due, every other one when it opens after that.
    pub(crate) async fn order_renewals(
        &self,
        tx: &mut Tx,
        devices: &[DueRenewal],
        of: Option<&AuthorityId>,
        now: Timestamp,
    ) -> Result<Vec<CertificateId>, Error> {
        let seq = store::next_trust(tx).await?;
        let ordered = store::order_renewals(tx, &list(devices)?, of, (now, seq)).await?;
        ordered.iter().map(|id| id.parse::<CertificateId>().map_err(|e| Error::from(crate::db::Error::corrupt(e)))).collect()
    }

    /// Has the channels look of devices whose order has become due, so many as may be told by now; the worker asks for the others five times a second.
    pub(super) fn tell_due(&self) {
        for (org, device) in self.trust.due() {
            self.bus.tell(Event::Device { org, device });
        }
    }

    /// The authorities for devices of this organization that have this id or name.
    pub(crate) fn issuing_to_devices(&self, org: &OrgId, named: &str) -> Vec<AuthorityId> {
        let all = self.authorities.load();
        let of_devices = all.iter().filter(|a| a.org == *org && a.kind == Kind::DeviceAuthority);
        let found = of_devices.filter(|a| [a.id.as_str(), common_name(&a.subject), a.subject.as_str()].contains(&named));
        found.map(|a| a.id.clone()).collect()
    }

    /// How far the devices of an authority are with orders to renew; none where nothing of it is renewed.
    pub(super) async fn renewal_progress(
        &self,
        on: &mut impl Conn,
        actor: &Actor,
        a: &Authority,
    ) -> Result<Option<RenewalProgress>, Error> {
        if a.kind != Kind::DeviceAuthority || !a.trusted() {
            return Ok(None);
        }
        let (asked, waiting, told_by) = store::progress(on, &a.id, self.clock.now()).await?;
        let may_ask = allowed(actor, Act::EditDevices);
        Ok(Some(RenewalProgress { asked, renewed: asked - waiting, told_by: told_by.map(Timestamp), may_ask }))
    }
}
