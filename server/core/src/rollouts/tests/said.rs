//! What devices say of their updates, kept line by line with each attempt, and the attempts in pages. On both engines.

use super::{Scene, fault, says, stage};
use crate::db::{EngineKind, Sql, exec};
use rstest::rstest;
use wire::{
    FaultKind,
    device::StatusReport,
    rollouts::{GateSpec, Reach, Retry, RetryClass, RolloutSpec, StageSpec},
    states::UpdateState as U,
    updates::{AttemptsQuery, MOST_LINES, UpdateFailure},
};

const MINUTE: i64 = 60_000;
const AWAY: Sql = Sql::same("UPDATE devices SET online = FALSE WHERE number = $1");

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn each_attempt_has_what_was_said_of_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let retry = Retry { classes: vec![RetryClass::Failed], times: 2, wait_min: 30 };
    let spec = s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]);
    s.approved(RolloutSpec { retry: Some(retry), timeout_min: 600, ..spec }).await;
    let first = room.poll(device).await.unwrap().expect("an offer").update_id;
    assert_eq!(room.log_of(device, &first).await.unwrap().items, [], "it has said nothing yet");
    s.say(device, &first, U::Downloading).await.unwrap();
    for percent in [10, 20] {
        room.report(device, StatusReport { progress: Some(percent), ..says(&first, U::Downloading) }).await.unwrap();
    }
    s.w.clock.advance(1000);
    let failed = StatusReport { code: Some("flash_error".into()), detail: Some("no\u{202e}room".into()), ..says(&first, U::Failed) };
    assert_eq!(room.report(device, failed).await.unwrap(), U::Failed);
    assert_eq!(s.say(device, &first, U::Installing).await.unwrap(), U::Failed, "late");

    let log = room.log_of(device, &first).await.unwrap();
    let said: Vec<_> = log.items.iter().map(|line| (line.state.unwrap(), line.code.as_str(), line.line.as_str())).collect();
    assert_eq!(said, [(U::Installing, "", ""), (U::Failed, "flash_error", "no room"), (U::Downloading, "", "")], "progress is no news");
    assert_eq!((log.items[1].at, log.items[2].at), (s.w.clock_now(), s.w.clock_now().plus(-1000)));
    assert_eq!(fault(room.log_of(s.devices[1], &first).await).kind, FaultKind::NotFound, "it is another's");

    s.w.clock.advance(31 * MINUTE);
    let second = room.poll(device).await.unwrap().expect("a second attempt").update_id;
    let query = |cursor: &str| AttemptsQuery { cursor: cursor.into(), rows: Some(1), whole: None };
    let newest = room.attempts(device, &query("")).await.unwrap();
    assert_eq!((newest.total, &newest.items[0].update.id, newest.items[0].update.attempt), (2, &second, 2));
    assert!(newest.items[0].log.is_empty() && newest.items[0].update.failure.is_none());
    let older = room.attempts(device, &query(newest.next.as_deref().unwrap())).await.unwrap();
    let (update, lines) = (&older.items[0].update, older.items[0].log.len());
    assert_eq!((older.next.as_deref(), &update.id, lines, older.items[0].more), (None, &first, 3, false));
    assert_eq!((update.code.as_str(), update.failure), ("flash_error", Some(UpdateFailure::Failed)));
    assert_eq!(update.ended_at, Some(log.items[1].at));
    assert_eq!(room.updates_listed(device, &query("")).await.unwrap().items, [newest.items[0].update.clone()]);
    assert_eq!(fault(room.attempts(device, &query("x")).await).field.as_deref(), Some("cursor"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn lines_are_bounded_and_a_page_has_the_newest(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let update = room.poll(device).await.unwrap().expect("an offer").update_id;
    let lines: Vec<String> = (0..300).map(|n| format!("line {n}")).collect();
    for some in lines.chunks(100) {
        let report = StatusReport { progress: Some(40), detail: Some("the end of it".into()), ..says(&update, U::Downloading) };
        room.report_in_lines(device, report, some).await.unwrap();
    }
    room.report_in_lines(device, says(&update, U::Downloaded), &[]).await.unwrap();
    let log = room.log_of(device, &update).await.unwrap().items;
    assert_eq!(log.len(), MOST_LINES as usize);
    assert_eq!((log[0].state, log[0].line.as_str(), log[1].line.as_str()), (Some(U::Downloaded), "", "line 299"));
    assert_eq!((log[1].progress, log[2].progress), (Some(40), None), "it is said with the last one");
    assert_eq!(room.updates_of(device).await.unwrap()[0].detail, "");
    let whole = AttemptsQuery { whole: Some(update.clone()), ..AttemptsQuery::default() };
    for (query, shown, more) in [(AttemptsQuery::default(), 20, true), (whole, MOST_LINES as usize, false)] {
        let page = room.attempts(device, &query).await.unwrap();
        assert_eq!((page.items[0].log.len(), page.items[0].more), (shown, more));
        assert_eq!(page.items[0].log[0].state, Some(U::Downloaded), "the newest in front");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_succeeded_and_was_not_heard_of_again_went_dark(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    assert_eq!(s.everybody_updates().await, 2);
    let mut tx = room.db.write().await.unwrap();
    exec!(&mut tx, AWAY, s.devices[0]).unwrap();
    tx.commit().await.unwrap();
    let failure = async |n: usize| room.updates_of(s.devices[n]).await.unwrap()[0].failure;
    s.w.clock.advance(29 * MINUTE);
    assert_eq!((failure(0).await, failure(1).await), (None, None), "it has a while to be heard");
    s.w.clock.advance(MINUTE);
    assert_eq!((failure(0).await, failure(1).await), (Some(UpdateFailure::WentDark), None), "the other one is connected");
}
