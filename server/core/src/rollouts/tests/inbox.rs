//! The approvals inbox: what its tabs have, and their pages.

use super::{Scene, fault, stage};
use crate::{access::Actor, db::EngineKind};
use rstest::rstest;
use std::collections::BTreeSet;
use wire::{
    ids::RolloutId,
    rollouts::{ApprovalsPage, InboxCounts, InboxQuery, InboxTab, Reach, RolloutSpec},
    states::{Role, RolloutState},
};

const DAY: i64 = 24 * 3_600_000;

impl Scene {
    async fn sent_by(&self, author: &Actor) -> RolloutId {
        let id = self.rollouts().draft(author, self.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
        self.rollouts().submit(author, &id).await.unwrap();
        id
    }

    async fn tab(&self, actor: &Actor, tab: InboxTab) -> ApprovalsPage {
        self.rollouts().approvals(actor, &InboxQuery { tab, cursor: None }).await.unwrap()
    }

    /// What a tab where nobody decides has.
    async fn rows(&self, actor: &Actor, tab: InboxTab) -> Vec<RolloutId> {
        let page = self.tab(actor, tab).await;
        assert_eq!((page.tab, page.waiting.len(), page.next), (tab, 0, None));
        page.asked.into_iter().map(|row| row.rollout.id).collect()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_somebody_else_has_edited_and_sent_stays_with_who_wrote_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let (room, eve) = (s.rollouts(), s.w.person("eve", Role::Admin).await);
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let id = room.draft(&s.ada, plan.clone()).await.unwrap();
    let edited = RolloutSpec { reason: "better".into(), ..plan };
    room.edit(&s.oli, &id, s.detail(&id).await.generation, edited).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    for (who, me, mine) in [(&s.ada, 0, 1), (&s.oli, 0, 1), (&eve, 1, 0)] {
        let counts = s.tab(who, InboxTab::ForMe).await.counts;
        assert_eq!((counts.me, counts.mine), (me, mine), "{}", who.label());
        let rows = s.rows(who, InboxTab::Mine).await;
        assert_eq!(rows, if mine == 1 { vec![id.clone()] } else { Vec::new() }, "{}", who.label());
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn each_tab_has_what_belongs_there_and_says_how_much_that_is(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    room.draft(&s.oli, s.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
    assert_eq!(s.tab(&eve, InboxTab::ForMe).await.counts, InboxCounts::default(), "what was never sent is nowhere");

    let first = s.sent_by(&s.oli).await;
    s.w.clock.advance(1000);
    let second = s.sent_by(&s.ada).await;
    let digest = s.detail(&first).await.digest;
    room.approve(&eve, &first, &digest, "fine").await.unwrap();
    for (who, me, mine) in [(&eve, 1, 0), (&max, 2, 0), (&s.ada, 1, 1), (&s.oli, 0, 1)] {
        let page = s.tab(who, InboxTab::ForMe).await;
        assert_eq!(page.counts, InboxCounts { me, waiting: 2, mine, done: 0, void: 0 }, "{}", who.label());
        assert_eq!(i64::try_from(page.waiting.len()).unwrap(), me);
        assert!(page.waiting.iter().all(|card| card.blocked.is_none()), "what waits for somebody they can approve");
    }
    assert_eq!(s.tab(&eve, InboxTab::ForMe).await.waiting[0].rollout.id, second, "she has approved the first");
    let all = s.tab(&s.oli, InboxTab::Waiting).await.waiting;
    assert_eq!(all.iter().map(|card| &card.rollout.id).collect::<Vec<_>>(), [&first, &second], "who waits longest first");
    assert_eq!((all[0].asked_by.as_str(), all[1].asked_at.since(all[0].asked_at)), (s.oli.label().as_str(), 1000));
    let own = &s.tab(&s.oli, InboxTab::Mine).await.asked[0];
    assert_eq!((own.rollout.id.clone(), own.standing.as_ref().map(|s| (s.given, s.needed))), (first.clone(), Some((1, 2))));
    assert_eq!((own.decisions.len(), own.without), (1, false));

    room.approve(&max, &first, &digest, "me too").await.unwrap();
    room.reject(&max, &second, "not on a Friday").await.unwrap();
    assert_eq!(s.tab(&max, InboxTab::ForMe).await.counts, InboxCounts { me: 0, waiting: 0, mine: 0, done: 2, void: 0 });
    assert_eq!(s.rows(&s.oli, InboxTab::Done).await, [second.clone(), first.clone()], "who was sent last first");
    let done = s.tab(&s.oli, InboxTab::Done).await.asked;
    assert_eq!((done[0].decisions[0].approved, done[0].decisions[0].remark.as_str()), (false, "not on a Friday"));
    let by: BTreeSet<&str> = done[1].decisions.iter().map(|d| d.by_name.as_str()).collect();
    assert_eq!((by, done[1].standing.as_ref(), done[1].rollout.state), (BTreeSet::from(["eve", "max"]), None, RolloutState::Running));

    // An edit voids what was sent; who sends it again has asked for it, and it is somebody else's too.
    let plan = s.detail(&second).await;
    room.edit(&s.ada, &second, plan.generation, plan.spec).await.unwrap();
    assert_eq!((s.rows(&s.oli, InboxTab::Void).await, s.rows(&s.oli, InboxTab::Done).await), (vec![second.clone()], vec![first.clone()]));
    assert_eq!(s.tab(&s.oli, InboxTab::Void).await.asked[0].decisions, []);
    room.submit(&s.oli, &second).await.unwrap();
    assert_eq!(s.rows(&s.oli, InboxTab::Mine).await, [second.clone(), first]);
    assert_eq!(s.rows(&s.ada, InboxTab::Mine).await, [second]);
    // The machine's own line has no account, and nothing of its own.
    let shell = Actor { who: crate::access::Who::Shell, ..s.ada.clone() };
    assert_eq!(s.tab(&shell, InboxTab::Mine).await.asked, []);
    assert_eq!(s.tab(&shell, InboxTab::ForMe).await.counts, InboxCounts { me: 0, waiting: 1, mine: 0, done: 1, void: 0 });
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_long_inbox_has_pages_and_what_expires_is_a_draft_that_was_sent(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let mut sent = Vec::new();
    for n in 0..12 {
        sent.push(s.sent_by(&s.oli).await);
        // Two at each instant.
        s.w.clock.advance(n % 2);
    }
    for pair in sent.chunks_mut(2) {
        pair.sort();
    }
    let mut query = InboxQuery { tab: InboxTab::ForMe, cursor: None };
    let mut seen = Vec::new();
    for expected in [10, 2] {
        let page = s.rollouts().approvals(&s.ada, &query).await.unwrap();
        assert_eq!((page.waiting.len(), page.counts.me, page.next.is_some()), (expected, 12, expected == 10));
        seen.extend(page.waiting.into_iter().map(|card| card.rollout.id));
        query.cursor = page.next;
    }
    assert_eq!(seen, sent, "each once, who waits longest first");
    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    for expected in [7, 5] {
        let page = s.rollouts().inbox(&s.ada, InboxTab::ForMe, cursor.as_deref(), Some(7)).await.unwrap();
        assert_eq!((page.items.len(), page.total, page.next.is_some()), (expected, 12, expected == 7));
        listed.extend(page.items.into_iter().map(|row| row.rollout.id));
        cursor = page.next;
    }
    assert_eq!(listed, sent, "the same in pages of any length");
    for cursor in ["nonsense", "1.nonsense", sent[0].as_str()] {
        let query = InboxQuery { tab: InboxTab::Waiting, cursor: Some(cursor.into()) };
        assert_eq!(fault(s.rollouts().approvals(&s.ada, &query).await).field.as_deref(), Some("cursor"));
    }

    s.w.clock.advance(7 * DAY);
    s.rollouts().tick().await.unwrap();
    sent.reverse();
    assert_eq!(s.rows(&s.oli, InboxTab::Void).await, sent, "who was sent last first");
    let page = s.tab(&s.ada, InboxTab::Void).await;
    assert_eq!(page.counts, InboxCounts { me: 0, waiting: 0, mine: 0, done: 0, void: 12 });
    assert!(page.asked.iter().all(|row| row.rollout.summary.starts_with("The request for approval has expired")));
    // A cursor of one tab is read by another.
    let half = s.tab(&s.ada, InboxTab::Void).await.asked[5].clone();
    let cursor = format!("{}.{}", half.asked_at.0, half.rollout.id);
    let rest = s.rollouts().approvals(&s.ada, &InboxQuery { tab: InboxTab::Void, cursor: Some(cursor) }).await.unwrap();
    assert_eq!(rest.asked.iter().map(|row| row.rollout.id.clone()).collect::<Vec<_>>(), sent[6..]);
}
