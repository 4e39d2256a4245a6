//! Pure: how states are said and shown: the word and the tone of each.

use crate::ui::Tone;
use wire::{
    Timestamp,
    enrolment::BatchState,
    pki::CertificateRow,
    registered::RegisteredState,
    releases::{Damage, DeltaState, FileChange, ImageSignatureState},
    rollouts::{StageOutcome, Verdict},
    slots::SlotState,
    states::{CertificateState, DeviceState, KeyOrigin, ReleaseState, RolloutState, StageState, UpdateState},
    updates::UpdateFailure,
};

/// A device's presence and standing in one word: what matters most of the two.
pub const fn device(state: DeviceState, online: bool) -> (Tone, &'static str) {
    match (state, online) {
        (DeviceState::Active, true) => (Tone::Ok, "Online"),
        (DeviceState::Active, false) => (Tone::Off, "Offline"),
        (DeviceState::Preregistered, _) => (Tone::Off, "Not seen yet"),
        (DeviceState::Pending, _) => (Tone::Hold, "Pending"),
        (DeviceState::Suspended, _) => (Tone::Hold, "Suspended"),
        (DeviceState::Decommissioned, _) => (Tone::Bad, "Decommissioned"),
    }
}

/// A device's standing alone.
pub const fn standing(state: DeviceState) -> &'static str {
    if matches!(state, DeviceState::Active) { "Active" } else { device(state, false).1 }
}

/// What a token is still good for.
pub const fn token_standing(revoked: bool, used_up: bool, expires: Timestamp, now: Timestamp) -> (Tone, &'static str) {
    if revoked {
        (Tone::Bad, "Revoked")
    } else if used_up {
        (Tone::Off, "Used up")
    } else if expires.0 <= now.0 {
        (Tone::Off, "Expired")
    } else {
        (Tone::Ok, "Usable")
    }
}

/// The same of one that may be frozen since an authority was given up; that says nothing of one that is over.
pub fn credential_standing(standing: (Tone, &'static str), frozen_by: Option<&String>) -> (Tone, &'static str) {
    if standing.0 == Tone::Ok && frozen_by.is_some() { (Tone::Warn, "Frozen") } else { standing }
}

/// Where a device's key was made.
pub const fn key_origin(origin: KeyOrigin) -> &'static str {
    match origin {
        KeyOrigin::Device => "on the device",
        KeyOrigin::Server => "by Fleetward, which gave it out once",
    }
}

/// An image's signature, held against the image keys that are known.
pub const fn image_signature(state: ImageSignatureState) -> (Tone, &'static str) {
    match state {
        ImageSignatureState::Trusted => (Tone::Ok, "Signature trusted"),
        ImageSignatureState::UnknownSigner => (Tone::Warn, "Unknown signer"),
        ImageSignatureState::Invalid => (Tone::Bad, "Signature invalid"),
        ImageSignatureState::Unchecked => (Tone::Off, "Signature not checked"),
    }
}

/// A slot of a device.
pub const fn slot(state: SlotState) -> (Tone, &'static str) {
    match state {
        SlotState::Running => (Tone::Ok, "Running"),
        SlotState::Trying => (Tone::Info, "On trial"),
        SlotState::Good => (Tone::Off, "Good"),
        SlotState::Bad => (Tone::Bad, "Bad"),
        SlotState::Empty => (Tone::Off, "Empty"),
    }
}

/// A delta.
pub const fn delta(state: DeltaState) -> (Tone, &'static str) {
    match state {
        DeltaState::Waiting => (Tone::Off, "To be made"),
        DeltaState::Making => (Tone::Info, "Being made"),
        DeltaState::Ready => (Tone::Ok, "Ready"),
        DeltaState::NotWorth => (Tone::Off, "Not worth it"),
        DeltaState::Failed => (Tone::Warn, "Failed"),
        DeltaState::Unpaired => (Tone::Off, "No pair"),
    }
}

/// What became of a file from one release to another.
pub const fn file_change(change: FileChange) -> (Tone, &'static str) {
    match change {
        FileChange::Same => (Tone::Off, "The same"),
        FileChange::Renamed => (Tone::Info, "Renamed"),
        FileChange::Changed => (Tone::Info, "Changed"),
        FileChange::Added => (Tone::Ok, "Added"),
        FileChange::Removed => (Tone::Warn, "Removed"),
    }
}

/// A batch of CSRs.
pub const fn batch(state: BatchState) -> (Tone, &'static str) {
    match state {
        BatchState::Receiving => (Tone::Info, "Coming in"),
        BatchState::Working => (Tone::Info, "Issuing"),
        BatchState::MakingKeys => (Tone::Info, "Making keys"),
        BatchState::Done => (Tone::Ok, "Done"),
        BatchState::Cancelled => (Tone::Off, "Stopped"),
    }
}

/// A registered authority's state.
pub const fn registered(state: RegisteredState) -> (Tone, &'static str) {
    match state {
        RegisteredState::Unverified => (Tone::Warn, "Not proved yet"),
        RegisteredState::Verified => (Tone::Info, "Proved, not enabled"),
        RegisteredState::Active => (Tone::Ok, "Enabled"),
        RegisteredState::Disabled => (Tone::Off, "Disabled"),
    }
}

/// One device's part in a rollout.
pub const fn update(state: UpdateState) -> (Tone, &'static str) {
    match state {
        UpdateState::Queued => (Tone::Off, "Queued"),
        UpdateState::Offered => (Tone::Info, "Offered"),
        UpdateState::AwaitingWindow => (Tone::Hold, "Waits for its window"),
        UpdateState::AwaitingConfirmation => (Tone::Hold, "Waits at the device"),
        UpdateState::Downloading => (Tone::Info, "Downloading"),
        UpdateState::Downloaded => (Tone::Info, "Downloaded"),
        UpdateState::Installing => (Tone::Info, "Installing"),
        UpdateState::Rebooting => (Tone::Info, "Restarting"),
        UpdateState::Verifying => (Tone::Info, "Proving its health"),
        UpdateState::Succeeded => (Tone::Ok, "Done"),
        UpdateState::Failed => (Tone::Bad, "Failed"),
        UpdateState::Rejected => (Tone::Bad, "Rejected"),
        UpdateState::TimedOut => (Tone::Bad, "Timed out"),
        UpdateState::Reverted => (Tone::Bad, "Reverted"),
        UpdateState::Cancelled => (Tone::Off, "Cancelled"),
        UpdateState::Superseded => (Tone::Off, "Superseded"),
        UpdateState::NotApplicable => (Tone::Off, "Not applicable"),
    }
}

/// How an update failed.
pub const fn failure(failure: UpdateFailure) -> (Tone, &'static str) {
    match failure {
        UpdateFailure::Failed => update(UpdateState::Failed),
        UpdateFailure::TimedOut => update(UpdateState::TimedOut),
        UpdateFailure::Reverted => update(UpdateState::Reverted),
        UpdateFailure::Rejected => update(UpdateState::Rejected),
        UpdateFailure::WentDark => (Tone::Bad, "Went dark"),
        UpdateFailure::Cancelled => update(UpdateState::Cancelled),
    }
}

/// A rollout.
pub const fn rollout(state: RolloutState) -> (Tone, &'static str) {
    match state {
        RolloutState::Draft => (Tone::Off, "Draft"),
        RolloutState::WaitingForApproval => (Tone::Hold, "Waiting for approval"),
        RolloutState::Rejected => (Tone::Bad, "Rejected"),
        RolloutState::Approved => (Tone::Off, "Approved"),
        RolloutState::Scheduled => (Tone::Off, "Scheduled"),
        RolloutState::Running => (Tone::Info, "Running"),
        RolloutState::Paused => (Tone::Hold, "Paused"),
        RolloutState::Halted => (Tone::Bad, "Halted"),
        RolloutState::RollingBack => (Tone::Warn, "Rolling back"),
        RolloutState::RolledBack => (Tone::Warn, "Rolled back"),
        RolloutState::Stopping => (Tone::Warn, "Stopping"),
        RolloutState::Stopped => (Tone::Off, "Stopped"),
        RolloutState::Completed => (Tone::Ok, "Completed"),
    }
}

/// A stage of a rollout, with what is kept of its verdict: it says who has let it pass, and whether its gate or something else has stopped it.
pub const fn stage(state: StageState, verdict: &Verdict) -> (Tone, &'static str) {
    match state {
        StageState::Pending => (Tone::Off, "Waiting"),
        StageState::Running => (Tone::Info, "Running"),
        StageState::Soaking => (Tone::Info, "Being watched"),
        StageState::AwaitingPromotion => (Tone::Hold, "Waits for a person"),
        StageState::Succeeded => match StageOutcome::of(state, verdict) {
            Some(StageOutcome::WentOn) => (Tone::Warn, "Went on"),
            Some(StageOutcome::NotJudged) => (Tone::Warn, "Not judged"),
            Some(StageOutcome::Passed) | None => (Tone::Ok, "Passed"),
        },
        StageState::Failed if verdict.is_judged() => (Tone::Bad, "Stopped by its gate"),
        StageState::Failed => (Tone::Bad, "Stopped"),
        StageState::Skipped => (Tone::Off, "Skipped"),
    }
}

/// A release. `quarantined` wins: nothing else matters then.
pub const fn release(state: ReleaseState, quarantined: bool) -> (Tone, &'static str) {
    match (state, quarantined) {
        (_, true) => (Tone::Bad, "Quarantined"),
        (ReleaseState::Draft, _) => (Tone::Off, "Draft"),
        (ReleaseState::Verified, _) => (Tone::Info, "Verified"),
        (ReleaseState::Published, _) => (Tone::Ok, "Published"),
        (ReleaseState::Deprecated, _) => (Tone::Off, "Deprecated"),
        (ReleaseState::Recalled, _) => (Tone::Bad, "Recalled"),
    }
}

/// A release's version, or that it came without a manifest that says one.
pub const fn version(of: &str) -> &str {
    if of.is_empty() { "without manifest" } else { of }
}

/// A certificate that ends `left_ms` from now.
pub const fn certificate(state: CertificateState, left_ms: i64) -> (Tone, &'static str) {
    const DAY: i64 = 24 * 3_600_000;
    match state {
        CertificateState::Issuing => (Tone::Info, "Being issued"),
        CertificateState::Active if left_ms <= 0 => (Tone::Bad, "Expired"),
        CertificateState::Active if left_ms <= 7 * DAY => (Tone::Bad, "Ends within 7 days"),
        CertificateState::Active if left_ms <= 30 * DAY => (Tone::Warn, "Ends within 30 days"),
        CertificateState::Active => (Tone::Ok, "Valid"),
        CertificateState::Superseded => (Tone::Off, "Superseded"),
        CertificateState::Revoked => (Tone::Bad, "Revoked"),
        CertificateState::Expired => (Tone::Bad, "Expired"),
        CertificateState::Untrusted => (Tone::Bad, "Not trusted"),
    }
}

/// Why a certificate is what its state says, where that says more than the state.
pub fn certificate_reason(c: &CertificateRow) -> Option<String> {
    if c.is_on_owners_list() {
        return Some("on its owner's list".to_owned());
    }
    (!c.reason.is_empty() && c.reason != c.state.as_str()).then(|| c.reason.replace('_', " "))
}

/// What is wrong with stored content, for a badge.
pub const fn damage(damage: Damage) -> &'static str {
    match damage {
        Damage::Changed => "damaged",
        Damage::Missing => "missing",
        Damage::Unreadable => "unreadable",
    }
}

/// A sentence with its SHA-256 digests cut to their first twelve digits, for a list; the object's own page has them whole.
pub fn short_digests(text: &str) -> String {
    let short = |word: &str| {
        let digits = word.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits == 64 { format!("{}…{}", &word[..12], &word[64..]) } else { word.to_owned() }
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_short_in_lists() {
        let long = "ab".repeat(32);
        let text = format!("\"fw.bin\" has SHA-256 {long}, the manifest says {long}: wrong");
        assert_eq!(short_digests(&text), "\"fw.bin\" has SHA-256 abababababab…, the manifest says abababababab…: wrong");
        assert_eq!(short_digests("stage 1 é waits"), "stage 1 é waits");
    }
}
