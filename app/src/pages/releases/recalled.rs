//! What a release's page says of its recall: why, who runs it all the same, and the way back. Refuses to know what a recall does.

use crate::{
    pages::devices::filters,
    plan::query::push,
    ui::{
        Tone, banner,
        number::{counted, grouped},
        time,
    },
};
use leptos::prelude::*;
use wire::releases::{ByRecall, GoodRelease, Recalled, ReleaseDetail as Model, ReleaseUse};

/// The recall; nothing where it was not recalled.
pub(super) fn said(m: &Model) -> Option<AnyView> {
    let r = m.recalled.as_ref()?;
    let by = if r.by.is_empty() { String::new() } else { format!(" by {}", r.by) };
    let reason =
        if r.reason.is_empty() { "No reason was given.".to_owned() } else { format!("Reason: {}.", r.reason.trim_end_matches('.')) };
    let became = match sentences(&m.rollouts, |u| r.makes_of(u)) {
        said if said.is_empty() => said,
        said => format!(" {said}"),
    };
    let tone = if r.running > 0 { Tone::Bad } else { Tone::Warn };
    let text = view! { <b>"Recalled"</b>" "{time::ago(r.at)}{format!("{by}. {reason}{became}")}" "{runners(m, r)} };
    Some(banner(tone, text.into_any()))
}

/// Most rollouts that are named before a recall, and after it.
const NAMED: usize = 4;

/// Pure: what a recall will make of the rollouts that use the release, in sentences.
pub(super) fn foreseen(uses: &[ReleaseUse]) -> String {
    let said = sentences(uses, |u| ByRecall::of(u.state));
    if said.is_empty() { "No rollout with it is under way or waits.".to_owned() } else { said }
}

/// Pure: what becomes of each rollout of which anything does, in sentences.
fn sentences(uses: &[ReleaseUse], becomes: impl Fn(&ReleaseUse) -> Option<ByRecall>) -> String {
    let meant: Vec<_> = uses.iter().filter_map(|u| Some((u, becomes(u)?))).collect();
    let mut sentences: Vec<String> = meant.iter().take(NAMED).map(|(u, what)| format!("“{}” {}.", u.name, what.words())).collect();
    if let Some(more @ 1..) = meant.len().checked_sub(NAMED) {
        sentences.push(format!("So it goes for {} more.", grouped(i64::try_from(more).unwrap_or(i64::MAX))));
    }
    sentences.join(" ")
}

/// Who runs it, and what they can be brought to.
fn runners(m: &Model, r: &Recalled) -> AnyView {
    if r.running == 0 {
        return "No device runs it any more.".into_any();
    }
    let run = counted(r.running, "device runs", "devices run");
    let next = match &r.back {
        Some(back) if back.sign_again => Some((format!("/firmware/{}", back.release), format!("How to go back to {}", back.version))),
        Some(back) if m.may_draft => Some((plan(m, r, back), format!("New rollout of {} to them", back.version))),
        _ => None,
    };
    let link = next.map(|(href, label)| view! { " "<a href=href>{label}</a> });
    view! { <a href=filters::href(r.selector.clone())>{run}</a>" it. "{format!("{}.", r.way())}{link} }.into_any()
}

/// The wizard's address with those that run it, and what they get instead.
fn plan(m: &Model, r: &Recalled, back: &GoodRelease) -> String {
    let mut query = "step=devices".to_owned();
    push(&mut query, "release", back.release.as_str());
    push(&mut query, "selector", &r.selector);
    push(&mut query, "name", &format!("{} from {} to {}", m.row.device_type, m.row.version, back.version));
    format!("/rollouts/new?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{rollouts::Counts, states::RolloutState};

    #[test]
    fn it_is_said_before_the_click_what_becomes_of_each_rollout() {
        let one = |name: &str, state| ReleaseUse {
            id: format!("rol_{:032x}", 1).parse().unwrap(),
            name: name.to_owned(),
            state,
            stage: 0,
            stages: 1,
            counts: Counts::default(),
        };
        let uses = [
            one("Days", RolloutState::Running),
            one("Nights", RolloutState::WaitingForApproval),
            one("Weekends", RolloutState::Scheduled),
            one("Written", RolloutState::Draft),
            one("Over", RolloutState::Completed),
        ];
        let said = foreseen(&uses);
        assert_eq!(
            said,
            "“Days” halts. “Nights” is a draft again: its request for approval is void. “Weekends” stops before it has begun."
        );
        let many: Vec<_> = (0..NAMED + 2).map(|n| one(&n.to_string(), RolloutState::Paused)).collect();
        assert!(foreseen(&many).ends_with("“3” halts. So it goes for 2 more."), "{}", foreseen(&many));
        assert_eq!(foreseen(&uses[3..]), "No rollout with it is under way or waits.");
        // After it: a draft whose request it has voided is told, and one that was never sent is not.
        let voided = sentences(&uses[3..], |u| (u.name == "Written").then_some(ByRecall::Voided));
        assert_eq!(voided, "“Written” is a draft again: its request for approval is void.");
        assert_eq!(sentences(&uses[3..], |u| ByRecall::of(u.state)), "");
    }
}
