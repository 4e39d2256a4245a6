//! The workloads of releases and rollouts, over a fleet of any size of which some devices are really there.

mod downloads;
pub mod fleet;
mod lists;
mod polls;
mod steps;

use crate::{Outcome, Size, ground::Ground, machine::Server, peers::Files};

/// Who is measured, with what it stands on.
enum Kept {
    Ours(Box<Ground>),
    Peer {
        server: Server,
        /// Removed after it.
        _files: Files,
    },
}

impl Kept {
    fn server(&self) -> &Server {
        match self {
            Self::Ours(ground) => &ground.server,
            Self::Peer { server, .. } => server,
        }
    }
}

/// Measures one, once; none when there is no such workload here.
pub async fn measure(workload: &str, side: &str, size: Size) -> Option<Outcome> {
    Some(match workload {
        "advance" if side == "rows" => steps::rows(size),
        "advance" => steps::ours(size).await,
        "lists" => lists::pages(size).await,
        "export" => lists::export(size).await,
        "polls" => polls::kept_alive(side, size).await,
        "dials" => polls::fresh(side, size).await,
        "download-1" => downloads::measure(side, 1).await,
        "download-16" => downloads::measure(side, 16).await,
        "download-64" => downloads::measure(side, 64).await,
        "cuts" => downloads::cut(size).await,
        _ => return None,
    })
}
