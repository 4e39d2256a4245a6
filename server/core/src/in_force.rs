//! What the processes on one database have to agree on: a server and the commands beside it. Owns the one row that says it: the trust domain, which stays as
//! it was on the first start, and the settings of the server's last one. Refuses to know flags, files and which command needs what.

use crate::{
    Fleet,
    db::{self, Conn, Db, Sql, exec, row},
    pki::{TokenSettings, trust_domain_of},
    rooms::{FLEET_DB, location},
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const KEPT: Sql = Sql::same("SELECT trust_domain, settings FROM in_force WHERE id = 1");
// The trust domain stays what it was.
const KEEP: Sql = Sql::same(
    "INSERT INTO in_force (id, trust_domain, settings) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET settings = excluded.settings",
);
// One that a listener has taken shows in which trust domain the server was.
const USED: Sql = Sql::same(
    "SELECT der FROM certificates WHERE device >= 0 AND profile <> 'registered' AND der IS NOT NULL AND first_used_at IS NOT NULL
     ORDER BY device DESC, issued_at DESC LIMIT 1",
);
const ISSUED: Sql = Sql::same(
    "SELECT der FROM certificates WHERE device >= 0 AND profile <> 'registered' AND der IS NOT NULL
     ORDER BY device DESC, issued_at DESC LIMIT 1",
);
/// How many of the two tables that are asked here there are, in a schema that may be of an older version.
const THERE: Sql = Sql::split(
    "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('certificates', 'in_force')",
    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name IN ('certificates', 'in_force')",
);

/// Every statement of this file.
pub(crate) const ALL: &[&Sql] = &[&KEPT, &KEEP, &USED, &ISSUED, &THERE];

/// What is in force on a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The trust domain in devices' certificates: that of the first start, or, of a fleet from before it was kept, of what was issued. None while nothing says.
    pub trust_domain: Option<String>,
    /// What the server was last started with; none before the first start that kept it.
    pub last: Option<Shared>,
}

/// What commands beside a server have to do as the server does. Paths are whole, or begin in the data folder. A field that is added takes
/// `#[serde(default)]`: what a server of an older version has kept says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Where revocations are kept beside the database (K-7).
    pub journal: PathBuf,
    /// `http://…` under which lists and authorities are published (P-10), if any.
    #[serde(default)]
    pub publish_url: Option<String>,
    /// The enrol listener as devices know it.
    pub enrol_url: String,
    /// The device listener as devices know it.
    pub device_url: String,
    /// The PKCS#11 token on which authorities' keys are made (K-4), if any. Of the PIN only its file's name.
    #[serde(default)]
    pub token: Option<TokenSettings>,
    /// Whether keys are made for devices (E-8).
    #[serde(default)]
    pub server_keygen: bool,
}

/// Why a fleet does not open with another trust domain than its own, and what to do.
pub fn other_domain(own: &str, wanted: &str) -> String {
    format!(
        "the trust domain of this fleet is {own:?}, as on its first start: devices' certificates name it for good, and with trust_domain = {wanted:?} every \
         one of them would be refused. Give trust_domain = {own:?} (--trust-domain {own}); another trust domain takes a fleet of its own, in another data \
         folder"
    )
}

impl Fleet {
    /// What is in force on the fleet in this folder, or in this PostgreSQL database; none where there is no fleet. Changes nothing, not even the schema of an
    /// older version.
    pub async fn in_force(data: &Path, postgres: Option<&str>) -> Result<Option<InForce>, db::Error> {
        let Some(db) = Db::as_it_is(&location(data, FLEET_DB, postgres, 1)).await? else { return Ok(None) };
        let found = looked_up(&db).await;
        db.close().await;
        found.map(Some)
    }

    /// Keeps what a server starts with. The trust domain is fixed by the first one that does; [`Fleet::open`] has refused another one since, and here it is
    /// refused to the second of two that start for the first time at once.
    pub async fn keep_in_force(&self, shared: &Shared) -> Result<(), db::Error> {
        let settings = serde_json::to_string(shared).map_err(db::Error::corrupt)?;
        let wanted = self.pki().trust_domain();
        let mut tx = self.write().await?;
        exec!(&mut tx, KEEP, wanted, settings.as_str())?;
        if let Some((own, _)) = row!(&mut tx, (String, String), KEPT)?
            && own != wanted
        {
            return Err(db::Error::Open(other_domain(&own, wanted)));
        }
        tx.commit().await
    }
}

async fn looked_up(db: &Db) -> Result<InForce, db::Error> {
    let mut on = db.read().await?;
    match row!(&mut on, (i64,), THERE)? {
        Some((2,)) => read(&mut on).await,
        Some((1,)) => Ok(InForce { trust_domain: issued(&mut on).await?, last: None }),
        _ => Ok(InForce { trust_domain: None, last: None }),
    }
}

async fn read(on: &mut impl Conn) -> Result<InForce, db::Error> {
    let Some((domain, settings)) = row!(on, (String, String), KEPT)? else {
        return Ok(InForce { trust_domain: issued(on).await?, last: None });
    };
    let last = serde_json::from_str(&settings).map_err(db::Error::corrupt)?;
    Ok(InForce { trust_domain: Some(domain), last: Some(last) })
}

/// The trust domain of what was issued: of a certificate that a device was let in with, or, where none ever was, of any.
async fn issued(on: &mut impl Conn) -> Result<Option<String>, db::Error> {
    let mut found = row!(on, (Vec<u8>,), USED)?;
    if found.is_none() {
        found = row!(on, (Vec<u8>,), ISSUED)?;
    }
    Ok(found.and_then(|(der,)| trust_domain_of(&der)))
}

/// Refuses a trust domain that is not the fleet's own. What commands share is none of its business: whoever serves writes that anew.
pub(crate) async fn agrees(db: &Db, wanted: &str) -> Result<(), db::Error> {
    let mut on = db.read().await?;
    let own = match row!(&mut on, (String, String), KEPT)? {
        Some((own, _)) => Some(own),
        None => issued(&mut on).await?,
    };
    match own {
        Some(own) if own != wanted => Err(db::Error::Open(other_domain(&own, wanted))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
