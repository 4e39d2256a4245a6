//! The rooms together: opened once by the composition root, handed on as one cheap clone. Owns the order of opening and closing, nothing else.

use crate::{
    Result,
    access::{self, Access, attacks::Attacks},
    bus::Bus,
    clock::Clock,
    db::{self, Db, Location, Read, Store, Tx, row},
    devices::{Devices, EnrolmentUrls, Hook},
    entropy::Entropy,
    in_force,
    pki::{self, Kek, Pki, PkiSettings},
    releases::Releases,
    repeats::Repeats,
    rollouts::Rollouts,
    telemetry::{LastValues, Telemetry},
    transfers::Transfers,
};
use std::{
    fs::File,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinHandle;
use wire::ids::OrgId;

/// What the core needs to open.
#[derive(Debug)]
pub struct Settings {
    /// Folder of the databases, the artifacts and the lock. Made when it isn't there.
    pub data: PathBuf,
    /// Whether this process serves: there is one server a folder. The command line opens the same folder beside it.
    pub serves: bool,
    /// `postgres://…` instead of the embedded engine.
    pub postgres: Option<String>,
    /// Most PostgreSQL connections of each store.
    pub postgres_connections: u32,
    /// The key that other keys are encrypted under.
    pub kek: Kek,
    /// Names and addresses of certificates and listeners.
    pub pki: PkiSettings,
    /// Where devices reach us.
    pub urls: EnrolmentUrls,
    /// Who is asked before a claim lets a new key in (E-9).
    pub claim_hook: Option<Hook>,
}

/// The domain, open. A clone is the same fleet.
#[derive(Clone)]
pub struct Fleet(Arc<Rooms>, Option<Arc<OrgId>>);

struct Rooms {
    access: Access,
    pki: Arc<Pki>,
    devices: Devices,
    releases: Arc<Releases>,
    repeats: Repeats,
    rollouts: Rollouts,
    telemetry: Telemetry,
    transfers: Transfers,
    bus: Bus,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    org: OrgId,
    stores: [Db; 2],
    folder: PathBuf,
    // Held as long as a server is open: a second one on the same folder is refused.
    _lock: Option<File>,
}

/// Where a store is: PostgreSQL if there is a URL, or a file in the data folder.
pub(crate) fn location(data: &Path, file: &str, postgres: Option<&str>, connections: u32) -> Location {
    match postgres {
        None => Location::Sqlite(data.join(file)),
        Some(url) => Location::Postgres { url: url.to_owned(), connections },
    }
}

impl Fleet {
    /// Whether there is a fleet in this folder, or in this PostgreSQL database, already. Makes nothing.
    pub async fn exists(data: &Path, postgres: Option<&str>) -> Result<bool, db::Error> {
        Db::exists(&location(data, FLEET_DB, postgres, 1)).await
    }

    /// Whether a server serves the fleet of this folder, or of this PostgreSQL database, now. Makes nothing, and brings no schema up to date.
    pub async fn is_served(data: &Path, postgres: Option<&str>) -> Result<bool, db::Error> {
        Ok(folder_taken(data) || Db::is_served(&location(data, FLEET_DB, postgres, 1)).await?)
    }

    /// Opens the databases, migrates them, makes what a first start needs, and reads what must be in memory.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        // For its owner alone, where it is not there.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&settings.data)
            .map_err(|e| db::Error::Open(format!("can't make the data folder {}: {e}", settings.data.display())))?;
        let lock = if settings.serves { Some(lock(&settings.data).await?) } else { None };
        let at = |file: &str| location(&settings.data, file, settings.postgres.as_deref(), settings.postgres_connections);
        if settings.serves {
            // Another version would bring the schema up to date under the one that serves.
            Db::unserved(&at(FLEET_DB)).await?;
        }
        let fleet_db = Db::open(&at(FLEET_DB), Store::Fleet).await?;
        if settings.serves {
            fleet_db.serve_alone().await?;
        }
        // Before anything is made or believed in the name of another one.
        in_force::agrees(&fleet_db, &settings.pki.trust_domain).await?;
        let telemetry_db = Db::open(&at("telemetry.db"), Store::Telemetry).await?;
        let bus = Bus::default();

        let draws = settings.kek.key_for(b"rollout draws/v1");
        let signing_key = pki::keyring::signing_key(&fleet_db, &settings.kek, &*entropy).await?;
        let access = Access::new(fleet_db.clone(), clock.clone(), entropy.clone(), bus.clone(), &signing_key)?;
        let org = access.ensure_organization().await?;
        let pki =
            Arc::new(Pki::open(fleet_db.clone(), clock.clone(), entropy.clone(), bus.clone(), settings.kek, settings.pki, &org).await?);
        if let Some(pki::NotSigning { why, .. }) = pki.not_signing(None).filter(|_| settings.serves) {
            tracing::error!("not all that is asked for is signed: {why}");
        }
        let access = access.telling(pki.attacks().clone());
        let last = LastValues::new(telemetry_db.clone());
        let devices =
            Devices::new(fleet_db.clone(), clock.clone(), entropy.clone(), bus.clone(), pki.clone(), settings.urls, settings.claim_hook)
                .measured_by(last.clone());
        devices.order_versions().await?;
        let releases = Arc::new(
            Releases::open(fleet_db.clone(), clock.clone(), entropy.clone(), bus.clone(), &settings.data.join("artifacts")).await?,
        );
        let repeats = Repeats::new(fleet_db.clone(), clock.clone());
        let telemetry = Telemetry::open(telemetry_db.clone(), clock.clone(), entropy.clone(), bus.clone()).await?;
        let rollouts =
            Rollouts::new(fleet_db.clone(), clock.clone(), entropy.clone(), bus.clone(), telemetry.means(), draws).measured_by(last);
        let transfers = Transfers::new(fleet_db.clone(), clock.clone());
        let stores = [fleet_db, telemetry_db];
        let rooms = Rooms {
            access,
            pki,
            devices,
            releases,
            repeats,
            rollouts,
            telemetry,
            transfers,
            bus,
            clock,
            entropy,
            org,
            stores,
            folder: settings.data,
            _lock: lock,
        };
        Ok(Self(Arc::new(rooms), None))
    }

    /// The same fleet for somebody who acts in the organization with this slug unless they say otherwise: a command beside a server. Refuses a slug that no
    /// organization has.
    pub async fn within(&self, slug: &str) -> Result<Self> {
        let org = self.access().organization(slug).await?;
        Ok(Self(self.0.clone(), Some(Arc::new(org))))
    }

    /// People, sessions, rights, audit.
    pub fn access(&self) -> &Access {
        &self.0.access
    }
    /// Certificates and trust.
    pub fn pki(&self) -> &Arc<Pki> {
        &self.0.pki
    }
    /// Signs of attack, on their way into the audit log.
    pub fn attacks(&self) -> &Attacks {
        self.0.pki.attacks()
    }
    /// Devices and enrolment.
    pub fn devices(&self) -> &Devices {
        &self.0.devices
    }
    /// Artifacts, manifests, releases.
    pub fn releases(&self) -> &Releases {
        &self.0.releases
    }
    /// Answers kept for requests that are sent twice.
    pub fn repeats(&self) -> &Repeats {
        &self.0.repeats
    }
    /// Rollouts.
    pub fn rollouts(&self) -> &Rollouts {
        &self.0.rollouts
    }
    /// Samples and the live hub.
    pub fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }
    /// How fast and how much goes to devices.
    pub fn transfers(&self) -> &Transfers {
        &self.0.transfers
    }
    /// Wake-ups.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }
    /// The clock everything was opened with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }
    /// The randomness everything was opened with.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.0.entropy
    }
    /// Where whoever names no organization is: in the first one, which every fleet has, or in that of [`Fleet::within`].
    pub fn default_org(&self) -> &OrgId {
        self.1.as_deref().unwrap_or(&self.0.org)
    }

    /// A connection to read from, for what is said of several rooms at once.
    pub(crate) async fn read(&self) -> Result<Read, db::Error> {
        self.0.stores[0].read().await
    }

    /// A write transaction, for what several rooms do as one.
    pub(crate) async fn write(&self) -> Result<Tx, db::Error> {
        self.0.stores[0].write().await
    }

    /// Makes sure that this is still the only server of its database; a refusal ([`db::Error::Open`]) means that another one has taken over.
    pub async fn still_serves(&self) -> Result<(), db::Error> {
        self.0.stores[0].serve_alone().await
    }

    /// Whether a server serves this fleet now: this process, or one that this one is a command beside.
    pub async fn served(&self) -> Result<bool, db::Error> {
        if let Some(served) = self.0.stores[0].served().await? {
            return Ok(served);
        }
        Ok(folder_taken(&self.0.folder))
    }

    /// Whether the databases answer and take writes; [`db::Error::Full`] while their disk is full.
    pub async fn ready(&self) -> Result<()> {
        for store in &self.0.stores {
            let mut on = store.read().await?;
            row!(&mut on, (i64,), PING)?;
            store.writable().await?;
        }
        Ok(())
    }

    /// Runs the work to its end even if the request that asked for it goes away; [`Fleet::close`] waits for it.
    pub fn beyond<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.stores[0].beyond(work)
    }

    /// Writes what is still in memory and closes the databases. Call it once, after the listeners have stopped.
    /// What requests had begun beyond themselves has five seconds to end. They are closed also when something could not be written; the first such error is the answer.
    pub async fn close(&self) -> Result<()> {
        if !self.0.stores[0].settled(LAST_WORK).await {
            tracing::warn!("stopping although something that a request had begun is not done; it is cut off");
        }
        let drained = self.0.telemetry.drain().await;
        let flushed = self.0.devices.flush_presence(true).await;
        let counted = self.0.transfers.write_down().await;
        let seen = self.attacks().write_down().await;
        for store in &self.0.stores {
            store.close().await;
        }
        drained?;
        flushed?;
        counted?;
        seen?;
        Ok(())
    }
}

/// How long closing waits for what requests had begun.
const LAST_WORK: Duration = Duration::from_secs(5);
/// The file in the data folder that a server locks.
const LOCK: &str = "lock";
/// How long a lock is waited for that is only looked at.
const AN_INSTANT: Duration = Duration::from_millis(100);
/// The embedded database's file of the fleet store.
pub(crate) const FLEET_DB: &str = "fleet.db";
const PING: db::Sql = db::Sql::split("SELECT 1", "SELECT CAST(1 AS BIGINT)");

/// Every statement of every room and the store it belongs to, so that a test can prepare them all on both engines.
pub fn statements() -> Vec<(Store, &'static db::Sql)> {
    let fleet = [
        access::store::ALL,
        crate::pki::store::ALL,
        crate::pki::registered::store::ALL,
        crate::pki::assignments::store::ALL,
        crate::devices::just_in_time::ALL,
        crate::devices::store::ALL,
        crate::devices::batches::store::ALL,
        crate::devices::imports::store::ALL,
        crate::devices::claims::ALL,
        crate::devices::connections::ALL,
        crate::devices::shared::ALL,
        crate::devices::groups::ALL,
        crate::devices::given_groups::ALL,
        crate::devices::facts::ALL,
        crate::devices::naming::ALL,
        crate::devices::renewal_orders::ALL,
        crate::devices::narrowing::ALL,
        crate::devices::pins::ALL,
        crate::devices::rows::ALL,
        crate::devices::sizes::ALL,
        crate::devices::slots::ALL,
        crate::devices::views::ALL,
        crate::in_force::ALL,
        crate::releases::store::ALL,
        crate::repeats::ALL,
        crate::rollouts::store::ALL,
        crate::transfers::store::ALL,
    ];
    let fleet = fleet.into_iter().flatten().map(|s| (Store::Fleet, *s));
    fleet.chain(crate::telemetry::store::ALL.iter().map(|s| (Store::Telemetry, *s))).collect()
}

/// Whether a server holds the lock of this folder. Where nobody has ever served there is none.
fn folder_taken(data: &Path) -> bool {
    File::open(data.join(LOCK)).is_ok_and(|file| file.try_lock_shared().is_err())
}

async fn lock(data: &Path) -> Result<File, db::Error> {
    let wrong = |what: &str, e: &dyn std::fmt::Display| db::Error::Open(format!("{what} {}: {e}", data.display()));
    let file = File::create(data.join(LOCK)).map_err(|e| wrong("can't write in the data folder", &e))?;
    if file.try_lock().is_err() {
        // A command that looks whether somebody serves holds it for an instant.
        tokio::time::sleep(AN_INSTANT).await;
        file.try_lock().map_err(|_| wrong("another Fleetward runs on", &"stop it first, or give this one another folder"))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use crate::{
        db::EngineKind,
        testing::{World, postgres},
    };
    use rstest::rstest;
    use std::time::Duration;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_command_knows_whether_a_server_runs(#[case] kind: EngineKind) {
        let url = match kind {
            EngineKind::Sqlite => None,
            EngineKind::Postgres => Some(postgres().await),
        };
        let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
        let cli = w.beside(url).await;
        assert!(w.fleet.served().await.unwrap() && cli.served().await.unwrap());
        let World { fleet, folder, .. } = w;
        fleet.close().await.unwrap();
        drop(fleet);
        assert!(!cli.served().await.unwrap());
        assert!(!cli.served().await.unwrap(), "to look takes nothing");
        cli.close().await.unwrap();
        drop(folder);
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn what_a_request_began_beyond_itself_finds_the_databases_open(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let fleet = w.fleet.clone();
        let work = w.fleet.beyond(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            fleet.ready().await
        });
        w.fleet.close().await.unwrap();
        assert!(work.is_finished());
        work.await.unwrap().unwrap();
        assert!(w.fleet.ready().await.is_err(), "they are closed then");
    }
}
