//! What stands on an authority's page while somebody else may have its key.

use crate::{
    api::certificates::ClearAlarm,
    ui::{alarm::alarm, form::FormCall},
};
use leptos::prelude::*;
use wire::pki::AuthorityDetail as Model;

/// The alarm, what to do about it, and the button that ends it; nothing while there is none.
pub fn banner_of(m: &Model, call: FormCall<ClearAlarm>) -> AnyView {
    let Some(seen) = &m.alarm else { return ().into_any() };
    let advice = "If a backup was put back, devices that were enrolled after it show such certificates: enrol them again. Otherwise stage and activate the \
                  next authority, and give this one up.";
    let clear = m.may_clear.then(|| (call.into(), m.standing.row.id.to_string()));
    alarm("Somebody else may have this authority's key.", (seen.sign.clone(), seen.at), advice, clear)
}
