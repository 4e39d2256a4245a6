//! Pure: types and groups that a plan's selectors ask for and that there are none of, most often by a slip of a finger: they mean nobody, or leave nobody
//! out. Refuses to know whom the rest of a selector means.

use crate::devices::Facts;
use std::collections::BTreeSet;
use wire::selector::{Field, Selector, near};

/// Different types that are remembered, to suggest one of them.
const REMEMBERED: usize = 1000;

/// What has not been found yet.
#[derive(Debug)]
pub struct Misspelt<'a> {
    /// Types that no device is of.
    types: BTreeSet<&'a str>,
    /// Groups that are asked for.
    groups: BTreeSet<&'a str>,
    /// Types that devices are of, while one is missing.
    known: BTreeSet<String>,
}

impl<'a> Misspelt<'a> {
    /// Of these selectors; no device came yet.
    #[must_use]
    pub fn new(selectors: impl IntoIterator<Item = &'a Selector>) -> Self {
        let (mut types, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for selector in selectors {
            selector.visit(&mut |part| {
                let (asked, values) = match part {
                    Selector::Is(Field::Type, values) => (&mut types, values),
                    Selector::Is(Field::Group, values) => (&mut groups, values),
                    _ => return,
                };
                // A pattern names none.
                asked.extend(values.iter().map(String::as_str).filter(|value| !value.contains('*')));
            });
        }
        Self { types, groups, known: BTreeSet::new() }
    }

    /// Whether it matters which groups there are.
    #[must_use]
    pub fn asks_for_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Takes a device of the fleet, whether the plan means it or not.
    pub fn take(&mut self, facts: &Facts) {
        if self.types.is_empty() {
            return;
        }
        self.types.remove(facts.device_type.as_str());
        if self.known.len() < REMEMBERED && !self.known.contains(&facts.device_type) {
            self.known.insert(facts.device_type.clone());
        }
    }

    /// Sentences about what there is none of, where these are the groups.
    #[must_use]
    pub fn said(&self, groups: &[String]) -> Vec<String> {
        let (known, there): (Vec<&str>, Vec<&str>) =
            (self.known.iter().map(String::as_str).collect(), groups.iter().map(String::as_str).collect());
        let meant = |value: &str, of: &[&str]| near(value, of).map_or_else(String::new, |meant| format!(" Did you mean {meant}?"));
        let types = self.types.iter().map(|value| format!("No device is of the type {value}.{}", meant(value, &known)));
        let missing = self.groups.iter().filter(|value| !there.contains(*value));
        types.chain(missing.map(|value| format!("There is no group {value}.{}", meant(value, &there)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(selectors: &[&str]) -> Vec<String> {
        let parsed: Vec<Selector> = selectors.iter().map(|text| Selector::parse(text).unwrap()).collect();
        let mut misspelt = Misspelt::new(&parsed);
        for device_type in ["gateway", "gateway", "Sensor", ""] {
            misspelt.take(&Facts { device_type: device_type.into(), ..Facts::default() });
        }
        misspelt.said(&["lab".into(), "North Hall".into()])
    }

    #[test]
    fn a_type_and_a_group_that_there_are_none_of_are_told_the_nearest() {
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
        assert_eq!(said(&["type:camera group:attic"]), ["No device is of the type camera.", "There is no group attic."]);
    }

    #[test]
    fn what_there_is_and_patterns_are_no_slips() {
        for text in ["", "type:gateway group:lab", "type:gat*way group:l*", "tag:gatway gatway", "-type:Sensor group:\"North Hall\""] {
            assert_eq!(said(&[text]), [""; 0], "{text}");
        }
        assert!(!Misspelt::new(&[Selector::parse("type:x").unwrap()]).asks_for_groups());
    }
}
