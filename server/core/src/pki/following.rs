//! When an authority has to be followed: an issuing authority while at least twice the longest life of its leaves is left of it, so that what
//! it issues at last is neither cut short nor outlives the change; a root while as much is left of it for all that is issued below it, because none of
//! that outlives it. And how long the one that follows has to live. Refuses to make it: `generations.rs` and `rollover.rs` do.

use super::{
    Error, Pki,
    authorities::{self, Authority},
    profile::{BACKDATE, HOUR, Kind, RENEWED},
    store,
};
use crate::db::Conn;
use arc_swap::ArcSwap;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::common_name,
    states::AuthorityState,
};

/// One that has to be followed.
pub(crate) struct Due {
    pub(crate) id: AuthorityId,
    pub(crate) name: String,
    pub(crate) ends: Timestamp,
    pub(crate) since: Timestamp,
    /// Whether it is a root.
    pub(crate) root: bool,
    /// Whether the next one is there already and only has to take over.
    pub(crate) staged: bool,
}

/// When an authority has to be followed, for the machine room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToFollow {
    /// Its id.
    pub authority: AuthorityId,
    /// Whom it issues to: `device` or `server`; or `root`.
    pub kind: &'static str,
    /// The how manieth of its kind it is.
    pub generation: i64,
    /// Seconds until it has to be followed by the next one; below 0 that is overdue.
    pub seconds: i64,
}

/// The longest life of each organization's device certificates in milliseconds, as of the last tick.
pub(super) type Lives = ArcSwap<HashMap<OrgId, i64>>;

/// How long before its end an authority has to be followed whose leaves live that long: twice as long. What a factory profile gives lives longer than an
/// authority could twice over, and nobody renews it: then it is once, so that nothing is cut short.
const fn ahead(longest: i64) -> i64 {
    if longest <= RENEWED {
        2 * longest
    } else if longest < 2 * RENEWED {
        2 * RENEWED
    } else {
        longest
    }
}

/// How long the next authority for devices lives: five years, and where there is a factory profile as much longer as what that gives.
const fn next_life(longest: i64) -> i64 {
    Kind::DeviceAuthority.life() + if longest > RENEWED { longest } else { 0 }
}

/// The longest life of what is issued by an authority, or below it, where devices' certificates live for `devices` milliseconds at most. None of one of
/// claims, which is followed by itself.
fn longest_below(kind: Kind, devices: i64) -> Option<i64> {
    match kind {
        Kind::DeviceAuthority => Some(devices),
        Kind::ServerAuthority => Some(Kind::Server.life()),
        Kind::Root => Some(devices.max(Kind::Server.life())),
        _ => None,
    }
}

/// From when on an authority has to be followed, where devices' certificates live for `devices` milliseconds at most. None for one that is not active, and
/// for one of claims.
pub(super) fn follow_from(kind: Kind, state: AuthorityState, ends: Timestamp, devices: i64) -> Option<Timestamp> {
    let longest = longest_below(kind, devices)?;
    (state == AuthorityState::Active).then(|| ends.plus(-ahead(longest)))
}

/// Whether an issuing authority that has to be followed by now is not helped by one more under a root that ends then: cut to the root's end, that one would
/// have to be followed at once. The root has to be followed by then, too, and what comes with the next root follows this one.
pub(super) fn root_first(
    kind: Kind,
    state: AuthorityState,
    (ends, root_ends): (Timestamp, Timestamp),
    devices: i64,
    now: Timestamp,
) -> bool {
    let due = |ends| follow_from(kind, state, ends, devices).is_some_and(|from| from <= now);
    kind != Kind::Root && due(ends) && due(root_ends)
}

impl Pki {
    /// The longest life of the organization's device certificates in milliseconds: of those without a profile, of what any profile gives now, and of active
    /// certificates from before their profile was made shorter.
    pub(super) async fn longest_life(&self, on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
        let given = store::longest_profile(on, org).await?.map_or(0, |hours| hours.saturating_mul(HOUR));
        let longest = given.max(Kind::Device.life());
        Ok(store::longest_leaf(on, org, longest + BACKDATE).await?.map_or(longest, |life| life - BACKDATE))
    }

    /// How long the next authority of this kind lives, in milliseconds.
    pub(super) async fn next_life(&self, on: &mut impl Conn, org: &OrgId, kind: Kind) -> Result<i64, Error> {
        if kind == Kind::DeviceAuthority { Ok(next_life(self.longest_life(on, org).await?)) } else { Ok(kind.life()) }
    }

    /// Worker: asks for the longest life of each organization's certificates, so that the machine room's figures need no database.
    pub(super) async fn measure_lives(&self) -> Result<(), Error> {
        let all = self.authorities.load_full();
        let orgs: HashSet<&OrgId> = all.iter().map(|a| &a.org).collect();
        let mut lives = HashMap::new();
        let mut on = self.db.read().await?;
        for org in orgs {
            lives.insert(org.clone(), self.longest_life(&mut on, org).await?);
        }
        self.lives.store(Arc::new(lives));
        Ok(())
    }

    /// When each root, and each authority that issues to devices or listeners, has to be followed, by the lives of the last tick. Memory only.
    pub fn follow_figures(&self) -> Vec<ToFollow> {
        let (now, lives, all) = (self.clock.now(), self.lives.load(), self.authorities.load());
        let one = |a: &Arc<Authority>| {
            let from = follow_from(a.kind, a.state, a.not_after, *lives.get(&a.org)?)?;
            let seconds = from.since(now).div_euclid(1000);
            Some(ToFollow { authority: a.id.clone(), kind: a.kind.as_str(), generation: a.generation, seconds })
        };
        all.iter().filter_map(one).collect()
    }

    /// The organization's authorities that have to be followed by now; none that only a new root helps, which is told of the root.
    pub(crate) async fn to_follow(&self, org: &OrgId) -> Result<Vec<Due>, Error> {
        let now = self.clock.now();
        let longest = self.longest_life(&mut self.db.read().await?, org).await?;
        let all = self.authorities.load_full();
        let root = authorities::active(&all, org, Kind::Root).ok();
        let staged = |kind: Kind| all.iter().any(|a| a.org == *org && a.kind == kind && a.state == AuthorityState::Staged);
        let due = |a: &Authority| {
            let since = follow_from(a.kind, a.state, a.not_after, longest).filter(|from| *from <= now)?;
            if root.is_some_and(|root| root_first(a.kind, a.state, (a.not_after, root.not_after), longest, now)) {
                return None;
            }
            let (id, name) = (a.id.clone(), common_name(&a.subject).to_owned());
            Some(Due { id, name, ends: a.not_after, since, root: a.kind == Kind::Root, staged: staged(a.kind) })
        };
        Ok(all.iter().filter(|a| a.org == *org).filter_map(|a| due(a)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::profile::{DAY, FACTORY},
        *,
    };

    #[test]
    fn r9_what_is_issued_at_last_is_not_cut_short() {
        assert_eq!((RENEWED / HOUR, FACTORY / HOUR), (i64::from(wire::pki::MAX_PROFILE_HOURS), i64::from(wire::pki::MAX_FACTORY_HOURS)));
        let days = |longest: i64| (ahead(longest * DAY) / DAY, next_life(longest * DAY) / DAY);
        assert_eq!([90, 825, 826, 1650, 3650].map(days), [(180, 1826), (1650, 1826), (1650, 2652), (1650, 3476), (3650, 5476)]);
        for longest in 1..=FACTORY / DAY {
            let (ahead, life) = days(longest);
            assert!(ahead >= longest && life > ahead, "{longest}: there is time in which it issues");
            assert!(life * DAY <= Kind::DeviceAuthority.longest(), "{longest}: the guard signs it");
            assert!(ahead >= days(longest - 1).0, "{longest}");
        }
    }

    #[test]
    fn r9_whoever_only_a_new_root_helps_is_told_of_the_root() {
        let active = AuthorityState::Active;
        for longest in [90, 825, 1650, 3650].map(|days| days * DAY) {
            let root_ends = Timestamp(Kind::Root.life());
            let from = follow_from(Kind::Root, active, root_ends, longest).unwrap();
            // What is made under the root at `now` lives as long as it may, and no longer than the root.
            let staged = |now: Timestamp| now.plus(next_life(longest)).min(root_ends);
            let due = |ends, now| follow_from(Kind::DeviceAuthority, active, ends, longest).is_some_and(|from| from <= now);
            for now in [from.plus(-DAY), from, from.plus(DAY)] {
                let first = root_first(Kind::DeviceAuthority, active, (now, root_ends), longest, now);
                assert_eq!(first, due(staged(now), now), "{longest}: one more helps, or the root is told of");
                assert_eq!(first, from <= now, "{longest}: the root is due by then");
                assert!(!root_first(Kind::Root, active, (root_ends, root_ends), longest, now), "which is told of itself");
                assert!(!root_first(Kind::DeviceAuthority, AuthorityState::Retiring, (now, root_ends), longest, now));
                let fresh = now.plus(ahead(longest) + DAY);
                assert!(!root_first(Kind::DeviceAuthority, active, (fresh, root_ends), longest, now), "nothing has to be done yet");
            }
        }
        assert_eq!(follow_from(Kind::Root, active, Timestamp(Kind::Root.life()), DAY), Some(Timestamp(Kind::Root.life() - 180 * DAY)));
        assert_eq!(follow_from(Kind::ClaimAuthority, active, Timestamp(0), DAY), None, "it is followed by itself");
    }
}
