//! Pure: what must hold of a course at every moment.

use super::{
    course::Course,
    state::{self, ROLLOUT, STAGE},
};
use wire::{
    Timestamp,
    rollouts::Counts,
    states::{RolloutState, StageState},
};

/// Whether the stage is the one thing going on.
const fn busy(state: StageState) -> bool {
    matches!(state, StageState::Running | StageState::Soaking | StageState::AwaitingPromotion)
}

/// What must hold of a course at every moment. The simulation asks after every step, the store after every change (in debug builds).
/// The error says what is broken.
pub fn sound(course: &Course) -> Result<(), String> {
    use RolloutState as R;
    let must = |ok: bool, what: &str| if ok { Ok(()) } else { Err(format!("{what}: {course:?}")) };
    let mut busy_stages = 0;
    for (i, stage) in course.stages.iter().enumerate() {
        let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
        let counts = &stage.counts;
        let classes = state::Class::ALL.map(|c| c.of_counts(counts));
        must(classes.iter().all(|n| *n >= 0), "a count is negative")?;
        must(classes.iter().sum::<i64>() == counts.total, "the classes don't add up to the total")?;
        must(number == course.stage || counts.updating == 0, "an update is under way outside the current stage")?;
        must(number >= course.stage || counts.waiting == 0, "a device waits in a stage that has passed")?;
        must(number <= course.stage || matches!(stage.state, StageState::Pending | StageState::Skipped), "a later stage has begun")?;
        must(number >= course.stage || state::ended(STAGE, stage.state), "an earlier stage has not ended")?;
        must(i == 0 || course.stages[i - 1].cut <= stage.cut, "the cuts don't rise")?;
        busy_stages += i32::from(busy(stage.state));
    }
    must(busy_stages <= 1, "two stages at once")?;
    must(course.stage == 0 || course.current().is_some_and(|s| s.cut == course.cut), "the cut is not the current stage's")?;
    let open = course.doors_until > Timestamp(0);
    must(!open || course.state == R::Running, "the doors are open and nothing runs")?;
    must(!open || course.current().is_some_and(|s| s.state == StageState::Running), "the doors are open outside a running stage")?;
    let started = !matches!(course.state, R::Draft | R::WaitingForApproval | R::Rejected | R::Approved | R::Scheduled);
    must(started || (course.stage == 0 && course.totals() == Counts::default()), "something happened before the start")?;
    must(course.stages.iter().all(|s| s.dark.is_none_or(|n| n >= 0 && n <= s.counts.total)), "more devices went dark than there are")?;
    must(course.state != R::Halted || !course.summary.is_empty(), "halted without a reason")?;
    let ended = state::ended(ROLLOUT, course.state);
    must(!ended || (busy_stages == 0 && course.totals().updating == 0), "it has ended and something goes on")?;
    must(!ended || course.stages.iter().all(|s| s.state != StageState::Pending), "it has ended and a stage is still to come")
}
