//! Which approval a draft takes when it is sent: how many, of which groups, who may, and what is missing.

use crate::ui::{Tone, banner, card, number::counted};
use leptos::prelude::*;
use wire::rollouts::{ApprovalAhead, ApproverAhead};

/// The card; nothing for a rollout that is no draft.
pub fn card_of(ahead: Option<&ApprovalAhead>) -> AnyView {
    let Some(ahead) = ahead else { return ().into_any() };
    let short = ahead.unfulfillable.clone().map(|why| {
        let text = view! { <div><b>"It can't be sent yet. "</b>{why}</div> };
        banner(Tone::Warn, text.into_any())
    });
    let groups = ahead
        .from
        .iter()
        .map(|s| {
            let term = format!("Of {}", s.name);
            view! { <dt>{term}</dt><dd>{format!("at least {}; {} there", s.at_least, counted(i64::from(s.people), "person is", "people are"))}</dd> }
        })
        .collect_view();
    let body = view! {
        <div class="stack">
            {short}
            <dl class="kv">
                <dt>"Takes"</dt><dd>{takes(ahead)}</dd>
                {groups}
                <dt>"May approve"</dt><dd>{may(ahead)}</dd>
            </dl>
        </div>
    };
    card("Approval it will take", None, body.into_any())
}

fn takes(ahead: &ApprovalAhead) -> String {
    format!("{} than its author", counted(i64::from(ahead.needed), "other person", "other people"))
}

/// Who may, by their names, with the groups that they count for; those that are not named are a number.
fn may(ahead: &ApprovalAhead) -> String {
    if ahead.approvers.is_empty() {
        return "nobody".to_owned();
    }
    let one = |a: &ApproverAhead| if a.groups.is_empty() { a.name.clone() } else { format!("{} ({})", a.name, a.groups.join(", ")) };
    let named: Vec<_> = ahead.approvers.iter().map(one).collect();
    let more = i64::from(ahead.people) - i64::try_from(named.len()).unwrap_or(0);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_is_named_with_the_groups_they_count_for() {
        let of =
            |name: &str, groups: &[&str]| ApproverAhead { name: name.into(), groups: groups.iter().map(|g| (*g).to_owned()).collect() };
        let mut ahead = ApprovalAhead {
            needed: 2,
            from: vec![],
            people: 3,
            approvers: vec![of("ada", &["safety"]), of("max", &[])],
            unfulfillable: None,
        };
        assert_eq!((takes(&ahead).as_str(), may(&ahead).as_str()), ("2 other people than its author", "ada (safety), max and 1 more"));
        ahead.approvers.clear();
        (ahead.needed, ahead.people) = (1, 0);
        assert_eq!((takes(&ahead).as_str(), may(&ahead).as_str()), ("1 other person than its author", "nobody"));
    }
}
