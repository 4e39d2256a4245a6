//! The accept loop of every listener of ours: bounded before anything is read of a connection, and it ends with the connections it has made.
//! Refuses to know what is spoken on them.

use super::{
    Stop,
    shedding::{Gate, HalfOpen, Place},
};
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// A connection with the places that it takes: one as long as it lives, one until it is through.
pub struct Accepted {
    /// The connection.
    pub socket: TcpStream,
    /// The other side.
    pub address: SocketAddr,
    /// Held as long as the connection lives.
    pub place: Place,
    /// Dropped when the other side has proved itself.
    pub half_open: HalfOpen,
}

/// Takes connections until `stop.soft`, then waits until those it gave to `each` have ended, or `stop.hard`. `each` must not wait. What is too much
/// is closed unread, and told to `shed`.
pub async fn accept(listener: TcpListener, gate: Gate, stop: &Stop, each: impl Fn(Accepted), shed: impl Fn(SocketAddr)) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.soft.cancelled() => break,
        };
        match accepted {
            Ok((socket, address)) => match gate.enter(address.ip()) {
                Some((place, half_open)) => each(Accepted { socket, address, place, half_open }),
                None => shed(address),
            },
            Err(error) => {
                // Out of descriptors, mostly: connections that end give some back.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = gate.empty() => {}
        () = stop.hard.cancelled() => {}
    }
}
