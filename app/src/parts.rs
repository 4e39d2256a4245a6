//! The parts of the console that a browser fetches when somebody goes there, each a module beside the first one.
//!
//! Owns which page is in which part, and what stands there when a part can't be had. Refuses to know what the pages show. The first module has the
//! frame, the overview and the sign-in; on the server everything is there.

use crate::{
    pages::{
        account::AccountPage,
        approvals::ApprovalsPage,
        audit::AuditPage,
        certificates::{
            AuthoritiesPage, AuthorityPage, AuthorityRequestsPage, AuthorityStepPage, CertificatePage, CertificatesPage, ElsewherePage,
            RenewalsPage, RulesPage,
        },
        devices,
        enrolment::EnrolmentPage,
        freezes::FreezesPage,
        people::PeoplePage,
        releases, rollouts,
    },
    ui::{behaviour::Unread, fault_state},
};
use leptos::{prelude::*, wasm_split::SplitLoaderError};
use leptos_router::LazyRoute;
use wire::{Fault, FaultKind};

/// A page's route, whose code comes with its part.
macro_rules! page {
    ($part:ident, $route:ident => $page:path as $view:ident, $preload:ident) => {
        pub(crate) struct $route(Unread);

        #[leptos::wasm_split::wasm_split($part, wasm_split_path = ::leptos::wasm_split, preload($preload), fallible)]
        fn $view() -> Result<AnyView, SplitLoaderError> {
            Ok($page().into_any())
        }

        impl LazyRoute for $route {
            fn data() -> Self {
                Self(Unread::one())
            }

            async fn view(Self(unread): Self) -> AnyView {
                let shown = $view().await.unwrap_or_else(|_| not_loaded());
                drop(unread);
                shown
            }

            async fn preload() {
                // A part that does not come is told by the view.
                let _ = $preload().await;
            }
        }
    };
}

page!(devices, Devices => devices::list::DevicesPage as devices_view, preload_devices);
page!(devices, Device => devices::detail::DevicePage as device_view, preload_device);
page!(devices, Groups => devices::groups::GroupsPage as groups_view, preload_groups);
page!(updates, Releases => releases::ReleasesPage as releases_view, preload_releases);
page!(updates, Compare => releases::ComparePage as compare_view, preload_compare);
page!(updates, Release => releases::ReleasePage as release_view, preload_release);
page!(updates, Rollouts => rollouts::list::RolloutsPage as rollouts_view, preload_rollouts);
page!(updates, Rollout => rollouts::detail::RolloutPage as rollout_view, preload_rollout);
page!(updates, Confirm => rollouts::confirm::ConfirmPage as confirm_view, preload_confirm);
page!(updates, Approvals => ApprovalsPage as approvals_view, preload_approvals);
page!(updates, Freezes => FreezesPage as freezes_view, preload_freezes);
page!(updates, Wizard => rollouts::wizard::WizardPage as wizard_view, preload_wizard);
page!(admin, Certificates => CertificatesPage as certificates_view, preload_certificates);
page!(admin, Rules => RulesPage as rules_view, preload_rules);
page!(admin, Renewals => RenewalsPage as renewals_view, preload_renewals);
page!(admin, Certificate => CertificatePage as certificate_view, preload_certificate);
page!(admin, Authorities => AuthoritiesPage as authorities_view, preload_authorities);
page!(admin, Elsewhere => ElsewherePage as elsewhere_view, preload_elsewhere);
page!(admin, Authority => AuthorityPage as authority_view, preload_authority);
page!(admin, AuthorityRequests => AuthorityRequestsPage as authority_requests_view, preload_authority_requests);
page!(admin, AuthorityStep => AuthorityStepPage as authority_step_view, preload_authority_step);
page!(admin, Enrolment => EnrolmentPage as enrolment_view, preload_enrolment);
page!(admin, People => PeoplePage as people_view, preload_people);
page!(admin, Audit => AuditPage as audit_view, preload_audit);
page!(admin, Account => AccountPage as account_view, preload_account);

/// Its part did not come: the network is down, or the server is a newer one whose parts have other names. Loading the page anew helps in both.
fn not_loaded() -> AnyView {
    let message = "This page could not be loaded: the connection broke, or Fleetward was updated meanwhile.";
    fault_state(&Fault::new(FaultKind::Busy, "not_loaded", message))
}
