//! The console's server functions as a browser without JavaScript posts them: real guard, real routes.

use crate::{
    http::{Operator, router},
    observe::Metrics,
    tls::Stop,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use fleet::{
    access::{Actor, Origin},
    db::EngineKind,
    devices::{Attempt, Over},
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{World, manifest},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use wire::{
    enrolment::EnrolRequest,
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    states::Role,
};

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

pub(super) struct Browser {
    pub(super) world: World,
    router: Router,
    pub(super) admin: Actor,
    session: String,
}

impl Browser {
    pub(super) async fn new() -> Self {
        let world = World::open(EngineKind::Sqlite).await;
        let admin = world.admin().await;
        let signed_in = world.fleet.access().sign_in("ada@example.com", "a long enough password", &Origin::default()).await.unwrap();
        let stop = Stop { soft: tokio_util::sync::CancellationToken::new(), hard: tokio_util::sync::CancellationToken::new() };
        let router = router(&Operator { fleet: world.fleet.clone(), metrics: Metrics::default(), secure: false, forwarded: false, stop });
        Self { world, router, admin, session: format!("fw_access={}", signed_in.access) }
    }

    pub(super) async fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>, accept: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, &self.session)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, accept);
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
    }

    /// Posts a form as the wasm does, for the status and the code of a refusal, or where the answer leads.
    pub(super) async fn post(&self, function: &str, form: &[(&str, &str)]) -> Result<String, (u16, String)> {
        let body = form.iter().map(|(k, v)| format!("{k}={}", super::guard::encode(v))).collect::<Vec<_>>().join("&");
        let (status, headers, body) = self.send("POST", &format!("/rpc/{function}"), FORM, body.into_bytes(), "application/json").await;
        if status.is_success() {
            return Ok(headers.get(header::LOCATION).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default());
        }
        let fault: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{status} {}", String::from_utf8_lossy(&body)));
        Err((status.as_u16(), fault["code"].as_str().unwrap_or_default().to_owned()))
    }

    pub(super) async fn api(&self, method: &str, path: &str, body: Vec<u8>) -> Value {
        let (status, _, body) = self.send(method, &format!("/api/v1{path}"), "application/json", body, "application/json").await;
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let begun = self.api("POST", "/uploads", json!({ "name": name, "size": bytes.len() }).to_string().into_bytes()).await;
        let id = begun["id"].as_str().unwrap();
        self.api("PUT", &format!("/uploads/{id}?offset=0"), bytes.to_vec()).await;
        begun["id"].clone()
    }

    /// A published release for gateways, and the id of the key that signed it.
    pub(super) async fn release(&self) -> (String, String) {
        let pair = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let key = self.world.fleet.releases().add_key(&self.admin, "build", &pair.public_pem()).await.unwrap();
        let manifest = manifest("1.0.0", 1, &[("fw.bin", "raw", b"firmware")]);
        let uploads = [self.upload("fw.bin", b"firmware").await, self.upload("fw.manifest.json", &pair.sign(&manifest).unwrap()).await];
        let made = self.api("POST", "/releases", json!({ "uploads": uploads }).to_string().into_bytes()).await;
        let id = made["row"]["id"].as_str().unwrap().to_owned();
        assert_eq!(self.post("release_act", &[("id", &id), ("verb", "publish")]).await.unwrap(), format!("/firmware/{id}"));
        (id, key.id.to_string())
    }
}

fn unconfirmed<T: std::fmt::Debug>(answer: Result<T, (u16, String)>) {
    assert_eq!(answer.unwrap_err(), (400, "not_confirmed".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_only_done_with_its_name() {
    let b = Browser::new().await;
    let oli = b.world.operator().await.user().unwrap().to_string();
    unconfirmed(b.post("user_disable", &[("id", &oli)]).await);
    unconfirmed(b.post("user_disable", &[("id", &oli), ("confirm", "ada@example.com")]).await);
    assert_eq!(b.post("user_disable", &[("id", &oli), ("confirm", " oli@example.com ")]).await.unwrap(), "/people");

    b.world.device("gw-1", "gateway").await;
    b.world.device("gw-2", "gateway").await;
    let page = b.world.fleet.pki().certificates_page(&b.admin, &wire::pki::CertificateQuery::default()).await.unwrap();
    let row = page.certificates.items.iter().find(|c| c.device_id.as_str() == "gw-1").unwrap();
    let id = row.id.to_string();
    for typed in ["", "gw-2", "gw-9", "the device's id"] {
        unconfirmed(b.post("certificate_revoke", &[("id", &id), ("reason", "key_compromise"), ("confirm", typed)]).await);
    }
    let revoke = [("id", id.as_str()), ("reason", "key_compromise"), ("confirm", "gw-1"), ("note", "stolen"), ("invalidity_date", "")];
    let wrong = [&revoke[..4], &[("invalidity_date", "yesterday")]].concat();
    assert_eq!(b.post("certificate_revoke", &wrong).await.unwrap_err(), (400, "invalid".to_owned()));
    assert_eq!(b.post("certificate_revoke", &revoke).await.unwrap(), "/certificates");
    assert_eq!(b.world.fleet.pki().certificate(&b.admin, &row.id).await.unwrap().revocation_note, "stolen");

    let (release, key) = b.release().await;
    let recall = [("id", release.as_str()), ("verb", "recall"), ("reason", "bricks the radio")];
    unconfirmed(b.post("release_act", &recall).await);
    unconfirmed(b.post("signing_key_revoke", &[("id", &key), ("confirm", "")]).await);
    assert_eq!(b.post("signing_key_revoke", &[("id", &key), ("confirm", "build")]).await.unwrap(), "/firmware#keys");
    assert!(b.post("release_act", &[&recall[..], &[("confirm", "1.0.0")]].concat()).await.is_ok());
}

#[tokio::test]
async fn profiles_are_made_given_by_tokens_and_removed_by_forms() {
    let b = Browser::new().await;
    let set = |keys, rekey| [("name", "month"), ("hours", "720"), ("keys", keys), ("rekey", rekey)];
    for (keys, rekey) in [("dsa", ""), ("", "sometimes")] {
        assert_eq!(b.post("certificate_profile_set", &set(keys, rekey)).await.unwrap_err(), (400, "invalid".to_owned()), "{keys}{rekey}");
    }
    assert_eq!(b.post("certificate_profile_set", &set("P-256, ed25519", "forbidden")).await.unwrap(), "/certificates/rules");
    let made = b.world.fleet.pki().profiles(&b.admin).await.unwrap();
    assert_eq!((made[0].rules.keys.len(), made[0].rules.rekey), (2, Some(wire::states::RekeyPolicy::Forbidden)));
    let token = |profile| {
        [("label", "t"), ("pattern", ""), ("device_type", ""), ("tags", ""), ("max_uses", "1"), ("hours", "1"), ("profile", profile)]
    };
    assert_eq!(b.post("enrolment_token_new", &token("year")).await.unwrap_err(), (404, "profile_not_found".to_owned()));
    b.post("enrolment_token_new", &token("month")).await.unwrap();
    let used = b.post("certificate_profile_remove", &[("name", "month")]).await.unwrap_err();
    assert_eq!(used, (409, "profile_in_use".to_owned()));
    b.post("certificate_profile_set", &[&[("name", "spare")][..], &set("", "")[1..]].concat()).await.unwrap();
    assert_eq!(b.post("certificate_profile_remove", &[("name", "spare")]).await.unwrap(), "/certificates/rules");
}

#[tokio::test]
async fn a_new_name_that_no_device_can_have_is_refused_as_such() {
    let b = Browser::new().await;
    assert_eq!(b.post("target_token_new", &[("device", "../etc")]).await.unwrap_err(), (400, "bad_device_id".to_owned()));
}

#[tokio::test]
async fn many_devices_are_tagged_without_scripts_as_they_were_counted() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    b.world.device("gw-2", "gateway").await;
    let (status, _, page) = b.send("GET", "/devices?q=type:gateway&ask=tag", FORM, Vec::new(), "text/html").await;
    let page = String::from_utf8(page).unwrap();
    assert!(status.is_success() && page.contains("href=\"/api/v1/devices:export?q=type:gateway\""), "{page}");
    assert!(page.contains("name=\"expected\" value=\"2\"") && page.contains("Tag all 2") && !page.contains("id=\"tag-all\""), "{page}");
    let (_, _, page) = b.send("GET", "/devices?q=type:gateway", FORM, Vec::new(), "text/html").await;
    assert!(String::from_utf8(page).unwrap().contains("id=\"tag-all\""), "with scripts it is a dialog");
    let form = |expected| [("q", "type:gateway"), ("add", "eu, hall"), ("expected", expected), ("back", "/devices?q=type:gateway")];
    assert_eq!(b.post("devices/tags", &form("1")).await.unwrap_err(), (409, "other_count".to_owned()));
    assert_eq!(b.post("devices/tags", &form("2")).await.unwrap(), "/devices?q=type:gateway");
    assert_eq!(b.api("GET", "/devices?q=tag:eu%20tag:hall", Vec::new()).await["total"], 2);
}

#[tokio::test]
async fn many_devices_are_suspended_without_scripts_as_they_were_counted() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    b.world.device("gw-2", "gateway").await;
    let (status, _, page) = b.send("GET", "/devices?q=type:gateway&ask=suspend", FORM, Vec::new(), "text/html").await;
    let page = String::from_utf8(page).unwrap();
    assert!(status.is_success() && page.contains("Suspend or resume 2 devices") && !page.contains("id=\"suspend-all\""), "{page}");
    assert!(page.contains("name=\"expected\" value=\"2\"") && page.contains("name=\"step\""), "{page}");
    let (_, _, page) = b.send("GET", "/devices?q=type:gateway", FORM, Vec::new(), "text/html").await;
    assert!(String::from_utf8(page).unwrap().contains("id=\"suspend-all\""), "with scripts it is a dialog");
    let form = |step, expected| [("q", "type:gateway"), ("step", step), ("expected", expected), ("back", "/devices?q=type:gateway")];
    assert_eq!(b.post("devices/life", &form("suspend", "1")).await.unwrap_err(), (409, "other_count".to_owned()));
    assert_eq!(b.post("devices/life", &form("decommission", "2")).await.unwrap_err(), (400, "invalid".to_owned()));
    assert_eq!(b.post("devices/life", &form("suspend", "2")).await.unwrap(), "/devices?q=type:gateway");
    assert_eq!(b.api("GET", "/devices?q=state:suspended", Vec::new()).await["total"], 2);
    assert_eq!(b.post("devices/life", &form("resume", "2")).await.unwrap(), "/devices?q=type:gateway");
    assert_eq!(b.api("GET", "/devices?q=state:active", Vec::new()).await["total"], 2);
}

#[tokio::test]
async fn a_rollout_is_stopped_by_its_name_and_leads_back_to_the_console_only() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    let author = b.world.person("oli", Role::Operator).await;
    let id = b.world.fleet.rollouts().draft(&author, spec).await.unwrap().to_string();
    let submit = [("id", id.as_str()), ("verb", "submit"), ("back", "/\\evil.example")];
    assert_eq!(b.post("rollout_act", &submit).await.unwrap(), "/rollouts");
    let stop = [("id", id.as_str()), ("verb", "stop"), ("reason", "wrong radio"), ("back", "/approvals")];
    unconfirmed(b.post("rollout_act", &stop).await);
    unconfirmed(b.post("rollout_act", &[&stop[..], &[("confirm", "Radio")]].concat()).await);
    assert_eq!(b.post("rollout_act", &[&stop[..], &[("confirm", "Radio fix")]].concat()).await.unwrap(), "/approvals");
}

#[tokio::test]
async fn a_secret_with_everything_around_it_survives_the_redirect_and_is_shown_once() {
    let b = Browser::new().await;
    let tags = (0..20).map(|i| format!("{i:0>50}")).collect::<Vec<_>>().join("+");
    let form = format!("label=Hall+3&pattern=gw-*&device_type=gateway&tags={tags}&max_uses=1&hours=1");
    let (status, headers, _) = b.send("POST", "/rpc/enrolment_token_new", FORM, form.into_bytes(), "text/html").await;
    assert_eq!(status, StatusCode::FOUND, "{headers:?}");
    let set = headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).find(|c| c.starts_with("fw_once=")).unwrap();
    assert!(set.len() < 4096 && set.contains("; Path=/enrolment;"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let secret = cookie.split_once('.').unwrap().1.to_owned();

    let page = |cookies: String| {
        let request = Request::get("/enrolment").header(header::COOKIE, cookies).body(Body::empty()).unwrap();
        async {
            let (parts, body) = b.router.clone().oneshot(request).await.unwrap().into_parts();
            (parts.headers, String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap())
        }
    };
    let (headers, text) = page(format!("{}; {cookie}", b.session)).await;
    assert!(text.contains(&format!("--token {secret} ")) && text.contains("--type gateway"), "the line to paste is there");
    assert!(headers.get_all(header::SET_COOKIE).iter().any(|v| v.to_str().unwrap().starts_with("fw_once=; Path=/enrolment; Max-Age=0;")));
    let (_, text) = page(b.session.clone()).await;
    assert!(!text.contains(&secret));
}

#[tokio::test]
async fn a_device_that_waits_is_seen_and_decided_on_without_scripts() {
    let b = Browser::new().await;
    assert_eq!(b.post("enrolment_open", &[("open", "true")]).await.unwrap(), "/enrolment");
    let devices = b.world.fleet.devices();
    let attributes = [("site".to_owned(), "<b>Hall</b>".to_owned())].into();
    let (csr, device_type) = (fleet::testing::csr("gw-1"), "gateway".to_owned());
    let asked = EnrolRequest { csr, device_id: None, device_type, hardware: "B2".into(), attributes };
    let over = Over { open: Some(&b.world.org), ..Over::default() };
    let ask = async || devices.enrol_over(Attempt { secret: "", request: &asked, address: "192.0.2.1" }, over).await;
    assert!(matches!(ask().await, Err(fleet::devices::Error::Pending)));
    let waits = devices.enrolment_requests(&b.admin).await.unwrap().remove(0);
    let page = async |path: String| {
        let (status, _, body) = b.send("GET", &path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    let text = page("/enrolment".into()).await;
    for part in
        [waits.code.as_str(), "192.0.2.1", "no token", "B2", "site=&lt;b&gt;Hall&lt;/b&gt;", "/rpc/enrolment_approve", "agent run --enrol"]
    {
        assert!(text.contains(part), "{part} is not on the page");
    }
    let id = waits.id.to_string();
    let question = page(format!("/enrolment?reject={id}")).await;
    let question = question.split("card narrow ask").nth(1).expect("the question has a page of its own");
    assert!(question.contains("Reject gw-1") && question.contains("/rpc/enrolment_reject"));
    let est = page("/enrolment?tab=est".into()).await;
    assert!(est.contains("/.well-known/est/simpleenroll") && est.contains(&b.world.fleet.pki().root_fingerprint()));
    assert_eq!(b.post("enrolment_approve", &[("id", &id)]).await.unwrap(), "/enrolment");
    assert!(ask().await.is_ok());
    assert_eq!(b.post("enrolment_reject", &[("id", &id)]).await.unwrap_err(), (404, "not_found".to_owned()), "it is decided");
}

#[tokio::test]
async fn a_refused_form_comes_back_with_what_was_typed_and_without_secrets() {
    let b = Browser::new().await;
    let form = b"name=Oli&email=not+an+address&role=operator&password=short%26secret".to_vec();
    let mut page = "/people".to_owned();
    for _ in 0..2 {
        let request = Request::builder()
            .method("POST")
            .uri("/rpc/user_new")
            .header(header::COOKIE, &b.session)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, FORM)
            .header(header::ACCEPT, "text/html")
            .header(header::REFERER, format!("http://localhost{page}"));
        let response = b.router.clone().oneshot(request.body(Body::from(form.clone())).unwrap()).await.unwrap();
        let to = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        assert!(!to.contains("secret"), "{to}");
        page = to.strip_prefix("http://localhost").unwrap_or(&to).to_owned();
        let (status, _, body) = b.send("GET", &page, FORM, Vec::new(), "text/html").await;
        let html = String::from_utf8(body).unwrap();
        assert_eq!(status, 200);
        assert!(html.contains("value=\"not an address\"") && html.contains("value=\"Oli\""), "{page}");
        assert!(html.contains("role=\"alert\"") && !html.contains("short&amp;secret"), "each refusal is told");
    }
}

#[tokio::test]
async fn authorities_are_led_from_one_to_the_next_without_javascript() {
    let b = Browser::new().await;
    let page = async |path: String| {
        let (status, _, body) = b.send("GET", &path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let device = all.iter().find(|a| a.kind == "device").unwrap();
    let list = page("/certificates/authorities".into()).await;
    for part in
        ["Fleetward Root CA G1", "On this machine, encrypted", "trust bundle 1", &format!("/certificates/authorities/{}", device.id)]
    {
        assert!(list.contains(part), "{part} is not on the page");
    }
    let detail = page(format!("/certificates/authorities/{}", device.id)).await;
    assert!(
        detail.contains("Stage the next one") && detail.contains("Give up as compromised") && detail.contains("Chain, from its issuer")
    );
    let question = page(format!("/certificates/authorities/{}/stage", device.id)).await;
    assert!(question.contains("/rpc/authority_step") && question.contains("does not issue yet"));
    assert!(page(format!("/certificates/authorities/{}/nonsense", device.id)).await.contains("There is nothing of this name"));
    assert!(page(format!("/certificates/authorities/{}/retire", device.id)).await.contains("has moved on"));

    let id = device.id.to_string();
    let led = b.post("authority_step", &[("id", &id), ("step", "stage")]).await.unwrap();
    let next = led.strip_prefix("/certificates/authorities/").unwrap().to_owned();
    assert!(page(led).await.contains("Staged"));
    let detail = page(format!("/certificates/authorities/{id}")).await;
    assert!(detail.contains("aria-disabled=\"true\"") && detail.contains("There is a staged authority for this use already"));
    assert!(b.post("authority_step", &[("id", &next), ("step", "activate")]).await.is_ok());
    let unconfirmed = b.post("authority_step", &[("id", &next), ("step", "compromise"), ("confirm", "yes")]).await;
    assert_eq!(unconfirmed.unwrap_err().1, "not_confirmed");
    assert!(b.post("authority_step", &[("id", &id), ("step", "retire")]).await.is_ok(), "no certificate of it is in use");
    let nobody = b.post("authority_step", &[("id", "x"), ("step", "retire")]).await.unwrap_err();
    assert_eq!(nobody, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn r_11_what_is_left_of_an_authority_is_done_without_javascript() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let token = wire::enrolment::NewEnrolmentToken { label: "line 3".into(), max_uses: 5, hours: 24, ..Default::default() };
    b.world.fleet.devices().create_enrolment_token(&b.admin, token).await.unwrap();
    let page = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let device = all.iter().find(|a| a.kind == "device").unwrap();
    let (id, here) = (device.id.to_string(), format!("/certificates/authorities/{}", device.id));
    assert!(!page(&here).await.contains("certificate%3Auntrusted"), "nothing is left of one that is believed");
    let step = [("id", id.as_str()), ("step", "compromise"), ("confirm", device.common_name())];
    assert_eq!(b.post("authority_step", &step).await.unwrap(), here);
    let after = page(&here).await;
    for part in ["1 device has a certificate of it", "Lift the freeze", "Their own keys were not lost", "certificate%3Auntrusted"] {
        assert!(after.contains(part), "{part} is not on the page");
    }
    let list = page("/certificates?state=untrusted").await;
    assert!(list.contains("Not trusted") && list.contains("authority compromised"));
    assert!(page("/enrolment").await.contains("Frozen"));

    let way = [("id", id.as_str()), ("how", "auto")];
    assert_eq!(b.post("authority_recover", &[&way[..], &[("days", "91")]].concat()).await.unwrap_err().1, "invalid");
    assert_eq!(b.post("authority_recover", &[&way[..], &[("days", "7")]].concat()).await.unwrap(), here);
    assert!(page(&here).await.contains("They come back by themselves"));
    assert_eq!(b.post("authority_thaw", &[("id", &id)]).await.unwrap(), here);
    assert!(!page(&here).await.contains("Lift the freeze"));
}

#[tokio::test]
async fn k_6_a_second_person_is_asked_and_answers_without_javascript() {
    let mut b = Browser::new().await;
    b.world.person("eve", Role::Admin).await;
    let page = async |b: &Browser, path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    let here = "/certificates/authorities/requests";
    let before = page(&b, here).await;
    assert!(before.contains("One admin is enough") && before.contains("Let two people decide") && before.contains("Nothing waits"));
    assert_eq!(b.post("authority_approvals", &[("on", "true")]).await.unwrap(), here);
    assert_eq!(b.post("authority_approvals", &[("on", "false")]).await.unwrap_err().1, "invalid", "it says why");

    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let id = all.iter().find(|a| a.kind == "device").unwrap().id.to_string();
    let detail = page(&b, &format!("/certificates/authorities/{id}")).await;
    assert!(detail.contains("Two people decide here"));
    let question = page(&b, &format!("/certificates/authorities/{id}/stage")).await;
    assert!(question.contains("before another admin has approved it") && question.contains("name=\"reason\""), "it is said beforehand");
    let stage = [("id", id.as_str()), ("step", "stage")];
    assert_eq!(b.post("authority_step", &stage).await.unwrap_err().1, "invalid");
    let reason = [("reason", "the old one ends <soon>")];
    assert_eq!(b.post("authority_step", &[&stage[..], &reason].concat()).await.unwrap(), here);
    let mine = page(&b, here).await;
    for part in
        ["Stage the next authority for devices", "ends &lt;soon", "a new authority for devices", "someone else must decide", "Take back"]
    {
        assert!(mine.contains(part), "{part} is not on the page");
    }
    assert!(!mine.contains(&format!("{here}?approve=")), "no way to approve one's own");
    assert!(page(&b, &format!("/certificates/authorities/{id}")).await.contains("waits for another admin"));
    let row = b.world.fleet.pki().consents_page(&b.admin).await.unwrap().waiting.remove(0).row;
    let (request, digest) = (row.id.to_string(), row.digest.to_string());
    let yes = [("id", request.as_str()), ("approve", "true"), ("digest", &digest), ("reason", "fine")];
    assert_eq!(b.post("authority_decide", &yes).await.unwrap_err(), (403, "own_request".to_owned()));

    let eve = b.world.fleet.access().sign_in("eve@example.com", "a long enough password", &Origin::default()).await.unwrap();
    b.session = format!("fw_access={}", eve.access);
    assert!(page(&b, "/approvals").await.contains("1 request about authorities waits"));
    let theirs = page(&b, &format!("{here}?approve={request}")).await;
    let question = theirs.split("card narrow ask").nth(1).expect("the question stands on the page");
    assert!(question.contains("/rpc/authority_decide") && question.contains(&digest) && question.contains("Approve and do it"));
    assert_eq!(b.post("authority_decide", &yes).await.unwrap(), here);
    let after = page(&b, here).await;
    assert!(after.contains("Approved and done") && after.contains("Nothing waits"));
    let staged = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    assert_eq!(staged.iter().filter(|a| a.state == wire::states::AuthorityState::Staged).count(), 1);
}

#[tokio::test]
async fn a_20_the_console_says_that_the_clock_jumped_and_takes_the_new_time() {
    let b = Browser::new().await;
    let page = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    assert!(!page("/certificates").await.contains("has jumped"));
    b.world.clock.jump(600_000);
    // The renderer may put marks between a sentence and what is put into it.
    let shown = page("/certificates").await;
    assert!(shown.contains("clock has jumped by") && shown.contains("+10 min") && shown.contains("/rpc/clock_accept"));
    assert!(page("/").await.contains("has jumped by +10 min"), "the overview says so");
    assert_eq!(b.post("clock_accept", &[]).await.unwrap(), "/certificates");
    assert!(!page("/certificates").await.contains("has jumped"));
}

#[tokio::test]
async fn freezes_are_made_and_ended_and_the_wizard_says_what_is_wrong_with_a_window() {
    let b = Browser::new().await;
    let page = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
    };
    assert!(page("/freezes").await.contains("No freeze"));
    let refused = b.post("freeze_new", &[("name", "Year's end"), ("from", ""), ("until", "soon")]).await;
    assert_eq!(refused.unwrap_err(), (400, "invalid".to_owned()));
    let freeze = [("name", "Year's end"), ("from", ""), ("until", "2026-12-31T06:00"), ("reason", "nobody is there")];
    assert_eq!(b.post("freeze_new", &freeze).await.unwrap(), "/freezes");
    let shown = page("/freezes").await;
    assert!(shown.contains("Holds") && shown.contains("nobody is there") && shown.contains("/rpc/freeze_end"));

    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let plan = |until: &str| {
        format!(
            "/rollouts/new?step=stages&name=Radio&release={release}&window.days=sat&window.days=sun&window.from=22:00&window.until={until}"
        )
    };
    assert!(page(&plan("22:00")).await.contains("The window never opens"));
    let shown = page(&plan("02:00")).await;
    assert!(
        shown.contains("First opens") && shown.contains("It starts in the freeze") && shown.contains("no zone of their own"),
        "{shown}"
    );
    assert!(page(&format!("{}&window.zone=Berlin", plan("02:00"))).await.contains("The nearest there is: Europe/Berlin."));

    let id = b.api("GET", "/freezes", Vec::new()).await["freezes"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(b.post("freeze_end", &[("id", &id)]).await.unwrap(), "/freezes");
    assert!(page("/freezes").await.contains("Ended early"));
}

#[tokio::test]
async fn rules_groups_and_a_broken_glass_are_seen_and_decided_on_without_scripts() {
    let b = Browser::new().await;
    let page = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        // The renderer puts marks between a sentence and what is put into it.
        String::from_utf8(body).unwrap().replace("<!>", "")
    };
    let shown = page("/approvals").await;
    assert!(
        shown.contains("Every rollout needs 1 approval, by people other than its author.") && shown.contains("1 approval takes 2 admins")
    );
    assert!(shown.contains("There is no group yet") && shown.contains("Nobody may start a rollout without its approvals."));

    let (eve, max) = (b.world.person("eve", Role::Admin).await, b.world.person("max", Role::Admin).await);
    let eves = eve.user().unwrap().to_string();
    // As a browser sends it, with the brackets written out.
    let group = [("name", "safety"), ("members%5B%5D", eves.as_str())];
    assert_eq!(b.post("approver_group_new", &group).await.unwrap(), "/approvals");
    let id = b.api("GET", "/approver-groups", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let share = format!("{id}=1");
    let rule = [("device_type", ""), ("needed", "2"), ("from%5B%5D", share.as_str())];
    assert_eq!(b.post("approval_rule", &rule).await.unwrap(), "/approvals");
    let bad = [("device_type", ""), ("needed", "2"), ("from%5B%5D", "many")];
    assert_eq!(b.post("approval_rule", &bad).await.unwrap_err().0, 404);
    let shown = page("/approvals").await;
    assert!(shown.contains("Every rollout needs 2 approvals, 1 of them by safety, by people other than its author."), "{shown}");
    assert!(shown.contains("A rule names it.") && shown.contains("aria-disabled"), "why the group can't be deleted");
    assert_eq!(b.post("approver_group_delete", &[("id", &id)]).await.unwrap_err(), (409, "not_now".to_owned()));
    let weaker = [("device_type", ""), ("needed", "1")];
    assert_eq!(b.post("approval_rule", &weaker).await.unwrap(), "/approvals");
    assert!(page("/approvals").await.contains("Keep 2 approvals, 1 of them by safety"));
    assert_eq!(b.post("approval_rule", &rule).await.unwrap(), "/approvals");
    let terms = [("request_days", "7"), ("start_days", "30"), ("review_hours", "24"), ("break_glass", "true")];
    assert_eq!(b.post("approval_terms", &terms).await.unwrap(), "/approvals");
    assert!(page("/approvals").await.contains("on an admin may start a rollout in an emergency"));
    b.world.clock.advance(24 * 3_600_000);
    // Everybody signs in again by then.
    let signed_in = b.world.fleet.access().sign_in("ada@example.com", "a long enough password", &Origin::default()).await.unwrap();
    let b = Browser { session: format!("fw_access={}", signed_in.access), ..b };
    let page = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap().replace("<!>", "")
    };

    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    let rollouts = b.world.fleet.rollouts();
    let rollout = rollouts.draft(&b.admin, spec).await.unwrap();
    rollouts.submit(&b.admin, &rollout).await.unwrap();
    let shown = page("/approvals").await;
    assert!(shown.contains("0 of 2 approvals, 0 of 1 by safety") && shown.contains("The request expires"), "{shown}");
    let here = format!("/rollouts/{rollout}");
    let shown = page(&here).await;
    assert!(shown.contains("Break glass…") && shown.contains("The request expires"));
    let question = page(&format!("{here}/break-glass")).await;
    assert!(question.contains("two other admins review it afterwards") && question.contains("Type Radio fix to confirm"), "{question}");

    let (id, digest) = (rollout.to_string(), rollouts.detail(&b.admin, &rollout).await.unwrap().digest.to_string());
    let order =
        [("id", id.as_str()), ("verb", "break-glass"), ("digest", digest.as_str()), ("reason", "the field burns"), ("back", here.as_str())];
    unconfirmed(b.post("rollout_act", &order).await);
    assert_eq!(b.post("rollout_act", &[&order[..], &[("confirm", "Radio fix")]].concat()).await.unwrap(), here);
    let shown = page(&here).await;
    assert!(shown.contains("Started without approval.") && shown.contains("the field burns"), "{shown}");
    assert!(page("/").await.contains("Radio fix was started by ada without approval"), "the overview says so");
    let shown = page("/approvals").await;
    assert!(shown.contains("1 rollout was started without approval.") && shown.contains("You broke the glass"), "{shown}");
    let glass = b.api("GET", "/break-glass", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let own = b.post("glass_review", &[("id", &glass), ("say", "accept"), ("remark", "fine")]).await;
    assert_eq!(own.unwrap_err(), (409, "not_now".to_owned()));
    assert_eq!(b.post("glass_review", &[("id", &glass), ("say", "shrug"), ("remark", "?")]).await.unwrap_err().1, "unknown_answer");

    let theirs = b.world.fleet.access().sign_in("eve@example.com", "a long enough password", &Origin::default()).await.unwrap();
    let b = Browser { session: format!("fw_access={}", theirs.access), ..b };
    let (_, _, shown) = b.send("GET", "/approvals", FORM, Vec::new(), "text/html").await;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("/rpc/glass_review") && shown.contains("Object and halt it"), "{shown}");
    let stop = [("id", glass.as_str()), ("say", "stop"), ("remark", "not that bad")];
    assert_eq!(b.post("glass_review", &stop).await.unwrap(), "/approvals");
    let (_, _, shown) = b.send("GET", &here, FORM, Vec::new(), "text/html").await;
    assert!(String::from_utf8(shown).unwrap().contains("eve objected: “not that bad”"));
    let fleet = &b.world.fleet;
    assert_eq!(fleet.rollouts().detail(&max, &rollout).await.unwrap().row.state, wire::states::RolloutState::Halted);
}
