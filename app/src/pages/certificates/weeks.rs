//! The calendar of ends: how many certificates end in each week, each a link to the list of them.

use super::query::href;
use crate::ui::{number::counted, page::card};
use leptos::prelude::*;
use wire::{Timestamp, pki::CertificateQuery};

const WEEK: i64 = 7 * 86_400_000;

/// The calendar. `chosen` is the week that the list shows.
pub fn weeks(counts: &[i64], now: Timestamp, chosen: Option<u32>) -> AnyView {
    let most = counts.iter().copied().max().unwrap_or(0);
    let cells = (0_u32..)
        .zip(counts)
        .map(|(week, count)| {
            let from = now.plus(i64::from(week) * WEEK);
            let what = format!("{}: {}", when(week), counted(*count, "certificate ends", "certificates end"));
            let month = view! { <small aria-hidden="true">{month(week, from)}</small> };
            if *count == 0 {
                return view! { <li aria-hidden="true">{month}<span title=what></span></li> }.into_any();
            }
            let query = CertificateQuery { week: Some(week), ..CertificateQuery::default() };
            let title = format!("{what}, from {}", from.date());
            view! {
                <li>{month}<a href=href(&query, 0) data-l=level(week, *count, most) title=title aria-label=what aria-current=(chosen == Some(week)).then_some("true")>{short(*count)}</a></li>
            }
            .into_any()
        })
        .collect_view();
    let total: i64 = counts.iter().sum();
    let aside = view! { <span class="dim">{counted(total, "certificate", "certificates")}</span> }.into_any();
    card(
        "Ends by week, the next 12 months",
        Some(aside),
        view! { <ol class="heat" aria-label="Certificates that end, by week">{cells}</ol>{(total > 0).then(legend)} }.into_any(),
    )
}

/// What the colours mean.
fn legend() -> AnyView {
    let words = [("4", "within 7 days"), ("3", "within 28 days"), ("2", "later, many"), ("1", "later, some")];
    let entries = words.map(|(level, word)| view! { <span class="entry"><i class="heat-key" data-l=level></i>{word}</span> });
    view! { <div class="legend">{entries.into_iter().collect_view()}</div> }.into_any()
}

/// The month that begins in this week, or that the first one lies in; empty for the others.
fn month(week: u32, from: Timestamp) -> String {
    let (_, last, ..) = from.plus(-WEEK).civil();
    let (_, this, ..) = from.civil();
    if week > 0 && last == this { String::new() } else { from.date().split(' ').nth(1).unwrap_or_default().to_owned() }
}

/// When a week is, in words.
fn when(week: u32) -> String {
    match week {
        0 => "Within 7 days".to_owned(),
        1 => "In 1 week".to_owned(),
        n => format!("In {n} weeks"),
    }
}

/// A colder colour for later and fewer: 4 within 7 days, 3 within 28, then 2 and 1 by number.
const fn level(week: u32, count: i64, most: i64) -> &'static str {
    match week {
        0 => "4",
        1..=3 => "3",
        _ if count * 2 > most => "2",
        _ => "1",
    }
}

/// A number that fits into a cell.
fn short(count: i64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_hot_and_numbers_fit() {
        assert_eq!([level(0, 1, 9), level(3, 1, 9), level(4, 5, 9), level(51, 4, 9)], ["4", "3", "2", "1"]);
        let from = |week: u32| Timestamp(1_795_341_432_000).plus(i64::from(week) * WEEK);
        assert_eq!([0, 1, 2, 6].map(|week| month(week, from(week))), ["Nov", "", "Dec", "Jan"], "22 Nov 2026 and the weeks after it");
        assert_eq!([short(7), short(999), short(12_481), short(3_000_000)], ["7", "999", "12k", "3M"]);
    }
}
