//! Names of authorities (P-7): each key has one of its own, also beside the authorities that others have registered. Who chooses one, or lets one in, holds the
//! trust clock, so of two at once the second sees what the first has taken. Refuses to know keys.

use super::{
    Error,
    profile::{Kind, Subject},
    store,
};
use crate::db::Tx;
use wire::ids::OrgId;

/// The generation of the next authority of this kind in words, and its number: the one after the newest whose name no registered authority has. `above` is the
/// generation of the root that will sign it; a root has none.
pub(super) async fn next(tx: &mut Tx, org: &OrgId, (slug, kind): (&str, Kind), above: Option<&str>) -> Result<(String, i64), Error> {
    let mut number = store::generation(tx, org, kind.as_str()).await? + 1;
    let theirs: Vec<String> = store::their_subjects(tx).await?.into_iter().map(|(subject,)| folded(&subject)).collect();
    loop {
        let name = above.map_or_else(|| format!("G{number}"), |above| format!("{above}-{number}"));
        if !theirs.contains(&folded(&Subject::authority(kind, slug, &name).line())) {
            return Ok((name, number));
        }
        number += 1;
    }
}

/// Whether an authority of ours has this name, in any state, or had it in a database of which only the journal knows.
pub(super) async fn is_ours(tx: &mut Tx, subject: &str) -> Result<bool, Error> {
    let subject = folded(subject);
    if store::our_subjects(tx).await?.iter().any(|(ours,)| folded(ours) == subject) {
        return Ok(true);
    }
    let given = |(slug, kind, newest): &(String, String, i64)| number(&subject, slug, kind).is_some_and(|number| number <= *newest);
    Ok(store::kept_names(tx).await?.iter().any(given))
}

/// Whether a registered authority has this name.
pub(super) async fn is_theirs(tx: &mut Tx, subject: &str) -> Result<bool, Error> {
    let subject = folded(subject);
    Ok(store::their_subjects(tx).await?.iter().any(|(theirs,)| folded(theirs) == subject))
}

/// Names that differ in upper and lower case alone are one (RFC 5280 §7.1).
fn folded(subject: &str) -> String {
    subject.to_lowercase()
}

/// The number in a folded name, where it is one that authorities of this kind get in this organization.
fn number(subject: &str, slug: &str, kind: &str) -> Option<i64> {
    let kinds = [Kind::Root, Kind::DeviceAuthority, Kind::ServerAuthority, Kind::ClaimAuthority];
    let kind = kinds.into_iter().find(|of| of.as_str() == kind)?;
    let generation = subject.strip_prefix(&folded(&Subject::authority(kind, slug, "G").line()))?;
    let number = match kind {
        Kind::Root => generation,
        _ => generation.split_once('-').filter(|(root, _)| root.parse::<i64>().is_ok())?.1,
    };
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_7_a_name_of_ours_is_known_by_its_number() {
        let of = |subject: &str, kind: Kind| number(&folded(subject), "acme", kind.as_str());
        assert_eq!(of("O=acme, CN=Fleetward Root CA G12", Kind::Root), Some(12));
        assert_eq!(of("O=ACME, CN=fleetward Device CA G2-7", Kind::DeviceAuthority), Some(7));
        for other in ["O=acme, CN=Fleetward Server CA G2-7", "O=other, CN=Fleetward Device CA G2-7", "O=acme, CN=Fleetward Device CA Gx-7"]
        {
            assert_eq!(of(other, Kind::DeviceAuthority), None, "{other}");
        }
        assert_eq!(of("O=acme, CN=Fleetward Root CA G1-2", Kind::Root), None);
    }
}
