//! When devices may install: the inputs of the wizard, and the same in words.

use super::{
    brief,
    cells::fault_of,
    folds::{Typed, settings},
};
use crate::ui::{Control, Tone, banner, field, number::counted, select, text};
use leptos::prelude::*;
use wire::rollouts::{RolloutSpec, Times, Urgency, Weekday, Window};

/// A day as people write it.
const fn named(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Mon",
        Weekday::Tue => "Tue",
        Weekday::Wed => "Wed",
        Weekday::Thu => "Thu",
        Weekday::Fri => "Fri",
        Weekday::Sat => "Sat",
        Weekday::Sun => "Sun",
    }
}

/// The inputs.
pub(super) fn cards(typed: Typed<'_>) -> AnyView {
    let (draft, problems) = (&typed.0.draft.when, typed.1);
    let fault = |name: &str| fault_of(problems, name);
    let days = Weekday::ALL
        .iter()
        .map(|day| {
            let checked = draft.has(*day);
            view! { <label class="check"><input type="checkbox" name="window.days" value=day.as_str() checked=checked/>{named(*day)}</label> }
        })
        .collect_view();
    let wrong_days = fault("window.days").map(|f| view! { <span class="err">{f.message}</span> });
    let time = |name: &str, label: &str, value: &str| {
        text(name, label).value(value).placeholder("02:00").max_length(5).autocomplete("off").fault(fault(name).as_ref())
    };
    let zone = text("window.zone", "Zone of devices that report none")
        .value(draft.zone.clone())
        .placeholder("UTC")
        .max_length(64)
        .autocomplete("off")
        .hint("An IANA name, for example Europe/Berlin. Devices report theirs in the attribute timezone.");
    let window = view! {
        <div class="stack">
            <fieldset class="field"><legend>"Days on which the window opens"</legend><div class="row">{days}</div>
                <span class="hint">"None, and no times: devices install at any time."</span>{wrong_days}</fieldset>
            <div class="grid">
                {time("window.from", "Opens (local time)", &draft.from).view()}
                {time("window.until", "Closes (local time)", &draft.until).hint("Before it opens means on the next day. A whole day is 00:00 to 24:00.").view()}
                {zone.fault(fault("window.zone").as_ref()).view()}
            </div>
        </div>
    };
    let urgencies = [("forced", "At once"), ("soft", "Devices may put it off"), ("forced_after", "Devices may put it off until …")];
    let urgencies = urgencies.into_iter().map(|(value, label)| (value.to_owned(), label.to_owned())).collect();
    let chosen = if draft.urgency.is_empty() { "forced" } else { draft.urgency.as_str() };
    let urgent = view! {
        <div class="stack">
            <div class="grid">
                {select("urgency", "How urgent", urgencies).value(chosen).fault(fault("urgency").as_ref()).view()}
                {field("forced_after", "Not put off after (UTC)", Control::Input("datetime-local")).value(draft.forced_after.clone()).hint("For the last choice only.").view()}
            </div>
            {field("download_only", "Only fetch it, install nothing", Control::Check).value(draft.download_only.clone()).hint("An update has succeeded when the device has the files.").view()}
            {fault("download_only").map(|f| banner(Tone::Bad, f.message.into_any()))}
            {field("during_freeze", "Go on during freezes", Control::Check).value(draft.during_freeze.clone()).hint("Freezes of the organization don't hold this rollout. Whoever approves it is told.").view()}
        </div>
    };
    view! {
        {settings("Maintenance window", brief::window, &["window"], typed, window.into_any())}
        {settings("Urgency", brief::urgency, &["urgency", "forced_after", "download_only", "during_freeze"], typed, urgent.into_any())}
    }
    .into_any()
}

/// A window in words: `Sat, Sun from 22:00 until 02:00 in each device's zone, Europe/Berlin where it reports none`.
pub(super) fn hours(window: &Window) -> String {
    let days: Vec<&str> = window.days.iter().copied().map(named).collect();
    let days = if window.days.len() == 7 { "every day".to_owned() } else { days.join(", ") };
    format!("{days} from {} until {} in each device's zone, {} where it reports none", window.from, window.until, window.zone)
}

/// What a plan says of time, as term and words; nothing where it says nothing.
pub fn terms(spec: &RolloutSpec) -> Vec<(&'static str, String)> {
    let window = spec.window.as_ref().map(|window| ("Installs", hours(window)));
    let urgency = match spec.urgency {
        Urgency::Forced => None,
        Urgency::Soft => Some(("Urgency", "devices may put it off".to_owned())),
        Urgency::ForcedAfter(at) => Some(("Urgency", format!("devices may put it off until {}", at.readable()))),
    };
    let fetch = spec.download_only.then(|| ("Installs", "nothing: devices only fetch it".to_owned()));
    let freeze = spec.during_freeze.then(|| ("Freezes", "goes on while they hold".to_owned()));
    window.into_iter().chain(urgency).chain(fetch).chain(freeze).collect()
}

/// What a plan says of time, in sentences that follow the plan's own; empty where it says nothing.
pub fn sentences(spec: &RolloutSpec) -> String {
    let window = spec.window.as_ref().map(|window| format!(" Devices install {}.", hours(window)));
    let fetch = spec.download_only.then(|| " Devices only fetch it and install nothing.".to_owned());
    let freeze = spec.during_freeze.then(|| " Freezes don't hold it.".to_owned());
    [window, fetch, freeze].into_iter().flatten().collect()
}

/// How the times of a plan fall, as rows of a list.
pub fn falls(times: &Times) -> AnyView {
    let opens = times.first.map(|first| {
        let last = times.last.filter(|last| *last != first).map(|last| format!(", the last {}", last.readable()));
        view! { <dt>"First opens"</dt><dd>{first.readable()}{last}</dd> }
    });
    let zoneless = (times.zoneless > 0).then(|| {
        let said = format!("{} no zone of their own: the plan's holds", counted(times.zoneless, "device reports", "devices report"));
        view! { <dt>"Zones"</dt><dd>{said}</dd> }
    });
    let conflicts = (!times.conflicts.is_empty()).then(|| {
        let lines = times.conflicts.iter().map(|line| view! { <div>{line.clone()}</div> }).collect_view();
        view! { <dt>"In the way"</dt><dd>{lines}</dd> }
    });
    view! { {opens}{zoneless}{conflicts} }.into_any()
}

/// What has to catch the eye of whoever approves.
pub fn warning(spec: &RolloutSpec) -> Option<AnyView> {
    spec.during_freeze.then(|| {
        banner(Tone::Warn, "This rollout goes on during freezes: devices are offered it while the organization is frozen.".into_any())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn times_read_like_speech() {
        let window = Window {
            days: vec![Weekday::Sat, Weekday::Sun],
            from: "22:00".parse().unwrap(),
            until: "02:00".parse().unwrap(),
            zone: "Europe/Berlin".into(),
        };
        assert_eq!(hours(&window), "Sat, Sun from 22:00 until 02:00 in each device's zone, Europe/Berlin where it reports none");
        assert!(hours(&Window { days: Weekday::ALL.to_vec(), ..window.clone() }).starts_with("every day from"));
        let plain: RolloutSpec =
            serde_json::from_str(r#"{"name":"x","release":"rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2","stages":[]}"#).unwrap();
        assert_eq!((terms(&plain), sentences(&plain)), (vec![], String::new()));
        let told = RolloutSpec { window: Some(window), urgency: Urgency::ForcedAfter(Timestamp(0)), during_freeze: true, ..plain };
        assert_eq!(terms(&told).iter().map(|t| t.0).collect::<Vec<_>>(), ["Installs", "Urgency", "Freezes"]);
        assert!(sentences(&told).ends_with("Freezes don't hold it."));
    }
}
