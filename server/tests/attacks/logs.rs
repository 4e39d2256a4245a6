//! no secret gets into the log. The process that people run logs all that it can while every listener is used with every kind of secret, right ones
//! and wrong ones; then its log is looked through for each of them, in every shape in which it could stand there.

use crate::{
    journey::enrolment_token,
    stock::Stock,
    support::{PASSWORD, TestServer, encode, eventually},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use fleet::db::EngineKind;
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use server::config::Config;
use std::{fs::File, process::Stdio, time::Duration};
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use wire::{enrolment::NewClaim, states::Role};

const PATIENCE: Duration = Duration::from_mins(1);

/// What must not be found, each with a word for the failure: the secret itself would be in the output of this test.
#[derive(Default)]
struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 12, "{what} is too short to be looked for");
        self.0.push((what, secret.as_ref().to_vec()));
    }

    /// The same as a text of its own that is nobody's.
    fn marker(&mut self, what: &'static str) -> String {
        let text = format!("marker{:032x}", u128::from_be_bytes(digits(what)));
        self.add(what, &text);
        text
    }

    /// The lines between the armour of a private key.
    fn key(&mut self, what: &'static str, pem: &str) {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        self.add(what, &body[body.len() / 2..]);
    }

    fn found_in(&self, log: &str) -> Vec<&'static str> {
        self.0.iter().filter(|(_, secret)| shapes(secret).iter().any(|shape| log.contains(shape))).map(|(what, _)| *what).collect()
    }
}

/// Sixteen octets that belong to this word.
fn digits(what: &str) -> [u8; 16] {
    let digest = fleet::pki::csr::sha256(what.as_bytes());
    std::array::from_fn(|at| digest[at])
}

/// How octets can stand in a log: as they are, escaped for an address, in base64 at any offset, in hex, and as a list of numbers.
fn shapes(secret: &[u8]) -> Vec<String> {
    let mut all = vec![hex::encode(secret), hex::encode_upper(secret)];
    if let Ok(text) = std::str::from_utf8(secret) {
        all.extend([text.to_owned(), encode(text), text.replace(' ', "+")]);
    }
    for before in 0..3 {
        // What stands before and after it changes the digits at its ends.
        let padded = STANDARD_NO_PAD.encode([&vec![0; before][..], secret].concat());
        let (from, to) = ([0, 2, 3][before], padded.len() - 2);
        all.push(padded[from..to].to_owned());
    }
    all.push(secret.iter().take(12).map(u8::to_string).collect::<Vec<_>>().join(", "));
    all
}

/// Words that look like a secret of ours, whosever it is: bearers, access tokens, private keys.
fn looks_like_one(log: &str) -> Vec<&str> {
    let bearer = |word: &str| {
        let mut parts = word.splitn(3, '_');
        matches!(parts.next(), Some("fat" | "fet" | "fgt" | "ftt")) && parts.nth(1).is_some_and(|secret| secret.len() >= 43)
    };
    let token = |word: &str| word.starts_with("eyJ") && word.split('.').count() == 3;
    let mark = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.');
    log.lines().filter(|line| line.contains("PRIVATE KEY") || line.split(mark).any(|word| bearer(word) || token(word))).collect()
}

/// The server as it is run, with its log.
struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    async fn start(config: &Config, log: std::path::PathBuf) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_fleetward"));
        serve.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap()).kill_on_drop(true);
        serve.env("FLEETWARD_DATA", &config.data).env("FLEETWARD_LOG", "trace").env("FLEETWARD_ALLOW_SERVER_KEYGEN", "true");
        let addresses = [
            ("OPERATOR", config.operator_addr),
            ("DEVICE", config.device_addr),
            ("ENROL", config.enrol_addr),
            ("PUBLISH", config.publish_addr),
            ("OPS", config.ops_addr),
        ];
        for (listener, address) in addresses {
            serve.env(format!("FLEETWARD_{listener}_ADDR"), address.to_string());
        }
        let process = Self { child: serve.spawn().unwrap(), log };
        let ready = format!("http://{}/readyz", config.ops_addr);
        eventually("the process is ready", PATIENCE, || async { reqwest::get(&ready).await.is_ok_and(|a| a.status().is_success()) }).await;
        process
    }

    /// Stops it; what it has said in its life.
    async fn log(mut self) -> String {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        assert!(timeout(PATIENCE, self.child.wait()).await.expect("the process ends").unwrap().success());
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

/// The operator listener: passwords, cookies, codes and bearers; and the secrets that REST gives out. Gives a token for enrolment, a gateway's and a device's.
async fn people(config: &Config, (email, admin): (&str, &str), secrets: &mut Secrets) -> [String; 3] {
    let browser = Client::builder().redirect(Policy::none()).cookie_store(true).timeout(PATIENCE).build().unwrap();
    let url = |path: &str| format!("http://{}{path}", config.operator_addr);
    let form = async |path: &str, fields: &[(&str, &str)]| {
        let body = fields.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&");
        let post = browser.post(url(path)).header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
        post.header("sec-fetch-site", "same-origin").header("referer", url("/sign-in")).body(body).send().await.unwrap()
    };
    let wrong = secrets.marker("a wrong password");
    form("/rpc/session/sign_in", &[("email", email), ("password", &wrong), ("next", "/")]).await;
    let signed_in = form("/rpc/session/sign_in", &[("email", email), ("password", PASSWORD), ("next", "/")]).await;
    for cookie in signed_in.headers().get_all("set-cookie") {
        let value = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap().1;
        secrets.add("a session's cookie", value);
    }
    assert_eq!(browser.get(url("/devices")).send().await.unwrap().status(), 200);
    let socket = browser.get(url("/live")).header("upgrade", "websocket").header("connection", "upgrade");
    let socket = socket.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    socket.header("origin", url("")).send().await.unwrap();
    let code = secrets.marker("a guessed set-up code");
    let first = secrets.marker("the first admin's password");
    form("/rpc/session/set_up", &[("code", &code), ("email", "x@example.com"), ("name", "x"), ("password", &first)]).await;
    let new = secrets.marker("a new person's password");
    let made = form("/rpc/user_new", &[("name", "uma"), ("email", "uma@example.com"), ("role", "viewer"), ("password", &new)]).await;
    assert!(made.status().is_redirection(), "{}", made.status());
    let changed = secrets.marker("a changed password");
    form("/rpc/session/change_password", &[("old", PASSWORD), ("new", &changed)]).await;
    assert!(browser.get(url("/session/refresh?next=/devices")).send().await.unwrap().status().is_redirection());

    let script = Client::builder().timeout(PATIENCE).build().unwrap();
    let api = async |method: Method, path: &str, body: Value| -> Value {
        let sent: RequestBuilder = script.request(method, url(&format!("/api/v1{path}"))).bearer_auth(admin);
        let answer = sent.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    };
    let guessed = format!("fat_{}_{}", "0".repeat(32), secrets.marker("a guessed bearer"));
    assert_eq!(script.get(url("/api/v1/devices")).bearer_auth(&guessed).send().await.unwrap().status(), 401);
    api(Method::PUT, "/shared-secret-settings", json!({ "tokens": true, "newcomers": true })).await;
    let mut made = Vec::new();
    for (what, path, body) in [
        ("an enrolment token", "/enrolment-tokens", json!({ "label": "spare", "max_uses": 20, "hours": 1 })),
        ("a gateway's token", "/gateway-tokens", json!({ "label": "Hall 3", "device_type": "gateway" })),
        ("a device's token", "/devices/gw-8/target-token", json!({ "device_type": "gateway" })),
    ] {
        let secret = api(Method::POST, path, body).await["secret"].as_str().unwrap().to_owned();
        secrets.add(what, &secret[secret.len() - 43..]);
        made.push(secret);
    }
    made.try_into().unwrap()
}

/// The enrol and the device listener: every way in, right and wrong.
async fn devices(stock: &Stock, [token, gateway, target]: [String; 3], secrets: &mut Secrets) {
    for name in ["gw-1", "gw-2", "gw-3", "gw-4"] {
        stock.request(name, &format!("/CN={name}")).await;
        secrets.key("a device's key", &stock.read(&format!("{name}.key")));
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}-----END CERTIFICATE REQUEST-----\n", stock.read(&format!("{name}.b64")));
        stock.write(&format!("{name}.json"), json!({ "csr": pem, "device_id": name }).to_string());
    }
    let json = ["-H", "Content-Type: application/json", "--data-binary"];
    let bearer = |secret: &str| format!("Authorization: Bearer {secret}");
    let guessed = format!("fet_{}_{}", "0".repeat(32), secrets.marker("a guessed enrolment token"));
    for (secret, status) in [(&token, 201), (&guessed, 401)] {
        let reply = stock.enrol("/device/v1/enrol", &[&json[..], &["@gw-1.json", "-H", &bearer(secret)]].concat()).await;
        assert_eq!(reply.status, status, "{}", reply.head);
    }
    let issued = stock.est("simpleenroll", &token, "gw-2.b64", &[]).await;
    assert_eq!(stock.unpack(&issued, "gw-2.pem").await, 1);
    let password = secrets.marker("a password of EST");
    assert_eq!(stock.est("simpleenroll", &password, "gw-3.b64", &[]).await.status, 401);
    let made = stock.est("serverkeygen", &token, "gw-3.b64", &[]).await;
    assert_eq!(made.status, 200, "{made:?}");
    let key = made.text().split("\r\n\r\n").nth(1).unwrap().lines().take(2).collect::<String>();
    secrets.add("a key that was made here", &key[20..]);
    let by_claim = [&json[..], &["@gw-4.json", "--cert", "claim.pem", "--key", "claim.key"]].concat();
    assert_eq!(stock.enrol("/device/v1/enrol", &by_claim).await.status, 201);

    for (name, authorization) in [("gw-9", format!("GatewayToken {gateway}")), ("gw-8", format!("TargetToken {target}"))] {
        let header = format!("Authorization: {authorization}");
        let reply = stock.enrol(&format!("/DEFAULT/controller/v1/{name}"), &["-H", &header]).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.head);
        let wrong = format!("Authorization: {} {}", authorization.split(' ').next().unwrap(), secrets.marker("a guessed shared secret"));
        stock.enrol(&format!("/DEFAULT/controller/v1/{name}"), &["-H", &wrong]).await;
    }
    let header = format!("Authorization: Digest {}", secrets.marker("a header on the enrol listener"));
    stock.enrol("/.well-known/est/cacerts", &["-H", &header]).await;

    let own = ["--cert", "gw-2.pem", "--key", "gw-2.key"];
    let header = bearer(&secrets.marker("a header on the device listener"));
    let cookie = format!("Cookie: fw_access={}", secrets.marker("a cookie on the device listener"));
    for path in ["/device/v1/trust-bundle", "/default/controller/v1/gw-2", "/nowhere"] {
        stock.device(path, &[&own[..], &["-H", &header, "-H", &cookie]].concat()).await;
    }
    stock.write("renew.json", json!({ "csr": fleet::testing::csr("gw-2") }).to_string());
    let renewal = stock.device("/device/v1/renew", &[&own[..], &json, &["@renew.json"]].concat()).await;
    assert_eq!(renewal.status, 201, "{renewal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_45_no_secret_of_a_whole_run_is_in_its_log() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let mut secrets = Secrets::default();
    secrets.add("a password", PASSWORD);
    let (email, admin) = (server.person("ada", Role::Admin).await, server.token("eve", Role::Admin).await);
    secrets.add("an API token", &admin[admin.len() - 43..]);
    let spent = enrolment_token(&server, "gw-7", "gateway", 1).await.secret;
    secrets.add("another enrolment token", &spent[spent.len() - 43..]);
    let new = NewClaim {
        label: "image".into(),
        pattern: String::new(),
        device_type: "gateway".into(),
        tags: Vec::new(),
        groups: Vec::new(),
        profile: String::new(),
        trusted_user: false,
        max_uses: 5,
        hours: 1,
        per_minute: 5,
        csr: String::new(),
    };
    let claim = server.running.fleet.devices().create_claim(&server.system(), new).await.unwrap();
    secrets.key("a claim's key", &claim.key);
    stock.write("claim.pem", &claim.certificate);
    stock.write("claim.key", &claim.key);
    let (config, folder) = server.stop_to_go_on().await;
    secrets.add("the key-encryption key", std::fs::read(config.data.join("kek")).unwrap());

    let process = Process::start(&config, folder.path().join("log")).await;
    let made = people(&config, (&email, &admin), &mut secrets).await;
    devices(&stock, made, &mut secrets).await;
    let plain = Client::new();
    for (at, path) in [(config.publish_addr, "/crl/x.crl"), (config.publish_addr, "/ocsp"), (config.ops_addr, "/metrics")] {
        let header = secrets.marker("a header on the plain listeners");
        plain.get(format!("http://{at}{path}")).bearer_auth(&header).header("cookie", format!("a={header}")).send().await.unwrap();
    }
    let log = process.log().await;

    assert!(log.contains("TRACE") && log.contains("enrolment refused"), "it has logged all that it could");
    assert_eq!(secrets.found_in(&log), [""; 0], "secrets in {} lines", log.lines().count());
    assert_eq!(looks_like_one(&log).len(), 0);
    // And any of them would have been found, whatever it looked like.
    for (what, secret) in &secrets.0 {
        for shape in shapes(secret) {
            let log = format!("{log}\nDEBUG header=\"{shape}\"\n");
            assert!(secrets.found_in(&log).contains(what), "{what}");
        }
    }
    for secret in [spent.as_str(), admin.as_str(), claim.key.as_str(), "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln"] {
        assert_ne!(looks_like_one(&format!("{log}\nDEBUG header=\"{secret}\"\n")).len(), 0);
    }
}
