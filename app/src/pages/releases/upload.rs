//! Uploading a release: the form, and what is said while files are on their way. Without JavaScript the form posts the files itself; with it they
//! go in chunks that survive a cut of the network.

use crate::ui::{
    dropzone::dropzone,
    number::bytes,
    page::{banner, card},
    progress::progress,
    status::Tone,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_navigate;

/// Bytes of a chunk.
pub const CHUNK: i64 = 4 << 20;
/// Failed tries in a row after which an upload is given up.
pub const MOST_FAILURES: u32 = 12;

/// Where an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing is being sent.
    #[default]
    Idle,
    /// Bytes are on their way.
    Sending(Progress),
    /// All bytes are there; digests and signature are being checked.
    Checking,
    /// It ended, and why.
    Failed(String),
}

/// How far the files are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The file under way.
    pub file: String,
    /// Which one it is, from 1.
    pub number: usize,
    /// How many there are.
    pub files: usize,
    /// Bytes of all files that are safely there.
    pub sent: i64,
    /// Bytes of all files.
    pub total: i64,
    /// Failed tries in a row; 0 while it flows.
    pub failures: u32,
}

impl Progress {
    /// In words.
    fn text(&self) -> String {
        let state = if self.failures > 0 { " · connection cut, trying again" } else { "" };
        format!("File {} of {}, {}: {} of {}{state}", self.number, self.files, self.file, bytes(self.sent), bytes(self.total))
    }
}

/// Pure: the next chunk of a file, from and to; none when all of it is there.
pub fn next_chunk(received: i64, size: i64) -> Option<(i64, i64)> {
    (received < size).then(|| (received, size.min(received.saturating_add(CHUNK))))
}

/// Pure: how long to wait after so many failures in a row: half a second, doubling, at most 15 s.
pub fn wait_ms(failures: u32) -> i32 {
    500_i32.saturating_mul(1 << failures.saturating_sub(1).min(5)).min(15_000)
}

/// The upload's state; make it once outside of what a refetch builds again.
#[derive(Clone, Copy)]
pub struct Uploader {
    /// Where it is.
    pub phase: RwSignal<Phase>,
    /// The release it became.
    pub made: RwSignal<Option<String>>,
    over: RwSignal<bool>,
    input: NodeRef<html::Input>,
}

impl Uploader {
    /// Nothing under way. Goes to the release's page once there is one, and asks before the tab is closed in the middle.
    pub fn new() -> Self {
        let this = Self { phase: RwSignal::default(), made: RwSignal::new(None), over: RwSignal::new(false), input: NodeRef::new() };
        let navigate = use_navigate();
        Effect::new(move |_| {
            if let Some(id) = this.made.get() {
                navigate(&format!("/firmware/{id}"), leptos_router::NavigateOptions::default());
            }
        });
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| super::sending::hold_tab(this.phase));
        this
    }

    /// The box with the form.
    pub fn view(self) -> AnyView {
        let hint = view! { "Together with its signed manifest, a file that ends in "<code>".manifest.json"</code>". Without one, or with a wrong signature, the release is quarantined." };
        let busy = move || matches!(self.phase.get(), Phase::Sending(_) | Phase::Checking);
        let zone =
            dropzone("file", "Drop the files of one release here, or choose them", hint.into_any(), self.input, self.over, move |event| {
                #[cfg(feature = "hydrate")]
                super::sending::dropped(&event, self);
                #[cfg(not(feature = "hydrate"))]
                let _ = event;
            });
        let state = move || {
            match self.phase.get() {
            Phase::Idle => ().into_any(),
            Phase::Sending(p) => view! {
                <div class="stack" aria-live="off">
                    {progress("Upload", p.sent, p.total)}
                    <div class="row"><span class="small text-2">{p.text()}</span><button type="button" class="btn push" data-s="sm" on:click=move |_| self.phase.set(Phase::Failed("The upload was cancelled.".to_owned()))>"Cancel"</button></div>
                </div>
            }
            .into_any(),
            Phase::Checking => view! { <div class="stack" role="status"><progress class="bar" aria-label="Checking"></progress><span class="small text-2">"All bytes are there. Checking digests and signature …"</span></div> }.into_any(),
            Phase::Failed(why) => banner(Tone::Bad, why.into_any()),
        }
        };
        let body = view! {
            <form method="post" action="/releases/upload" enctype="multipart/form-data" class="stack" on:submit=move |event| {
                event.prevent_default();
                #[cfg(feature = "hydrate")]
                super::sending::chosen(self);
            }>
                <div hidden=busy>{zone}</div>
                {state}
                <div class="row" hidden=busy><button class="btn" data-v="primary" type="submit">"Upload release"</button></div>
            </form>
        };
        card("Upload a release", None, body.into_any())
    }

    /// The chosen files' input.
    pub const fn input(self) -> NodeRef<html::Input> {
        self.input
    }
}

impl Default for Uploader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_file_once() {
        for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 7] {
            let (mut at, mut sum) = (0, 0);
            while let Some((from, to)) = next_chunk(at, size) {
                assert_eq!(from, at);
                assert!(to > from && to - from <= CHUNK);
                sum += to - from;
                at = to;
            }
            assert_eq!(sum, size);
        }
        assert_eq!(next_chunk(5, 5), None);
    }

    #[test]
    fn waits_grow_and_stay_bearable() {
        let waits: Vec<_> = (1..20).map(wait_ms).collect();
        assert_eq!(waits[0], 500);
        assert!(waits.is_sorted() && waits.iter().all(|w| *w <= 15_000));
    }
}
