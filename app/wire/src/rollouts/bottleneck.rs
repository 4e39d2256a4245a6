//! Which limit of a plan decides how long it takes.

use crate::time::duration;
use serde::{Deserialize, Serialize};

/// The limit that devices wait for the longest, in the stage that takes the longest by such a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bottleneck {
    /// The stage, from 1.
    pub stage: u32,
    /// How long its updates usually take by that limit, in milliseconds, without its soak.
    pub usual_ms: i64,
    /// The limit.
    pub limit: HoldingLimit,
}

/// A limit that makes devices wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HoldingLimit {
    /// So many of the rollout's devices update at the same time.
    AtOnce(u32),
    /// So many begin within a minute, before the rate grows.
    Rate(u32),
    /// So many of what belongs together update at the same time.
    Budget(TightBudget),
    /// How many bytes a second are let out.
    Bandwidth,
}

/// The value of a budget's attribute whose devices wait the longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TightBudget {
    /// The attribute, for example `site`.
    pub attribute: String,
    /// Its value.
    pub value: String,
    /// Devices of the stage that have it.
    pub devices: i64,
    /// How many of them may update at once, at least 1.
    pub at_most: i64,
}

impl TightBudget {
    /// How often so many have to follow each other until all of its devices had their turn.
    #[must_use]
    pub const fn rounds(&self) -> i64 {
        let room = if self.at_most < 1 { 1 } else { self.at_most };
        if self.devices < 1 { 0 } else { (self.devices - 1) / room + 1 }
    }
}

impl Bottleneck {
    /// In a sentence without its stop, for a plan of so many stages: `Site Berlin's budget of 2 at once decides: 14 h in stage 2`.
    #[must_use]
    pub fn sentence(&self, stages: usize) -> String {
        let decides = match &self.limit {
            HoldingLimit::AtOnce(most) => format!("The limit of {most} at once decides"),
            HoldingLimit::Rate(most) => format!("The rate of {most} a minute decides"),
            HoldingLimit::Budget(of) => {
                let mut attribute = of.attribute.chars();
                let first = attribute.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
                format!("{first}{} {}'s budget of {} at once decides", attribute.as_str(), of.value, of.at_most)
            }
            HoldingLimit::Bandwidth => "The limits of bandwidth decide".to_owned(),
        };
        let place = if stages > 1 { format!(" in stage {}", self.stage) } else { String::new() };
        format!("{decides}: {}{place}", duration(self.usual_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tight(devices: i64, at_most: i64) -> TightBudget {
        TightBudget { attribute: "site".into(), value: "Berlin".into(), devices, at_most }
    }

    #[test]
    fn a_limit_that_decides_is_named_with_what_it_takes() {
        let said = |limit, stages| Bottleneck { stage: 2, usual_ms: 14 * 3_600_000, limit }.sentence(stages);
        let hours = duration(14 * 3_600_000);
        assert_eq!(said(HoldingLimit::Budget(tight(56, 2)), 1), format!("Site Berlin's budget of 2 at once decides: {hours}"));
        assert_eq!(said(HoldingLimit::AtOnce(20), 3), format!("The limit of 20 at once decides: {hours} in stage 2"));
        assert_eq!(said(HoldingLimit::Rate(5), 1), format!("The rate of 5 a minute decides: {hours}"));
        assert_eq!(said(HoldingLimit::Bandwidth, 1), format!("The limits of bandwidth decide: {hours}"));
    }

    #[test]
    fn rounds_are_as_many_as_it_takes() {
        assert_eq!([(0, 2), (1, 2), (2, 2), (3, 2), (5, 2), (3, 9), (3, 0)].map(|(n, k)| tight(n, k).rounds()), [0, 1, 1, 2, 3, 1, 3]);
    }
}
