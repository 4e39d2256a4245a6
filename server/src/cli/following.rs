//! What `fleetward ca` says of when an authority has to be followed, and by what. Refuses to know when that is: the domain says so.

use wire::{Timestamp, pki::AuthorityStanding};

/// What stands behind an authority in the list.
pub(super) fn mark(s: &AuthorityStanding, now: Timestamp) -> &'static str {
    match (s.is_due(now), s.root_first) {
        (true, true) => "  FOLLOW ITS ROOT NOW",
        (true, false) => "  FOLLOW IT NOW",
        (false, _) => "",
    }
}

/// The lines about one authority; none of one that need not be followed.
pub(super) fn lines(s: &AuthorityStanding) -> Option<String> {
    let from = s.follow_from?;
    let whose = if s.row.kind == "root" { "the certificates below it" } else { "its certificates" };
    let mut lines = format!("  follow       from {from} on: {} days before its end, for what lives longest of {whose}", s.ahead_days());
    if s.root_first {
        lines +=
            "\n  by a root    one more under its root would be cut to the root's end and be due at once:  fleetward ca stage --kind root";
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use wire::pki::{MAX_FACTORY_HOURS, ProfileRules};

    const YEAR: i64 = 365 * 86_400_000;

    #[tokio::test]
    async fn r9_it_is_said_whether_the_root_has_to_be_followed_instead() {
        let w = World::open(EngineKind::Sqlite).await;
        let (admin, pki) = (w.admin().await, w.fleet.pki());
        let said = async |kind: &str| {
            let all = pki.authorities_page(&admin).await.unwrap().authorities;
            let of = all.into_iter().find(|a| a.row.kind == kind).unwrap();
            (mark(&of, w.clock_now()), lines(&of).unwrap())
        };
        for kind in ["root", "device", "server"] {
            let (mark, lines) = said(kind).await;
            assert!(mark.is_empty() && lines.contains("180 days before its end") && !lines.contains("ca stage"), "{kind}: {lines}");
        }
        let plant = ProfileRules { hours: MAX_FACTORY_HOURS, factory: true, keys: Vec::new(), rekey: None };
        pki.set_profile(&admin, "plant", plant).await.unwrap();
        assert_eq!((said("device").await.0, said("root").await.0), ("  FOLLOW IT NOW", ""), "one more gives what this one can't");
        w.clock.advance(11 * YEAR);
        let (mark, lines) = said("root").await;
        assert!(mark == "  FOLLOW IT NOW" && lines.ends_with("of the certificates below it"), "{mark} {lines}");
        let (mark, lines) = said("device").await;
        assert!(mark == "  FOLLOW ITS ROOT NOW" && lines.ends_with("fleetward ca stage --kind root"), "{mark} {lines}");
    }
}
