//! Pure: which devices of a rollout its page shows, in the page's address.

use crate::{
    plan::query::{address, push},
    ui::unread::Word,
};
use wire::{
    rollouts::{Show, UpdateQuery, UpdateSort},
    updates::UpdateFailure,
};

/// Words of the page's address, each with what its value has to be.
pub const WORDS: [Word; 4] = [
    ("stage", "number of a stage", |word| word.parse::<u32>().is_ok()),
    ("show", "way that devices fare", |word| word.parse::<Show>().is_ok()),
    ("outcome", "end of an update", |word| word.parse::<UpdateFailure>().is_ok()),
    ("sort", "order of devices", |word| word.parse::<UpdateSort>().is_ok()),
];
/// Words of the address that mean something whatever they say.
pub const OTHERS: [&str; 3] = ["q", "cur", "from"];

/// What the page's address chooses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The stage, from 1; 0 is all of them.
    pub stage: u32,
    /// Those that fare like this.
    pub show: Show,
    /// Only those whose update ended like this; `show` does not count then.
    pub outcome: Option<UpdateFailure>,
    /// What is searched for, a selector.
    pub q: String,
    /// Their order.
    pub sort: UpdateSort,
    /// Cursor of the page.
    pub cursor: String,
    /// Rows before this page.
    pub before: i64,
}

impl Choice {
    /// What an address chooses; a word that is not understood counts as not said.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            stage: get("stage").and_then(|n| n.parse().ok()).unwrap_or(0),
            show: get("show").and_then(|word| word.parse().ok()).unwrap_or_default(),
            outcome: get("outcome").and_then(|word| word.parse().ok()),
            q: get("q").unwrap_or_default(),
            sort: get("sort").and_then(|word| word.parse().ok()).unwrap_or_default(),
            cursor: get("cur").unwrap_or_default(),
            before: get("from").and_then(|n| n.parse().ok()).unwrap_or(0).max(0),
        }
    }

    /// What the list is asked for.
    pub fn query(&self) -> UpdateQuery {
        UpdateQuery {
            stage: (self.stage > 0).then_some(self.stage),
            show: self.show,
            outcome: self.outcome,
            q: self.q.clone(),
            sort: self.sort,
            cursor: (!self.cursor.is_empty()).then(|| self.cursor.clone()),
            rows: None,
        }
    }

    /// Whether any device of the stage is left out, but for what `show` says.
    pub fn narrows(&self) -> bool {
        self.outcome.is_some() || !self.q.trim().is_empty()
    }

    /// What is not as it is by itself, as pairs of a query; without a place in the list.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.stage > 0 {
            pairs.push(("stage", self.stage.to_string()));
        }
        if self.show != Show::All {
            pairs.push(("show", self.show.to_string()));
        }
        pairs.extend(self.outcome.map(|outcome| ("outcome", outcome.to_string())));
        if !self.q.is_empty() {
            pairs.push(("q", self.q.clone()));
        }
        if self.sort != UpdateSort::Joined {
            pairs.push(("sort", self.sort.to_string()));
        }
        pairs
    }

    /// The address of the first page of the rollout's devices.
    pub fn address(&self, id: &str) -> String {
        self.with(id, &[])
    }

    /// The address of the page of them that this cursor begins; `before` is how many rows lie in front of it.
    pub fn page(&self, id: &str, before: i64, cursor: &str) -> String {
        self.with(id, &[("from", before.to_string()), ("cur", cursor.to_owned())])
    }

    fn with(&self, id: &str, more: &[(&'static str, String)]) -> String {
        let mut query = String::new();
        for (key, value) in self.pairs().iter().chain(more) {
            push(&mut query, key, value);
        }
        address(&format!("/rollouts/{id}"), &query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::pairs;

    #[test]
    fn addresses_leave_defaults_out() {
        assert_eq!(Choice::default().address("rol_1"), "/rollouts/rol_1");
        assert_eq!(Choice { stage: 2, show: Show::Failed, ..Choice::default() }.address("rol_1"), "/rollouts/rol_1?stage=2&show=failed");
    }

    #[test]
    fn the_address_keeps_what_was_chosen() {
        let chosen = Choice {
            stage: 2,
            show: Show::Failed,
            outcome: Some(UpdateFailure::WentDark),
            q: "tag:eu & more".into(),
            sort: UpdateSort::ChangedDesc,
            cursor: "17.~ x".into(),
            before: 50,
        };
        for choice in [Choice::default(), Choice { q: "gw".into(), ..Choice::default() }, chosen] {
            let address =
                if choice.cursor.is_empty() { choice.address("rol_1") } else { choice.page("rol_1", choice.before, &choice.cursor) };
            let said = pairs(address.split_once('?').map_or("", |(_, query)| query));
            let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            assert_eq!(Choice::read(get), choice, "{address}");
        }
        for word in ["show", "outcome", "sort"] {
            assert_eq!(Choice::read(|key| (key == word).then(|| "-luck".into())), Choice::default());
        }
    }

    #[test]
    fn a_list_is_asked_for_what_was_chosen() {
        assert_eq!(Choice::default().query(), UpdateQuery::default());
        let choice = Choice { stage: 2, show: Show::Failed, q: "gw".into(), cursor: "17.gw-1".into(), before: 50, ..Choice::default() };
        let query =
            UpdateQuery { stage: Some(2), show: Show::Failed, q: "gw".into(), cursor: Some("17.gw-1".into()), ..UpdateQuery::default() };
        assert_eq!(choice.query(), query);
    }
}
