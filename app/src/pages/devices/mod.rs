//! Devices: the list with its filters, and a device with its tabs.

mod activity;
mod attempts;
mod bulk;
mod cancel;
mod certificates;
mod connections;
pub mod detail;
mod everyone;
pub(super) mod filters;
mod firmware;
mod grouping;
pub mod groups;
mod life;
pub mod list;
mod overview;
mod pin;
mod renewing;
mod selecting;
mod stepping;
mod telemetry;
mod views;
mod why;

pub(super) use selecting::some;
