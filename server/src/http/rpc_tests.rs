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
use base64::{Engine as _, engine::general_purpose::STANDARD};
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
    manifest::Envelope,
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    signing::{KEY_SET_TYPE, KeySet, ListedKey, SCHEMA, Thresholds},
    states::Role,
};

mod identity;
mod markup;
mod renewals;
mod rollouts;
mod waiting;

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

    /// A page that is there, as a browser without JavaScript reads it.
    pub(super) async fn page(&self, path: &str) -> String {
        let (status, _, body) = self.send("GET", path, FORM, Vec::new(), "text/html").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        String::from_utf8(body).unwrap()
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

    /// Posts a form of the page `from` as a browser without JavaScript does; where that leads.
    pub(super) async fn posted(&self, function: &str, from: &str, form: String) -> String {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/rpc/{function}"))
            .header(header::COOKIE, &self.session)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, FORM)
            .header(header::ACCEPT, "text/html")
            .header(header::REFERER, format!("http://localhost{from}"));
        let response = self.router.clone().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap();
        let to = response.headers()[header::LOCATION].to_str().unwrap();
        to.strip_prefix("http://localhost").unwrap_or(to).to_owned()
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

/// U-1: whoever looks at releases sees that devices will install none of them.
#[tokio::test]
async fn a_key_set_that_ends_is_told_above_the_releases() {
    const DAY: i64 = 24 * 3_600_000;
    let b = Browser::new().await;
    let releases = b.world.fleet.releases();
    let pair = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
    releases.add_key(&b.admin, "build", &pair.public_pem()).await.unwrap();
    for (version, days, is_told) in [(1, 31, false), (2, 29, true)] {
        let set = KeySet {
            schema: SCHEMA,
            version,
            created: b.world.clock_now(),
            expires: Some(b.world.clock_now().plus(days * DAY)),
            keys: vec![ListedKey { name: "build".into(), public: hex::encode(pair.public()) }],
            thresholds: Thresholds { threshold: 1, device_types: Vec::new() },
        };
        let payload = serde_json::to_vec(&set).unwrap();
        let signatures = vec![pair.signature(KEY_SET_TYPE, &payload).unwrap()];
        let envelope = Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures };
        releases.publish_key_set(&b.admin, &serde_json::to_vec(&envelope).unwrap()).await.unwrap();
        let text = b.page("/firmware").await;
        let link = "href=\"#key-sets\"";
        assert_eq!(text.contains(&format!("Key set {version} ends")) && text.contains(link), is_told, "{text}");
        assert!(text.contains("id=\"key-sets\""), "where the link leads");
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
    // A weaker reason is raised by the same call.
    let other = page.certificates.items.iter().find(|c| c.device_id.as_str() == "gw-2").unwrap();
    for reason in ["superseded", "key_compromise"] {
        let form = [("id", other.id.as_str()), ("reason", reason), ("confirm", "gw-2")];
        assert_eq!(b.post("certificate_revoke", &form).await.unwrap(), "/certificates");
        assert_eq!(b.world.fleet.pki().certificate(&b.admin, &other.id).await.unwrap().row.reason, reason);
    }

    let (release, key) = b.release().await;
    let recall = [("id", release.as_str()), ("verb", "recall"), ("reason", "bricks the radio")];
    unconfirmed(b.post("release_act", &recall).await);
    unconfirmed(b.post("signing_key_revoke", &[("id", &key), ("confirm", "")]).await);
    assert_eq!(b.post("signing_key_revoke", &[("id", &key), ("confirm", "build")]).await.unwrap(), "/firmware#keys");
    assert!(b.post("release_act", &[&recall[..], &[("confirm", "1.0.0")]].concat()).await.is_ok());
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
async fn devices_that_were_ticked_are_changed_without_scripts() {
    let b = Browser::new().await;
    for id in ["gw-1", "gw-2", "gw-3"] {
        b.world.device(id, "gateway").await;
    }
    let page = async |path: &str| b.page(path).await;
    let list = page("/devices?q=type:gateway").await;
    assert!(list.contains("aria-label=\"Select gw-2\"") && list.contains("role=\"toolbar\""), "{list}");
    let asked = page("/devices?q=type:gateway&sel=gw-1&sel=gw-3&ask=tag").await;
    assert!(asked.contains("This is about 2 devices: gw-1, gw-3.") && asked.contains("Tag 2 devices"), "{asked}");
    assert!(asked.contains("name=\"devices\" value=\"gw-1 gw-3\"") && asked.contains("name=\"expected\" value=\"2\""), "{asked}");
    let form = |devices, expected| [("devices", devices), ("add", "eu"), ("expected", expected), ("back", "/devices?q=type:gateway")];
    assert_eq!(b.post("devices/tags", &form("gw-1 gw-9", "2")).await.unwrap_err(), (409, "other_count".to_owned()));
    assert_eq!(b.post("devices/tags", &form("gw-1 gw-3", "2")).await.unwrap(), "/devices?q=type:gateway");
    assert_eq!(b.api("GET", "/devices?q=tag:eu", Vec::new()).await["total"], 2);
    assert!(asked.contains("name=\"named\" value=\"1\""), "{asked}");
    b.post("devices/life", &[("devices", "gw-2"), ("step", "suspend"), ("expected", "1")]).await.unwrap();
    b.post("devices/group", &[("devices", "gw-2 gw-3"), ("group", "north"), ("expected", "2")]).await.unwrap();
    assert_eq!(b.api("GET", "/devices?q=group:north", Vec::new()).await["total"], 2);
    assert!(page("/devices?q=type:gateway&all=5").await.contains("3 devices selected: all that match. They were 5 a moment ago."));
}

#[tokio::test]
async fn an_order_about_nobody_is_not_one_about_all() {
    let b = Browser::new().await;
    for id in ["gw-1", "gw-2", "gw-3"] {
        b.world.device(id, "gateway").await;
    }
    let page = b.page("/devices?ask=suspend&sel=&sel=&sel=").await;
    // The dialog is there for who opens it; no question stands in the page.
    assert!(page.contains("id=\"suspend-all\""), "{page}");
    let page = b.page("/devices?ask=suspend&sel=gw-2&sel=").await;
    assert!(page.contains("This is about 1 device: gw-2.") && page.contains("name=\"devices\" value=\"gw-2\""), "{page}");

    let refused = (400, "invalid".to_owned());
    for nobody in [&[("named", "1")][..], &[("devices", ""), ("named", "1")], &[("devices", "  ")], &[("devices", " , ")]] {
        let with = |own: &[(&'static str, &'static str)]| [nobody, own, &[("q", ""), ("expected", "3")]].concat();
        assert_eq!(b.post("devices/life", &with(&[("step", "suspend")])).await.unwrap_err(), refused, "{nobody:?}");
        assert_eq!(b.post("devices/tags", &with(&[("add", "eu")])).await.unwrap_err(), refused, "{nobody:?}");
        assert_eq!(b.post("devices/group", &with(&[("group", "north")])).await.unwrap_err(), refused, "{nobody:?}");
    }
    assert_eq!(b.api("GET", "/devices?q=state:suspended%20or%20tag:eu", Vec::new()).await["total"], 0);
    // An order about all still is one.
    b.post("devices/life", &[("q", ""), ("devices", ""), ("step", "suspend"), ("expected", "3")]).await.unwrap();
    assert_eq!(b.api("GET", "/devices?q=state:suspended", Vec::new()).await["total"], 3);
}

#[tokio::test]
async fn a_list_says_what_of_its_address_it_does_not_understand() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let page = async |path: &str| b.page(path).await.replace("<!>", "");
    for (path, said, rest) in [
        ("/devices?status=foo&sort=bar&q=gw", "“status” says nothing here; “bar” is no order of devices.", "/devices?q=gw"),
        ("/certificates?state=lost", "“lost” is no state of a certificate.", "/certificates"),
        ("/firmware?check=maybe", "“maybe” is no result of a check.", "/firmware"),
        ("/rollouts?tab=odd&q=radio", "“odd” is no list of rollouts.", "/rollouts?q=radio"),
        ("/approvals?tab=odd", "“odd” is no list of approvals.", "/approvals"),
        ("/audit?since=soon&q=ada", "“soon” is no date and time.", "/audit?q=ada"),
        ("/devices/gw-1/activity?show=luck", "“luck” is no part of what happens.", "/devices/gw-1/activity"),
        ("/devices/gw-1/connections?show=all", "“show” says nothing here.", "/devices/gw-1/connections"),
        ("/devices/gw-1/firmware?log=all", "“all” is no update's id.", "/devices/gw-1/firmware"),
        ("/certificates?sort=-revoked", "“-revoked” is no order of certificates without “state=revoked”.", "/certificates"),
        ("/certificates/authorities?q=root", "“q” says nothing here.", "/certificates/authorities"),
        ("/groups?q=tag:eu", "“q” says nothing here.", "/groups"),
        ("/enrolment?tab=odd", "“odd” is no way to add devices.", "/enrolment"),
        ("/people?tab=odd", "“tab” says nothing here.", "/people"),
        ("/freezes?state=holds", "“state” says nothing here.", "/freezes"),
    ] {
        let shown = page(path).await;
        let way = format!("<a href=\"{rest}\">Leave it out of the address</a>");
        assert!(shown.contains(said) && shown.contains(&way), "{path}: {shown}");
        assert!(!page(rest).await.contains("Leave it out of the address"), "{rest}");
    }
    assert!(page("/devices?sort=bar").await.contains("gw-1"), "the list is there all the same");
}

#[tokio::test]
async fn a_page_behind_the_end_of_a_list_is_not_taken_for_an_empty_list() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    for (path, first) in [
        ("/devices?q=type:camera&before=50", "/devices?q=type:camera"),
        ("/certificates?q=camera&from=50", "/certificates?q=camera"),
        ("/firmware?from=50", "/firmware"),
        ("/rollouts?tab=running&from=50", "/rollouts?tab=running"),
        ("/approvals?tab=done&from=50", "/approvals?tab=done"),
    ] {
        let shown = b.page(path).await.replace("<!>", "");
        let (before, _) = shown.split_once("Go to the first page</a>").unwrap_or_else(|| panic!("{path}: {shown}"));
        let way = before.rsplit("<a ").next().unwrap_or_default();
        assert!(shown.contains("Nothing is left on this page") && way.contains(&format!("href=\"{first}\"")), "{path}: {way}");
        assert!(!b.page(first).await.contains("Nothing is left on this page"), "{first}");
    }
    let gone = b.page("/enrolment?tab=own&ca=rca_1").await;
    assert!(gone.contains("No authority of this id is registered here."), "{gone}");
    assert!(!b.page("/enrolment?tab=own").await.contains("No authority of this id"));
    assert!(b.page("/certificates/renew?q=type:camera").await.contains("No device is meant"));
}

#[tokio::test]
async fn certificates_and_connections_read_without_scripts() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let page = async |path: &str| b.page(path).await;
    assert!(page("/certificates?sort=-device").await.contains("aria-sort=\"descending\""));
    assert!(page("/certificates?state=revoked&sort=-revoked").await.contains("Nothing is revoked"));
    assert!(page("/devices/gw-1/connections").await.contains("It was not connected lately"));
    // The page does not wait for the course of the day, but has it once it is counted.
    let mut overview = page("/").await;
    for _ in 0..200 {
        if overview.contains("Over the last 24 hours from 0 to 0") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        overview = page("/").await;
    }
    panic!("there is no course of the day: {overview}");
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
async fn limits_of_downloads_are_typed_in_kilobytes_and_kept_in_bytes() {
    let b = Browser::new().await;
    let form = |bandwidth: &'static str, site: &'static str| {
        [("bandwidth", bandwidth), ("site_attribute", "site"), ("site_bandwidth", site), ("data_budget_mb", "200")]
    };
    assert_eq!(b.post("transfer_limits", &form("500", " 62.5 ")).await.unwrap(), "/firmware#downloads");
    let kept = json!({ "bandwidth": 500_000, "site_attribute": "site", "site_bandwidth": 62_500, "data_budget_mb": 200 });
    assert_eq!(b.api("GET", "/transfer-limits", Vec::new()).await, kept);
    let page = b.page("/firmware").await;
    assert!(["value=\"500\"", "value=\"62.5\"", "value=\"200\""].iter().all(|shown| page.contains(shown)), "{page}");
    for (bandwidth, site) in [("fast", ""), ("500", "-1"), ("9.999", "")] {
        let refused = b.post("transfer_limits", &form(bandwidth, site)).await.unwrap_err();
        assert_eq!(refused, (400, "bad_value".to_owned()), "{bandwidth} {site}");
    }
    assert_eq!(b.api("GET", "/transfer-limits", Vec::new()).await, kept, "what is refused changes nothing");
    b.post("transfer_limits", &[("site_attribute", "")]).await.unwrap();
    let none = json!({ "bandwidth": null, "site_attribute": "", "site_bandwidth": null, "data_budget_mb": null });
    assert_eq!(b.api("GET", "/transfer-limits", Vec::new()).await, none, "what is empty has no limit");
}
