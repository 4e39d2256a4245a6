//! Requests for a second person, the rule behind them, and authorities as far as they look at them.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    pki::consent::Standing,
};
use wire::{
    Timestamp,
    consents::{ConsentRow, ConsentState, ServerKeyRule},
    ids::{ConsentId, OrgId},
    pki::common_name,
};

pub(super) const APPROVALS: Sql = Sql::same("SELECT authority_approvals FROM organizations WHERE id = $1");
// What two people have agreed to about keys holds while two decide, and is agreed to anew when they do again.
pub(super) const SET_APPROVALS: Sql = Sql::same("UPDATE organizations SET authority_approvals = $2, server_keys = 'off' WHERE id = $1");
pub(super) const SERVER_KEYS: Sql = Sql::same("SELECT authority_approvals, server_keys FROM organizations WHERE id = $1");
pub(super) const SET_SERVER_KEYS: Sql = Sql::same("UPDATE organizations SET server_keys = $2 WHERE id = $1");
pub(super) const STATES: Sql =
    Sql::same("SELECT id, kind, state, issuer_id, subject FROM authorities WHERE org_id = $1 ORDER BY created_at, kind, generation, id");
pub(super) const ASK: Sql = Sql::same(
    "INSERT INTO consents (id, org_id, deed, effects, digest, asked_by, asked_name, remark, asked_at, expires_at, state) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting')",
);
pub(super) const ONE: Sql = Sql::same(
    "SELECT id, deed, effects, digest, asked_by, asked_name, remark, asked_at, expires_at, state, decided_name, decided_remark, decided_at \
     FROM consents WHERE org_id = $1 AND id = $2",
);
pub(super) const WAITING: Sql = Sql::same(
    "SELECT id, deed, effects, digest, asked_by, asked_name, remark, asked_at, expires_at, state, decided_name, decided_remark, decided_at \
     FROM consents WHERE org_id = $1 AND state = 'waiting' AND expires_at > $2 ORDER BY asked_at, id LIMIT 100",
);
pub(super) const OVER: Sql = Sql::same(
    "SELECT id, deed, effects, digest, asked_by, asked_name, remark, asked_at, expires_at, state, decided_name, decided_remark, decided_at \
     FROM consents WHERE org_id = $1 AND state <> 'waiting' ORDER BY decided_at DESC, id DESC LIMIT 50",
);
pub(super) const SAME: Sql =
    Sql::same("SELECT COUNT(*) FROM consents WHERE org_id = $1 AND digest = $2 AND state = 'waiting' AND expires_at > $3");
pub(super) const FOR_OTHERS: Sql =
    Sql::same("SELECT COUNT(*) FROM consents WHERE org_id = $1 AND state = 'waiting' AND expires_at > $2 AND asked_by <> $3");
pub(super) const DECIDE: Sql = Sql::same(
    "UPDATE consents SET state = $3, decided_name = $4, decided_remark = $5, decided_at = $6 WHERE org_id = $1 AND id = $2 AND state = 'waiting'",
);
pub(super) const LATE: Sql =
    Sql::same("SELECT id, org_id FROM consents WHERE state = 'waiting' AND expires_at <= $1 ORDER BY id LIMIT 100");

/// The organization's authorities, as deeds look at them.
pub(in crate::pki) async fn authority_standings(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Standing>, Error> {
    let found = rows!(on, (String, String, String, String, String), STATES, org.as_str())?;
    found
        .into_iter()
        .map(|(id, kind, state, issuer, subject)| {
            Ok(Standing {
                id: id.parse().map_err(Error::corrupt)?,
                kind,
                state: state.parse().map_err(Error::corrupt)?,
                issuer: issuer.parse().map_err(Error::corrupt)?,
                name: common_name(&subject).to_owned(),
            })
        })
        .collect()
}

/// Whether two people decide on authorities.
pub(in crate::pki) async fn approvals(on: &mut impl Conn, org: &OrgId) -> Result<bool, Error> {
    Ok(row!(on, (String,), APPROVALS, org.as_str())?.is_some_and(|(word,)| word == "on"))
}

/// Says whether two people decide on authorities; whatever they had agreed to about keys for devices is over.
pub(in crate::pki) async fn set_approvals(tx: &mut Tx, org: &OrgId, on: bool) -> Result<(), Error> {
    exec!(tx, SET_APPROVALS, org.as_str(), if on { "on" } else { "off" }).map(drop)
}

/// Who says whether keys are made for devices, where the installation makes any.
pub(in crate::pki) async fn server_key_rule(on: &mut impl Conn, org: &str) -> Result<ServerKeyRule, Error> {
    let found = row!(on, (String, String), SERVER_KEYS, org)?;
    let found = found.as_ref().map(|(approvals, keys)| (approvals.as_str(), keys.as_str()));
    Ok(match found {
        Some(("on", "on")) => ServerKeyRule::Agreed,
        Some(("on", _)) => ServerKeyRule::Needed,
        _ => ServerKeyRule::Configured,
    })
}

pub(in crate::pki) async fn set_server_keys(tx: &mut Tx, org: &OrgId, on: bool) -> Result<(), Error> {
    exec!(tx, SET_SERVER_KEYS, org.as_str(), if on { "on" } else { "off" }).map(drop)
}

#[derive(sqlx::FromRow)]
struct Record {
    id: String,
    deed: String,
    effects: String,
    digest: String,
    asked_by: String,
    asked_name: String,
    remark: String,
    asked_at: i64,
    expires_at: i64,
    state: String,
    decided_name: String,
    decided_remark: String,
    decided_at: Option<i64>,
}

impl Record {
    fn shown(self) -> Result<ConsentRow, Error> {
        Ok(ConsentRow {
            id: self.id.parse().map_err(Error::corrupt)?,
            deed: serde_json::from_str(&self.deed).map_err(Error::corrupt)?,
            effects: serde_json::from_str(&self.effects).map_err(Error::corrupt)?,
            digest: self.digest.parse().map_err(Error::corrupt)?,
            asked_by: self.asked_by.parse().map_err(Error::corrupt)?,
            asked_name: self.asked_name,
            remark: self.remark,
            asked_at: Timestamp(self.asked_at),
            expires_at: Timestamp(self.expires_at),
            state: self.state.parse().map_err(Error::corrupt)?,
            decided_name: self.decided_name,
            decided_remark: self.decided_remark,
            decided_at: self.decided_at.map(Timestamp),
        })
    }
}

/// Writes a request down.
pub(in crate::pki) async fn ask(tx: &mut Tx, org: &OrgId, new: &ConsentRow) -> Result<(), Error> {
    let (deed, effects) = (json(&new.deed)?, json(&new.effects)?);
    exec!(
        tx,
        ASK,
        new.id.as_str(),
        org.as_str(),
        deed.as_str(),
        effects.as_str(),
        new.digest.as_str(),
        new.asked_by.as_str(),
        new.asked_name.as_str(),
        new.remark.as_str(),
        new.asked_at.0,
        new.expires_at.0
    )
    .map(drop)
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::corrupt)
}

pub(in crate::pki) async fn consent(on: &mut impl Conn, org: &OrgId, id: &ConsentId) -> Result<Option<ConsentRow>, Error> {
    row!(on, Record, ONE, org.as_str(), id.as_str())?.map(Record::shown).transpose()
}

/// Those that somebody may decide on now, the oldest first.
pub(in crate::pki) async fn consents_waiting(on: &mut impl Conn, org: &OrgId, now: Timestamp) -> Result<Vec<ConsentRow>, Error> {
    rows!(on, Record, WAITING, org.as_str(), now.0)?.into_iter().map(Record::shown).collect()
}

/// Those that are over, the newest first; at most 50.
pub(in crate::pki) async fn consents_over(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ConsentRow>, Error> {
    rows!(on, Record, OVER, org.as_str())?.into_iter().map(Record::shown).collect()
}

/// Whether the same waits already.
pub(in crate::pki) async fn consent_asked(on: &mut impl Conn, org: &OrgId, digest: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(row!(on, (i64,), SAME, org.as_str(), digest, now.0)?.is_some_and(|(n,)| n > 0))
}

/// How many wait that somebody else than this person asked for; all of them for nobody (an empty id).
pub(in crate::pki) async fn consents_for(on: &mut impl Conn, org: &OrgId, user: &str, now: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), FOR_OTHERS, org.as_str(), now.0, user)?.map_or(0, |(n,)| n))
}

/// Ends a request that waits; `false` when it does not any more.
pub(in crate::pki) async fn consent_decide(
    tx: &mut Tx,
    org: &OrgId,
    id: &ConsentId,
    to: ConsentState,
    (by, remark): (&str, &str),
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(exec!(tx, DECIDE, org.as_str(), id.as_str(), to.as_str(), by, remark, now.0)? == 1)
}

/// Those whose time is over and that nobody has ended yet, of all organizations; at most 100.
pub(in crate::pki) async fn consents_late(on: &mut impl Conn, now: Timestamp) -> Result<Vec<(ConsentId, OrgId)>, Error> {
    let found = rows!(on, (String, String), LATE, now.0)?;
    found.into_iter().map(|(id, org)| Ok((id.parse().map_err(Error::corrupt)?, org.parse().map_err(Error::corrupt)?))).collect()
}
