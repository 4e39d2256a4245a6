//! `release delete`: what would go, and that it goes once that was confirmed. Refuses to know which releases are kept, which the core says.

use anyhow::Result;
use app::ui::number::counted;
use fleet::{Fleet, access::Actor, releases::Error};
use wire::ids::ReleaseId;

/// Deletes a release, or says what would be deleted.
pub(super) async fn delete(fleet: &Fleet, actor: &Actor, id: &ReleaseId, yes: bool) -> Result<String> {
    let found = Box::pin(fleet.releases().detail(actor, id)).await?;
    if !found.may_remove {
        return Err(Error::Kept.into());
    }
    let (row, files) = (&found.row, counted(i64::try_from(found.artifacts.len())?, "file", "files"));
    let words = [id.as_str(), &row.device_type, &row.version].into_iter().filter(|word| !word.is_empty());
    let named = words.collect::<Vec<_>>().join(" ");
    if !yes {
        return Ok(format!("{named} ({}) with {files} would be deleted. Nothing was changed. Say --yes to delete it.\n", row.state));
    }
    fleet.releases().remove(actor, id).await?;
    Ok(format!("{named} is deleted.\n"))
}
