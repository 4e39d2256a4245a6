//! What happened to a device, out of the rooms that know of it, in one order. Owns no table and no rule.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed},
};
use std::{cmp::Reverse, collections::BTreeSet};
use wire::{
    Timestamp,
    activity::{ActivityKind, ActivityPage, ActivityQuery, Happening},
    ids::DeviceId,
};

/// What a page has; more where several things happened in its last instant.
const ROWS: usize = 50;
/// What each source is asked for. So much more than a page, because a page ends between two instants and not in the middle of one.
const ASKED: i64 = 100;

impl Fleet {
    /// A page of what happened to a device, newest first. Whoever may not read the audit log is told the rest.
    pub async fn activity(&self, actor: &Actor, device_id: &DeviceId, query: &ActivityQuery) -> Result<ActivityPage> {
        let device = self.devices().find(actor, device_id).await?;
        let may_audit = allowed(actor, Act::Audit);
        let before = Timestamp(query.before.unwrap_or(i64::MAX));
        let asked = |kind| query.show == ActivityKind::All || query.show == kind;
        let mut all = Vec::new();
        if may_audit && asked(ActivityKind::Deeds) {
            let mut objects = BTreeSet::from([device_id.as_str().to_lowercase()]);
            objects.extend(self.pki().certificate_ids(device).await?.into_iter().map(|id| id.as_str().to_lowercase()));
            let deeds = self.access().deeds_about_device(actor, &objects, before, ASKED).await?;
            all.extend(deeds.into_iter().map(Happening::Deed));
        }
        if asked(ActivityKind::Connections) {
            all.extend(self.devices().comings(device, before, ASKED).await?);
        }
        if asked(ActivityKind::Updates) {
            all.extend(self.rollouts().turns_of(device, before, ASKED).await?);
        }
        let (items, next) = page(all);
        Ok(ActivityPage { items, next, may_audit })
    }
}

/// Pure: the first page of these, and the instant before which the next one begins. What happened in one instant stays together.
fn page(mut all: Vec<Happening>) -> (Vec<Happening>, Option<Timestamp>) {
    all.sort_by_key(|happening| Reverse(happening.at()));
    let Some(edge) = all.get(ROWS - 1).map(Happening::at) else { return (all, None) };
    let shown = all.iter().take_while(|happening| happening.at() >= edge).count();
    let next = (shown < all.len()).then_some(edge);
    all.truncate(shown);
    (all, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{db::EngineKind, devices::Connected, testing::World};
    use rstest::rstest;
    use std::collections::BTreeMap;
    use wire::{
        device::{Hello, Running},
        revocation::RevocationReason,
        states::DeviceStep,
    };

    fn came(at: i64) -> Happening {
        Happening::Connected { at: Timestamp(at), address: String::new() }
    }

    #[test]
    fn a_page_ends_between_two_instants() {
        assert_eq!(page(vec![came(1), came(3), came(2)]), (vec![came(3), came(2), came(1)], None));
        let (first, next) = page((0..120).map(came).collect());
        assert_eq!((first.len(), next), (ROWS, Some(Timestamp(70))));
        let (tied, next) = page((0..120).map(|n| came(n / 40)).collect());
        assert_eq!((tied.len(), next), (80, Some(Timestamp(1))), "what happened at once is not torn apart");
        assert_eq!(page((0..50).map(came).collect()).1, None);
    }

    /// What happened, in a word each.
    fn words(page: &ActivityPage) -> Vec<&str> {
        fn word(happening: &Happening) -> &str {
            match happening {
                Happening::Deed(entry) => &entry.action,
                Happening::Connected { .. } => "connected",
                Happening::Disconnected { .. } => "disconnected",
                Happening::Offered { .. } => "offered",
                Happening::Ended { .. } => "ended",
            }
        }
        page.items.iter().map(word).collect()
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_device_tells_what_was_done_to_it_and_when_it_was_there(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (oli, vic) = (w.operator().await, w.viewer().await);
        let devices = w.fleet.devices();
        let id: DeviceId = "gw-1".parse().unwrap();
        let device = w.device("gw-1", "gateway").await;
        w.device("gw-2", "gateway").await;
        // Other things may have the same name.
        devices.create_group(&oli, "gw-1").await.unwrap();

        w.clock.advance(1_000);
        let firmware = Running { version: "1.0.0".into(), sequence: 1, device_type: "gateway".into(), hardware: "A".into() };
        let hello = Hello {
            agent: "t".into(),
            boot_id: "b".into(),
            firmware,
            attributes: BTreeMap::new(),
            stream: "s".into(),
            trust_bundle: 0,
            slots: None,
        };
        devices.connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello });
        devices.flush_presence(true).await.unwrap();
        w.clock.advance(1_000);
        // As somebody has typed it.
        devices.set_tags(&oli, &"GW-1".parse().unwrap(), vec!["eu".into()]).await.unwrap();
        w.clock.advance(1_000);
        devices.disconnected(&w.org, device, "went away");
        devices.flush_presence(true).await.unwrap();
        w.clock.advance(1_000);
        devices.change(&oli, &id, DeviceStep::Suspend).await.unwrap();
        w.clock.advance(1_000);
        let certificate = w.fleet.pki().certificate_ids(device).await.unwrap().remove(0);
        w.fleet.pki().revoke(&oli, &certificate, RevocationReason::Superseded).await.unwrap();

        let all = w.fleet.activity(&oli, &id, &ActivityQuery::default()).await.unwrap();
        let said = words(&all);
        assert_eq!(said[..5], ["certificate.revoke", "device.suspend", "disconnected", "device.tags", "connected"], "{said:?}");
        assert!(said.contains(&"certificate.issue") && said.contains(&"device.enrol"), "{said:?}");
        assert!(said.iter().all(|word| !word.starts_with("group.")), "{said:?}");
        assert!(
            matches!(&all.items[2], Happening::Disconnected { since, reason, .. } if all.items[2].at().since(*since) == 2_000 && reason == "went away")
        );
        assert_eq!((all.next, all.may_audit), (None, true));

        // In parts, by kind and by time.
        let part = async |show, before| w.fleet.activity(&oli, &id, &ActivityQuery { show, before }).await.unwrap();
        assert_eq!(words(&part(ActivityKind::Connections, None).await), ["disconnected", "connected"]);
        assert_eq!(words(&part(ActivityKind::Connections, Some(all.items[2].at().0)).await), ["connected"]);
        assert!(part(ActivityKind::Updates, None).await.items.is_empty());
        assert_eq!(words(&part(ActivityKind::Deeds, Some(all.items[1].at().0)).await)[0], "device.tags");

        // Who may not read the audit log sees when it was there, and that there is more.
        let seen = w.fleet.activity(&vic, &id, &ActivityQuery::default()).await.unwrap();
        assert_eq!((words(&seen), seen.may_audit), (vec!["disconnected", "connected"], false));
        assert!(w.fleet.activity(&vic, &"gw-9".parse().unwrap(), &ActivityQuery::default()).await.is_err());
    }
}
