//! When an authority has to be followed (pki.md R-9): an issuing authority while at least twice the longest life of its leaves is left of it, so that what
//! it issues at last is neither cut short nor outlives the change. Refuses to make the one that follows: `generations.rs` does.

use super::{
    Error, Pki,
    authorities::Authority,
    profile::{BACKDATE, HOUR, Kind},
    store,
};
use crate::db::Conn;
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
    /// Whether the next one is there already and only has to take over.
    pub(crate) staged: bool,
}

/// From when on an authority has to be followed, where devices' certificates live for `devices` milliseconds at most. None for one that does not issue, for
/// a root, and for one of claims, which is followed by itself.
pub(super) fn follow_from(kind: Kind, state: AuthorityState, ends: Timestamp, devices: i64) -> Option<Timestamp> {
    let longest = match kind {
        Kind::DeviceAuthority => devices,
        Kind::ServerAuthority => Kind::Server.life(),
        _ => return None,
    };
    (state == AuthorityState::Active).then(|| ends.plus(-2 * longest))
}

impl Pki {
    /// The longest life of the organization's device certificates in milliseconds: of those without a profile, of what any profile gives now, and of active
    /// certificates from before their profile was made shorter.
    pub(super) async fn longest_life(&self, on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
        let given = store::longest_profile(on, org).await?.map_or(0, |hours| hours.saturating_mul(HOUR));
        let longest = given.max(Kind::Device.life());
        Ok(store::longest_leaf(on, org, longest + BACKDATE).await?.map_or(longest, |life| life - BACKDATE))
    }

    /// The organization's authorities that have to be followed by now.
    pub(crate) async fn to_follow(&self, org: &OrgId) -> Result<Vec<Due>, Error> {
        let now = self.clock.now();
        let longest = self.longest_life(&mut self.db.read().await?, org).await?;
        let all = self.authorities.load_full();
        let staged = |kind: Kind| all.iter().any(|a| a.org == *org && a.kind == kind && a.state == AuthorityState::Staged);
        let due = |a: &Authority| {
            let since = follow_from(a.kind, a.state, a.not_after, longest).filter(|from| *from <= now)?;
            let (id, name) = (a.id.clone(), common_name(&a.subject).to_owned());
            Some(Due { id, name, ends: a.not_after, since, staged: staged(a.kind) })
        };
        Ok(all.iter().filter(|a| a.org == *org).filter_map(|a| due(a)).collect())
    }
}
