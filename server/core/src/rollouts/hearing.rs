//! Pure: what becomes of an update when its device speaks. Forward only, repeated and late words change nothing, and a success counts only
//! when the device runs what the release brings, or where its protocol has no word for that, when it has fetched it.

use super::{
    Error,
    state::{UPDATE, devices_word, legal, taken_back},
};
use wire::{
    device::{Running, StatusReport},
    states::UpdateState,
};

/// The word for programs when a device says it succeeded and runs something else.
pub const RUNS_OLD_VERSION: &str = "runs_old_version";

/// The same when a device says it is done with what it should fetch, and never fetched it.
pub const NOT_FETCHED: &str = "not_fetched";

/// The word for programs of a success that waits for its proof. It decides nothing: a device may say the same word.
pub const UNPROVEN: &str = "says_success";

/// The same when that never came.
pub const NEVER_PROVEN: &str = "success_not_proven";

/// What a device's word that it succeeded rests on, where it is not known to run what the release brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its protocol tells what runs, so that it is a contradiction.
    Running,
    /// Its protocol does not, and it has fetched the release: it is believed.
    Fetched,
    /// Its protocol does not, and nothing else speaks for it: it has to say what it runs.
    Owed,
}

/// What a release brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brings<'a> {
    /// Its version.
    pub version: &'a str,
    /// Its sequence.
    pub sequence: i64,
    /// It is fetched and not installed.
    pub download_only: bool,
    /// Of what is only fetched: the device can have all of it, because it was sent every byte or runs them.
    pub delivered: bool,
    /// Of what is installed: what a success rests on.
    pub proof: Proof,
}

/// What a report does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: the update has left that state already.
    Late,
    /// The state stays; progress and detail are new, and the device is alive.
    Again,
    /// It is not believed that it succeeded: it is verifying until it has proven that.
    Holds,
    /// The state changes.
    Moves {
        /// To which.
        to: UpdateState,
        /// A word for programs; empty when all is well.
        code: String,
        /// A line for people.
        detail: String,
    },
}

/// Hears a report on an update in state `now`. `runs` is what the device runs by its own account: in this report, or else when it connected.
pub fn hear(now: UpdateState, report: &StatusReport, runs: &Running, brings: Brings<'_>) -> Result<Heard, Error> {
    if report.state == now {
        return Ok(Heard::Again);
    }
    if !devices_word(report.state) {
        // A device that repeats what it was told (`cancelled`) is only late.
        return if now.finished() { Ok(Heard::Late) } else { Err(Error::NotYours(report.state)) };
    }
    // A success is taken back only by what the device runs: see [`belies`].
    // Of what was taken back these two ends alone are a device's own word; whoever goes on with it is under way again first: see [`goes_on`].
    let stays = taken_back(now) && !matches!(report.state, UpdateState::Succeeded | UpdateState::Reverted);
    if now == UpdateState::Succeeded || stays || !legal(UPDATE, now, report.state) {
        return Ok(Heard::Late);
    }
    let code = report.code.clone().unwrap_or_default();
    let detail = report.detail.clone().unwrap_or_default();
    if brings.download_only {
        return Ok(fetched(now, (report.state, brings.delivered), code, detail));
    }
    let runs_it = runs.version == brings.version && i64::try_from(runs.sequence).is_ok_and(|s| s == brings.sequence);
    if report.state != UpdateState::Succeeded || runs_it {
        return Ok(Heard::Moves { to: report.state, code, detail });
    }
    Ok(match brings.proof {
        Proof::Fetched => Heard::Moves { to: UpdateState::Succeeded, code, detail },
        Proof::Owed if !taken_back(now) && legal(UPDATE, now, UpdateState::Verifying) => Heard::Holds,
        Proof::Running if may_fail(now) => {
            let detail = instead(&runs.version, brings.version);
            Heard::Moves { to: UpdateState::Failed, code: RUNS_OLD_VERSION.to_owned(), detail }
        }
        Proof::Owed | Proof::Running => Heard::Late,
    })
}

/// Whether a success that is not believed is a failure. A lie about what was taken back changes nothing.
fn may_fail(now: UpdateState) -> bool {
    !taken_back(now) && legal(UPDATE, now, UpdateState::Failed)
}

/// What speaks for it that a device goes on with what was taken back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// Its word alone.
    Word,
    /// It has fetched the release, so that it can.
    Fetched,
    /// It has refused to stop.
    Refused,
}

/// The state in which an update that was taken back goes on by a word of its device; none where the device may only not have heard of it yet. `furthest` is how
/// far the update was. Who changes itself goes on, whatever it was told. Who fails has gone on only where it could: a download that was cut off fails as well.
pub fn goes_on(now: UpdateState, furthest: UpdateState, word: UpdateState, grounds: Grounds) -> Option<UpdateState> {
    use UpdateState as U;
    let begun = furthest.max(U::Downloading);
    match word {
        _ if !taken_back(now) => None,
        U::Installing | U::Rebooting | U::Verifying => Some(word),
        U::Downloading | U::Downloaded if grounds == Grounds::Refused => Some(begun.max(word)),
        U::Failed if grounds != Grounds::Word => Some(begun),
        _ => None,
    }
}

/// What a device shows that owes the proof of its success, and says what it runs: that it runs what the release brings, or else a line for people.
pub fn proves(version: &str, sequence: i64, brings: Brings<'_>) -> Result<(), String> {
    if sequence == brings.sequence && version == brings.version { Ok(()) } else { Err(instead(version, brings.version)) }
}

/// The same of a device that has told its version and its sequence apart, or never a sequence. No two releases for one type have the same version, so the
/// right one alone proves it as long as no other sequence is known. `fresh` when the version is told now. None as long as the other half may follow.
pub fn proves_by_half(version: &str, sequence: Option<i64>, fresh: bool, brings: Brings<'_>) -> Option<Result<(), String>> {
    if version != brings.version {
        return fresh.then(|| Err(instead(version, brings.version)));
    }
    sequence.is_none_or(|sequence| sequence == brings.sequence).then_some(Ok(()))
}

/// What a device gives away that was believed when it said it succeeded, and says later what it runs: a line for people, where that is not what the
/// release brings. Newer firmware is no contradiction, because it may have come another way.
pub fn belies(version: &str, sequence: i64, brings: Brings<'_>) -> Option<String> {
    let runs_it = sequence > brings.sequence || sequence == brings.sequence && version == brings.version;
    (!brings.download_only && !runs_it).then(|| instead(version, brings.version))
}

fn instead(runs: &str, brings: &str) -> String {
    let runs = if runs.is_empty() { "an unknown version" } else { runs };
    format!("it says it succeeded, and runs {runs} instead of {brings}")
}

/// Of a release that is fetched only: having it is the end, and what runs says nothing. A device's word for that is no evidence of its own: it counts
/// for what was delivered. Some clients take `skip the installation` for `skip it`.
fn fetched(now: UpdateState, (to, delivered): (UpdateState, bool), code: String, detail: String) -> Heard {
    use UpdateState as U;
    let why = match (now, to) {
        (_, U::Downloaded | U::Succeeded) if delivered => return Heard::Moves { to: U::Succeeded, code, detail },
        (U::Offered | U::AwaitingWindow | U::AwaitingConfirmation, U::Succeeded) => {
            "it says it is done, and was not sent all of the release"
        }
        (_, U::Downloaded | U::Succeeded) => "it says that it has fetched the release, and was not sent all of it",
        _ => return Heard::Moves { to, code, detail },
    };
    if !may_fail(now) {
        return Heard::Late;
    }
    Heard::Moves { to: U::Failed, code: NOT_FETCHED.to_owned(), detail: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entropy::{Entropy, SeededEntropy},
        rollouts::state::Class,
    };
    use proptest::prelude::*;
    use wire::Timestamp;

    const BRINGS: Brings<'_> = Brings { version: "2.0", sequence: 2, download_only: false, delivered: false, proof: Proof::Running };

    fn says(state: UpdateState) -> StatusReport {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        StatusReport {
            update_id: entropy.id(Timestamp(1)),
            state,
            progress: None,
            code: None,
            detail: None,
            firmware: None,
            deferred_until: None,
            slots: None,
        }
    }

    fn running(version: &str, sequence: u64) -> Running {
        Running { version: version.into(), sequence, ..Running::default() }
    }

    #[test]
    fn a_success_that_runs_the_old_version_is_a_failure() {
        use UpdateState as U;
        let heard = hear(U::Verifying, &says(U::Succeeded), &running("1.0", 1), BRINGS).unwrap();
        let Heard::Moves { to: U::Failed, code, detail } = heard else { panic!("{heard:?}") };
        assert_eq!((code.as_str(), detail.as_str()), (RUNS_OLD_VERSION, "it says it succeeded, and runs 1.0 instead of 2.0"));
        let heard = hear(U::Verifying, &says(U::Succeeded), &running("2.0", 1), BRINGS).unwrap();
        assert!(matches!(heard, Heard::Moves { to: U::Failed, .. }), "the sequence has to be right too");
        let heard = hear(U::Verifying, &says(U::Succeeded), &running("2.0", 2), BRINGS).unwrap();
        assert!(matches!(heard, Heard::Moves { to: U::Succeeded, .. }));
        // A lie about an update that was taken back changes nothing.
        assert_eq!(hear(U::Cancelled, &says(U::Succeeded), &running("1.0", 1), BRINGS).unwrap(), Heard::Late);
    }

    #[test]
    fn a_success_is_taken_back_by_what_runs_and_by_nothing_else() {
        use UpdateState as U;
        assert_eq!(belies("1.0", 1, BRINGS).unwrap(), "it says it succeeded, and runs 1.0 instead of 2.0");
        assert!(belies("2.1", 2, BRINGS).is_some(), "the version has to be right too");
        assert_eq!([belies("2.0", 2, BRINGS), belies("3.0", 3, BRINGS)], [None, None]);
        assert_eq!(belies("1.0", 1, Brings { download_only: true, ..BRINGS }), None, "it was to install nothing");
        for word in [U::Failed, U::Reverted, U::Downloading] {
            assert_eq!(hear(U::Succeeded, &says(word), &running("1.0", 1), BRINGS).unwrap(), Heard::Late, "{word}");
        }
    }

    #[test]
    fn a_success_without_a_version_counts_for_what_was_fetched_and_waits_for_its_proof_otherwise() {
        use UpdateState as U;
        let (old, new) = (running("1.0", 1), running("2.0", 2));
        let with = |proof| Brings { proof, ..BRINGS };
        let heard = |now, runs: &Running, proof| hear(now, &says(U::Succeeded), runs, with(proof)).unwrap();
        for now in [U::Offered, U::Downloading, U::Installing, U::Rebooting] {
            assert_eq!(heard(now, &old, Proof::Owed), Heard::Holds, "{now}");
            assert!(matches!(heard(now, &old, Proof::Fetched), Heard::Moves { to: U::Succeeded, .. }), "{now}");
            assert!(matches!(heard(now, &new, Proof::Owed), Heard::Moves { to: U::Succeeded, .. }), "it has said that it runs it: {now}");
        }
        // Said again it changes nothing, and what has ended stays as it was.
        for now in [U::Verifying, U::TimedOut, U::Cancelled, U::Superseded] {
            assert_eq!(heard(now, &old, Proof::Owed), Heard::Late, "{now}");
        }
        assert!(matches!(heard(U::TimedOut, &old, Proof::Fetched), Heard::Moves { to: U::Succeeded, .. }));
        let failed = hear(U::Verifying, &says(U::Failed), &old, with(Proof::Owed)).unwrap();
        assert!(matches!(failed, Heard::Moves { to: U::Failed, .. }), "a failure needs no proof");
        assert_eq!(proves("2.0", 2, BRINGS), Ok(()));
        for (version, sequence) in [("1.0", 1), ("2.0", 1), ("3.0", 3)] {
            assert_eq!(proves(version, sequence, BRINGS), Err(format!("it says it succeeded, and runs {version} instead of 2.0")));
        }
    }

    #[test]
    fn a_version_without_its_sequence_proves_when_none_was_told_and_belies_when_it_is_new() {
        let proves = |version, sequence, fresh| proves_by_half(version, sequence, fresh, BRINGS);
        assert_eq!(proves("2.0", None, true), Some(Ok(())));
        assert_eq!(proves("2.0", Some(2), true), Some(Ok(())), "its sequence was told before");
        assert_eq!(proves("2.0", Some(2), false), Some(Ok(())), "its version was told before");
        assert_eq!(proves("2.0", Some(1), true), None, "its sequence may follow");
        assert_eq!(proves("1.0", Some(2), false), None, "its version may follow");
        for sequence in [None, Some(1), Some(2)] {
            let belied = Err("it says it succeeded, and runs 1.0 instead of 2.0".to_owned());
            assert_eq!(proves("1.0", sequence, true), Some(belied), "{sequence:?}");
        }
    }

    #[test]
    fn a_late_word_replaces_a_guess_and_nothing_else() {
        use UpdateState as U;
        let new = running("2.0", 2);
        assert!(matches!(hear(U::TimedOut, &says(U::Succeeded), &new, BRINGS), Ok(Heard::Moves { to: U::Succeeded, .. })));
        assert_eq!(hear(U::TimedOut, &says(U::Downloading), &new, BRINGS).unwrap(), Heard::Late);
        assert_eq!(hear(U::Failed, &says(U::Succeeded), &new, BRINGS).unwrap(), Heard::Late);
        assert_eq!(hear(U::Installing, &says(U::Downloading), &new, BRINGS).unwrap(), Heard::Late);
        assert_eq!(hear(U::Installing, &says(U::Installing), &new, BRINGS).unwrap(), Heard::Again);
        assert!(hear(U::Installing, &says(U::TimedOut), &new, BRINGS).is_err());
        assert_eq!(hear(U::Cancelled, &says(U::Cancelled), &new, BRINGS).unwrap(), Heard::Again);
    }

    #[test]
    fn who_refuses_or_installs_goes_on_with_what_was_taken_back_and_who_may_not_have_heard_does_not() {
        use {Grounds as G, UpdateState as U};
        for (furthest, word, grounds, goes) in [
            (U::Offered, U::Downloading, G::Word, None),
            (U::Downloading, U::Downloaded, G::Word, None),
            (U::Downloaded, U::Downloaded, G::Fetched, None),
            (U::Downloading, U::Failed, G::Word, None),
            (U::Downloaded, U::Rejected, G::Refused, None),
            (U::Downloaded, U::Succeeded, G::Refused, None),
            (U::Offered, U::Installing, G::Word, Some(U::Installing)),
            (U::Downloaded, U::Rebooting, G::Word, Some(U::Rebooting)),
            (U::Downloaded, U::Failed, G::Fetched, Some(U::Downloaded)),
            (U::Offered, U::Failed, G::Refused, Some(U::Downloading)),
            (U::AwaitingWindow, U::Downloading, G::Refused, Some(U::Downloading)),
            (U::Downloading, U::Downloaded, G::Refused, Some(U::Downloaded)),
            (U::Downloaded, U::Downloading, G::Refused, Some(U::Downloaded)),
        ] {
            for now in [U::Cancelled, U::Superseded] {
                assert_eq!(goes_on(now, furthest, word, grounds), goes, "{furthest} {word} {grounds:?}");
                assert!(goes.is_none_or(|to| legal(UPDATE, now, to)));
                // Until it is under way again its word is late.
                let heard = hear(now, &says(word), &running("1.0", 1), BRINGS).unwrap();
                assert!(goes.is_none() || heard == Heard::Late, "{heard:?}");
            }
            assert_eq!(goes_on(U::Installing, furthest, word, grounds), None, "nobody took it back");
        }
    }

    #[test]
    fn what_is_only_fetched_ends_when_the_device_has_it() {
        use UpdateState as U;
        let old = running("1.0", 1);
        for (now, word, delivered, ends) in [
            (U::Downloading, U::Downloaded, true, U::Succeeded),
            (U::Downloading, U::Succeeded, true, U::Succeeded),
            (U::Offered, U::Downloaded, true, U::Succeeded),
            (U::TimedOut, U::Succeeded, true, U::Succeeded),
            (U::Offered, U::Succeeded, true, U::Succeeded),
            (U::AwaitingConfirmation, U::Succeeded, true, U::Succeeded),
            (U::Offered, U::Succeeded, false, U::Failed),
            (U::Offered, U::Downloaded, false, U::Failed),
            (U::Downloading, U::Downloaded, false, U::Failed),
            (U::Verifying, U::Succeeded, false, U::Failed),
        ] {
            let heard = hear(now, &says(word), &old, Brings { download_only: true, delivered, ..BRINGS }).unwrap();
            let Heard::Moves { to, code, .. } = heard else { panic!("{now} {word} {delivered}: {heard:?}") };
            assert_eq!((to, code == NOT_FETCHED), (ends, ends == U::Failed), "{now} {word} {delivered}");
        }
        let lacks = Brings { download_only: true, delivered: false, ..BRINGS };
        assert!(
            matches!(hear(U::Offered, &says(U::Installing), &old, lacks), Ok(Heard::Moves { to: U::Installing, .. })),
            "it ends nothing"
        );
        for (now, word) in [(U::TimedOut, U::Downloaded), (U::Cancelled, U::Succeeded)] {
            assert_eq!(hear(now, &says(word), &old, lacks).unwrap(), Heard::Late, "{now} {word}");
        }
    }

    #[test]
    fn a_release_that_is_not_for_the_device_is_no_error() {
        use UpdateState as U;
        let old = running("1.0", 1);
        for state in [U::Offered, U::Downloading, U::Downloaded] {
            let heard = hear(state, &says(U::NotApplicable), &old, BRINGS).unwrap();
            let Heard::Moves { to, .. } = heard else { panic!("{heard:?}") };
            assert_eq!((to, Class::of(to)), (U::NotApplicable, Class::LeftOut));
        }
        assert_eq!(hear(U::Installing, &says(U::NotApplicable), &old, BRINGS).unwrap(), Heard::Late, "it has begun");
    }

    proptest! {
        #[test]
        fn whatever_is_said_in_whatever_order_an_update_ends_at_most_once(
            words in prop::collection::vec((prop::sample::select(UpdateState::ALL), any::<bool>()), 0..40)
        ) {
            let mut state = UpdateState::Offered;
            let mut endings = 0;
            for (word, honest) in words {
                let runs = if honest { running("2.0", 2) } else { running("1.0", 1) };
                if let Ok(Heard::Moves { to, .. }) = hear(state, &says(word), &runs, BRINGS) {
                    prop_assert!(legal(UPDATE, state, to));
                    prop_assert!(to != UpdateState::Succeeded || honest);
                    if Class::of(to) != Class::Updating {
                        endings += 1;
                    }
                    state = to;
                }
            }
            prop_assert!(endings <= 1);
        }
    }
}
