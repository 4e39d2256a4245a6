//! Live data in the browser: one websocket a tab, and what pages can do with it.
//!
//! [`machine`] decides when to connect, when the page is stale and how long to wait (pure, tested on the host); [`inbox`] folds frames to one change
//! a topic and frame of the screen (pure); the rest is a thin rim around the browser's `WebSocket`. On the server all of it does nothing: a page
//! is complete without it.

pub mod frame;
pub mod inbox;
pub mod machine;
#[cfg(feature = "hydrate")]
mod socket;

use crate::api::packed::Reading;
use leptos::prelude::*;
use machine::Phase;
use wire::{live::DeviceLive, live::Topic, overview::FleetCounts};

/// The tab's live connection. Provided by the frame; get it with [`live`].
#[derive(Clone, Copy)]
pub struct Live {
    /// What to show about the connection.
    pub status: RwSignal<Status>,
}

/// What the pill and the banner say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Where the connection is.
    pub phase: Phase,
    /// Whether the person holds the page still.
    pub paused: bool,
    /// Whole seconds since the last frame, while stale or offline; or how far a paused page is behind.
    pub behind_s: u32,
    /// Whole seconds until the next try, while waiting for one.
    pub retry_s: Option<u32>,
}

impl Live {
    /// Makes the connection available below and starts it after hydration. Once, in the frame.
    pub fn provide() -> Self {
        let live = Self { status: RwSignal::new(Status::default()) };
        provide_context(live);
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| {
            socket::start(live);
            on_cleanup(socket::stop);
        });
        live
    }

    /// Holds the page still, or lets it go on.
    pub fn toggle_pause(self) {
        #[cfg(feature = "hydrate")]
        socket::toggle_pause();
    }

    /// Tries to connect now instead of waiting.
    pub fn retry_now(self) {
        #[cfg(feature = "hydrate")]
        socket::retry_now();
    }
}

/// The tab's connection, where the page is inside the frame.
pub fn live() -> Option<Live> {
    use_context()
}

/// Reads a page's model again whenever the server says that the topic changed, at most once in `every_ms`. The old page stays until the new one is
/// there. `topic` is tracked: a page whose address changes follows its new topic.
///
/// The model in the server's page is taken over without a request. It is read once more when the topic's snapshot comes, which of a list or a rollout
/// says no more than [`Data::Changed`](wire::live::Data::Changed): what changed between the server's reading and the subscription is told to nobody, and
/// would be missing until the next change. A topic that the tab follows already has no gap and no second snapshot, so a page that is gone to in the
/// browser reads once. Topics whose snapshots come in one frame of the screen cost one reading.
pub fn refetch_on(topic: impl Fn() -> Option<Topic> + 'static, every_ms: i32, model: Reading) {
    #[cfg(feature = "hydrate")]
    {
        let throttle = socket::Throttle::new(every_ms, move || model.refetch());
        subscribe(topic, move |news| {
            if matches!(news, inbox::News::Changed) {
                throttle.call();
            }
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (topic, every_ms, model);
}

/// Hears of a device: its presence and its new points, at most once a frame of the screen.
pub fn on_device(topic: impl Fn() -> Option<Topic> + 'static, hear: impl Fn(&DeviceLive) + 'static) {
    #[cfg(feature = "hydrate")]
    subscribe(topic, move |news| {
        if let inbox::News::Device(device) = news {
            hear(device);
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = (topic, hear);
}

/// Hears the fleet's counts, at most once a second.
pub fn on_counts(hear: impl Fn(FleetCounts) + 'static) {
    #[cfg(feature = "hydrate")]
    subscribe(
        || Some(Topic::Fleet),
        move |news| {
            if let inbox::News::Counts(counts) = news {
                hear(*counts);
            }
        },
    );
    #[cfg(not(feature = "hydrate"))]
    let _ = hear;
}

#[cfg(feature = "hydrate")]
fn subscribe(topic: impl Fn() -> Option<Topic> + 'static, hear: impl Fn(&inbox::News) + 'static) {
    let hear: std::rc::Rc<dyn Fn(&inbox::News)> = std::rc::Rc::new(hear);
    Effect::new(move |_| {
        if let Some(topic) = topic() {
            let listener = socket::listen(&topic, hear.clone());
            on_cleanup(move || socket::unlisten(&topic, listener));
        }
    });
}
