//! What lists are narrowed by.

use super::*;
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    releases::{ReleaseCheck, ReleaseQuery},
    states::ReleaseState,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_list_is_narrowed_by_state_type_signatures_and_words(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let of = async |version: &str, sequence: u64, device_type: &str, notes: &str, by: u64| {
        let content = format!("{device_type} {version}");
        let manifest = Manifest { device_type: device_type.into(), notes: notes.into(), ..manifest(version, sequence, content.as_bytes()) };
        let envelope = key(by).sign(&manifest).unwrap();
        w.clock.advance(1);
        release_of(&w, &oli, &[("fw.bin", content.as_bytes()), ("fw.manifest.json", &envelope)]).await.unwrap().row.id
    };
    let old = of("1.0.0", 1, "gateway", "First one", 1).await;
    of("1.1.0", 2, "gateway", "Mends the 100% bug", 1).await;
    of("1.0.0", 1, "meter", "", 1).await;
    of("2.0.0", 3, "gateway", "By a stranger", 7).await;
    releases.publish(&oli, &old).await.unwrap();

    let all = ReleaseQuery::default();
    let found = async |query: ReleaseQuery| {
        let page = releases.list(&vic, &query).await.unwrap();
        assert_eq!(usize::try_from(page.total).unwrap(), page.items.len(), "{query:?}");
        page.items.into_iter().map(|r| format!("{} {}", r.device_type, r.version)).collect::<Vec<_>>()
    };
    let words = async |q: &str| found(ReleaseQuery { q: q.into(), ..all.clone() }).await;
    assert_eq!(words("").await, ["gateway 2.0.0", "meter 1.0.0", "gateway 1.1.0", "gateway 1.0.0"]);
    assert_eq!(words("1.0").await, ["meter 1.0.0", "gateway 1.1.0", "gateway 1.0.0"], "1.1.0 has it behind its first point");
    assert_eq!(words(" METER ").await, ["meter 1.0.0"]);
    assert_eq!(words("first").await, ["gateway 1.0.0"], "notes");
    assert_eq!(words("100%").await, ["gateway 1.1.0"], "as it is written");
    assert_eq!(words("1_0").await, Vec::<String>::new());
    let state = |state| ReleaseQuery { state: Some(state), ..all.clone() };
    assert_eq!(found(state(ReleaseState::Published)).await, ["gateway 1.0.0"]);
    assert_eq!(found(state(ReleaseState::Draft)).await, ["gateway 2.0.0"]);
    let check = |check| ReleaseQuery { check: Some(check), ..all.clone() };
    assert_eq!(found(check(ReleaseCheck::Signed)).await, ["meter 1.0.0", "gateway 1.1.0", "gateway 1.0.0"]);
    assert_eq!(found(check(ReleaseCheck::Unsigned)).await, ["gateway 2.0.0"]);
    assert_eq!(found(check(ReleaseCheck::Damaged)).await, Vec::<String>::new());
    let of_type = |device_type: &str| ReleaseQuery { device_type: Some(device_type.into()), ..all.clone() };
    assert_eq!(found(of_type("meter")).await, ["meter 1.0.0"]);
    assert_eq!(found(of_type("met")).await, Vec::<String>::new(), "a type is named in whole");
    let both = ReleaseQuery { state: Some(ReleaseState::Verified), ..of_type("gateway") };
    assert_eq!(found(both).await, ["gateway 1.1.0"]);

    // Pages of what is narrowed, and what the page offers to narrow by.
    let two = ReleaseQuery { q: "1.0".into(), rows: Some(2), ..all.clone() };
    let first = releases.list(&vic, &two).await.unwrap();
    assert_eq!((first.total, first.items.len()), (3, 2));
    let rest = releases.list(&vic, &ReleaseQuery { cursor: first.next, ..two }).await.unwrap();
    assert_eq!((rest.total, rest.items[0].version.as_str(), rest.next), (3, "1.0.0", None));
    let page = releases.releases_page(&vic, &of_type("meter")).await.unwrap();
    assert_eq!((page.releases.total, page.all, page.types), (1, 4, vec!["gateway".to_owned(), "meter".to_owned()]));
}
