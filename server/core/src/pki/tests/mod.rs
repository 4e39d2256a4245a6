//! Tests of the room: the gate and the profile by themselves, the life of a certificate on both engines.

mod life;
mod profile;
mod requests;
