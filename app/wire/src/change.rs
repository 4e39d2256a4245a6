//! One field that two versions of a thing differ in: of two plans, of two releases. Refuses to know what the thing is, and which version is better.

use serde::{Deserialize, Serialize};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldChange {
    /// The field: of a plan its input, for example `stages.1.reach`; of a release the field of the manifest, or `state` and `signed_by`.
    pub field: String,
    /// What people call it, for example `Stage 2 Half, reach`.
    pub what: String,
    /// What it is before, in words; none where it is not there.
    pub before: Option<String>,
    /// What it is after, in words; none where it is not there.
    pub after: Option<String>,
}

impl FieldChange {
    /// What differs in a field; nothing where both say the same.
    pub fn between(field: &str, what: &str, before: Option<String>, after: Option<String>) -> Option<Self> {
        (before != after).then(|| Self { field: field.to_owned(), what: what.to_owned(), before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let of = |before: Option<&str>, after: Option<&str>| {
            FieldChange::between("name", "Name", before.map(str::to_owned), after.map(str::to_owned)).map(|c| (c.before, c.after))
        };
        assert_eq!((of(Some("a"), Some("a")), of(None, None)), (None, None));
        assert_eq!(of(Some("a"), None), Some((Some("a".to_owned()), None)));
        assert_eq!(of(None, Some("")), Some((None, Some(String::new()))));
    }
}
