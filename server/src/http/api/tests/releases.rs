//! Uploads, signed releases and the form without JavaScript.

use super::{Script, token};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_pipeline_uploads_signs_and_publishes(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let key = s.trust().await;
    assert_eq!(s.get("/signing-keys").await.ok()["items"][0]["id"], key.as_str());
    let release = s.release("1.0.0", 1).await;
    let listed = s.get("/releases?rows=1").await;
    assert_eq!((&listed.ok()["items"][0]["id"], &listed.body["total"]), (&json!(release), &json!(1)));
    let narrowed = s.get("/releases?q=1.0&state=published&type=gateway&check=signed").await;
    assert_eq!((&narrowed.ok()["total"], &narrowed.body["items"][0]["damaged"]), (&json!(1), &json!(0)));
    assert_eq!(s.get("/releases?check=damaged").await.ok()["total"], 0);
    assert_eq!(s.get("/releases?check=fine").await.code(), (400, "bad_query"));
    let detail = s.get(&format!("/releases/{release}")).await;
    assert_eq!(detail.ok()["artifacts"][0]["name"], "fw.bin");
    assert!(detail.body["manifest"].as_str().unwrap().contains("\"device_type\": \"gateway\""));
    assert_eq!(s.post(&format!("/releases/{release}/publish"), &json!({})).await.code(), (409, "wrong_state"));
    assert_eq!(s.post(&format!("/releases/{release}/deprecate"), &json!({})).await.ok()["row"]["state"], "deprecated");
    let recalled = s.post(&format!("/releases/{release}/recall"), &json!({ "reason": "bricks the radio" })).await;
    assert_eq!(recalled.ok()["row"]["state"], "recalled");
    let told = &recalled.body["recalled"];
    assert_eq!((&told["reason"], &told["running"], &told["halted"]), (&json!("bricks the radio"), &json!(0), &json!([])));
    assert_eq!((&told["selector"], told.get("back")), (&json!("type:gateway version:1.0.0"), None));
    let unsigned = [s.upload("fw.bin", b"unsigned").await];
    let quarantined = s.post("/releases", &json!({ "uploads": unsigned })).await;
    assert!(quarantined.ok()["row"]["quarantine"].as_str().unwrap().starts_with("unsigned"));
    let id = quarantined.body["row"]["id"].as_str().unwrap();
    assert_eq!(s.post(&format!("/releases/{id}/publish"), &json!({})).await.code(), (409, "quarantined"));
    assert_eq!(s.post(&format!("/releases/{id}/recheck"), &json!({})).await.ok()["row"]["state"], "draft");
    let removed = s.send(s.request(Method::DELETE, &format!("/releases/{id}")).body(Body::empty()).unwrap()).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let revoked = s.send(s.request(Method::DELETE, &format!("/signing-keys/{key}")).body(Body::empty()).unwrap()).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_release_that_is_sent_again_tells_its_rollouts(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let stages = json!([{ "name": "Everyone", "reach": { "percent": 100.0 } }]);
    let drafted = s.post("/rollouts", &json!({ "name": "Spring", "release": release, "reason": "first", "stages": stages })).await;
    let uploads = s.uploads("1.0.0", 1).await;
    let again = s.post("/releases", &json!({ "uploads": uploads })).await;
    assert_eq!((again.status, &again.ok()["row"]["id"]), (StatusCode::OK, &json!(release)), "{}", again.body);
    assert_eq!((&again.body["row"]["rollouts"], &again.body["rollouts"][0]["id"]), (&json!(1), &drafted.ok()["row"]["id"]));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_releases_are_compared_and_told_where_they_are(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let admin = s.world.admin().await;
    let key = fleet::releases::signing::SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
    s.world.fleet.releases().add_key(&admin, "build", &key.public_pem()).await.unwrap();
    let (one, two) = (s.release("1.0.0", 1).await, s.release("1.1.0", 2).await);
    let told = s.get(&format!("/releases/{two}/diff/{one}")).await;
    assert_eq!((&told.ok()["before"]["id"], &told.body["after"]["id"]), (&json!(one), &json!(two)));
    let lines: Vec<_> = told.body["lines"].as_array().unwrap().iter().map(|l| l["field"].as_str().unwrap()).collect();
    assert_eq!(lines, ["version", "sequence"]);
    assert_eq!((&told.body["files"][0]["change"], &told.body["files"][0]["after"]["name"]), (&json!("changed"), &json!("fw.bin")));
    let same = s.get(&format!("/releases/{two}/diff/{two}")).await;
    assert_eq!((&same.ok()["lines"], &same.body["files"][0]["change"]), (&json!([]), &json!("same")));
    let gone = format!("/releases/{two}/diff/rel_{:032x}", 7);
    assert_eq!(s.get(&gone).await.code(), (404, "no_release"));
    assert_eq!(s.get(&format!("/releases/{two}/diff/nonsense")).await.code(), (404, "not_found"));
    let installs = s.get(&format!("/releases/{two}/installs")).await;
    assert_eq!(installs.ok(), &json!({ "devices": 0, "running": 0, "assigned": 0, "versions": [], "others": 0 }));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_cut_upload_goes_on_where_the_server_says(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let begun = s.post("/uploads", &json!({ "name": "fw.bin", "size": 10 })).await;
    let path = format!("/uploads/{}", begun.ok()["id"].as_str().unwrap());
    let pieces =
        futures::stream::iter([Ok(bytes::Bytes::from_static(b"0123")), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
    let cut = s.request(Method::PUT, &format!("{path}?offset=0")).body(Body::from_stream(pieces)).unwrap();
    assert_eq!(s.send(cut).await.code(), (400, "upload_cut"));
    let head = s.send(s.request(Method::HEAD, &path).body(Body::empty()).unwrap()).await;
    assert_eq!((head.headers["upload-offset"].as_str(), head.headers["upload-length"].as_str()), ("4", "10"));
    assert_eq!(s.put(&format!("{path}?offset=0"), b"0123456789").await.code(), (409, "wrong_offset"));
    let done = s.put(&format!("{path}?offset=4"), b"456789").await;
    assert_eq!(done.ok()["sha256"], "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_form_without_javascript_uploads_a_release(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fw.bin\"\r\n\r\nfirmware\r\n\
                --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n--x--\r\n";
    let post = |body: &str| {
        let request = Request::post("/releases/upload").header("authorization", format!("Bearer {}", s.secret));
        s.send(request.header("content-type", "multipart/form-data; boundary=x").body(Body::from(body.to_owned())).unwrap())
    };
    let stored = post(form).await;
    assert_eq!(stored.status, StatusCode::SEE_OTHER, "{}", stored.body);
    assert!(stored.headers["location"].starts_with("/firmware/rel_"));
    let refused = post(&form.replace("fw.bin", "../fw.bin")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.to_string().contains("without its folder"), "{}", refused.body);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_5_keys_for_images_are_added_listed_and_removed(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    assert_eq!(s.get("/image-keys").await.ok()["items"], json!([]));
    let pem = fleet::releases::signing::SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap().public_pem();
    let new = json!({ "name": "Mender builds", "key": pem });
    let added = s.post("/image-keys", &new).await;
    assert_eq!((added.status, &added.body["kind"], &added.body["about"]), (StatusCode::CREATED, &json!("key"), &json!("Ed25519")));
    assert_eq!(s.post("/image-keys", &new).await.code(), (409, "image_key_exists"));
    assert_eq!(s.post("/image-keys", &json!({ "name": "Nothing", "key": "nonsense" })).await.code(), (400, "bad_image_key"));
    assert_eq!(s.get("/image-keys").await.ok()["items"], json!([added.body]));
    let path = format!("/image-keys/{}", added.body["id"].as_str().unwrap());
    let remove = async || s.send(s.request(Method::DELETE, &path).body(Body::empty()).unwrap()).await;
    assert_eq!(remove().await.status, StatusCode::NO_CONTENT);
    assert_eq!(remove().await.code(), (404, "no_image_key"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_file_of_a_release_is_downloaded_whole_and_in_parts(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let artifact = s.get(&format!("/releases/{release}")).await.ok()["artifacts"][0].clone();
    let path = format!("/releases/{release}/artifacts/{}", artifact["sha256"].as_str().unwrap());
    let whole = s.get(&path).await;
    assert_eq!((whole.ok(), whole.headers["content-length"].as_str()), (&json!("firmware 1.0.0"), "14"));
    assert_eq!(whole.headers["content-disposition"], "attachment; filename=\"fw.bin\"");
    let ask = |name: &str, value: &str| s.send(s.request(Method::GET, &path).header(name, value).body(Body::empty()).unwrap());
    let part = ask("range", "bytes=9-").await;
    assert_eq!((part.status, part.ok()), (StatusCode::PARTIAL_CONTENT, &json!("1.0.0")));
    assert_eq!(part.headers["content-range"], "bytes 9-13/14");
    assert_eq!(ask("if-none-match", &whole.headers["etag"]).await.status, StatusCode::NOT_MODIFIED);
    let other = format!("/releases/{release}/artifacts/{}", "0".repeat(64));
    assert_eq!(s.get(&other).await.code(), (404, "no_artifact"));
    assert_eq!(s.get(&format!("/releases/{release}/artifacts/nonsense")).await.code(), (404, "not_found"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn limits_of_downloads_are_put_and_read(#[case] kind: EngineKind) {
    let mut s = Script::new(kind, Role::Admin).await;
    let none = json!({ "bandwidth": null, "site_attribute": "", "site_bandwidth": null, "data_budget_mb": null });
    assert_eq!(s.get("/transfer-limits").await.ok(), &none);
    let limits = json!({ "bandwidth": 500_000, "site_attribute": " site ", "site_bandwidth": 62_500, "data_budget_mb": 200 });
    let mut kept = limits.clone();
    kept["site_attribute"] = "site".into();
    let put = async |s: &Script, limits: &Value| {
        let request = s.request(Method::PUT, "/transfer-limits").header("content-type", "application/json");
        s.send(request.body(Body::from(limits.to_string())).unwrap()).await
    };
    assert_eq!(put(&s, &limits).await.ok(), &kept);
    assert_eq!(s.get("/transfer-limits").await.ok(), &kept);
    for (field, value) in [("bandwidth", json!(9_999)), ("site_attribute", json!("")), ("data_budget_mb", json!(0))] {
        let mut wrong = limits.clone();
        wrong[field] = value;
        let refused = put(&s, &wrong).await;
        assert_eq!((refused.code(), &refused.body["field"]), ((400, "bad_value"), &json!(field)), "{}", refused.body);
    }
    assert_eq!(put(&s, &json!({ "bandwith": 500_000 })).await.code(), (400, "bad_json"));
    let oli = s.world.operator().await;
    let admin = std::mem::replace(&mut s.secret, token(&s.world, &oli, Role::Operator).await);
    assert_eq!(put(&s, &json!({})).await.code(), (403, "denied"));
    assert_eq!(s.get("/transfer-limits").await.ok(), &kept, "what is refused changes nothing, and who may not change it reads it");
    s.secret = admin;
    assert_eq!(put(&s, &json!({ "data_budget_mb": 5 })).await.ok()["bandwidth"], Value::Null, "what is left out has no limit");
    assert_eq!(s.get("/transfer-limits").await.ok()["data_budget_mb"], 5);
}
