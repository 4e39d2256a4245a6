//! A device says how its update goes.

use super::{
    Error, Rollouts, confirming,
    ddi::{Action, Notes},
    going_on::{Found, grounds},
    hearing::{Brings, Heard, Proof, UNPROVEN, hear},
    proving, retry,
    state::Class,
    store::{
        courses, ddi,
        log::{self, NewLine},
        records, sent,
        updates::{self, Moved, Update},
    },
};
use crate::{
    Result,
    bus::Event,
    db::{self, Tx},
    devices::{DeviceNo, store as devices},
    text::spaced,
};
use wire::{
    Timestamp,
    device::{Running, StatusReport},
    rollouts::Counts,
    states::UpdateState,
    updates::MOST_LINES,
};

/// Most characters that are kept of a line in which a device says how it goes.
pub const MAX_DETAIL: usize = 1000;
/// Most characters of a code that are kept.
const MAX_CODE: usize = 64;

impl Rollouts {
    /// Takes a device's word on its update and answers with the state as it is now. May be repeated; late words change nothing. What the
    /// device says it runs is noted. Somebody else's update is not found.
    pub async fn report(&self, device: DeviceNo, report: StatusReport) -> Result<UpdateState> {
        Box::pin(self.heard(device, report, (None, None))).await
    }

    /// The same of a protocol in which what a device says to it are lines, the oldest first: these are kept one by one, and the report's own line for
    /// people only stands with the update.
    pub async fn report_in_lines(&self, device: DeviceNo, report: StatusReport, lines: &[String]) -> Result<UpdateState> {
        Box::pin(self.heard(device, report, (Some(lines), None))).await
    }

    /// The same of hawkBit's protocol, on an action. It has no word for what runs, so that a success counts for what the device fetched, or was known to
    /// run before; otherwise the update is verifying, the action is closed, and the device is asked what it is.
    pub async fn report_on_action(&self, action: &Action, report: StatusReport, lines: &[String]) -> Result<UpdateState> {
        Box::pin(self.heard(action.device, report, (Some(lines), Some(action)))).await
    }

    async fn heard(
        &self,
        device: DeviceNo,
        report: StatusReport,
        (lines, action): (Option<&[String]>, Option<&Action>),
    ) -> Result<UpdateState> {
        let report = readable(report);
        let now = self.clock.now();
        let Found { mut tx, update, lost } = self.found(device, &report, grounds(action)).await?;
        let runs = match &report.firmware {
            Some(runs) => {
                let sequence = i64::try_from(runs.sequence).map_err(|_| Error::invalid("firmware.sequence", "Use at most 63 bits."))?;
                devices::set_firmware(&mut tx, device, &runs.version, sequence).await?;
                runs.clone()
            }
            None => known(&mut tx, device, now).await?,
        };
        let has_it = update.timing.download_only && matches!(report.state, UpdateState::Downloaded | UpdateState::Succeeded);
        let delivered = has_it && sent::shipment(&mut tx, device, &update.rollout).await?.is_there();
        let proof = match action {
            Some(action) if report.state == UpdateState::Succeeded => proving::proof(&mut tx, action, &update.rollout).await?,
            _ => Proof::Running,
        };
        let heard = if lost && report.state == UpdateState::Failed {
            // As its success would: both are told, though nothing is judged by them any more.
            let (code, detail) = (report.code.clone().unwrap_or_default(), report.detail.clone().unwrap_or_default());
            Heard::Moves { to: report.state, code, detail }
        } else if update.latest {
            hear(update.state, &report, &runs, Brings { delivered, proof, ..brings(&update) })?
        } else {
            // An attempt that another one took over from is history.
            Heard::Late
        };
        let deferred = confirming::deadline(&mut tx, &update.id, &report, now, update.timeout_ms).await?;
        // What waits for its window does not time out meanwhile.
        let counts_from = match update.timing.window {
            Some(_) => self.terms_of(&mut tx, &update.org, device, &update.timing).await?.waits_from(report.state),
            None => now,
        };
        let deadline = counts_from.plus(update.timeout_ms).max(deferred);
        let progress = report.progress.map(i64::from);
        let moved = matches!(heard, Heard::Moves { .. } | Heard::Holds);
        keep(&mut tx, &update, (&report, lines), moved, now).await?;
        let state = match heard {
            Heard::Late => {
                if let Some(action) = action.filter(|_| update.latest && proof == Proof::Owed) {
                    claims(&mut tx, &update, action).await?;
                }
                update.state
            }
            Heard::Holds => {
                let until = update.steps.deadline(UpdateState::Verifying, now).map_or(deadline, |step| step.min(deadline));
                let detail = proving::owes(&update.version, update.sequence, until);
                let word = Word { to: UpdateState::Verifying, progress, code: UNPROVEN, detail: &detail, deadline, unproven: true };
                moves(&mut tx, &update, word, now).await?;
                if let Some(action) = action {
                    claims(&mut tx, &update, action).await?;
                }
                UpdateState::Verifying
            }
            Heard::Again => {
                if !update.state.finished() && !update.unproven {
                    updates::progress(&mut tx, &update.id, progress, report.detail.as_deref().unwrap_or_default(), deadline, now).await?;
                }
                update.state
            }
            Heard::Moves { to, code, detail } => {
                moves(&mut tx, &update, Word { to, progress, code: &code, detail: &detail, deadline, unproven: false }, now).await?;
                if to == UpdateState::Succeeded && proof == Proof::Fetched && !update.timing.download_only {
                    devices::set_firmware(&mut tx, device, &update.version, update.sequence).await?;
                }
                to
            }
        };
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: update.org.clone(), id: update.rollout });
        self.bus.tell(Event::Device { org: update.org, device });
        Ok(state)
    }
}

/// Keeps what a device says of an update: as lines where there are some, the last of which has its code and progress, or as one line. The same word
/// again, whatever its progress, leaves nothing new.
async fn keep(
    tx: &mut Tx,
    update: &Update,
    (report, lines): (&StatusReport, Option<&[String]>),
    moved: bool,
    now: Timestamp,
) -> Result<(), db::Error> {
    let lines = lines.map_or_else(|| vec![report.detail.clone().unwrap_or_default()], readable_lines);
    let lines = if lines.is_empty() { vec![String::new()] } else { lines };
    let state = Some(report.state.as_str());
    let mut said: Vec<_> = lines.iter().map(|line| NewLine { state, ..NewLine::new(&update.org, &update.id, now, line) }).collect();
    if let Some(last) = said.last_mut() {
        last.code = report.code.as_deref().unwrap_or_default();
        last.progress = report.progress.map(i64::from);
    }
    if let [only] = &*said
        && log::repeats(tx, only).await?
    {
        return Ok(());
    }
    log::say(tx, &said).await?;
    // An update moves a few times in its life: one line each needs no bound.
    if !moved || said.len() > 1 {
        log::trim(tx, &update.id, MOST_LINES).await?;
    }
    Ok(())
}

/// A device says that it succeeded, and nothing speaks for it: its action is closed with that, and it is asked what it is. Not again when it says so again,
/// and not where its answer would change nothing.
async fn claims(tx: &mut Tx, update: &Update, action: &Action) -> Result<()> {
    if action.claims() || update.unproven || update.state.finished() && update.state != UpdateState::TimedOut {
        return Ok(());
    }
    ddi::note(tx, action.number, Notes { last: true, ..Notes::default() }).await?;
    Ok(devices::ask_anew(tx, action.device).await?)
}

/// What the release of an update brings; whether that was delivered, and what a success rests on, are other questions.
pub(super) fn brings(update: &Update) -> Brings<'_> {
    Brings {
        version: &update.version,
        sequence: update.sequence,
        download_only: update.timing.download_only,
        delivered: false,
        proof: Proof::Running,
    }
}

/// What moves an update.
pub(super) struct Word<'a> {
    pub to: UpdateState,
    pub progress: Option<i64>,
    pub code: &'a str,
    pub detail: &'a str,
    pub deadline: Timestamp,
    /// Its device says that it succeeded, and has to prove it.
    pub unproven: bool,
}

/// Moves an update, the counts of its stage, and what is noted with its device.
pub(super) async fn moves(tx: &mut Tx, update: &Update, word: Word<'_>, now: Timestamp) -> Result<()> {
    let Word { to, progress, code, detail, deadline, unproven } = word;
    let stage = count(tx, update, to).await?;
    let retry_at = retry_at(tx, update, to, now).await?;
    let step_deadline = update.steps.deadline(to, now);
    let set_aside = !to.finished() && update.set_aside();
    let moved = Moved { to, stage, progress, code, detail, deadline, retry_at, step_deadline, unproven, set_aside };
    updates::move_to(tx, &update.id, &moved, now).await?;
    Ok(devices::set_update(tx, update.device, to.as_str()).await?)
}

/// When a device that ended like this is offered the release again by itself.
async fn retry_at(tx: &mut Tx, update: &Update, to: UpdateState, now: Timestamp) -> Result<Option<Timestamp>> {
    if !matches!(Class::of(to), Class::Failed | Class::Reverted | Class::Rejected) {
        return Ok(None);
    }
    // What was taken back from a device for good stays so, however it ends there: only a person has it tried again.
    if update.set_aside() {
        return Ok(None);
    }
    let record = records::record(tx, &update.org, &update.rollout).await?;
    Ok(record.and_then(|r| retry::at(r.spec.retry.as_ref(), to, update.attempts, now)))
}

/// Moves the update between the classes of its stage, and says which stage that is: one that waited to be tried again moves to the stage
/// that runs, because that is where it was counted.
async fn count(tx: &mut Tx, update: &Update, to: UpdateState) -> Result<i64> {
    let mut delta = Counts::default();
    let (from, to) = (Class::of(update.state), Class::of(to));
    if update.again {
        updates::take_waiting(tx, &update.rollout, update.current).await?;
        to.add(&mut delta, 1);
        delta.total -= 1;
        updates::shift(tx, &update.rollout, update.current, &delta).await?;
        return Ok(update.current);
    }
    if from != to {
        // Whoever goes on with what was taken back is under way, and that is in the stage that runs.
        if to == Class::Updating && update.stage != update.current {
            let mut before = Counts::default();
            from.add(&mut before, -1);
            to.add(&mut delta, 1);
            updates::shift(tx, &update.rollout, update.stage, &before).await?;
            updates::shift(tx, &update.rollout, update.current, &delta).await?;
            return Ok(update.current);
        }
        from.add(&mut delta, -1);
        to.add(&mut delta, 1);
        updates::shift(tx, &update.rollout, update.stage, &delta).await?;
        // A late success of a device that was an error when a person went on.
        if from.finished() {
            courses::clamp_seen(tx, &update.rollout).await?;
        }
    }
    Ok(update.stage)
}

/// What the device said it runs when it connected.
async fn known(tx: &mut Tx, device: DeviceNo, now: Timestamp) -> Result<Running> {
    let facts = devices::facts(tx, device, now).await?.unwrap_or_default();
    let sequence = u64::try_from(facts.sequence).unwrap_or_default();
    Ok(Running { version: facts.version, sequence, device_type: facts.device_type, hardware: facts.hardware })
}

/// Lines of a device in the same way, each by itself.
pub(super) fn readable_lines(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| spaced(line, MAX_DETAIL).trim().to_owned()).collect()
}

/// The report without characters that control or reorder what is shown, and without overlong text: devices may send anything.
fn readable(report: StatusReport) -> StatusReport {
    StatusReport {
        progress: report.progress.map(|p| p.min(100)),
        code: report.code.map(|c| spaced(&c, MAX_CODE)),
        detail: report.detail.map(|d| spaced(&d, MAX_DETAIL)),
        firmware: report.firmware.map(|f| Running { version: spaced(&f.version, MAX_CODE), ..f }),
        ..report
    }
}
