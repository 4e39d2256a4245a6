//! Roots kept elsewhere, with the tools that people have: an own root made by openssl, the command line on a machine that has nothing but a file, REST and
//! the pages that guide (P-11, K-1, K-5, R-7, R-9, R-10).

use crate::{
    journey::enrolment_token,
    stock::Stock,
    support::{TestServer, fleetward},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use std::path::Path;
use wire::{pki::common_name, roots::RootKey, states::Role};

/// REST in an admin's name.
struct Admin<'a> {
    server: &'a TestServer,
    token: String,
}

impl Admin<'_> {
    async fn call(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let url = self.server.url(&format!("/api/v1{path}"));
        let answer = self.server.http.request(method, url).bearer_auth(&self.token).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(reqwest::Method::POST, path, &body).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }
    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(reqwest::Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }
}

/// The profile as the manual has it.
fn profile() -> String {
    let manual = include_str!("../../app/docs/roots.md");
    let (_, rest) = manual.split_once("profile.cnf <<'END'\n").unwrap();
    rest.split_once("END\n").unwrap().0.to_owned()
}

/// An operator's root in `own.pem`, its key beside it, and the manual's profile of what it signs.
pub async fn own_root(stock: &Stock, newkey: &[&str]) {
    let root = [
        "req",
        "-x509",
        "-nodes",
        "-days",
        "3650",
        "-sha256",
        "-subj",
        "/C=DE/O=Acme/CN=Acme Root 2026",
        "-keyout",
        "own.key",
        "-out",
        "own.pem",
    ];
    let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    stock.openssl(&[&root[..], newkey, &usage].concat()).await;
    stock.write("profile.cnf", profile());
}

/// What that root makes of a request, in `{purpose}-ca.pem`.
pub async fn signed(stock: &Stock, purpose: &str, csr: &str) -> String {
    let out = format!("{purpose}-ca.pem");
    let sign = ["x509", "-req", "-in", csr, "-CA", "own.pem", "-CAkey", "own.key", "-CAcreateserial", "-days", "1825", "-sha256"];
    stock.openssl(&[&sign[..], &["-extfile", "profile.cnf", "-extensions", purpose, "-out", &out]].concat()).await;
    stock.read(&out)
}

/// an operator's root that openssl made, over requests that openssl signs, to a device that connects.
#[rstest]
#[case::sqlite_ec(EngineKind::Sqlite, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])]
#[case::postgres_rsa(EngineKind::Postgres, &["-newkey", "rsa:3072"])]
#[tokio::test(flavor = "multi_thread")]
async fn r10_an_own_root_by_openssl_takes_over_and_its_devices_connect(#[case] kind: EngineKind, #[case] newkey: &[&str]) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let admin = Admin { server: &server, token: server.token("ada", Role::Admin).await };
    own_root(&stock, newkey).await;
    for purpose in ["device", "server"] {
        let made = admin.post("/authority-csrs", json!({ "kind": purpose, "own_root": true })).await;
        stock.write("ca.csr", made["csr"].as_str().unwrap());
        let certificate = signed(&stock, purpose, "ca.csr").await;
        let text = format!("{certificate}{}", if purpose == "device" { stock.read("own.pem") } else { String::new() });
        let imported = admin.post("/authorities/import", json!({ "certificates": text })).await;
        assert_eq!(
            (imported["authority"]["state"].as_str(), imported["root"].is_null()),
            (Some("staged"), purpose == "server"),
            "{imported}"
        );
    }
    assert!(admin.get("/authority-csrs").await["items"].as_array().unwrap().is_empty());
    let own = authority_in(&admin, "root", "staged").await;
    assert_eq!((own["key"].as_str(), own["imported"].as_bool()), (Some("offline"), Some(true)));
    let bundle = admin.get("/trust-bundle").await;
    assert_eq!((bundle["roots"].as_array().unwrap().len(), bundle["cross"].as_array().unwrap().len()), (2, 1));
    // What the root before signed for it leads there.
    stock.write("cross.pem", bundle["cross"][0].as_str().unwrap());
    let middle = [stock.read("cross.pem"), stock.read("device-ca.pem")].concat();
    stock.write("middle.pem", middle);

    let old = stock.read("root.pem");
    admin.post(&format!("/authorities/{}/activate", own["id"].as_str().unwrap()), json!({ "force": true })).await;
    let secret = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    // A client that believes in the own root alone, and one that has the old one.
    for pin in [stock.read("own.pem"), old] {
        stock.write("root.pem", pin);
        let issued = stock.est("simpleenroll", &secret, "gw-1.b64", &[]).await;
        assert_eq!(issued.status, 200, "{issued:?}");
        assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1);
        let reply = stock.device("/device/v1/update", &["--cert", "leaf.pem", "--key", "gw-1.key"]).await;
        assert_eq!(reply.status / 100, 2, "{reply:?}");
    }
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-no-CAfile", "-no-CApath"];
    stock.openssl(&[&verify[..], &["-CAfile", "own.pem", "-untrusted", "device-ca.pem", "leaf.pem"]].concat()).await;
    stock.openssl(&[&verify[..], &["-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem"]].concat()).await;
    server.stop().await;
}

/// the lines of the manual, on the server: what an import says leads on, and is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn r9_an_import_says_what_can_be_activated() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let (here, data) = (stock.file(""), server.data().display().to_string());
    let on = async |words: &[&str]| must(&here, &[words, &["--data", &data]].concat()).await;
    own_root(&stock, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).await;
    for purpose in ["device", "server"] {
        let csr = format!("{purpose}.csr");
        on(&["ca", "csr", "--kind", purpose, "--own-root", "--out", &csr]).await;
        signed(&stock, purpose, &csr).await;
    }
    stock.write("device-and-root.pem", [stock.read("device-ca.pem"), stock.read("own.pem")].concat());
    let said = on(&["ca", "import", "device-and-root.pem"]).await;
    assert!(said.contains("import the other one first") && !said.contains("ca activate"), "{said}");
    let said = on(&["ca", "import", "server-ca.pem"]).await;
    let (_, line) = said.split_once("fleetward ").unwrap_or_else(|| panic!("no line in {said}"));
    let words: Vec<&str> = line.split_whitespace().chain(["--force"]).collect();
    assert!(on(&words).await.contains("issues now"));
    let own = on(&["ca", "show", words[2]]).await;
    assert!(own.contains("CN=Acme Root 2026") && own.contains("state        active"), "{own}");
    server.stop().await;
}

/// P-1: a root made here with a P-384 key, by openssl and by clients that pin it.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_openssl_follows_a_chain_to_a_p384_root(#[case] kind: EngineKind) {
    let server = TestServer::start_with(kind, |config| Config { root_key: RootKey::P384, ..config }).await;
    let stock = Stock::of(&server);
    let admin = Admin { server: &server, token: server.token("ada", Role::Admin).await };
    let secret = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &secret, "gw-1.b64", &[]).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1);
    let reply = stock.device("/device/v1/update", &["--cert", "leaf.pem", "--key", "gw-1.key"]).await;
    assert_eq!(reply.status / 100, 2, "{reply:?}");
    stock.write("device-ca.pem", authority_in(&admin, "device", "active").await["pem"].as_str().unwrap());
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-no-CAfile", "-no-CApath", "-CAfile", "root.pem"];
    stock.openssl(&[&verify[..], &["-untrusted", "device-ca.pem", "leaf.pem"]].concat()).await;

    // The root that follows it, over what each of the two signs for the other.
    admin.post("/authorities", json!({ "kind": "root" })).await;
    let bundle = admin.get("/trust-bundle").await;
    let all = |list: &str| bundle[list].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap()).collect::<String>();
    let (roots, crosses) = (bundle["roots"].as_array().unwrap(), all("cross"));
    assert_eq!((roots.len(), bundle["cross"].as_array().unwrap().len()), (2, 2));
    let next = roots.iter().filter_map(Value::as_str).find(|root| root.trim() != stock.read("root.pem").trim()).unwrap();
    stock.write("next.pem", next);
    stock.write("middle.pem", format!("{crosses}{}", stock.read("device-ca.pem")));
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-no-CAfile", "-no-CApath", "-CAfile", "next.pem"];
    stock.openssl(&[&verify[..], &["-untrusted", "middle.pem", "leaf.pem"]].concat()).await;
    server.stop().await;
}

async fn must(folder: &Path, words: &[&str]) -> String {
    let (well, said, why) = fleetward(folder, words).await;
    assert!(well, "{words:?}: {why}");
    said
}

async fn refused(folder: &Path, words: &[&str]) -> String {
    let (well, _, why) = fleetward(folder, words).await;
    assert!(!well, "{words:?} must be refused");
    why
}

/// P-11, K-1, K-5, R-7 by the lines of the manual: beside a server that runs, and on a machine that has the file and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn k5_the_root_leaves_and_signs_where_it_is_kept() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let admin = Admin { server: &server, token: server.token("ada", Role::Admin).await };
    let (here, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, away) = (here.path(), away.path());
    let data = server.data().display().to_string();
    let beside = |words: &[&str]| [words, &["--data", &data]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let on = async |words: &[&str]| {
        let all = beside(words);
        must(here, &all.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let not_on = async |words: &[&str]| {
        let all = beside(words);
        refused(here, &all.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    assert_eq!(admin.get("/root-duties").await["items"][0]["task"], "export");
    assert!(on(&["ca", "list"]).await.contains("fleetward ca root export"));
    std::fs::write(here.join("words"), "correct horse battery\n").unwrap();
    std::fs::write(here.join("wrong"), "wrong horse battery\n").unwrap();
    // What will need the file is said before, and what can be done before as well.
    let said = on(&["ca", "root", "export", "--passphrase-file", "words", "--out", "root.age"]).await;
    assert!(said.contains("this needs the root's file:") && said.contains("now:  fleetward ca stage --kind claim"), "{said}");
    let claims = on(&["ca", "stage", "--kind", "claim"]).await;
    assert_eq!(on(&["ca", "stage", "--for", "claim"]).await, claims, "there is one already");
    assert!(not_on(&["ca", "root", "export", "--passphrase-file", "words", "--out", "root.age"]).await.contains("never overwritten"));
    let offline = ["ca", "root", "offline", "--file", "root.age", "--passphrase-file"];
    assert!(not_on(&[&offline[..], &["wrong"]].concat()).await.contains("does not open"));
    // Where the file is kept: only opening it tells what removes the key here.
    for file in ["root.age", "words", "wrong"] {
        std::fs::copy(here.join(file), away.join(file)).unwrap();
    }
    let check = ["ca", "root", "check", "--root", "root.age"];
    assert!(refused(away, &check).await.contains("locked"));
    assert!(refused(away, &[&check[..], &["--passphrase-file", "wrong"]].concat()).await.contains("does not open"));
    let said = must(away, &[&check[..], &["--passphrase-file", "words"]].concat()).await;
    let proof = said.lines().find_map(|line| line.strip_prefix("proof  ")).unwrap().to_owned();
    assert!(not_on(&["ca", "root", "offline", "--proof", &"0".repeat(64)]).await.contains("not the root's file"));
    assert_eq!(authority_in(&admin, "root", "active").await["key"], "here");
    let said = on(&["ca", "root", "offline", "--proof", &proof]).await;
    let gone = said.find("is not on this server any more").unwrap();
    let list = said.find("list of revoked certificates, every 30 days").unwrap();
    assert!(list < gone && !said.contains("ca stage --kind claim"), "{said}");
    assert!(not_on(&[&offline[..], &["words"]].concat()).await.contains("not on this server"));
    let root = authority_until(&admin, "root", "offline").await;
    assert!(admin.get("/root-duties").await["items"].as_array().unwrap().is_empty());
    let (status, answer) = admin.call(reqwest::Method::POST, "/authorities", &json!({ "kind": "device" })).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("root_offline")), "{answer}");
    let (status, answer) = admin.call(reqwest::Method::POST, "/authorities", &json!({ "kind": "claim" })).await;
    assert_eq!((status, answer["id"].as_str()), (200, Some(claims.trim())), "none was made: {answer}");
    let claim = json!({ "label": "line 3", "pattern": "gw-*", "max_uses": 1, "hours": 1 });
    let (status, answer) = admin.call(reqwest::Method::POST, "/claims", &claim).await;
    assert_eq!(status, 201, "the first claim needs no ceremony: {answer}");

    // The next authority: asked for here, signed there.
    let said = on(&["ca", "csr", "--kind", "device", "--out", "ca.csr"]).await;
    let hash = admin.get("/authority-csrs").await["items"][0]["public_key_sha256"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("--key-sha256 {hash} ")) && on(&["ca", "csrs"]).await.contains(&hash), "{said}");
    std::fs::copy(here.join("ca.csr"), away.join("ca.csr")).unwrap();
    let key = ["--root", "root.age", "--passphrase-file", "words"];
    let issue = ["ca", "issue-intermediate", "--csr", "ca.csr", "--out"];
    let another = "0".repeat(64);
    let swapped = refused(away, &[&issue[..], &["x.pem", "--key-sha256", &another], &key[..]].concat()).await;
    assert!(swapped.contains(&hash) && swapped.contains("another key") && !away.join("x.pem").exists(), "{swapped}");
    let said = must(away, &[&issue[..], &["unsaid.pem"], &key[..]].concat()).await;
    assert!(said.contains("COMPARE IT") && said.contains(&hash), "{said}");
    let said = must(away, &[&issue[..], &["ca.pem", "--key-sha256", &hash], &key[..]].concat()).await;
    assert!(said.contains("Fleetward Device CA G1-2") && said.contains("pathlen 0") && said.contains(&hash), "{said}");
    assert!(!said.contains("COMPARE IT"), "{said}");
    assert!(
        refused(away, &["ca", "issue-intermediate", "--csr", "words", "--out", "x.pem", "--root", "root.age"]).await.contains("locked")
    );
    assert!(!away.join("data").exists(), "it needs no data folder");
    std::fs::copy(away.join("ca.pem"), here.join("ca.pem")).unwrap();
    assert!(on(&["ca", "import", "ca.pem"]).await.contains("is staged"));
    assert!(not_on(&["ca", "import", "words"]).await.contains("no certificate"));
    // Authorities go by their names as well.
    let named = |authority: &Value| common_name(authority["subject"].as_str().unwrap()).to_owned();
    let staged = authority_in(&admin, "device", "staged").await;
    let said = on(&["ca", "activate", &named(&staged)]).await;
    assert!(said.contains(&format!("{} issues now", staged["id"].as_str().unwrap())), "{said}");
    for step in ["activate", "retire", "compromise", "clear-alarm", "thaw-tokens", "recover-devices"] {
        assert!(not_on(&["ca", step, "Nobody's"]).await.contains("there is no authority Nobody's"), "{step}");
    }

    // The old one is given up; the list that says so is signed there.
    let old = authority_in(&admin, "device", "retiring").await;
    let (id, name) = (old["id"].as_str().unwrap(), named(&old));
    assert!(on(&["ca", "clear-alarm", &name]).await.contains(&format!("{id} has no alarm any more.")));
    let (well, said, _) = fleetward(here, &["ca", "retire", &name, "--force", "--data", &data]).await;
    assert!(!well && said.contains(&format!("{name} would be retired")), "{said}");
    assert!(on(&["ca", "compromise", &name, "--yes"]).await.contains("ca crl request"));
    let frozen = not_on(&["ca", "thaw-tokens", &name]).await;
    assert!(frozen.contains(&format!("No enrolment tokens and claims are frozen with {id}")), "it did not issue any more: {frozen}");
    let said = on(&["ca", "recover-devices", &name, "--days", "7"]).await;
    assert!(said.contains("devices may come back by their keys for 7 days"), "{said}");
    let id = root["id"].as_str().unwrap();
    on(&["ca", "crl", "request", id, "--out", "request.json"]).await;
    std::fs::copy(here.join("request.json"), away.join("request.json")).unwrap();
    must(away, &[&["ca", "root", "crl", "--request", "request.json", "--out", "root.crl"], &key[..]].concat()).await;
    std::fs::copy(away.join("root.crl"), here.join("root.crl")).unwrap();
    on(&["ca", "crl", "import", id, "--file", "root.crl"]).await;
    assert!(not_on(&["ca", "crl", "import", id, "--file", "root.crl"]).await.contains("numbers only grow"));
    let shown = on(&["ca", "show", id]).await;
    assert!(shown.contains("key offline") && shown.contains("list "), "{shown}");
    server.stop().await;
}

/// The authority of this kind once the server has heard that its key is there.
async fn authority_until(admin: &Admin<'_>, kind: &str, key: &str) -> Value {
    for _ in 0..200 {
        let all = admin.get("/authorities").await;
        if let Some(found) = all["items"].as_array().unwrap().iter().find(|a| a["kind"] == kind && a["key"] == key) {
            return found.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no {kind} whose key is {key}")
}

/// The authority of this kind once the server has heard that it is in this state.
async fn authority_in(admin: &Admin<'_>, kind: &str, state: &str) -> Value {
    for _ in 0..200 {
        let all = admin.get("/authorities").await;
        if let Some(found) = all["items"].as_array().unwrap().iter().find(|a| a["kind"] == kind && a["state"] == state) {
            return found.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no {kind} that is {state}")
}

/// The pages without JavaScript: the banner, the request, a refusal in words, and the course of an authority that was given up.
#[tokio::test(flavor = "multi_thread")]
async fn p11_the_console_reminds_and_guides() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let (ada, vic) = (server.browser("ada", Role::Admin).await, server.browser("vic", Role::Viewer).await);
    let page = async |browser: &reqwest::Client, path: &str| browser.get(server.url(path)).send().await.unwrap().text().await.unwrap();
    let still_here = "private key is still on this server";
    assert!(page(&ada, "/").await.contains(still_here) && !page(&vic, "/").await.contains(still_here));
    assert!(page(&ada, "/certificates/authorities").await.contains("fleetward ca root export"));
    let elsewhere = "/certificates/authorities/elsewhere";
    assert!(page(&vic, elsewhere).await.contains("Only an admin"));
    let asked = server.post_form(&ada, "/rpc/authority_request", &[("kind", "device"), ("own_root", "true")]).await;
    assert!(asked.status().is_redirection(), "{}", asked.status());
    let shown = page(&ada, elsewhere).await;
    assert!(shown.contains("Fleetward Device CA G2-2") && shown.contains("BEGIN CERTIFICATE REQUEST"), "the request is there");
    let refused = server.post_form(&ada, "/rpc/authority_import", &[("certificates", "junk")]).await;
    let (_, query) = refused.headers()["location"].to_str().unwrap().split_once('?').unwrap();
    let told = page(&ada, &format!("{elsewhere}?{query}")).await;
    assert!(told.contains("no certificate in PEM"), "the refusal stands at its form");
    server.post_form(&vic, "/rpc/authority_request", &[("kind", "server")]).await;
    assert!(!page(&ada, elsewhere).await.contains("Server CA G1-2"), "admins only");

    let system = server.system();
    let pki = server.running.fleet.pki();
    let device = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let path = format!("/certificates/authorities/{device}");
    assert!(page(&ada, &path).await.contains("Retiring"), "a line of stations");
    pki.compromise_authority(&system, &device).await.unwrap();
    let given_up = page(&ada, &path).await;
    for (word, there) in
        [("Given up", true), ("Cut off", true), ("Listed", true), ("To be followed", true), ("Retiring", false), ("Staged", false)]
    {
        assert_eq!(given_up.contains(word), there, "{word}");
    }
    server.stop().await;
}
