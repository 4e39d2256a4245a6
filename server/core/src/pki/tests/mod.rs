//! Tests of the room: the gate and the profile by themselves, the life of a certificate on both engines, what is published, and what happens
//! side by side.

mod alarms;
mod anchored;
mod answers;
mod blocked;
mod bundles;
mod clock;
mod consents;
mod follow;
mod generations;
mod life;
mod listing;
mod making;
mod names;
mod one_key;
mod profile;
mod profiles;
mod publication;
mod races;
mod renewals;
mod requests;
mod restore;
mod rollover;
mod roots;
mod slow;
mod token;
mod token_troubles;
