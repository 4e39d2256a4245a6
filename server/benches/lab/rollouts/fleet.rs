//! The fleet: some devices are enrolled and have keys, the others are only written down, as many as asked for. A signed release is published.

use crate::{Outcome, Size, figure, ground, ground::Ground};
use serde_json::json;
use std::{fs, path::Path, process::Command, time::Instant};

/// How many are enrolled.
pub const ENROLLED: usize = 300;
/// Bytes of the release's file.
pub const FIRMWARE: usize = 64 << 20;
/// Bytes of an upload's part.
const PART: usize = 8 << 20;

/// Makes the folder; devices written down a second.
pub async fn prepare(folder: &str, size: Size) -> Outcome {
    let enrolled = size.devices.min(ENROLLED);
    Box::pin(ground::prepare(folder, Size { devices: enrolled, ..size })).await;
    let folder = Path::new(folder);
    publish(folder).await;
    let begun = Instant::now();
    write_down(&folder.join("data/fleet.db"), enrolled, size.devices);
    Outcome::from([("value", figure(size.devices - enrolled).max(1.0) / begun.elapsed().as_secs_f64())])
}

/// The firmware, the same in every run: bytes that nothing compresses, from a linear congruential generator (Knuth, MMIX).
pub fn firmware() -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(FIRMWARE);
    while bytes.len() < FIRMWARE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes()[..4]);
    }
    bytes
}

/// Uploads, checks and publishes the release.
async fn publish(folder: &Path) {
    let (file, manifest, key) = (folder.join("fw.bin"), folder.join("fw.manifest.json"), folder.join("signing.key"));
    fs::write(&file, firmware()).unwrap();
    let fleetward = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_fleetward")).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    fleetward(&["key", "generate", "--out", &text(&key)]);
    fleetward(&[
        "sign",
        "--key",
        &text(&key),
        "--type",
        "gw",
        "--version",
        "2.0.0",
        "--sequence",
        "1000",
        "--payload",
        &text(&file),
        "--out",
        &text(&manifest),
    ]);
    let ground = Ground::over(folder).await;
    let mut admin = ground.admin(false).await;
    let public = fs::read_to_string(key.with_extension("key.pub")).unwrap();
    admin.post("/signing-keys", &json!({ "name": "bench", "public": public })).await;
    let mut uploads = Vec::new();
    for path in [&file, &manifest] {
        let bytes = fs::read(path).unwrap();
        let upload = admin.post("/uploads", &json!({ "name": path.file_name().unwrap().to_str(), "size": bytes.len() })).await;
        let id = upload["id"].as_str().unwrap();
        for (number, part) in bytes.chunks(PART).enumerate() {
            admin.put(&format!("/uploads/{id}?offset={}", number * PART), part).await;
        }
        uploads.push(id.to_owned());
    }
    let release = admin.post("/releases", &json!({ "uploads": uploads })).await;
    let id = release["row"]["id"].as_str().unwrap();
    assert_eq!(release["row"]["state"], "verified", "{release}");
    admin.post(&format!("/releases/{id}/publish"), &json!({})).await;
}

/// Rows like those of enrolled devices: of a hundred sites, five versions, some without a word for long.
fn write_down(database: &Path, enrolled: usize, devices: usize) {
    let sql = format!(
        "PRAGMA synchronous = OFF; BEGIN;
         INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, sequence, last_seen_at, update_state)
         WITH RECURSIVE n (i) AS (SELECT {enrolled} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {devices}),
              org (id) AS (SELECT org_id FROM devices LIMIT 1)
         SELECT org.id, printf('unit-%s-%07d', substr('northsoutheastwest', 1 + (i % 4) * 4, 4), (i * 7919) % 10000000),
                printf('unit-%s-%07d', substr('northsoutheastwest', 1 + (i % 4) * 4, 4), (i * 7919) % 10000000),
                CASE i % 20 WHEN 0 THEN 'cam' ELSE 'gw' END, 'A', 'active', 1760000000000 + i, 'bench', printf('1.%d.0', i % 5), 1 + i % 5,
                1760000000000 + (i * 104729) % 1000000000, CASE i % 1000 WHEN 0 THEN 'failed' ELSE '' END
         FROM n, org WHERE i < {devices};
         INSERT INTO device_attributes (device, org_id, name, value, place) SELECT number, org_id, 'site', printf('site-%02d', number % 100), device_id_lower FROM devices WHERE number > {enrolled};
         INSERT INTO device_tags (device, org_id, tag, place) SELECT number, org_id, 'canary', device_id_lower FROM devices WHERE number > {enrolled} AND number % 500 = 0;
         COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
    );
    query(database, &sql);
}

/// What the database's own program says to this.
pub fn query(database: &Path, sql: &str) -> String {
    let out = Command::new("sqlite3").arg(database).arg(sql).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// A rollout of the release, whose stages reach so far in per cent, approved and running; its id. None of its stages waits or is judged by more than
/// one device.
pub async fn rollout(ground: &Ground, name: &str, stages: &[f64]) -> String {
    let (mut author, mut approver) = (ground.admin(false).await, ground.admin(true).await);
    let releases = author.get("/releases").await;
    let stage = |(number, percent): (usize, &f64)| {
        json!({ "name": format!("{number}"), "reach": { "percent": percent },
                "gate": { "success_percent": 0.0, "error_percent": 100.0, "min_sample": 1 } })
    };
    let stages: Vec<_> = stages.iter().enumerate().map(stage).collect();
    let plan = json!({ "name": name, "release": releases["items"][0]["id"], "stages": stages, "reason": "measured" });
    let drafted = author.post("/rollouts", &plan).await;
    let id = drafted["row"]["id"].as_str().unwrap().to_owned();
    author.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    let digest = approver.get(&format!("/rollouts/{id}")).await["digest"].clone();
    approver.post(&format!("/rollouts/{id}/approve"), &json!({ "digest": digest, "reason": "measured" })).await;
    reached(ground, &id, 1).await;
    id
}

/// Waits until the stage with this number runs.
pub async fn reached(ground: &Ground, id: &str, stage: u64) {
    let (mut admin, begun) = (ground.admin(false).await, Instant::now());
    loop {
        let seen = admin.get(&format!("/rollouts/{id}")).await;
        let row = &seen["row"];
        if row["stage"].as_u64() >= Some(stage) && row["state"] == "running" {
            return;
        }
        assert!(begun.elapsed().as_secs() < 120, "the rollout does not get to stage {stage}: {row}");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
