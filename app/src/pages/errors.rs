//! Pages that say why there is no page.

use crate::ui::fault_state;
use leptos::prelude::*;
use wire::{Fault, FaultKind};

/// No page has this address; the response says 404.
#[component]
pub fn NotFound() -> AnyView {
    let fault =
        Fault::new(FaultKind::NotFound, "no_page", "No page has this address. It may have been mistyped, or what it showed is gone.");
    #[cfg(feature = "ssr")]
    crate::api::caller::refuse_page(fault.kind);
    fault_state(&fault)
}
