//! The workloads of the certificate authority.

mod handshake;
mod issue;
pub mod join;
mod publish;
mod revoke;
mod trips;

use crate::{Outcome, Size};

/// Measures one, once; none when there is no such workload here.
pub async fn measure(workload: &str, side: &str, size: Size) -> Option<Outcome> {
    Some(match workload {
        "issue" => issue::kept_alive(side, size).await,
        "enrol" => issue::fresh(side, size).await,
        "trips" => trips::measure(size).await,
        "handshake" => handshake::measure(side, size).await,
        "join" | "storm" => join::measure(side, size).await,
        "revoke" => revoke::measure(side, size).await,
        "crl" | "ocsp" => publish::measure(workload, side, size).await,
        _ => return None,
    })
}
