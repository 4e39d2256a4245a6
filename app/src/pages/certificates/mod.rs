//! Certificates: the list with the calendar of ends, one certificate, and the authorities with the guided change from one to the next.

pub mod authorities;
pub mod detail;
pub mod list;
mod query;
mod revoke;
pub mod rules;
mod weeks;

pub use authorities::{confirm::AuthorityStepPage, detail::AuthorityPage, list::AuthoritiesPage};
pub use detail::CertificatePage;
pub use list::CertificatesPage;
pub use rules::RulesPage;

/// The `CN` of a subject, or all of it when it has none.
fn common_name(subject: &str) -> &str {
    subject.split(", ").find_map(|part| part.strip_prefix("CN=")).unwrap_or(subject)
}
