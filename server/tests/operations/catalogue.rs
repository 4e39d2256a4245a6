//! The document of the operations against what is tried: each is written down in a test, takes nobody without credentials, lets a viewer change nothing,
//! and says what is wrong with a body.

use super::{
    Desk, Reply, Script,
    written::{Request, meant, requests},
};
use fleet::db::EngineKind;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Where no request of a test is found; none may stay here.
const UNTRIED: [(&str, &str); 0] = [];

/// Every operation of the document, as the server has it, with what it says of each.
async fn operations(script: &Script) -> BTreeMap<Request, Value> {
    let document = script.get("/openapi.json").await.ok().clone();
    let mut all = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters");
        all.extend(methods.map(|(method, about)| ((method.to_uppercase(), path.clone()), about.clone())));
    }
    all
}

/// The path with nothing that is there in the place of each of its names.
fn filled(template: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "nonsense".to_owned() } else { part.to_owned() };
    template.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The source of each module of these tests, what is below it with it.
fn sources(folder: &Path, module: Option<&str>, into: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let module = module.unwrap_or(name);
        if path.is_dir() {
            sources(&path, Some(module), into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.entry(module.to_owned()).or_default().push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// How it is found, and what it can't see, is said in `written.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_tried_over_sockets() {
    let desk = Desk::open(EngineKind::Sqlite).await;
    let all: Vec<Request> = operations(&desk.admin).await.into_keys().collect();
    assert!(all.len() > 100, "the document was read: {all:?}");
    let mut modules = BTreeMap::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), None, &mut modules);
    let written: Vec<Request> = modules.values().flat_map(|source| requests(source)).collect();
    let tried: BTreeSet<&Request> = written.iter().filter_map(|request| meant(&all, request)).collect();
    let untried: Vec<(&str, &str)> = all.iter().filter(|one| !tried.contains(one)).map(|(m, p)| (m.as_str(), p.as_str())).collect();
    assert_eq!(untried, UNTRIED, "write a test over real sockets for each");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_and_a_viewer_changes_nothing(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    for (method, template) in operations(&desk.admin).await.into_keys() {
        let (what, path) = (format!("{method} {template}"), filled(&template));
        let verb: Method = method.parse().unwrap();
        let bare = desk.viewer.http.request(verb.clone(), format!("{}{path}", desk.viewer.base)).json(&json!({}));
        let nobody = Reply::to(bare).await;
        assert_eq!(nobody.code(), (401, "no_credentials"), "{what}");
        let seen = Reply::to(desk.viewer.request(verb.clone(), &path).json(&json!({}))).await;
        assert!(seen.status < 500, "{what}: {} {}", seen.status, seen.body);
        assert!(verb == Method::GET || (400..500).contains(&seen.status), "{what}: {} {}", seen.status, seen.body);
        if seen.status >= 400 {
            seen.code();
        }
    }
    let log = desk.admin.get("/audit?actor=vic").await;
    assert_eq!(log.ok()["items"], json!([]), "nothing was done in the viewer's name");
    desk.stop().await;
}

/// A field that nobody knows is refused by name, so that a slip of the pen never means "left out".
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_wrong_is_refused_in_words() {
    let desk = Desk::open(EngineKind::Sqlite).await;
    for ((method, template), about) in operations(&desk.admin).await {
        if about["requestBody"]["content"]["application/json"].is_null() {
            continue;
        }
        let (what, path) = (format!("{method} {template}"), filled(&template));
        let verb: Method = method.parse().unwrap();
        for body in [json!([]), json!("nonsense"), json!({ "nonsense": true })] {
            let refused = Reply::to(desk.admin.request(verb.clone(), &path).json(&body)).await;
            let (status, code) = refused.code();
            assert!((400..500).contains(&status), "{what} {body}: {status} {}", refused.body);
            let said = refused.body["detail"].as_str().unwrap();
            let by_name = code != "bad_json" || !body.is_object() || said.contains("nonsense");
            assert!(by_name, "{what}: it is not said which field nobody knows: {said}");
        }
    }
    let log = desk.admin.get("/audit?actor=ada").await;
    assert_eq!(log.ok()["items"], json!([]), "nothing was done");
    desk.stop().await;
}
