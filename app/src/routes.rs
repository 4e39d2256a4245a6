//! Every address of the console and the page behind it.

use crate::{
    pages::{
        account::AccountPage, approvals::ApprovalsPage, audit::AuditPage, certificates::CertificatesPage, devices,
        enrolment::EnrolmentPage, errors::NotFound, overview::OverviewPage, people::PeoplePage, releases, rollouts, set_up::SetUpPage,
        sign_in::SignInPage,
    },
    ui::{behaviour, frame::Frame},
};
use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    SsrMode,
    any_nested_route::IntoAnyNestedRoute,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

/// The application: the same on the server and in the browser.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Effect::new(|_| behaviour::install());
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/sign-in") view=SignInPage ssr=SsrMode::Async/>
                <Route path=path!("/set-up") view=SetUpPage ssr=SsrMode::Async/>
                <ParentRoute path=path!("") view=Frame ssr=SsrMode::Async>
                    <Route path=path!("") view=OverviewPage ssr=SsrMode::Async/>
                    <FleetRoutes/>
                    <UpdateRoutes/>
                    <AdminRoutes/>
                    <Route path=path!("*any") view=NotFound ssr=SsrMode::Async/>
                </ParentRoute>
            </Routes>
        </Router>
    }
}

#[component(transparent)]
fn FleetRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/devices") view=leptos_router::components::Outlet ssr=SsrMode::Async>
            <Route path=path!("") view=devices::list::DevicesPage ssr=SsrMode::Async/>
            <Route path=path!(":id/:tab?") view=devices::detail::DevicePage ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}

#[component(transparent)]
fn UpdateRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("") view=leptos_router::components::Outlet ssr=SsrMode::Async>
            <Route path=path!("/firmware") view=releases::ReleasesPage ssr=SsrMode::Async/>
            <Route path=path!("/firmware/:id") view=releases::ReleasePage ssr=SsrMode::Async/>
            <Route path=path!("/rollouts") view=rollouts::list::RolloutsPage ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/new") view=rollouts::wizard::WizardPage ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id") view=rollouts::detail::RolloutPage ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id/edit") view=rollouts::wizard::WizardPage ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id/:verb") view=rollouts::confirm::ConfirmPage ssr=SsrMode::Async/>
            <Route path=path!("/approvals") view=ApprovalsPage ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}

#[component(transparent)]
fn AdminRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("") view=leptos_router::components::Outlet ssr=SsrMode::Async>
            <Route path=path!("/certificates") view=CertificatesPage ssr=SsrMode::Async/>
            <Route path=path!("/enrolment") view=EnrolmentPage ssr=SsrMode::Async/>
            <Route path=path!("/people") view=PeoplePage ssr=SsrMode::Async/>
            <Route path=path!("/audit") view=AuditPage ssr=SsrMode::Async/>
            <Route path=path!("/account") view=AccountPage ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}
