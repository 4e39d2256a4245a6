//! Lists by which devices come in: every row is on one page, however many there are.

use super::{Attempt, World, csr, new_token, request};
use crate::{db::EngineKind, devices::Over};
use rstest::rstest;
use wire::{
    enrolment::{EnrolmentMode, NewClaim, NewEnrolmentToken},
    page::Page,
};

/// Reads pages of two rows to the end; each says how many there are in all.
async fn every<T, E: std::fmt::Debug>(total: i64, read: impl AsyncFn(Option<String>) -> Result<Page<T>, E>) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = read(cursor).await.unwrap();
        assert_eq!(page.total, total);
        assert!(page.items.len() <= 2);
        all.extend(page.items);
        if page.next.is_none() {
            return all;
        }
        cursor = page.next;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn no_row_is_out_of_reach(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, devices) = (w.admin().await, w.fleet.devices());
    let mut secrets = Vec::new();
    for n in 0..5 {
        w.clock.advance(1000);
        let new = NewEnrolmentToken { label: format!("token {n}"), mode: EnrolmentMode::Approval, ..new_token("", 9) };
        secrets.push(devices.create_enrolment_token(&admin, new).await.unwrap().secret);
        let new = NewClaim {
            label: format!("claim {n}"),
            pattern: String::new(),
            device_type: String::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            profile: String::new(),
            trusted_user: false,
            max_uses: 9,
            hours: 1,
            per_minute: 9,
            csr: String::new(),
        };
        devices.create_claim(&admin, new).await.unwrap();
    }
    let tokens = every(5, async |c| devices.enrolment_tokens(&admin, c.as_deref(), Some(2)).await).await;
    assert_eq!(tokens.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["token 4", "token 3", "token 2", "token 1", "token 0"]);
    let claims = every(5, async |c| devices.claims(&admin, c.as_deref(), Some(2)).await).await;
    assert_eq!(claims.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["claim 4", "claim 3", "claim 2", "claim 1", "claim 0"]);

    for n in 0..5 {
        w.clock.advance(1000);
        let id = format!("gw-{n}");
        let asked = request(&csr(&id), &id);
        devices.enrol(Attempt { secret: &secrets[0], request: &asked, address: "192.0.2.1" }).await.unwrap_err();
        let id = format!("cam-{n}");
        let over = Over { claim: Some(&claims[0].id), ..Over::default() };
        devices.enrol_over(Attempt { secret: "", request: &request(&csr(&id), &id), address: "192.0.2.1" }, over).await.unwrap();
    }
    let waiting = every(5, async |c| devices.enrolment_requests(&admin, c.as_deref(), Some(2)).await).await;
    assert_eq!(waiting.iter().map(|r| r.device_id.as_str()).collect::<Vec<_>>(), ["gw-0", "gw-1", "gw-2", "gw-3", "gw-4"]);
    let came = every(5, async |c| devices.claim_devices(&admin, &claims[0].id, c.as_deref(), Some(2)).await).await;
    assert_eq!(came.iter().map(|d| d.device_id.as_str()).collect::<Vec<_>>(), ["cam-0", "cam-1", "cam-2", "cam-3", "cam-4"]);

    // The console's page goes on in the list that the cursor is of, and begins the others at their beginning.
    let next = devices.claims(&admin, None, Some(2)).await.unwrap().next.unwrap();
    let page = devices.enrolment_page_from(&admin, Some(&next)).await.unwrap();
    assert_eq!((page.claims.all.len(), page.lists.claims.behind.is_some(), page.lists.claims.total), (3, true, 5));
    assert_eq!((page.tokens.len(), page.lists.tokens.behind.is_some(), page.lists.tokens.total), (5, false, 5));
    assert!(devices.claims(&admin, Some("nonsense"), None).await.is_err());
    assert!(devices.claims(&admin, Some(tokens[0].id.as_str()), None).await.is_err(), "a cursor of another list");
}
