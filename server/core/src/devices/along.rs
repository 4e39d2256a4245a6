//! Pure: conditions whose devices an index has in the order of their ids, so that a page of a list by ids is read from its place on, however many are
//! meant and wherever they lie. Refuses to know whether that is the best way; holds no statement of its own.

use super::{
    filter::Filter,
    selector::{Field, Selector},
};
use crate::db::Value;

/// A condition that must hold of all that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Along {
    Tag(String),
    /// Name and value.
    Attribute(String, String),
    Group(String),
    Type(String),
    Hardware(String),
    Version(String),
    Update(String),
}

impl Along {
    /// The condition, where there is such an index. Those of types, hardware and versions leave out decommissioned devices: not for a list that may have some.
    pub(super) fn of(part: &Selector, may_be_gone: bool) -> Option<Self> {
        let Selector::Is(field, values) = part else { return None };
        let [value] = values.as_slice() else { return None };
        if value.is_empty() || value.contains('*') {
            return None;
        }
        let value = value.clone();
        match field {
            Field::Tag => Some(Self::Tag(value)),
            Field::Attribute(name) => Some(Self::Attribute(name.clone(), value)),
            Field::Group => Some(Self::Group(value)),
            Field::Type if !may_be_gone => Some(Self::Type(value)),
            Field::Hardware if !may_be_gone => Some(Self::Hardware(value)),
            Field::Version if !may_be_gone => Some(Self::Version(value)),
            Field::Update => Some(Self::Update(value)),
            _ => None,
        }
    }

    /// Whether most of a fleet often fulfils it.
    pub(super) const fn is_wide(&self) -> bool {
        matches!(self, Self::Type(_) | Self::Hardware(_))
    }

    /// Whether its index leaves out decommissioned devices, and so is only believed of a list that says of itself that it has none.
    pub(super) const fn leaves_out(&self) -> bool {
        matches!(self, Self::Type(_) | Self::Hardware(_) | Self::Version(_))
    }

    /// Adds the condition to the filter, whose devices are read along its index. `$1` is the organization. The join in this order, or the index by its
    /// name, keeps SQLite's planner, which does not know how many there are, from another way; PostgreSQL's has counted.
    pub(super) fn read(&self, filter: &mut Filter) {
        match self {
            Self::Tag(tag) => {
                let tag = filter.bind(Value::Text(tag.clone()));
                beside(filter, "device_tags", &format!("s.org_id = $1 AND s.tag = {tag}"));
            }
            Self::Attribute(name, value) => {
                let (name, value) = (filter.bind(Value::Text(name.clone())), filter.bind(Value::Text(value.clone())));
                beside(filter, "device_attributes", &format!("s.org_id = $1 AND s.name = {name} AND s.value = {value}"));
            }
            Self::Group(name) => {
                let name = filter.bind(Value::Text(name.clone()));
                let group = format!("(SELECT g.id FROM device_groups g WHERE g.org_id = $1 AND g.name = {name})");
                beside(filter, "group_members", &format!("s.group_id = {group}"));
            }
            Self::Type(device_type) => {
                let device_type = filter.bind(Value::Text(device_type.clone()));
                own(filter, "devices_of_type", &format!("d.device_type = {device_type}"));
            }
            Self::Hardware(revision) => {
                let revision = filter.bind(Value::Text(revision.clone()));
                own(filter, "devices_of_hardware", &format!("d.hardware = {revision}"));
            }
            Self::Version(version) => {
                let version = filter.bind(Value::Text(version.clone()));
                own(filter, "devices_of_version", &format!("d.version = {version}"));
            }
            Self::Update(state) => {
                let state = filter.bind(Value::Text(state.clone()));
                own(filter, "devices_by_update", &format!("d.update_state = {state} AND d.update_state <> ''"));
            }
        }
    }
}

fn beside(filter: &mut Filter, rows: &str, condition: &str) {
    let join = if filter.on_postgres() { "JOIN" } else { "CROSS JOIN" };
    filter.from = format!("{rows} s {join} devices d ON d.number = s.device");
    filter.placed = true;
    filter.text = format!("{} AND {condition}", filter.text);
}

fn own(filter: &mut Filter, index: &str, condition: &str) {
    filter.from = if filter.on_postgres() { "devices d".to_owned() } else { format!("devices d INDEXED BY {index}") };
    filter.text = format!("{} AND {condition}", filter.text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_exact_value_stands_in_the_order_of_ids() {
        let of = |q: &str| Along::of(&Selector::parse(q).unwrap(), false);
        assert_eq!(of("tag:eu"), Some(Along::Tag("eu".into())));
        assert_eq!(of("attr.site:s1"), Some(Along::Attribute("site".into(), "s1".into())));
        assert_eq!(of("group:north"), Some(Along::Group("north".into())));
        assert_eq!(of("version:1.0.0"), Some(Along::Version("1.0.0".into())));
        assert_eq!(of("update:failed"), Some(Along::Update("failed".into())));
        assert!(["type:gw", "hw:A"].iter().all(|q| of(q).is_some_and(|along| along.is_wide())));
        for q in ["", "tag:eu,us", "tag:e*", "-tag:eu", "eu", "online:yes", "state:active", "tag:eu or tag:us", "id:gw-1"] {
            assert_eq!(of(q), None, "{q}");
        }
        for (q, there_is) in [("type:gw", false), ("hw:A", false), ("version:1.0.0", false), ("tag:eu", true), ("update:failed", true)] {
            assert_eq!(Along::of(&Selector::parse(q).unwrap(), true).is_some(), there_is, "{q}");
        }
    }
}
