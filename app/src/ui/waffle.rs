//! Counts as little squares: how a whole is divided, in order. One hue at falling strength, because the order is the meaning.

use super::number::grouped;
use leptos::prelude::*;

/// Squares at most; a larger whole draws one square for several.
const MOST: i64 = 400;
/// Strengths there are; parts beyond share the last one.
const STRENGTHS: usize = 5;

/// Squares and legend of these parts (name, count). `noun` is what is counted, in the plural.
pub fn waffle(parts: &[(String, i64)], noun: &str) -> AnyView {
    let total: i64 = parts.iter().map(|p| p.1.max(0)).sum();
    if total == 0 {
        return ().into_any();
    }
    let per = (total + MOST - 1) / MOST;
    let squares = squares(parts, per).into_iter().map(|k| view! { <i data-k=k.to_string()></i> }).collect_view();
    let said: Vec<_> = parts.iter().map(|(name, n)| format!("{name}: {}", grouped(*n))).collect();
    let scale = if per > 1 { format!(" One square is {} {noun}.", grouped(per)) } else { String::new() };
    let legend = parts
        .iter()
        .enumerate()
        .map(|(i, (name, n))| view! { <span class="row nowrap"><i class="swatch" data-k=strength(i).to_string()></i>{format!("{} {name} {}", i + 1, grouped(*n))}</span> })
        .collect_view();
    view! {
        <div class="waffle" role="img" aria-label=format!("{}.{scale}", said.join(", "))>{squares}</div>
        <div class="legend">{legend}</div>
        {(per > 1).then(|| view! { <p class="small text-2">{scale.trim().to_owned()}</p> })}
    }
    .into_any()
}

/// The strength of each square: every part that has something has at least one.
fn squares(parts: &[(String, i64)], per: i64) -> Vec<usize> {
    parts
        .iter()
        .enumerate()
        .flat_map(|(i, (_, n))| {
            let squares = usize::try_from((n.max(&0) + per - 1) / per).unwrap_or(0);
            std::iter::repeat_n(strength(i), squares)
        })
        .collect()
}

fn strength(index: usize) -> usize {
    (index + 1).min(STRENGTHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_seen_and_large_wholes_stay_small() {
        let parts = [("Canary".to_owned(), 1), ("Rest".to_owned(), 99_999)];
        let per = 100_000_i64 / MOST;
        let drawn = squares(&parts, per);
        assert_eq!(drawn.iter().filter(|k| **k == 1).count(), 1);
        assert!(drawn.len() <= 401);
        assert_eq!(squares(&[("a".into(), 3), ("b".into(), 0), ("c".into(), 2)], 1), [1, 1, 1, 3, 3]);
    }
}
