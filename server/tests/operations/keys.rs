//! Keys of releases: trusted ones and how many have to sign, key sets, the server's own for assignments, those of images.

use super::{DENIED, Desk};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{db::EngineKind, entropy::SeededEntropy, releases::signing::SigningKeyPair};
use rstest::rstest;
use serde_json::{Value, json};
use wire::{
    Timestamp,
    manifest::Envelope,
    signing::{KEY_SET_TYPE, KeySet, ListedKey, Thresholds},
};

fn key(seed: u64) -> SigningKeyPair {
    SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap()
}

/// The first key set: these keys, one signature each, by them all.
fn key_set(of: &[&SigningKeyPair]) -> Value {
    let keys = of.iter().map(|k| ListedKey { name: k.keyid()[..8].to_owned(), public: hex::encode(k.public()) }).collect();
    let thresholds = Thresholds { threshold: 1, device_types: Vec::new() };
    let set = KeySet { schema: 1, version: 1, created: Timestamp(0), expires: None, keys, thresholds };
    let payload = serde_json::to_vec(&set).unwrap();
    let signatures = of.iter().map(|k| k.signature(KEY_SET_TYPE, &payload).unwrap()).collect();
    json!(Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures })
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_trusted_and_enough_of_them_have_to_sign(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let new = |name: &str, seed: u64| json!({ "name": name, "public": key(seed).public_pem() });
    let list = async || desk.viewer.get("/signing-keys").await.ok()["items"].clone();
    assert_eq!(desk.operator.post("/signing-keys", &new("builds", 1)).await.code(), DENIED);
    assert_eq!(desk.admin.post("/signing-keys", &json!({ "name": "builds", "public": "junk" })).await.code(), (400, "bad_key"));
    assert_eq!(desk.admin.post("/signing-keys", &json!({ "name": "builds" })).await.code(), (400, "bad_json"));
    assert_eq!(list().await, json!([]));
    let first = desk.admin.post("/signing-keys", &new("builds", 1)).await;
    assert_eq!((first.status, list().await), (201, json!([first.ok()])));
    assert_eq!(desk.admin.post("/signing-keys", &new("again", 1)).await.code(), (409, "key_exists"));
    assert_eq!(desk.logged("key.add").await["object"], first.body["id"]);

    let policy = async || desk.viewer.get("/signing-policy").await.ok().clone();
    assert_eq!((&policy().await["thresholds"], &policy().await["keys"]), (&json!({ "threshold": 1 }), &json!(1)));
    let two = json!({ "threshold": 2 });
    assert_eq!(desk.operator.put("/signing-policy", &two).await.code(), DENIED);
    assert_eq!(desk.admin.put("/signing-policy", &two).await.code(), (400, "bad_value"), "there is one key");
    assert_eq!(desk.admin.put("/signing-policy", &json!({ "treshold": 1 })).await.code(), (400, "bad_json"));
    let second = desk.admin.post("/signing-keys", &new("second", 2)).await.id();
    assert_eq!(desk.admin.put("/signing-policy", &two).await.ok(), &policy().await);
    assert_eq!(policy().await["thresholds"], two);
    let told = desk.logged("key.threshold").await;
    assert_eq!(told["detail"], json!({ "before": { "threshold": 1 }, "after": two }));
    desk.admin.put("/signing-policy", &json!({ "threshold": 1 })).await.ok();

    assert_eq!(desk.operator.delete(&format!("/signing-keys/{second}")).await.code(), DENIED);
    assert_eq!(desk.admin.delete("/signing-keys/nonsense").await.code(), (404, "not_found"));
    assert_eq!(desk.admin.delete(&format!("/signing-keys/{second}")).await.status, 204);
    let revoked = list().await.as_array().unwrap().iter().find(|k| k["id"] == json!(second)).unwrap()["revoked_at"].clone();
    assert!(revoked.is_i64(), "{revoked}");
    assert_eq!(desk.logged("key.revoke").await["object"], json!(second));

    // From the first key set on it alone decides.
    let set = key_set(&[&key(1), &key(3)]);
    assert_eq!(desk.operator.post("/key-sets", &set).await.code(), DENIED);
    assert_eq!(desk.admin.post("/key-sets", &json!({})).await.code(), (400, "bad_key_set"));
    assert_eq!(desk.viewer.get("/key-sets").await.ok()["items"], json!([]));
    assert_eq!(desk.viewer.get("/key-sets/1").await.code(), (404, "no_key_set"));
    let published = desk.admin.post("/key-sets", &set).await;
    assert_eq!((published.status, &published.ok()["version"]), (201, &json!(1)), "{}", published.body);
    assert_eq!(desk.viewer.get("/key-sets").await.ok()["items"], json!([published.body]));
    let file = desk.viewer.get("/key-sets/1").await;
    assert_eq!((file.ok(), file.headers["content-disposition"].to_str().unwrap()), (&set, "attachment; filename=\"key-set-1.json\""));
    assert_eq!(desk.logged("key_set.publish").await["detail"]["version"], 1);
    assert_eq!(desk.admin.post("/key-sets", &set).await.code(), (400, "bad_key_set"), "the next one is asked for");
    assert_eq!(desk.admin.put("/signing-policy", &two).await.code(), (409, "key_set_decides"));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_assignments_are_made_and_retired_but_the_last(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let list = async || desk.viewer.get("/assignment-keys").await.ok()["items"].clone();
    let first = list().await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.operator.delete(&format!("/assignment-keys/{first}")).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&format!("/assignment-keys/{first}")).await.code(), (409, "assignment_keys"), "it is the only one");
    assert_eq!(desk.admin.delete("/assignment-keys/nonsense").await.code(), (404, "not_found"));
    let nowhere = format!("/assignment-keys/ask_{}", "0".repeat(32));
    assert_eq!(desk.admin.delete(&nowhere).await.code(), (404, "no_assignment_key"));
    assert_eq!(desk.operator.post("/assignment-keys", &json!({})).await.code(), DENIED);
    assert_eq!(list().await.as_array().unwrap().len(), 1);
    let made = desk.admin.post("/assignment-keys", &json!({})).await;
    assert_eq!((made.status, &list().await[0]), (201, made.ok()), "newest first");
    assert_eq!(desk.logged("assignment_key.add").await["object"], made.body["id"]);
    for _ in 0..2 {
        assert_eq!(desk.admin.delete(&format!("/assignment-keys/{first}")).await.status, 204, "it may be repeated");
    }
    assert!(list().await[1]["retired_at"].is_i64());
    assert_eq!((&desk.logged("assignment_key.retire").await["object"], desk.times("assignment_key.retire").await), (&json!(first), 1));
    for _ in 0..3 {
        desk.admin.post("/assignment-keys", &json!({})).await.ok();
    }
    assert_eq!(desk.admin.post("/assignment-keys", &json!({})).await.code(), (409, "assignment_keys"), "there are four");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn u_5_keys_of_images_are_added_and_removed(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let new = json!({ "name": "Mender builds", "key": key(1).public_pem() });
    assert_eq!(desk.operator.post("/image-keys", &new).await.code(), DENIED);
    assert_eq!(desk.admin.post("/image-keys", &json!({ "name": "Nothing", "key": "nonsense" })).await.code(), (400, "bad_image_key"));
    assert_eq!(desk.admin.post("/image-keys", &json!({ "name": "Nothing" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.viewer.get("/image-keys").await.ok()["items"], json!([]));
    let added = desk.admin.post("/image-keys", &new).await;
    assert_eq!(desk.viewer.get("/image-keys").await.ok()["items"], json!([added.ok()]));
    assert_eq!(desk.admin.post("/image-keys", &new).await.code(), (409, "image_key_exists"));
    assert_eq!(desk.logged("image_key.add").await["object"], added.body["id"]);
    let path = format!("/image-keys/{}", added.id());
    assert_eq!(desk.operator.delete(&path).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&path).await.status, 204);
    assert_eq!(desk.admin.delete(&path).await.code(), (404, "no_image_key"));
    assert_eq!(desk.viewer.get("/image-keys").await.ok()["items"], json!([]));
    assert_eq!(desk.logged("image_key.remove").await["object"], added.body["id"]);
    desk.stop().await;
}
