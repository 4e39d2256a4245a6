//! `fleetward release recall`: withdraws a release and says what that has left to do. Refuses to know what a recall does.

use super::showing::headed;
use anyhow::Result;
use app::ui::number::counted;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{
    ids::ReleaseId,
    releases::{Recalled, ReleaseDetail},
};

/// Recalls it, and says who runs it, what becomes of its rollouts and what the way back is, in whole lines.
pub(super) async fn recall(fleet: &Fleet, actor: &Actor, id: &ReleaseId, reason: &str) -> Result<String> {
    fleet.releases().recall(actor, id, reason).await?;
    let release = Box::pin(fleet.release_detail(actor, id)).await?;
    let left = release.recalled.as_ref().map(|recalled| left(&release, recalled)).unwrap_or_default();
    Ok(format!("{}\n{left}", headed(&release.row)))
}

/// Pure: what a recall leaves to do.
pub(super) fn left(release: &ReleaseDetail, recalled: &Recalled) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = match recalled.running {
        0 => writeln!(out, "No device runs it."),
        n => writeln!(out, "{} it. {}.", counted(n, "device runs", "devices run"), recalled.way()),
    };
    if recalled.halted.is_empty() {
        let _ = writeln!(out, "No rollout with it is under way.");
    }
    for rollout in &release.rollouts {
        if let Some(what) = recalled.makes_of(rollout) {
            let _ = writeln!(out, "{} {}: it {}.", rollout.id, rollout.name, what.words());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, releases::signing::SigningKeyPair, testing::World};
    use rstest::rstest;
    use wire::{releases::ReleaseUse, rollouts::Counts, states::RolloutState};

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_recall_says_what_it_leaves_to_do(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (admin, shell) = (w.admin().await, Actor::shell(w.org.clone()));
        let pair = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
        w.fleet.releases().add_key(&admin, "build", &pair.public_pem()).await.unwrap();
        let manifest = fleet::testing::manifest("1.0.0", 1, &[("fw.bin", "raw", b"firmware")]);
        let id = w.publish(&admin, &pair, &manifest, &[("fw.bin", b"firmware".as_slice())]).await;
        let said = recall(&w.fleet, &shell, &id, "burns").await.unwrap();
        assert_eq!(said, format!("{id} gateway 1.0.0 (sequence 1): recalled\nNo device runs it.\nNo rollout with it is under way.\n"));

        let release = Box::pin(w.fleet.release_detail(&shell, &id)).await.unwrap();
        let recalled = Recalled { running: 2, ..release.recalled.clone().unwrap() };
        let said = left(&release, &recalled);
        assert!(said.starts_with("2 devices run it. Publish a release with a higher sequence that mends this"), "{said}");
        // A draft again that had waited for approval, and one that was never sent.
        let draft = |n: u8, name: &str| ReleaseUse {
            id: format!("rol_{n:032x}").parse().unwrap(),
            name: name.to_owned(),
            state: RolloutState::Draft,
            stage: 0,
            stages: 1,
            counts: Counts::default(),
        };
        let rollouts = vec![draft(1, "Nights"), draft(2, "Days")];
        let recalled = Recalled { voided: vec![rollouts[0].id.clone()], ..recalled };
        let said = left(&ReleaseDetail { rollouts, ..release }, &recalled);
        let void = format!("{} Nights: it is a draft again: its request for approval is void.\n", recalled.voided[0]);
        assert!(said.ends_with(&void) && !said.contains("Days"), "{said}");
        let shown = super::super::showing::told(&w.fleet, &shell, &id).await.unwrap();
        assert!(shown.contains(": burns\n") && shown.contains("No device runs it."), "{shown}");
    }
}
