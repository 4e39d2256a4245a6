//! The live socket `/live`: one a tab. Owns the connection's pace, its beats and its end; what there is to tell is the hub's business.
//!
//! A slow browser delays nobody: while a frame is on its way the feed folds what follows. A browser that takes nothing for half a minute, or
//! says nothing for a minute, is cut.

use super::{
    fault::Problem,
    guard::{Caller, same_origin},
};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use fleet::{
    Fleet,
    access::{Actor, Who},
    telemetry::Feed,
};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use wire::{
    Fault, FaultKind,
    live::{Ask, BEAT_S, Tell},
};

/// Most bytes of what a browser asks.
const MAX_ASK: usize = 8 * 1024;
/// A frame that doesn't get out within this time ends the connection.
const STALL: Duration = Duration::from_secs(30);
/// Between pings; a connection that is silent for three of them is dead.
const PING: Duration = Duration::from_secs(20);
/// Between looks at whether the session still stands.
const SESSION: Duration = Duration::from_secs(30);
/// Shortest time between frames in the long run: a screen shows sixty a second.
const FRAME: Duration = Duration::from_micros(16_667);
/// How far a connection may run ahead of that pace: what comes now and then goes out at once.
const BURST: Duration = Duration::from_millis(500);

/// What the socket needs.
#[derive(Clone)]
pub struct Live {
    /// The core.
    pub fleet: Fleet,
    /// How many are open.
    pub open: prometheus_client::metrics::gauge::Gauge,
    /// Cancelled when the server begins to stop: sockets are closed with 1012, browsers come back.
    pub stop: CancellationToken,
}

/// The route.
pub fn routes(live: Live) -> Router {
    Router::new().route("/live", get(upgrade)).with_state(live)
}

async fn upgrade(State(live): State<Live>, Caller(actor): Caller, headers: HeaderMap, socket: WebSocketUpgrade) -> Response {
    // Browsers open websockets to anywhere and send the cookie along (CSWSH); a token is sent on purpose.
    if !matches!(actor.who, Who::Token { .. }) && !same_origin(&headers) {
        let fault = Fault::new(FaultKind::Forbidden, "cross_origin", "The live socket is only for pages of this console.");
        return Problem(fault).into_response();
    }
    socket
        .read_buffer_size(4 * 1024)
        .write_buffer_size(8 * 1024)
        .max_write_buffer_size(1 << 20)
        .max_message_size(MAX_ASK)
        .max_frame_size(MAX_ASK)
        .on_upgrade(move |socket| async move {
            let _open = crate::observe::OneMore::of(&live.open);
            let feed = live.fleet.telemetry().hub().feed(actor.org.clone());
            Connection { live, actor, feed, socket, ahead: Instant::now() }.run().await;
        })
}

/// Why a connection ends from our side.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The other side left, or takes nothing; there is nobody to tell.
    Gone,
    /// The session ended.
    Session,
    /// It asked for something that isn't in the protocol.
    Nonsense,
    /// The server restarts.
    Restart,
    /// Something can't be read now.
    Busy,
}

struct Connection {
    live: Live,
    actor: Actor,
    feed: Feed,
    socket: WebSocket,
    /// Up to when frames have been spent.
    ahead: Instant,
}

impl Connection {
    async fn run(mut self) {
        let end = match self.talk().await {
            Ok(end) | Err(end) => end,
        };
        let (code, reason) = match end {
            End::Gone => return,
            End::Session => (close_code::POLICY, "the session has ended; sign in again"),
            End::Nonsense => (close_code::UNSUPPORTED, "not understood"),
            End::Busy => (close_code::AGAIN, "something can't be read now; connect again"),
            End::Restart => (close_code::RESTART, "the server restarts; connect again"),
        };
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // The other side may be gone already; then nobody needs the reason.
        let _ = timeout(Duration::from_secs(2), self.socket.send(close)).await;
    }

    async fn talk(&mut self) -> Result<End, End> {
        let stop = self.live.stop.clone();
        let hello = Tell::Hello { epoch: self.live.fleet.telemetry().hub().epoch(), time: self.live.fleet.clock().now() };
        self.tell(&hello).await?;
        let [mut beat, mut ping, mut session] = [Duration::from_secs(BEAT_S.into()), PING, SESSION].map(|every| {
            let mut timer = interval(every);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer.reset();
            timer
        });
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(End::Restart),
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.asked(&text).await?,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_))) => return Ok(End::Nonsense),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(End::Gone),
                    }
                }
                _ = beat.tick() => self.tell(&Tell::Beat { time: self.live.fleet.clock().now() }).await?,
                _ = ping.tick() => {
                    if heard.elapsed() > 3 * PING {
                        return Ok(End::Gone);
                    }
                    self.send(Message::Ping(axum::body::Bytes::new())).await?;
                }
                _ = session.tick() => {
                    match self.live.fleet.access().still_valid(&self.actor).await {
                        Ok(true) => {}
                        Ok(false) => return Ok(End::Session),
                        Err(e) => {
                            tracing::warn!(error = %e, "whether the session of a live socket stands can't be read now");
                            return Ok(End::Busy);
                        }
                    }
                }
                tell = paced(self.ahead, &mut self.feed) => {
                    self.ahead = self.ahead.max(Instant::now()) + FRAME;
                    self.tell(&tell).await?;
                }
            }
        }
    }

    async fn asked(&mut self, text: &str) -> Result<(), End> {
        match serde_json::from_str(text).map_err(|_| End::Nonsense)? {
            Ask::Subscribe { topic, from } => {
                let about = topic.clone();
                // Refused for a busy moment the browser would never ask again; closed, it comes back and asks for everything.
                self.feed.subscribe(topic, from, self.live.fleet.live_state(&self.actor, &about)).await.map_err(|e| {
                    tracing::warn!(topic = %about, error = %e, "the state of a live topic can't be read now");
                    End::Busy
                })?;
            }
            Ask::Unsubscribe { topic } => self.feed.unsubscribe(&topic),
        }
        Ok(())
    }

    async fn tell(&mut self, tell: &Tell) -> Result<(), End> {
        match serde_json::to_string(tell) {
            Ok(text) => self.send(Message::Text(text.into())).await,
            Err(e) => {
                tracing::error!(error = %e, "a live frame can't be written");
                Err(End::Gone)
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(STALL, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// The feed's next frame, once the connection's pace allows it. What waits meanwhile is folded into it.
async fn paced(ahead: Instant, feed: &mut Feed) -> Tell {
    if let Some(due) = ahead.checked_sub(BURST) {
        tokio::time::sleep_until(due).await;
    }
    feed.next().await
}
