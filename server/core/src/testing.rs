//! What the tests of every room stand on: a whole fleet on a fresh database of either engine, a clock that stands still, seeded randomness.
//!
//! PostgreSQL comes from `TEST_POSTGRES_URL` (a URL that may create databases); each world gets a database of its own. `cargo xtask test`
//! provides one; without it the PostgreSQL cases fail, because a store that was tested on one engine was not tested.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "tests may stop at the first surprise")]

mod channels;
mod schema;

pub use schema::put_into as schema_into;

use crate::{
    Fleet, Settings,
    access::{Actor, Who},
    clock::{Clock, ManualClock},
    db::{Db, EngineKind, Location, Store},
    devices::EnrolmentUrls,
    entropy::{Entropy, SeededEntropy},
    pki::{Kek, PkiSettings, TokenSettings},
    releases::signing::{SigningKeyPair, payload},
};
use bytes::Bytes;
use futures::stream;
use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, SqliteConnection};
use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId, UserId},
    manifest::{Manifest, SCHEMA},
    releases::{NewRelease, NewUpload},
    states::Role,
};

/// What a release of `gateway` says of these files, each with its name and format. Signed at [`START`].
pub fn manifest(version: &str, sequence: u64, files: &[(&str, &str, &[u8])]) -> Manifest {
    let payloads = files.iter().map(|(name, format, bytes)| payload(name, format, &mut &**bytes).expect("memory can be read"));
    Manifest {
        schema: SCHEMA,
        device_type: "gateway".into(),
        hardware: Vec::new(),
        version: version.into(),
        sequence,
        min_sequence: 0,
        payloads: payloads.collect(),
        created: START,
        expires: None,
        notes: String::new(),
    }
}

/// When every world begins: 22 November 2026, 10:00 UTC.
pub const START: Timestamp = Timestamp(1_795_341_600_000);

static WORLDS: AtomicU64 = AtomicU64::new(1);

/// A whole fleet on a fresh database.
pub struct World {
    /// The fleet.
    pub fleet: Fleet,
    /// Its clock; stands still at [`START`], unless it was opened at another time.
    pub clock: Arc<ManualClock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Its organization.
    pub org: OrgId,
    /// Its data folder.
    pub folder: tempfile::TempDir,
    people: Mutex<HashMap<String, UserId>>,
}

/// The URL of a fresh PostgreSQL database with the schema and nothing in it.
pub async fn postgres() -> String {
    fresh(true).await
}

/// The URL of a fresh PostgreSQL database without even the schema.
pub async fn bare_postgres() -> String {
    fresh(false).await
}

async fn fresh(with_schema: bool) -> String {
    let url = std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run the tests with `cargo xtask test`, or point it at a PostgreSQL that may create databases",
    );
    let name = format!("fleetward_test_{}_{}", std::process::id(), WORLDS.fetch_add(1, Ordering::SeqCst));
    let mut admin = PgConnection::connect(&url).await.expect("PostgreSQL answers");
    drop_abandoned(&mut admin).await;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await.expect("an old database can be dropped");
    let template = if with_schema { schema::template(&url, &mut admin).await } else { "template1".to_owned() };
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).await.expect("a database can be made");
    let (server, _) = url.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

/// Makes the PostgreSQL database of this URL a copy of another one, in the place of what it was. Nobody may be connected to either.
async fn copy_database(from: &str, to: &str) {
    let (server, _) = from.rsplit_once('/').expect("the URL names a database");
    let name = |url: &str| url.rsplit_once('/').expect("the URL names a database").1.to_owned();
    let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.expect("PostgreSQL answers");
    let (from, to) = (name(from), name(to));
    admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"))).await.expect("the old one can be dropped");
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {to} TEMPLATE {from}"))).await.expect("it can be copied");
}

/// Drops a few databases of test processes that have ended: hundreds of them at once would fill a small disk. Another process may be faster;
/// then there is nothing left to do.
async fn drop_abandoned(admin: &mut PgConnection) {
    // Without /proc nobody can tell here who has ended.
    let runs = |id: u32| !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{id}")).exists();
    let ended = |name: &&String| name.split('_').nth(2).and_then(|id| id.parse().ok()).is_some_and(|id| !runs(id));
    let found: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE 'fleetward#_test#_%' ESCAPE '#' ORDER BY oid LIMIT 50")
            .fetch_all(&mut *admin)
            .await
            .expect("the databases can be listed");
    for name in found.iter().filter(ended).take(3) {
        let _ = admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await;
    }
}

/// The embedded databases' files.
const FILES: [&str; 4] = ["fleet.db", "fleet.db-wal", "telemetry.db", "telemetry.db-wal"];

/// A backup of a world's databases, taken and put back while it is closed. What else is in its folder stays as it is: the journal.
pub struct Backup {
    folder: tempfile::TempDir,
    url: Option<String>,
}

impl Backup {
    /// For a world on this engine.
    pub async fn of(kind: EngineKind) -> Self {
        let url = match kind {
            EngineKind::Sqlite => None,
            EngineKind::Postgres => Some(postgres().await),
        };
        Self { folder: tempfile::tempdir().expect("a temporary folder"), url }
    }

    /// The world over this folder; opened twice it is a restart.
    pub async fn open(&self, folder: tempfile::TempDir, seed: u64) -> World {
        World::open_at(folder, self.url.clone(), seed).await
    }

    /// The same at another time than [`START`].
    pub async fn open_when(&self, folder: tempfile::TempDir, seed: u64, at: Timestamp) -> World {
        World::open_when(folder, self.url.clone(), seed, at, |pki| pki).await.expect("the fleet opens")
    }

    /// Takes it.
    pub async fn take(&self, world: &tempfile::TempDir) {
        match &self.url {
            Some(url) => copy_database(url, &format!("{url}_backup")).await,
            None => copy_files(world, &self.folder),
        }
    }

    /// Puts it back.
    pub async fn put_back(&self, world: &tempfile::TempDir) {
        match &self.url {
            Some(url) => copy_database(&format!("{url}_backup"), url).await,
            None => copy_files(&self.folder, world),
        }
    }
}

/// Copies the embedded databases; what is not there in the source is removed.
fn copy_files(from: &tempfile::TempDir, to: &tempfile::TempDir) {
    for file in FILES {
        let (from, to) = (from.path().join(file), to.path().join(file));
        if from.exists() {
            std::fs::copy(from, to).expect("a file can be copied");
        } else {
            let _ = std::fs::remove_file(to);
        }
    }
}

impl World {
    /// A world on this engine.
    pub async fn open(kind: EngineKind) -> Self {
        let postgres = match kind {
            EngineKind::Sqlite => None,
            EngineKind::Postgres => Some(postgres().await),
        };
        Self::open_at(tempfile::tempdir().expect("a temporary folder"), postgres, 1).await
    }

    /// A world over a given folder and database: opened twice it is a restart.
    pub async fn open_at(folder: tempfile::TempDir, postgres: Option<String>, seed: u64) -> Self {
        Self::open_with(folder, postgres, seed, |pki| pki).await.expect("the fleet opens")
    }

    /// The same with other settings of the authorities; an error when it does not open with them.
    pub async fn open_with(
        folder: tempfile::TempDir,
        postgres: Option<String>,
        seed: u64,
        change: impl FnOnce(PkiSettings) -> PkiSettings,
    ) -> crate::Result<Self> {
        Self::open_when(folder, postgres, seed, START, change).await
    }

    /// The same at another time than [`START`].
    pub async fn open_when(
        folder: tempfile::TempDir,
        postgres: Option<String>,
        seed: u64,
        at: Timestamp,
        change: impl FnOnce(PkiSettings) -> PkiSettings,
    ) -> crate::Result<Self> {
        let clock = Arc::new(ManualClock::at(at));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        if postgres.is_none() {
            schema_into(folder.path()).await;
        }
        let settings = Settings {
            data: folder.path().to_owned(),
            serves: true,
            postgres,
            postgres_connections: 4,
            kek: Kek::new(&[7; 32]).expect("a key of 32 bytes"),
            pki: change(PkiSettings { journal: Some(folder.path().join("revocations.log")), ..PkiSettings::for_tests() }),
            urls: EnrolmentUrls { enrol: "https://127.0.0.1:8444".into(), device: "https://127.0.0.1:8443".into() },
            claim_hook: None,
        };
        let fleet = Fleet::open(settings, clock.clone(), entropy.clone()).await?;
        let org = fleet.default_org().clone();
        Ok(Self { fleet, clock, entropy, org, folder, people: Mutex::default() })
    }

    /// A second process on the same folder and database, as the command line opens it beside a server; `postgres` is where the database is, unless in the folder.
    pub async fn beside(&self, postgres: Option<String>) -> Fleet {
        let settings = Settings {
            data: self.folder.path().to_owned(),
            serves: false,
            postgres,
            postgres_connections: 2,
            kek: Kek::new(&[7; 32]).expect("a key of 32 bytes"),
            pki: PkiSettings { journal: Some(self.folder.path().join("revocations.log")), ..PkiSettings::for_tests() },
            urls: EnrolmentUrls { enrol: "https://127.0.0.1:8444".into(), device: "https://127.0.0.1:8443".into() },
            claim_hook: None,
        };
        Fleet::open(settings, self.clock.clone(), Arc::new(SeededEntropy::new(2))).await.expect("the fleet opens")
    }

    /// Closes it, and gives what [`World::open_at`] opens again.
    pub async fn close(self) -> tempfile::TempDir {
        self.fleet.close().await.expect("the fleet closes");
        self.folder
    }

    /// A person with this role. People are made once a role and name.
    pub async fn person(&self, name: &str, role: Role) -> Actor {
        let system = Actor::system(self.org.clone());
        let email = format!("{name}@example.com");
        let known = self.people.lock().get(&email).cloned();
        let user = match known {
            Some(user) => user,
            None => self.fleet.access().create_user(&system, &email, name, role, "a long enough password").await.expect("a new person"),
        };
        self.people.lock().insert(email, user.clone());
        let who = Who::Session { session: self.entropy.id(self.clock.now()), user, name: name.to_owned(), role };
        Actor { who, address: "127.0.0.1".into(), ..Actor::system(self.org.clone()) }
    }

    /// What its clock shows.
    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An admin called ada.
    pub async fn admin(&self) -> Actor {
        self.person("ada", Role::Admin).await
    }
    /// An operator called oli.
    pub async fn operator(&self) -> Actor {
        self.person("oli", Role::Operator).await
    }
    /// A viewer called vic.
    pub async fn viewer(&self) -> Actor {
        self.person("vic", Role::Viewer).await
    }

    /// A published release of these files and their manifest, signed by this key, which must be trusted already.
    pub async fn publish(&self, by: &Actor, key: &SigningKeyPair, manifest: &Manifest, files: &[(&str, &[u8])]) -> ReleaseId {
        let releases = self.fleet.releases();
        let envelope = key.sign(manifest).expect("a manifest is signed");
        let mut uploads = Vec::new();
        for (name, bytes) in files.iter().copied().chain([("fw.manifest.json", envelope.as_slice())]) {
            let size = i64::try_from(bytes.len()).expect("a size");
            let upload = releases.begin_upload(by, NewUpload { name: name.into(), size, sha256: None }).await.expect("an upload begins");
            let whole = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(bytes))]);
            releases.append(by, &upload.id, 0, whole).await.expect("an upload ends");
            uploads.push(upload.id);
        }
        let made = releases.create(by, NewRelease { uploads }).await.expect("a release is made").release;
        releases.publish(by, &made.row.id).await.expect("a release is published");
        made.row.id
    }

    /// Enrols a device with a key of its own through a real token and CSR, and gives its number.
    pub async fn device(&self, device_id: &str, device_type: &str) -> crate::devices::DeviceNo {
        self.enrol(device_id, device_type, csr(device_id)).await.expect("the device enrols");
        let id = device_id.parse().expect("a device id");
        self.fleet.devices().find(&Actor::system(self.org.clone()), &id).await.expect("the device is there")
    }

    /// Enrols a device by a CSR (PEM) with a token made for exactly its id.
    pub async fn enrol(&self, device_id: &str, device_type: &str, csr: String) -> Result<wire::enrolment::Enrolled, crate::devices::Error> {
        self.enrol_in(&self.org, device_id, device_type, csr).await
    }

    /// The same in any organization.
    pub async fn enrol_in(
        &self,
        org: &OrgId,
        device_id: &str,
        device_type: &str,
        csr: String,
    ) -> Result<wire::enrolment::Enrolled, crate::devices::Error> {
        use wire::enrolment::{EnrolRequest, NewEnrolmentToken};
        let system = Actor::system(org.clone());
        let new = NewEnrolmentToken {
            label: format!("for {device_id}"),
            pattern: device_id.into(),
            device_type: device_type.into(),
            tags: Vec::new(),
            max_uses: 1,
            hours: 1,
            ..NewEnrolmentToken::default()
        };
        let token = self.fleet.devices().create_enrolment_token(&system, new).await.expect("a token");
        let request = EnrolRequest {
            csr,
            device_id: Some(device_id.into()),
            device_type: device_type.into(),
            hardware: "A".into(),
            attributes: std::collections::BTreeMap::default(),
        };
        let attempt = crate::devices::Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
        self.fleet.devices().enrol(attempt).await
    }
}

/// A CSR in PEM with a fresh P-256 key and this common name.
pub fn csr(common_name: &str) -> String {
    csr_by(&rcgen::KeyPair::generate().expect("a key"), common_name)
}

/// A CSR in PEM by this key, with this common name.
pub fn csr_by(key: &rcgen::KeyPair, common_name: &str) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    params.serialize_request(key).expect("a CSR").pem().expect("PEM")
}

/// A fresh token of SoftHSM with this label, whose PIN is in a file of this folder. `TEST_PKCS11_MODULE` names the library, and `SOFTHSM2_CONF` where it
/// keeps tokens; `cargo xtask test` provides both.
pub fn token(folder: &Path, label: &str) -> TokenSettings {
    let module = std::env::var("TEST_PKCS11_MODULE")
        .expect("TEST_PKCS11_MODULE is not set: run the tests with `cargo xtask test`, or point it at SoftHSM's library");
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", "87654321"])
        .output()
        .expect("softhsm2-util runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pin_file = folder.join("pin");
    std::fs::write(&pin_file, "87654321\n").expect("the PIN file is written");
    std::fs::set_permissions(&pin_file, std::fs::Permissions::from_mode(0o600)).expect("the PIN file is written");
    TokenSettings { module: module.into(), label: label.to_owned(), pin_file }
}

/// Opens one store of this engine in a fresh place; the folder lives as long as the second value.
pub async fn store(kind: EngineKind, which: Store) -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = match kind {
        EngineKind::Sqlite => Location::Sqlite(folder.path().join("store.db")),
        EngineKind::Postgres => Location::Postgres { url: postgres().await, connections: 4 },
    };
    (Db::open(&at, which).await.expect("the store opens"), folder)
}

/// Prepares every statement of every room on both engines and returns what failed.
pub async fn prepare_all() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = postgres().await;
    let mut wrong = Vec::new();
    for which in [Store::Fleet, Store::Telemetry] {
        let file = folder.path().join(if which == Store::Fleet { "fleet.db" } else { "telemetry.db" });
        Db::open(&Location::Sqlite(file.clone()), which).await.expect("SQLite opens").close().await;
        Db::open(&Location::Postgres { url: url.clone(), connections: 2 }, which).await.expect("PostgreSQL opens").close().await;
        let mut lite = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("SQLite connects");
        let mut pg = PgConnection::connect(&url).await.expect("PostgreSQL connects");
        for (_, sql) in crate::rooms::statements().into_iter().filter(|(s, _)| *s == which) {
            if let Err(e) = lite.prepare(AssertSqlSafe(sql.sqlite).into_sql_str()).await {
                wrong.push(format!("SQLite: {e}\n{}", sql.sqlite));
            }
            if let Err(e) = pg.prepare(AssertSqlSafe(sql.postgres).into_sql_str()).await {
                wrong.push(format!("PostgreSQL: {e}\n{}", sql.postgres));
            }
        }
    }
    wrong
}
