//! What hawkBit's clients demand of every answer, and of words in any form: each of these breaks one of them, and no course of one update shows it.

use super::{Device, Rig};
use fleet::db::EngineKind;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use wire::transfers::TransferLimits;

/// The status of an answer whose length is told before it comes, and is true: Zephyr's client compares it with what it got, and reads no chunks.
async fn measured(request: RequestBuilder) -> u16 {
    let answer = request.send().await.unwrap();
    let (status, what) = (answer.status().as_u16(), format!("{} of {}", answer.status(), answer.url()));
    assert!(answer.headers().get("transfer-encoding").is_none(), "{what} comes in chunks");
    let told = answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    assert_eq!(told, Some(answer.bytes().await.unwrap().len()), "{what}");
    status
}

/// The names of an object's fields, in order.
fn fields(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

impl Device {
    fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// It may say what it is, asked or not, and is asked no more.
    async fn may_describe_itself(&self, when: &str) {
        self.tells(json!({ "site": "hall-3" })).await;
        let links = self.poll().await;
        assert!(links.get("configData").is_none(), "{when}: {links}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_how_long_it_is(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let get = async |url: &str| measured(device.ask(Method::GET, url)).await;
    let says = json!({ "status": { "execution": "proceeding", "result": { "finished": "none" } } });
    let post = async |url: &str, body: &Value| measured(device.ask(Method::POST, &format!("{url}/feedback")).json(body)).await;
    assert_eq!(get(&device.base).await, 200);
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &vec![7; 200_000]).await).await;
    let action = device.link("deploymentBase").await;
    let file = device.file(&action).await;
    let module = file.rsplit_once('/').unwrap().0.to_owned();
    for url in [&device.base, &action, &format!("{action}?actionHistory=-1"), &module, &format!("{file}.MD5SUM")] {
        assert_eq!(get(url).await, 200, "{url}");
    }
    assert_eq!((post(&action, &says).await, post(&action, &json!({})).await), (200, 400));
    // As fast as it goes, and in the governor's pieces.
    for bandwidth in [None, Some(100_000_000)] {
        let limits = TransferLimits { bandwidth, ..TransferLimits::default() };
        rig.server.running.fleet.transfers().set_limits(&rig.server.system(), limits).await.unwrap();
        for (range, status) in [("bytes=0-", 206), ("bytes=100-", 206), ("bytes=10-19", 206), ("bytes=200000-", 416), ("lines=1-", 200)] {
            assert_eq!(measured(device.ask(Method::GET, &file).header("range", range)).await, status, "{range}");
        }
        assert_eq!(get(&file).await, 200);
    }
    assert_eq!(get(&format!("{module}/other.bin")).await, 404);
    let described = device.ask(Method::PUT, &format!("{}/configData", device.base)).json(&json!({ "data": {} }));
    assert_eq!(measured(described).await, 200);
    let order = json!({ "rollout": rollout, "reason": "on show" });
    rig.rest.post(&rig.rest.operator, "/devices/gw-1/cancel-update", &order).await;
    let cancel = device.link("cancelAction").await;
    assert_eq!((get(&cancel).await, get(&action).await), (200, 404));
    let stops = json!({ "status": { "execution": "closed", "result": { "finished": "success" } } });
    assert_eq!((post(&cancel, &stops).await, post(&action, &says).await), (200, 410));
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_any_letters_finds_them_in_all_its_addresses_and_nothing_that_does_not_apply(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    rig.roll_out(&rig.rest.release_of("1.1.0", 2, &[("fw-1.1.0.swu", "swu", &[7; 1000])]).await).await;
    for tenant in ["default", "DEFAULT", "Default"] {
        let own = Device { http: device.http.clone(), base: device.base.replace("/default/", &format!("/{tenant}/")) };
        let links = own.poll().await;
        assert_eq!(fields(&links), ["configData", "deploymentBase"]);
        assert!(links.as_object().unwrap().values().all(|link| link["href"].as_str().unwrap().starts_with(&own.base)), "{links}");
        let action = own.link("deploymentBase").await;
        let document = own.read(&action).await;
        // Neither a history that nobody asked for, nor a window that its plan has not.
        assert_eq!(fields(&document), ["deployment", "id"]);
        assert_eq!(fields(&document["deployment"]), ["chunks", "download", "update"]);
        let artifacts = document["deployment"]["chunks"][0]["artifacts"].as_array().unwrap();
        assert_eq!((artifacts.len(), &artifacts[0]["filename"]), (1, &json!("fw-1.1.0.swu")));
        let files = &artifacts[0]["_links"];
        assert_eq!(fields(files), ["download", "download-http", "md5sum", "md5sum-http"]);
        for name in fields(files) {
            // Old Zephyr looks for the tenant in `download-http`.
            let href = files[name]["href"].as_str().unwrap();
            assert!(href.starts_with(&format!("{}/softwaremodules/", own.base)), "{href}");
            assert_eq!(own.get(href).await.status(), 200, "{name}");
        }
    }
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn the_headers_that_clients_send_for_no_reason_are_borne_everywhere(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let file = device.file(&action).await;
    let headers = [
        [("content-type", "application/json"), ("accept", "application/json"), ("charsets", "utf-8")],
        [("content-type", "application/json"), ("accept", "application/octet-stream"), ("charsets", "utf-8")],
        [("content-type", "application/json;charset=UTF-8"), ("accept", "application/json;charset=UTF-8"), ("charsets", "utf-8")],
    ];
    for sent in headers {
        let with = |request: RequestBuilder| sent.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        for url in [&device.base, &action, &file] {
            assert_eq!(measured(with(device.ask(Method::GET, url))).await, 200, "{url}: {sent:?}");
        }
        let (describes, says) = (json!({ "data": { "a": "b" } }), json!({ "status": { "execution": "proceeding" } }));
        let asked = [(Method::PUT, format!("{}/configData", device.base), describes), (Method::POST, format!("{action}/feedback"), says)];
        for (method, url, body) in asked {
            let request = with(device.ask(method, &url)).header("expect", "100-continue").body(body.to_string());
            assert_eq!(measured(request).await, 200, "{url}: {sent:?}");
        }
    }
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_says_what_it_is_whenever_it_likes(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    device.link("configData").await;
    for when in ["asked", "not asked"] {
        device.may_describe_itself(when).await;
    }
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    device.link("deploymentBase").await;
    device.may_describe_itself("offered").await;
    rig.order(&rollout, "pause").await;
    let cancel = device.link("cancelAction").await;
    device.may_describe_itself("being cancelled").await;
    assert_eq!(device.say(&cancel, "closed", "success", &[]).await, 200);
    device.may_describe_itself("cancelled").await;
    rig.order(&rollout, "resume").await;
    let action = device.link("deploymentBase").await;
    device.fetch(&action).await;
    device.may_describe_itself("with the file").await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    device.may_describe_itself("updated").await;
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn feedback_in_any_form_is_taken_as_often_as_it_comes(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let number: i64 = action.rsplit('/').next().unwrap().parse().unwrap();
    let feedback = format!("{action}/feedback");
    let status = |more: Value| {
        let mut status = json!({ "execution": "proceeding", "result": { "finished": "none" } });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    };
    let plain = status(json!({}));
    let forms = [
        json!({ "id": number, "status": plain }),
        json!({ "id": number.to_string(), "time": "20261122T043032", "status": plain }),
        json!({ "id": "", "time": "", "status": plain }),
        json!({ "id": null, "time": 1_795_000_000, "timestamp": 1_795_000_000_000_i64, "status": plain }),
        json!({ "status": plain }),
        json!({ "status": { "execution": "proceeding" } }),
        json!({ "status": plain, "nobody": { "knows": ["this", null] } }),
        json!({ "status": status(json!({ "code": null, "details": null, "colour": "blue" })) }),
        json!({ "status": status(json!({ "details": "one line" })) }),
        json!({ "status": status(json!({ "result": { "finished": "none", "progress": null } })) }),
        json!({ "status": status(json!({ "result": { "finished": "none", "progress": 7 } })) }),
        json!({ "status": status(json!({ "result": { "finished": "none", "progress": { "cnt": "2", "of": "5" } } })) }),
        json!({ "status": status(json!({ "result": { "finished": "none", "progress": { "cnt": 9, "of": 0 } } })) }),
    ];
    for form in forms {
        assert_eq!(device.post(&feedback, form.to_string()).await, 200, "{form}");
    }
    // A log as it grows, as many lines as rauc-hawkbit-updater sends at once.
    let lines: Vec<String> = (0..48).map(|n| format!("line {n}")).collect();
    for _ in 0..60 {
        let form = json!({ "id": number, "status": status(json!({ "details": ["more"] })) });
        assert_eq!(device.post(&feedback, form.to_string()).await, 200);
    }
    let form = json!({ "id": number, "status": status(json!({ "details": lines })) });
    assert_eq!(device.post(&feedback, form.to_string()).await, 200);
    let told = device.read(&format!("{action}?actionHistory=48")).await["actionHistory"]["messages"].clone();
    let newest: Vec<&String> = lines.iter().rev().collect();
    assert_eq!(told, json!(newest));
    rig.server.stop().await;
}
