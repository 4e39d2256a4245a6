//! Pure: a selector as conditions side by side, so that one of them can be taken out, or put in the place of another, without a look at the text.

use super::{Field, Selector};

impl Selector {
    /// The conditions that all have to hold; what is written with an `or` is one of them.
    pub fn conditions(self) -> Vec<Self> {
        match self {
            Self::All(parts) => parts.into_iter().flat_map(Self::conditions).collect(),
            part => vec![part],
        }
    }

    /// The selector for which all of these have to hold, as it is parsed when it is written.
    pub fn all(mut conditions: Vec<Self>) -> Self {
        if conditions.len() == 1 { conditions.remove(0) } else { Self::All(conditions) }
    }

    /// The same with `field:value` in the place of each condition that says which values the field has; an empty value only takes them out. What is
    /// said about the field beside an `or` or behind a `-` stays.
    #[must_use]
    pub fn with(self, field: &Field, value: &str) -> Self {
        let mut kept = self.conditions();
        kept.retain(|condition| !matches!(condition, Self::Is(about, _) if about == field));
        if !value.is_empty() {
            kept.push(Self::Is(field.clone(), vec![value.to_owned()]));
        }
        Self::all(kept)
    }
}
