//! `agent run`: this host as a device, over restarts.

use super::{EnrolArguments, KeyArguments, asked_to_stop, runtime};
use agent::{
    buffer,
    clock::{self, Clock},
    device::{self, Carrier, Device, Ending, Parts},
    entropy::Entropy,
    metrics,
    platform::{self, Host},
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
    /// The version to report before the first update.
    #[arg(long, value_name = "VERSION", default_value = "0.0.0")]
    factory_version: String,
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
        match runtime()?.block_on(self.until_the_end())? {
            Ending::Stopped => Ok(()),
            Ending::Restart => self.restart(),
        }
    }

    async fn until_the_end(&self) -> anyhow::Result<Ending> {
        let cancel = CancellationToken::new();
        let clock: Arc<dyn Clock> = clock::System::new();
        let run = async {
            self.enrol.enrol(Arc::clone(&clock)).await?;
            let entropy = Entropy::from_os()?;
            let state = &self.enrol.state.state;
            let parts = Parts {
                source: Box::new(metrics::Host::new(state).context("this host cannot be measured")?),
                platform: Arc::new(Host { install_hook: self.install_hook.clone(), health_hook: self.health_hook.clone() }),
                clock,
                entropy,
                carrier: Carrier::always(),
            };
            let device = Device::open(self.config()?, parts)?;
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

    fn config(&self) -> anyhow::Result<device::Config> {
        Ok(device::Config {
            facts: Facts {
                device_type: self.enrol.device_type.clone(),
                hardware: self.enrol.hardware.clone(),
                factory_version: self.factory_version.clone(),
            },
            attributes: self.enrol.attributes(),
            keys: self.keys.read()?,
            interval: Duration::from_millis(self.interval_ms),
            buffer_bytes: self.buffer_mib << 20,
            rate: self.download_kib_s.map_or(Rate::Unlimited, |kib| Rate::Bytes(kib << 10)),
            confirm_within: Duration::from_secs(self.confirm_within_s),
            ..device::Config::new(&self.enrol.state.state, &self.enrol.device_type)
        })
    }

    fn restart(&self) -> anyhow::Result<()> {
        if let Some(hook) = &self.reboot_hook {
            tracing::info!(hook, "restarting the machine");
            let hooked = runtime()?.block_on(platform::run(hook, &[], Duration::from_mins(1)));
            return hooked.map_err(anyhow::Error::msg).context("the machine is not restarted; the new slot starts with the next start");
        }
        let this = std::env::current_exe().context("the agent does not find itself")?;
        tracing::info!("starting anew");
        Err(Command::new(this).args(std::env::args_os().skip(1)).exec()).context("the agent cannot start itself anew")
    }
}
