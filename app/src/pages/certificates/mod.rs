//! Certificates: the list with the calendar of ends, one certificate, and the authorities with the guided change from one to the next.

pub mod authorities;
mod blocked;
pub mod detail;
pub mod list;
mod profiles;
mod query;
pub mod renewals;
mod revoke;
pub mod rules;
mod weeks;

pub use authorities::{
    confirm::AuthorityStepPage, detail::AuthorityPage, elsewhere::ElsewherePage, list::AuthoritiesPage, requests::AuthorityRequestsPage,
};
pub use detail::CertificatePage;
pub use list::CertificatesPage;
pub use renewals::RenewalsPage;
pub use rules::RulesPage;

use wire::pki::common_name;
