//! A-30 between organizations: whatever stands in a path of another one's, nothing of it is told and nothing of it changes. By the document of the routes, so
//! that a new one is tried as well.

use super::Script;
use axum::{
    body::Body,
    http::{Method, Request},
};
use fleet::{access::Actor, db::EngineKind};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire::states::Role;

/// Stands in what is ours alone, and in no path.
const MARK: &str = "alphaonly";

impl Script {
    /// One thing of each kind, by the first part of its paths.
    async fn things(&self) -> BTreeMap<&'static str, String> {
        self.world.device("gw-1", "gateway").await;
        let tag = json!({ "q": "", "devices": ["gw-1"], "add": [MARK], "expected": 1 });
        self.post("/devices:tag", &tag).await.ok();
        let key = self.trust().await;
        let release = self.release("1.0.0", 1).await;
        let stages = json!([{ "name": MARK, "reach": { "percent": 100.0 } }]);
        self.post("/rollouts", &json!({ "name": MARK, "release": release, "reason": MARK, "stages": stages })).await.ok();
        let token = self.post("/enrolment-tokens", &json!({ "label": MARK, "max_uses": 1, "hours": 1 })).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let certificates = self.get("/certificates").await;
        let authorities = self.get("/authorities").await;
        let rollouts = self.get("/rollouts").await;
        BTreeMap::from([
            ("devices", "gw-1".to_owned()),
            ("certificates", text(&certificates.ok()["items"][0]["id"])),
            ("authorities", text(&authorities.ok()["items"][0]["id"])),
            ("signing-keys", key),
            ("releases", release),
            ("rollouts", text(&rollouts.ok()["items"][0]["id"])),
            ("enrolment-tokens", text(&token.ok()["token"]["id"])),
            ("uploads", self.upload("left.bin", MARK.as_bytes()).await),
        ])
    }
}

/// The path with this thing in its place, and something for what may stand behind it.
fn filled(path: &str, thing: &str) -> String {
    let part = |(place, part): (usize, &str)| match part {
        _ if place == 2 => thing.to_owned(),
        "{other}" => thing.to_owned(),
        "{verb}" => "pause".to_owned(),
        "{sha256}" => "0".repeat(64),
        "{update_id}" => format!("upd_{}", "0".repeat(32)),
        fixed => fixed.to_owned(),
    };
    path.split('/').enumerate().map(part).collect::<Vec<_>>().join("/")
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_30_no_route_tells_or_changes_anything_of_another_organization(#[case] kind: EngineKind) {
    let ours = Script::new(kind, Role::Admin).await;
    let things = ours.things().await;
    let fleet = &ours.world.fleet;
    let shell = Actor::shell(ours.world.org.clone());
    let acme = fleet.create_organization(&shell, &"acme".parse().unwrap(), "Acme").await.unwrap().id;
    let theirs = Actor::system(acme);
    fleet.access().create_user(&theirs, "eve@acme.example", "eve", Role::Admin, "a long enough password").await.unwrap();
    let secret = fleet.access().create_token_for(&theirs, "eve@acme.example", "script", Role::Admin, 1).await.unwrap().secret;

    let document = ours.get("/openapi.json").await;
    let booked = ours.get("/audit?rows=1").await.ok()["total"].clone();
    let mut tried = 0;
    // Reads first: a write may make them a device of their own by that name.
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for (path, methods) in document.ok()["paths"].as_object().unwrap() {
            let mut parts = path.split('/').skip(1);
            let (Some(kind), Some(place)) = (parts.next(), parts.next()) else { continue };
            let Some(thing) = things.get(kind).filter(|_| place.starts_with('{')) else { continue };
            if methods.get(method.as_str().to_lowercase()).is_none() {
                continue;
            }
            tried += 1;
            let uri = filled(path, thing);
            let request = Request::builder().method(method.clone()).uri(format!("/api/v1{uri}"));
            let request = request.header("authorization", format!("Bearer {secret}")).header("content-type", "application/json");
            let body = if method == Method::GET { Body::empty() } else { Body::from("{}") };
            let reply = ours.send(request.body(body).unwrap()).await;
            assert!(!reply.body.to_string().contains(MARK), "{method} {uri}: {}", reply.body);
            let nothing = reply.status.is_client_error() || reply.body["items"] == json!([]) || reply.body == json!([]);
            assert!(method != Method::GET || nothing, "{uri}: {} {}", reply.status, reply.body);
        }
    }
    assert!(tried >= 40, "only {tried} were tried");
    assert_eq!(ours.get("/audit?rows=1").await.ok()["total"], booked, "nothing of ours was done");
    // And what was asked for is there, for those whose it is.
    for (kind, path) in
        [("devices", "/devices/"), ("releases", "/releases/"), ("rollouts", "/rollouts/"), ("certificates", "/certificates/")]
    {
        ours.get(&format!("{path}{}", things[kind])).await.ok();
    }
}
