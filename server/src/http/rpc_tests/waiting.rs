//! Who would be in a rollout that waits for its approval, as its page and the inbox say it.

use super::*;
use wire::rollouts::Verb;

/// The row of a device, where a page has one.
fn row<'a>(page: &'a str, device: &str) -> Option<&'a str> {
    page.split_once(&format!("href=\"/devices/{device}\""))?.1.split("</tr>").next()
}

#[tokio::test]
async fn whoever_approves_sees_of_every_device_in_which_stage_it_would_be_and_why_not() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    for device in ["gw-1", "gw-2", "gw-3"] {
        b.world.device(device, "gateway").await;
    }
    b.post("device/pin", &[("id", "gw-3"), ("reason", "on show")]).await.unwrap();
    let author = b.world.person("oli", Role::Operator).await;
    let rollouts = b.world.fleet.rollouts();
    let stage = |name: &str, reach: Reach| StageSpec { name: name.into(), reach, soak_s: 0, confirm: false, gate: GateSpec::default() };
    let stages = vec![stage("Canary", Reach::Count(1)), stage("Everyone", Reach::Percent(100.0))];
    let id = rollouts.draft(&author, RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), stages)).await.unwrap();
    let here = format!("/rollouts/{id}");
    let page = async |path: &str| b.page(path).await.replace("<!>", "");
    assert!(page(&here).await.contains("Who would be in it"), "of a draft as well");
    rollouts.submit(&author, &id).await.unwrap();

    // What scripts read is what the page shows.
    let listed = b.api("GET", &format!("{here}/preview/devices"), Vec::new()).await;
    let all = page(&here).await;
    let mut first = String::new();
    for device in listed["items"].as_array().unwrap() {
        let (name, place) = (device["device_id"].as_str().unwrap(), device["stage"].as_u64());
        let said = match place {
            Some(1) => "1 Canary",
            Some(_) => "2 Everyone",
            None => "Not included",
        };
        let shown = row(&all, name).unwrap();
        assert!(shown.contains(&format!("<td>{said}</td>")), "{name}: {shown}");
        assert_eq!(shown.contains("on show"), name == "gw-3", "{shown}");
        if place == Some(1) {
            name.clone_into(&mut first);
        }
    }
    assert!(all.contains("Rows 1–3 of 3") && !all.contains("aria-label=\"Show\""), "{all}");

    // Of one stage, and page by page.
    let canary = page(&format!("{here}?stage=1")).await;
    assert!(canary.contains("Who would be in stage 1, Canary") && canary.contains("Rows 1–1 of 1"), "{canary}");
    assert!(row(&canary, &first).is_some() && row(&canary, "gw-3").is_none(), "{canary}");
    let beyond = page(&format!("{here}?stage=9")).await;
    assert!(beyond.contains("“9” is no stage of this rollout") && beyond.contains("Rows 1–3 of 3"), "{beyond}");
    let cursor = b.api("GET", &format!("{here}/preview/devices?rows=2"), Vec::new()).await["next"].as_str().unwrap().to_owned();
    let last = page(&format!("{here}?from=2&cur={cursor}")).await;
    assert!(last.contains("Rows 3–3 of 3") && row(&last, "gw-3").is_some() && row(&last, "gw-1").is_none(), "{last}");
    let (status, ..) = b.send("GET", &format!("{here}?cur=x"), FORM, Vec::new(), "text/html").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "no place in this list");

    // The inbox leads there.
    assert!(all.contains("id=\"would-be\""), "{all}");
    let inbox = page("/approvals").await;
    assert!(inbox.contains(&format!("href=\"{here}#would-be\"")), "{inbox}");

    let digest = rollouts.detail(&b.admin, &id).await.unwrap().digest;
    rollouts.act(&b.admin, &id, Verb::Approve, Some(&digest), "fine").await.unwrap();
    rollouts.tick().await.unwrap();
    let begun = page(&here).await;
    assert!(begun.contains("Devices of all stages") && !begun.contains("Who would be in"), "it has begun: {begun}");
}
