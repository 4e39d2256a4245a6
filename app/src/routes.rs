//! Every address of the console and the page behind it.

use crate::{
    pages::{errors::NotFound, overview::OverviewPage, set_up::SetUpPage, sign_in::SignInPage},
    parts,
    ui::{behaviour, frame::Frame, uploads::Uploads},
};
use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    Lazy, SsrMode,
    any_nested_route::IntoAnyNestedRoute,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

/// The application: the same on the server and in the browser.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Effect::new(|_| behaviour::install());
    // Above the router: an upload goes on whatever page is shown.
    Uploads::provide("/firmware");
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
            <Route path=path!("") view={Lazy::<parts::Devices>::new()} ssr=SsrMode::Async/>
            <Route path=path!(":id/:tab?") view={Lazy::<parts::Device>::new()} ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}

#[component(transparent)]
fn UpdateRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("") view=leptos_router::components::Outlet ssr=SsrMode::Async>
            <Route path=path!("/firmware") view={Lazy::<parts::Releases>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/firmware/compare") view={Lazy::<parts::Compare>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/firmware/:id") view={Lazy::<parts::Release>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/rollouts") view={Lazy::<parts::Rollouts>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/new") view={Lazy::<parts::Wizard>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id") view={Lazy::<parts::Rollout>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id/edit") view={Lazy::<parts::Wizard>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/rollouts/:id/:verb") view={Lazy::<parts::Confirm>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/freezes") view={Lazy::<parts::Freezes>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/groups") view={Lazy::<parts::Groups>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/approvals") view={Lazy::<parts::Approvals>::new()} ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}

#[component(transparent)]
fn AdminRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("") view=leptos_router::components::Outlet ssr=SsrMode::Async>
            <Route path=path!("/certificates") view={Lazy::<parts::Certificates>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/rules") view={Lazy::<parts::Rules>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/renew") view={Lazy::<parts::Renewals>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/authorities") view={Lazy::<parts::Authorities>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/authorities/requests") view={Lazy::<parts::AuthorityRequests>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/authorities/elsewhere") view={Lazy::<parts::Elsewhere>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/authorities/:id") view={Lazy::<parts::Authority>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/authorities/:id/:verb") view={Lazy::<parts::AuthorityStep>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/certificates/:id") view={Lazy::<parts::Certificate>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/enrolment") view={Lazy::<parts::Enrolment>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/people") view={Lazy::<parts::People>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/audit") view={Lazy::<parts::Audit>::new()} ssr=SsrMode::Async/>
            <Route path=path!("/account") view={Lazy::<parts::Account>::new()} ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
    .into_any_nested_route()
}
