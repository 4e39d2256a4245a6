//! The life of an authority as a line of stations: what was, what is, what will be, with the fleet's numbers at each.

use super::list::reach;
use crate::ui::{
    Tone, banner,
    number::{counted, grouped},
    status::dot,
};
use leptos::prelude::*;
use wire::{
    pki::AuthorityDetail as Model,
    states::AuthorityState::{self, Active, Compromised, Retired, Retiring, Staged},
};

/// The stations in their order.
const STATIONS: [AuthorityState; 4] = [Staged, Active, Retiring, Retired];

/// The line, with what is there instead of it when the authority was given up.
pub fn course(m: &Model) -> AnyView {
    let state = m.standing.row.state;
    let given_up = (state == Compromised).then(|| {
        let text = "Given up: somebody else may have its key. Nothing of it is believed, its devices have to enrol again.";
        banner(Tone::Bad, text.into_any())
    });
    let items = STATIONS
        .into_iter()
        .map(|station| {
            let tone = match station.cmp(&state) {
                // Where it was when it was given up is not known any more.
                _ if state == Compromised => Tone::Off,
                std::cmp::Ordering::Less => Tone::Ok,
                std::cmp::Ordering::Equal => Tone::Info,
                std::cmp::Ordering::Greater => Tone::Off,
            };
            let current = (station == state).then_some("step");
            let (title, text) = station_of(m, station);
            let bar = (station == Staged && state == Staged).then(|| reach(&m.reach));
            view! { <li aria-current=current>{dot(tone)}<div>{title}<div class="sub">{text}</div>{bar}</div></li> }
        })
        .collect_view();
    let line = view! { <ol class="timeline">{items}</ol> };
    let successor = m.successor.as_ref().map(|s| {
        let word = if s.state == Staged { "is staged to come after it" } else { "has come after it" };
        view! { <p class="mt-2"><a href=format!("/certificates/authorities/{}", s.id)>{s.common_name().to_owned()}</a>" "{word}"."</p> }
    });
    view! { {given_up}{line}{successor} }.into_any()
}

fn station_of(m: &Model, station: AuthorityState) -> (&'static str, String) {
    let (row, s) = (&m.standing.row, &m.standing);
    let (root, device) = (row.kind == "root", row.kind == "device");
    match station {
        Staged => {
            let told = format!("{} of {} hold the trust bundle that it is in.", grouped(m.reach.holders), counted(m.reach.devices, "active device", "active devices"));
            let what = if root { "Made, and sent to the devices in their trust bundle; nothing leads to it yet." } else { "Made, and believed everywhere; it does not issue yet." };
            ("Staged", format!("{what} {told}"))
        }
        Active if root => ("Active", "The chain of our listeners leads to it. Devices that hold only the root before find their way over what that one signed for it.".to_owned()),
        Active if device => ("Active", "Devices that enrol or renew get their certificate from it.".to_owned()),
        Active => ("Active", "Our listeners get their certificate from it.".to_owned()),
        Retiring if root => ("Retiring", "Another root has taken over. It is believed until every device holds that one.".to_owned()),
        Retiring if device => {
            ("Retiring", format!("Believed, but it issues nothing. Its devices are told to renew; {} still depend on it.", counted(s.devices, "device", "devices")))
        }
        Retiring => ("Retiring", "Believed, but it issues nothing.".to_owned()),
        Retired | Compromised => ("Retired", "Nothing of it is believed, and its root's list of revoked certificates says so.".to_owned()),
    }
}
