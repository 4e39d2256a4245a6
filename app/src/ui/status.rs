//! Status marks: always shape, colour and word together.

use super::icon::icon;
use leptos::prelude::*;

/// The six meanings a mark can have; each has its own shape and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Fine, done. A disc.
    Ok,
    /// Under way. A half disc.
    Info,
    /// Needs a look. A triangle.
    Warn,
    /// Failed. An octagon.
    Bad,
    /// Held, waits for a person. Two bars.
    Hold,
    /// Off, not yet, unknown. A ring.
    Off,
}

impl Tone {
    /// The value of `data-s`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Hold => "hold",
            Self::Off => "off",
        }
    }
    /// The tone of this name; anything unknown is [`Tone::Off`].
    pub fn parse(name: &str) -> Self {
        [Self::Ok, Self::Info, Self::Warn, Self::Bad, Self::Hold].into_iter().find(|t| t.as_str() == name).unwrap_or(Self::Off)
    }
    /// The icon that goes with it on a badge or banner.
    pub const fn icon(self) -> &'static str {
        match self {
            Self::Ok => "circle-check",
            Self::Info => "circle-play",
            Self::Warn => "triangle-alert",
            Self::Bad => "octagon-x",
            Self::Hold => "circle-pause",
            Self::Off => "circle-dashed",
        }
    }
}

/// The bare mark; put the word beside it.
pub fn dot(tone: Tone) -> AnyView {
    view! { <span class="dot" data-s=tone.as_str() aria-hidden="true"></span> }.into_any()
}

/// Mark and word, for a table's cell or beside a heading.
pub fn status(tone: Tone, word: impl Into<String>) -> AnyView {
    let word: String = word.into();
    view! { <span class="status">{dot(tone)}{word}</span> }.into_any()
}

/// A pill with the tone's icon and a word.
pub fn badge(tone: Tone, word: impl Into<String>) -> AnyView {
    badge_with(tone, tone.icon(), word)
}

/// A pill with an icon of your choice and a word.
pub fn badge_with(tone: Tone, name: &str, word: impl Into<String>) -> AnyView {
    let word: String = word.into();
    view! { <span class="badge" data-s=tone.as_str()>{icon(name)}{word}</span> }.into_any()
}

/// A tag, in the fixed-width font.
pub fn tag(text: impl Into<String>) -> AnyView {
    let text: String = text.into();
    view! { <span class="tag">{text}</span> }.into_any()
}

/// Tags side by side.
pub fn tags(all: &[String]) -> AnyView {
    view! { <span class="row nowrap tags">{all.iter().map(|t| tag(t.clone())).collect_view()}</span> }.into_any()
}

/// The same below what they belong to, in as many lines as it takes; nothing where there are none.
pub fn tags_below(all: &[String]) -> AnyView {
    let all = all.iter().map(|t| tag(t.clone())).collect_view();
    (!all.is_empty()).then(|| view! { <div class="row tags">{all}</div> }).into_any()
}
