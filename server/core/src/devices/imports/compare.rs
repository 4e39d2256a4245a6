//! Pure: what a line of an import comes to beside what is in the fleet. A device that is there loses nothing by it: its type becomes another one, and tags,
//! groups and attributes that it does not have come to those it has. What a device has said of itself stays its own word.

use super::{
    super::{DeviceNo, words::MOST_TAGS},
    lines::{Line, Refusal, shown},
    tally::MOST_TOLD,
};
use std::collections::{BTreeSet, HashMap};
use wire::{device::MAX_ATTRIBUTES, enrolment::GivenGroup, selector::near, states::DeviceState};

/// A device that has the name of a line already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    pub device: DeviceNo,
    pub device_id: String,
    pub device_type: String,
    pub hardware: String,
    /// None of a deleted one, whose id is reserved.
    pub state: Option<DeviceState>,
    /// Whether a certificate of it stands.
    pub certified: bool,
    /// Why its certificate was revoked, if one was that no other had replaced.
    pub revoked: Option<String>,
    /// The hash of its target token.
    pub secret: Option<Vec<u8>>,
    pub tags: BTreeSet<String>,
    pub attributes: BTreeSet<String>,
    /// By their ids.
    pub groups: BTreeSet<String>,
}

/// What a device that is there would get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change<'a> {
    /// Type and hardware revision, where one of them is another; the one that is not is empty.
    pub kind: Option<(&'a str, &'a str)>,
    pub tags: Vec<&'a str>,
    /// By their ids.
    pub groups: Vec<String>,
    pub attributes: Vec<(&'a str, &'a str)>,
    pub secret: Option<&'a [u8; 32]>,
}

impl<'a> Change<'a> {
    /// What a device gets that is new; its type comes with its row.
    pub(super) fn all_of(line: &'a Line, groups: &[String]) -> Self {
        Self {
            kind: None,
            tags: line.tags.iter().map(String::as_str).collect(),
            groups: groups.to_vec(),
            attributes: line.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            secret: line.secret.as_ref(),
        }
    }

    fn is_none(&self) -> bool {
        self.kind.is_none() && self.tags.is_empty() && self.groups.is_empty() && self.attributes.is_empty() && self.secret.is_none()
    }
}

/// What a line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// A device that is not there.
    New,
    /// There is nothing to do.
    Unchanged,
    /// The device is there and is said to be otherwise.
    Differs(DeviceNo, Change<'a>),
    /// It is not taken.
    Refused(Refusal),
}

/// A line, and the groups that it names.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub line: &'a Line,
    /// By their ids, each once; or why the line is not taken.
    pub groups: Result<Vec<String>, Refusal>,
}

/// Looks for the groups that all lines of a file name, in one go: whatever a group is called, it is looked for once, however many lines say it.
pub(super) fn placed<'a>(lines: &'a [Line], there: &[GivenGroup]) -> Vec<Placed<'a>> {
    let mut ids: HashMap<&str, &str> = there.iter().map(|group| (group.name.as_str(), group.id.as_str())).collect();
    // What is an id is no name.
    ids.extend(there.iter().map(|group| (group.id.as_str(), group.id.as_str())));
    let names: Vec<&str> = there.iter().map(|group| group.name.as_str()).collect();
    let mut unknown: HashMap<&str, Refusal> = HashMap::new();
    let mut placed = Vec::with_capacity(lines.len());
    for line in lines {
        let mut groups = Ok(Vec::with_capacity(line.groups.len()));
        for said in &line.groups {
            let Some(id) = ids.get(said.as_str()) else {
                // Of those behind them nobody is told.
                let suggest = unknown.len() < MOST_TOLD;
                groups = Err(unknown.entry(said).or_insert_with(|| no_group(said, if suggest { &names } else { &[] })).clone());
                break;
            };
            if let Ok(groups) = &mut groups
                && !groups.iter().any(|known| known == id)
            {
                groups.push((*id).to_owned());
            }
        }
        placed.push(Placed { line, groups });
    }
    placed
}

fn no_group(said: &str, names: &[&str]) -> Refusal {
    let near = near(said, names).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
    Refusal::new("groups", format!("There is no group {:?}.{near} Make it first, or leave it out.", shown(said)))
}

/// What this line comes to, whose groups have these ids, where `update` asks for changes of what is there.
pub(super) fn verdict<'a>(line: &'a Line, groups: &[String], there: Option<&There>, update: bool) -> Verdict<'a> {
    let Some(there) = there else { return Verdict::New };
    let id = &line.device_id;
    let Some(state) = there.state else {
        let text = format!(
            "The id {id} is that of a deleted device and is reserved until its last certificate has ended. Take another id, or wait."
        );
        return Verdict::Refused(Refusal::new("device_id", text));
    };
    if there.device_id != id.as_str() {
        let text = format!(
            "There is the device {} already, which is another only in upper and lower case. Write the id as it is there.",
            there.device_id
        );
        return Verdict::Refused(Refusal::new("device_id", text));
    }
    let change = change(line, groups, there);
    if change.is_none() {
        return Verdict::Unchanged;
    }
    if update && let Some(refusal) = impossible(&change, there, state) {
        return Verdict::Refused(refusal);
    }
    Verdict::Differs(there.device, change)
}

fn change<'a>(line: &'a Line, groups: &[String], there: &There) -> Change<'a> {
    let other = |word: &'a str, is: &str| if word == is { "" } else { word };
    let kind = (other(&line.device_type, &there.device_type), other(&line.hardware, &there.hardware));
    Change {
        kind: Some(kind).filter(|kind| *kind != ("", "")),
        tags: line.tags.iter().map(String::as_str).filter(|tag| !there.tags.contains(*tag)).collect(),
        groups: groups.iter().filter(|id| !there.groups.contains(*id)).cloned().collect(),
        attributes: line
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !there.attributes.contains(*name))
            .collect(),
        secret: line.secret.as_ref().filter(|secret| there.secret.as_deref() != Some(secret.as_slice())),
    }
}

/// Why a device can't be changed so.
fn impossible(change: &Change<'_>, there: &There, state: DeviceState) -> Option<Refusal> {
    let id = &there.device_id;
    if change.secret.is_some() && there.certified {
        let text = format!("{id} has a certificate, and no secret speaks for a device that has one. Leave the secret out.");
        return Some(Refusal::new("security_token", text));
    }
    if change.secret.is_some() && matches!(state, DeviceState::Suspended | DeviceState::Decommissioned) {
        return Some(Refusal::new(
            "security_token",
            format!("{id} is {state}, so no secret is given to it. Leave the secret out, or bring it back first."),
        ));
    }
    if change.secret.is_some()
        && let Some(reason) = &there.revoked
    {
        let text = format!(
            "The certificate of {id} was revoked ({reason}), and no file lets a device back in. Leave the secret out. If it is to come back, enrol it anew, or \
             make a target token for it alone."
        );
        return Some(Refusal::new("security_token", text));
    }
    if there.tags.len() + change.tags.len() > MOST_TAGS {
        let text = format!("{id} would have more than {MOST_TAGS} tags, and no device has more. Take some away first.");
        return Some(Refusal::new("tags", text));
    }
    if there.attributes.len() + change.attributes.len() > MAX_ATTRIBUTES {
        let text = format!("{id} would have more than {MAX_ATTRIBUTES} attributes, and no device has more. Leave some out.");
        return Some(Refusal::new("attributes", text));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_tags_or_attributes_than_a_device_has() {
        let named = |word: &str, n: usize| -> BTreeSet<String> { (0..n).map(|n| format!("{word}-{n}")).collect() };
        let there = There {
            device: 1,
            device_id: "gw-1".to_owned(),
            device_type: String::new(),
            hardware: String::new(),
            state: Some(DeviceState::Active),
            certified: false,
            revoked: None,
            secret: None,
            tags: named("old", MOST_TAGS - 1),
            attributes: named("old", MAX_ATTRIBUTES - 1),
            groups: BTreeSet::new(),
        };
        for (tags, attributes, refused) in [(1, 1, None), (2, 0, Some("tags")), (0, 2, Some("attributes"))] {
            let line = Line {
                at: 2,
                device_id: "gw-1".parse().unwrap(),
                device_type: String::new(),
                hardware: String::new(),
                tags: named("new", tags).into_iter().collect(),
                groups: Vec::new(),
                attributes: named("new", attributes).into_iter().map(|name| (name, String::new())).collect(),
                secret: None,
            };
            let field = |update: bool| match verdict(&line, &[], Some(&there), update) {
                Verdict::Refused(refusal) => Some(refusal.field),
                _ => None,
            };
            assert_eq!((field(true), field(false)), (refused, None), "{tags} and {attributes}: what is left as it is has not too many");
        }
    }
}
