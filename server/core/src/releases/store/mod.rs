//! The room's SQL: releases and their files, uploads, stored content, deltas, signing keys.

mod again;
mod checks;
mod checksums;
mod deltas;
mod image_keys;
mod keys;
#[macro_use]
mod releases;
mod running;
mod signatures;
mod uploads;

pub(super) use again::*;
pub(super) use checks::*;
pub(crate) use checks::{damaged_in, has_damage};
pub(super) use checksums::*;
pub(super) use deltas::*;
pub(super) use image_keys::*;
pub(super) use keys::*;
pub(super) use releases::*;
pub(super) use running::*;
pub(crate) use running::{StillRun, sequence_of};
pub(super) use signatures::*;
pub(super) use uploads::*;

use crate::db::Sql;

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[
    &releases::ROW,
    &releases::ROW_ALONE,
    &releases::INSTALLED,
    &releases::PAGE,
    &releases::PUBLISHED,
    &releases::NAMED,
    &releases::QUARANTINED,
    &releases::COUNT,
    &releases::COUNT_IN,
    &releases::TYPES,
    &releases::BODY,
    &releases::FILES,
    &releases::ARTIFACTS,
    &again::OF_VERSION,
    &releases::OF_TYPE,
    &releases::CHOICES,
    &releases::NEWEST,
    &releases::LAST_SEQUENCE,
    &releases::DRAFTS,
    &releases::INSERT,
    &releases::INSERT_FILE,
    &releases::JUDGE,
    &releases::MOVE,
    &releases::DELETE_FILES,
    &releases::DELETE,
    &uploads::UPLOAD,
    &uploads::OPEN_UPLOADS,
    &uploads::INSERT_UPLOAD,
    &uploads::RECEIVED,
    &uploads::WHOLE,
    &uploads::STORED,
    &uploads::DELETE_UPLOAD,
    &uploads::DELETE_OLD,
    &uploads::OLD_UPLOADS,
    &uploads::UPLOAD_EXISTS,
    &uploads::CONTENT_USES,
    &keys::KEYS,
    &keys::ACTIVE_KEYS,
    &keys::KEY_BY_KEYID,
    &keys::INSERT_KEY,
    &keys::REVOKE_KEY,
    &keys::KEY_EXISTS,
    &image_keys::IMAGE_KEYS,
    &image_keys::KNOWN,
    &image_keys::COUNT_IMAGE_KEYS,
    &image_keys::INSERT_IMAGE_KEY,
    &image_keys::DELETE_IMAGE_KEY,
    &checks::CHECK,
    &checks::DUE,
    &checks::SET_CHECK,
    &checks::FORGET_CHECK,
    &checks::CONTENT_SIZE,
    &checks::CONTENT_USERS,
    &checks::OWN_CONTENT,
    &checks::COUNT_DAMAGED,
    &checks::DAMAGED_IN,
    &checks::DAMAGED,
    &checksums::CHECKSUMS,
    &checksums::INSERT_CHECKSUMS,
    &deltas::WANT,
    &deltas::BEFORE,
    &running::RUN_BEFORE,
    &running::RECALLED,
    &running::RECALL,
    &running::RECALL_OF,
    &running::GOOD,
    &running::SEQUENCE_OF,
    &deltas::NEXT,
    &deltas::CLAIM,
    &deltas::GET_ON,
    &deltas::END,
    &deltas::MAKE_ANEW,
    &deltas::OF_RELEASE,
    &deltas::FORGOTTEN,
    &deltas::FORGET,
    &signatures::THRESHOLDS,
    &signatures::DROP_THRESHOLDS,
    &signatures::INSERT_THRESHOLD,
    &signatures::ADDED,
    &signatures::INSERT_ADDED,
    &signatures::DELETE_ADDED,
    &signatures::SET_SIGNERS,
    &signatures::SHOWN_PUBLISHED,
    &signatures::NEWEST_KEY_SET,
    &signatures::KEY_SET,
    &signatures::ALL_KEY_SETS,
    &signatures::INSERT_KEY_SET,
];
