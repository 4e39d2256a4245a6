//! Pure: a life's states as a picture, the same on the server and in the browser: one box a state, from the first down, what may follow what as lines, the
//! present one marked, and the way that led to it. The next state down is a short way; all farther lines that lead to the same state run in one lane beside the
//! boxes, forward on the left, back on the right. Laid out from the data alone; made as text, because a picture holds no state.

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
const ROW: i32 = 38;
const BOX: i32 = 24;
/// How far from the middle of a box its lines come in, above, and go out, below.
const PORT: i32 = 5;
/// The room between the boxes and the first lane, and the most between two lanes.
const LANE: i32 = 10;
/// The corner of a line.
const TURN: i32 = 6;

/// The picture; a sentence says the same.
pub fn machine(drawing: &Drawing) -> AnyView {
    let said = said(drawing);
    view! {
        <figure class="machine">
            <div class="picture" role="img" aria-label=said.clone() inner_html=svg(drawing)></div>
            <figcaption class="small text-2">{said}<p class="key">{key(drawing)}</p></figcaption>
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

/// What the lines mean.
const fn key(d: &Drawing) -> &'static str {
    if d.ordered {
        "Thick: the way it came. Dashed: what may follow. Thin: every other step."
    } else {
        "✓: what it was before. Dashed: what may follow. Thin: every other step."
    }
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
    let lanes = [lanes(&d.arcs, true), lanes(&d.arcs, false)];
    // What matters lies on top.
    for wanted in ["", "next", "way"] {
        for arc in d.arcs.iter().filter(|arc| kind(d, **arc) == wanted) {
            let _ = write!(out, "<path data-k=\"{wanted}\" d=\"{}\"/>", path(*arc, &lanes));
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

/// Whether an arc leads to the next state down.
const fn is_short((from, to): (usize, usize)) -> bool {
    to == from + 1
}

/// The states that farther arcs of one direction lead to, each with its lane from 0: the shorter its lane, the nearer to the boxes, and two lanes that meet
/// no row together are one.
fn lanes(arcs: &[(usize, usize)], forward: bool) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize, usize)> = Vec::new();
    for &(from, to) in arcs.iter().filter(|arc| (arc.1 > arc.0) == forward && !is_short(**arc)) {
        let (first, last) = (from.min(to), from.max(to));
        match spans.iter_mut().find(|span| span.0 == to) {
            Some(span) => (span.1, span.2) = (span.1.min(first), span.2.max(last)),
            None => spans.push((to, first, last)),
        }
    }
    spans.sort_by_key(|(to, first, last)| (last - first, *to));
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut lanes = Vec::new();
    for (to, first, last) in spans {
        let free = |others: &Vec<(usize, usize)>| others.iter().all(|other| last < other.0 || first > other.1);
        let lane = taken.iter().position(free).unwrap_or(taken.len());
        match taken.get_mut(lane) {
            Some(others) => others.push((first, last)),
            None => taken.push(vec![(first, last)]),
        }
        lanes.push((to, lane));
    }
    lanes
}

/// The line of an arc with its head.
fn path((from, to): (usize, usize), [forward, back]: &[Vec<(usize, usize)>; 2]) -> String {
    if is_short((from, to)) {
        let (x, start, end) = (i32::midpoint(LEFT, RIGHT), middle(from) + BOX / 2, middle(to) - BOX / 2);
        return format!("M{x} {start}L{x} {end}M{} {}L{x} {end}L{} {}", x - 4, end - 4, x + 4, end - 4);
    }
    let (start, end) = (middle(from) + PORT, middle(to) - PORT);
    let (edge, out, lanes) = if to > from { (LEFT, -1, forward) } else { (RIGHT, 1, back) };
    let lane = |lane: usize| i32::try_from(lane).unwrap_or(0);
    let own = lanes.iter().find(|(state, _)| *state == to).map_or(0, |(_, own)| lane(*own));
    let most = lanes.iter().map(|(_, other)| lane(*other)).max().unwrap_or(0).max(1);
    // However many lanes there are, they have the room beside the boxes.
    let step = LANE.min((LEFT - 2 * LANE) / most);
    let x = edge + out * (LANE + TURN / 2 + own * step);
    let (down, near, tip) = (if end > start { TURN } else { -TURN }, x - out * TURN, edge + out * 5);
    format!(
        "M{edge} {start}L{near} {start}Q{x} {start} {x} {}L{x} {}Q{x} {end} {near} {end}L{edge} {end}M{tip} {}L{edge} {end}L{tip} {}",
        start + down,
        end - down,
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
        for x in text.split(['M', 'Q', 'L']).skip(1).filter_map(|part| part.split(' ').next()?.parse::<i32>().ok()) {
            assert!((0..=360).contains(&x), "{x}");
        }
    }

    #[test]
    fn farther_lines_to_one_state_share_a_lane_and_others_do_not_cross_it() {
        let arcs = [(0, 1), (0, 3), (1, 3), (0, 2), (3, 5), (2, 0), (3, 0)];
        assert_eq!(lanes(&arcs, true), [(2, 0), (5, 0), (3, 1)], "the short ones meet no row together");
        assert_eq!(lanes(&arcs, false), [(0, 0)]);
        assert_eq!(path((0, 1), &[vec![], vec![]]), "M180 31L180 45M176 41L180 45L184 41");
    }
}
