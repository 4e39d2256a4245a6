//! Pure: types, tags, attributes, hardware, versions, metrics and groups that selectors ask for and that there are none of, most often by a slip of a
//! finger: they mean nobody, or leave nobody out. Plans and lists ask the same. Refuses to know whom the rest of a selector means.

use super::Facts;
use std::collections::BTreeSet;
use wire::selector::{Field, Selector, near};

/// Different values that are remembered, to suggest one of them.
const REMEMBERED: usize = 1000;

/// What has not been found yet.
#[derive(Debug)]
pub struct Misspelt<'a> {
    types: Sought<'a>,
    tags: Sought<'a>,
    /// Names of attributes; what they are asked to be is no slip that can be told.
    attributes: Sought<'a>,
    hardware: Sought<'a>,
    versions: Sought<'a>,
    /// Names of metrics; devices that come don't say which they send.
    metrics: Sought<'a>,
    /// Groups that are asked for.
    groups: BTreeSet<&'a str>,
}

/// Values of one kind that are looked for.
#[derive(Debug, Default)]
struct Sought<'a> {
    /// Those that no device has.
    missing: BTreeSet<&'a str>,
    /// Those that devices have, while one is missing.
    known: BTreeSet<String>,
}

impl Sought<'_> {
    /// A device has this one.
    fn there(&mut self, value: &str) {
        if self.missing.is_empty() {
            return;
        }
        self.missing.remove(value);
        if self.known.len() < REMEMBERED && !self.known.contains(value) {
            self.known.insert(value.to_owned());
        }
    }

    /// These are there. Where they are not `all`, nothing can be said of those that are missing.
    fn known(&mut self, values: &[String], all: bool) {
        for value in values {
            self.there(value);
        }
        if !all {
            self.missing.clear();
        }
    }

    /// A sentence about each that is missing.
    fn said(&self, sentence: impl Fn(&str) -> String) -> Vec<String> {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        self.missing.iter().map(|value| format!("{}{}", sentence(value), meant(value, &known))).collect()
    }
}

/// A question for the one of these that was meant, if a slip or two make it of what was written; empty where none is near.
pub(crate) fn meant(value: &str, of: &[&str]) -> String {
    near(value, of).map_or_else(String::new, |meant| format!(" Did you mean {meant}?"))
}

impl<'a> Misspelt<'a> {
    /// Of these selectors; no device came yet.
    #[must_use]
    pub fn new(selectors: impl IntoIterator<Item = &'a Selector>) -> Self {
        let (mut types, mut tags, mut groups) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut attributes, mut hardware, mut versions, mut metrics) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for selector in selectors {
            selector.visit(&mut |part| {
                let (asked, values) = match part {
                    Selector::Is(Field::Type, values) => (&mut types, values),
                    Selector::Is(Field::Tag, values) => (&mut tags, values),
                    Selector::Is(Field::Group, values) => (&mut groups, values),
                    Selector::Is(Field::Hardware, values) => (&mut hardware, values),
                    Selector::Is(Field::Version, values) => (&mut versions, values),
                    Selector::Metric(asked) => {
                        metrics.insert(asked.name.as_str());
                        return;
                    }
                    Selector::Is(Field::Attribute(name), _) => {
                        attributes.insert(name.as_str());
                        return;
                    }
                    _ => return,
                };
                // A pattern names none.
                asked.extend(values.iter().map(String::as_str).filter(|value| !value.contains('*')));
            });
        }
        let sought = |missing| Sought { missing, known: BTreeSet::new() };
        Self {
            types: sought(types),
            tags: sought(tags),
            attributes: sought(attributes),
            hardware: sought(hardware),
            versions: sought(versions),
            metrics: sought(metrics),
            groups,
        }
    }

    /// Whether nothing is looked for, or everything was found; groups are never found before they are named.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let all = [&self.types, &self.tags, &self.attributes, &self.hardware, &self.versions, &self.metrics];
        let found = all.into_iter().all(|sought| sought.missing.is_empty());
        found && self.groups.is_empty()
    }

    /// Whether it matters which attributes devices report.
    #[must_use]
    pub fn asks_for_attributes(&self) -> bool {
        !self.attributes.missing.is_empty()
    }

    /// Whether it matters which hardware there is.
    #[must_use]
    pub fn asks_for_hardware(&self) -> bool {
        !self.hardware.missing.is_empty()
    }

    /// Whether it matters which metrics devices send.
    #[must_use]
    pub fn asks_for_metrics(&self) -> bool {
        !self.metrics.missing.is_empty()
    }

    /// Whether it matters which groups there are.
    #[must_use]
    pub fn asks_for_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Takes a device of the fleet, whether it is meant or not.
    pub fn take(&mut self, facts: &Facts) {
        self.types.there(&facts.device_type);
        facts.tags.iter().for_each(|tag| self.tags.there(tag));
        facts.attributes.keys().for_each(|name| self.attributes.there(name));
        self.hardware.there(&facts.hardware);
        self.versions.there(&facts.version);
    }

    /// Takes values of a field that devices have: types, tags, versions or hardware. Of another field nothing is taken.
    pub fn knows(&mut self, field: &Field, values: &[String]) {
        match field {
            Field::Type => self.types.known(values, true),
            Field::Tag => self.tags.known(values, true),
            Field::Version => self.versions.known(values, true),
            Field::Hardware => self.hardware.known(values, true),
            _ => {}
        }
    }

    /// Takes names of attributes that devices report. Where these are not `all`, nothing can be said of those that are missing.
    pub fn knows_attributes(&mut self, names: &[String], all: bool) {
        self.attributes.known(names, all);
    }

    /// The same of hardware.
    pub fn knows_hardware(&mut self, revisions: &[String], all: bool) {
        self.hardware.known(revisions, all);
    }

    /// The same of metrics that devices send.
    pub fn knows_metrics(&mut self, names: &[String], all: bool) {
        self.metrics.known(names, all);
    }

    /// Types, tags, versions and hardware that were not found yet.
    #[must_use]
    pub fn missing(&self) -> [(Field, Vec<String>); 4] {
        let of = |sought: &Sought<'_>| -> Vec<String> { sought.missing.iter().map(|value| (*value).to_owned()).collect() };
        let (types, tags) = (of(&self.types), of(&self.tags));
        [(Field::Type, types), (Field::Tag, tags), (Field::Version, of(&self.versions)), (Field::Hardware, of(&self.hardware))]
    }

    /// Sentences about what there is none of, where these are the groups.
    #[must_use]
    pub fn said(&self, groups: &[String]) -> Vec<String> {
        let there: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mut said = self.types.said(|value| format!("No device is of the type {value}."));
        said.extend(self.tags.said(|value| format!("No device has the tag {value}.")));
        said.extend(self.attributes.said(|name| format!("No device reports the attribute {name}.")));
        said.extend(self.hardware.said(|value| format!("No device has the hardware {value}.")));
        said.extend(self.versions.said(|value| format!("No device runs the version {value}.")));
        said.extend(self.metrics.said(|name| format!("No device sends the metric {name}.")));
        let missing = self.groups.iter().filter(|value| !there.contains(*value));
        said.extend(missing.map(|value| format!("There is no group {value}.{}", meant(value, &there))));
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(selectors: &[&str]) -> Vec<String> {
        let parsed: Vec<Selector> = selectors.iter().map(|text| Selector::parse(text).unwrap()).collect();
        let mut misspelt = Misspelt::new(&parsed);
        for device_type in ["gateway", "gateway", "Sensor", ""] {
            let tags = vec!["eu".into(), "rollout-first".into()];
            let attributes = [("site".to_owned(), "lab".to_owned())].into();
            let (hardware, version) = ("rev-b".into(), "1.10.0".into());
            misspelt.take(&Facts { device_type: device_type.into(), tags, attributes, hardware, version, ..Facts::default() });
        }
        misspelt.knows_metrics(&["cpu.percent".into(), "load".into()], true);
        misspelt.said(&["lab".into(), "North Hall".into()])
    }

    #[test]
    fn a_type_a_tag_and_a_group_that_there_are_none_of_are_told_the_nearest() {
        let told = said(&["type:gatway,gateway (group:\"north hal\" or -group:labb)", "type:sensor"]);
        assert_eq!(
            told,
            [
                "No device is of the type gatway. Did you mean gateway?",
                "No device is of the type sensor. Did you mean Sensor?",
                "There is no group labb. Did you mean lab?",
                "There is no group north hal. Did you mean North Hall?",
            ]
        );
        assert_eq!(
            said(&["tag:eu -tag:rollout-frist,lab"]),
            ["No device has the tag lab.", "No device has the tag rollout-frist. Did you mean rollout-first?"]
        );
        assert_eq!(
            said(&["attr.siet:berlin -attr.Site:x", "attr.site:nowhere or attr.colour:*"]),
            [
                "No device reports the attribute Site. Did you mean site?",
                "No device reports the attribute colour.",
                "No device reports the attribute siet. Did you mean site?",
            ],
            "what it is asked to be is no slip"
        );
        assert_eq!(
            said(&["hw:rev-d,Z version:1.10.1", "metric.cpu.prcent>3 -version:\"9.9\""]),
            [
                "No device has the hardware Z.",
                "No device has the hardware rev-d. Did you mean rev-b?",
                "No device runs the version 1.10.1. Did you mean 1.10.0?",
                "No device runs the version 9.9.",
                "No device sends the metric cpu.prcent. Did you mean cpu.percent?",
            ]
        );
        assert_eq!(said(&["tag:ue"]), ["No device has the tag ue. Did you mean eu?"]);
        assert_eq!(said(&["type:camera group:attic"]), ["No device is of the type camera.", "There is no group attic."]);
    }

    #[test]
    fn what_there_is_and_patterns_are_no_slips() {
        for text in [
            "",
            "attr.site:nowhere",
            "hw:rev-b,rev* version:1.10.0 metric.load>1 version>9.9",
            "type:gateway group:lab",
            "type:gat*way group:l*",
            "tag:eu gatway",
            "tag:e*",
            "-type:Sensor group:\"North Hall\"",
        ] {
            assert_eq!(said(&[text]), [""; 0], "{text}");
        }
        let selector = Selector::parse("type:gateway,gatway tag:eu").unwrap();
        let mut of_lists = Misspelt::new([&selector]);
        of_lists.knows(&Field::Type, &["gateway".into()]);
        of_lists.knows(&Field::Tag, &["eu".into()]);
        let missing = [Field::Tag, Field::Version, Field::Hardware].map(|field| (field, Vec::<String>::new()));
        assert_eq!(of_lists.missing()[0], (Field::Type, vec!["gatway".to_owned()]));
        assert_eq!(of_lists.missing()[1..], missing);
        assert_eq!(of_lists.said(&[]), ["No device is of the type gatway. Did you mean gateway?"]);
        let selector = Selector::parse("attr.siet:x attr.line:1").unwrap();
        let mut of_lists = Misspelt::new([&selector]);
        assert!(of_lists.asks_for_attributes());
        of_lists.knows_attributes(&["line".into(), "site".into()], true);
        assert_eq!(of_lists.said(&[]), ["No device reports the attribute siet. Did you mean site?"]);
        of_lists.knows_attributes(&["line".into()], false);
        assert!(of_lists.is_settled() && of_lists.said(&[]).is_empty(), "it may be one of those that are not known");
        let of = |text: &str| [Selector::parse(text).unwrap()];
        assert!(!Misspelt::new(&of("type:x")).asks_for_groups());
        let settled =
            ["", "gw-1 online:yes", "type:g*", "hw:*", "type:x", "tag:x", "attr.x:y", "group:x", "hw:x", "version:1", "metric.x>1"]
                .map(|text| Misspelt::new(&of(text)).is_settled());
        assert_eq!(settled, [true, true, true, true, false, false, false, false, false, false, false]);
    }
}
