//! Pure: what needs a person, in words, how bad it is, and where to go about it.

use super::words::short_digests;
use crate::{
    api::registered::own_authority,
    ui::{Tone, number::counted},
};
use wire::{
    Timestamp,
    overview::{Attention, Matter},
    pki::SignerLost,
    states::UpdateState,
};

/// How bad it is.
pub const fn tone(matter: &Matter) -> Tone {
    match matter {
        Matter::ClockJump { .. }
        | Matter::SignerLost(_)
        | Matter::NeverIssued { .. }
        | Matter::CutOff { .. }
        | Matter::GlassBroken { .. }
        | Matter::Halted { .. }
        | Matter::RecalledRuns { .. }
        | Matter::PossibleClone { .. }
        | Matter::TokenReused { .. }
        | Matter::Damaged { .. }
        | Matter::Quarantined { .. }
        | Matter::UpdateFailed { .. } => Tone::Bad,
        Matter::ConsentAsked { .. } | Matter::WaitsForApproval { .. } => Tone::Hold,
        Matter::KeySetEnds { .. }
        | Matter::ListNotFetched { .. }
        | Matter::AuthorityEnds { .. }
        | Matter::ListLong { .. }
        | Matter::Silent { .. } => Tone::Warn,
    }
}

/// The page where something can be done about it.
pub fn href(matter: &Matter) -> String {
    match matter {
        Matter::ClockJump { .. } => "/certificates".to_owned(),
        Matter::SignerLost(_) => "/certificates/authorities".to_owned(),
        Matter::NeverIssued { authority, .. } | Matter::AuthorityEnds { authority, .. } | Matter::ListLong { authority, .. } => {
            format!("/certificates/authorities/{authority}")
        }
        Matter::CutOff { .. } => "/devices?q=certificate:untrusted".to_owned(),
        Matter::KeySetEnds { .. } => "/firmware#signing".to_owned(),
        Matter::ListNotFetched { authority, .. } => own_authority(authority),
        Matter::GlassBroken { .. } => "/approvals".to_owned(),
        Matter::ConsentAsked { .. } => "/certificates/authorities/requests".to_owned(),
        Matter::Halted { rollout, .. } | Matter::WaitsForApproval { rollout, .. } => format!("/rollouts/{rollout}"),
        Matter::PossibleClone { device, .. } | Matter::Silent { device } => format!("/devices/{device}"),
        Matter::TokenReused { .. } => "/enrolment".to_owned(),
        Matter::RecalledRuns { release, .. } | Matter::Damaged { release, .. } | Matter::Quarantined { release, .. } => {
            format!("/firmware/{release}")
        }
        Matter::UpdateFailed { device, .. } => format!("/devices/{device}/firmware"),
    }
}

/// In words, as of an instant.
pub fn text(attention: &Attention, now: Timestamp) -> String {
    match &attention.matter {
        Matter::ClockJump { jump } => {
            format!("The server's clock has jumped by {jump}: nothing is issued until it is right, or an admin accepts the new time")
        }
        Matter::SignerLost(SignerLost { why, whole: true }) => format!("Nothing new is signed; devices that are in go on: {why}"),
        Matter::SignerLost(SignerLost { why, whole: false }) => format!("{why}. What others sign and devices that are in go on"),
        Matter::NeverIssued { subject, sign, .. } => {
            short_digests(&format!("The key of {subject} may be in other hands, or the database was set back. {sign}"))
        }
        Matter::CutOff { name, devices, .. } => {
            format!(
                "{} cut off since {name} was given up: enrol them again, or let them back by their keys",
                counted(*devices, "device is", "devices are")
            )
        }
        Matter::KeySetEnds { version, end } => {
            let when = if *end <= now { "has ended" } else { "ends" };
            let at = end.readable();
            format!("Key set {version} {when} on {at}: devices install nothing by it after that. Publish the next one, signed by its keys")
        }
        Matter::ListNotFetched { warning, .. } => short_digests(warning),
        Matter::AuthorityEnds { name, ends, root, staged, .. } => {
            let next = match (root, staged) {
                (_, true) => "The next one is staged: activate it",
                (true, false) => "The root has to be followed: stage the next root and activate it",
                (false, false) => "Stage the next one and activate it",
            };
            let those = if *root { "those certificates below it" } else { "those of its certificates" };
            let ends = ends.readable();
            format!("{name} ends on {ends}: too little of it is left for {those} that live longest. {next}")
        }
        Matter::ListLong { name, entries, staged, .. } => {
            let entries = counted(*entries, "entry", "entries");
            let next = if *staged { "The next one is staged: activate it" } else { "Stage its successor and activate it" };
            format!(
                "The list of revoked certificates of {name} has {entries}, and is fetched in whole. {next}: what that signs is on a list of its own"
            )
        }
        Matter::GlassBroken { name, by, overdue, .. } => {
            let late = if *overdue { ", and the time to review that is over" } else { ": two people review that" };
            format!("{name} was started by {by} without approval{late}")
        }
        Matter::ConsentAsked { by, deed } => format!("{by} asks for a second person: {}", deed.words()),
        Matter::Halted { name, summary, .. } => short_digests(&format!("{name} was halted: {summary}")),
        Matter::WaitsForApproval { name, .. } => format!("{name} waits for approval"),
        Matter::RecalledRuns { device_type, version, devices, .. } => {
            let run = counted(*devices, "device runs", "devices run");
            format!("{run} {device_type} {version}, which was recalled: its page has the way back")
        }
        Matter::PossibleClone { device, sign } => short_digests(&format!("Somebody else may hold the key of {device}. {sign}")),
        Matter::TokenReused { label, from } => {
            format!(
                "The enrolment token {label} is used up and was tried again from {from}, where it has let nobody in: one device too many, or somebody else has its secret"
            )
        }
        Matter::Damaged { device_type, version, file, damage, .. } => {
            format!("{file} of {device_type} {version} is {damage} in the store; upload it again")
        }
        Matter::Quarantined { reason, .. } => short_digests(&format!("An upload is quarantined: {reason}")),
        Matter::UpdateFailed { device, state } => {
            let what = match state {
                UpdateState::Reverted => "went back to its old firmware",
                UpdateState::TimedOut => "fell silent during its update",
                UpdateState::Rejected => "refused its update",
                _ => "could not install its update",
            };
            format!("{device} {what}")
        }
        Matter::Silent { device } => {
            format!("{device} has been silent for {}", wire::time::duration(now.since(attention.since)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::releases::Damage;

    const NOW: Timestamp = Timestamp(1_795_341_600_000);

    fn told(matter: Matter) -> (String, String) {
        let attention = Attention { matter, since: NOW.plus(-2 * 86_400_000) };
        (text(&attention, NOW), href(&attention.matter))
    }

    #[test]
    fn what_needs_a_person_is_told_and_leads_to_where_it_is_mended() {
        let id = "0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        let release = format!("rel_{id}").parse().unwrap();
        let (device_type, version, file) = ("gateway".to_owned(), "1.0.0".to_owned(), "fw.bin".to_owned());
        let (text, href) = told(Matter::Damaged { release, device_type, version, file, damage: Damage::Changed });
        assert_eq!(text, "fw.bin of gateway 1.0.0 is changed in the store; upload it again");
        assert_eq!(href, format!("/firmware/rel_{id}"));

        let recalled = |devices| {
            let release = format!("rel_{id}").parse().unwrap();
            told(Matter::RecalledRuns { release, device_type: "gateway".to_owned(), version: "2.1.0".to_owned(), devices })
        };
        let (text, href) = recalled(8);
        assert_eq!(text, "8 devices run gateway 2.1.0, which was recalled: its page has the way back");
        assert_eq!(href, format!("/firmware/rel_{id}"));
        assert!(recalled(1).0.starts_with("1 device runs gateway 2.1.0"));

        let (text, href) = told(Matter::SignerLost(SignerLost { why: "the token is gone: plug it in".to_owned(), whole: true }));
        assert_eq!(text, "Nothing new is signed; devices that are in go on: the token is gone: plug it in");
        let (text, _) = told(Matter::SignerLost(SignerLost { why: "Device CA G1-1 signs nothing: no key".to_owned(), whole: false }));
        assert_eq!(text, "Device CA G1-1 signs nothing: no key. What others sign and devices that are in go on");
        assert_eq!(href, "/certificates/authorities");

        let (text, href) = told(Matter::TokenReused { label: "Hall 3".to_owned(), from: "198.51.100.7".to_owned() });
        assert!(text.starts_with("The enrolment token Hall 3 is used up and was tried again from 198.51.100.7"), "{text}");
        assert_eq!(href, "/enrolment");

        let (text, href) = told(Matter::KeySetEnds { version: 1, end: NOW.plus(1) });
        assert!(text.starts_with("Key set 1 ends on 22 Nov 2026"), "{text}");
        assert_eq!(href, "/firmware#signing");
        assert!(told(Matter::KeySetEnds { version: 1, end: NOW }).0.starts_with("Key set 1 has ended on "));

        let authority: wire::ids::AuthorityId = format!("ca_{id}").parse().unwrap();
        let ends =
            |root, staged| Matter::AuthorityEnds { authority: authority.clone(), name: "Device CA".to_owned(), ends: NOW, root, staged };
        let (text, href) = told(ends(false, false));
        assert!(text.starts_with("Device CA ends on ") && text.ends_with("Stage the next one and activate it"), "{text}");
        assert_eq!(href, format!("/certificates/authorities/{authority}"));
        let (text, _) = told(ends(true, false));
        assert!(text.contains("certificates below it") && text.contains("The root has to be followed: stage the next root"), "{text}");
        for root in [false, true] {
            assert!(told(ends(root, true)).0.ends_with("The next one is staged: activate it"));
        }
        let long = |staged| told(Matter::ListLong { authority: authority.clone(), name: "Device CA".to_owned(), entries: 50_001, staged });
        let (text, href) = long(false);
        assert!(
            text.starts_with("The list of revoked certificates of Device CA has 50,001 entries") && text.contains("Stage its successor"),
            "{text}"
        );
        assert!(long(true).0.contains("The next one is staged: activate it"));
        assert_eq!(href, format!("/certificates/authorities/{authority}"));
        let cut = |devices| told(Matter::CutOff { authority: authority.clone(), name: "Device CA".to_owned(), devices });
        assert!(cut(1).0.starts_with("1 device is cut off since Device CA was given up"));
        let (text, href) = cut(10);
        assert!(text.starts_with("10 devices are cut off since Device CA was given up: enrol them again"), "{text}");
        assert_eq!(href, "/devices?q=certificate:untrusted");
        let (_, href) = told(Matter::ListNotFetched { authority: authority.clone(), warning: String::new() });
        assert_eq!(href, format!("/enrolment?tab=own&ca={authority}"));

        let device: wire::ids::DeviceId = "gw-1".parse().unwrap();
        let silent = told(Matter::Silent { device: device.clone() });
        assert_eq!(silent, ("gw-1 has been silent for 2 d 0 h".to_owned(), "/devices/gw-1".to_owned()));
        let (text, href) = told(Matter::UpdateFailed { device, state: UpdateState::Reverted });
        assert_eq!((text.as_str(), href.as_str()), ("gw-1 went back to its old firmware", "/devices/gw-1/firmware"));
    }
}
