//! Devices that are ordered to renew their certificates now: one, or all that a selector means. Which certificates those are, and how a device is told
//! when that is due, is the `pki` room's.

use super::{
    Away, DeviceNo, Devices, Error,
    naming::{ByName, Whom, about},
    renewal_orders::{self, Given},
    store, telling,
};
use crate::{
    access::{Act, Actor, audit, may},
    db::row,
    pki,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{AuthorityId, DeviceId, RenewalOrderId},
    pki::{ManyRenewals, RenewMany, RenewalOrder},
    states::DeviceState,
};

/// Devices that one order asks at most; given again, it asks the next ones.
const MOST_ASKED: usize = if cfg!(test) { 7 } else { 100_000 };
/// Devices that are looked at together, and those that are asked in one transaction: others get their turn in between.
const TOGETHER: (usize, usize) = if cfg!(test) { (3, 2) } else { (5_000, 1_000) };

/// What an order finds.
struct Found {
    /// Those that it asks, by number.
    asked: Vec<DeviceNo>,
    /// The same in numbers, with those that it leaves out.
    counts: ManyRenewals,
}

impl Devices {
    /// Orders that a device renews, whatever the age of its certificate: it may keep its key, where the rules let it. One that is on its channel is told
    /// at once, also by another instance; every other one when its channel opens, until it has used a new certificate. May be said again. A suspended
    /// device is refused: nothing of it is renewed until it is resumed.
    pub async fn order_renewal(&self, actor: &Actor, device_id: &DeviceId) -> Result<RenewalOrder, Error> {
        may(actor, Act::EditDevices)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = store::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let lower = device_id.as_str().to_lowercase();
        let held = row!(&mut tx, (i64, String, String), store::BY_ID, actor.org.as_str(), lower)?;
        if let Some((_, known, _)) = held.filter(|(_, _, state)| state == DeviceState::Suspended.as_str()) {
            return Err(Error::NotActive(Away::Suspended(known)));
        }
        let certificates = self.pki.order_renewal(&mut tx, device, now).await?;
        audit::append(&mut tx, actor, now, "device.renew", device_id.as_str(), &json!({ "certificates": certificates })).await?;
        tx.commit().await?;
        self.pki.reload().await?;
        Ok(RenewalOrder { device_id: device_id.clone(), ordered_at: now, certificates })
    }

    /// What [`Devices::order_renewals`] would do now, for those who may order it; it changes nothing.
    pub async fn preview_renewals(&self, actor: &Actor, many: &RenewMany) -> Result<ManyRenewals, Error> {
        may(actor, Act::EditDevices)?;
        let (q, of) = self.meant(actor, many)?;
        let whom = self.whom(&actor.org, q, &many.devices, ByName::Page).await?;
        self.all_known(&actor.org, &whom).await?;
        Ok(self.to_ask(actor, &whom, (of.as_ref(), many.minutes), self.clock.now()).await?.counts)
    }

    /// Orders that every device renews that a selector means, or that is named: [`Devices::order_renewal`] for each, one after the other over so many
    /// minutes. Left out are those that are suspended, that have nothing to renew here, that are asked already, and that never had a channel to be told by;
    /// so an order that is for more than one takes is given again for the rest. `expected` is how many devices the caller was told that it means; when it is
    /// another number by now, nothing happens, as where a name is no device's. An entry of the audit log for all of them, with the numbers; none where nobody
    /// is asked. Once it is given it is carried out to its end, whatever becomes of the caller or of this server ([`Devices::carry_on_renewals`]).
    pub async fn order_renewals(&self, actor: &Actor, many: &RenewMany) -> Result<ManyRenewals, Error> {
        let (counts, order) = self.give_order(actor, many).await?;
        if let Some(order) = order
            && let Err(e) = self.carry_out(&order).await
        {
            tracing::warn!(error = %e, "an order to renew was given and is not carried out yet; the worker goes on with it");
        }
        Ok(counts)
    }

    /// Gives an order to many and asks the first of them; which order that is, where anybody is asked.
    pub(super) async fn give_order(&self, actor: &Actor, many: &RenewMany) -> Result<(ManyRenewals, Option<RenewalOrderId>), Error> {
        may(actor, Act::EditDevices)?;
        let text = "Say how many devices the order is about, as its preview tells: it is refused when that is another number by now.";
        let expected = many.expected.ok_or_else(|| Error::invalid("expected", text))?;
        let now = self.clock.now();
        let (q, of) = self.meant(actor, many)?;
        let of = of.as_ref();
        let whom = self.whom(&actor.org, q, &many.devices, ByName::Page).await?;
        self.all_known(&actor.org, &whom).await?;
        let Found { asked, counts } = self.to_ask(actor, &whom, (of, many.minutes), now).await?;
        self.as_expected(&actor.org, &whom, (expected, counts.devices))?;
        if asked.is_empty() {
            return Ok((counts, None));
        }
        let about = of.map_or_else(|| about(q, &many.devices), AuthorityId::to_string);
        let given = Given { about: &about, of, minutes: counts.minutes, at: now };
        let order: RenewalOrderId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        renewal_orders::keep(&mut tx, actor, &order, &given, (&asked, TOGETHER.1)).await?;
        self.ask_next(&mut tx, &order, now).await?;
        let detail = json!({ "q": q, "named": many.devices, "authority": of, "order": counts });
        audit::append(&mut tx, actor, now, "device.renew_many", &about, &detail).await?;
        tx.commit().await?;
        Ok((counts, Some(order)))
    }

    /// Looks through all that are meant, some at a time: which of them an order asks, and why the others are left out.
    async fn to_ask(
        &self,
        actor: &Actor,
        whom: &Whom<'_>,
        (of, over): (Option<&AuthorityId>, Option<u32>),
        now: Timestamp,
    ) -> Result<Found, Error> {
        let still = renewal_orders::still_to_ask(&mut self.db.read().await?, &actor.org, of).await?;
        let (mut asked, mut after) = (Vec::new(), 0);
        let (mut suspended, mut nothing_to_renew, mut already_asked, mut no_channel, mut for_later) = (0, 0, 0, 0, 0);
        loop {
            let some = self.next_of(&actor.org, whom, (after, TOGETHER.0)).await?;
            let Some((last, _)) = some.last() else { break };
            after = *last;
            let numbers: Vec<DeviceNo> = some.iter().map(|(device, _)| *device).collect();
            let renewed_here = self.pki.to_renew(&mut self.db.read().await?, &numbers, of, now).await?;
            for (device, state) in some {
                match (renewed_here.get(&device), state) {
                    // Only those are meant that have a certificate of it.
                    (None, _) if of.is_some() => {}
                    (_, DeviceState::Suspended) => suspended += 1,
                    (None, _) => nothing_to_renew += 1,
                    (Some((true, _)), _) => already_asked += 1,
                    _ if still.contains(&device) => already_asked += 1,
                    // Nothing would tell it, and the order would stand for ever.
                    (Some((false, false)), _) => no_channel += 1,
                    (Some((false, true)), _) if asked.len() == MOST_ASKED => for_later += 1,
                    (Some((false, true)), _) => asked.push(device),
                }
            }
        }
        let to_tell = i64::try_from(asked.len()).unwrap_or(i64::MAX);
        let minutes = telling::minutes(over, to_tell)?;
        let counts = ManyRenewals {
            devices: to_tell + suspended + nothing_to_renew + already_asked + no_channel + for_later,
            asked: to_tell,
            suspended,
            nothing_to_renew,
            already_asked,
            no_channel,
            for_later,
            minutes,
            told_by: telling::due(now, minutes, (to_tell - 1, to_tell)).max(now),
        };
        Ok(Found { asked, counts })
    }

    /// The selector of an order, and the authority whose devices alone are meant. Nobody is asked by a list that happened to be empty.
    fn meant<'a>(&self, actor: &Actor, many: &'a RenewMany) -> Result<(&'a str, Option<AuthorityId>), Error> {
        let of = many.authority.as_deref().map(|named| self.issuing(actor, named)).transpose()?;
        let text = "Say which devices: `q`, a selector, where \"\" means all of them, or `devices`, the ids of some.";
        match &many.q {
            Some(q) => Ok((q, of)),
            None if many.devices.is_empty() => Err(Error::invalid("q", text)),
            None => Ok(("", of)),
        }
    }

    /// The authority that an order names, by its id or its name.
    fn issuing(&self, actor: &Actor, named: &str) -> Result<AuthorityId, Error> {
        let mut found = self.pki.issuing_to_devices(&actor.org, named);
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => {
                Err(Error::invalid("authority", "More than one authority has this name. Give the id of the one that is meant."))
            }
            (None, _) => Err(pki::Error::NoSuchAuthority.into()),
        }
    }
}
