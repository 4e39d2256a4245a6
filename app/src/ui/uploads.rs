//! Files on their way to the server: how far they are, kept above the pages, so that whoever goes to another page of the console ends nothing, and the chip
//! in the top bar that says so there. Refuses to know how files are sent and what becomes of them.

use super::{icon::icon, number::bytes};
use leptos::prelude::*;

/// Rate and time left are told once it has flowed this long, in milliseconds: before that they jump.
const SETTLED_MS: i64 = 5_000;

/// Where an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing is being sent.
    #[default]
    Idle,
    /// Bytes are on their way.
    Sending(Progress),
    /// All bytes are there; what they are is being looked at.
    Checking,
    /// It ended, and why.
    Failed(String),
    /// It ended well.
    Done {
        /// What it has become, as people name it.
        name: String,
        /// The page of that.
        href: String,
        /// Whether it is kept in quarantine.
        held: bool,
    },
}

impl Phase {
    /// Whether something would be lost if the tab were closed.
    pub const fn busy(&self) -> bool {
        matches!(self, Self::Sending(_) | Self::Checking)
    }
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
    /// Of these, bytes that were there before: an upload that was cut goes on.
    pub before: i64,
    /// Bytes of all files.
    pub total: i64,
    /// Milliseconds since it began.
    pub elapsed_ms: i64,
    /// Failed tries in a row; 0 while it flows.
    pub failures: u32,
}

impl Progress {
    /// In words: which file, how much of all, how fast, and how long it takes on.
    pub fn text(&self) -> String {
        let state = if self.failures > 0 { " · connection cut, trying again".to_owned() } else { self.pace() };
        format!("File {} of {}, {}: {} of {}{state}", self.number, self.files, self.file, bytes(self.sent), bytes(self.total))
    }

    fn pace(&self) -> String {
        let flowed = self.sent - self.before;
        if self.elapsed_ms < SETTLED_MS || flowed <= 0 {
            return String::new();
        }
        let rate = (flowed.saturating_mul(1000) / self.elapsed_ms).max(1);
        let left = (self.total - self.sent).max(0).saturating_mul(1000) / rate;
        format!(" · {} a second · {} left", bytes(rate), wire::time::duration(left))
    }

    /// Of all files, in percent, never 100 before it is all there.
    pub fn percent(&self) -> i64 {
        self.sent.saturating_mul(100) / self.total.max(1)
    }
}

/// The upload of this tab. There is one at a time.
#[derive(Clone, Copy)]
pub struct Uploads {
    /// Where it is.
    pub phase: RwSignal<Phase>,
    home: &'static str,
}

impl Uploads {
    /// Makes it available below; once, above the router. `home` is the page with its form. The browser asks before it closes the tab in the middle.
    pub fn provide(home: &'static str) -> Self {
        let uploads = Self::new(home);
        provide_context(uploads);
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| hold_tab(uploads.phase));
        uploads
    }

    fn new(home: &'static str) -> Self {
        Self { phase: RwSignal::default(), home }
    }

    /// Puts what was said of the last one away.
    pub fn dismiss(self) {
        self.phase.set(Phase::Idle);
    }

    /// Runs `then` in the browser with name, page and whether it is kept in quarantine, whenever an upload has ended well.
    pub fn on_done(self, then: impl Fn(&str, &str, bool) + 'static) {
        Effect::new(move |before: Option<bool>| {
            let done = self.phase.with(|phase| match phase {
                Phase::Done { name, href, held } => Some((name.clone(), href.clone(), *held)),
                _ => None,
            });
            // What was done before this page came is no news on it.
            if before == Some(false)
                && let Some((name, href, held)) = &done
            {
                untrack(|| then(name, href, *held));
            }
            done.is_some()
        });
    }

    /// What is said of it on other pages than its own and the one that it led to. `path` is where one is.
    pub fn told(self, path: Memo<String>) -> Told {
        let chip = Memo::new(move |_| {
            let chip = self.phase.with(|phase| chip_of(phase, self.home))?;
            (path.get() != chip.href).then_some(chip)
        });
        // Whoever is on the page of what it became knows that it is done.
        Effect::new(move |_| {
            let here = path.get();
            if self.phase.with(|phase| matches!(phase, Phase::Done { href, .. } if *href == here)) {
                self.dismiss();
            }
        });
        Told { uploads: self, chip }
    }
}

/// What the top bar says of an upload.
#[derive(Clone, Copy)]
pub struct Told {
    uploads: Uploads,
    chip: Memo<Option<Chip>>,
}

impl Told {
    /// The chip: it leads back to the form, and then to what the files became.
    pub fn view(self) -> AnyView {
        let of = move |read: fn(&Chip) -> String| self.chip.with(|chip| chip.as_ref().map(read).unwrap_or_default());
        let percent = move || self.chip.with(|chip| chip.as_ref().and_then(|chip| chip.percent));
        let under_way = move || !self.chip.with(|chip| chip.as_ref().is_some_and(|chip| chip.ended));
        view! {
            <span class="upload-chip" hidden=move || self.chip.with(Option::is_none)>
                <a class="btn" data-s="sm" href=move || of(|chip| chip.href.clone()) aria-label=move || of(|chip| chip.said.clone())>
                    {icon("upload")}<span class="text">{move || of(|chip| chip.text.clone())}</span>
                    <progress class="bar" hidden=move || percent().is_none() value=move || percent().unwrap_or(0) max="100" aria-hidden="true"></progress>
                </a>
                <button type="button" class="btn icon" data-v="ghost" data-s="sm" aria-label="Dismiss what is said of the upload" hidden=under_way
                    on:click=move |_| self.uploads.dismiss()>
                    {icon("x")}
                </button>
            </span>
        }
        .into_any()
    }
}

/// The upload of this tab; one of its own where none was provided above.
pub fn uploads() -> Uploads {
    use_context().unwrap_or_else(|| Uploads::new("/"))
}

/// What the chip says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chip {
    href: String,
    text: String,
    said: String,
    percent: Option<i64>,
    ended: bool,
}

/// Pure: what the chip says of a phase; nothing while there is no upload.
fn chip_of(phase: &Phase, home: &str) -> Option<Chip> {
    let at_home = |text: String, said: String, percent| Chip { href: home.to_owned(), text, said, percent, ended: false };
    match phase {
        Phase::Idle => None,
        Phase::Sending(p) => {
            let state = if p.failures > 0 { "connection cut, trying again".to_owned() } else { format!("{} %", p.percent()) };
            Some(at_home(format!("{} %", p.percent()), format!("Upload: {state}"), Some(p.percent())))
        }
        Phase::Checking => Some(at_home("Checking".to_owned(), "Upload: all bytes are there, it is being checked".to_owned(), None)),
        Phase::Failed(why) => Some(Chip { ended: true, ..at_home("Failed".to_owned(), format!("Upload failed: {why}"), None) }),
        Phase::Done { name, href, .. } => {
            let (text, said) = ("Done".to_owned(), format!("Upload done: {name}"));
            Some(Chip { href: href.clone(), text, said, percent: None, ended: true })
        }
    }
}

/// The browser asks before it closes the tab while bytes are on their way.
#[cfg(feature = "hydrate")]
fn hold_tab(phase: RwSignal<Phase>) {
    let handle = window_event_listener(leptos::ev::beforeunload, move |event| {
        if phase.with_untracked(Phase::busy) {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(sent: i64, elapsed_ms: i64) -> Progress {
        Progress { file: "fw.bin".into(), number: 1, files: 2, sent, before: 0, total: 100 << 20, elapsed_ms, failures: 0 }
    }

    #[test]
    fn rate_and_time_left_are_told_once_they_are_settled() {
        assert_eq!(progress(10 << 20, 4_999).text(), "File 1 of 2, fw.bin: 10 MiB of 100 MiB");
        assert_eq!(progress(10 << 20, 10_000).text(), "File 1 of 2, fw.bin: 10 MiB of 100 MiB · 1.0 MiB a second · 1 min left");
        let resumed = Progress { before: 90 << 20, ..progress(90 << 20, 60_000) };
        assert_eq!(resumed.text(), "File 1 of 2, fw.bin: 90 MiB of 100 MiB", "what was there before says nothing of the rate");
        let cut = Progress { failures: 2, ..progress(10 << 20, 10_000) };
        assert!(cut.text().ends_with("connection cut, trying again"));
    }

    #[test]
    fn the_chip_leads_to_the_form_and_then_to_what_it_became() {
        let of = |phase: &Phase| chip_of(phase, "/firmware").map(|c| (c.href, c.text, c.percent, c.ended));
        assert_eq!(of(&Phase::Idle), None);
        let home = "/firmware".to_owned();
        assert_eq!(of(&Phase::Sending(progress(42 << 20, 0))), Some((home.clone(), "42 %".into(), Some(42), false)));
        assert_eq!(of(&Phase::Checking), Some((home.clone(), "Checking".into(), None, false)));
        assert_eq!(of(&Phase::Failed("no".into())), Some((home, "Failed".into(), None, true)));
        let done = Phase::Done { name: "gateway 1.0.0".into(), href: "/firmware/rel_1".into(), held: false };
        assert_eq!(of(&done), Some(("/firmware/rel_1".into(), "Done".into(), None, true)));
        assert!(Phase::Checking.busy() && !done.busy());
    }
}
