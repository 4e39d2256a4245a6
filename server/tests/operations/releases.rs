//! Releases: compared, downloaded, told where they are, looked at again, and their end.

use super::{DENIED, Desk};
use crate::rest::Rest;
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn releases_are_compared_downloaded_and_ended(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let rest = Rest::by(&desk.server, &desk.server.system(), "gateway", desk.operator.token.clone()).await;
    let (one, two) = (rest.release("1.0.0", 1, b"firmware 1.0.0").await, rest.release("1.1.0", 2, b"firmware 1.1.0").await);
    let nowhere = format!("rel_{}", "0".repeat(32));

    let told = desk.viewer.get(&format!("/releases/{two}/diff/{one}")).await;
    assert_eq!((&told.ok()["before"]["id"], &told.body["files"][0]["change"]), (&json!(one), &json!("changed")));
    assert_eq!(desk.viewer.get(&format!("/releases/{two}/diff/{nowhere}")).await.code(), (404, "no_release"));
    assert_eq!(desk.viewer.get(&format!("/releases/{two}/diff/nonsense")).await.code(), (404, "not_found"));
    let installs = desk.viewer.get(&format!("/releases/{two}/installs")).await;
    assert_eq!(installs.ok(), &json!({ "devices": 0, "running": 0, "assigned": 0, "versions": [], "others": 0 }));
    assert_eq!(desk.viewer.get(&format!("/releases/{nowhere}/installs")).await.code(), (404, "no_release"));
    let sha256 = desk.viewer.get(&format!("/releases/{two}")).await.ok()["artifacts"][0]["sha256"].as_str().unwrap().to_owned();
    let file = desk.viewer.get(&format!("/releases/{two}/artifacts/{sha256}")).await;
    assert_eq!(file.ok(), &json!("firmware 1.1.0"));
    assert_eq!(file.headers["content-disposition"].to_str().unwrap(), "attachment; filename=\"firmware.bin\"");
    let other = format!("/releases/{two}/artifacts/{}", "0".repeat(64));
    assert_eq!(desk.viewer.get(&other).await.code(), (404, "no_artifact"));

    assert_eq!(desk.viewer.post(&format!("/releases/{one}/deprecate"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.operator.post(&format!("/releases/{nowhere}/deprecate"), &json!({})).await.code(), (404, "no_release"));
    assert_eq!(desk.operator.post(&format!("/releases/{one}/deprecate"), &json!({})).await.ok()["row"]["state"], "deprecated");
    assert_eq!(desk.viewer.get("/releases?state=deprecated").await.ok()["items"][0]["id"], json!(one));
    assert_eq!(desk.operator.post(&format!("/releases/{one}/deprecate"), &json!({})).await.code(), (409, "wrong_state"));
    assert_eq!(desk.logged("release.deprecate").await["object"], json!(one));
    let why = json!({ "reason": "bricks the radio" });
    assert_eq!(desk.operator.post(&format!("/releases/{two}/recall"), &why).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/releases/{two}/recall"), &json!({ "why": "x" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post(&format!("/releases/{two}/recall"), &why).await.ok()["row"]["state"], "recalled");
    assert_eq!(desk.viewer.get(&format!("/releases/{two}")).await.ok()["row"]["state"], "recalled");
    assert_eq!(desk.logged("release.recall").await["detail"]["reason"], "bricks the radio");

    // What nobody has signed waits as a draft, and can be looked at again and removed.
    let unsigned = rest.upload("loose.bin", b"unsigned").await;
    let draft = rest.post(&rest.operator, "/releases", &json!({ "uploads": [unsigned] })).await["row"]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.viewer.post(&format!("/releases/{draft}/recheck"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.operator.post(&format!("/releases/{nowhere}/recheck"), &json!({})).await.code(), (404, "no_release"));
    assert_eq!(desk.operator.post(&format!("/releases/{draft}/recheck"), &json!({})).await.ok()["row"]["state"], "draft");
    assert_eq!(desk.viewer.delete(&format!("/releases/{draft}")).await.code(), DENIED);
    assert_eq!(desk.operator.delete(&format!("/releases/{nowhere}")).await.code(), (404, "no_release"));
    assert_eq!(desk.operator.delete(&format!("/releases/{draft}")).await.status, 204);
    assert_eq!(desk.viewer.get(&format!("/releases/{draft}")).await.code(), (404, "no_release"));
    assert_eq!(desk.logged("release.remove").await["object"], json!(draft));
    desk.stop().await;
}
