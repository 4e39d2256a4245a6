//! What people find in the list of certificates, and on the page of one.

use super::super::store::{self, Narrowed, Place};
use crate::{
    db::{EngineKind, Sql, exec, select},
    testing::{START, World},
};
use rstest::rstest;
use wire::{
    ids::AuthorityId,
    pki::{AuthorityUse, CertificateQuery, CertificateRow, CertificateSort, RevocationReason, WEEKS},
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
async fn what_depends_on_an_authority_is_listed_in_every_order(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    for id in ["gw-1", "gw-2"] {
        w.device(id, "gateway").await;
    }
    let old = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    w.clock.advance(1);
    let new = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap().id;
    pki.activate_authority(&admin, &new, false).await.unwrap();
    w.device("gw-3", "gateway").await;
    let first = pki
        .certificates_page(&admin, &CertificateQuery { q: "gw-1".into(), ..Default::default() })
        .await
        .unwrap()
        .certificates
        .items
        .remove(0);
    pki.revoke(&admin, &first.id, RevocationReason::Superseded).await.unwrap();
    let of = async |authority: &AuthorityId, state, sort| {
        let query = CertificateQuery { authority: Some(authority.clone()), state, sort, ..Default::default() };
        let page = pki.certificates_page(&admin, &query).await.unwrap().certificates;
        (page.total, page.items.iter().map(|c| c.device_id.to_string()).collect::<Vec<_>>().join(" "))
    };
    let orders = [None, Some(CertificateSort::EndDesc), Some(CertificateSort::Device), Some(CertificateSort::DeviceDesc)];
    for sort in orders {
        assert_eq!(of(&old, None, sort).await, (1, "gw-2".to_owned()), "{sort:?}: what was revoked depends on nobody");
        assert_eq!(of(&new, None, sort).await, (1, "gw-3".to_owned()), "{sort:?}");
    }
    assert_eq!(pki.authority(&admin, &old).await.unwrap().standing.devices, 1, "as many as its page counts");
    for sort in [CertificateSort::Revoked, CertificateSort::RevokedDesc] {
        assert_eq!(of(&old, Some(CertificateState::Revoked), Some(sort)).await, (1, "gw-1".to_owned()));
        assert_eq!(of(&new, Some(CertificateState::Revoked), Some(sort)).await.0, 0);
    }
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

    let by_end = CertificateQuery { rows: Some(1), ..Default::default() };
    let of_another = w.fleet.pki().certificates_page(&oli, &by_end).await.unwrap().certificates.next;
    for cursor in [Some("gw-1".into()), of_another] {
        let wrong = CertificateQuery { sort: Some(CertificateSort::Device), cursor, ..Default::default() };
        assert_eq!(w.fleet.pki().certificates_page(&oli, &wrong).await.unwrap_err().fault().code, "bad_cursor");
    }
}

/// Two more certificates for each that there is, issued at few instants, in all states and with ends within fifty days.
const COPIED: Sql = Sql::split(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256,
            fingerprint, der, not_before, not_after, usable_until, state, issued_at, enrolled_by, trust_seq)
     SELECT c.id || n.i, c.org_id, c.issuer_id, CAST(c.id || n.i AS BLOB), c.profile, c.profile_version, c.device, c.subject, c.key_alg, c.sig_alg,
            c.spki_sha256, c.csr_sha256, CAST(c.id || n.i AS BLOB), c.der, c.not_before, $1 + (c.device * 37 + n.i * 11) % 50 * 86400000,
            $1 + (c.device * 37 + n.i * 11) % 50 * 86400000, 'active', $1 + c.device % 2, c.enrolled_by, c.trust_seq
     FROM certificates c CROSS JOIN (SELECT 1 AS i UNION ALL SELECT 2) AS n WHERE c.device IS NOT NULL",
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256,
            fingerprint, der, not_before, not_after, usable_until, state, issued_at, enrolled_by, trust_seq)
     SELECT c.id || n.i, c.org_id, c.issuer_id, convert_to(c.id || n.i, 'UTF8'), c.profile, c.profile_version, c.device, c.subject, c.key_alg, c.sig_alg,
            c.spki_sha256, c.csr_sha256, convert_to(c.id || n.i, 'UTF8'), c.der, c.not_before, $1 + (c.device * 37 + n.i * 11) % 50 * 86400000,
            $1 + (c.device * 37 + n.i * 11) % 50 * 86400000, 'active', $1 + c.device % 2, c.enrolled_by, c.trust_seq
     FROM certificates c CROSS JOIN (SELECT 1 AS i UNION ALL SELECT 2) AS n WHERE c.device IS NOT NULL",
);
const REVOKED: Sql = Sql::same(
    "UPDATE certificates SET state = CASE device % 2 WHEN 0 THEN 'revoked' ELSE 'superseded' END, revoked_at = $1 WHERE device % 5 < 2 AND device IS NOT NULL",
);
const LISTED_BY_OWNERS: Sql = Sql::same("UPDATE certificates SET owner_listed_at = $1 WHERE device % 5 = 2 AND device IS NOT NULL");

/// Whatever way is taken to a list by devices, its pages are the same: their rows, their order and their places; also where the way is another one from
/// page to page.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn few_certificates_are_listed_by_devices_as_many_are(#[case] kind: EngineKind) {
    const DAY: i64 = 86_400_000;
    const WALK: i64 = i64::MAX;
    const SORT: i64 = 0;
    let w = World::open(kind).await;
    for n in 0..12 {
        w.device(&format!("{}-{}", ["gw", "GW", "cam"][n % 3], n * 7 % 12), "gateway").await;
    }
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    for statement in [COPIED, REVOKED, LISTED_BY_OWNERS] {
        exec!(&mut tx, statement, START.0).unwrap();
    }
    tx.commit().await.unwrap();
    let open = (i64::MIN, i64::MAX, false);
    let (no, crt) = ((&b""[..], &b""[..]), (&b"crt_"[..], &b"crt`"[..]));
    let mut on = w.fleet.pki().db.read().await.unwrap();
    for (state, ends, like, hex) in [
        ("", open, "", no),
        ("active", open, "", no),
        ("revoked", open, "", no),
        ("superseded", open, "", no),
        ("expired", open, "", no),
        ("", (START.0, START.0 + 30 * DAY, true), "", no),
        ("revoked", (START.0, START.0 + 30 * DAY, true), "", no),
        ("active", (START.0 + 10 * DAY, START.0 + 17 * DAY, true), "", no),
        ("", open, "%w-1%", no),
        ("revoked", open, "%gw%", no),
        ("", open, "%nothing%", crt),
    ] {
        let by = Narrowed { org: &w.org, state, ends, like, hex, authority: "" };
        let total = usize::try_from(store::count(&mut on, &by).await.unwrap()).unwrap();
        // By their ends, of which many are the same, no page begins too late.
        for sort in [CertificateSort::End, CertificateSort::EndDesc] {
            let all = store::page(&mut on, &by, (sort, WALK), &Place::start(sort), 1000).await.unwrap();
            let wanted: Vec<Place> = all.into_iter().map(|(_, place)| place).collect();
            assert_eq!(wanted.len(), total, "{state} {ends:?} {like}");
            for rows in [1, 5] {
                let (mut found, mut after) = (Vec::new(), Place::start(sort));
                loop {
                    let page = store::page(&mut on, &by, (sort, WALK), &after, rows).await.unwrap();
                    let Some((_, last)) = page.last() else { break };
                    after = last.clone();
                    found.extend(page.into_iter().map(|(_, place)| place));
                    assert!(found.len() <= total, "a page came twice");
                }
                assert_eq!(found, wanted, "{state} {ends:?} {like} by {sort}, {rows} a page");
            }
        }
        for sort in [CertificateSort::Device, CertificateSort::DeviceDesc] {
            let all = store::page(&mut on, &by, (sort, WALK), &Place::start(sort), 1000).await.unwrap();
            let wanted: Vec<Place> = all.into_iter().map(|(_, place)| place).collect();
            assert_eq!(wanted.len(), total, "{state} {ends:?} {like}");
            let mut sorted = wanted.clone();
            sorted.sort_by(|a, b| (&a.device, a.at, &a.id).cmp(&(&b.device, b.at, &b.id)));
            if sort == CertificateSort::DeviceDesc {
                sorted.reverse();
            }
            assert_eq!(wanted, sorted);
            for (ways, rows) in [([SORT, SORT], 1), ([SORT, SORT], 5), ([SORT, SORT], 1000), ([WALK, SORT], 1), ([SORT, WALK], 3)] {
                let (mut found, mut after) = (Vec::new(), Place::start(sort));
                for way in ways.into_iter().cycle() {
                    let page = store::page(&mut on, &by, (sort, way), &after, rows).await.unwrap();
                    let Some((_, last)) = page.last() else { break };
                    after = last.clone();
                    found.extend(page.into_iter().map(|(_, place)| place));
                    assert!(found.len() <= total, "a page came twice");
                }
                assert_eq!(found, wanted, "{state} {ends:?} {like} by {sort}, {rows} a page");
            }
        }
    }
}

/// What ends soon, and what is revoked, is few in a fleet however large: its devices are not walked for them.
#[tokio::test]
async fn few_certificates_are_found_by_an_index_of_their_own() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut on = w.fleet.pki().db.read().await.unwrap();
    let (open, soon) = ((i64::MIN, i64::MAX, false), (5, 9, true));
    let by_end = "SEARCH c USING INDEX certificates_by_end (org_id=? AND not_after>? AND not_after<?)";
    let by_device = "SEARCH c USING INDEX certificates_by_device (device=?)";
    for (state, ends, total, way) in [
        ("", soon, 20, by_end),
        ("active", soon, 1000, by_end),
        ("revoked", open, 20, "SEARCH c USING INDEX certificates_by_revocation (org_id=?)"),
        ("", soon, 1001, by_device),
        ("revoked", open, 1001, by_device),
        ("", open, 20, by_device),
    ] {
        let by = Narrowed { org: &w.org, state, ends, like: "", hex: (b"", b""), authority: "" };
        for sort in [CertificateSort::Device, CertificateSort::DeviceDesc] {
            let text = format!("EXPLAIN QUERY PLAN {}", store::way(&by, sort, total).sqlite);
            let plan: Vec<(i64, i64, i64, String)> = select(&mut on, text, &[]).await.unwrap();
            let steps: Vec<String> = plan.into_iter().map(|step| step.3).collect();
            assert!(steps.iter().any(|step| step == way), "{state} {ends:?} {total}: {steps:?}");
            let walked = steps.iter().any(|step| step.starts_with("SEARCH d ") && step.contains("(org_id=?"));
            assert_eq!(walked, way == by_device, "{state} {ends:?} {total}: {steps:?}");
        }
    }
}
