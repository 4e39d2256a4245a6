//! Signing in and staying out: cookies, sessions, other sites, wrong tokens, roles.

use crate::support::{PASSWORD, TestServer};
use base64::Engine as _;
use fleet::db::EngineKind;
use reqwest::{
    Client, Response,
    header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE},
    redirect::Policy,
};
use rstest::rstest;
use serde_json::json;
use wire::{ids::UserId, states::Role};

/// A browser with these cookies, whatever it is answered.
fn holding(cookies: &str) -> Client {
    let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookies).unwrap())]);
    Client::builder().redirect(Policy::none()).default_headers(headers).build().unwrap()
}

/// The cookies that an answer sets, as a browser sends them back: the access token, then the refresh secret.
fn given(answer: &Response) -> String {
    let set = answer.headers().get_all(SET_COOKIE).iter();
    set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

/// Where an answer leads.
fn place(answer: &Response) -> &str {
    answer.headers()["location"].to_str().unwrap()
}

impl TestServer {
    /// The cookies of a new session; none when it is refused.
    async fn session(&self, email: &str, password: &str) -> String {
        given(&self.sign_in(&holding(""), email, password).await)
    }

    /// Whether the console and REST are open to the session of these cookies. Their answers are the same.
    async fn is_open(&self, cookies: &str) -> bool {
        let browser = holding(cookies);
        let page = browser.get(self.url("/devices")).send().await.unwrap().status();
        let list = browser.get(self.url("/api/v1/devices")).send().await.unwrap().status();
        assert!([(200, 200), (303, 401)].contains(&(page.as_u16(), list.as_u16())), "{page} {list}");
        page == 200
    }

    /// Whether the refresh secret among these cookies is still traded for a new one.
    async fn renews(&self, cookies: &str) -> bool {
        let answer = holding(cookies).get(self.url("/session/refresh?next=/devices")).send().await.unwrap();
        assert!(["/devices", "/sign-in?next=/devices"].contains(&place(&answer)), "{}", place(&answer));
        place(&answer) == "/devices"
    }

    /// Whose session these cookies are of, and how many that person has.
    async fn holder(&self, cookies: &str) -> (UserId, usize) {
        let access = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("fw_access=")).unwrap();
        let actor = self.running.fleet.access().authenticate_jwt(access, "").await.unwrap();
        let account = self.running.fleet.access().account(&actor).await.unwrap();
        (account.user.id, account.sessions.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_22_a_session_is_a_closed_cookie_that_can_be_ended() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let email = server.person("ada", Role::Admin).await;
    let anonymous = server.http.get(server.url("/devices")).send().await.unwrap();
    assert_eq!(anonymous.status(), 303);
    assert_eq!(anonymous.headers()["location"], "/session/refresh?next=/devices");
    let away = server.http.get(server.url("/session/refresh?next=//evil.example")).send().await.unwrap();
    assert_eq!(away.headers()["location"], "/sign-in?next=/");

    let wrong = server.sign_in(&server.http, &email, "wrong").await;
    assert!(wrong.headers().get("set-cookie").is_none());
    let right = server.sign_in(&server.http, &email, PASSWORD).await;
    let cookies: Vec<&str> = right.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().all(|c| c.contains("HttpOnly") && c.contains("SameSite=Lax")), "{cookies:?}");
    assert!(cookies.iter().any(|c| c.contains("Path=/session/refresh")), "the refresh secret has a path of its own");
    assert_eq!(server.http.get(server.url("/devices")).send().await.unwrap().status(), 200);

    let out = server.post_form(&server.http, "/rpc/session/sign_out", &[]).await;
    assert!(out.status().is_redirection(), "{}", out.status());
    assert_eq!(server.http.get(server.url("/devices")).send().await.unwrap().status(), 303);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_22_a_session_that_was_planted_is_not_taken_over() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let (ada, mal) = (server.person("ada", Role::Admin).await, server.person("mal", Role::Viewer).await);
    let planted = server.session(&mal, PASSWORD).await;
    let own = given(&server.sign_in(&holding(&planted), &ada, PASSWORD).await);
    let (whose, sessions) = server.holder(&own).await;
    assert_eq!(sessions, 1);
    let (still, sessions) = server.holder(&planted).await;
    assert!(still != whose && sessions == 1, "what was planted is its maker's, and nobody else's");

    // Also over a session of her own that somebody else may know, and over words that are none.
    let known = given(&server.sign_in(&holding(&own), &ada, PASSWORD).await);
    assert_eq!(server.holder(&known).await, (whose, 2), "another one, beside it");
    server.post_form(&holding(&own), "/rpc/session/sign_out", &[]).await;
    assert_eq!((server.is_open(&own).await, server.is_open(&known).await), (false, true));
    let nonsense = "fw_access=planted; fw_refresh=planted";
    let fresh = given(&server.sign_in(&holding(nonsense), &ada, PASSWORD).await);
    assert!(!fresh.contains("planted") && server.is_open(&fresh).await, "{fresh}");
    assert_eq!((server.is_open(nonsense).await, server.renews(nonsense).await), (false, false));
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_22_another_password_ends_every_other_session_and_is_what_signs_in(#[case] kind: EngineKind) {
    const NEW: &str = "quite another password";
    let server = TestServer::start(kind).await;
    let (ada, oli) = (server.person("ada", Role::Admin).await, server.person("oli", Role::Operator).await);
    let (here, stolen, others) =
        (server.session(&ada, PASSWORD).await, server.session(&ada, PASSWORD).await, server.session(&oli, PASSWORD).await);
    let change = async |old: &str| {
        let form = [("old", old), ("new", NEW)];
        let answer = server.post_form(&holding(&here), "/rpc/session/change_password", &form).await;
        place(&answer).ends_with("/account?changed=password")
    };
    assert!(!change("a wrong password").await);
    assert!(server.is_open(&stolen).await, "what is refused ends nothing");
    assert!(server.session(&ada, NEW).await.is_empty(), "and changes nothing");

    assert!(change(PASSWORD).await);
    assert_eq!((server.is_open(&stolen).await, server.renews(&stolen).await), (false, false));
    assert_eq!((server.is_open(&here).await, server.renews(&here).await), (true, true), "but the one that changed it");
    assert!(server.is_open(&others).await, "and other people's");
    assert!(server.session(&ada, PASSWORD).await.is_empty(), "the old one is worth nothing");
    let again = server.session(&ada, NEW).await;
    assert!(server.is_open(&again).await);
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_22_who_signs_out_leaves_nothing_that_goes_on(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let ada = server.person("ada", Role::Admin).await;
    let (left, other) = (server.session(&ada, PASSWORD).await, server.session(&ada, PASSWORD).await);
    assert!(server.is_open(&left).await);
    let out = server.post_form(&holding(&left), "/rpc/session/sign_out", &[]).await;
    assert_eq!(given(&out), "fw_access=; fw_refresh=", "the browser forgets both");
    assert_eq!((server.is_open(&left).await, server.renews(&left).await), (false, false), "and who has kept them has nothing");
    assert_eq!((server.is_open(&other).await, server.renews(&other).await), (true, true), "elsewhere she stays");
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_22_another_role_holds_in_running_sessions_and_a_login_that_is_off_has_none(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let admin = server.browser("ada", Role::Admin).await;
    let oli = server.person("oli", Role::Operator).await;
    let cookies = server.session(&oli, PASSWORD).await;
    let id = server.holder(&cookies).await.0.to_string();
    let make = async || {
        let body = json!({ "label": "x", "max_uses": 1, "hours": 1 });
        let post = holding(&cookies).post(server.url("/api/v1/enrolment-tokens")).header("sec-fetch-site", "same-origin").json(&body);
        post.send().await.unwrap().status().as_u16()
    };
    for (role, status) in [("operator", 201), ("viewer", 403), ("operator", 201)] {
        let done = server.post_form(&admin, "/rpc/user_role", &[("id", &id), ("role", role)]).await;
        assert!(place(&done).ends_with("/people"), "{}", place(&done));
        assert_eq!(make().await, status, "{role}");
        assert!(server.is_open(&cookies).await, "the session goes on");
    }
    let off = server.post_form(&admin, "/rpc/user_disable", &[("id", &id), ("confirm", &oli)]).await;
    assert!(place(&off).ends_with("/people"), "{}", place(&off));
    assert_eq!((server.is_open(&cookies).await, server.renews(&cookies).await), (false, false));
    assert!(server.session(&oli, PASSWORD).await.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_outlived_its_session_is_sent_on_with_all_that_was_typed() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let email = server.person("ada", Role::Admin).await;
    let signed_in = server.sign_in(&server.http, &email, PASSWORD).await;
    let refresh = signed_in.headers().get_all("set-cookie").iter().find_map(|v| {
        let cookie = v.to_str().unwrap().split(';').next().unwrap();
        cookie.starts_with("fw_refresh").then(|| cookie.to_owned())
    });
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = async |path: &str, cookie: &str| {
        let form = browser.post(server.url(path)).header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
        let form = form.header("sec-fetch-site", "same-origin").header("referer", server.url("/enrolment"));
        form.header("cookie", cookie).body("label=kept&pattern=&device_type=gw&tags=&max_uses=1&hours=1").send().await.unwrap()
    };
    let place = |answer: &reqwest::Response| answer.headers()["location"].to_str().unwrap().to_owned();
    let create = "/rpc/enrolment_token_new";
    let ended = post(create, "").await;
    assert_eq!(ended.status(), 307);
    let lost = post(&place(&ended), "").await;
    assert_eq!((lost.status().as_u16(), place(&lost).as_str()), (303, "/sign-in?next=/enrolment"), "no session to renew");
    let renewed = post(&place(&ended), &refresh.unwrap()).await;
    assert_eq!(renewed.status(), 307);
    let back = place(&renewed);
    assert!(back.starts_with(create), "{back}");
    let cookies: Vec<_> = renewed.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap().split(';').next().unwrap()).collect();
    let done = post(&back, &cookies.join("; ")).await;
    assert!(done.status().is_redirection() && !place(&done).contains("__err"), "{} {}", done.status(), place(&done));
    let tokens = server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap().tokens;
    assert_eq!(tokens[0].label, "kept");
    assert_eq!(post(&back, "").await.status().as_u16() / 100, 3, "it is sent over the renewal once");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_21_forged_and_foreign_tokens_are_nobody() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let b64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = json!({ "iss": "fleetward", "aud": "fleetward-console", "sub": "usr_00000000000000000000000000000000", "sid": "ses_00000000000000000000000000000000", "exp": 9_999_999_999_i64, "iat": 0 });
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"EdDSA"}"#] {
        let forged = format!("{}.{}.{}", b64.encode(header), b64.encode(claims.to_string()), b64.encode([7; 64]));
        let answer = server.http.get(server.url("/api/v1/devices")).header("cookie", format!("fw_access={forged}")).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{header}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let answer = server.http.get(server.url("/api/v1/devices")).bearer_auth("fat_0_0").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_23_another_site_changes_nothing() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let browser = server.browser("oli", Role::Operator).await;
    let body = json!({ "label": "x", "max_uses": 1, "hours": 1 });
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://evil.example"), ("accept", "*/*")]
    {
        let answer = browser.post(server.url("/api/v1/enrolment-tokens")).header(name, value).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
        let answer = browser.post(server.url("/rpc/session/sign_out")).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let own =
        browser.post(server.url("/api/v1/enrolment-tokens")).header("sec-fetch-site", "same-origin").json(&body).send().await.unwrap();
    assert!(own.status().is_success(), "{}", own.status());
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn roles_are_enforced_behind_every_face(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let viewer = server.token("vic", Role::Viewer).await;
    let operator = server.token("oli", Role::Operator).await;
    let ask = async |token: &str, path: &str, body: serde_json::Value| {
        server.http.post(server.url(path)).bearer_auth(token).json(&body).send().await.unwrap().status().as_u16()
    };
    let token = json!({ "label": "x", "max_uses": 1, "hours": 1 });
    assert_eq!(ask(&viewer, "/api/v1/enrolment-tokens", token.clone()).await, 403);
    assert!((200..300).contains(&ask(&operator, "/api/v1/enrolment-tokens", token).await));
    let key = json!({ "name": "k", "public": "00".repeat(32) });
    assert_eq!(ask(&operator, "/api/v1/signing-keys", key).await, 403);
    let list = server.http.get(server.url("/api/v1/devices")).bearer_auth(&viewer).send().await.unwrap();
    assert_eq!(list.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_files_carry_their_headers() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let page = server.http.get(server.url("/set-up")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let body = page.text().await.unwrap();
    let nonce = policy.split("'nonce-").nth(1).and_then(|r| r.split('\'').next()).unwrap().to_owned();
    assert!(body.contains(&format!("nonce=\"{nonce}\"")) && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe-inline' ") || policy.contains("style-src-attr 'unsafe-inline'"), "{policy}");
    for (path, status) in
        [("/api/v1/nothing", 401), ("/pkg/nothing.js", 404), ("/pkg/../../Cargo.toml", 303), ("/docs", 200), ("/api/x", 404)]
    {
        let answer = server.http.get(server.url(path)).send().await.unwrap();
        let got = answer.status().as_u16();
        assert!(got == status || (status == 401 && got == 404) || (status == 303 && got == 404), "{path}: {got}");
    }
    server.stop().await;
}
