//! What the machine room sees: the log and the Prometheus metrics. Refuses to decide anything.

use crate::{
    config::{Config, LogFormat},
    tls,
};
use anyhow::Result;
use fleet::{Fleet, pki::ToFollow};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing_subscriber::{EnvFilter, fmt as lines, prelude::*};

/// Starts logging to standard error. Once a process.
pub fn log(config: &Config) -> Result<()> {
    // PostgreSQL says at every start that the migrations' books are there already; its warnings are heard.
    let filter = EnvFilter::try_new(format!("sqlx::postgres::notice=warn,{}", config.log))?;
    let registry = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Text => registry.with(lines::layer().with_writer(std::io::stderr).with_ansi(false)).try_init()?,
        LogFormat::Json => registry.with(lines::layer().json().with_writer(std::io::stderr)).try_init()?,
    }
    Ok(())
}

type Labels = Vec<(&'static str, String)>;

/// Counters and gauges, by the names they are scraped under.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Requests of operators and scripts, by status.
    pub requests: Family<Labels, Counter>,
    /// Enrolments by outcome.
    pub enrolments: Family<Labels, Counter>,
    /// Renewals by outcome, refusals among them.
    pub renewals: Family<Labels, Counter>,
    /// Channels that are open.
    pub channels: Gauge,
    /// Samples acknowledged after their commit.
    pub samples: Counter,
    /// Bytes of artifacts sent to devices.
    pub download_bytes: Counter,
    /// Live sockets of browsers.
    pub live_sockets: Gauge,
    /// Requests of third parties by what they asked for and status; connections that were shed.
    pub published: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::in_registry(Registry::with_prefix("fleetward"))
    }
}

impl Metrics {
    /// Those that are counted here, and those that other parts count for themselves, read whenever somebody scrapes.
    pub fn new(counted: Counted) -> Self {
        let mut registry = Registry::with_prefix("fleetward");
        registry.register_collector(Box::new(counted));
        Self::in_registry(registry)
    }

    fn in_registry(mut registry: Registry) -> Self {
        let (requests, published) = (Family::default(), Family::default());
        let (enrolments, renewals) = (Family::default(), Family::default());
        let (channels, live_sockets) = (Gauge::default(), Gauge::default());
        let (samples, download_bytes) = (Counter::default(), Counter::default());
        registry.register("http_requests", "Requests on the operator listener by status", Family::clone(&requests));
        registry.register("enrolments", "Enrolments by outcome", Family::clone(&enrolments));
        registry.register("renewals", "Renewals by outcome", Family::clone(&renewals));
        registry.register("device_channels", "Device channels that are open", Gauge::clone(&channels));
        registry.register("samples_acknowledged", "Samples acknowledged after their commit", Counter::clone(&samples));
        registry.register("download_bytes", "Bytes of artifacts sent to devices", Counter::clone(&download_bytes));
        registry.register("live_sockets", "Live sockets of browsers", Gauge::clone(&live_sockets));
        registry.register("published", "Requests of third parties by what they asked for and status", Family::clone(&published));
        Self { registry: Arc::new(registry), requests, enrolments, renewals, channels, samples, download_bytes, live_sockets, published }
    }

    /// All of them in the `OpenMetrics` text form.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// One more in a gauge until it is dropped, however its owner ends.
#[derive(Debug)]
pub struct OneMore(Gauge);

impl OneMore {
    /// Counts it.
    pub fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What other parts count for themselves.
#[derive(Clone)]
pub struct Counted {
    /// The core: certificates and samples.
    pub fleet: Fleet,
    /// Connections of devices.
    pub connections: tls::Registry,
    /// The TLS listeners by name.
    pub listeners: Vec<(&'static str, Arc<tls::Stats>)>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut put = |name: &str, help: &str, metric: &dyn Figure| metric.put(&mut encoder, name, help);
        let count = |n: u64| ConstCounter::new(n);
        let level = |n: u64| ConstGauge::new(i64::try_from(n).unwrap_or(i64::MAX));
        let t = self.fleet.telemetry().figures();
        put("samples_stored", "Samples stored", &count(t.samples))?;
        put("samples_refused", "Samples refused", &count(t.refused))?;
        put("samples_queued", "Samples waiting for their commit", &level(t.queued))?;
        put("samples_unfolded", "Samples in the log that are not folded yet", &level(t.unfolded))?;
        put("sample_frames_stored", "Frames of samples stored", &count(t.frames))?;
        put("sample_frames_repeated", "Frames that had been stored before", &count(t.repeated))?;
        put("sample_commits", "Commits of samples", &count(t.commits))?;
        put("sample_commits_held", "1 while commits fail and samples are held, unacknowledged", &level(t.held.into()))?;
        put("sample_blocks_damaged", "Stored blocks that failed their checksum; anything but 0 is an alarm", &count(t.damaged))?;
        put("sample_devices", "Devices whose samples' state is in memory", &level(t.devices))?;
        let stored = self.fleet.releases().figures();
        put("artifact_bytes_checked", "Bytes of stored artifacts that were read again and compared", &count(stored.checked_bytes))?;
        put(
            "artifacts_damaged",
            "Stored artifacts that are damaged and not given out; anything but 0 is an alarm",
            &level(stored.damaged),
        )?;
        let glass = self.fleet.rollouts().glass_figures();
        put("rollouts_without_approval", "Rollouts started without approval that are to be reviewed", &ConstGauge::new(glass.open()))?;
        put(
            "rollouts_without_approval_overdue",
            "Those of them whose time for that is over; anything but 0 is an alarm",
            &ConstGauge::new(glass.overdue()),
        )?;
        let trust = self.fleet.pki().trust();
        put("certificates_trusted", "Device certificates held in memory", &level(trust.len() as u64))?;
        put(
            "certificates_unknown",
            "Certificates signed by our authorities that have no row; anything but 0 is an alarm",
            &count(trust.unknown_seen()),
        )?;
        let fetches = self.fleet.pki().list_fetches();
        let ended: Vec<_> = fetches.by_outcome().into_iter().map(|(outcome, n)| (vec![("outcome", outcome.to_owned())], n)).collect();
        put("registered_list_fetches", "Fetches of registered authorities' lists of revoked certificates by outcome", &ended)?;
        put(
            "registered_list_oldest_fetch_seconds",
            "Seconds since a registered authority's list was fetched, of the one where that is longest ago; each is fetched every hour",
            &ConstGauge::new(fetches.oldest_seconds(self.fleet.clock().now())),
        )?;
        let follow: Vec<_> = self.fleet.pki().follow_figures().iter().map(to_follow).collect();
        put(
            "authority_to_follow_seconds",
            "Seconds until a root or an issuing authority has to be followed by the next one; below 0 that is overdue",
            &follow,
        )?;
        let off = u64::from(self.fleet.pki().clock_jump().is_some());
        put("clock_jumped", "1 while the clock is off and nothing is issued", &level(off))?;
        let lost = u64::from(self.fleet.pki().not_signing(None).is_some_and(|not| not.whole));
        put(
            "signer_lost",
            "1 while all authorities' keys are out of reach: nothing new is signed, devices that are in go on",
            &level(lost),
        )?;
        put(
            "authority_keys_missing",
            "Authorities that sign nothing because their keys are not on the token; what others sign goes on",
            &level(self.fleet.pki().keys_missing() as u64),
        )?;
        put(
            "registered_devices_turned_away",
            "Handshakes of registered authorities' devices that were refused without a new decision",
            &count(trust.turned_away()),
        )?;
        put("device_connections", "Connections of devices that are open", &level(self.connections.len() as u64))?;
        let mut handshakes = Vec::new();
        for (listener, stats) in &self.listeners {
            let mut one = |outcome: &str, reason: Option<tls::Reason>, n: u64| {
                let mut labels: Labels = vec![("listener", (*listener).to_owned()), ("outcome", outcome.to_owned())];
                labels.extend(reason.map(|reason| ("reason", reason.as_str().to_owned())));
                handshakes.push((labels, n));
            };
            let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
            one("accepted", None, read(&stats.accepted));
            one("shed", None, read(&stats.shed));
            one("established", None, read(&stats.established));
            one("timed_out", Some(tls::Reason::Timeout), read(&stats.timed_out));
            stats.failed.all().for_each(|(reason, n)| one("failed", Some(reason), n));
            stats.refused.all().for_each(|(reason, n)| one("refused", Some(reason), n));
        }
        put("tls_connections", "Connections of the TLS listeners by how far they got, and why no further", &handshakes)?;
        let attacks = self.fleet.attacks();
        let seen: Vec<_> = attacks.seen().map(|(kind, n)| (vec![("kind", kind.code().to_owned())], n)).collect();
        put("attack_signs", "Signs of attack by what was seen; the audit log has them", &seen)?;
        put("attack_signs_dropped", "Signs of attack that are in no row of the audit log", &count(attacks.dropped()))
    }
}

fn to_follow(due: &ToFollow) -> (Labels, i64) {
    let labels = vec![("authority", due.authority.to_string()), ("kind", due.kind.to_owned()), ("generation", due.generation.to_string())];
    (labels, due.seconds)
}

/// Something with a value now.
trait Figure {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result;
}

impl Figure for ConstCounter<u64> {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

impl Figure for ConstGauge<i64> {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

impl Figure for Vec<(Labels, u64)> {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Counter)?;
        self.iter().try_for_each(|(labels, n)| ConstCounter::new(*n).encode(family.encode_family(labels)?))
    }
}

impl Figure for Vec<(Labels, i64)> {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Gauge)?;
        self.iter().try_for_each(|(labels, n)| ConstGauge::new(*n).encode(family.encode_family(labels)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};

    #[tokio::test]
    async fn what_others_count_is_scraped() {
        let world = World::open(EngineKind::Sqlite).await;
        world.device("gw-1", "sim").await;
        let stats = Arc::new(tls::Stats::default());
        stats.timed_out.store(3, Ordering::Relaxed);
        let listeners = vec![("device", stats), ("enrol", Arc::default())];
        let metrics = Metrics::new(Counted { fleet: world.fleet.clone(), connections: tls::Registry::default(), listeners });
        let socket = OneMore::of(&metrics.live_sockets);
        let text = metrics.text().unwrap();
        for line in [
            "fleetward_certificates_trusted 1",
            "fleetward_artifacts_damaged 0",
            "fleetward_clock_jumped 0",
            "fleetward_signer_lost 0",
            "fleetward_authority_keys_missing 0",
            "fleetward_rollouts_without_approval 0",
            "fleetward_rollouts_without_approval_overdue 0",
            "fleetward_certificates_unknown_total 0",
            "fleetward_registered_list_fetches_total{outcome=\"taken\"} 0",
            "fleetward_registered_list_fetches_total{outcome=\"unchanged\"} 0",
            "fleetward_registered_list_fetches_total{outcome=\"failed\"} 0",
            "fleetward_registered_list_oldest_fetch_seconds 0",
            "fleetward_device_connections 0",
            "fleetward_samples_stored_total 0",
            "fleetward_tls_connections_total{listener=\"device\",outcome=\"timed_out\",reason=\"timeout\"} 3",
            "fleetward_tls_connections_total{listener=\"enrol\",outcome=\"failed\",reason=\"revoked\"} 0",
            "fleetward_attack_signs_total{kind=\"never_issued\"} 0",
            "fleetward_attack_signs_dropped_total 0",
            "fleetward_live_sockets 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(socket);
        assert!(metrics.text().unwrap().contains("fleetward_live_sockets 0\n"));
    }

    /// how long it is until an authority has to be followed, and how long it should have been by now.
    #[tokio::test]
    async fn when_an_authority_has_to_be_followed_is_scraped() {
        let world = World::open(EngineKind::Sqlite).await;
        let (pki, admin) = (world.fleet.pki(), world.admin().await);
        let counted = Counted { fleet: world.fleet.clone(), connections: tls::Registry::default(), listeners: Vec::new() };
        let metrics = Metrics::new(counted);
        let scraped = || {
            let text = metrics.text().unwrap();
            let mut lines: Vec<_> =
                text.lines().filter(|l| l.starts_with("fleetward_authority_to_follow_seconds{")).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert!(scraped().is_empty(), "nothing is said before it was measured");
        pki.tick().await.unwrap();
        let rules = |hours| wire::pki::ProfileRules { hours, factory: false, keys: Vec::new(), rekey: None };
        let mut overdue = 0;
        for (hours, days) in [(1, 0), (wire::pki::MAX_PROFILE_HOURS, 0), (wire::pki::MAX_PROFILE_HOURS, 180)] {
            pki.set_profile(&admin, "one", rules(hours)).await.unwrap();
            world.clock.advance(days * 86_400_000);
            pki.tick().await.unwrap();
            let all = pki.authorities_page(&admin).await.unwrap().authorities;
            let line = |a: &wire::pki::AuthorityStanding| {
                let seconds = a.follow_from?.since(world.clock_now()).div_euclid(1000);
                let (id, kind) = (&a.row.id, &a.row.kind);
                Some((
                    seconds,
                    format!("fleetward_authority_to_follow_seconds{{authority=\"{id}\",kind=\"{kind}\",generation=\"1\"}} {seconds}"),
                ))
            };
            let expected: Vec<_> = all.iter().filter_map(line).collect();
            overdue = expected.iter().filter(|(seconds, _)| *seconds < 0).count();
            let mut lines: Vec<_> = expected.into_iter().map(|(_, line)| line).collect();
            lines.sort();
            assert_eq!((scraped(), lines.len()), (lines.clone(), 3), "{hours} {days}");
        }
        assert_eq!(overdue, 1, "five years less 180 days are not twice 825 days; listeners' certificates are short");
    }
}
