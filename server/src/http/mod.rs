//! The operator listener: console, live socket, REST. Owns how a request becomes an actor and an answer; refuses to know rules.

pub mod api;
pub mod asked;
mod assets;
mod bodies;
mod deadline;
mod docs;
pub mod fault;
pub mod guard;
pub mod json;
pub mod live;
pub mod ops;
pub mod own_words;
mod pages;
mod plain;
mod plain_page;
pub mod range;
mod refusal;
#[cfg(test)]
mod rpc_tests;
#[cfg(test)]
mod rpc_views_tests;
mod serve;
mod session;
pub mod stored;
pub mod tags;

pub use serve::{Operator, router, serve, tls};
