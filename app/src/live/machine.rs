//! Pure: the state of the live connection. Fed with events and the time, it says what to do next; it never looks at a clock itself.

use wire::live::BEAT_S;

/// No frame for two beats: what is on the page may be old.
pub const STALE_MS: f64 = (2 * BEAT_S * 1000) as f64;
/// The first wait; it doubles with every failed try.
pub const FIRST_WAIT_MS: f64 = 500.0;
/// The longest wait: a page that says it is offline does so for no longer than this once the server is back.
pub const LONGEST_WAIT_MS: f64 = 8_000.0;
/// Failed tries in a row after which the page says that it is offline.
pub const OFFLINE_AFTER: u32 = 3;

/// Where the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Being made for the first time.
    #[default]
    Connecting,
    /// Frames arrive.
    Live,
    /// None for two beats, or cut and being made again.
    Stale,
    /// Several tries failed, or the browser has no network.
    Offline,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// The page is there.
    Start,
    /// The socket is open.
    Opened,
    /// A frame arrived; `data` when it carries a topic's state or change.
    Frame {
        /// Whether it carries data; only that proves that the connection is worth something.
        data: bool,
    },
    /// The socket is closed or could not be opened.
    Closed,
    /// Time went by; send it about once a second.
    Tick,
    /// The browser got its network back, or the person asked for a try now.
    Retry,
    /// The browser lost its network.
    NetworkLost,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Open a socket, and drop the one there may be.
    Connect,
    /// Drop the socket.
    Drop,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    phase: Phase,
    /// A socket exists, open or opening.
    socket: bool,
    failures: u32,
    last_frame: Option<f64>,
    opened_at: f64,
    retry_at: Option<f64>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Before the first try.
    pub const fn new() -> Self {
        Self { phase: Phase::Connecting, socket: false, failures: 0, last_frame: None, opened_at: 0.0, retry_at: None }
    }
    /// Where the connection is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }
    /// Milliseconds since the last frame; none before the first.
    pub fn silent_ms(&self, now: f64) -> Option<f64> {
        self.last_frame.map(|at| (now - at).max(0.0))
    }
    /// Milliseconds until the next try, while one is waited for.
    pub fn retry_in_ms(&self, now: f64) -> Option<f64> {
        self.retry_at.map(|at| (at - now).max(0.0))
    }

    /// Takes an event at `now` (milliseconds, monotonic). `random` is within 0 and 1: the wait is drawn evenly between nothing and its limit (full
    /// jitter), so that a thousand tabs don't come back at once.
    pub fn step(&mut self, event: Event, now: f64, random: f64) -> Option<Order> {
        match event {
            Event::Start => (!self.socket).then(|| self.connect(now)),
            Event::Retry => {
                // A fresh socket is left alone; one that has been silent for long is replaced.
                let fresh = self.socket && now - self.heard(self.opened_at) < STALE_MS;
                (!fresh).then(|| self.connect(now))
            }
            Event::Opened => {
                self.last_frame = Some(now);
                None
            }
            Event::Frame { data } => {
                self.last_frame = Some(now);
                if data {
                    self.failures = 0;
                }
                if self.socket {
                    self.phase = Phase::Live;
                }
                None
            }
            Event::Closed => {
                self.socket = false;
                self.wait(now, random);
                None
            }
            Event::NetworkLost => {
                self.phase = Phase::Offline;
                self.retry_at = None;
                std::mem::take(&mut self.socket).then_some(Order::Drop)
            }
            Event::Tick => self.tick(now, random),
        }
    }

    fn tick(&mut self, now: f64, random: f64) -> Option<Order> {
        if self.retry_at.is_some_and(|at| at <= now) {
            return Some(self.connect(now));
        }
        if self.socket && now - self.heard(self.opened_at) >= STALE_MS {
            if self.phase == Phase::Live {
                self.phase = Phase::Stale;
            }
            // Two more beats of silence: the socket is dead even if nobody told us (a laptop that slept).
            if now - self.heard(self.opened_at) >= 2.0 * STALE_MS {
                self.socket = false;
                self.wait(now, random);
                return Some(Order::Drop);
            }
        }
        None
    }

    /// The last sign of life of the present socket.
    fn heard(&self, opened: f64) -> f64 {
        self.last_frame.map_or(opened, |at| at.max(opened))
    }

    fn connect(&mut self, now: f64) -> Order {
        self.socket = true;
        self.opened_at = now;
        self.retry_at = None;
        Order::Connect
    }

    fn wait(&mut self, now: f64, random: f64) {
        self.failures = self.failures.saturating_add(1);
        let limit = (FIRST_WAIT_MS * f64::from(1_u32 << (self.failures - 1).min(10))).min(LONGEST_WAIT_MS);
        self.retry_at = Some(now + limit * random.clamp(0.0, 1.0));
        self.phase = match self.phase {
            _ if self.failures >= OFFLINE_AFTER => Phase::Offline,
            Phase::Connecting => Phase::Connecting,
            Phase::Live | Phase::Stale => Phase::Stale,
            Phase::Offline => Phase::Offline,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> Machine {
        let mut m = Machine::new();
        assert_eq!(m.step(Event::Start, 0.0, 0.5), Some(Order::Connect));
        m.step(Event::Opened, 10.0, 0.5);
        m.step(Event::Frame { data: true }, 20.0, 0.5);
        assert_eq!(m.phase(), Phase::Live);
        m
    }

    #[test]
    fn silence_makes_it_stale_then_reconnects() {
        let mut m = connected();
        assert_eq!(m.step(Event::Tick, 20.0 + STALE_MS - 1.0, 0.5), None);
        assert_eq!(m.phase(), Phase::Live);
        assert_eq!(m.step(Event::Tick, 20.0 + STALE_MS, 0.5), None);
        assert_eq!(m.phase(), Phase::Stale);
        assert_eq!(m.step(Event::Tick, 20.0 + 2.0 * STALE_MS, 0.0), Some(Order::Drop));
        assert_eq!(m.step(Event::Tick, 21.0 + 2.0 * STALE_MS, 0.0), Some(Order::Connect));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_only_data_resets_them() {
        let mut m = Machine::new();
        let mut now = 0.0;
        m.step(Event::Start, now, 1.0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            m.step(Event::Opened, now, 1.0);
            m.step(Event::Frame { data: false }, now, 1.0);
            m.step(Event::Closed, now, 1.0);
            let wait = m.retry_in_ms(now).unwrap();
            waits.push(wait);
            now += wait;
            assert_eq!(m.step(Event::Tick, now, 1.0), Some(Order::Connect));
        }
        assert_eq!(waits, [500.0, 1000.0, 2000.0, 4000.0, 8000.0, 8000.0, 8000.0, 8000.0, 8000.0]);
        m.step(Event::Frame { data: true }, now, 1.0);
        assert_eq!(m.phase(), Phase::Live);
        m.step(Event::Closed, now, 1.0);
        assert_eq!(m.retry_in_ms(now), Some(500.0));
    }

    #[test]
    fn three_failed_tries_are_offline_and_the_jitter_is_full() {
        let mut m = connected();
        for _ in 0..OFFLINE_AFTER {
            m.step(Event::Closed, 30.0, 0.0);
            assert_eq!(m.retry_in_ms(30.0), Some(0.0));
            assert_eq!(m.step(Event::Tick, 30.0, 0.0), Some(Order::Connect));
        }
        assert_eq!(m.phase(), Phase::Offline);
    }

    #[test]
    fn the_network_coming_back_cuts_the_wait_but_leaves_a_fresh_socket_alone() {
        let mut m = connected();
        assert_eq!(m.step(Event::Retry, 100.0, 0.5), None);
        assert_eq!(m.step(Event::NetworkLost, 200.0, 0.5), Some(Order::Drop));
        assert_eq!(m.phase(), Phase::Offline);
        assert_eq!(m.step(Event::Tick, 100_000.0, 0.5), None);
        assert_eq!(m.step(Event::Retry, 100_001.0, 0.5), Some(Order::Connect));
    }

    #[test]
    fn a_late_frame_of_a_dropped_socket_does_not_look_live() {
        let mut m = connected();
        m.step(Event::NetworkLost, 200.0, 0.5);
        m.step(Event::Frame { data: true }, 201.0, 0.5);
        assert_eq!(m.phase(), Phase::Offline);
    }
}
