//! Files that the console keeps between their preview and their import, because a form without JavaScript sends a file once. What is kept was checked, and
//! holds secrets only as hashes; it is empty after the import and forgotten after a day.

use super::{
    super::{Devices, Error, words},
    ImportFormat, ImportHow,
    lines::Parsed,
    read, store,
};
use crate::{
    access::{Act, Actor, may},
    db::{Error as DbError, exec, row},
    text::unseen,
};
use bytes::Bytes;
use wire::{
    Timestamp,
    enrolment::{ImportOutcome, LaidImport},
    ids::DeviceImportId,
};

/// A file is kept so long.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Characters of a file's name that are kept.
const MOST_OF_NAME: usize = 100;
/// Most files of an organization; older ones make room.
const MOST_LAID: i64 = 20;

#[derive(sqlx::FromRow)]
struct LaidRow {
    name: String,
    updates: bool,
    lines: Vec<u8>,
    created_at: i64,
    created_by: String,
    done_at: Option<i64>,
    outcome: String,
}

impl LaidRow {
    fn parsed(&self) -> Result<Parsed, DbError> {
        serde_json::from_slice(&self.lines).map_err(DbError::corrupt)
    }

    /// What it has come to, once it is done.
    fn outcome(&self) -> Result<ImportOutcome, DbError> {
        serde_json::from_str(&self.outcome).map_err(DbError::corrupt)
    }
}

/// A file's name as far as it is kept, which says so where that is not all of it.
fn titled(name: &str) -> String {
    let mut kept: Vec<char> = name.chars().filter(|c| !unseen(*c)).take(MOST_OF_NAME + 1).collect();
    if kept.len() > MOST_OF_NAME {
        kept.truncate(MOST_OF_NAME - 1);
        kept.push('…');
    }
    kept.into_iter().collect()
}

impl Devices {
    /// Lays a file aside to be looked at, whatever of the two forms it has; nothing is imported yet. `update` is whether devices that are there shall be
    /// changed. What a file can't be read for is said at once.
    pub async fn lay_import(&self, actor: &Actor, name: &str, file: Bytes, update: bool) -> Result<DeviceImportId, Error> {
        may(actor, Act::Enrol)?;
        let format = ImportFormat::of(&file);
        let lines = serde_json::to_vec(&read(file, format).await?).map_err(DbError::corrupt)?;
        let name = words::word("file", &titled(name), MOST_OF_NAME)?;
        let name = if name.is_empty() { "file" } else { name.as_str() };
        let now = self.clock.now();
        let id: DeviceImportId = self.entropy.id(now);
        let (org, by) = (actor.org.as_str(), actor.label());
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::LAY, id.as_str(), org, name, update, lines.as_slice(), now.0, by.as_str())?;
        exec!(&mut tx, store::CROWDED, org, MOST_LAID)?;
        tx.commit().await?;
        Ok(id)
    }

    /// A file that was laid aside, and what it would come to now or has come to.
    pub async fn laid_import(&self, actor: &Actor, id: &DeviceImportId) -> Result<LaidImport, Error> {
        let found = self.laid(actor, id).await?;
        let outcome = if found.done_at.is_some() {
            found.outcome()?
        } else {
            self.import(actor, &found.parsed()?, ImportHow { preview: true, update: found.updates }, "").await?
        };
        Ok(LaidImport {
            id: id.clone(),
            name: found.name,
            created_at: Timestamp(found.created_at),
            created_by: found.created_by,
            done_at: found.done_at.map(Timestamp),
            outcome,
        })
    }

    /// Imports a file that was laid aside, and says what it has come to. Done before, it changes nothing.
    pub async fn run_laid_import(&self, actor: &Actor, id: &DeviceImportId) -> Result<ImportOutcome, Error> {
        let found = self.laid(actor, id).await?;
        if found.done_at.is_some() {
            return Ok(found.outcome()?);
        }
        let (how, about) = (ImportHow { preview: false, update: found.updates }, format!("import of {}", found.name));
        let outcome = self.import(actor, &found.parsed()?, how, &about).await?;
        let kept = serde_json::to_string(&outcome).map_err(DbError::corrupt)?;
        let nothing: &[u8] = &[];
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::DONE, id.as_str(), now.0, kept.as_str(), nothing)?;
        tx.commit().await?;
        Ok(outcome)
    }

    async fn laid(&self, actor: &Actor, id: &DeviceImportId) -> Result<LaidRow, Error> {
        may(actor, Act::Enrol)?;
        let found = row!(&mut self.db.read().await?, LaidRow, store::LAID, actor.org.as_str(), id.as_str())?;
        found.ok_or(Error::NotFound("import; a file is kept for a day"))
    }

    /// Forgets files that were laid aside a day ago; devices that came by them stay.
    pub async fn sweep_imports(&self) -> Result<(), Error> {
        let before = self.clock.now().plus(-KEPT_MS);
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::FORGET, before.0)?;
        tx.commit().await?;
        Ok(())
    }
}
