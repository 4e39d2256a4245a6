//! What the machine room sees: the log and the Prometheus metrics. Refuses to decide anything.

use crate::config::{Config, LogFormat};
use anyhow::Result;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::Arc;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Starts logging to standard error. Once a process.
pub fn log(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let registry = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(false)).try_init()?,
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()?,
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
    /// Channels that are open.
    pub channels: Gauge,
    /// Samples acknowledged after their commit.
    pub samples: Counter,
    /// Bytes of artifacts sent to devices.
    pub download_bytes: Counter,
    /// Live sockets of browsers.
    pub live_sockets: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("fleetward");
        let this = |registry: &mut Registry| {
            let (requests, enrolments) = (Family::default(), Family::default());
            let (channels, live_sockets) = (Gauge::default(), Gauge::default());
            let (samples, download_bytes) = (Counter::default(), Counter::default());
            registry.register("http_requests", "Requests on the operator listener by status", Family::clone(&requests));
            registry.register("enrolments", "Enrolments by outcome", Family::clone(&enrolments));
            registry.register("device_channels", "Device channels that are open", Gauge::clone(&channels));
            registry.register("samples_acknowledged", "Samples acknowledged after their commit", Counter::clone(&samples));
            registry.register("download_bytes", "Bytes of artifacts sent to devices", Counter::clone(&download_bytes));
            registry.register("live_sockets", "Live sockets of browsers", Gauge::clone(&live_sockets));
            (requests, enrolments, channels, samples, download_bytes, live_sockets)
        };
        let (requests, enrolments, channels, samples, download_bytes, live_sockets) = this(&mut registry);
        Self { registry: Arc::new(registry), requests, enrolments, channels, samples, download_bytes, live_sockets }
    }
}

impl Metrics {
    /// All of them in the `OpenMetrics` text form.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}
