//! A device asks whether there is something for it: of the rollouts that may have something, the first that [`admission`](super::admission) lets it in makes
//! its row. Owns the offer and its repetition; refuses to know which rules there are.

use super::{
    Rollouts,
    admission::{Check, Ends, Had, Time},
    admitting::{Admitted, Asking, Stop},
    confirming::Agreement,
    course::may_install,
    sending::Fetching,
    store::{
        deltas, freezes,
        offers::{self, NewUpdate},
        turns::{self, Open},
        updates,
    },
    throttle::full,
    timing::{Terms, Timing},
};
use crate::{
    Result,
    bus::Event,
    db::{self, Conn, Read},
    devices::{DeviceNo, pins, store as devices},
    releases::{self, RolloutRelease},
};
use std::collections::HashMap;
use wire::{
    Timestamp,
    device::{ARTIFACTS, Delta, Download, Offer},
    ids::{Digest, OrgId, RolloutId, UpdateId},
    states::{DeviceState, UpdateState},
};

/// How a device asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// By the native protocol: who asks somebody before an update says so.
    Native,
    /// By hawkBit's, where the server asks.
    Hawkbit,
}

/// What stands for a device that was told something before.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingOffer {
    /// What is on offer now.
    pub offer: Option<Offer>,
    /// The device has not said a word on that offer yet.
    pub not_begun: bool,
    /// The update it was told of was taken back.
    pub taken_back: bool,
}

impl Rollouts {
    /// What is on offer for a device. Repeating the question gives the same offer while the update is open; a device has at most one.
    pub async fn poll(&self, device: DeviceNo) -> Result<Option<Offer>> {
        self.offered(device, Speaks::Native).await
    }

    /// The same for a device that asks like this.
    pub(super) async fn offered(&self, device: DeviceNo, speaks: Speaks) -> Result<Option<Offer>> {
        Ok(self.ask(device, speaks).await?.map(|(offer, _)| offer))
    }

    /// What is on offer for a device, and what became of the update it was told of before. Asked again and again it misses nothing that was
    /// taken back, whichever instance did it.
    pub async fn standing(&self, device: DeviceNo, told: Option<&UpdateId>) -> Result<StandingOffer> {
        let taken_back = match told {
            Some(told) => {
                let state = turns::state_of(&mut self.db.read().await?, device, told).await?;
                matches!(state, Some(UpdateState::Cancelled | UpdateState::Superseded))
            }
            None => false,
        };
        let (offer, state) = self.ask(device, Speaks::Native).await?.unzip();
        Ok(StandingOffer { offer, not_begun: state == Some(UpdateState::Offered), taken_back })
    }

    async fn ask(&self, device: DeviceNo, speaks: Speaks) -> Result<Option<(Offer, UpdateState)>> {
        let now = self.clock.now();
        if self.idle.knows(device, now) {
            return Ok(None);
        }
        let look = self.idle.look(device, now);
        let mut on = self.db.read().await?;
        let open = turns::open_of(&mut on, device).await?;
        if let Some(open) = open.as_ref().filter(|open| open.begun()) {
            return self.repeated(on, device, open.clone()).await;
        }
        let Some((org, _)) = devices::name(&mut on, device).await? else { return Ok(None) };
        let Some(facts) = devices::facts(&mut on, device, now).await? else { return Ok(None) };
        if facts.state != DeviceState::Active.as_str() {
            return match open {
                Some(open) => self.repeated(on, device, open).await,
                None => Ok(None),
            };
        }
        let mut candidates = turns::candidates(&mut on, &org, &facts.device_type, facts.sequence, now).await?;
        // What is on offer and not begun stays, unless something newer takes the device over.
        candidates.retain(|candidate| open.as_ref().is_none_or(|open| candidate.takes_over(open)));
        let frosts = if candidates.is_empty() { Vec::new() } else { freezes::not_over(&mut on, &org, now).await? };
        drop(on);
        let asking = Asking { org: &org, device, facts: &facts, open: open.as_ref(), frosts: &frosts, speaks, now };
        // Whether it is kept back by what may end at any moment, and otherwise when the first of what keeps it back ends by itself.
        let (mut meant, mut wake) = (false, None::<Timestamp>);
        for candidate in candidates {
            let admitted = match self.admitted(&candidate, &asking).await {
                Ok(admitted) => admitted,
                Err(Stop::Bar(bar)) => {
                    match bar.ends() {
                        Ends::ByChange => {}
                        Ends::At(at) => wake = wake.into_iter().chain([at]).min(),
                        Ends::AnyMoment => meant = true,
                    }
                    continue;
                }
                Err(Stop::Failed(failed)) => return Err(failed),
            };
            meant = true;
            if let Some(offer) = self.offer(&admitted, device, open.as_ref()).await? {
                return Ok(Some((offer, UpdateState::Offered)));
            }
            // Somebody else was faster with the same question: the offer is theirs, whichever rollout it is of. Otherwise the rollout was
            // paused just now, and the next one has its turn.
            let mut on = self.db.read().await?;
            if let Some(now_open) = turns::open_of(&mut on, device).await?
                && open.as_ref().is_none_or(|open| open.id != now_open.id)
            {
                return self.repeated(on, device, now_open).await;
            }
        }
        if open.is_some() {
            let mut on = self.db.read().await?;
            return match turns::open_of(&mut on, device).await? {
                Some(open) => self.repeated(on, device, open).await,
                None => Ok(None),
            };
        }
        if !meant {
            self.idle.keep(device, look.until(wake));
        }
        Ok(None)
    }

    /// The offer of an open update once more, with its window as it is now. A device that has not begun, and would not wait by itself, finds nothing
    /// while its window is closed or a freeze holds; what it has begun goes on.
    async fn repeated(&self, mut on: Read, device: DeviceNo, open: Open) -> Result<Option<(Offer, UpdateState)>> {
        let terms = self.terms_of(&mut on, &open.org, device, &open.timing).await?;
        let held = open.state <= UpdateState::AwaitingConfirmation && !terms.may_begin();
        // Who asks is there: while it has to wait, its silence does not count.
        let now = self.clock.now();
        let counts_from = if held { terms.wake().unwrap_or(now) } else { terms.waits_from(open.state) };
        let deadline = counts_from.plus(open.timeout_ms);
        let offer = if held { None } else { offer_of(&mut on, device, &open, &terms).await? };
        drop(on);
        if counts_from > now && open.deadline < deadline {
            let mut tx = self.db.write().await?;
            updates::alive(&mut tx, &open.id, deadline).await?;
            tx.commit().await?;
        }
        Ok(offer)
    }

    /// How a plan's times stand for a device.
    pub(super) async fn terms_of(&self, on: &mut impl Conn, org: &OrgId, device: DeviceNo, timing: &Timing) -> Result<Terms, db::Error> {
        let now = self.clock.now();
        let frosts = freezes::not_over(on, org, now).await?;
        let attributes = match &timing.window {
            Some(_) => devices::facts(on, device, now).await?.unwrap_or_default().attributes,
            None => std::collections::BTreeMap::new(),
        };
        Ok(Terms::of(timing, &attributes, &frosts, now))
    }

    /// Makes the offer, taking over from `open`; none, and nothing is changed, when in the meantime somebody paused the rollout or was faster, or as many
    /// devices update as the plan allows at once.
    async fn offer(&self, admitted: &Admitted, device: DeviceNo, open: Option<&Open>) -> Result<Option<Offer>> {
        let (Admitted { record, facts, .. }, mut known) = (admitted, admitted.known);
        let (org, rollout) = (&record.org, &record.id);
        let now = self.clock.now();
        let Some(release) = releases::for_rollout(&mut self.db.read().await?, org, &record.release).await? else { return Ok(None) };
        let mut tx = self.db.write().await?;
        let Some(held) = offers::hold_rollout(&mut tx, record).await? else { return Ok(None) };
        let last = turns::last_in(&mut tx, rollout, device).await?;
        if let Some(open) = open
            && !turns::supersede(&mut tx, open, now).await?
        {
            return Ok(None);
        }
        let frosts = freezes::not_over(&mut tx, org, now).await?;
        let terms = Terms::of(&Timing::of(&record.spec), &facts.attributes, &frosts, now);
        known.doors = Some(held.doors);
        known.had = Some(last.as_ref().map_or(Had::Nothing, turns::Last::had));
        known.time = Some(Time::from(&terms));
        known.room = Some(full(&record.spec, offers::crowd(&mut tx, record, device, now).await?).is_none());
        if known.let_in(&Check::HELD, now).is_err() {
            return Ok(None);
        }
        let deadline = terms.waits_from(UpdateState::Offered).plus(held.timeout_ms);
        let id: UpdateId = self.entropy.id(now);
        let new = NewUpdate {
            id: &id,
            org,
            rollout,
            device,
            stage: i64::from(held.doors.stage),
            from_version: &facts.version,
            attempts: last.as_ref().map_or(0, turns::Last::tried) + 1,
            deadline,
            after: last.as_ref(),
            newcomer: last.is_none() && device > held.last_device,
        };
        if !offers::offer(&mut tx, &new, now).await? {
            return Ok(None);
        }
        devices::set_update(&mut tx, device, UpdateState::Offered.as_str()).await?;
        // Its row is held now, as by whoever pins it: one that was pinned meanwhile is seen here, and who pins it later sees the offer.
        if pins::of(&mut tx, device).await?.is_some() {
            return Ok(None);
        }
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: org.clone(), id: rollout.clone() });
        self.bus.tell(Event::Device { org: org.clone(), device });
        if let Some(open) = open {
            self.bus.tell(Event::Rollout { org: org.clone(), id: open.rollout.clone() });
            self.bus.tell(Event::Cancelled { org: org.clone(), device, update: open.id.clone() });
        }
        let mut on = self.db.read().await?;
        let made = offer(&mut on, device, (id, rollout.clone()), release, deadline, &terms).await?;
        Ok(Some(Offer { needs_confirmation: known.agreement == Some(Agreement::AtDevice), ..made }))
    }

    /// For which update a device may fetch an artifact: only what its open update is made of, a delta to that, and not after a recall.
    pub async fn may_download(&self, device: DeviceNo, artifact: &Digest) -> Result<Option<Fetching>> {
        Ok(updates::fetching(&mut self.db.read().await?, device, artifact).await?)
    }

    /// Bytes flow to a device that has to wait for its turns: so slow is not silent.
    pub async fn downloads_on(&self, device: DeviceNo) -> Result<()> {
        let mut tx = self.db.write().await?;
        updates::downloads_on(&mut tx, device, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }
}

/// The offer behind an open update; none when its release was recalled.
async fn offer_of(on: &mut impl Conn, device: DeviceNo, open: &Open, terms: &Terms) -> Result<Option<(Offer, UpdateState)>, db::Error> {
    let Some(release) = releases::for_rollout(on, &open.org, &open.release).await? else { return Ok(None) };
    if !may_install(release.state) {
        return Ok(None);
    }
    // Who has begun was told, or needed no telling.
    let asks = open.asks && open.state <= UpdateState::AwaitingConfirmation;
    let made = offer(on, device, (open.id.clone(), open.rollout.clone()), release, open.deadline, terms).await?;
    Ok(Some((Offer { needs_confirmation: asks, ..made }, open.state)))
}

/// The offer, with the deltas that start from what the device runs.
async fn offer(
    on: &mut impl Conn,
    device: DeviceNo,
    (update_id, rollout_id): (UpdateId, RolloutId),
    release: RolloutRelease,
    deadline: Timestamp,
    terms: &Terms,
) -> Result<Offer, db::Error> {
    let mut shorter: HashMap<Digest, Delta> = deltas::to_device(on, device, &release.row.id).await?.into_iter().collect();
    let download = |p: wire::manifest::Payload| Download {
        path: format!("{ARTIFACTS}{}", p.sha256),
        delta: shorter.remove(&p.sha256),
        sha256: p.sha256,
        size: p.size,
    };
    let downloads = release.manifest.payloads.into_iter().map(download).collect();
    Ok(Offer {
        install_from: terms.opening.map(|o| o.from),
        install_until: terms.opening.map(|o| o.until),
        download_only: terms.download_only,
        soft: terms.soft,
        key_set: release.key_set,
        // Who hands it over has it signed for the device.
        ..Offer::new(update_id, rollout_id, release.envelope, downloads, deadline)
    })
}
