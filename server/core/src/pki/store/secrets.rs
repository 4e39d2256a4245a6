//! The instance's own small keys, sealed.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};

pub(super) const SECRET: Sql = Sql::same("SELECT sealed FROM sealed_secrets WHERE name = $1");
pub(super) const SECRET_INSERT: Sql = Sql::same("INSERT INTO sealed_secrets (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
pub(super) const SECRETS: Sql = Sql::same("SELECT name, sealed FROM sealed_secrets ORDER BY name");
pub(super) const SECRET_UPDATE: Sql = Sql::same("UPDATE sealed_secrets SET sealed = $2 WHERE name = $1");

pub(in crate::pki) async fn secret(on: &mut impl Conn, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(row!(on, (Vec<u8>,), SECRET, name)?.map(|(sealed,)| sealed))
}

/// Keeps a sealed key under a name; `false` when there is one already, which stays.
pub(in crate::pki) async fn add_secret(tx: &mut Tx, name: &str, sealed: &[u8]) -> Result<bool, Error> {
    Ok(exec!(tx, SECRET_INSERT, name, sealed)? > 0)
}

/// Every one with its name.
pub(in crate::pki) async fn secrets(on: &mut impl Conn) -> Result<Vec<(String, Vec<u8>)>, Error> {
    rows!(on, (String, Vec<u8>), SECRETS)
}

pub(in crate::pki) async fn set_secret(tx: &mut Tx, name: &str, sealed: &[u8]) -> Result<(), Error> {
    exec!(tx, SECRET_UPDATE, name, sealed).map(drop)
}
