//! Two releases beside each other, and which ones can be chosen.

use super::*;
use crate::db::EngineKind;
use rstest::rstest;
use wire::{FaultKind, ids::ReleaseId, releases::FileChange};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_releases_are_compared_with_the_one_that_was_published_before(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let one = verified(&w, &oli, "1.0.0", 1).await.row.id;
    releases.publish(&oli, &one).await.unwrap();
    w.clock.advance(1);
    let content = b"firmware 1.1.0".as_slice();
    let next = Manifest { hardware: vec!["A".into()], min_sequence: 1, notes: "Other things".into(), ..manifest("1.1.0", 2, content) };
    let envelope = key(1).sign(&next).unwrap();
    let two = release_of(&w, &oli, &[("fw.bin", content), ("fw.manifest.json", &envelope)]).await.unwrap().row.id;

    let told = releases.difference(&vic, &one, &two).await.unwrap();
    assert_eq!((&told.before.id, &told.after.id), (&one, &two));
    let fields: Vec<_> = told.lines.iter().map(|l| (l.field.as_str(), l.before.as_deref(), l.after.as_deref())).collect();
    assert_eq!(
        fields,
        [
            ("version", Some("1.0.0"), Some("1.1.0")),
            ("sequence", Some("1"), Some("2")),
            ("state", Some("published"), Some("verified")),
            ("hardware", Some("A, B"), Some("A")),
            ("min_sequence", Some("any"), Some("sequence 1 or newer")),
            ("notes", Some("Better <b>things</b>"), Some("Other things")),
        ]
    );
    assert_eq!((told.files.len(), told.files[0].change), (1, FileChange::Changed));
    assert!(releases.difference(&vic, &one, &one).await.unwrap().is_empty());

    // Who chooses one is shown it beside the one before it.
    let page = releases.comparison(&vic, None, Some(&two)).await.unwrap();
    assert_eq!(page.difference, Some(told));
    assert_eq!(page.choices.iter().map(|c| &c.id).collect::<Vec<_>>(), [&two, &one], "newest first");
    let first = releases.comparison(&vic, None, Some(&one)).await.unwrap();
    assert_eq!((first.difference, first.choices.len()), (None, 2), "nothing was before it");
    assert_eq!(releases.comparison(&vic, Some(&one), None).await.unwrap().difference, None);

    // Of another organization nothing is told.
    let unknown: ReleaseId = w.entropy.id(w.clock.now());
    assert_eq!(fault(releases.difference(&vic, &one, &unknown).await).kind, FaultKind::NotFound);
    let stranger = Actor { org: w.entropy.id(w.clock.now()), ..vic };
    assert_eq!(fault(releases.difference(&stranger, &one, &two).await).kind, FaultKind::NotFound);
    assert_eq!(releases.comparison(&stranger, None, None).await.unwrap().choices, []);
}
