//! The room's SQL, by concern: rollouts as read, plans as written, courses as changed, offers, updates, turns, their numbers
//! in hawkBit's protocol, what devices said of them, what they were sent, the deltas they can use, how long they took and how they ended, which devices
//! succeeded and went dark, the calendar of freezes, who approves, ways back, starts without approval, where the stages of a draw end, which rollouts use a
//! release, and the lists people read.

/// [`CANCELLED_BY_HAND`], for the text of statements: their index has it as well.
macro_rules! cancelled_by_hand {
    () => {
        "cancelled_by_hand"
    };
}

pub(super) mod approvers;
pub(super) mod back;
pub(super) mod confirming;
pub(super) mod courses;
pub(super) mod dark;
pub(super) mod ddi;
pub(super) mod deltas;
pub(super) mod freezes;
pub(super) mod glass;
pub(super) mod history;
pub(super) mod lists;
pub(super) mod log;
pub(super) mod offers;
pub(super) mod parts;
pub(super) mod plans;
pub(super) mod quorum;
pub(super) mod records;
pub(super) mod sent;
pub(super) mod strata;
pub(super) mod turns;
pub(super) mod updates;
pub(super) mod uses;

use crate::{
    db::{Error, Sql, column},
    devices::DeviceNo,
};

/// The word for programs of an update that a person has cancelled.
pub(super) const CANCELLED_BY_HAND: &str = cancelled_by_hand!();

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[
    &records::RECORD,
    &records::NAMED,
    &records::TAKEN,
    &records::CONCERNING,
    &records::RUNNING_BESIDE,
    &records::STAGES,
    &plans::INSERT,
    &plans::INSERT_STAGE,
    &plans::DELETE_STAGES,
    &plans::EDIT,
    &plans::WRITERS,
    &confirming::SET,
    &confirming::CONFIRM,
    &confirming::AUTO,
    &confirming::SET_AUTO,
    &confirming::IN_CONSOLE,
    &confirming::CONFIRM_IN_CONSOLE,
    &confirming::OFFERED_AT,
    &strata::INSERT,
    &strata::OF,
    &strata::ONE,
    &strata::INSERT_MEMBERS,
    &strata::SOME,
    &strata::MEMBERS,
    &strata::MEMBERS_BETWEEN,
    &strata::MEMBER,
    &strata::REPORTED,
    &strata::VALUES,
    &uses::OF,
    &uses::ASKED_FOR,
    &uses::ASSIGNED,
    &uses::COUNTED,
    &courses::MOVE,
    &courses::MOVE_STAGE,
    &courses::HOLD_STAGE,
    &courses::CLAMP_SEEN,
    &courses::TIME_OUT,
    &courses::WITHDRAW,
    &courses::WITHDRAW_RECALLED,
    &turns::WITHDRAW_ONE,
    &turns::CANCEL_ONE,
    &turns::CANCEL_UNOFFERED,
    &turns::CANCELLED,
    &turns::CANCELLED_OF,
    &courses::REQUEUE,
    &courses::REQUEUE_CANCELLED,
    &courses::RETRY_AT,
    &offers::HOLD,
    &offers::HOLD_ALONE,
    &offers::HOLD_ORG,
    &offers::OPEN_IN,
    &offers::ALIKE,
    &offers::HOLDERS_IN,
    &offers::HOLDERS_ALIKE,
    &offers::KIN,
    &offers::BEGUN,
    &offers::SUCCEEDED,
    &turns::OPEN_OF,
    &turns::STATE_OF,
    &turns::CANDIDATES,
    &turns::LAST_IN,
    &offers::RETIRE,
    &turns::SUPERSEDE,
    &turns::TO_RETRY,
    &offers::INSERT,
    &updates::TAKE_WAITING,
    &updates::SHIFT,
    &updates::UPDATE,
    &updates::PROGRESS,
    &updates::ALIVE,
    &updates::DOWNLOADS_ON,
    &updates::MOVE,
    &updates::FETCHING,
    &parts::OF_DEVICE,
    &parts::COUNT_OF_DEVICE,
    &parts::OFFERED,
    &parts::ENDED,
    &parts::LAST_ENDED,
    &parts::HOLDING,
    &updates::OVERDUE,
    &updates::RETRACTABLE,
    &updates::RESUME,
    &parts::BUSY_ELSEWHERE,
    &parts::TAKEN_OVER,
    &parts::SETTLED,
    &dark::DARK,
    &parts::UPDATED,
    &parts::TOUCHED,
    &parts::LISTED,
    &parts::LISTED_BADLY,
    &parts::LISTED_CANCELLED,
    &parts::COUNT_CANCELLED,
    &dark::LISTED_DARK,
    &dark::LISTED_DARK_AMONG,
    &dark::NEXT_TURNS,
    &parts::GONE,
    &parts::FAILURES,
    &parts::LISTED_BETWEEN,
    &lists::PAGE,
    &lists::COUNT,
    &lists::SUMS,
    &lists::OPEN_IDS,
    &lists::BY_GROUP,
    &lists::WAITING,
    &lists::ASKED,
    &lists::INBOX,
    &lists::DECISIONS_ON,
    &lists::APPROVED_BEFORE,
    &lists::ALIVE,
    &lists::NAV,
    &lists::EVENT,
    &lists::EVENTS,
    &lists::DECISION,
    &lists::DECISIONS,
    &quorum::RULES,
    &quorum::RULE,
    &quorum::KEEP,
    &quorum::DROP,
    &quorum::HOLD,
    &quorum::ASK,
    &quorum::MAY_START,
    &quorum::VOID,
    &quorum::CLEAR,
    &quorum::ELECT,
    &quorum::ELECTED,
    &quorum::DISMISS,
    &quorum::LATE,
    &back::WAY,
    &back::LINK,
    &back::BACKWARDS,
    &back::MEMBERS,
    &back::MEMBERS_BETWEEN,
    &back::RUNS,
    &back::SET_OUT,
    &history::BEGUN,
    &history::TOOK,
    &history::LATELY,
    &history::DARK_LATELY,
    &deltas::TO_DEVICE,
    &deltas::SIZES,
    &deltas::WITHOUT,
    &ddi::ACTION,
    &ddi::ACTIONS,
    &ddi::NUMBER,
    &ddi::INSERT,
    &ddi::NOTE,
    &ddi::ASK_AGAIN,
    &log::NEWEST,
    &log::SAY,
    &log::TRIM,
    &log::FORGET,
    &log::FORGET_OF,
    &log::LINES,
    &log::OF,
    &log::OF_EACH,
    &sent::BEGIN,
    &sent::HOLD,
    &sent::SET,
    &sent::FILES,
    &sent::DIFFERENCES,
    &sent::RUNS,
    &sent::FORGET,
    &sent::BAD_ENDINGS,
    &sent::FORGET_UNTIL,
    &sent::SENT_FOR,
    &sent::TAKEN_BACK,
    &sent::FORGET_TO,
    &freezes::MARKS,
    &freezes::NOT_OVER,
    &freezes::LIST,
    &freezes::ONE,
    &freezes::ADD,
    &freezes::END,
    &approvers::GROUPS,
    &approvers::GROUP,
    &approvers::INSERT,
    &approvers::DELETE,
    &approvers::MEMBERS,
    &approvers::ENTER,
    &approvers::LEAVE,
    &approvers::EMPTY,
    &approvers::TERMS,
    &approvers::KEEP_TERMS,
    &glass::INSERT,
    &glass::MAY_REVIEW,
    &glass::REVIEWERS,
    &glass::REVIEW,
    &glass::REVIEWS,
    &glass::SETTLE,
    &glass::OVERDUE,
    &glass::ONE,
    &glass::LAST_OF,
    &glass::LIST,
    &glass::PAGE,
    &glass::COUNT,
    &glass::NOW_OVERDUE,
    &glass::OPEN,
    &glass::FOR,
];

/// These devices, for a statement that takes many by `[int device]`.
fn these(devices: &[DeviceNo]) -> Result<String, Error> {
    column("device", devices)
}
