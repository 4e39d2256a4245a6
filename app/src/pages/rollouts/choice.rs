//! Pure: which devices of a rollout its page shows, in the page's address.

use crate::plan::query::push;
use wire::{rollouts::UpdateSort, updates::UpdateFailure};

/// What the page's address chooses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The stage, from 1; 0 is all of them.
    pub stage: u32,
    /// `updating`, `failed`, `succeeded`, `waiting`; empty is all.
    pub show: String,
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
    /// What an address chooses; a word that is not understood counts as not said, but for `show`, which the server refuses.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            stage: get("stage").and_then(|n| n.parse().ok()).unwrap_or(0),
            show: get("show").unwrap_or_default(),
            outcome: get("outcome").and_then(|word| word.parse().ok()),
            q: get("q").unwrap_or_default(),
            sort: get("sort").and_then(|word| word.parse().ok()).unwrap_or_default(),
            cursor: get("cur").unwrap_or_default(),
            before: get("from").and_then(|n| n.parse().ok()).unwrap_or(0).max(0),
        }
    }

    /// The address of a rollout's page with another choice; the first page of it.
    pub fn href(id: &str, stage: u32, show: &str) -> String {
        Self { stage, show: show.to_owned(), ..Self::default() }.address(id)
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
        if !self.show.is_empty() {
            pairs.push(("show", self.show.clone()));
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
        if query.is_empty() { format!("/rollouts/{id}") } else { format!("/rollouts/{id}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::pairs;

    #[test]
    fn addresses_leave_defaults_out() {
        assert_eq!(Choice::href("rol_1", 0, ""), "/rollouts/rol_1");
        assert_eq!(Choice::href("rol_1", 2, "failed"), "/rollouts/rol_1?stage=2&show=failed");
    }

    #[test]
    fn the_address_keeps_what_was_chosen() {
        let chosen = Choice {
            stage: 2,
            show: "failed".into(),
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
        assert_eq!(Choice::read(|key| (key == "sort").then(|| "-luck".into())), Choice::default());
    }
}
