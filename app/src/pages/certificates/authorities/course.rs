//! The life of an authority as a line of stations: what was, what is, what will be, with the fleet's numbers at each. Of one that was given up: what
//! happened, and what is left to do.

use super::list::reach;
use crate::ui::{
    Tone, banner,
    number::{counted, grouped},
    status::dot,
    time,
};
use leptos::prelude::*;
use wire::{
    pki::AuthorityDetail as Model,
    roots::RootTask,
    states::AuthorityState::{self, Active, Compromised, Retired, Retiring, Staged},
};

/// The stations in their order.
const STATIONS: [AuthorityState; 4] = [Staged, Active, Retiring, Retired];

/// The line of a life that goes on; what happened and what is left to do when it was given up.
pub fn course(m: &Model) -> AnyView {
    let line = if m.standing.row.state == Compromised { given_up(m) } else { stations(m) };
    let successor = m.successor.as_ref().map(|s| {
        let word = if s.state == Staged { "is staged to come after it" } else { "has come after it" };
        view! { <p class="mt-2"><a href=format!("/certificates/authorities/{}", s.id)>{s.common_name().to_owned()}</a>" "{word}"."</p> }
    });
    view! { {line}{successor} }.into_any()
}

fn stations(m: &Model) -> AnyView {
    let state = m.standing.row.state;
    let items = STATIONS.into_iter().map(|station| {
        let tone = match station.cmp(&state) {
            std::cmp::Ordering::Less => Tone::Ok,
            std::cmp::Ordering::Equal => Tone::Info,
            std::cmp::Ordering::Greater => Tone::Off,
        };
        let current = (station == state).then_some("step");
        let (title, text) = station_of(m, station);
        let bar = (station == Staged && state == Staged).then(|| reach(&m.reach));
        let who = if station == state { depending(m) } else { None };
        view! { <li aria-current=current>{dot(tone)}<div>{title}<div class="sub">{text}</div>{bar}{who}</div></li> }
    });
    view! { <ol class="timeline">{items.collect_view()}</ol> }.into_any()
}

/// Its life does not go on: no stations, but what is done and what is owed.
fn given_up(m: &Model) -> AnyView {
    let row = &m.standing.row;
    let said = "Given up: somebody else may have its key. Nothing of it is believed, for good.";
    let when = m.ended_at.map(|at| view! { "It was given up "{time::at(at)}". " });
    let signed = if row.kind == "root" { " Everything that it had signed went with it." } else { "" };
    let item = |done: bool, title: &'static str, text: AnyView| {
        let tone = if done { Tone::Ok } else { Tone::Warn };
        view! { <li>{dot(tone)}<div>{title}<div class="sub">{text}</div></div></li> }
    };
    let cut = view! { {when}"The connections that used it were closed, and no listener takes it any more."{signed} }.into_any();
    let listed = !m.duties.iter().any(|d| d.task == RootTask::SignList);
    let list = match (row.kind == "root", listed) {
        (true, _) => None,
        (false, true) => Some(item(true, "Listed", "Its root's list of revoked certificates says so.".into_any())),
        (false, false) => {
            let text = "Its root's key is not here, so nobody outside knows yet: sign the root's list where its key is, and bring it back. See below.";
            Some(item(false, "To be listed", text.into_any()))
        }
    };
    let follows = m.successor.as_ref().is_some_and(|s| s.state == Active);
    let next = if follows {
        item(true, "Followed", "Another authority issues for its use.".into_any())
    } else {
        item(false, "To be followed", "Nothing is issued for its use until another authority is staged and activated.".into_any())
    };
    // What hangs on it is counted no more since it is not believed; who is left behind is.
    let left = m.aftermath.as_ref().map_or(0, |after| after.left_behind);
    let back = (row.kind == "device").then(|| {
        let text = if left > 0 {
            format!(
                "{} had no other certificate. They enrol again, or come back by their old keys if you let them, once another authority issues.",
                counted(left, "device", "devices")
            )
        } else {
            "No device is left whose only certificate was its.".to_owned()
        };
        item(left == 0, if left > 0 { "To come back" } else { "Back again" }, text.into_any())
    });
    view! { {banner(Tone::Bad, said.into_any())}<ol class="timeline">{item(true, "Cut off", cut)}{list}{next}{back}</ol> }.into_any()
}

/// The way to the devices that hold up that it ends.
fn depending(m: &Model) -> Option<AnyView> {
    let s = &m.standing;
    (s.row.kind == "device" && s.row.state == Retiring && s.devices > 0).then(|| {
        let href = format!("/certificates?authority={}", s.row.id);
        view! { <a class="small" href=href>"Devices that still depend on it"</a> }.into_any()
    })
}

fn station_of(m: &Model, station: AuthorityState) -> (&'static str, String) {
    let (row, s) = (&m.standing.row, &m.standing);
    let (root, device) = (row.kind == "root", row.kind == "device");
    match station {
        Staged => {
            let told = if m.reach.devices == 0 {
                "There is no active device that could hold its trust bundle.".to_owned()
            } else {
                format!("{} of {} hold the trust bundle that it is in.", grouped(m.reach.holders), counted(m.reach.devices, "active device", "active devices"))
            };
            let what = if root { "Made, and sent to the devices in their trust bundle; nothing leads to it yet." } else { "Made, and trusted everywhere; it does not issue yet." };
            ("Staged", format!("{what} {told}"))
        }
        Active if root => ("Active", "The chain of our listeners leads to it. Devices that hold only the root before find their way over what that one signed for it.".to_owned()),
        Active if s.not_signing.is_some() && row.state == Active => ("Active", "It is the one that issues, but it signs nothing now: see above. What it has issued goes on.".to_owned()),
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
