//! `agent run`: this host as a device, over restarts.

use super::{EnrolArguments, KeyArguments, Told, asked_to_stop, runtime};
use agent::{
    buffer,
    clock::{self, Clock},
    device::{self, Carrier, Device, Ending, Parts},
    entropy::Entropy,
    metrics,
    platform::{self, Host},
    settings::Settings,
    update::{Facts, fetch::Rate},
};
use anyhow::Context as _;
use clap::Args;
use std::{os::unix::process::CommandExt as _, process::Command, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    enrol: EnrolArguments,
    #[command(flatten)]
    keys: KeyArguments,
    /// Milliseconds between two measurements.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=86_400_000))]
    interval_ms: u64,
    /// Most MiB of samples kept on disk while the server is away; the oldest are dropped beyond that.
    #[arg(long, value_name = "MIB", default_value_t = buffer::DEFAULT_BYTES >> 20)]
    buffer_mib: u64,
    /// Most KiB a second for downloads; unlimited unless given.
    #[arg(long, value_name = "KIB")]
    download_kib_s: Option<u64>,
    /// Seconds after a start into new firmware within which the server must be reached; otherwise the device goes back.
    #[arg(long, value_name = "S", default_value_t = 120)]
    confirm_within_s: u64,
    /// The version to report before the first update; `0.0.0` unless it was ever given.
    #[arg(long, value_name = "VERSION")]
    factory_version: Option<String>,
    /// A command that makes a verified payload startable; gets its path and the slot's folder.
    #[arg(long, value_name = "CMD")]
    install_hook: Option<String>,
    /// A command that restarts the machine into the current slot. Without it the agent starts itself anew.
    #[arg(long, value_name = "CMD")]
    reboot_hook: Option<String>,
    /// A command that judges the machine after a start into new firmware; gets the slot's folder, exit status 0 means healthy.
    #[arg(long, value_name = "CMD")]
    health_hook: Option<String>,
}

impl Arguments {
    /// Runs until asked to stop, or replaces this process by a new start of it.
    pub fn run(self) -> anyhow::Result<()> {
        // Before anything is asked of the server: a key file that can't be read must not cost the token.
        let settings = self.enrol.settings(Settings {
            factory_version: self.factory_version.clone(),
            trusted_keys: self.keys.read()?,
            threshold: self.keys.threshold,
            install_hook: self.install_hook.clone(),
            reboot_hook: self.reboot_hook.clone(),
            health_hook: self.health_hook.clone(),
            ..Settings::default()
        })?;
        if settings.trusted_keys.is_empty() {
            tracing::warn!("no signing key is trusted here, so no update will be installed; start once with --trusted-key FILE");
        }
        match runtime()?.block_on(self.until_the_end(&settings))? {
            Ending::Stopped => Ok(()),
            Ending::Restart => restart(settings.reboot_hook.as_deref()),
        }
    }

    async fn until_the_end(&self, settings: &Settings) -> anyhow::Result<Ending> {
        let cancel = CancellationToken::new();
        let clock: Arc<dyn Clock> = clock::System::new();
        let run = async {
            self.enrol.enrol(settings, Arc::clone(&clock)).await?;
            let entropy = Entropy::from_os()?;
            let state = &self.enrol.state.state;
            let parts = Parts {
                source: Box::new(metrics::Host::new(state).context("this host cannot be measured")?),
                platform: Arc::new(Host { install_hook: settings.install_hook.clone(), health_hook: settings.health_hook.clone() }),
                clock,
                entropy,
                carrier: Carrier::always(),
            };
            let device = Device::open(self.config(settings), parts)?;
            Ok(Box::pin(device.run(cancel.clone())).await?)
        };
        tokio::pin!(run);
        let stop = asked_to_stop();
        tokio::select! {
            ended = &mut run => return ended,
            asked = stop => asked?,
        }
        tracing::info!("stopping");
        cancel.cancel();
        // Before the device runs there is nothing that needs an end.
        tokio::time::timeout(Duration::from_secs(5), run).await.unwrap_or(Ok(Ending::Stopped))
    }

    fn config(&self, settings: &Settings) -> device::Config {
        let Told { device_type, hardware, attributes } = Told::of(settings);
        let factory_version = settings.factory_version.clone().unwrap_or_else(|| "0.0.0".to_owned());
        let defaults = device::Config::new(&self.enrol.state.state, &device_type);
        device::Config {
            facts: Facts { device_type, hardware, factory_version },
            attributes,
            keys: settings.trust(),
            interval: Duration::from_millis(self.interval_ms),
            buffer_bytes: self.buffer_mib << 20,
            rate: self.download_kib_s.map_or(Rate::Unlimited, |kib| Rate::Bytes(kib << 10)),
            confirm_within: Duration::from_secs(self.confirm_within_s),
            enrol_url: settings.enrol_url.clone(),
            ..defaults
        }
    }
}

/// Starts the machine anew by its hook, or without one this process with the same arguments.
fn restart(reboot_hook: Option<&str>) -> anyhow::Result<()> {
    if let Some(hook) = reboot_hook {
        tracing::info!(hook, "restarting the machine");
        let hooked = runtime()?.block_on(platform::run(hook, &[], Duration::from_mins(1)));
        return hooked.map_err(anyhow::Error::msg).context("the machine is not restarted; the new slot starts with the next start");
    }
    let this = std::env::current_exe().context("the agent does not find itself")?;
    tracing::info!("starting anew");
    Err(Command::new(this).args(std::env::args_os().skip(1)).exec()).context("the agent cannot start itself anew")
}
