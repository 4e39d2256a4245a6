//! Two releases beside each other, for whoever wants to know what comes with one. What differs is said by `difference`.

use super::{Error, Releases, difference, manifest, store};
use crate::{
    Result,
    access::{Act, Actor, may},
    db::Conn,
};
use wire::{
    ids::{OrgId, ReleaseId},
    manifest::Manifest,
    page::MAX_ROWS,
    releases::{ArtifactRow, ComparisonPage, ReleaseChoice, ReleaseDifference, ReleaseRow},
};

/// A release with what is compared of it.
struct Compared {
    row: ReleaseRow,
    manifest: Option<Manifest>,
    files: Vec<ArtifactRow>,
}

impl Compared {
    async fn of(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Self, Error> {
        let row = store::release(on, org, id).await?.ok_or(Error::NoRelease)?;
        let body = store::body(on, org, id).await?.ok_or(Error::NoRelease)?;
        let files = store::artifacts(on, org, id).await?;
        Ok(Self { row, manifest: body.envelope.as_deref().and_then(manifest::claims), files })
    }

    fn side(&self) -> difference::Side<'_> {
        difference::Side { row: &self.row, manifest: self.manifest.as_ref(), files: &self.files }
    }
}

impl Releases {
    /// What differs between `before` and `after`. They may be for different device types.
    pub async fn difference(&self, actor: &Actor, before: &ReleaseId, after: &ReleaseId) -> Result<ReleaseDifference> {
        may(actor, Act::Read)?;
        Ok(between(&mut self.db.read().await?, &actor.org, before, after).await?)
    }

    /// All the page of a comparison shows. Where only one release is chosen the one that was published before it is the other: of its type the one with
    /// the next lower sequence.
    pub async fn comparison(&self, actor: &Actor, before: Option<&ReleaseId>, after: Option<&ReleaseId>) -> Result<ComparisonPage> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let mut choices = store::choices(&mut on, &actor.org, i64::from(MAX_ROWS)).await?;
        let before = match (before, after) {
            (None, Some(after)) => {
                let row = store::release(&mut on, &actor.org, after).await?.ok_or(Error::NoRelease)?;
                store::before(&mut on, &actor.org, (&row.device_type, row.sequence), 1).await?.into_iter().next().map(|(id, _)| id)
            }
            (before, _) => before.cloned(),
        };
        let difference = match (&before, after) {
            (Some(before), Some(after)) => Some(between(&mut on, &actor.org, before, after).await?),
            _ => None,
        };
        let chosen = difference.iter().flat_map(|d| [&d.before, &d.after]);
        for row in chosen {
            if choices.iter().all(|choice| choice.id != row.id) {
                choices.push(choice(row));
            }
        }
        Ok(ComparisonPage { choices, difference })
    }
}

async fn between(on: &mut impl Conn, org: &OrgId, before: &ReleaseId, after: &ReleaseId) -> Result<ReleaseDifference, Error> {
    let (old, new) = (Compared::of(on, org, before).await?, Compared::of(on, org, after).await?);
    let (lines, files) = (difference::fields(old.side(), new.side()), difference::files(old.side(), new.side()));
    Ok(ReleaseDifference { before: old.row, after: new.row, lines, files })
}

fn choice(row: &ReleaseRow) -> ReleaseChoice {
    ReleaseChoice { id: row.id.clone(), device_type: row.device_type.clone(), version: row.version.clone(), state: row.state }
}
