//! What is left after an authority was given up, on both engines: tokens and claims frozen, certificates shown and counted as what they are.

use super::{Attempt, Error, World, csr, enrol, new_token, request, signs::booked};
use crate::{
    access::Actor,
    db::EngineKind,
    devices::Over,
    pki::{self, Pki},
};
use rstest::rstest;
use wire::{
    devices::DeviceQuery,
    enrolment::NewClaim,
    ids::AuthorityId,
    overview::Matter,
    pki::{AuthorityRow, AuthorityUse, CertificateQuery, CertificatesPage},
    states::CertificateState::{self, Active, Untrusted},
};

/// The authority that issues to devices.
fn issuing(pki: &Pki, actor: &Actor) -> AuthorityRow {
    pki.list_authorities(actor).unwrap().into_iter().find(|a| a.kind == "device" && a.state.as_str() == "active").unwrap()
}

/// Makes another one that issues to devices.
async fn next(pki: &Pki, actor: &Actor) -> AuthorityId {
    let staged = pki.stage_authority(actor, AuthorityUse::Device).await.unwrap().id;
    pki.activate_authority(actor, &staged, false).await.unwrap();
    staged
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_tokens_and_claims_of_before_are_frozen_until_an_admin_says_otherwise(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    let old = devices.create_enrolment_token(&admin, new_token("gw-*", 5)).await.unwrap();
    let new = NewClaim {
        label: "image 4".into(),
        pattern: "gw-*".into(),
        device_type: String::new(),
        tags: Vec::new(),
        groups: Vec::new(),
        profile: String::new(),
        trusted_user: false,
        max_uses: 5,
        hours: 24,
        per_minute: 5,
        csr: String::new(),
    };
    let claim = devices.create_claim(&admin, new).await.unwrap().claim.id;
    let by_claim = async |id: &str| {
        let over = Over { claim: Some(&claim), ..Over::default() };
        let asked = request(&csr(id), id);
        devices.enrol_over(Attempt { secret: "", request: &asked, address: "192.0.2.1" }, over).await
    };
    let by = async |secret: &str, id: &str| enrol(&w, secret, &request(&csr(id), id)).await;
    by(&old.secret, "gw-1").await.unwrap();
    w.clock.advance(1000);
    let (lost, at) = (issuing(pki, &admin), w.clock_now());
    pki.compromise_authority(&admin, &lost.id).await.unwrap();
    w.clock.advance(1000);
    let second = next(pki, &admin).await;

    for refused in [by(&old.secret, "gw-2").await, by_claim("gw-3").await] {
        let refusal = refused.unwrap_err();
        assert!(matches!(refusal, Error::Frozen(_)), "{refusal}");
        let fault = refusal.fault();
        assert!(fault.code == "enrolment_frozen" && fault.message.contains(lost.common_name()), "{}", fault.message);
    }
    let [(_, tried)] = booked(&w, "enrolment_token.reuse").await.try_into().unwrap();
    assert_eq!(tried["code"], "frozen_token", "whoever tries one may have it from an attacker");
    let frozen = async || {
        let page = devices.enrolment_page(&admin).await.unwrap();
        let tokens = page.tokens.into_iter().map(|t| t.frozen_by).collect::<Vec<_>>();
        (tokens, page.claims.all.into_iter().map(|c| c.frozen_by).collect::<Vec<_>>())
    };
    let name = Some(lost.common_name().to_owned());
    let fresh = devices.create_enrolment_token(&admin, new_token("gw-*", 5)).await.unwrap();
    assert_eq!(frozen().await, (vec![None, name.clone()], vec![name]));
    by(&fresh.secret, "gw-2").await.unwrap();
    let after = pki.authority(&admin, &lost.id).await.unwrap().aftermath.unwrap();
    assert_eq!((after.frozen_at, after.left_behind, after.may_manage), (Some(at), 1, true));

    assert!(matches!(pki.thaw_tokens(&w.operator().await, &lost.id).await, Err(pki::Error::Access(_))), "admins only");
    let never = pki.thaw_tokens(&admin, &second).await.unwrap_err().fault();
    assert_eq!((never.code.as_str(), never.message.starts_with(&format!("{second} was not given up: none"))), ("nothing_frozen", true));
    pki.thaw_tokens(&admin, &lost.id).await.unwrap();
    let again = pki.thaw_tokens(&admin, &lost.id).await;
    assert!(matches!(again, Err(pki::Error::NothingFrozen { given_up: true, .. })), "they count already");
    by(&old.secret, "gw-4").await.unwrap();
    by_claim("gw-3").await.unwrap();
    assert_eq!(frozen().await, (vec![None, None], vec![None]));
    let log = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    assert_eq!(log.iter().filter(|e| e.action == "authority.thaw_tokens").count(), 1);

    // One that does not issue any more is not what a token leads to.
    next(pki, &admin).await;
    pki.compromise_authority(&admin, &second).await.unwrap();
    assert_eq!(pki.authority(&admin, &second).await.unwrap().aftermath.unwrap().frozen_at, None);
    let nothing = pki.thaw_tokens(&admin, &second).await;
    assert!(matches!(nothing, Err(pki::Error::NothingFrozen { given_up: true, .. })), "nothing was frozen with it");
    by(&old.secret, "gw-5").await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_certificates_of_it_are_shown_and_counted_as_untrusted(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    for id in ["gw-1", "gw-2"] {
        w.device(id, "gateway").await;
    }
    let page = async |state: Option<CertificateState>, within: Option<u32>| -> CertificatesPage {
        pki.certificates_page(&admin, &CertificateQuery { state, within, ..CertificateQuery::default() }).await.unwrap()
    };
    let counts = async || {
        let all = page(None, None).await;
        let of = async |state| page(Some(state), None).await.certificates.total;
        let expiring = pki.expiring(&w.org, w.clock_now().plus(400 * 86_400_000)).await.unwrap();
        let ending = page(None, Some(365)).await.certificates.total;
        (of(Active).await, of(Untrusted).await, all.weeks.iter().sum::<i64>(), expiring, ending)
    };
    let standing = async |word: &str| {
        let query = DeviceQuery { q: format!("certificate:{word}"), ..DeviceQuery::default() };
        devices.list(&admin, &query).await.unwrap().items.len()
    };
    assert_eq!(counts().await, (2, 0, 2, 2, 2));
    assert_eq!((standing("valid").await, standing("untrusted").await), (2, 0));

    let lost = issuing(pki, &admin);
    assert_eq!(pki.authority(&admin, &lost.id).await.unwrap().standing.certificates, 2);
    pki.compromise_authority(&admin, &lost.id).await.unwrap();
    assert_eq!(counts().await, (0, 2, 0, 0, 0));
    let cut = async || {
        let told = w.fleet.overview(&admin).await.unwrap().attention;
        let mut cut = told.into_iter().filter_map(|a| match a.matter {
            Matter::CutOff { authority, devices, .. } => Some((authority, devices, a.since)),
            _ => None,
        });
        (cut.next(), cut.next())
    };
    assert_eq!(cut().await, (Some((lost.id.clone(), 2, w.clock_now())), None), "the overview tells of those that are cut off");
    for word in ["valid", "expiring", "expired", "none"] {
        assert_eq!(standing(word).await, 0, "{word}");
    }
    assert_eq!(standing("untrusted").await, 2);
    assert_eq!(pki.authority(&admin, &lost.id).await.unwrap().standing.certificates, 0, "nothing of it is in use");
    let row = page(Some(Untrusted), None).await.certificates.items.remove(0);
    assert_eq!((row.state, row.reason.as_str()), (Untrusted, "authority_compromised"));
    assert_eq!(pki.certificate(&admin, &row.id).await.unwrap().row, row);
    let shown = devices.detail(&admin, &row.device_id).await.unwrap().1.certificates;
    assert_eq!((shown[0].state, shown[0].reason.as_str()), (Untrusted, "authority_compromised"));

    // A device that is enrolled again is in, and its old certificate is still what it is.
    w.clock.advance(1);
    let second = next(pki, &admin).await;
    w.device("gw-1", "gateway").await;
    assert_eq!(counts().await, (1, 2, 1, 1, 1));
    assert_eq!((standing("valid").await, standing("untrusted").await), (1, 1));
    assert_eq!(cut().await.0.map(|(_, devices, _)| devices), Some(1));
    assert_eq!(pki.authority(&admin, &lost.id).await.unwrap().aftermath.unwrap().left_behind, 1);

    // One that was retired by force leaves the same behind.
    next(pki, &admin).await;
    pki.retire_authority(&admin, &second, true).await.unwrap();
    assert_eq!(counts().await, (0, 3, 0, 0, 0));
    let reasons: Vec<String> = page(Some(Untrusted), None).await.certificates.items.into_iter().map(|c| c.reason).collect();
    assert_eq!(reasons.iter().filter(|r| *r == "authority_retired").count(), 1, "{reasons:?}");
    // What has ended by itself says so.
    w.clock.advance(100 * 86_400_000);
    pki.tick().await.unwrap();
    assert_eq!((standing("expired").await, standing("untrusted").await), (2, 0));
}
