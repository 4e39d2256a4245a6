//! Rollouts: the list, the wizard that plans one, the page that shows its course, and the questions before something is done to it.

pub mod actions;
pub mod ahead;
pub mod back;
mod brief;
mod cells;
pub mod choice;
mod choosing;
pub mod confirm;
pub mod course;
pub mod detail;
mod evidence;
mod firmware;
mod folds;
pub mod gates;
mod lately;
pub mod list;
mod live;
mod misread;
mod order;
pub mod phrases;
pub mod preview;
mod stages;
pub mod steps;
pub mod updates;
pub mod when;
pub mod wizard;
pub mod would_be;
