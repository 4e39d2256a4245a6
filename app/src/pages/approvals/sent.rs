//! What was sent for approval, and what became of it: who decided how, or why nobody did. Refuses to know what still waits for a decision.

use super::progress;
use crate::{
    pages::words,
    ui::{Column, badge, table, time},
};
use leptos::prelude::*;
use wire::{
    rollouts::{ApprovalRow, AskedRow, InboxTab},
    states::RolloutState,
};

/// The requests of a tab that decides nothing, in a table.
pub(super) fn requests(tab: InboxTab, rows: &[AskedRow]) -> AnyView {
    let columns = vec![
        Column::text("Rollout"),
        Column::text("State"),
        Column::text("Firmware"),
        Column::text("Sent by"),
        Column::text("Sent"),
        Column::text(if tab == InboxTab::Void { "Why" } else { "Decisions" }),
    ];
    let rows = rows
        .iter()
        .map(|row| {
            let r = &row.rollout;
            let (tone, word) = words::rollout(r.state);
            view! {
                <tr>
                    <th scope="row"><a class="main" href=format!("/rollouts/{}", r.id)>{r.name.clone()}</a></th>
                    <td>{badge(tone, word)}</td>
                    <td><span class="mono">{r.version.clone()}</span>" "<span class="dim">{r.device_type.clone()}</span></td>
                    <td>{row.asked_by.clone()}</td>
                    <td class="dim">{time::ago(row.asked_at)}</td>
                    <td class="why">{became(tab, row).into_iter().map(|line| view! { <div>{line}</div> }).collect_view()}</td>
                </tr>
            }
        })
        .collect_view();
    table("Rollouts that were sent for approval", columns, rows.into_any())
}

/// What became of a request, in lines.
fn became(tab: InboxTab, row: &AskedRow) -> Vec<String> {
    if tab == InboxTab::Void || row.rollout.state == RolloutState::Draft {
        let why = row.rollout.summary.as_str();
        return vec![if why.is_empty() { "The plan was edited after it was sent".to_owned() } else { why.to_owned() }];
    }
    let decision = |a: &ApprovalRow| {
        let word = if a.approved { "Approved" } else { "Rejected" };
        let uncounted = a.uncounted.as_ref().map_or_else(String::new, |why| format!(", does not count: {why}"));
        format!("{word} by {}: “{}”{uncounted}", a.by_name, a.remark)
    };
    let without = row.without.then(|| "Started without its approvals".to_owned());
    let far = row.standing.as_ref().map(progress);
    let lines: Vec<String> = without.into_iter().chain(far).chain(row.decisions.iter().map(decision)).collect();
    if lines.is_empty() { vec!["Nobody decided on it".to_owned()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        rollouts::{ApprovalStanding, Counts, RolloutRow},
    };

    fn row(state: RolloutState, summary: &str) -> AskedRow {
        let rollout = RolloutRow {
            id: "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            name: "Radio fix".into(),
            version: "2.0.0".into(),
            device_type: "gateway".into(),
            state,
            summary: summary.into(),
            stage: 0,
            stages: 1,
            counts: Counts::default(),
            author: "oli".into(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        AskedRow { rollout, asked_at: Timestamp(0), asked_by: "oli".into(), standing: None, decisions: Vec::new(), without: false }
    }

    fn decision(by: &str, approved: bool) -> ApprovalRow {
        ApprovalRow {
            id: "app_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            by: "usr_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            by_name: by.into(),
            approved,
            remark: "looked at it".into(),
            at: Timestamp(0),
            digest: "ab".repeat(32).parse().unwrap(),
            void: false,
            uncounted: None,
        }
    }

    #[test]
    fn a_row_says_what_became_of_it() {
        let standing = ApprovalStanding { needed: 2, given: 1, missing: 1, from: Vec::new(), decide_by: None, stuck: None };
        let half = AskedRow {
            standing: Some(standing),
            decisions: vec![ApprovalRow { uncounted: Some("not an admin any more".into()), ..decision("eve", true) }],
            ..row(RolloutState::WaitingForApproval, "")
        };
        assert_eq!(
            became(InboxTab::Mine, &half),
            ["1 of 2 approvals", "Approved by eve: “looked at it”, does not count: not an admin any more"]
        );
        let refused = AskedRow { decisions: vec![decision("max", false)], ..row(RolloutState::Rejected, "") };
        assert_eq!(became(InboxTab::Done, &refused), ["Rejected by max: “looked at it”"]);
        let broken = AskedRow { without: true, ..row(RolloutState::Running, "") };
        assert_eq!(became(InboxTab::Done, &broken), ["Started without its approvals"]);
        assert_eq!(became(InboxTab::Done, &row(RolloutState::Stopped, "")), ["Nobody decided on it"]);
        let expired = row(RolloutState::Draft, "The request for approval has expired: it was not decided in time");
        assert!(became(InboxTab::Void, &expired)[0].starts_with("The request for approval has expired"));
        assert!(became(InboxTab::Mine, &row(RolloutState::Draft, ""))[0].starts_with("The plan was edited"));
    }
}
