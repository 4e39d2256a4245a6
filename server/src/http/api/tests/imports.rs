//! Import of devices: what a script sends, and what the console's form sends.

use super::Script;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;
use wire::states::Role;

const FILE: &str = "device_id,type,tags\ngw-1,gateway,eu\nbad id,gateway,\ngw-2,gateway,\n";

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_file_is_previewed_taken_and_taken_again(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let send = async |query: &str, media: &str, body: &str| {
        let request = s.request(Method::POST, &format!("/devices:import{query}")).header("content-type", media);
        s.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    assert_eq!(send("", "text/plain", FILE).await.code(), (415, "not_csv"));
    assert_eq!(send("?dry=true", "text/csv", FILE).await.code(), (400, "bad_query"));
    let slip = send("", "text/csv", "devise_id\ngw-1\n").await;
    assert_eq!(slip.code(), (400, "import_malformed"));
    assert!(slip.body["detail"].as_str().unwrap().contains("Did you mean device_id?"), "{}", slip.body);
    for no_list in ["{", "{}", "null", r#"{"content":{}}"#] {
        assert_eq!(send("?preview=true", "application/json", no_list).await.code(), (400, "import_malformed"), "{no_list}");
    }

    let looked = send("?preview=true", "text/csv; charset=utf-8", FILE).await;
    let counts = json!({ "new": 2, "unchanged": 0, "differing": 0, "errors": 1 });
    for (name, count) in counts.as_object().unwrap() {
        assert_eq!(&looked.ok()[name], count, "{name}");
    }
    assert_eq!((&looked.body["preview"], &looked.body["problems"][0]["line"]), (&json!(true), &json!(3)));
    assert_eq!(s.get("/devices").await.ok()["total"], 0);
    assert_eq!(send("", "text/csv", FILE).await.ok()["new"], 2);
    assert_eq!(s.get("/devices?q=state:preregistered").await.ok()["total"], 2);
    assert_eq!(send("", "text/csv", FILE).await.ok()["unchanged"], 2);
    let target = json!({ "content": [{ "controllerId": "gw-1", "targetTypeName": "sensor" }] }).to_string();
    let left = send("", "application/hal+json", &target).await;
    assert_eq!((&left.ok()["differing"], &left.body["changes"][0]["device_type"]), (&json!(1), &json!("sensor")));
    assert_eq!(s.get("/devices/gw-1").await.ok()["row"]["device_type"], "gateway");
    assert_eq!(send("?update=true", "application/json", &target).await.ok()["differing"], 1);
    assert_eq!(s.get("/devices/gw-1").await.ok()["row"]["device_type"], "sensor");

    let large = s.request(Method::POST, "/devices:import").header("content-type", "text/csv");
    assert_eq!(s.send(large.body(Body::from(vec![b'x'; 33 << 20])).unwrap()).await.code(), (413, "import_too_large"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_consoles_form_leads_to_the_preview(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let send = async |parts: &str| {
        let body = parts.replace('\n', "\r\n");
        let request =
            Request::builder().method(Method::POST).uri("/enrolment/imports").header("authorization", format!("Bearer {}", s.secret));
        s.send(request.header("content-type", "multipart/form-data; boundary=b").body(Body::from(body)).unwrap()).await
    };
    let file = "--b\nContent-Disposition: form-data; name=\"file\"; filename=\"devices.csv\"\nContent-Type: text/csv\n\ndevice_id,type\ngw-1,gateway\n--b--\n";
    let led = send(&format!("--b\nContent-Disposition: form-data; name=\"update\"\n\ntrue\n{file}")).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER, "{}", led.body);
    let place = &led.headers["location"];
    let id = place.strip_prefix("/enrolment?tab=import&import=").unwrap_or_else(|| panic!("{place}")).parse().unwrap();
    let actor = fleet::access::Actor::system(s.world.org.clone());
    let laid = s.world.fleet.devices().laid_import(&actor, &id).await.unwrap();
    assert_eq!((laid.name.as_str(), laid.outcome.preview, laid.outcome.update, laid.outcome.new), ("devices.csv", true, true, 1));
    assert_eq!(s.get("/devices").await.ok()["total"], 0, "nothing is imported yet");
    let empty =
        send("--b\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\nContent-Type: application/octet-stream\n\n\n--b--\n")
            .await;
    assert_eq!(empty.code(), (400, "no_file"));
    // A person is led back to the form, with the box as it was.
    let slip = format!("--b\nContent-Disposition: form-data; name=\"update\"\n\ntrue\n{}", file.replace("device_id", "devise_id"))
        .replace('\n', "\r\n");
    let request = Request::builder().method(Method::POST).uri("/enrolment/imports").header("authorization", format!("Bearer {}", s.secret));
    let request = request.header("accept", "text/html").header("content-type", "multipart/form-data; boundary=b");
    let led = s.send(request.body(Body::from(slip)).unwrap()).await;
    let place = &led.headers["location"];
    assert_eq!(led.status, StatusCode::SEE_OTHER, "{}", led.body);
    assert!(place.starts_with("/enrolment?tab=import&__path=") && place.contains("&__err=") && place.ends_with("#send-file"), "{place}");
    assert!(place.contains("&__typed=update%3Dtrue&"), "{place}");
}

#[tokio::test]
async fn who_only_looks_imports_nothing() {
    let s = Script::new(EngineKind::Sqlite, Role::Viewer).await;
    let request = s.request(Method::POST, "/devices:import?preview=true").header("content-type", "text/csv");
    assert_eq!(s.send(request.body(Body::from(FILE)).unwrap()).await.code(), (403, "denied"));
    // Nor is what they send listened to: not even that it is no form.
    let request = Request::builder().method(Method::POST).uri("/enrolment/imports").header("authorization", format!("Bearer {}", s.secret));
    let sent = request.header("content-type", "multipart/form-data; boundary=b").body(Body::from("no form")).unwrap();
    assert_eq!(s.send(sent).await.code(), (403, "denied"));
}
