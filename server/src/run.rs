//! The composition root: opens the core, starts listeners and workers, and stops them in order. Nothing past it holds everything.

use crate::{
    claim_hook,
    config::Config,
    device::{Channels, Devices, Served, device_router, enrol_router, proxied_router},
    http::{self, Operator, ops},
    lifecycle::Lifecycle,
    observe::{Counted, Metrics},
    proxied::{self, Door, Proxies},
    publish::{self, Publisher},
    tls::{self, Endpoint, Limits, Registry, Stats, Stop},
    workers,
};
use anyhow::{Context as _, Result, bail};
use fleet::{
    Fleet, Settings,
    access::AuditHeads,
    clock::{Clock, SystemClock},
    devices::EnrolmentUrls,
    entropy::{Entropy, OsEntropy},
    pki::{Kek, PkiSettings},
};
use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;

/// A server that runs.
pub struct Running {
    /// The core.
    pub fleet: Fleet,
    /// Where the console is.
    pub operator_addr: SocketAddr,
    /// Where devices connect.
    pub device_addr: SocketAddr,
    /// Where devices enrol.
    pub enrol_addr: SocketAddr,
    /// Where proxies pass devices' requests on, if anywhere.
    pub device_proxy_addr: Option<SocketAddr>,
    /// Where third parties ask.
    pub publish_addr: SocketAddr,
    /// Where health and metrics are.
    pub ops_addr: SocketAddr,
    /// Its tasks.
    pub lifecycle: Lifecycle,
    drain: Duration,
}

/// Opens the core as the configuration says. `serves` is false for commands beside a running server.
pub async fn open(config: &Config, serves: bool, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, urls: EnrolmentUrls) -> Result<Fleet> {
    config.check_files()?;
    private_folder(&config.data).with_context(|| format!("making the data folder {}", config.data.display()))?;
    let postgres = config.postgres()?;
    let kek = kek(config, postgres.as_deref(), &*entropy).await?;
    let pki = PkiSettings {
        trust_domain: config.trust_domain.clone(),
        device_hostnames: config.device_names.clone(),
        crl_base_url: config.publish_url.clone(),
        token: config.token(),
        root_key: config.root_key,
        strict_reenrol: config.est_strict_reenroll,
        server_keygen: config.allow_server_keygen,
        private_lists: config.list_fetch_private,
        journal: Some(config.journal()),
    };
    let settings = Settings {
        data: config.data.clone(),
        serves,
        postgres,
        postgres_connections: config.database_connections,
        kek,
        pki,
        urls,
        claim_hook: claim_hook::hook(config)?,
    };
    Box::pin(Fleet::open(settings, clock, entropy)).await.context("opening the fleet")
}

/// Makes the folder of databases and keys for its owner alone. One that is there already stays as it is, with a warning if others may look in.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::metadata(folder) {
        Ok(found) => {
            if found.permissions().mode() & 0o077 != 0 {
                tracing::warn!("others on this machine may read the data folder; run: chmod 0700 {}", folder.display());
            }
            Ok(())
        }
        Err(_) => std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder),
    }
}

/// The key-encryption key. One in the data folder is made together with the fleet; later a missing one is lost, and a new one would open nothing.
async fn kek(config: &Config, postgres: Option<&str>, entropy: &dyn Entropy) -> Result<Kek> {
    if let Some(file) = &config.key_file {
        return Ok(Kek::of_file(file)?);
    }
    if let Some(file) = config.credential(std::env::var_os("CREDENTIALS_DIRECTORY"))? {
        return Ok(Kek::of_credential(&file)?);
    }
    let own = config.own_key();
    if !own.exists() && !Fleet::exists(&config.data, postgres).await? {
        if config.key_passphrase_file.is_some() {
            config.check_passphrase()?;
            Kek::make_salt(&own, entropy)?;
        } else {
            Kek::make_file(&own, entropy)?;
        }
    }
    Ok(match &config.key_passphrase_file {
        Some(passphrase) => Kek::of_passphrase(passphrase, &own)?,
        None => Kek::of_file(&own)?,
    })
}

/// Where devices reach the two listeners on these ports.
pub fn urls(config: &Config, device: SocketAddr, enrol: SocketAddr) -> EnrolmentUrls {
    let name = config.device_names.first().map_or("localhost", String::as_str);
    let url = |given: &Option<String>, at: SocketAddr| {
        given.clone().map_or_else(|| format!("https://{name}:{}", at.port()), |u| u.trim_end_matches('/').to_owned())
    };
    EnrolmentUrls { enrol: url(&config.enrol_url, enrol), device: url(&config.device_url, device) }
}

/// How often a server that stands by looks whether the one that serves has ended.
const LOOKS: Duration = Duration::from_secs(1);

/// Starts a server with the machine's clock and randomness. With `standby` it waits first for as long as another one serves the fleet, its ports closed.
pub async fn start(config: Config) -> Result<Running> {
    loop {
        if config.standby {
            stand_by(&config).await?;
        }
        match start_with(config.clone(), Arc::new(SystemClock), Arc::new(OsEntropy)).await {
            // Of several that stood by another one was faster.
            Err(e) if config.standby && is_served(&config).await => tracing::info!(error = %e, "another server has taken over first"),
            started => return started,
        }
    }
}

/// Waits until no other server serves the fleet. A database that can't be asked is asked again: it may be moving as well.
async fn stand_by(config: &Config) -> Result<()> {
    config.check()?;
    config.check_files()?;
    let postgres = config.postgres()?;
    let mut told = false;
    loop {
        match Fleet::is_served(&config.data, postgres.as_deref()).await {
            Ok(false) => return Ok(()),
            Ok(true) if told => {}
            Ok(true) => {
                tracing::info!("standing by: another server serves this fleet; its ports are opened here when that has ended");
                told = true;
            }
            Err(e) => tracing::warn!(error = %e, "standing by: whether another server serves this fleet can't be told"),
        }
        tokio::time::sleep(LOOKS).await;
    }
}

async fn is_served(config: &Config) -> bool {
    let Ok(postgres) = config.postgres() else { return false };
    Fleet::is_served(&config.data, postgres.as_deref()).await.unwrap_or(false)
}

/// Starts a server. Listeners are bound before anything else, so a taken port is told at once.
pub async fn start_with(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Running> {
    config.check()?;
    config.check_files()?;
    config.check_passphrase()?;
    let bind = async |what: &str, at: SocketAddr| -> Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind(at).await.with_context(|| format!("listening on {at} ({what})"))?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    };
    let (operator, operator_addr) = bind("operator_addr", config.operator_addr).await?;
    let (device, device_addr) = bind("device_addr", config.device_addr).await?;
    let (enrol, enrol_addr) = bind("enrol_addr", config.enrol_addr).await?;
    let proxied = match config.device_proxy_addr {
        Some(at) => Some(bind("device_proxy_addr", at).await?),
        None => None,
    };
    let (published, publish_addr) = bind("publish_addr", config.publish_addr).await?;
    let (ops_listener, ops_addr) = bind("ops_addr", config.ops_addr).await?;

    let urls = urls(&config, device_addr, enrol_addr);
    let device_url: Arc<str> = urls.device.as_str().into();
    let shared = config.shared(&urls);
    let fleet = open(&config, true, clock.clone(), entropy, urls).await?;
    fleet.devices().reset_presence().await?;

    let lifecycle = Lifecycle::default();
    let stop = Stop { soft: lifecycle.soft(), hard: lifecycle.hard() };
    let (channels, registry) = (Channels::default(), Registry::default());
    let listeners = ["device", "enrol", "operator"].map(|name| (name, Arc::new(Stats::default())));
    let [device_stats, enrol_stats, operator_stats] = listeners.clone().map(|(_, stats)| stats);
    let proxy_stats = Arc::<Stats>::default();
    let mut listeners = Vec::from(listeners);
    listeners.extend(proxied.is_some().then(|| ("proxy", proxy_stats.clone())));
    let metrics = Metrics::new(Counted { fleet: fleet.clone(), connections: registry.clone(), listeners });
    let devices: Devices = Arc::new(Served {
        fleet: fleet.clone(),
        metrics: metrics.clone(),
        channels: channels.clone(),
        device_url,
        ignores_binding: config.est_ignore_channel_binding,
        stopping: lifecycle.soft(),
    });
    let endpoint = |router, tls_config, stats, title_case| Endpoint {
        router,
        config: tls_config,
        trust: fleet.pki().trust(),
        registry: registry.clone(),
        limits: Limits::default(),
        stats,
        title_case,
    };
    let device_tls = tls::device(fleet.pki(), clock.clone()).await.context("TLS of the device listener")?;
    let enrol_tls = tls::enrol(fleet.pki(), clock.clone()).await.context("TLS of the enrol listener")?;
    let device_proxy_addr = proxied.as_ref().map(|(_, at)| *at);
    let proxied = match proxied {
        Some((listener, at)) => {
            let (trust, header, forwarded) = (fleet.pki().trust(), config.device_proxy_header, config.trust_forwarded_for);
            let door = Door::new((trust, registry.clone()), clock.clone(), proxy_stats.clone(), header, forwarded);
            // What goes no farther than this machine needs no TLS.
            let tls = if at.ip().is_loopback() {
                None
            } else {
                Some(tls::proxy(fleet.pki(), clock).await.context("TLS of the listener for proxies")?)
            };
            let router = proxied_router(devices.clone(), door);
            Some((listener, Proxies { router, tls, trusted: config.trusted()?, stats: proxy_stats }))
        }
        None => None,
    };
    // Third parties find the lists there from the first moment on.
    fleet.pki().publish().await.context("publishing lists of revoked certificates")?;
    let operator_tls = match (&config.operator_tls_cert, &config.operator_tls_key) {
        (Some(cert), Some(key)) => Some(http::tls(cert, key)?),
        _ => None,
    };
    // Behind a TLS proxy browsers still speak TLS, so cookies are as strict as with our own.
    let secure = operator_tls.is_some() || config.allow_plain_public;

    let set_up_needed = fleet.access().set_up_needed().await?;
    // Behind everything that a start may fail by, and before anybody is served: commands go by the last server there was.
    fleet.keep_in_force(&shared).await.context("keeping the settings that commands beside the server share")?;
    let heads = AuditHeads::at(config.audit_heads.clone().unwrap_or_else(|| config.data.join("audit-heads.jsonl")));
    workers::start(&lifecycle, &fleet, &channels, &registry, heads, config.list_fetch_private, &metrics);
    lifecycle.spawn(
        "device listener",
        tls::serve(device, endpoint(device_router(devices.clone()), device_tls, device_stats, false), stop.clone()),
    );
    lifecycle.spawn("enrol listener", tls::serve(enrol, endpoint(enrol_router(devices), enrol_tls, enrol_stats, true), stop.clone()));
    if let Some((listener, proxies)) = proxied {
        tracing::info!("devices behind a proxy {}", device_proxy_addr.map(|at| at.to_string()).unwrap_or_default());
        lifecycle.spawn("proxy listener", proxied::serve(listener, proxies, stop.clone()));
    }
    let publisher = Publisher { fleet: fleet.clone(), metrics: metrics.clone() };
    lifecycle.spawn("publish listener", publish::serve(published, publisher, stop.clone()));
    let operator_state =
        Operator { fleet: fleet.clone(), metrics: metrics.clone(), secure, forwarded: config.trust_forwarded_for, stop: stop.clone() };
    lifecycle.spawn("operator listener", http::serve(operator, operator_state, operator_tls, operator_stats));
    let state = ops::Ops { fleet: fleet.clone(), metrics, stopping: lifecycle.soft() };
    // Readiness must be told until the very end, so the stop does not wait for this listener: it ends after all the others.
    lifecycle.spawn_beyond("ops listener", ops::serve(ops_listener, state, lifecycle.hard()));

    if set_up_needed {
        tell_code(&fleet.access().set_up_code(), std::io::stderr().is_terminal(), |line| eprintln!("{line}"));
    }
    let scheme = if config.operator_tls_cert.is_some() { "https" } else { "http" };
    tracing::info!(
        "console {scheme}://{operator_addr}  devices {device_addr}  enrolment {enrol_addr}  publication http://{publish_addr}  health http://{ops_addr}"
    );
    Ok(Running {
        fleet,
        operator_addr,
        device_addr,
        enrol_addr,
        device_proxy_addr,
        publish_addr,
        ops_addr,
        lifecycle,
        drain: Duration::from_secs(config.drain_s),
    })
}

/// Says the code of the set-up page where a person reads it: on the terminal, past the log; without one the log is where people look. A log that is set
/// to keep warnings to itself must not keep people out: `say` says it then, too.
fn tell_code(code: &str, terminal: bool, say: impl FnOnce(&str)) {
    const WHAT: &str = "nobody can sign in yet: open /set-up in the console and enter this set-up code";
    if terminal || !tracing::enabled!(tracing::Level::WARN) {
        say(&format!("{WHAT}: {code}"));
    } else {
        tracing::warn!(code, "{WHAT}");
    }
}

impl Running {
    /// Stops: no new connections, uploads and channels drained, websockets closed with 1012, what is in memory written. An error means that
    /// something had to be cut off or a task had crashed.
    pub async fn stop(self) -> Result<()> {
        let releases = self.fleet.clone();
        let soft = self.lifecycle.soft();
        soft.cancel();
        let (ended, ()) = tokio::join!(self.lifecycle.stop(self.drain), releases.releases().drain());
        let closed = self.fleet.close().await;
        self.lifecycle.hard().cancel();
        closed.context("closing the databases")?;
        if !ended {
            bail!("the graceful stop took longer than {} s; what was left was cut off", self.drain.as_secs());
        }
        if self.lifecycle.crashed() {
            bail!("a task ended unexpectedly; the log says which");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::entropy::SeededEntropy;
    use tracing_subscriber::{EnvFilter, fmt as lines, prelude::*};

    async fn key(config: &Config) -> Result<Kek> {
        kek(config, None, &SeededEntropy::new(1)).await
    }

    #[tokio::test]
    async fn a_lost_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let words = folder.path().join("words");
        std::fs::write(&words, "correct horse").unwrap();
        std::fs::set_permissions(&words, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = Config { data: folder.path().to_owned(), ..Config::default() };
        let phrase = Config { key_passphrase_file: Some(words), ..config.clone() };
        for (config, own) in [(&config, "kek"), (&phrase, "kek.salt")] {
            let (own, database) = (folder.path().join(own), folder.path().join("fleet.db"));
            key(config).await.unwrap();
            assert!(own.exists(), "a new fleet gets one");
            std::fs::write(&database, "a database").unwrap();
            key(config).await.unwrap();
            std::fs::remove_file(&own).unwrap();
            let says = key(config).await.unwrap_err().to_string();
            assert!(says.contains("is missing"), "{says}");
            assert!(!own.exists(), "nothing is written in its place");
            std::fs::remove_file(&database).unwrap();
        }
        let misspelt = folder.path().join("nope");
        assert!(key(&Config { key_file: Some(misspelt.clone()), ..config }).await.is_err());
        assert!(!misspelt.exists());
    }

    #[test]
    fn the_set_up_code_is_said_once_whatever_is_logged() {
        const CODE: &str = "0123-4567";
        for (filter, terminal, in_log) in [
            ("info", false, true),
            ("warn", false, true),
            ("error,server=warn", false, true),
            ("error", false, false),
            ("server=error,info", false, false),
            ("off", false, false),
            ("info", true, false),
        ] {
            let (log, mut said) = (tempfile::NamedTempFile::new().unwrap(), String::new());
            let layer = lines::layer().with_writer(Arc::new(log.reopen().unwrap())).with_ansi(false);
            let subscriber = tracing_subscriber::registry().with(EnvFilter::new(filter)).with(layer);
            tracing::subscriber::with_default(subscriber, || tell_code(CODE, terminal, |line| said.push_str(line)));
            let logged = std::fs::read_to_string(log.path()).unwrap();
            assert_eq!((logged.contains(CODE), said.contains(CODE)), (in_log, !in_log), "{filter}: {logged}{said}");
        }
    }

    #[test]
    fn a_new_data_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        private_folder(&data).unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        private_folder(&data).unwrap();
    }
}
