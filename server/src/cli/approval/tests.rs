//! What approvals take, an inbox, and an emergency from its start to its reviews, on both engines.

use super::*;
use crate::cli::rollout::status;
use fleet::{
    db::EngineKind,
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{World, manifest},
};
use rstest::rstest;
use wire::{
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    states::{Role, RolloutState},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn rules_are_set_and_an_emergency_is_reviewed_beside_the_server(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (ada, oli) = (w.admin().await, w.operator().await);
    let (eve, max) = (w.person("eve", Role::Admin).await, w.person("max", Role::Admin).await);
    let folder = tempfile::tempdir().unwrap();
    let token = async |of: &Actor| {
        let secret = w.fleet.access().create_token(of, "ci", Role::Admin, 9).await.unwrap().secret;
        let file = folder.path().join(of.label());
        std::fs::write(&file, secret).unwrap();
        file
    };
    let (adas, eves, maxs) = (token(&ada).await, token(&eve).await, token(&max).await);
    let run = async |command| answer(&w.fleet, command).await.map_err(|e| format!("{e:#}"));

    let rule = |from: &str| Approval::Rule { needed: 2, from: vec![from.into()], device_type: String::new() };
    assert!(run(rule("safety=1")).await.unwrap_err().contains("no group of approvers safety"));
    let strangers = Approval::Group { name: "safety".into(), members: vec!["mallory@example.com".into()] };
    assert!(run(strangers).await.unwrap_err().contains("nobody here has the address"));
    let members = vec!["eve@example.com".into(), "MAX@example.com".into()];
    assert_eq!(run(Approval::Group { name: "safety".into(), members }).await.unwrap(), "safety: eve, max\n");
    assert!(run(rule("safety")).await.unwrap_err().contains("write for example safety=1"));
    assert_eq!(run(rule("safety=1")).await.unwrap(), "every rollout: 2 approvals, 1 of them by safety\n");
    assert!(run(Approval::Ungroup { name: "safety".into() }).await.unwrap_err().contains("Change the rule first"));
    let own = Approval::Rule { needed: 2, from: vec![], device_type: "gateway".into() };
    assert!(run(own).await.unwrap().ends_with("gateway: 2 approvals\n"));
    assert!(run(Approval::DropRule { device_type: "gateway".into() }).await.unwrap().contains("no rule of its own"));
    let on = Approval::Terms { request_days: None, start_days: Some(0), review_hours: None, break_glass: Some(Switch::On) };
    let said = run(on).await.unwrap();
    assert!(said.contains("for 7 days, an approval holds for ever.") && said.contains("may be broken from"), "{said}");
    w.clock.advance(24 * 3_600_000);

    let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
    w.fleet.releases().add_key(&ada, "build", &key.public_pem()).await.unwrap();
    let release = w.publish(&oli, &key, &manifest("2.0.0", 2, &[("fw.bin", "raw", b"new")]), &[("fw.bin", b"new")]).await;
    w.device("gw-1", "gateway").await;
    let all = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let id = w.fleet.rollouts().draft(&oli, RolloutSpec::new("Radio".into(), release, vec![all])).await.unwrap();
    assert_eq!(run(Approval::Inbox).await.unwrap(), "Nothing waits.\n");
    w.fleet.rollouts().submit(&oli, &id).await.unwrap();
    let digest = w.fleet.rollouts().detail(&ada, &id).await.unwrap().digest;
    let inbox = run(Approval::Inbox).await.unwrap();
    assert!(inbox.contains("0 of 2 approvals, 0 of 1 by safety; expires") && inbox.contains(digest.as_str()), "{inbox}");
    assert!(
        inbox.contains("  1 device would get it") && inbox.contains("  Stage 1 All: 1 device: gw-1\n"),
        "what it would do stands beside the digest: {inbox}"
    );
    for line in [
        "    stages:\n      - name: All\n",
        "        gate:\n",
        "          success_percent: 95",
        "    release:\n      device_type: gateway\n",
    ] {
        assert!(inbox.contains(line), "what the digest signs stands below it, {line:?} in: {inbox}");
    }
    let called = |name: &str, token_file| Approval::BreakGlass {
        which: Which { rollout: name.parse().unwrap() },
        digest: digest.clone(),
        reason: "fire".into(),
        token_file,
    };
    assert!(run(called("Rodeo", adas.clone())).await.unwrap_err().contains("there is no rollout Rodeo"));
    let break_glass = |token_file| called("Radio", token_file);
    let stands = async || status(&w.fleet.rollouts().detail(&ada, &id).await.unwrap(), 0);
    assert!(!stands().await.contains("GLASS"));
    assert!(run(break_glass(adas.clone())).await.unwrap().contains("Two other admins review that"));
    assert_eq!(w.fleet.rollouts().detail(&ada, &id).await.unwrap().row.state, RolloutState::Running);
    let loud = stands().await;
    assert!(loud.contains("\nTHE GLASS IS BROKEN: started without its approvals (0 of 2, missing 1 of safety) by ada"), "{loud}");
    assert!(loud.contains(": fire\n2 more admins have to review that, by "), "{loud}");
    let told = run(Approval::Inbox).await.unwrap();
    let what = "  gateway 2.0.0: every device of the type (1 device); approvals: 0 of 2, missing 1 of safety; plan: ";
    assert!(told.contains(what), "{told}");
    assert!(run(break_glass(eves.clone())).await.unwrap_err().contains("It has begun already"));
    let glass = w.fleet.rollouts().glass_breaks(&ada, None, None).await.unwrap().items[0].id.clone();
    let review = |say, token_file| Approval::Review { id: glass.clone(), say, remark: "looked".into(), token_file };
    assert!(run(review(Say::Accept, adas)).await.unwrap_err().contains("You broke the glass"));
    assert!(run(review(Say::Stop, eves)).await.unwrap().contains("eve objects: looked"));
    assert_eq!(w.fleet.rollouts().detail(&ada, &id).await.unwrap().row.state, RolloutState::Halted);
    assert!(stands().await.contains("\n1 more admin has to review that, by "));
    assert!(run(review(Say::Accept, maxs)).await.unwrap().contains("(reviewed)"));
    assert!(!stands().await.contains("GLASS"), "it was reviewed");
    assert_eq!(run(Approval::Inbox).await.unwrap(), "Nothing waits.\n");
}
