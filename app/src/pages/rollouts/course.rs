//! The course of a rollout: the bar of its stages, what its state means, its gates, its plan, its decisions and its history.

use super::{choice::Choice, phrases, preview::stage_lines};
use crate::pages::words;
use crate::ui::{
    Tone, banner, card, dot,
    gates::{Gate, gates},
    number::{counted, grouped, plain},
    stage_bar::{Segment, stage_bar},
    time,
};
use leptos::prelude::*;
use wire::{
    rollouts::{Call, ErrorClass, RolloutDetail, RolloutEvent, Show, StageView, Verb, Verdict, lower_words, rate_of, rate_words, within},
    states::{ReleaseState, RolloutState, StageState},
};

/// The bar of the stages.
pub fn stages(r: &RolloutDetail, choice: &Choice) -> AnyView {
    let id = r.row.id.to_string();
    let segments = r
        .stages
        .iter()
        .map(|s| {
            let (tone, word) = words::stage(s.state, &s.verdict);
            // A stage whose rollout stands still does not move, whatever its own state.
            let tone = match (r.row.state, s.state) {
                (RolloutState::Halted, StageState::Running | StageState::Soaking) => Tone::Bad,
                (RolloutState::Paused, StageState::Running | StageState::Soaking) => Tone::Hold,
                _ => tone,
            };
            Segment {
                href: Choice { stage: s.number, show: Show::All, outcome: None, ..choice.clone() }.address(&id),
                name: format!("{} {}", s.number, s.spec.name),
                tone,
                word,
                numbers: if s.counts.total > 0 || s.state != StageState::Pending {
                    phrases::numbers(&s.counts)
                } else {
                    phrases::reach(&s.spec.reach)
                },
                parts: phrases::parts(&s.counts),
                note: note(s, word),
                chosen: s.number == choice.stage,
            }
        })
        .collect();
    stage_bar("Stages", segments)
}

fn note(s: &StageView, word: &'static str) -> AnyView {
    match (s.state, s.soak_until, s.ended_at) {
        (StageState::Soaking, Some(until), _) => view! { {word}", ends "{time::ago(until)} }.into_any(),
        (_, _, Some(ended)) => view! { {word}" "{time::ago(ended)} }.into_any(),
        _ => word.into_any(),
    }
}

/// What the state means, in words and numbers; nothing where the page says it already.
pub fn state_banner(r: &RolloutDetail) -> AnyView {
    use RolloutState as S;
    let summary = r.row.summary.clone();
    let strong = |what: &'static str, text: String| {
        let (what, rest) = once(what, &text);
        view! { <b>{what}</b>{rest} }.into_any()
    };
    let waiting = r.stages.iter().find(|s| s.state == StageState::AwaitingPromotion);
    match r.row.state {
        S::WaitingForApproval => {
            let far = r.standing.as_ref().map_or_else(String::new, |s| format!(" {}.", crate::pages::approvals::progress(s)));
            let left = r.standing.as_ref().and_then(|s| s.decide_by).map(|at| view! { " The request expires "{time::ago(at)}"." });
            let text = format!(" An admin who neither wrote nor sent it has to decide.{far}");
            banner(Tone::Hold, view! { <b>"Waits for approval."</b>{text}{left} }.into_any())
        }
        S::Halted => {
            if let Some(v) = r.verdict.as_ref().filter(|v| v.call == Call::Halt && summary.contains(v.text.as_str())) {
                let text = format!("Over the whole rollout: {}. No further device gets it.", v.text.trim_end_matches('.'));
                return banner(Tone::Bad, strong("Halted by a gate.", text));
            }
            let verdict = r.stages.iter().find(|s| s.verdict.call == Call::Halt || s.state == StageState::Failed);
            let text = verdict.map_or(summary, halted_words);
            let by_gate = verdict.is_some_and(|s| s.verdict.is_judged());
            let halted = strong(if by_gate { "Halted by a gate." } else { "Halted." }, text);
            banner(Tone::Bad, view! { {halted}{way_back(r)} }.into_any())
        }
        S::Rejected => {
            let why = r.approvals.iter().find(|a| !a.approved && !a.void).map_or(summary, |a| format!("{}: “{}”", a.by_name, a.remark));
            banner(Tone::Bad, strong("Rejected.", why))
        }
        S::Paused => banner(Tone::Hold, strong("Paused.", summary)),
        S::Stopping => banner(Tone::Warn, strong("Stopping.", summary)),
        S::Stopped => banner(Tone::Bad, strong("Stopped.", summary)),
        S::RollingBack => banner(Tone::Warn, strong("Rolling back.", summary)),
        S::RolledBack => banner(Tone::Warn, strong("Rolled back.", summary)),
        S::Scheduled => match r.spec.start_at {
            Some(at) => banner(Tone::Info, view! { <b>"Scheduled."</b>" Starts "{time::ago(at)}"." }.into_any()),
            None => ().into_any(),
        },
        S::Running => match waiting {
            Some(s) => banner(Tone::Hold, strong("Waits for a person.", waits_words(s, r.cancelled, r.cancelled_until))),
            None => ().into_any(),
        },
        S::Draft | S::Approved | S::Completed => ().into_any(),
    }
}

/// Pure: what halted a rollout in a stage. That it is halted stands before it, and what to do behind it.
fn halted_words(s: &StageView) -> String {
    let why = s.verdict.text.trim_end_matches('.');
    format!("Stage {}, {}: {why}. No further device gets it.", s.number, s.spec.name)
}

/// Pure: what a stage that waits for a person says: that it has passed where its gate says so; and the last of them, for whom it waits.
fn waits_words(s: &StageView, cancelled: i64, until: Option<wire::Timestamp>) -> String {
    let (passed, why) = (if s.verdict.call == Call::Pass { ", has passed" } else { "" }, s.verdict.text.trim_end_matches('.'));
    let devices = counted(cancelled, "cancelled device", "cancelled devices");
    let aside = until.map(|until| format!(" {devices} can be tried again, until {}.", until.readable()));
    format!("Stage {}, {}{passed}: {why}.{}", s.number, s.spec.name, aside.unwrap_or_default())
}

/// How devices that run a release which may not be installed any more get off it, for who may do that.
fn way_back(r: &RolloutDetail) -> Option<AnyView> {
    let open = r.actions.iter().any(|a| a.verb == Verb::RollBack && a.blocked.is_none());
    (open && r.release.state == ReleaseState::Recalled).then(|| {
        let (id, verb) = (&r.row.id, Verb::RollBack.as_str());
        let command = format!("fleetward rollout {verb} {id}");
        view! { " "<a href=format!("/rollouts/{id}/{verb}")>"Roll it back"</a>", or on the command line: "<code>{command}</code>"." }
            .into_any()
    })
}

/// What is said of a state, and what follows it: a sentence that begins with the state itself says it only once.
fn once<'a>(what: &'a str, text: &str) -> (&'a str, String) {
    let word = what.trim_end_matches('.');
    match text.strip_prefix(word).filter(|rest| !rest.starts_with(char::is_alphanumeric)) {
        Some(rest) => (word, rest.to_owned()),
        None => (what, format!(" {text}")),
    }
}

/// The gates of the chosen stage, or of the one that runs.
pub fn gate_card(r: &RolloutDetail, choice: &Choice) -> AnyView {
    let number = if choice.stage > 0 { choice.stage } else { r.row.stage.max(1) };
    let Some(s) = r.stages.iter().find(|s| s.number == number) else { return ().into_any() };
    let (g, v) = (&s.spec.gate, &s.verdict);
    let sample = sample(s);
    let judged = v.finished >= sample;
    let now = v.now.as_ref();
    // What it is now stands beside what the gate saw.
    let beside = |limit: String, now: Option<String>| now.map_or_else(|| limit.clone(), |now| format!("{limit}; now {now}"));
    let rates = standing(g.errors_within(v.errors, v.finished), now.is_none_or(|t| g.errors_within(t.errors, t.finished)));
    let passed = standing(true, now.is_none_or(|t| g.successes_reach(t.succeeded, t.finished)));
    let mut list = vec![
        Gate {
            tone: if judged { rates } else { Tone::Off },
            name: "Errors",
            value: rate(v.errors, v.finished),
            limit: beside(format!("halts above {} %", plain(g.error_percent)), now.map(|t| rate(t.errors, t.finished))),
        },
        Gate {
            tone: if v.call == Call::Pass { passed } else { Tone::Off },
            name: "Successes",
            value: rate(v.succeeded, v.finished),
            limit: success_limit(v, g.success_percent),
        },
        Gate {
            tone: if judged { Tone::Ok } else { Tone::Off },
            name: "Finished devices",
            value: grouped(v.finished),
            limit: beside(format!("judged from {sample} on"), now.map(|t| grouped(t.finished))),
        },
    ];
    if g.max_errors > 0 {
        list.push(Gate {
            tone: standing(g.below_cap(v.errors), now.is_none_or(|t| g.below_cap(t.errors))),
            name: "Errors in number",
            value: grouped(v.errors),
            limit: beside(format!("halts at {}", g.max_errors), now.map(|t| grouped(t.errors))),
        });
    }
    let classes = ErrorClass::ALL.map(|class| (g.most(class), Some(class.of(v)), now.map(|t| class.of_tally(t)), class_words(class)));
    for (most, n, later, name) in classes.into_iter().chain([(g.max_dark, s.dark, None, "Went dark")]) {
        let Some(most) = most else { continue };
        list.push(Gate {
            tone: n.map_or(Tone::Off, |n| standing(within(most, n), later.is_none_or(|n| within(most, n)))),
            name,
            value: n.map_or_else(|| "–".to_owned(), grouped),
            limit: beside(format!("halts above {most}"), later.map(grouped)),
        });
    }
    let (call, text) = match v.call {
        // Why is said above.
        Call::Halt if !v.is_judged() && r.row.state == RolloutState::Halted => {
            (Tone::Off, "It has not judged: something else halted the rollout.".to_owned())
        }
        Call::Halt if !v.is_judged() => (Tone::Off, format!("It has not judged: {}", v.text)),
        Call::Wait => (Tone::Off, v.text.clone()),
        Call::Pass => (Tone::Ok, v.text.clone()),
        Call::Halt => (Tone::Bad, v.text.clone()),
    };
    let verdict = (!v.text.is_empty()).then(|| view! { <p class="verdict small">{dot(call)}<span>{text}</span></p>{as_of(v)} });
    let card = card(format!("Gate of stage {}, {}", s.number, s.spec.name), None, view! { {gates(list)}{verdict} }.into_any());
    view! { {card}{super::evidence::findings(s)}{super::evidence::whole_card(r)} }.into_any()
}

/// A class of errors as a row of a gate's card names it.
const fn class_words(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Failed => "Could not install",
        ErrorClass::Reverted => "Went back",
        ErrorClass::TimedOut => "Fell silent",
        ErrorClass::Rejected => "Refused",
    }
}

/// Pure: how a limit stands, beside a text that has what the gate saw and what it is now: what was met then and is not now warns, because nothing judges it
/// any more.
const fn standing(then: bool, now: bool) -> Tone {
    match (then, now) {
        (false, _) => Tone::Bad,
        (true, false) => Tone::Warn,
        (true, true) => Tone::Ok,
    }
}

/// What the share of successes has to reach, and what it is worth: the gate compares the plain share, people see from how few devices it is.
fn success_limit(v: &Verdict, needed: f64) -> String {
    let needed = format!("passes at {} %", plain(needed));
    let proves = |low: Option<f64>, finished| match low {
        Some(bound) => format!("; {} {} % or more (95 % sure)", counted(finished, "device proves", "devices prove"), lower_words(bound)),
        None => String::new(),
    };
    let now = v.now.as_ref().map(|t| format!("; now {}{}", rate(t.succeeded, t.finished), proves(t.success_low, t.finished)));
    format!("{needed}{}{}", proves(v.success_low, v.finished), now.unwrap_or_default())
}

/// A share of finished devices as the gate's own sentence writes it.
fn rate(n: i64, finished: i64) -> String {
    if finished == 0 { "–".to_owned() } else { format!("{} %", rate_words(rate_of(n, finished))) }
}

/// When a gate saw its numbers, and what its devices come to now where that is something else; nothing of numbers that are as of now.
pub(super) fn as_of(v: &Verdict) -> AnyView {
    let now = v.now.as_ref().map(|t| format!(" Now {} of {} finished devices have succeeded.", grouped(t.succeeded), grouped(t.finished)));
    match (v.at, now) {
        (None, None) => ().into_any(),
        (None, Some(now)) => view! { <p class="small text-2">"The gate judged before that."{now}</p> }.into_any(),
        (Some(at), now) => view! { <p class="small text-2">"As the gate saw it "{time::ago(at)}"."{now}</p> }.into_any(),
    }
}

/// From how many finished devices on a stage is judged: as its gate says, or before a verdict as its plan does.
fn sample(s: &StageView) -> i64 {
    if s.verdict.sample > 0 { s.verdict.sample } else { i64::from(s.spec.gate.min_sample) }
}

/// The plan as it was decided on.
pub fn plan_card(r: &RolloutDetail) -> AnyView {
    let selector = if r.spec.selector.is_empty() { format!("every {}", r.row.device_type) } else { r.spec.selector.clone() };
    let reason = (!r.spec.reason.is_empty()).then(|| view! { <dt>"Reason"</dt><dd>{r.spec.reason.clone()}</dd> });
    let body = view! {
        <dl class="kv">
            {reason}
            <dt>"Devices"</dt><dd class="mono">{selector}</dd>
            {stage_lines(&r.spec)}
            {super::back::way_back_line(r.way_back.as_ref())}
            <dt>"Starts"</dt><dd>{phrases::starts(&r.spec)}</dd>
            <dt>"Times out"</dt><dd>"when a device says nothing for "{wire::time::duration(i64::from(r.spec.timeout_min) * 60_000)}</dd>
            <dt>"Digest"</dt><dd>{crate::ui::copyable(r.digest.to_string(), "Copy digest")}</dd>
        </dl>
    };
    card("Plan", None, body.into_any())
}

/// Decisions; those that an edit or the end of their time made worthless stay, marked.
pub fn approvals_card(r: &RolloutDetail) -> AnyView {
    if r.approvals.is_empty() {
        return ().into_any();
    }
    let items = r
        .approvals
        .iter()
        .map(|a| {
            let (tone, word) = match (a.void, a.approved) {
                (true, _) => (Tone::Off, "Void"),
                (false, true) if a.uncounted.is_some() => (Tone::Off, "Approved, does not count"),
                (false, true) => (Tone::Ok, "Approved"),
                (false, false) => (Tone::Bad, "Rejected"),
            };
            let uncounted = a.uncounted.clone().map(|why| format!(" · {why}"));
            view! {
                <li>{dot(tone)}<div>{word}" by "{a.by_name.clone()}<div class="sub">"“"{a.remark.clone()}"” · digest "<span class="mono">{a.digest.short().to_owned()}</span>{uncounted}</div></div>{time::ago(a.at)}</li>
            }
        })
        .collect_view();
    card("Decisions", None, view! { <ol class="timeline">{items}</ol> }.into_any())
}

/// Lines of a history that are shown at once; the others are a press away.
const RECENT: usize = 8;

/// What happened, newest first.
pub fn history_card(r: &RolloutDetail) -> AnyView {
    let (recent, earlier) = r.history.split_at(r.history.len().min(RECENT));
    let earlier = (!earlier.is_empty())
        .then(|| view! { <details><summary>{format!("{} earlier", earlier.len())}</summary>{events(earlier)}</details> });
    card("History", None, view! { {events(recent)}{earlier} }.into_any())
}

fn events(all: &[RolloutEvent]) -> AnyView {
    let items = all
        .iter()
        .map(|e| {
            let by = (!e.text.contains(&e.by)).then(|| view! { <div class="sub">{e.by.clone()}</div> });
            view! { <li>{dot(Tone::parse(&e.tone))}<div>{e.text.clone()}{by}</div>{time::ago(e.at)}</li> }
        })
        .collect_view();
    view! { <ol class="timeline">{items}</ol> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::{Counts, GateSpec, Reach, StageSpec};

    #[test]
    fn a_banner_says_its_state_once() {
        for (what, text, said) in [
            (
                "Rolled back.",
                "Rolled back. Its way back: Completed: 6 of 6 succeeded",
                "Rolled back. Its way back: Completed: 6 of 6 succeeded",
            ),
            ("Paused.", "Paused by oli: storm", "Paused by oli: storm"),
            ("Stopped.", "Done before", "Stopped. Done before"),
            ("Stop.", "Stopped by oli", "Stop. Stopped by oli"),
            ("Halted by a gate.", "Stage 1, First: 1 of 1 failed.", "Halted by a gate. Stage 1, First: 1 of 1 failed."),
        ] {
            let (what, rest) = once(what, text);
            assert_eq!(format!("{what}{rest}"), said);
        }
    }

    #[test]
    fn a_limit_that_is_passed_later_is_not_fine() {
        assert_eq!(
            [(true, true), (true, false), (false, true), (false, false)].map(|(then, now)| standing(then, now)),
            [Tone::Ok, Tone::Warn, Tone::Bad, Tone::Bad]
        );
    }

    fn of_stage(state: StageState, verdict: Verdict) -> StageView {
        StageView {
            number: 1,
            spec: StageSpec { name: "One".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() },
            state,
            counts: Counts::default(),
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
    fn the_last_stage_says_for_whom_it_waits() {
        let passed = of_stage(StageState::AwaitingPromotion, Verdict::new(Call::Pass, "4 of 4 finished devices succeeded"));
        let said = "Stage 1, One, has passed: 4 of 4 finished devices succeeded.";
        let told = [None, Some(wire::Timestamp(0))].map(|until| waits_words(&passed, 1, until));
        assert_eq!(told, [said.to_owned(), format!("{said} 1 cancelled device can be tried again, until 1 Jan 1970 00:00 UTC.")]);
    }

    #[test]
    fn what_halted_a_stage_does_not_say_again_that_it_is_halted() {
        let stage = |text: &str| of_stage(StageState::Failed, Verdict::new(Call::Halt, text));
        let recalled = halted_words(&stage("the release was recalled. The plan has a way back for the devices that run it"));
        let said =
            "Stage 1, One: the release was recalled. The plan has a way back for the devices that run it. No further device gets it.";
        assert_eq!(recalled, said);
        let judged = halted_words(&stage("3 of 4 finished devices failed (75 %, limit 5 %)."));
        assert_eq!(judged, "Stage 1, One: 3 of 4 finished devices failed (75 %, limit 5 %). No further device gets it.");
    }

    #[test]
    fn a_share_says_how_much_it_proves() {
        let verdict =
            |succeeded, finished| Verdict { finished, succeeded, errors: finished - succeeded, sample: 3, ..Verdict::new(Call::Wait, "") };
        assert_eq!(success_limit(&verdict(10, 10).bounded(), 95.0), "passes at 95 %; 10 devices prove 72.2 % or more (95 % sure)");
        assert_eq!(success_limit(&verdict(0, 0).bounded(), 95.0), "passes at 95 %");
        let counts = Counts { total: 20, succeeded: 17, failed: 3, ..Counts::default() };
        assert_eq!(
            success_limit(&verdict(17, 18).bounded().beside(&counts), 90.0),
            "passes at 90 %; 18 devices prove 74.2 % or more (95 % sure); now 85 %; 20 devices prove 63.9 % or more (95 % sure)"
        );
        assert_eq!((rate(1, 18).as_str(), rate(0, 0).as_str()), ("5.5 %", "–"), "as the verdict's sentence has it");
    }
}
