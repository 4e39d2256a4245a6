//! The room's SQL, by concern: rollouts as read, plans as written, courses as changed, updates, turns, their numbers
//! in hawkBit's protocol, the deltas they can use, how long they took, the calendar of freezes, how many people approve, ways back, and the lists
//! people read.

pub(super) mod back;
pub(super) mod confirming;
pub(super) mod courses;
pub(super) mod ddi;
pub(super) mod deltas;
pub(super) mod freezes;
pub(super) mod history;
pub(super) mod lists;
pub(super) mod parts;
pub(super) mod plans;
pub(super) mod quorum;
pub(super) mod records;
pub(super) mod turns;
pub(super) mod updates;

use crate::db::Sql;

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[
    &records::RECORD,
    &records::NAMED,
    &records::CONCERNING,
    &records::STAGES,
    &plans::INSERT,
    &plans::INSERT_STAGE,
    &plans::DELETE_STAGES,
    &plans::EDIT,
    &confirming::SET,
    &confirming::CONFIRM,
    &confirming::AUTO,
    &confirming::SET_AUTO,
    &confirming::OFFERED_AT,
    &courses::MOVE,
    &courses::MOVE_STAGE,
    &courses::HOLD_STAGE,
    &courses::CLAMP_SEEN,
    &courses::TIME_OUT,
    &courses::WITHDRAW,
    &courses::WITHDRAW_RECALLED,
    &courses::REQUEUE,
    &courses::ATTEMPTS,
    &courses::RETRY_AT,
    &updates::HOLD,
    &updates::HOLD_ALONE,
    &updates::HOLD_ORG,
    &updates::OPEN_IN,
    &updates::ALIKE,
    &turns::OPEN_OF,
    &turns::STATE_OF,
    &turns::CANDIDATES,
    &turns::LAST_IN,
    &updates::RETIRE,
    &turns::SUPERSEDE,
    &turns::TO_RETRY,
    &updates::INSERT,
    &updates::TAKE_WAITING,
    &updates::SHIFT,
    &updates::UPDATE,
    &updates::PROGRESS,
    &updates::ALIVE,
    &updates::DOWNLOADS_ON,
    &updates::MOVE,
    &updates::HAS_ARTIFACT,
    &parts::OF_DEVICE,
    &updates::OVERDUE,
    &updates::RETRACTABLE,
    &parts::BUSY_ELSEWHERE,
    &parts::SETTLED,
    &parts::DARK,
    &parts::UPDATED,
    &parts::TOUCHED,
    &parts::LISTED,
    &parts::LISTED_BETWEEN,
    &lists::PAGE,
    &lists::COUNT,
    &lists::SUMS,
    &lists::OPEN_IDS,
    &lists::WAITING_IDS,
    &lists::DECIDED,
    &lists::APPROVED_BEFORE,
    &lists::ALIVE,
    &lists::NAV,
    &lists::EVENT,
    &lists::EVENTS,
    &lists::DECISION,
    &lists::DECISIONS,
    &lists::VOID,
    &quorum::KEPT,
    &quorum::KEEP,
    &quorum::ASK,
    &quorum::GIVEN,
    &back::WAY,
    &back::LINK,
    &back::BACKWARDS,
    &back::MEMBERS,
    &back::RUNS,
    &back::SET_OUT,
    &history::BEGUN,
    &history::TOOK,
    &deltas::TO_DEVICE,
    &ddi::ACTION,
    &ddi::ACTIONS,
    &ddi::NUMBER,
    &ddi::INSERT,
    &ddi::NOTE,
    &ddi::SAY,
    &ddi::TRIM,
    &ddi::FORGET,
    &ddi::FORGET_OF,
    &ddi::SAID,
    &freezes::NOT_OVER,
    &freezes::LIST,
    &freezes::ONE,
    &freezes::ADD,
    &freezes::END,
];
