//! The organization's rules for certificates.

use crate::db::{Conn, Error, Sql, Tx, exec, row};
use wire::{ids::OrgId, pki::IdentityRules, states::RekeyPolicy};

pub(super) const RULES: Sql = Sql::same("SELECT clones, rekey, recovery, recovery_days FROM organizations WHERE id = $1");
pub(super) const SET_RULES: Sql =
    Sql::same("UPDATE organizations SET clones = $2, rekey = $3, recovery = $4, recovery_days = $5 WHERE id = $1");
pub(super) const REKEY: Sql = Sql::same(
    "SELECT COALESCE((SELECT p.rekey FROM certificate_profiles p WHERE p.org_id = o.id AND p.name = $2 AND p.rekey <> ''), o.rekey) \
     FROM organizations o WHERE o.id = $1",
);

pub(in crate::pki) async fn rules(on: &mut impl Conn, org: &OrgId) -> Result<Option<IdentityRules>, Error> {
    row!(on, (String, String, String, i64), RULES, org.as_str())?
        .map(|(clones, rekey, recovery, days)| {
            Ok(IdentityRules {
                clones: clones.parse().map_err(Error::corrupt)?,
                rekey: rekey.parse().map_err(Error::corrupt)?,
                recovery: recovery.parse().map_err(Error::corrupt)?,
                recovery_days: u32::try_from(days).map_err(Error::corrupt)?,
            })
        })
        .transpose()
}

pub(in crate::pki) async fn set_rules(tx: &mut Tx, org: &OrgId, rules: &IdentityRules) -> Result<(), Error> {
    let (clones, rekey, recovery) = (rules.clones.as_str(), rules.rekey.as_str(), rules.recovery.as_str());
    exec!(tx, SET_RULES, org.as_str(), clones, rekey, recovery, i64::from(rules.recovery_days)).map(drop)
}

/// What is wanted of keys at the renewal of a certificate of this profile: by the profile, or else by the organization.
pub(in crate::pki) async fn rekey(on: &mut impl Conn, org: &OrgId, profile: &str) -> Result<RekeyPolicy, Error> {
    let (word,) = row!(on, (String,), REKEY, org.as_str(), profile)?.ok_or_else(|| Error::corrupt("a device without an organization"))?;
    word.parse().map_err(Error::corrupt)
}
