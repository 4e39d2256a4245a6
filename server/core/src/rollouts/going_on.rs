//! A device goes on with what was taken back from it: it refuses to stop, or it had begun before it heard of that. Its update is under way again, in the stage
//! that runs, and is counted, timed out and judged as every other. Owns when that can be, and what a device answers to a cancellation; refuses to know what
//! its words mean, which is in [`hearing`](super::hearing).

use super::{
    Error, Rollouts,
    ddi::{Action, Answer, Notes},
    hearing::{Grounds, goes_on},
    reporting::{Word, moves, readable_lines},
    state::taken_back,
    store::{
        ddi,
        log::{self, NewLine},
        sent,
        updates::{self, Update},
    },
};
use crate::{Result, bus::Event, db::Tx, devices::DeviceNo};
use wire::{Timestamp, device::StatusReport, ids::UpdateId, states::UpdateState, updates::MOST_LINES};

/// What is kept of it for people until the device says more.
const GOES_ON: &str = "it was taken back, and its device goes on with it";

/// An update as a device's word finds it.
pub(super) struct Found {
    pub tx: Tx,
    pub update: Update,
    /// Its device goes on with it and it can't be under way again: its rollout has ended, or the device has another update.
    pub lost: bool,
}

/// What speaks for it that the device of an action goes on, whatever it says.
pub(super) fn grounds(action: Option<&Action>) -> Grounds {
    match action {
        Some(action) if action.cancel == Answer::Refused => Grounds::Refused,
        Some(action) if action.fetched => Grounds::Fetched,
        _ => Grounds::Word,
    }
}

impl Rollouts {
    /// The update that a device speaks of, held; under way again where the device goes on with what was taken back from it.
    pub(super) async fn found(&self, device: DeviceNo, report: &StatusReport, grounds: Grounds) -> Result<Found> {
        let mut tx = self.db.write().await?;
        let update = own(&mut tx, device, &report.update_id).await?;
        // One of several files is not the release.
        let half = grounds == Grounds::Fetched
            && report.state == UpdateState::Failed
            && taken_back(update.state)
            && !sent::shipment(&mut tx, device, &update.rollout).await?.was_fetched();
        let grounds = if half { Grounds::Word } else { grounds };
        if again(&update, report.state, grounds).is_none() {
            return Ok(Found { tx, update, lost: false });
        }
        // The rollout's row is taken before those of its updates.
        drop(tx);
        let mut tx = self.db.write().await?;
        let resumes = updates::resumes(&mut tx, &report.update_id, report.state > UpdateState::Downloaded).await?;
        let mut update = own(&mut tx, device, &report.update_id).await?;
        let to = again(&update, report.state, grounds);
        if let Some(to) = to.filter(|_| resumes) {
            update = take_up(&mut tx, &update, to, self.clock.now()).await?;
        }
        Ok(Found { tx, update, lost: to.is_some() && !resumes })
    }

    /// Keeps what a device said of an action beside its reports, without characters that control what is shown. Its first answer to a cancellation
    /// stands; one that refuses is under way again.
    pub async fn heard_ddi(&self, action: &Action, notes: Notes<'_>) -> Result<()> {
        let lines = readable_lines(notes.lines);
        let answers = notes.answer != Answer::Awaited && action.cancel == Answer::Awaited;
        let news = answers || notes.last && !action.closed || notes.fetched && !action.fetched;
        if lines.is_empty() && !news {
            return Ok(());
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let resumes = answers && notes.answer == Answer::Refused && updates::resumes(&mut tx, &action.update, false).await?;
        if !lines.is_empty() {
            let said: Vec<_> = lines.iter().map(|line| NewLine::new(&action.org, &action.update, now, line)).collect();
            log::say(&mut tx, &said).await?;
            log::trim(&mut tx, &action.update, MOST_LINES).await?;
        }
        if news {
            ddi::note(&mut tx, action.number, notes).await?;
        }
        let resumed = if resumes { refused(&mut tx, action, now).await? } else { None };
        tx.commit().await?;
        if let Some(update) = resumed {
            self.bus.tell(Event::Rollout { org: update.org.clone(), id: update.rollout });
            self.bus.tell(Event::Device { org: update.org, device: update.device });
        }
        Ok(())
    }
}

/// The update of an action whose cancellation its device has refused, under way again; none when another answer stands.
async fn refused(tx: &mut Tx, action: &Action, now: Timestamp) -> Result<Option<Update>> {
    let stands = ddi::action(tx, action.device, action.number).await?.is_some_and(|action| action.cancel == Answer::Refused);
    let Some(update) = updates::update(tx, &action.update).await?.filter(|_| stands) else { return Ok(None) };
    let Some(to) = again(&update, UpdateState::Downloading, Grounds::Refused) else { return Ok(None) };
    let line = NewLine { state: Some(to.as_str()), ..NewLine::new(&action.org, &action.update, now, "") };
    log::say(tx, &[line]).await?;
    Ok(Some(take_up(tx, &update, to, now).await?))
}

/// A device's own update. Somebody else's is not found.
async fn own(tx: &mut Tx, device: DeviceNo, id: &UpdateId) -> Result<Update> {
    Ok(updates::update(tx, id).await?.filter(|update| update.device == device).ok_or(Error::NotFound("update"))?)
}

/// The state in which an update goes on by this word. An attempt that another one took over from is history.
fn again(update: &Update, word: UpdateState, grounds: Grounds) -> Option<UpdateState> {
    goes_on(update.state, update.furthest(), word, grounds).filter(|_| update.latest)
}

async fn take_up(tx: &mut Tx, update: &Update, to: UpdateState, now: Timestamp) -> Result<Update> {
    let deadline = now.plus(update.timeout_ms);
    moves(tx, update, Word { to, progress: None, code: "", detail: GOES_ON, deadline, unproven: false }, now).await?;
    own(tx, update.device, &update.id).await
}
