//! Rollouts, approvals and freezes, by the console's forms.

use super::*;

#[tokio::test]
async fn a_rollout_is_stopped_by_its_name_and_leads_back_to_the_console_only() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    // Whoever sends it may not approve it: somebody else has to be there.
    b.world.person("bea", Role::Admin).await;
    let author = b.world.person("oli", Role::Operator).await;
    let id = b.world.fleet.rollouts().draft(&author, spec).await.unwrap().to_string();
    let submit = [("id", id.as_str()), ("verb", "submit"), ("back", "/\\evil.example")];
    assert_eq!(b.post("rollout_act", &submit).await.unwrap(), "/rollouts");
    let stop = [("id", id.as_str()), ("verb", "stop"), ("reason", "wrong radio"), ("back", "/approvals")];
    unconfirmed(b.post("rollout_act", &stop).await);
    unconfirmed(b.post("rollout_act", &[&stop[..], &[("confirm", "Radio")]].concat()).await);
    let silent = [("id", id.as_str()), ("verb", "stop"), ("reason", " "), ("confirm", "Radio fix")];
    assert_eq!(b.post("rollout_act", &silent).await.unwrap_err(), (400, "invalid".to_owned()), "it has to be said why");
    assert_eq!(b.post("rollout_act", &[&stop[..], &[("confirm", "Radio fix")]].concat()).await.unwrap(), "/approvals");
    let (status, _, body) = b.send("GET", &format!("/rollouts/{id}"), FORM, Vec::new(), "text/html").await;
    assert!(status == StatusCode::OK && String::from_utf8(body).unwrap().contains("wrong radio"), "the history says why");
}

impl Browser {
    /// A page, wherever its address leads, and where that is.
    async fn followed(&self, path: &str) -> (String, String) {
        let mut at = path.to_owned();
        for _ in 0..3 {
            let (status, headers, body) = self.send("GET", &at, FORM, Vec::new(), "text/html").await;
            if status == StatusCode::OK {
                // The renderer puts marks between a sentence and what is put into it.
                return (at, String::from_utf8(body).unwrap().replace("<!>", ""));
            }
            assert_eq!(status, StatusCode::SEE_OTHER, "{at}");
            headers[header::LOCATION].to_str().unwrap().clone_into(&mut at);
        }
        panic!("{path} leads nowhere");
    }

    /// Sends the form of the wizard's review as a browser without JavaScript does; where that leads.
    async fn save(&self, from: &str, shown: &str, reason: &str) -> String {
        let plan = super::super::guard::encode(&hidden(shown, "plan"));
        self.posted("rollout_save", from, format!("plan={plan}&id=&generation=0&reason={reason}&then=draft")).await
    }
}

/// The value of a page's hidden input.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test]
async fn a_plan_whose_draw_is_used_is_drawn_anew_and_keeps_what_was_typed() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    // Two tabs of the same review.
    let (at, shown) =
        b.followed(&format!("/rollouts/new?step=review&name=Radio+fix&release={release}&stages.0.name=All&stages.0.reach=100")).await;
    let first = b.save(&at, &shown, "The+radio+drops").await;
    assert!(first.starts_with("/rollouts/rol_") && !first.contains('?'), "{first}");
    let refused = b.save(&at, &shown, "The+radio+drops+a+lot").await;
    assert!(refused.contains("__err="), "{refused}");

    let (again, shown_again) = b.followed(&refused).await;
    assert!(shown_again.contains("“Radio fix” (") && shown_again.contains("has this draw already"), "{shown_again}");
    assert!(shown_again.contains(&format!("href=\"{first}\"")), "the rollout that has it is linked");
    assert!(shown_again.contains("The radio drops a lot"), "the reason is not typed twice");
    assert_ne!(hidden(&shown_again, "plan"), hidden(&shown, "plan"), "it is drawn anew");
    let second = b.save(&again, &shown_again, "The+radio+drops+a+lot").await;
    assert!(second.starts_with("/rollouts/rol_") && !second.contains('?') && second != first, "{second}");
}

#[tokio::test]
async fn a_review_that_is_loaded_again_names_the_same_devices() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let bare = format!("/rollouts/new?step=review&name=Radio%20fix&release={release}&stages.0.name=All&stages.0.reach=100");
    let (at, shown) = b.followed(&bare).await;
    assert!(at.starts_with(&format!("{bare}&draw=rol_")), "{at}");
    let (again, reloaded) = b.followed(&at).await;
    assert_eq!((again, hidden(&reloaded, "plan")), (at.clone(), hidden(&shown, "plan")));
    // One that is over is followed by another one, in the address too.
    b.world.clock.advance(25 * 3_600_000);
    let signed_in = b.world.fleet.access().sign_in("ada@example.com", "a long enough password", &Origin::default()).await.unwrap();
    let b = Browser { session: format!("fw_access={}", signed_in.access), ..b };
    let (later, _) = b.followed(&at).await;
    assert!(later.starts_with(&format!("{bare}&draw=rol_")) && later != at, "{later}");
    assert!(b.followed("/rollouts/new").await.0 == "/rollouts/new", "nothing is drawn without a plan");
}

#[tokio::test]
async fn the_limits_of_a_gate_stand_beside_what_the_fleets_updates_came_to() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    let device = b.world.device("gw-1", "gateway").await;
    let plan = format!("name=Radio&release={release}&stages.0.name=All&stages.0.reach=100");
    let page = async |more: &str| b.followed(&format!("/rollouts/new?{plan}&{more}")).await.1;
    let shown = page("step=gates").await;
    assert!(shown.contains("name=\"stages.0.gate.max_failed\"") && shown.contains("name=\"stages.0.gate.max_rejected\""), "{shown}");
    assert!(shown.contains("name=\"gate.max_failed\"") && shown.contains("name=\"gate.max_rejected\""), "{shown}");
    assert!(shown.contains("There are no finished updates of devices of the type gateway") && !shown.contains("This fleet"), "{shown}");
    let review = page("step=review&stages.0.gate.max_failed=2&stages.0.gate.max_rejected=0").await;
    assert!(review.contains("halts when more than 2 devices could not install; halts when more than 0 devices refused"), "{review}");

    // The only device of the fleet refuses.
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let gate = GateSpec { max_rejected: Some(0), ..GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![StageSpec { gate, ..stage }]);
    let (author, rollouts) = (b.world.person("oli", Role::Operator).await, b.world.fleet.rollouts());
    let id = rollouts.draft(&author, spec).await.unwrap();
    rollouts.submit(&author, &id).await.unwrap();
    let digest = rollouts.detail(&b.admin, &id).await.unwrap().digest;
    rollouts.approve(&b.admin, &id, &digest, "fine").await.unwrap();
    let update_id = rollouts.poll(device).await.unwrap().unwrap().update_id;
    let state = wire::states::UpdateState::Rejected;
    let refuses = wire::device::StatusReport {
        update_id,
        state,
        progress: None,
        code: None,
        detail: None,
        firmware: None,
        deferred_until: None,
        slots: None,
    };
    rollouts.report(device, refuses).await.unwrap();
    rollouts.tick().await.unwrap();
    let halted = b.page(&format!("/rollouts/{id}")).await.replace("<!>", "");
    assert!(halted.contains("1 device refused it; none may") && halted.contains("halts above 0"), "{halted}");

    let shown = page("step=gates").await;
    assert!(
        shown.contains("This fleet, last 30 days") && shown.contains("how 1 finished update of devices of the type gateway"),
        "{shown}"
    );
    assert!(shown.contains("0 % of 1") && shown.contains("100 % of 1") && shown.contains("1 of 1 (100 %)"), "{shown}");
    assert!(shown.contains("Empty: no limit of its own. This fleet: 1 of 1 (100 %)."), "beside the gate of the whole, too: {shown}");
    assert!(shown.contains("no device of this type has succeeded and then been watched"), "{shown}");
    // Also while something else of the plan can't be read, and then with what is wrong.
    let wrong = page("step=gates&stages.0.gate.max_rejected=few").await;
    assert!(wrong.contains("Write how many devices may") && wrong.contains("This fleet, last 30 days"), "{wrong}");
    let idle = page("step=gates&stages.0.gate.max_errors=2&stages.0.gate.max_failed=2").await;
    assert!(idle.contains("The gate says no at 2 errors of any kind"), "{idle}");
}

#[tokio::test]
async fn an_edit_is_previewed_by_the_draw_of_the_rollout_that_is_edited() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    let id = b.world.fleet.rollouts().draft(&b.admin, spec).await.unwrap().to_string();
    let plan = super::super::guard::encode(&format!("name=Radio&release={release}&stages.0.name=All&stages.0.reach=100"));
    let draw = async |more: String| {
        let (status, _, body) =
            b.send("GET", &format!("/rpc/rollout_preview?plan={plan}{more}"), FORM, Vec::new(), "application/json").await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).unwrap()["draw"].as_str().unwrap().to_owned()
    };
    assert_eq!(draw(format!("&editing={id}")).await, id);
    assert_ne!(draw(String::new()).await, id, "a plan of its own draws anew");
}

#[tokio::test]
async fn whoever_approves_reads_the_dry_run_where_they_sign() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    let author = b.world.person("oli", Role::Operator).await;
    let rollouts = b.world.fleet.rollouts();
    let id = rollouts.draft(&author, spec).await.unwrap();
    let page = async |path: String| b.page(&path).await.replace("<!>", "");
    assert!(!page(format!("/rollouts/{id}")).await.contains("What it would do, as of now"), "nothing is to be signed yet");
    rollouts.submit(&author, &id).await.unwrap();
    let shown = page(format!("/rollouts/{id}")).await;
    assert!(shown.contains("What it would do, as of now") && shown.contains("for 1 device in 1 stage, "), "{shown}");
    let question = page(format!("/rollouts/{id}/approve")).await;
    assert!(question.contains("What it would do, as of now") && question.contains(" to download in all, digest "), "{question}");
}

#[tokio::test]
async fn freezes_are_made_and_ended_and_the_wizard_says_what_is_wrong_with_a_window() {
    let b = Browser::new().await;
    let page = async |path: &str| b.followed(path).await.1;
    assert!(page("/freezes").await.contains("No freeze"));
    let refused = b.post("freeze_new", &[("name", "Year's end"), ("from", ""), ("until", "soon")]).await;
    assert_eq!(refused.unwrap_err(), (400, "invalid".to_owned()));
    let freeze = [("name", "Year's end"), ("from", ""), ("until", "2026-12-31T06:00"), ("reason", "nobody is there")];
    assert_eq!(b.post("freeze_new", &freeze).await.unwrap(), "/freezes");
    let shown = page("/freezes").await;
    assert!(shown.contains("Holds") && shown.contains("nobody is there") && shown.contains("/rpc/freeze_end"));

    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let plan = |until: &str| {
        format!(
            "/rollouts/new?step=stages&name=Radio&release={release}&window.days=sat&window.days=sun&window.from=22:00&window.until={until}"
        )
    };
    assert!(page(&plan("22:00")).await.contains("The window never opens"));
    let shown = page(&plan("02:00")).await;
    assert!(
        shown.contains("First opens") && shown.contains("It starts in the freeze") && shown.contains("no zone of their own"),
        "{shown}"
    );
    let nowhere = page(&plan("02:00").replace("step=stages", "step=banana")).await;
    assert!(nowhere.contains("“banana” is no step. This is shown without it."), "{nowhere}");
    assert!(page(&format!("{}&window.zone=Berlin", plan("02:00"))).await.contains("The nearest there is: Europe/Berlin."));

    let id = b.api("GET", "/freezes", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let other = [("name", "Stocktaking"), ("from", ""), ("until", "2026-12-30T06:00")];
    assert_eq!(b.post("freeze_new", &other).await.unwrap(), "/freezes");
    let question = page(&format!("/freezes?end={id}")).await;
    assert!(question.contains("1 other freeze still holds when you end it.") && question.contains("Reason (required)"), "{question}");
    assert_eq!(b.post("freeze_end", &[("id", &id), ("reason", " ")]).await.unwrap_err(), (400, "invalid".to_owned()), "it is said why");
    assert_eq!(b.post("freeze_end", &[("id", &id), ("reason", "the fix is urgent")]).await.unwrap(), "/freezes");
    let shown = page("/freezes").await;
    assert!(shown.contains("31 Dec 2026 06:00 UTC. 1 other freeze still holds.") && !shown.contains("Rollouts offer again."), "{shown}");
    let all = b.api("GET", "/freezes", Vec::new()).await;
    let other = all["items"].as_array().unwrap().iter().find(|f| f["name"] == "Stocktaking").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(b.post("freeze_end", &[("id", &other), ("reason", "counted")]).await.unwrap(), "/freezes");
    let shown = page("/freezes").await;
    assert!(
        shown.contains("Lifted") && shown.contains("end was lifted by ada on ") && shown.contains("31 Dec 2026 06:00 UTC. Rollouts"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_wizard_tells_of_the_release_that_is_chosen_and_of_who_may_approve() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let page = async |path: String| b.followed(&path).await.1;
    assert!(page("/rollouts/new".to_owned()).await.contains("Choose a release: what it is"));
    let shown = page(format!("/rollouts/new?step=firmware&name=Radio&release={release}")).await;
    for said in [
        "gateway 1.0.0</h2>",
        "all revisions",
        "any version",
        "build; 1 of 1 signature needed",
        "1 of 1 device can take it",
        "without notes",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    // A release that is nowhere is a problem of the plan, not of the page.
    let nowhere = page("/rollouts/new?step=firmware&name=Radio&release=rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".to_owned()).await;
    assert!(nowhere.contains("There is no such release"), "{nowhere}");

    let review = format!("/rollouts/new?step=review&name=Radio&release={release}&stages.0.name=All&stages.0.reach=100");
    let alone = page(review.clone()).await;
    assert!(alone.contains("Approval it will take") && alone.contains("beside its author there are 0 admins"), "{alone}");
    assert!(alone.contains("aria-describedby=\"cant-send\"") && !alone.contains("value=\"submit\""), "it is not sent in vain");
    b.world.person("bea", Role::Admin).await;
    let two = page(review).await;
    assert!(two.contains("1 other person than its author") && two.contains("bea") && two.contains("value=\"submit\""), "{two}");
}

#[tokio::test]
async fn the_wizard_writes_selectors_by_buttons_and_begins_with_one_site() {
    let b = Browser::new().await;
    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let tags = [("q", "type:gateway"), ("add", "eu"), ("expected", "1"), ("back", "/devices")];
    b.post("devices/tags", &tags).await.unwrap();
    let at = |step: &str, more: &str| {
        format!("/rollouts/new?step={step}&name=Radio&release={release}&stages.0.name=All&stages.0.reach=100{more}")
    };
    let page = async |path: String| b.followed(&path).await.1;
    // What is not counted at once is left out, and is there for who asks next.
    let mut shown = String::new();
    for _ in 0..50 {
        shown = page(at("devices", "")).await;
        if shown.contains("value=\"with.tag:eu\"") {
            break;
        }
    }
    assert!(shown.contains("value=\"with.tag:eu\""), "{shown}");
    let chosen = page(at("devices", "&selector=online:no&do=with.tag:eu")).await;
    assert!(chosen.contains("value=\"online:no tag:eu\"") && chosen.contains("Remove tag:eu"), "{chosen}");
    assert!(page(at("devices", "&selector=online:no&do=without.0")).await.contains("Preview, 1 device"));

    assert!(page(at("stages", "")).await.contains("<option value=\"tag:eu\">1 device</option>"));
    let first = page(at("stages", "&do=first&first=id:gw-1")).await;
    assert!(
        first.contains("name=\"stages.0.reach\" value=\"id:gw-1\"") && first.contains("name=\"stages.2.reach\" value=\"100\""),
        "{first}"
    );
    let unsaid = page(at("stages", "&do=first&first=")).await;
    assert!(unsaid.contains("Choose which devices go first") && !unsaid.contains("name=\"stages.1.reach\""), "{unsaid}");
}

#[tokio::test]
async fn rules_groups_and_a_broken_glass_are_seen_and_decided_on_without_scripts() {
    let b = Browser::new().await;
    // The renderer puts marks between a sentence and what is put into it.
    let page = async |path: &str| b.page(path).await.replace("<!>", "");
    let shown = page("/approvals").await;
    assert!(
        shown.contains("Every rollout needs 1 approval, by people other than its author.") && shown.contains("1 approval takes 2 admins")
    );
    assert!(shown.contains("There is no group yet") && shown.contains("Nobody may start a rollout without its approvals."));

    let (eve, max) = (b.world.person("eve", Role::Admin).await, b.world.person("max", Role::Admin).await);
    let eves = eve.user().unwrap().to_string();
    // As a browser sends it, with the brackets written out.
    let group = [("name", "safety"), ("members%5B%5D", eves.as_str())];
    assert_eq!(b.post("approver_group_new", &group).await.unwrap(), "/approvals");
    let id = b.api("GET", "/approver-groups", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let share = format!("{id}=1");
    let rule = [("device_type", ""), ("needed", "2"), ("from%5B%5D", share.as_str())];
    assert_eq!(b.post("approval_rule", &rule).await.unwrap(), "/approvals");
    let bad = [("device_type", ""), ("needed", "2"), ("from%5B%5D", "many")];
    assert_eq!(b.post("approval_rule", &bad).await.unwrap_err().0, 404);
    let shown = page("/approvals").await;
    assert!(shown.contains("Every rollout needs 2 approvals, 1 of them by safety, by people other than its author."), "{shown}");
    assert!(shown.contains("A rule names it.") && shown.contains("aria-disabled"), "why the group can't be deleted");
    assert_eq!(b.post("approver_group_delete", &[("id", &id)]).await.unwrap_err(), (409, "not_now".to_owned()));
    let weaker = [("device_type", ""), ("needed", "1")];
    assert_eq!(b.post("approval_rule", &weaker).await.unwrap(), "/approvals");
    assert!(page("/approvals").await.contains("Keep 2 approvals, 1 of them by safety"));
    assert_eq!(b.post("approval_rule", &rule).await.unwrap(), "/approvals");
    let terms = [("request_days", "7"), ("start_days", "30"), ("review_hours", "24"), ("break_glass", "true")];
    assert_eq!(b.post("approval_terms", &terms).await.unwrap(), "/approvals");
    assert!(page("/approvals").await.contains("on an admin may start a rollout in an emergency"));
    b.world.clock.advance(24 * 3_600_000);
    // Everybody signs in again by then.
    let signed_in = b.world.fleet.access().sign_in("ada@example.com", "a long enough password", &Origin::default()).await.unwrap();
    let b = Browser { session: format!("fw_access={}", signed_in.access), ..b };
    let page = async |path: &str| b.page(path).await.replace("<!>", "");

    let (release, _) = b.release().await;
    b.world.device("gw-1", "gateway").await;
    let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]);
    let rollouts = b.world.fleet.rollouts();
    let rollout = rollouts.draft(&b.admin, spec).await.unwrap();
    rollouts.submit(&b.admin, &rollout).await.unwrap();
    let shown = page("/approvals").await;
    assert!(
        shown.contains("Nothing waits for you") && shown.contains("1 rollout waits, 0 for you."),
        "one's own is nobody else's: {shown}"
    );
    let shown = page("/approvals?tab=waiting").await;
    assert!(shown.contains("0 of 2 approvals, 0 of 1 by safety") && shown.contains("The request expires"), "{shown}");
    let here = format!("/rollouts/{rollout}");
    let shown = page(&here).await;
    assert!(shown.contains("Break glass…") && shown.contains("The request expires"));
    let question = page(&format!("{here}/break-glass")).await;
    assert!(question.contains("two other admins review it afterwards") && question.contains("Type Radio fix to confirm"), "{question}");

    let (id, digest) = (rollout.to_string(), rollouts.detail(&b.admin, &rollout).await.unwrap().digest.to_string());
    let order =
        [("id", id.as_str()), ("verb", "break-glass"), ("digest", digest.as_str()), ("reason", "the field burns"), ("back", here.as_str())];
    unconfirmed(b.post("rollout_act", &order).await);
    assert_eq!(b.post("rollout_act", &[&order[..], &[("confirm", "Radio fix")]].concat()).await.unwrap(), here);
    let shown = page(&here).await;
    assert!(shown.contains("Started without approval.") && shown.contains("the field burns"), "{shown}");
    assert!(page("/").await.contains("Radio fix was started by ada without approval"), "the overview says so");
    let shown = page("/approvals").await;
    assert!(shown.contains("1 rollout was started without approval.") && shown.contains("You broke the glass"), "{shown}");
    let glass = b.api("GET", "/break-glass", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let own = b.post("glass_review", &[("id", &glass), ("say", "accept"), ("remark", "fine")]).await;
    assert_eq!(own.unwrap_err(), (409, "not_now".to_owned()));
    assert_eq!(b.post("glass_review", &[("id", &glass), ("say", "shrug"), ("remark", "?")]).await.unwrap_err().1, "unknown_answer");

    let theirs = b.world.fleet.access().sign_in("eve@example.com", "a long enough password", &Origin::default()).await.unwrap();
    let b = Browser { session: format!("fw_access={}", theirs.access), ..b };
    let (_, _, shown) = b.send("GET", "/approvals", FORM, Vec::new(), "text/html").await;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("/rpc/glass_review") && shown.contains("Object and halt it"), "{shown}");
    let stop = [("id", glass.as_str()), ("say", "stop"), ("remark", "not that bad")];
    assert_eq!(b.post("glass_review", &stop).await.unwrap(), "/approvals");
    let (_, _, shown) = b.send("GET", &here, FORM, Vec::new(), "text/html").await;
    assert!(String::from_utf8(shown).unwrap().contains("eve objected: “not that bad”"));
    let fleet = &b.world.fleet;
    assert_eq!(fleet.rollouts().detail(&max, &rollout).await.unwrap().row.state, wire::states::RolloutState::Halted);
}
