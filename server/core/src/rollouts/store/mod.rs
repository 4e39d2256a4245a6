//! The room's SQL, by concern: a rollout's course, its updates, and the lists people read.

pub(super) mod courses;
pub(super) mod lists;
pub(super) mod updates;

use crate::db::Sql;

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[
    &courses::RECORD,
    &courses::OF_TYPE,
    &courses::STAGES,
    &courses::INSERT,
    &courses::INSERT_STAGE,
    &courses::DELETE_STAGES,
    &courses::EDIT,
    &courses::MOVE,
    &courses::MOVE_STAGE,
    &courses::HOLD_STAGE,
    &courses::CLAMP_SEEN,
    &courses::TIME_OUT,
    &courses::WITHDRAW,
    &courses::WITHDRAW_RECALLED,
    &courses::REQUEUE,
    &updates::HOLD,
    &updates::OPEN_OF,
    &updates::CANDIDATES,
    &updates::LAST_IN,
    &updates::RETIRE,
    &updates::INSERT,
    &updates::TAKE_WAITING,
    &updates::SHIFT,
    &updates::UPDATE,
    &updates::PROGRESS,
    &updates::MOVE,
    &updates::HAS_ARTIFACT,
    &updates::OF_DEVICE,
    &updates::OVERDUE,
    &updates::BUSY_ELSEWHERE,
    &updates::SETTLED,
    &updates::LISTED,
    &updates::LISTED_BETWEEN,
    &lists::PAGE,
    &lists::COUNT,
    &lists::SUMS,
    &lists::OPEN_IDS,
    &lists::WAITING_IDS,
    &lists::DECIDED,
    &lists::ALIVE,
    &lists::NAV,
    &lists::EVENT,
    &lists::EVENTS,
    &lists::DECISION,
    &lists::DECISIONS,
    &lists::VOID,
];
