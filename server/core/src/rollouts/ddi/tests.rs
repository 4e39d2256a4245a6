//! What an action waits for, and for how long.

use super::*;
use wire::ids::Id;

fn id<T: Id>() -> T {
    T::try_from(format!("{}_{}", T::PREFIX, "0".repeat(32))).unwrap()
}

fn action(state: UpdateState, cancel: Answer, closed: bool) -> Action {
    Action {
        number: 1,
        org: id(),
        device: 1,
        update: id(),
        cancel,
        closed,
        fetched: false,
        asks: false,
        confirmed: false,
        newest: true,
        state,
        attempt: Attempt::Stands,
        deadline: Timestamp(100),
        timeout_ms: 100,
        timing: Timing::default(),
        rollout: "spring".into(),
        release: id(),
        version: "2.0".into(),
        sequence: 2,
        device_type: "gateway".into(),
    }
}

#[test]
fn a_cancellation_waits_for_its_answer_and_gives_way_to_a_refusal() {
    use {Answer as A, Phase as P, UpdateState as U};
    let cases = [
        (U::Offered, A::Awaited, false, 0, P::Active),
        (U::Verifying, A::Awaited, false, 0, P::Active),
        (U::Verifying, A::Awaited, true, 0, P::Proving),
        (U::TimedOut, A::Awaited, true, 0, P::Ended),
        (U::Cancelled, A::Awaited, false, 0, P::Cancelling),
        (U::Cancelled, A::Awaited, false, 99 + UNANSWERED_MS, P::Cancelling),
        (U::Cancelled, A::Awaited, false, 100 + UNANSWERED_MS, P::Ended),
        (U::Cancelled, A::Awaited, true, 0, P::Ended),
        (U::Cancelled, A::Accepted, false, 0, P::Ended),
        (U::Cancelled, A::Refused, false, 99, P::Active),
        (U::Cancelled, A::Refused, true, 99, P::Ended),
        (U::Cancelled, A::Refused, false, 100, P::Ended),
        (U::Succeeded, A::Awaited, false, 0, P::Ended),
        (U::TimedOut, A::Awaited, false, 0, P::Ended),
    ];
    for (state, cancel, closed, now, phase) in cases {
        assert_eq!(action(state, cancel, closed).phase(Timestamp(now)), phase, "{state} {cancel:?} {closed}");
    }
}

#[test]
fn who_has_the_file_finds_its_update_after_a_late_restart() {
    use {Answer as A, UpdateState as U};
    let silent = Action { fetched: true, ..action(U::TimedOut, A::Awaited, false) };
    let refused = Action { fetched: true, ..action(U::Cancelled, A::Refused, false) };
    let phase = |action: &Action, now: i64| action.phase(Timestamp(now));
    for action in [&silent, &refused] {
        assert_eq!([99, 100, 99 + RESTART_MS, 100 + RESTART_MS].map(|now| phase(action, now)), {
            [Phase::Active, Phase::Active, Phase::Active, Phase::Ended]
        });
        assert_eq!(phase(&Action { closed: true, ..action.clone() }, 100), Phase::Ended);
    }
    assert_eq!(phase(&Action { attempt: Attempt::Again, ..silent.clone() }, 100), Phase::Ended, "it is offered as another attempt");
    assert_eq!(phase(&Action { attempt: Attempt::Replaced, ..silent.clone() }, 100), Phase::Ended);
    let owed = |action: &Action| Rollouts::owed(std::slice::from_ref(action), Timestamp(100)).map(|owes| (owes.what, owes.until.0));
    assert_eq!(owed(&silent), Some((Owed::Ending, 100 + RESTART_MS)));
    assert_eq!(owed(&refused), Some((Owed::Stopping, 100 + RESTART_MS)));
    assert_eq!(owed(&action(U::Cancelled, A::Awaited, false)), Some((Owed::Answer, 100 + UNANSWERED_MS)));
    assert_eq!([U::Installing, U::Succeeded, U::TimedOut].map(|state| owed(&action(state, A::Awaited, false))), [None, None, None]);
}

#[test]
fn answers_are_kept_as_words() {
    for answer in [Answer::Awaited, Answer::Accepted, Answer::Refused] {
        assert_eq!(Answer::read(answer.word()), Some(answer));
    }
    assert_eq!(Answer::read("x"), None);
}
