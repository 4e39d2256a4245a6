//! Pure: a life's states as a picture, the same on the server and in the browser: one box a state, from the first down, what may follow what as arcs, the
//! present one marked, and the way that led to it. Laid out from the data alone; made as text, because a picture holds no state.

use super::status::Tone;
use leptos::prelude::*;
use std::fmt::Write as _;

/// One state.
pub struct Stop {
    /// In a word or two.
    pub label: &'static str,
    /// How it is meant.
    pub tone: Tone,
}

/// A machine and where something is in it; states are numbered from 0.
pub struct Drawing {
    /// The states, the first of a life first.
    pub stops: Vec<Stop>,
    /// What may follow what.
    pub arcs: Vec<(usize, usize)>,
    /// The states it was in, the oldest first, without the present one.
    pub way: Vec<usize>,
    /// Where it is.
    pub present: usize,
    /// Whether the order of the way is known, so that its arcs are drawn.
    pub ordered: bool,
    /// What it is about: "The rollout".
    pub subject: &'static str,
}

const LEFT: i32 = 72;
const RIGHT: i32 = 288;
const ROW: i32 = 34;
const BOX: i32 = 24;

/// The picture; a sentence says the same.
pub fn machine(drawing: &Drawing) -> AnyView {
    let said = said(drawing);
    view! {
        <figure class="machine">
            <div class="picture" role="img" aria-label=said.clone() inner_html=svg(drawing)></div>
            <figcaption class="small text-2">{said}</figcaption>
        </figure>
    }
    .into_any()
}

/// In words: where it is, by what it came, and what may follow.
fn said(d: &Drawing) -> String {
    let label = |at: &usize| d.stops.get(*at).map_or("", |s| s.label);
    let list = |all: &[usize]| all.iter().map(label).collect::<Vec<_>>().join(", ");
    let next: Vec<usize> = d.arcs.iter().filter(|(from, _)| *from == d.present).map(|(_, to)| *to).collect();
    let mut out = format!("{}: {}.", d.subject, label(&d.present));
    // Writing to a string can't fail.
    if !d.way.is_empty() {
        let _ = write!(out, " Before: {}.", list(&d.way));
    }
    let _ = if next.is_empty() { write!(out, " Nothing follows.") } else { write!(out, " May follow: {}.", list(&next)) };
    out
}

/// What an arc is: a step of the way, one that may come next, or neither.
fn kind(d: &Drawing, (from, to): (usize, usize)) -> &'static str {
    let after = d.way.iter().skip(1).chain([&d.present]);
    let walked = d.ordered && d.way.iter().zip(after).any(|(a, b)| (*a, *b) == (from, to));
    match (walked, from == d.present) {
        (true, _) => "way",
        (false, true) => "next",
        (false, false) => "",
    }
}

fn middle(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(0) * ROW + ROW / 2
}

fn svg(d: &Drawing) -> String {
    let height = i32::try_from(d.stops.len()).unwrap_or(0) * ROW;
    let mut out = format!("<svg viewBox=\"0 0 360 {height}\" aria-hidden=\"true\">");
    // What matters lies on top.
    for wanted in ["", "next", "way"] {
        for arc in d.arcs.iter().filter(|arc| kind(d, **arc) == wanted) {
            out.push_str(&path(*arc, wanted));
        }
    }
    for (at, stop) in d.stops.iter().enumerate() {
        let mark = if at == d.present {
            "present"
        } else if d.way.contains(&at) {
            "way"
        } else {
            ""
        };
        let (top, base) = (middle(at) - BOX / 2, middle(at) + 4);
        // Shape beside colour: a disc where it is, a tick where it was.
        let sign = match mark {
            "present" => "● ",
            "way" => "✓ ",
            _ => "",
        };
        let _ = write!(
            out,
            "<g data-k=\"{mark}\" data-s=\"{}\"><rect x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{BOX}\" rx=\"6\"/><text x=\"180\" y=\"{base}\">{sign}{}</text></g>",
            stop.tone.as_str(),
            RIGHT - LEFT,
            stop.label
        );
    }
    out.push_str("</svg>");
    out
}

/// An arc with its head: forward on the left side, back on the right one, the farther it reaches the wider.
fn path((from, to): (usize, usize), kind: &str) -> String {
    let (start, end) = (middle(from), middle(to));
    let far = i32::try_from(from.abs_diff(to)).unwrap_or(0);
    let reach = (8 + far * 5).min(LEFT - 6);
    let (edge, out, way) = if to > from { (LEFT, -reach, -1) } else { (RIGHT, reach, 1) };
    // Ends of arcs that go to the same state would lie on each other's heads otherwise.
    let end = if to > from { end - 4 } else { end + 4 };
    let (side, tip) = (edge + out * 4 / 3, edge + way * 6);
    format!(
        "<path data-k=\"{kind}\" d=\"M{edge} {start}C{side} {start} {side} {end} {edge} {end}M{tip} {}L{edge} {end}L{tip} {}\"/>",
        end - 4,
        end + 4
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(present: usize, way: &[usize]) -> Drawing {
        let stops = ["One", "Two", "Three", "Four"].map(|label| Stop { label, tone: Tone::Info }).into();
        Drawing { stops, arcs: vec![(0, 1), (1, 2), (2, 1), (1, 3)], way: way.to_vec(), present, ordered: true, subject: "It" }
    }

    #[test]
    fn words_say_what_the_picture_shows() {
        assert_eq!(said(&drawing(1, &[0])), "It: Two. Before: One. May follow: Three, Four.");
        assert_eq!(said(&drawing(3, &[])), "It: Four. Nothing follows.");
    }

    #[test]
    fn every_arc_is_drawn_once_and_the_walked_ones_are_marked() {
        let text = svg(&drawing(1, &[0, 1, 2]));
        assert_eq!((text.matches("<path").count(), text.matches("<g ").count()), (4, 4));
        assert_eq!(text.matches("<path data-k=\"way\"").count(), 3, "there, on, and back: {text}");
        assert_eq!(text.matches("<path data-k=\"next\"").count(), 1);
        assert_eq!((text.matches("data-k=\"present\"").count(), text.matches("● Two").count()), (1, 1));
        assert_eq!(text.matches("✓ ").count(), 2);
        let unordered = svg(&Drawing { ordered: false, ..drawing(1, &[0]) });
        assert_eq!(unordered.matches("<path data-k=\"way\"").count(), 0);
    }

    #[test]
    fn nothing_leaves_the_picture() {
        let stops = (0..17).map(|_| Stop { label: "x", tone: Tone::Off }).collect();
        let arcs = (0..17).flat_map(|from| (0..17).map(move |to| (from, to))).filter(|(from, to)| from != to).collect();
        let text = svg(&Drawing { stops, arcs, way: vec![], present: 0, ordered: true, subject: "It" });
        // The control points of a curve lie out by a third more than the curve itself.
        for x in text.split(['M', 'C', 'L']).skip(1).filter_map(|part| part.split(' ').next()?.parse::<i32>().ok()) {
            assert!((-24..=384).contains(&x), "{x}");
        }
    }
}
