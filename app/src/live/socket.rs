//! The rim: the browser's `WebSocket`, timers and visibility around the pure [`Machine`] and [`Inbox`]. One a tab, so it lives in a thread-local.

use super::{
    Live, Status,
    inbox::{Inbox, News},
    machine::{Event, Machine, Order, Phase},
};
use crate::{live::frame, session, ui::browser};
use leptos::{
    leptos_dom::helpers::{IntervalHandle, WindowListenerHandle, set_interval_with_handle, window_event_listener_untyped},
    prelude::*,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{MessageEvent, WebSocket};
use wire::live::{Ask, Topic};

/// A hidden tab gives its high-rate topics up after this.
const HIDDEN_MS: f64 = 60_000.0;

type Listener = Rc<dyn Fn(&News)>;

#[derive(Default)]
struct Rim {
    live: Option<Live>,
    machine: Machine,
    inbox: Inbox,
    listeners: Vec<(u32, Topic, Listener)>,
    next_listener: u32,
    socket: Option<Socket>,
    generation: u32,
    opened_once: bool,
    paused_since: Option<f64>,
    flush_asked: bool,
    hidden_since: Option<f64>,
    parked: Vec<Topic>,
    /// Dropped with the frame: they end the timer and the listeners.
    held: Option<Held>,
}

struct Held {
    tick: Option<IntervalHandle>,
    events: Vec<WindowListenerHandle>,
}

struct Socket {
    ws: WebSocket,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.ws.set_onopen(None);
        self.ws.set_onmessage(None);
        self.ws.set_onclose(None);
        // Closing a closed socket does nothing; there is nobody to tell of an error.
        let _ = self.ws.close();
    }
}

thread_local! {
    static RIM: RefCell<Rim> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut Rim) -> T) -> T {
    RIM.with_borrow_mut(f)
}

/// Starts the connection for a frame.
pub(super) fn start(live: Live) {
    let tick = set_interval_with_handle(|| step(Event::Tick), Duration::from_secs(1)).ok();
    let events = vec![
        window_event_listener_untyped("online", |_| step(Event::Retry)),
        window_event_listener_untyped("offline", |_| step(Event::NetworkLost)),
        window_event_listener_untyped("visibilitychange", |_| visibility()),
    ];
    with(|rim| {
        rim.live = Some(live);
        rim.held = Some(Held { tick, events });
    });
    step(Event::Start);
}

/// Ends it: the frame is gone.
pub(super) fn stop() {
    let (held, socket) = with(|rim| {
        let gone = (rim.held.take(), rim.socket.take());
        let listeners = std::mem::take(&mut rim.listeners);
        let inbox = std::mem::take(&mut rim.inbox);
        *rim = Rim { listeners, inbox, generation: rim.generation, next_listener: rim.next_listener, ..Rim::default() };
        gone
    });
    if let Some(held) = held {
        if let Some(tick) = held.tick {
            tick.clear();
        }
        held.events.into_iter().for_each(WindowListenerHandle::remove);
    }
    drop(socket);
}

pub(super) fn retry_now() {
    step(Event::Retry);
}

pub(super) fn toggle_pause() {
    with(|rim| rim.paused_since = if rim.paused_since.is_some() { None } else { Some(browser::now_ms()) });
    ask_flush();
    show();
}

pub(super) fn listen(topic: &Topic, hear: Listener) -> u32 {
    with(|rim| {
        let id = rim.next_listener;
        rim.next_listener += 1;
        rim.listeners.push((id, topic.clone(), hear));
        if let Some(ask) = rim.inbox.want(topic) {
            rim.send(&ask);
        }
        id
    })
}

pub(super) fn unlisten(topic: &Topic, id: u32) {
    with(|rim| {
        rim.listeners.retain(|(there, ..)| *there != id);
        if !rim.listeners.iter().any(|(_, of, _)| of == topic)
            && let Some(ask) = rim.inbox.leave(topic)
        {
            rim.send(&ask);
        }
    });
}

impl Rim {
    fn send(&self, ask: &Ask) {
        if let Some(socket) = &self.socket
            && socket.ws.ready_state() == WebSocket::OPEN
            && let Ok(text) = serde_json::to_string(ask)
        {
            // A socket that closes under us reports it by `close`; the topic is asked for again on the next one.
            let _ = socket.ws.send_with_str(&text);
        }
    }
}

/// Feeds the machine and does what it orders.
fn step(event: Event) {
    let now = browser::now_ms();
    let order = with(|rim| rim.machine.step(event, now, js_sys::Math::random()));
    match order {
        Some(Order::Connect) => connect(),
        Some(Order::Drop) => drop(with(|rim| rim.socket.take())),
        None => {}
    }
    if event == Event::Tick {
        park(now);
    }
    show();
}

fn connect() {
    let Some(url) = browser::socket_url("/live") else { return };
    let generation = with(|rim| {
        rim.generation = rim.generation.wrapping_add(1);
        rim.opened_once = false;
        rim.generation
    });
    let Ok(ws) = WebSocket::new(&url) else {
        step(Event::Closed);
        return;
    };
    let current = move || with(|rim| rim.generation == generation);
    let on_open = Closure::new(move || {
        if current() {
            with(|rim| {
                rim.opened_once = true;
                rim.parked.clear();
                rim.inbox.resume().iter().for_each(|ask| rim.send(ask));
            });
            step(Event::Opened);
        }
    });
    let on_message = Closure::new(move |event: MessageEvent| {
        let Some(text) = event.data().as_string() else { return };
        // A frame this build does not know is from a newer server; the rest still counts.
        if current()
            && let Some(frame) = frame::read(&text)
        {
            let data = with(|rim| rim.inbox.put(frame));
            step(Event::Frame { data });
            ask_flush();
        }
    });
    let on_close = Closure::new(move || {
        if current() {
            let never_opened = with(|rim| !rim.opened_once);
            step(Event::Closed);
            if never_opened {
                // Most likely the access token ended; a refused upgrade does not say why.
                session::renew_quietly();
            }
        }
    });
    ws.set_onopen(Some(on_open.as_ref().unchecked_ref()));
    ws.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    ws.set_onclose(Some(on_close.as_ref().unchecked_ref()));
    let old = with(|rim| rim.socket.replace(Socket { ws, _on_open: on_open, _on_message: on_message, _on_close: on_close }));
    drop(old);
}

/// Hands what arrived to the listeners with the next frame of the screen: one change a topic, however many frames came.
fn ask_flush() {
    let ask = with(|rim| !std::mem::replace(&mut rim.flush_asked, true));
    if ask {
        request_animation_frame(flush);
    }
}

fn flush() {
    let work = with(|rim| {
        rim.flush_asked = false;
        if rim.paused_since.is_some() {
            return Vec::new();
        }
        let mut work: Vec<(Vec<Listener>, News)> = Vec::new();
        for (topic, news) in rim.inbox.take() {
            work.push((rim.listeners.iter().filter(|(_, of, _)| *of == topic).map(|(.., hear)| hear.clone()).collect(), news));
        }
        work
    });
    for (listeners, news) in work {
        for hear in listeners {
            hear(&news);
        }
    }
}

fn visibility() {
    let hidden = browser::hidden();
    let asks = with(|rim| {
        rim.hidden_since = hidden.then(browser::now_ms);
        if hidden {
            return Vec::new();
        }
        let parked = std::mem::take(&mut rim.parked);
        rim.inbox.resume().into_iter().filter(|a| matches!(a, Ask::Subscribe { topic, .. } if parked.contains(topic))).collect()
    });
    with(|rim| asks.iter().for_each(|ask| rim.send(ask)));
    if !hidden {
        step(Event::Retry);
    }
}

fn park(now: f64) {
    with(|rim| {
        if rim.parked.is_empty() && rim.hidden_since.is_some_and(|since| now - since > HIDDEN_MS) {
            rim.parked = rim.listeners.iter().map(|(_, of, _)| of.clone()).filter(|t| matches!(t, Topic::Device(_))).collect();
            rim.parked.iter().for_each(|topic| rim.send(&Ask::Unsubscribe { topic: topic.clone() }));
        }
    });
}

/// Writes the status once, and only when it is news.
fn show() {
    let now = browser::now_ms();
    let Some((signal, status)) = with(|rim| {
        let phase = rim.machine.phase();
        let behind = match (rim.paused_since, phase) {
            (Some(since), _) => Some(now - since),
            (None, Phase::Stale | Phase::Offline) => rim.machine.silent_ms(now),
            _ => None,
        };
        let status = Status {
            phase,
            paused: rim.paused_since.is_some(),
            behind_s: behind.map_or(0, seconds),
            retry_s: rim.machine.retry_in_ms(now).map(seconds),
        };
        rim.live.map(|live| (live.status, status))
    }) else {
        return;
    };
    if signal.try_get_untracked().is_some_and(|old| old != status) {
        signal.set(status);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates, and a negative span is none")]
fn seconds(ms: f64) -> u32 {
    (ms / 1000.0) as u32
}

/// Calls at most once in a while: at once, then at the end of the pause if it was asked for again meanwhile. While somebody answers a dialog or has a
/// menu open it waits, because what is read again is shown again, and what they have typed would be gone. What is on its way by
/// then waits in [`crate::api::packed`].
pub(super) struct Throttle {
    every: Duration,
    state: Rc<Cell<(bool, bool)>>,
    call: Rc<dyn Fn()>,
}

impl Throttle {
    pub(super) fn new(every_ms: i32, call: impl Fn() + 'static) -> Self {
        Self { every: Duration::from_millis(u64::from(every_ms.unsigned_abs())), state: Rc::default(), call: Rc::new(call) }
    }
    pub(super) fn call(&self) {
        let (resting, _) = self.state.get();
        let put_off = resting || browser::at_work().is_some();
        self.state.set((true, put_off));
        if !put_off {
            (self.call)();
        }
        if !resting {
            let again = Self { every: self.every, state: self.state.clone(), call: self.call.clone() };
            set_timeout(
                move || {
                    let (_, asked) = again.state.replace((false, false));
                    if asked {
                        again.call();
                    }
                },
                self.every,
            );
        }
    }
}
