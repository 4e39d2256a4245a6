//! The pages: each reads one model by one server function and shows it with the widgets of [`crate::ui`].

pub mod account;
pub mod approvals;
pub mod attention;
pub mod audit;
pub mod certificates;
pub mod devices;
pub mod enrolment;
pub mod errors;
pub mod freezes;
pub mod machines;
pub mod overview;
pub mod people;
pub mod releases;
pub mod rollouts;
pub mod set_up;
pub mod sign_in;
pub mod words;
