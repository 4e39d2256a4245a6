//! Pure: when devices may install, as it is typed: window, urgency, fetching only, freezes.

use super::words::{instant, problem};
use wire::rollouts::{Problem, RolloutSpec, TimeOfDay, Urgency, Weekday, Window};

/// What is typed of the times of a plan. Every text may still be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WhenDraft {
    /// The days' words with commas between them, for example `sat,sun`.
    pub days: String,
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`.
    pub until: String,
    /// An IANA zone; empty is UTC.
    pub zone: String,
    /// `soft`, `forced` or `forced_after`; empty is `forced`.
    pub urgency: String,
    /// When it becomes urgent, `2026-11-22T09:57` in UTC.
    pub forced_after: String,
    /// `true` when devices only fetch.
    pub download_only: String,
    /// `true` when it goes on in freezes.
    pub during_freeze: String,
}

impl WhenDraft {
    /// Takes an input of this name; false when it is another's. Days come one by one, or several in one text.
    pub fn read(&mut self, name: &str, value: &str) -> bool {
        if name == "window.days" {
            if !self.days.is_empty() && !value.is_empty() {
                self.days.push(',');
            }
            self.days.push_str(value);
            return true;
        }
        let Some((_, slot)) = self.fields().into_iter().find(|(field, _)| *field == name) else { return false };
        value.clone_into(slot);
        true
    }

    fn fields(&mut self) -> [(&'static str, &mut String); 8] {
        [
            ("window.days", &mut self.days),
            ("window.from", &mut self.from),
            ("window.until", &mut self.until),
            ("window.zone", &mut self.zone),
            ("urgency", &mut self.urgency),
            ("forced_after", &mut self.forced_after),
            ("download_only", &mut self.download_only),
            ("during_freeze", &mut self.during_freeze),
        ]
    }

    /// Every input with its text.
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.clone().fields().into_iter().map(|(name, text)| (name.to_owned(), text.clone())).collect()
    }

    /// Whether this day's word is among those chosen.
    pub fn has(&self, day: Weekday) -> bool {
        self.days.split(',').any(|word| word.trim() == day.as_str())
    }

    /// What an existing plan says of time.
    pub fn of(spec: &RolloutSpec) -> Self {
        let flag = |on: bool| if on { "true".to_owned() } else { String::new() };
        let (urgency, forced_after) = match spec.urgency {
            Urgency::Forced => ("", String::new()),
            Urgency::Soft => ("soft", String::new()),
            Urgency::ForcedAfter(at) => ("forced_after", at.rfc3339().chars().take(16).collect()),
        };
        let window = spec.window.as_ref();
        let text = |of: fn(&Window) -> String| window.map(of).unwrap_or_default();
        Self {
            days: text(|w| w.days.iter().map(|day| day.as_str()).collect::<Vec<_>>().join(",")),
            from: text(|w| w.from.to_string()),
            until: text(|w| w.until.to_string()),
            zone: text(|w| w.zone.clone()),
            urgency: urgency.to_owned(),
            forced_after,
            download_only: flag(spec.download_only),
            during_freeze: flag(spec.during_freeze),
        }
    }

    /// The window, or what has to be put right first; none when nothing of one is typed.
    pub fn window(&self, wrong: &mut Vec<Problem>) -> Option<Window> {
        if [&self.days, &self.from, &self.until].into_iter().all(|text| text.trim().is_empty()) {
            return None;
        }
        let mut time = |text: &str, field: &str| {
            text.trim().parse::<TimeOfDay>().map_err(|_| wrong.push(problem(field, "Write a time of day, for example 02:00."))).ok()
        };
        let (from, until) = (time(&self.from, "window.from"), time(&self.until, "window.until"));
        let mut days = Vec::new();
        for word in self.days.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.parse::<Weekday>() {
                Ok(day) if !days.contains(&day) => days.push(day),
                Ok(_) => {}
                Err(_) => wrong.push(problem("window.days", "Choose days of the week: mon, tue, wed, thu, fri, sat, sun.")),
            }
        }
        days.sort_unstable();
        let zone = if self.zone.trim().is_empty() { "UTC".to_owned() } else { self.zone.trim().to_owned() };
        Some(Window { days, from: from?, until: until?, zone })
    }

    /// How urgent it is, or what has to be put right first.
    pub fn urgency(&self, wrong: &mut Vec<Problem>) -> Urgency {
        match self.urgency.as_str() {
            "soft" => Urgency::Soft,
            "forced_after" => instant(self.forced_after.trim()).map_or_else(
                || {
                    let message =
                        "Write from when on devices may not put it off any more, date and time in UTC, for example 2026-11-22T09:30.";
                    wrong.push(problem("urgency", message));
                    Urgency::Soft
                },
                Urgency::ForcedAfter,
            ),
            _ => Urgency::Forced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_come_one_by_one_or_together() {
        let mut when = WhenDraft::default();
        for (name, value) in [("window.days", "sun"), ("window.days", "sat,sun"), ("window.from", "22:00"), ("window.until", "02:00")] {
            assert!(when.read(name, value));
        }
        assert!(!when.read("name", "x") && when.has(Weekday::Sat) && !when.has(Weekday::Mon));
        let mut wrong = Vec::new();
        let window = when.window(&mut wrong).unwrap();
        assert_eq!((window.days, window.zone.as_str()), (vec![Weekday::Sat, Weekday::Sun], "UTC"));
        assert_eq!(wrong, []);
    }

    #[test]
    fn what_is_wrong_with_times_is_said_at_their_inputs() {
        let when = WhenDraft {
            days: "sat,weekend".into(),
            from: "2".into(),
            urgency: "forced_after".into(),
            forced_after: "soon".into(),
            ..WhenDraft::default()
        };
        let mut wrong = Vec::new();
        assert_eq!((when.window(&mut wrong), when.urgency(&mut wrong)), (None, Urgency::Soft));
        assert_eq!(wrong.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["window.from", "window.until", "window.days", "urgency"]);
        assert_eq!(
            WhenDraft { zone: "Europe/Berlin".into(), ..WhenDraft::default() }.window(&mut wrong),
            None,
            "a zone alone is no window"
        );
    }
}
