//! Names of authorities, ours and others' (P-7).

use crate::db::{Conn, Error, Sql, rows};

/// Also of those that wait for their certificate, or came to nothing: somebody may have signed one.
pub(super) const OUR_SUBJECTS: Sql =
    Sql::same("SELECT subject FROM authorities WHERE kind <> 'registered' UNION ALL SELECT subject FROM authority_requests");
pub(super) const KEPT_NAMES: Sql = Sql::same("SELECT organization, kind, generation FROM authority_names");
pub(super) const THEIR_SUBJECTS: Sql = Sql::same("SELECT subject FROM registered_authorities");

/// The names of every organization's authorities that were made here or brought, in any state.
pub(in crate::pki) async fn our_subjects(on: &mut impl Conn) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), OUR_SUBJECTS)
}

/// What the journal alone knows of names that were given: the organization's slug, the kind, and the highest number.
pub(in crate::pki) async fn kept_names(on: &mut impl Conn) -> Result<Vec<(String, String, i64)>, Error> {
    rows!(on, (String, String, i64), KEPT_NAMES)
}

/// The names of every organization's registered authorities, in any state.
pub(in crate::pki) async fn their_subjects(on: &mut impl Conn) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), THEIR_SUBJECTS)
}
