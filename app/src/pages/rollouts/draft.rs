//! Pure: a plan as it is typed into the wizard, in texts that may still be wrong; to and from a query string, to and from a plan.
//!
//! The query string is the wizard's only memory: every step carries the whole plan, so a step can be reloaded, shared, and gone back to. The
//! names of the inputs are the names that the core uses for problems (`stages.1.reach`), so each problem finds its input.

use super::query;
use crate::ui::number::{plain, read_decimal};
use wire::{
    Timestamp,
    rollouts::{GateSpec, Problem, Reach, RolloutSpec, StageSpec},
};

/// Stages a plan has at most; more in a query are not read.
pub const MOST_STAGES: usize = 50;

/// A plan in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// What people will call it; empty is filled in from the release.
    pub name: String,
    /// The release's id; empty while none is chosen.
    pub release: String,
    /// Who gets it.
    pub selector: String,
    /// When it starts, `2026-11-22T09:57` in UTC; empty means at once after the approval.
    pub start_at: String,
    /// Minutes.
    pub timeout_min: String,
    /// Why.
    pub reason: String,
    /// At least one.
    pub stages: Vec<StageDraft>,
}

/// A stage in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageDraft {
    /// Its name.
    pub name: String,
    /// A number.
    pub reach: String,
    /// `percent` or `count`.
    pub unit: String,
    /// A span: `90 s`, `10 min`, `2 h`, `1 d`.
    pub soak: String,
    /// `go_on` or `ask`.
    pub then: String,
    /// Percent.
    pub success: String,
    /// Percent.
    pub error: String,
    /// A number of devices.
    pub sample: String,
    /// A number of devices; 0 is no cap.
    pub max_errors: String,
}

/// Plans to start from: key, label, and the stages as name, percent, soak, whether to ask.
type Template = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str, bool)]);
/// The first is what a new rollout begins with.
pub const TEMPLATES: [Template; 4] = [
    ("canary", "Canary, half, all", &[("Canary", "10", "10 min", false), ("Half", "50", "10 min", false), ("Rest", "100", "0 s", false)]),
    (
        "careful",
        "1 %, 20 %, 50 %, all, asking each time",
        &[("Canary", "1", "1 h", true), ("Early", "20", "2 h", true), ("Half", "50", "2 h", true), ("Rest", "100", "0 s", false)],
    ),
    ("two", "Canary, then all", &[("Canary", "10", "10 min", false), ("Rest", "100", "0 s", false)]),
    ("all", "All at once", &[("All", "100", "0 s", false)]),
];

impl Draft {
    /// The plan of a query string; what is missing has its default.
    pub fn read(search: &str) -> Self {
        let mut draft = Self { timeout_min: "60".into(), ..Self::default() };
        for (key, value) in query::pairs(search) {
            match key.as_str() {
                "name" => draft.name = value,
                "release" => draft.release = value,
                "selector" => draft.selector = value,
                "start_at" => draft.start_at = value,
                "timeout_min" => draft.timeout_min = value,
                "reason" => draft.reason = value,
                _ => draft.read_stage(&key, value),
            }
        }
        if draft.stages.is_empty() {
            draft.stages = template("canary");
        }
        draft
    }

    fn read_stage(&mut self, key: &str, value: String) {
        let Some((number, field)) = key.strip_prefix("stages.").and_then(|rest| rest.split_once('.')) else { return };
        let Some(index) = number.parse::<usize>().ok().filter(|i| *i < MOST_STAGES) else { return };
        while self.stages.len() <= index {
            self.stages.push(StageDraft::new("", "", "0 s", false));
        }
        let Some(stage) = self.stages.get_mut(index) else { return };
        if let Some(text) = stage.field_mut(field) {
            *text = value;
        }
    }

    /// The query string of this plan.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (key, value) in self.pairs() {
            if !value.is_empty() {
                query::push(&mut out, &key, &value);
            }
        }
        out
    }

    /// Every input with its text, for the query and for the hidden inputs of a step.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let single = [
            ("name", &self.name),
            ("release", &self.release),
            ("selector", &self.selector),
            ("start_at", &self.start_at),
            ("timeout_min", &self.timeout_min),
            ("reason", &self.reason),
        ];
        let stages =
            self.stages.iter().enumerate().flat_map(|(i, s)| s.fields().map(|(field, text)| (format!("stages.{i}.{field}"), text.clone())));
        single.into_iter().map(|(key, text)| (key.to_owned(), text.clone())).chain(stages).collect()
    }

    /// The plan an existing rollout has.
    pub fn of(spec: &RolloutSpec) -> Self {
        Self {
            name: spec.name.clone(),
            release: spec.release.to_string(),
            selector: spec.selector.clone(),
            start_at: spec.start_at.map(|t| t.rfc3339().chars().take(16).collect()).unwrap_or_default(),
            timeout_min: spec.timeout_min.to_string(),
            reason: spec.reason.clone(),
            stages: spec.stages.iter().map(StageDraft::of).collect(),
        }
    }

    /// The plan itself, or what has to be put right first.
    pub fn spec(&self) -> Result<RolloutSpec, Vec<Problem>> {
        let mut wrong = Vec::new();
        let release =
            self.release.parse().map_err(|_| problem("release", "Choose the release to roll out.")).map_err(|p| wrong.push(p)).ok();
        let start_at = match self.start_at.trim() {
            "" => None,
            text => instant(text).or_else(|| {
                wrong.push(problem("start_at", "Write date and time in UTC, for example 2026-11-22T09:30, or leave it empty."));
                None
            }),
        };
        let timeout_min = number(&self.timeout_min, "timeout_min", "Write a whole number of minutes, for example 60.", &mut wrong);
        let stages: Vec<_> = self.stages.iter().enumerate().map(|(i, stage)| stage.spec(i, &mut wrong)).collect();
        match release {
            Some(release) if wrong.is_empty() => Ok(RolloutSpec {
                name: self.name.trim().to_owned(),
                release,
                selector: self.selector.trim().to_owned(),
                stages,
                start_at,
                timeout_min,
                reason: self.reason.trim().to_owned(),
            }),
            _ => Err(wrong),
        }
    }

    /// Does what a button of the form asks for: `add`, `remove.N`, `template.KEY`; anything else changes nothing.
    pub fn apply(&mut self, what: &str) {
        match what.split_once('.') {
            None if what == "add" => self.add_stage(),
            Some(("remove", n)) => {
                if let Some(index) = n.parse::<usize>().ok().filter(|i| self.stages.len() > 1 && *i < self.stages.len()) {
                    self.stages.remove(index);
                }
            }
            Some(("template", key)) if TEMPLATES.iter().any(|t| t.0 == key) => self.stages = template(key),
            _ => {}
        }
    }

    /// A new stage goes in front of the last one, half way between its neighbours, so that the plan still ends with everybody.
    fn add_stage(&mut self) {
        if self.stages.len() >= MOST_STAGES {
            return;
        }
        let at = self.stages.len().saturating_sub(1);
        let reach = |stage: Option<&StageDraft>, or: f64| {
            stage.filter(|s| s.unit == "percent").and_then(|s| read_decimal(s.reach.trim())).unwrap_or(or)
        };
        let before = if at == 0 { 0.0 } else { reach(self.stages.get(at - 1), 0.0) };
        let middle = f64::midpoint(before, reach(self.stages.last(), 100.0)).round();
        let mut stage = StageDraft::new(&format!("Stage {}", at + 1), &plain(middle), "10 min", false);
        if let Some(model) = self.stages.get(at) {
            stage.copy_gate(model);
        }
        self.stages.insert(at, stage);
    }
}

impl StageDraft {
    fn new(name: &str, percent: &str, soak: &str, ask: bool) -> Self {
        let gate = GateSpec::default();
        Self {
            name: name.into(),
            reach: percent.into(),
            unit: "percent".into(),
            soak: soak.into(),
            then: if ask { "ask" } else { "go_on" }.into(),
            success: plain(gate.success_percent),
            error: plain(gate.error_percent),
            sample: gate.min_sample.to_string(),
            max_errors: gate.max_errors.to_string(),
        }
    }

    fn copy_gate(&mut self, of: &Self) {
        self.success.clone_from(&of.success);
        self.error.clone_from(&of.error);
        self.sample.clone_from(&of.sample);
        self.max_errors.clone_from(&of.max_errors);
    }

    /// The inputs of a stage, by the names the core uses for problems.
    pub fn fields(&self) -> [(&'static str, &String); 9] {
        [
            ("name", &self.name),
            ("reach", &self.reach),
            ("unit", &self.unit),
            ("soak_s", &self.soak),
            ("confirm", &self.then),
            ("gate.success_percent", &self.success),
            ("gate.error_percent", &self.error),
            ("gate.min_sample", &self.sample),
            ("gate.max_errors", &self.max_errors),
        ]
    }

    fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "name" => &mut self.name,
            "reach" => &mut self.reach,
            "unit" => &mut self.unit,
            "soak_s" => &mut self.soak,
            "confirm" => &mut self.then,
            "gate.success_percent" => &mut self.success,
            "gate.error_percent" => &mut self.error,
            "gate.min_sample" => &mut self.sample,
            "gate.max_errors" => &mut self.max_errors,
            _ => return None,
        })
    }

    fn of(spec: &StageSpec) -> Self {
        let (reach, unit) = match spec.reach {
            Reach::Percent(p) => (plain(p), "percent"),
            Reach::Count(n) => (n.to_string(), "count"),
        };
        Self {
            name: spec.name.clone(),
            reach,
            unit: unit.into(),
            soak: span_text(spec.soak_s),
            then: if spec.confirm { "ask" } else { "go_on" }.into(),
            success: plain(spec.gate.success_percent),
            error: plain(spec.gate.error_percent),
            sample: spec.gate.min_sample.to_string(),
            max_errors: spec.gate.max_errors.to_string(),
        }
    }

    fn spec(&self, index: usize, wrong: &mut Vec<Problem>) -> StageSpec {
        let at = |field: &str| format!("stages.{index}.{field}");
        let reach = if self.unit == "count" {
            Reach::Count(number(&self.reach, &at("reach"), "Write a whole number of devices, for example 5.", wrong))
        } else {
            Reach::Percent(percentage(&self.reach, &at("reach"), "Write a percentage, for example 10.", wrong))
        };
        let soak_s = span(&self.soak).unwrap_or_else(|| {
            wrong.push(problem(&at("soak_s"), "Write a span, for example 90 s, 10 min, 2 h or 1 d."));
            0
        });
        let percent =
            |text: &str, field: &str, wrong: &mut Vec<Problem>| percentage(text, &at(field), "Write a percentage, for example 95.", wrong);
        let gate = GateSpec {
            success_percent: percent(&self.success, "gate.success_percent", wrong),
            error_percent: percent(&self.error, "gate.error_percent", wrong),
            min_sample: number(&self.sample, &at("gate.min_sample"), "Write a whole number of devices, for example 3.", wrong),
            max_errors: number(&self.max_errors, &at("gate.max_errors"), "Write a whole number of devices; 0 is no limit.", wrong),
        };
        StageSpec { name: self.name.trim().to_owned(), reach, soak_s, confirm: self.then == "ask", gate }
    }
}

fn template(key: &str) -> Vec<StageDraft> {
    let stages = TEMPLATES.iter().find(|t| t.0 == key).map_or(&[][..], |t| t.2);
    stages.iter().map(|(name, percent, soak, ask)| StageDraft::new(name, percent, soak, *ask)).collect()
}

fn problem(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: message.to_owned() }
}

/// A number of an input, or a problem and the type's zero.
fn number<N: std::str::FromStr + Default>(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> N {
    text.trim().parse().unwrap_or_else(|_| {
        wrong.push(problem(field, message));
        N::default()
    })
}

/// A percentage of an input, with or without its sign, or a problem and zero.
fn percentage(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> f64 {
    read_decimal(text.trim().trim_end_matches('%').trim_end()).unwrap_or_else(|| {
        wrong.push(problem(field, message));
        0.0
    })
}

/// Seconds of `90 s`, `10 min`, `2 h`, `1 d`; a bare number means minutes, nothing means none.
fn span(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "s" | "sec" => 1,
        "" | "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

fn span_text(seconds: u32) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The instant of `2026-11-22T09:57`, UTC (the value of a `datetime-local` input).
fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute) = (time.next()?.ok()?, time.next()?.ok()?);
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || !(0..24).contains(&hour)
        || !(0..60).contains(&minute)
    {
        return None;
    }
    // Days from civil, after Howard Hinnant's public-domain derivation.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y / 400;
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let at = Timestamp(((days * 24 + hour) * 60 + minute) * 60_000);
    // The 31st of a month with 30 days would be another day.
    let (_, _, printed, ..) = at.civil();
    (i64::from(printed) == day).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";

    fn plan() -> Draft {
        let mut draft = Draft::read("");
        draft.name = "Gateway 4.12 & more".into();
        draft.release = RELEASE.into();
        draft.selector = "type:gateway tag:eu".into();
        draft.start_at = "2026-11-22T09:57".into();
        draft.reason = "Fixes 100 % of it".into();
        draft
    }

    #[test]
    fn a_plan_survives_the_address_and_the_wire() {
        let draft = plan();
        assert_eq!(Draft::read(&draft.write()), draft);
        let spec = draft.spec().unwrap();
        assert_eq!(spec.stages.len(), 3);
        assert_eq!(spec.stages[0].reach, Reach::Percent(10.0));
        assert_eq!(spec.stages[0].soak_s, 600);
        assert_eq!(spec.start_at, Some(Timestamp(1_795_341_420_000)));
        assert_eq!(Draft::of(&spec), draft);
    }

    #[test]
    fn what_is_wrong_is_said_at_its_input() {
        let mut draft = plan();
        draft.release.clear();
        draft.start_at = "2026-11-31T09:57".into();
        draft.timeout_min = "an hour".into();
        draft.stages[1].reach = "half".into();
        draft.stages[2].soak = "1 week".into();
        draft.stages[2].success = "-".into();
        let fields: Vec<_> = draft.spec().unwrap_err().into_iter().map(|p| p.field).collect();
        assert_eq!(fields, ["release", "start_at", "timeout_min", "stages.1.reach", "stages.2.soak_s", "stages.2.gate.success_percent"]);
    }

    #[test]
    fn buttons_change_the_stages() {
        let mut draft = plan();
        draft.apply("add");
        assert_eq!(draft.stages.iter().map(|s| s.reach.as_str()).collect::<Vec<_>>(), ["10", "50", "75", "100"]);
        draft.apply("remove.0");
        assert_eq!(draft.stages.len(), 3);
        draft.apply("remove.9");
        draft.apply("remove.x");
        draft.apply("template.unknown");
        assert_eq!(draft.stages.len(), 3);
        draft.apply("template.all");
        draft.apply("remove.0");
        assert_eq!(draft.stages.len(), 1, "the last stage stays");
        for _ in 0..80 {
            draft.apply("add");
        }
        assert_eq!(draft.stages.len(), MOST_STAGES);
    }

    #[test]
    fn a_hostile_query_makes_no_giant_plan() {
        let draft = Draft::read("stages.4000000000.name=x&stages.49.name=last&stages.-1.name=y&stages.1.nothing=z&do=add");
        assert_eq!(draft.stages.len(), 50);
        assert_eq!(draft.stages[49].name, "last");
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("", Some(0)),
            ("90 s", Some(90)),
            ("10min", Some(600)),
            ("5", Some(300)),
            ("2 h", Some(7200)),
            ("1 d", Some(86_400)),
            ("x", None),
            ("1 week", None),
            ("9999999999 d", None),
        ] {
            assert_eq!(span(text), seconds, "{text}");
        }
        for seconds in [0, 1, 59, 60, 90, 3600, 5400, 86_400] {
            assert_eq!(span(&span_text(seconds)), Some(seconds));
        }
    }
}
