//! What is not a device's own, what has no sense, and what is too much.

use super::Rig;
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_speaks_for_itself_alone(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (one, two) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let (first, second) = (one.link("deploymentBase").await, two.link("deploymentBase").await);
    let of_two = second.rsplit('/').next().unwrap();
    assert_ne!(first.rsplit('/').next().unwrap(), of_two);

    // Another's address, by its own certificate; one that nobody has; another organization's.
    for base in [&two.base, &one.base.replace("gw-1", "gw-9"), &one.base.replace("gw-1", "GW-1"), &one.base.replace("/default/", "/other/")]
    {
        for below in ["", "/deploymentBase/1001", "/cancelAction/1001", "/softwaremodules/1001/artifacts/firmware.bin"] {
            assert_eq!(one.get(&format!("{base}{below}")).await.status(), 403, "{base}{below}");
        }
        let put = one.http.put(format!("{base}/configData")).json(&json!({ "data": {} })).send().await.unwrap();
        assert_eq!(put.status(), 403);
        let runs = json!({ "name": "gateway", "version": "1.1.0" });
        assert_eq!(one.http.put(format!("{base}/installedBase")).json(&runs).send().await.unwrap().status(), 403);
        assert_eq!(one.say(&format!("{base}/deploymentBase/{of_two}"), "closed", "failure", &[]).await, 403);
    }
    // Its own address with the action of another, and with none.
    for id in [of_two, "999999", "0", "x", "99999999999999999999"] {
        let own = |below: &str| format!("{}/{}", one.base, below.replace("ID", id));
        for below in [
            "deploymentBase/ID",
            "installedBase/ID",
            "cancelAction/ID",
            "softwaremodules/ID/artifacts",
            "softwaremodules/ID/artifacts/firmware.bin",
        ] {
            assert_eq!(one.get(&own(below)).await.status(), 404, "{below} {id}");
        }
        for below in ["deploymentBase/ID/feedback", "cancelAction/ID/feedback"] {
            let body = json!({ "status": { "execution": "closed", "result": { "finished": "failure" } } });
            assert_eq!(one.post(&own(below), body.to_string()).await, 404, "{below} {id}");
        }
    }
    let module = format!("{}/softwaremodules/{}/artifacts", one.base, first.rsplit('/').next().unwrap());
    for file in ["other.bin", "firmware.bin.SHA1SUM", "other.bin.MD5SUM", "..%2Ffirmware.bin"] {
        assert_eq!(one.get(&format!("{module}/{file}")).await.status(), 404, "{file}");
    }
    assert_eq!(rig.part(&rollout, "gw-2").await["state"], "offered", "nothing has happened to it");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_sense_are_refused_and_change_nothing(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let feedback = format!("{action}/feedback");
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "null",
        "[1]",
        "\u{0}",
        "{\"status\":{}}",
        r#"{"status":{"execution":"finished"}}"#,
        r#"{"status":{"execution":"closed","result":{"finished":"yes"}}}"#,
        &deep,
    ];
    for body in bodies {
        assert_eq!(device.post(&feedback, body.to_owned()).await, 400, "{body:.100}");
        let put = device.http.put(format!("{}/configData", device.base)).body(body.to_owned()).send().await.unwrap();
        assert_eq!(put.status(), 400, "{body:.100}");
    }
    assert_eq!(device.post(&feedback, vec![b' '; 300_000]).await, 413);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "offered");
    assert_eq!(device.link("configData").await, format!("{}/configData", device.base), "nothing was put");
    let words = [
        ("proceeding", "none"),
        ("scheduled", "none"),
        ("resumed", "none"),
        ("download", "none"),
        ("downloaded", "none"),
        ("rejected", "none"),
    ];
    for (execution, finished) in words {
        assert_eq!(device.say(&action, execution, finished, &[]).await, 200, "{execution}");
    }
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloaded");
    assert_eq!(device.say(&action, "canceled", "none", &["by hand"]).await, 200);
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!((&part["state"], &part["detail"]), (&json!("rejected"), &json!("by hand")));
    rig.server.stop().await;
}
