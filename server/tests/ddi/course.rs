//! The way of one update, from the poll to its end.

use super::Rig;
use fleet::db::EngineKind;
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::json;
use std::time::Duration;

/// Bytes that differ everywhere.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from((n * 31 + n / 251) % 256).unwrap()).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_polls_downloads_with_a_cut_and_succeeds(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;

    // Nothing to do but to say what it is, once.
    let answer = device.get(&device.base).await;
    assert_eq!(answer.headers()["content-type"], "application/hal+json");
    let links = device.poll().await;
    assert_eq!(links, json!({ "configData": { "href": format!("{}/configData", device.base) } }));
    let described = json!({ "id": "", "time": "x", "status": { "result": { "finished": "success" }, "execution": "closed", "details": [""] },
                            "data": { "hw_revision": "1.0", "sw_version": "0.0.1" } });
    for (mode, data) in [("replace", json!({ "old": "1" })), ("merge", json!({ "serial": 7 })), ("remove", json!({ "old": null }))] {
        let body = json!({ "mode": mode, "data": data });
        let put = device.http.put(format!("{}/configData", device.base)).json(&body).send().await.unwrap();
        assert_eq!(put.status(), 200, "{mode}");
    }
    let put = device.http.put(format!("{}/configData", device.base)).json(&described).send().await.unwrap();
    assert_eq!((put.status().as_u16(), put.bytes().await.unwrap().len()), (200, 0));
    // Headers as SWUpdate and rauc-hawkbit-updater send them: a type of no body, and a question before the body.
    let expecting = device.http.put(format!("{}/configData", device.base)).header("expect", "100-continue").json(&described);
    assert_eq!(expecting.send().await.unwrap().status(), 200);
    let asked = device.http.get(&device.base).header("content-type", "application/json").header("accept", "application/json;charset=UTF-8");
    let answer = asked.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "application/json"));
    assert_eq!(device.poll().await, json!({}), "asked for no more");
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!(shown["attributes"], json!({ "hw_revision": "1.0", "sw_version": "0.0.1", "serial": "7" }));

    let firmware = content(3_000_000);
    let release = rig.rest.release("1.1.0", 2, &firmware).await;
    let rollout = rig.roll_out(&release).await;
    let action = device.link("deploymentBase").await;
    assert_eq!(device.link("deploymentBase").await, action, "the same until it ends");
    // Clients that write the organization in capitals find it in their links.
    let capitals = super::Device { http: device.http.clone(), base: device.base.replace("/default/", "/DEFAULT/") };
    assert!(capitals.link("deploymentBase").await.contains("/DEFAULT/controller/v1/gw-1/deploymentBase/"));

    let document = device.read(&action).await;
    let id = action.rsplit('/').next().unwrap();
    assert!(id.parse::<i32>().unwrap() > 1000 && document["id"] == id, "{document}");
    let deployment = &document["deployment"];
    assert_eq!((&deployment["download"], &deployment["update"]), (&json!("forced"), &json!("forced")));
    let chunks = deployment["chunks"].as_array().unwrap();
    assert_eq!((chunks.len(), &chunks[0]["part"], &chunks[0]["version"]), (1, &json!("bApp"), &json!("1.1.0")));
    let artifact = &chunks[0]["artifacts"][0];
    assert_eq!((&artifact["filename"], &artifact["size"]), (&json!("firmware.bin"), &json!(firmware.len())));
    rig.stock.write("firmware.bin", &firmware);
    for (name, program) in [("sha1", "-sha1"), ("md5", "-md5"), ("sha256", "-sha256")] {
        let sum = rig.stock.openssl(&["dgst", program, "-r", "firmware.bin"]).await;
        assert_eq!(artifact["hashes"][name], sum.split(' ').next().unwrap(), "{name}");
    }
    let link = |name: &str| artifact["_links"][name]["href"].as_str().unwrap().to_owned();
    assert_eq!((link("download"), link("md5sum")), (link("download-http"), link("md5sum-http")));
    let sum = device.get(&link("md5sum")).await.text().await.unwrap();
    assert_eq!(sum, format!("{}  firmware.bin", artifact["hashes"]["md5"].as_str().unwrap()));
    assert_eq!(device.read(&format!("{}/softwaremodules/{id}/artifacts", device.base)).await[0], *artifact);

    // As SWUpdate does: a word, the head, the bytes; cut once.
    assert_eq!(device.say(&action, "proceeding", "none", &["Installing Update Chunk Artifacts."]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloading");
    // Written to on the server's disk meanwhile: it is compared first, and the device only waits for that.
    let (folder, file) = artifact["hashes"]["sha256"].as_str().unwrap().split_at(2);
    let stored = rig.server.data().join("artifacts/blobs/sha256").join(folder).join(file);
    let later = std::fs::metadata(&stored).unwrap().modified().unwrap() + Duration::from_secs(1);
    std::fs::File::options().write(true).open(&stored).unwrap().set_modified(later).unwrap();
    let head = device.http.head(link("download")).header("accept", "application/octet-stream").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "3000000"));
    let ranged = device.http.head(link("download")).header("range", "bytes=100-199").send().await.unwrap();
    let said = |name: &str| ranged.headers().get(name).map(|value| value.to_str().unwrap());
    let told = (ranged.status().as_u16(), said("content-length"), said("accept-ranges"), said("content-range"));
    assert_eq!(told, (200, Some("3000000"), Some("bytes"), None), "a range is for GET alone");
    let mut body = device.get(&link("download")).await.bytes_stream();
    let mut got = body.next().await.unwrap().unwrap().to_vec();
    drop(body);
    let came = got.len();
    assert!(came < firmware.len());
    let rest = device.http.get(link("download")).header("range", format!("bytes={came}-")).send().await.unwrap();
    assert_eq!(rest.status(), 206);
    assert_eq!(rest.headers()["content-range"], format!("bytes {came}-2999999/3000000"));
    got.extend_from_slice(&rest.bytes().await.unwrap());
    assert!(got == firmware, "not a byte is wrong");
    let past = device.http.get(link("download")).header("range", "bytes=3000000-").send().await.unwrap();
    assert_eq!(past.status(), 416);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloaded", "the server saw it go");

    for n in 1..=12 {
        assert_eq!(device.say(&action, "proceeding", "none", &[&format!("line {n}")]).await, 200);
    }
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!((&part["state"], &part["detail"]), (&json!("installing"), &json!("line 12")));
    assert_eq!(device.say(&action, "download", "none", &["too late"]).await, 200, "out of order changes nothing");
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "installing");
    let told = device.read(&format!("{action}?c=1&actionHistory=2")).await["actionHistory"].clone();
    assert_eq!(told, json!({ "status": "RUNNING", "messages": ["too late", "line 12"] }));
    let told = device.read(&format!("{action}?actionHistory=-1")).await["actionHistory"]["messages"].clone();
    let again = format!("asks for firmware.bin again, from byte {came} on");
    let begun = json!("Installing Update Chunk Artifacts.");
    assert_eq!((told.as_array().unwrap().len(), &told[13], &told[14]), (15, &json!(again), &begun), "the cut is in its history");
    assert_eq!(device.link("deploymentBase").await, action, "after its restart the client looks for it once more");

    assert_eq!(device.say(&action, "closed", "success", &["Update Installed."]).await, 200);
    assert_eq!(device.say(&action, "closed", "success", &["Update Installed."]).await, 410, "it has ended");
    assert_eq!(device.say(&action, "proceeding", "none", &[]).await, 410);
    assert_eq!(device.get(&action).await.status(), 404);
    let installed = format!("{}/installedBase/{id}", device.base);
    let asked = json!({ "installedBase": { "href": installed }, "configData": { "href": format!("{}/configData", device.base) } });
    assert_eq!(device.poll().await, asked, "and once more for what it is");
    assert_eq!(device.read(&installed).await["deployment"], *deployment);
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 1, "{ended:#}");
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_says_what_it_runs_is_offered_nothing_older(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, other) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let data = json!({ "firmware_version": "1.2.0", "firmware_sequence": "3", "hardware": "B" });
    let put = device.http.put(format!("{}/configData", device.base)).json(&json!({ "data": data })).send().await.unwrap();
    assert_eq!(put.status(), 200);
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!([&shown["row"]["version"], &shown["sequence"], &shown["row"]["hardware"]], [&json!("1.2.0"), &json!(3), &json!("B")]);
    rig.roll_out(&rig.rest.release("1.1.0", 2, &content(1000)).await).await;
    assert_eq!(device.poll().await, json!({}), "it left the factory with a newer one");
    other.link("deploymentBase").await;
    rig.roll_out(&rig.rest.release("1.3.0", 4, &content(1000)).await).await;
    device.link("deploymentBase").await;
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_with_a_raw_log_is_a_failure(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &content(1000)).await).await;
    let action = device.link("deploymentBase").await;
    // Not JSON, and what SWUpdate sends: ends of lines, quotes and backslashes of its log stand raw in the strings. A hundred KiB of them.
    let log = "[ERROR] : SWUPDATE failed [0] ERROR : no room at \\dev in [string \"x\"]\n\t".repeat(2_000);
    let body = format!(
        "{{\"id\":{},\"status\":{{\"result\":{{\"finished\":\"failure\"}},\"execution\":\"closed\",\"code\":28,\"details\":[\"{log}\",\"the end\n\"]}}}}",
        action.rsplit('/').next().unwrap()
    );
    assert_eq!(device.post(&format!("{action}/feedback"), body).await, 200);
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!(part["state"], "failed");
    let detail = part["detail"].as_str().unwrap();
    assert!(
        detail.trim_end().ends_with("the end") && detail.contains("no room at \\dev in [string \"x\"]") && !detail.contains('\n'),
        "{detail}"
    );
    let updates = rig.rest.get("/devices/gw-1/updates").await;
    let update = &updates["items"][0];
    assert_eq!((&update["code"], &update["failure"], &updates["total"]), (&json!("code_28"), &json!("failed"), &json!(1)));
    let said = rig.rest.get(&format!("/devices/gw-1/updates/{}/log", update["id"].as_str().unwrap())).await;
    let newest = &said["items"][0];
    assert_eq!((&newest["state"], &newest["code"], &newest["line"]), (&json!("failed"), &json!("code_28"), &json!("the end")));
    assert!(said["items"][1]["line"].as_str().unwrap().chars().count() <= 1000, "a line by itself, and not all of it: {said}");
    assert!(device.poll().await.get("deploymentBase").is_none(), "or it is installed again and again");
    assert_eq!(device.say(&action, "closed", "failure", &[]).await, 410);
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_a_failure_when_its_device_says_that_it_runs_the_old_version(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let runs = |version: &str, sequence: &str| json!({ "firmware_version": version, "firmware_sequence": sequence });
    let gate = json!({ "success_percent": 100.0, "error_percent": 0.0, "min_sample": 1, "max_errors": 0 });
    let stage = json!({ "name": "Everyone", "reach": { "percent": 100.0 }, "soak_s": 3600, "gate": gate });
    let release = rig.rest.release("1.1.0", 2, &content(1000)).await;
    let watched = rig.roll_out_with(&release, json!({ "stages": [stage] })).await;
    let action = device.link("deploymentBase").await;
    device.fetch(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(rig.part(&watched, "gw-1").await["state"], "succeeded");
    // It goes back during the soak, and says so.
    rig.pass(5).await;
    device.tells(runs("1.0.0", "1")).await;
    let part = rig.part(&watched, "gw-1").await;
    assert_eq!((&part["state"], &part["code"]), (&json!("failed"), &json!("runs_old_version")));
    assert_eq!(part["detail"], "it says it succeeded, and runs 1.0.0 instead of 1.1.0");
    let halted = rig.rest.rollout_ends(&watched, "halted").await;
    let counts = &halted["row"]["counts"];
    assert_eq!((&counts["succeeded"], &counts["failed"]), (&json!(0), &json!(1)), "{halted:#}");

    // Its first word after a success counts also when the rollout is over.
    let rollout = rig.roll_out_with(&rig.rest.release("1.2.0", 3, &content(900)).await, json!({ "name": "More gateways" })).await;
    let action = device.link("deploymentBase").await;
    device.fetch(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    rig.rest.rollout_ends(&rollout, "completed").await;
    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(rig.part(&rollout, "gw-1").await["code"], "runs_old_version");
    rig.server.stop().await;
}
