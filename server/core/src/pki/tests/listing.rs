//! What people find in the list of certificates, and on the page of one.

use crate::{db::EngineKind, testing::World};
use rstest::rstest;
use wire::{
    pki::{CertificateQuery, CertificateRow, CertificateSort, RevocationReason, WEEKS},
    states::CertificateState,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_certificate_is_found_by_what_is_known_of_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let vic = w.viewer().await;
    for id in ["gw-1", "gw-2", "100%_gw"] {
        if id.parse::<wire::ids::DeviceId>().is_ok() {
            w.device(id, "gateway").await;
        }
    }
    let found = async |query: CertificateQuery| w.fleet.pki().certificates_page(&vic, &query).await.unwrap();
    let all = found(CertificateQuery::default()).await;
    assert_eq!((all.certificates.total, all.may_revoke), (2, false));
    let first = &all.certificates.items[0];
    for q in
        [first.device_id.to_string(), "GW-".into(), first.serial[..8].to_owned(), first.fingerprint.clone(), first.serial.to_uppercase()]
    {
        let page = found(CertificateQuery { q: q.clone(), ..Default::default() }).await;
        assert!(page.certificates.items.iter().any(|c| c.id == first.id), "{q}");
    }
    let colons: Vec<String> = first.serial.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    for (q, total) in
        [(colons.join(":"), 1), (first.serial.clone(), 1), ("%".into(), 0), ("_".into(), 0), ("#".into(), 0), ("'; --".into(), 0)]
    {
        assert_eq!(found(CertificateQuery { q: q.clone(), ..Default::default() }).await.certificates.total, total, "{q}");
    }
    let revoked = CertificateQuery { state: Some(CertificateState::Revoked), ..Default::default() };
    assert_eq!(found(revoked).await.certificates.total, 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_calendar_counts_what_its_weeks_list(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let oli = w.operator().await;
    w.device("gw-1", "gateway").await;
    w.clock.advance(20 * 86_400_000);
    w.device("gw-2", "gateway").await;
    let found = async |query: CertificateQuery| w.fleet.pki().certificates_page(&oli, &query).await.unwrap();
    let weeks = found(CertificateQuery::default()).await.weeks;
    // 70 and 90 days from now.
    assert_eq!((weeks.len(), weeks.iter().sum::<i64>(), weeks[10] + weeks[9], weeks[12]), (WEEKS as usize, 2, 1, 1));
    for week in 0..WEEKS {
        let listed = found(CertificateQuery { week: Some(week), ..Default::default() }).await.certificates;
        assert_eq!(listed.total, weeks[week as usize], "week {week}");
        assert_eq!(i64::try_from(listed.items.len()).unwrap(), listed.total, "week {week}");
    }
    for (within, total) in [(7, 0), (71, 1), (91, 2)] {
        assert_eq!(found(CertificateQuery { within: Some(within), ..Default::default() }).await.certificates.total, total, "{within} days");
    }
    let soon = found(CertificateQuery { within: Some(71), ..Default::default() }).await.certificates.items.remove(0);
    assert_eq!(soon.device_id.as_str(), "gw-1");
    w.fleet.pki().revoke(&oli, &soon.id, RevocationReason::Superseded).await.unwrap();
    assert_eq!(found(CertificateQuery::default()).await.weeks.iter().sum::<i64>(), 1, "what is revoked ends nothing any more");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_certificates_page_says_all_that_is_in_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let oli = w.operator().await;
    w.device("gw-1", "gateway").await;
    let id = w.fleet.pki().certificates_page(&oli, &CertificateQuery::default()).await.unwrap().certificates.items.remove(0).id;
    let detail = w.fleet.pki().certificate(&oli, &id).await.unwrap();
    assert!(detail.decoded.subject.contains("CN=gw-1"), "{:?}", detail.decoded);
    assert_eq!(detail.decoded.alternatives, ["spiffe://fleet.test/t/default/d/gw-1"]);
    assert_eq!(detail.decoded.usages, ["digital signature", "TLS client"]);
    assert_eq!(detail.chain.iter().map(|a| a.kind.as_str()).collect::<Vec<_>>(), ["device", "root"]);
    assert!(detail.enrolled_by.contains("for gw-1") && detail.may_revoke && detail.replaced_by.is_none());
    let der = w.fleet.pki().certificate_der(&oli, &id).await.unwrap();
    assert_eq!(detail.pem, crate::pem::encode("CERTIFICATE", &der));

    w.fleet.pki().revoke(&oli, &id, RevocationReason::KeyCompromise).await.unwrap();
    let detail = w.fleet.pki().certificate(&oli, &id).await.unwrap();
    assert_eq!((detail.row.reason.as_str(), detail.revoked_by.as_str()), ("key_compromise", "oli"));
    assert_eq!(detail.revoked_at, Some(w.clock_now()));
    let nobody = "crt_00000000000000000000000000000001".parse().unwrap();
    assert_eq!(w.fleet.pki().certificate(&oli, &nobody).await.unwrap_err().fault().kind, wire::FaultKind::NotFound);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_list_has_its_orders_and_pages_in_each_of_them(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let oli = w.operator().await;
    for id in ["gw-2", "gw.3", "Gw-1"] {
        w.device(id, "gateway").await;
        w.clock.advance(3_600_000);
    }
    let listed = async |sort: CertificateSort, state: Option<CertificateState>| {
        let mut query = CertificateQuery { sort: Some(sort), state, rows: Some(1), ..Default::default() };
        let mut rows: Vec<CertificateRow> = Vec::new();
        loop {
            let page = w.fleet.pki().certificates_page(&oli, &query).await.unwrap().certificates;
            rows.extend(page.items);
            assert!(rows.len() <= 3, "{sort}: a page came twice");
            query.cursor = page.next;
            if query.cursor.is_none() {
                return rows;
            }
        }
    };
    let names = |rows: &[CertificateRow]| rows.iter().map(|c| c.device_id.to_string()).collect::<Vec<_>>();
    for (sort, order) in [
        (CertificateSort::End, ["gw-2", "gw.3", "Gw-1"]),
        (CertificateSort::EndDesc, ["Gw-1", "gw.3", "gw-2"]),
        (CertificateSort::Device, ["Gw-1", "gw-2", "gw.3"]),
        (CertificateSort::DeviceDesc, ["gw.3", "gw-2", "Gw-1"]),
    ] {
        assert_eq!(names(&listed(sort, None).await), order, "{sort}");
    }
    assert!(listed(CertificateSort::RevokedDesc, None).await.is_empty(), "nothing is revoked yet");

    let all = listed(CertificateSort::Device, None).await;
    w.fleet.pki().revoke(&oli, &all[1].id, RevocationReason::KeyCompromise).await.unwrap();
    let first = w.clock_now();
    w.clock.advance(60_000);
    w.fleet.pki().revoke(&oli, &all[0].id, RevocationReason::CessationOfOperation).await.unwrap();
    // Asked for in their order, only revoked ones are listed, whatever else was asked.
    for state in [None, Some(CertificateState::Revoked), Some(CertificateState::Active)] {
        let found = listed(CertificateSort::RevokedDesc, state).await;
        assert_eq!(names(&found), ["Gw-1", "gw-2"]);
        assert_eq!((found[1].revoked_at, found[1].reason.as_str()), (Some(first), "key_compromise"));
        assert_eq!(names(&listed(CertificateSort::Revoked, state).await), ["gw-2", "Gw-1"]);
    }
    assert_eq!(names(&listed(CertificateSort::DeviceDesc, Some(CertificateState::Active)).await), ["gw.3"]);

    let wrong = CertificateQuery { sort: Some(CertificateSort::Device), cursor: Some("gw-1".into()), ..Default::default() };
    assert_eq!(w.fleet.pki().certificates_page(&oli, &wrong).await.unwrap_err().fault().code, "bad_cursor");
}
