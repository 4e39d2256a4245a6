//! Many devices suspended or resumed at once: all that a filter means, or none when those are more or fewer than were shown, or one of them can't be.
//! What a step means is in [`super::life`].

use super::{
    DeviceNo, Devices, Error,
    life::act,
    naming::{ByName, about},
    state::{action, goal, step},
    store,
    tagging::TOLD_AT_ONCE,
};
use crate::{
    access::{Actor, audit, may},
    bus::Event,
    db::{column, exec, rows},
};
use serde_json::json;
use wire::{
    devices::{StepMany, Stepped},
    states::{DeviceState, DeviceStep as Step},
};

impl Devices {
    /// Suspends or resumes every device that a selector means, or that is named, at most [`super::MOST_AT_ONCE`], all or nothing: [`Devices::change`] for
    /// each, with an entry of the audit log for each. `expected` is how many devices the caller has seen it mean; when it is another number by now, nothing
    /// happens. Devices that are where the step leads stay there.
    pub async fn change_many(&self, actor: &Actor, many: &StepMany) -> Result<Stepped, Error> {
        let StepMany { q, devices: named, step: by, expected } = many;
        let (by, word) = match by {
            Step::Suspend => (Step::Suspend, "device.suspend_many"),
            Step::Resume => (Step::Resume, "device.resume_many"),
            _ => {
                let text = "Only suspend and resume are done to many devices at once. Take the other steps one by one.";
                return Err(Error::invalid("step", text));
            }
        };
        may(actor, act(by))?;
        let now = self.clock.now();
        let whom = self.whom(&actor.org, q, named, ByName::Page).await?;
        let mut tx = self.db.write().await?;
        let found = self.found(&mut tx, &actor.org, &whom, *expected).await?;
        let all = column("device", found)?;
        let mut changed: Vec<(DeviceNo, String, DeviceState)> = Vec::new();
        for (device, known, state) in rows!(&mut tx, (i64, String, String), store::STATES_HELD, all.as_str())? {
            let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
            if state == goal(by) {
                continue;
            }
            if step(state, by).is_none() {
                let narrower = if by == Step::Suspend { DeviceState::Active } else { DeviceState::Suspended };
                let text = format!(
                    "{known} is {state}: {by} is not possible from there. Nothing was changed. Narrow the filter with state:{narrower}."
                );
                return Err(Error::invalid("q", text));
            }
            changed.push((device, known, state));
        }
        if changed.is_empty() {
            // Done before: nothing is written, the transaction ends here without a commit.
            return Ok(Stepped { devices: *expected, changed: 0 });
        }
        let those = column("device", changed.iter().map(|(device, ..)| *device))?;
        exec!(&mut tx, store::SET_STATES, those.as_str(), goal(by).as_str())?;
        self.pki.devices_changed(&mut tx, &those).await?;
        let about = about(q, named);
        let detail = json!({ "q": q, "named": named, "devices": expected, "changed": changed.len() });
        let mut deeds = vec![audit::Deed { actor, action: word, object: &about, detail }];
        for (_, known, was) in &changed {
            deeds.push(audit::Deed { actor, action: action(by), object: known, detail: json!({ "was": was }) });
        }
        audit::append_all(&mut tx, now, &deeds).await?;
        tx.commit().await?;
        // The in-memory trust state first: from here on no handshake passes that may not.
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        for some in changed.chunks(TOLD_AT_ONCE) {
            for (device, ..) in some {
                self.bus.tell(Event::Device { org: actor.org.clone(), device: *device });
            }
            tokio::task::yield_now().await;
        }
        Ok(Stepped { devices: *expected, changed: i64::try_from(changed.len()).unwrap_or(i64::MAX) })
    }
}
