//! The report: every device of a rollout once, whoever has left since.

use super::{Scene, fault, says, stage};
use crate::{db::EngineKind, rollouts::Part};
use rstest::rstest;
use wire::{
    device::StatusReport,
    ids::RolloutId,
    rollouts::{Reach, Show, UpdateQuery, UpdateRow},
    states::UpdateState,
};

async fn whole(s: &Scene, id: &RolloutId) -> Vec<UpdateRow> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let part: Part = s.rollouts().report_part(&s.oli, id, after).await.unwrap();
        assert_eq!(part.version, "2.0.0");
        rows.extend(part.rows);
        match part.next {
            Some(next) => after = next,
            None => return rows,
        }
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_report_has_every_device_once_with_its_end(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 5).await;
    let id = s.rollouts().draft(&s.oli, s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))])).await.unwrap();
    assert_eq!(whole(&s, &id).await, [], "nothing is settled yet");
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    s.rollouts().approve(&s.ada, &id, &digest, "fine").await.unwrap();

    let offered = s.poll_all().await;
    let begun = s.w.clock_now();
    s.w.clock.advance(60_000);
    s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await;
    let failed = StatusReport {
        code: Some("no_space".into()),
        detail: Some("=1+1 bytes free".into()),
        ..says(&offered[1].1.update_id, UpdateState::Failed)
    };
    s.rollouts().report(offered[1].0, failed).await.unwrap();
    // One that was updated has left the fleet.
    s.set_device_state(offered[0].0, "decommissioned").await;

    let rows = whole(&s, &id).await;
    assert_eq!(rows.len(), 5);
    let count = |state: UpdateState| rows.iter().filter(|r| r.state == state).count();
    assert_eq!(
        (count(UpdateState::Succeeded), count(UpdateState::Failed), count(UpdateState::Offered), count(UpdateState::Queued)),
        (1, 1, 1, 2)
    );
    let failed = rows.iter().find(|r| r.state == UpdateState::Failed).unwrap();
    assert_eq!((failed.code.as_str(), failed.detail.as_str(), failed.stage), ("no_space", "=1+1 bytes free", 1));
    assert_eq!((failed.offered_at, failed.ended_at), (Some(begun), Some(begun.plus(60_000))));
    assert!(rows.iter().filter(|r| r.state == UpdateState::Queued).all(|r| r.stage == 2 && r.offered_at.is_none() && r.id.is_none()));

    // After the end nobody waits: who was not reached is a number, also when others have moved those devices on, and when more join.
    s.rollouts().stop(&s.ada, &id, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let ended = whole(&s, &id).await;
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|r| r.state.finished()), "{ended:?}");
    s.join("gw-late").await;
    let had: Vec<_> = offered.iter().map(|(device, _)| *device).collect();
    for device in s.devices.clone().into_iter().filter(|device| !had.contains(device)) {
        s.runs(device, "2.0.0", 2).await;
    }
    assert_eq!(whole(&s, &id).await, ended);
    let counts = s.detail(&id).await.row.counts;
    assert_eq!((counts.total, counts.waiting), (5, 2));
    let list = async |show| s.rollouts().updates(&s.oli, &id, &UpdateQuery { show, ..UpdateQuery::default() }).await.unwrap();
    // One of those that had a turn has left the fleet, and is in the report only.
    let (all, waiting) = (list(Show::All).await, list(Show::Waiting).await);
    assert_eq!((all.items.len(), all.total, waiting.items.len(), waiting.total), (2, 2, 0, 0));

    let elsewhere = crate::access::Actor { org: s.w.entropy.id(s.w.clock_now()), ..s.oli.clone() };
    assert_eq!(fault(s.rollouts().report_part(&elsewhere, &id, 0).await).code, "not_found");
}
