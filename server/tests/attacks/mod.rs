//! The attack list of the PKI contract, over real sockets: one test a row, named after it. What a row asks of one function is tested beside that
//! function: in the core's `pki/tests/requests.rs`, A-16 in its `devices/tests`.

mod browser;
mod crossing;
mod enrolment;
mod logs;
