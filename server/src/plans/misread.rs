//! Pure: what is wrong with a file that is no plan. Refuses to know what a plan says.

use crate::http::json;
use app::ui::number::grouped;
use serde_saphyr::{Budget, Error as YamlError, budget::BudgetBreach};

/// What is wrong with a file, in a line, in the words of JSON bodies.
pub(super) fn said(text: &str, e: &YamlError) -> String {
    if text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#')) {
        return "it is empty.".to_owned();
    }
    let one_of = |known: &[&str]| known.join(", ");
    let key = e.location().and_then(|at| key_before(text, at.line(), at.column()));
    // Of what an alias stands for, that is told which is wrong with it.
    let (of, aliased) = match e.without_snippet() {
        YamlError::AliasError { error, .. } => (error.without_snippet(), true),
        own => (own, false),
    };
    // What stands inside of itself is met as an alias where a value is expected.
    let at_alias = || of.location().is_some_and(|at| begins_alias(text, at.line(), at.column()));
    let looped = match of {
        YamlError::RecursiveReferencesRequireWeakTypes { .. } => true,
        YamlError::Unexpected { .. } => !aliased && at_alias(),
        _ => false,
    };
    if looped {
        return "an alias (*) stands inside of what its own anchor (&) names. Write out what is meant.".to_owned();
    }
    let library = match of {
        YamlError::DuplicateMappingKey { key, location } => {
            let what = key.as_ref().map_or_else(|| "a key".to_owned(), |key| format!("the key “{key}”"));
            return format!("on line {}, {what} stands for the second time in the same place. Keep one of the two.", location.line());
        }
        YamlError::MultipleDocuments { .. } => return "a second document begins in it. Keep one plan in a file.".to_owned(),
        YamlError::Eof { .. } => return "it ends before the plan does.".to_owned(),
        YamlError::UnknownAnchor { .. } => {
            return "an alias (*) has no anchor (&) of its name before it. Write out what is meant, or quote a text that begins with *."
                .to_owned();
        }
        YamlError::AliasReplayCounterOverflow { .. }
        | YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. } => {
            return "its aliases (*) repeat more than a plan has. Write out what is meant.".to_owned();
        }
        YamlError::Budget { breach, .. } => return past(breach),
        YamlError::ExternalMessage { msg, .. } if msg.starts_with(json::TOO_DEEP) => return nested(Budget::default().flow_nesting_limit),
        YamlError::SerdeMissingField { field, .. } => return format!("the field {field} is missing."),
        YamlError::SerdeUnknownField { field, expected, .. } => format!("unknown field `{field}`, expected one of {}", one_of(expected)),
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown variant `{variant}`, expected one of {}", one_of(expected))
        }
        YamlError::Unexpected { expected, .. } => format!("invalid type: something else, expected {}", node(expected)),
        YamlError::SerdeInvalidType { unexpected, expected, .. } => format!("invalid type: {unexpected}, expected {expected}"),
        YamlError::SerdeInvalidValue { unexpected, expected, .. } => format!("invalid value: {unexpected}, expected {expected}"),
        YamlError::InvalidScalar { ty: "boolean", .. } => "invalid type: text, expected a boolean".to_owned(),
        YamlError::InvalidScalar { ty: "floating point", .. } => "invalid type: text, expected f64".to_owned(),
        YamlError::InvalidScalar { ty, .. } => format!("invalid type: text, expected {ty}"),
        YamlError::Message { msg, .. } | YamlError::SerdeVariantId { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let first = library.lines().next().unwrap_or_default();
    let sentence = json::of_data(key.as_deref().unwrap_or("."), first);
    // It follows a place and a colon.
    let sentence = sentence.replacen("The body ", "this ", 1).replacen("The field ", "the field ", 1).replacen("There is ", "there is ", 1);
    if aliased { format!("{sentence} It is what the alias (*) stands for: write out what is meant.") } else { sentence }
}

/// What a file has too much of, whatever it says, and what to do: limits of the library that hold for every file, and that no plan comes near to.
pub(super) fn past(breach: &BudgetBreach) -> String {
    const WRITE_OUT: &str = "Write out what is meant.";
    const SAY_LESS: &str = "A plan needs few: name many devices by a selector, and not one by one.";
    let most = Budget::default();
    let (limit, of, help) = match breach {
        BudgetBreach::Depth { .. } => return nested(most.max_depth),
        BudgetBreach::Aliases { .. } => (most.max_aliases, "aliases (*)", WRITE_OUT),
        BudgetBreach::AliasAnchorRatio { .. } => (most.alias_anchor_ratio_multiplier, "aliases (*) for each anchor (&)", WRITE_OUT),
        BudgetBreach::Anchors { .. } => (most.max_anchors, "anchors (&)", WRITE_OUT),
        BudgetBreach::RecordedAnchorEvents { .. } => (most.max_recorded_anchor_events, "values behind anchors (&)", WRITE_OUT),
        BudgetBreach::RecordedAnchorBytes { .. } => (most.max_recorded_anchor_bytes, "bytes behind anchors (&)", WRITE_OUT),
        BudgetBreach::MergeKeys { .. } => (most.max_merge_keys, "merge keys (<<)", WRITE_OUT),
        BudgetBreach::Nodes { .. } => (most.max_nodes, "values, lists and maps", SAY_LESS),
        BudgetBreach::Events { .. } => (most.max_events, "beginnings and ends of values, lists and maps", SAY_LESS),
        BudgetBreach::ScalarBytes { .. } => (most.max_total_scalar_bytes, "bytes in its values", SAY_LESS),
        _ => return format!("it has more than is read of any file. {SAY_LESS}"),
    };
    format!("it has more than {} {of}. {help}", grouped(i64::try_from(limit).unwrap_or(i64::MAX)))
}

/// So many lists and maps that begin inside of each other are too many.
fn nested(limit: usize) -> String {
    format!("it has more than {limit} lists and maps inside of each other. A plan needs few: take the others away.")
}

/// A part of a file that is expected, by the words for values of JSON.
fn node(expected: &str) -> &str {
    match expected {
        "mapping start" | "empty mapping start" => "a map",
        "sequence start" => "a sequence",
        "string scalar" | "scalar" => "a string",
        other => other,
    }
}

/// Whether an alias stands at this place.
pub(super) fn begins_alias(text: &str, line: u64, column: u64) -> bool {
    let place = |n: u64| usize::try_from(n).ok()?.checked_sub(1);
    let (Some(line), Some(column)) = (place(line), place(column)) else { return false };
    text.lines().nth(line).and_then(|line| line.chars().nth(column)) == Some('*')
}

/// The key whose value stands at this place, if it is on the same line.
pub(super) fn key_before(text: &str, line: u64, column: u64) -> Option<String> {
    let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
    let before: String = text.lines().nth(line.checked_sub(1)?)?.chars().take(column.checked_sub(1)?).collect();
    let key = before.trim_end_matches([' ', '{', '[', '"', '\'']).strip_suffix(':')?;
    let key = key.rsplit([' ', '{', ',', '"', '\'']).next()?;
    (!key.is_empty()).then(|| key.to_owned())
}
