//! `agent`: a Fleetward device on this Linux host, or a fleet of simulated ones.

mod cli;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    cli::Arguments::parse().execute()
}
