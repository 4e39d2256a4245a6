//! The lives of releases, rollouts, updates and certificates as pictures, from the tables of [`wire::machines`].

use super::words;
use crate::ui::{
    machine::{Drawing, Stop, machine},
    page::card,
};
use leptos::prelude::*;
use wire::{
    machines::{CERTIFICATE, Machine, RELEASE, ROLLOUT, UPDATE},
    pki::CertificateRow,
    rollouts::RolloutDetail,
    states::{CertificateState, ReleaseState},
    updates::DeviceUpdate,
};

/// Where a release is, and what it was before for certain: whether it was deprecated before it was recalled is in the audit log.
pub fn release(state: ReleaseState) -> AnyView {
    use ReleaseState as R;
    let way: &[ReleaseState] = match state {
        R::Draft | R::Verified => &[],
        R::Published => &[R::Verified],
        R::Deprecated | R::Recalled => &[R::Verified, R::Published],
    };
    let stops = RELEASE.iter().map(|(state, _)| stop(words::release(*state, false))).collect();
    card("States", None, machine(&drawing(RELEASE, stops, way, state, "The release")))
}

/// Where a certificate is; nothing of one that its owner's list has, because the next list may say otherwise.
pub fn certificate(c: &CertificateRow) -> Option<AnyView> {
    use CertificateState as C;
    let way: &[CertificateState] = match c.state {
        C::Issuing | C::Active => &[],
        C::Superseded | C::Revoked | C::Expired | C::Untrusted => &[C::Active],
    };
    let stops = CERTIFICATE.iter().map(|(state, _)| stop(words::certificate(*state, i64::MAX))).collect();
    (!c.is_on_owners_list()).then(|| card("States", None, machine(&drawing(CERTIFICATE, stops, way, c.state, "The certificate"))))
}

/// Where a rollout is, and the way it came.
pub fn rollout(r: &RolloutDetail) -> AnyView {
    let mut way: Vec<_> = r.history.iter().rev().filter_map(|event| event.state).collect();
    way.dedup();
    if way.last() == Some(&r.row.state) {
        way.pop();
    }
    let stops = ROLLOUT.iter().map(|(state, _)| stop(words::rollout(*state))).collect();
    let drawing = drawing(ROLLOUT, stops, &way, r.row.state, "The rollout");
    card("States", None, machine(&Drawing { ordered: true, ..drawing }))
}

/// Where a device's update is, and what it passed.
pub fn update(u: &DeviceUpdate) -> AnyView {
    let stops = UPDATE.iter().map(|(state, _)| stop(words::update(*state))).collect();
    let title = format!("States of the update to {}", u.to_version);
    card(title, None, machine(&drawing(UPDATE, stops, &u.passed, u.state, "The update")))
}

fn stop((tone, label): (crate::ui::Tone, &'static str)) -> Stop {
    Stop { label, tone }
}

fn drawing<S: PartialEq + Copy>(table: Machine<S>, stops: Vec<Stop>, way: &[S], present: S, subject: &'static str) -> Drawing {
    let at = |state: S| table.iter().position(|(known, _)| *known == state);
    let arcs = table.iter().enumerate().flat_map(|(from, (_, next))| next.iter().filter_map(move |to| Some((from, at(*to)?)))).collect();
    let way = way.iter().filter_map(|state| at(*state)).collect();
    Drawing { stops, arcs, way, present: at(present).unwrap_or(0), ordered: false, subject }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::states::{RolloutState, UpdateState};

    #[test]
    fn the_picture_has_every_transition_of_the_table() {
        fn whole<S: PartialEq + Copy>(table: Machine<S>, present: S, of: impl Fn(S) -> (crate::ui::Tone, &'static str)) {
            let stops = table.iter().map(|(state, _)| stop(of(*state))).collect();
            let drawn = drawing(table, stops, &[], present, "It");
            assert_eq!(drawn.stops.len(), table.len());
            assert_eq!(drawn.arcs.len(), table.iter().map(|(_, next)| next.len()).sum::<usize>());
            for (from, to) in drawn.arcs {
                assert!(table[from].1.contains(&table[to].0));
            }
            assert!(table[drawn.present].0 == present);
        }
        whole(ROLLOUT, RolloutState::Halted, words::rollout);
        whole(UPDATE, UpdateState::Verifying, words::update);
        whole(RELEASE, ReleaseState::Deprecated, |state| words::release(state, false));
        whole(CERTIFICATE, CertificateState::Superseded, |state| words::certificate(state, i64::MAX));
    }
}
