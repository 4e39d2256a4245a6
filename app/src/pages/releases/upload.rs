//! Uploading a release: the form, and what is said while files are on their way. Without JavaScript the form posts the files itself; with it they
//! go in chunks that survive a cut of the network. How far they are is kept above the pages: going to another one of the console ends nothing.

use crate::ui::{
    dropzone::dropzone,
    page::{banner, card},
    progress::progress,
    status::Tone,
    uploads::{Phase, Uploads, uploads},
};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_navigate;

/// Bytes of a chunk.
pub const CHUNK: i64 = 4 << 20;
/// Failed tries in a row after which an upload is given up.
pub const MOST_FAILURES: u32 = 12;

/// Pure: the next chunk of a file, from and to; none when all of it is there.
pub fn next_chunk(received: i64, size: i64) -> Option<(i64, i64)> {
    (received < size).then(|| (received, size.min(received.saturating_add(CHUNK))))
}

/// Pure: how long to wait after so many failures in a row: half a second, doubling, at most 15 s.
pub fn wait_ms(failures: u32) -> i32 {
    500_i32.saturating_mul(1 << failures.saturating_sub(1).min(5)).min(15_000)
}

/// The form's state; make it once outside of what a refetch builds again.
#[derive(Clone, Copy)]
pub struct Uploader {
    /// The upload of this tab.
    pub uploads: Uploads,
    /// Whether the one who looks may upload: what is dropped anywhere on the page is taken then.
    pub allowed: RwSignal<bool>,
    over: RwSignal<bool>,
    input: NodeRef<html::Input>,
}

impl Uploader {
    /// Goes to the release's page once there is one, if this page is still shown then.
    pub fn new() -> Self {
        let this = Self { uploads: uploads(), allowed: RwSignal::new(false), over: RwSignal::new(false), input: NodeRef::new() };
        let navigate = use_navigate();
        this.uploads.on_done(move |_, href, _| navigate(href, leptos_router::NavigateOptions::default()));
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| super::sending::take_drops(this));
        this
    }

    /// The box with the form.
    pub fn view(self) -> AnyView {
        let phase = self.uploads.phase;
        let hint = view! { "Together with its signed manifest, a file that ends in "<code>".manifest.json"</code>". Without one, or with a wrong signature, the release is quarantined." };
        let busy = move || phase.with(Phase::busy);
        let zone =
            dropzone("file", "Drop the files of one release here, or choose them", hint.into_any(), self.input, self.over, move |event| {
                #[cfg(feature = "hydrate")]
                super::sending::dropped(&event, self);
                #[cfg(not(feature = "hydrate"))]
                let _ = event;
            });
        let state = move || {
            match phase.get() {
            Phase::Idle | Phase::Done { .. } => ().into_any(),
            Phase::Sending(p) => view! {
                <div class="stack" aria-live="off">
                    {progress("Upload", p.sent, p.total)}
                    <div class="row"><span class="small text-2">{p.text()}</span><button type="button" class="btn push" data-s="sm" on:click=move |_| phase.set(Phase::Failed("The upload was cancelled.".to_owned()))>"Cancel"</button></div>
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

    /// Whether something is held above the page that may be dropped.
    pub const fn over(self) -> RwSignal<bool> {
        self.over
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
