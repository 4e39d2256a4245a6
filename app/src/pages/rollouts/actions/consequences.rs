//! Pure: what follows from an order to a rollout, in numbers: what is said in the question before it.

use super::devices_of;
use crate::pages::rollouts::phrases;
use wire::{
    rollouts::{Call, Counts, Preview, RolloutDetail, StageView, Verb, Verdict},
    states::{RolloutState, StageState},
};

/// What is said before a retry. The numbers stand at the boxes, which say of whom it is.
const RETRY_SAYS: &str = "The release is offered again to the devices that you choose. Who went back, refused or was cancelled has decided; choose them only on purpose.";

/// What follows from `verb`, in numbers.
pub(super) fn consequences(r: &RolloutDetail, verb: Verb, dry_run: Option<&Preview>) -> String {
    let c = &r.row.counts;
    let devices = devices_of;
    match verb {
        Verb::Edit => String::new(),
        Verb::Submit => "Nothing goes out before somebody else has approved exactly this plan.".to_owned(),
        Verb::Approve => phrases::approval(&r.spec, &r.row.version, &r.digest, dry_run),
        Verb::Reject => "The rollout does not go out. Its author sees your reason and can change the plan.".to_owned(),
        Verb::BreakGlass => format!(
            "An emergency: you start exactly this plan, digest {}, without its approvals. Everybody sees that, it stays in the audit log, and two other admins review it afterwards. Gates, freezes, windows and its planned time hold as ever.",
            r.digest.short()
        ),
        Verb::Start => "Stage 1 begins now instead of at the planned time.".to_owned(),
        Verb::Pause => pause_says(c),
        Verb::Resume if r.row.state == RolloutState::Halted => {
            format!(
                "{} Resuming offers the same release to {} more.",
                halted_says(r.verdict.as_ref(), &r.stages, &r.row.summary),
                devices(c.waiting)
            )
        }
        Verb::Resume => {
            // Whoever goes on in spite of a gate sees which, also where it has only paused.
            let over = gate_says("paused", r.verdict.as_ref(), &r.stages).map_or_else(String::new, |said| format!("{said} "));
            format!("{over}Offers go out again; {} wait.", devices(c.waiting))
        }
        Verb::Promote => promote_says(&r.stages, r.row.stage, (c.waiting, r.cancelled), &r.row.version),
        Verb::Stop => format!(
            "This ends the rollout for good. {} stay as they are. Of {} under way, those that download or install will finish; offers not begun are taken back. {} keep {}.",
            devices(c.waiting),
            devices(c.updating),
            c.succeeded,
            r.row.version
        ),
        Verb::Retry => retry_says(&r.stages, r.row.stage),
        Verb::RollBack => back_says(c, &r.row.version, r.way_back.as_ref().map_or("the way back", |b| b.version.as_str())),
    }
}

/// What halted a rollout: what the gate saw that judged, of all stages or of one, and where none did, what the rollout says of itself: an objection.
fn halted_says(whole: Option<&Verdict>, stages: &[StageView], summary: &str) -> String {
    gate_says("stopped", whole, stages).unwrap_or_else(|| format!("{}.", summary.trim_end_matches('.')))
}

/// Which gate has `done` that to a rollout, with what it saw and its limit; none where none has judged so.
fn gate_says(done: &str, whole: Option<&Verdict>, stages: &[StageView]) -> Option<String> {
    let whole = whole.map(|v| ("the whole rollout".to_owned(), v));
    let each = stages.iter().map(|s| (format!("stage {}, {},", s.number, s.spec.name), &s.verdict));
    let (gate, said) = whole.into_iter().chain(each).find(|(_, v)| v.call == Call::Halt && v.is_judged())?;
    Some(format!("The gate of {gate} {done} this rollout: {}.", said.text.trim_end_matches('.')))
}

/// What is said before a retry, also of a stage whose watch it ends.
fn retry_says(stages: &[StageView], stage: u32) -> String {
    let watched = stages.iter().any(|s| s.number == stage && s.state == StageState::Soaking);
    if watched {
        format!("{RETRY_SAYS} Stage {stage} goes on with them, and its watch begins anew after them.")
    } else {
        RETRY_SAYS.to_owned()
    }
}

/// What the gate of this stage has seen, and what follows: firmware and devices of the next stage.
fn promote_says(stages: &[StageView], stage: u32, (waiting, cancelled): (i64, i64), version: &str) -> String {
    let now = stages.iter().find(|s| s.number == stage);
    let seen = now.filter(|s| !s.verdict.text.is_empty());
    let seen =
        seen.map_or_else(String::new, |s| format!("Stage {}, {}: {}. ", s.number, s.spec.name, s.verdict.text.trim_end_matches('.')));
    let next = stages.iter().find(|s| s.number == stage + 1);
    let follows = next.map_or_else(
        || {
            let aside =
                if cancelled > 0 { format!(" {} cancelled can't be tried again then.", devices_of(cancelled)) } else { String::new() };
            format!("The last stage ends, and with it the rollout. {} that wait are left as they are.{aside}", devices_of(waiting))
        },
        |s| format!("Stage {}, {}, begins: {} more get {version}.", s.number, s.spec.name, devices_of(s.counts.total)),
    );
    // What is given up by it is said before what follows.
    let watch = if now.is_some_and(|s| s.state == StageState::Soaking) { "Its devices are not watched any longer. " } else { "" };
    format!("{seen}{watch}{follows}")
}

fn pause_says(c: &Counts) -> String {
    format!(
        "No further device is offered the release; {} wait. Of {} under way, those that download or install will finish; offers not begun are taken back, and made again when it is resumed.",
        devices_of(c.waiting),
        devices_of(c.updating)
    )
}

fn back_says(c: &Counts, version: &str, back: &str) -> String {
    format!(
        "Nobody gets {version} any more, and what has not begun to install is taken back. A rollout of its own sends {back} to the devices that run {version}: {} by now, a few first. It was approved with this plan.",
        devices_of(c.succeeded)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::{GateSpec, Reach, StageSpec};

    fn stage(number: u32, state: StageState, verdict: Verdict) -> StageView {
        let name = if number == 1 { "Lab" } else { "Field" };
        StageView {
            number,
            spec: StageSpec { name: name.into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() },
            state,
            counts: Counts { total: 4, ..Counts::default() },
            dark: None,
            started_at: None,
            soak_until: None,
            ended_at: None,
            verdict,
            outcome: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn only_a_gate_that_judged_has_stopped_a_rollout() {
        let (no, judged) = (Verdict::new(Call::Halt, "3 of 4 finished devices failed"), |v: &Verdict| Verdict { sample: 3, ..v.clone() });
        let summary = "Halted by eve, who objects to the start without approval: looked at it.";
        let by_person = [stage(1, StageState::Failed, Verdict::new(Call::Halt, summary))];
        assert_eq!(halted_says(None, &by_person, summary), summary);
        let by_gate = [stage(1, StageState::Failed, judged(&no))];
        let said = "The gate of stage 1, Lab, stopped this rollout: 3 of 4 finished devices failed.";
        assert_eq!(halted_says(None, &by_gate, "Halted in stage 1: 3 of 4 finished devices failed"), said);
        let whole = "The gate of the whole rollout stopped this rollout: 3 of 4 finished devices failed.";
        assert_eq!(halted_says(Some(&judged(&no)), &by_person, summary), whole);
        assert_eq!(gate_says("paused", None, &by_gate).unwrap(), said.replace("stopped", "paused"));
        assert_eq!(gate_says("paused", None, &by_person), None, "a person has paused it");
        assert_eq!(halted_says(Some(&Verdict::new(Call::Wait, "")), &by_person, summary), summary);
    }

    #[test]
    fn going_on_says_what_was_seen_what_is_given_up_and_what_follows() {
        let both = |first| {
            [stage(1, first, Verdict::new(Call::Pass, "3 of 3 succeeded")), stage(2, StageState::Pending, Verdict::new(Call::Wait, ""))]
        };
        assert_eq!(
            promote_says(&both(StageState::Soaking), 1, (4, 1), "2.0.0"),
            "Stage 1, Lab: 3 of 3 succeeded. Its devices are not watched any longer. Stage 2, Field, begins: 4 devices more get 2.0.0."
        );
        assert_eq!(
            promote_says(&both(StageState::AwaitingPromotion), 1, (4, 1), "2.0.0"),
            "Stage 1, Lab: 3 of 3 succeeded. Stage 2, Field, begins: 4 devices more get 2.0.0."
        );
        assert_eq!(
            promote_says(&both(StageState::Succeeded), 2, (3, 0), "2.0.0"),
            "The last stage ends, and with it the rollout. 3 devices that wait are left as they are."
        );
        let aside = promote_says(&both(StageState::Succeeded), 2, (0, 1), "2.0.0");
        assert!(aside.ends_with("1 device cancelled can't be tried again then."), "{aside}");
    }

    #[test]
    fn a_retry_says_that_a_watch_begins_anew() {
        let of = |state| [stage(1, state, Verdict::new(Call::Pass, ""))];
        assert!(retry_says(&of(StageState::Soaking), 1).ends_with("Stage 1 goes on with them, and its watch begins anew after them."));
        assert_eq!(retry_says(&of(StageState::Running), 1), RETRY_SAYS);
    }

    #[test]
    fn going_back_says_to_what_and_for_how_many() {
        let said = back_says(&Counts { succeeded: 12, ..Counts::default() }, "2.0.0", "1.0.0+3");
        assert!(said.contains("sends 1.0.0+3 to the devices that run 2.0.0: 12 devices by now"), "{said}");
    }

    #[test]
    fn a_pause_says_what_it_takes_back() {
        let said = pause_says(&Counts { updating: 3, waiting: 1, ..Counts::default() });
        assert!(said.contains("Of 3 devices under way") && said.contains("offers not begun are taken back"), "{said}");
    }
}
