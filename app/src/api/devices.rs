//! Devices as the console reads and changes them.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};
use wire::{
    Timestamp,
    activity::{ActivityPage, ActivityQuery},
    connections::{ConnectionsPage, ConnectionsQuery},
    devices::{DeviceDetail, DeviceQuery},
    page::Page,
    states::DeviceStep,
    telemetry::History,
    updates::{Attempt, AttemptsQuery},
};

/// A device's page: the device, and its history where the tab shows one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device.
    pub detail: DeviceDetail,
    /// Its history; none on tabs without charts.
    pub history: Option<History>,
    /// Start of the history.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// What happened to it; none on the other tabs.
    pub activity: Option<ActivityPage>,
    /// Its connections; none on the other tabs.
    #[serde(default)]
    pub connections: Option<ConnectionsPage>,
    /// Its updates, with what it said of each; none on the other tabs.
    #[serde(default)]
    pub attempts: Option<Page<Attempt>>,
}

/// Which span of history to read: so much before now, or between two instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Milliseconds before now, when `from` is none.
    pub last_ms: i64,
    /// Start, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// End, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

/// Points a series of a chart: two a pixel column on a wide screen would not be seen.
#[cfg(feature = "ssr")]
const POINTS: u32 = 600;

/// A page of the device list: a [`wire::devices::DevicesPage`]; with the counts of its filter if `counted` and they are there at once.
#[server(prefix = "/rpc", endpoint = "/devices", input = GetUrl)]
pub async fn read_devices(query: DeviceQuery, #[server(default)] counted: bool) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let devices = call.fleet.devices();
    let mut page = call.answer(devices.page(&call.actor, &query).await)?;
    if counted {
        page.facets = call.answer(devices.facet_counts_at_once(&call.actor).await)?;
    }
    Packed::of(&page)
}

/// How many devices have each value of the list's filter: a [`wire::facets::DeviceFacets`].
#[server(prefix = "/rpc", endpoint = "/devices/facets", input = GetUrl)]
pub async fn read_facets() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.devices().facet_counts(&call.actor).await)
}

/// A device as [`DeviceView`]; `window` asks for its history too, `activity` for a page of what happened to it, `connections` and
/// `attempts` for a page of these.
#[server(prefix = "/rpc", endpoint = "/device", input = GetUrl)]
pub async fn read_device(
    id: String,
    #[server(default)] window: Option<Window>,
    #[server(default)] activity: Option<ActivityQuery>,
    #[server(default)] connections: Option<ConnectionsQuery>,
    #[server(default)] attempts: Option<AttemptsQuery>,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let id = call.id(&id)?;
    let detail: DeviceDetail = call.answer(call.fleet.device(&call.actor, &id).await)?;
    let activity = match activity {
        Some(query) => Some(call.answer(call.fleet.activity(&call.actor, &id, &query).await)?),
        None => None,
    };
    let connections = match connections {
        Some(query) => Some(call.answer(call.fleet.devices().connections(&call.actor, &id, &query).await)?),
        None => None,
    };
    let attempts = match attempts {
        Some(query) => Some(call.answer(call.fleet.attempts(&call.actor, &id, &query).await)?),
        None => None,
    };
    let Some(window) = window else {
        return Packed::of(&DeviceView { from: detail.at, to: detail.at, detail, history: None, activity, connections, attempts });
    };
    let (from, to) = match (window.from, window.to) {
        (Some(from), Some(to)) if from < to => (Timestamp(from), Timestamp(to)),
        _ => (detail.at.plus(-window.last_ms.clamp(60_000, 31 * 86_400_000)), detail.at),
    };
    let query = wire::telemetry::HistoryQuery { device_id: id, metrics: Vec::new(), from, to, points: POINTS };
    let history = call.answer(call.fleet.history(&call.actor, &query).await)?;
    Packed::of(&DeviceView { detail, history: Some(history), from, to, activity, connections, attempts })
}

/// Ids of a few devices that match what was typed, for the palette: a list of texts. A selector that is not finished finds nothing.
#[server(prefix = "/rpc", endpoint = "/devices/find", input = GetUrl)]
pub async fn find_devices(q: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let query = DeviceQuery { q, rows: Some(8), ..DeviceQuery::default() };
    let page = call.answer(call.fleet.devices().page(&call.actor, &query).await)?;
    Packed::of(&page.devices.items.into_iter().map(|row| row.device_id).collect::<Vec<_>>())
}

/// What selectors can be completed with while they are typed: a [`wire::selector::Known`].
#[server(prefix = "/rpc", endpoint = "/devices/values", input = GetUrl)]
pub async fn read_selector_values() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.devices().selector_values(&call.actor).await)
}

/// Replaces a device's tags; they are separated by commas or blanks.
#[server(prefix = "/rpc", endpoint = "/device/tags")]
pub async fn set_tags(id: String, #[server(default)] tags: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device = call.id(&id)?;
    let tags = wire::devices::words(&tags);
    call.answer(call.fleet.devices().set_tags(&call.actor, &device, tags).await)?;
    call.lead_to(&format!("/devices/{id}"));
    Ok(())
}

/// The devices that a form names, separated by blanks or commas. One that says it names some (`named` is not empty), or has anything in that input, and
/// names none is refused: without names it would be about every device.
#[cfg(feature = "ssr")]
pub(super) fn these(call: &super::caller::Call, devices: &str, named: &str) -> Result<Vec<wire::ids::DeviceId>, ApiFault> {
    let words = wire::devices::words(devices);
    if words.is_empty() && !(named.is_empty() && devices.is_empty()) {
        return Err(call.invalid("devices", "No device is named. Nothing was changed. Select the devices again."));
    }
    words.iter().map(|id| call.id(id)).collect()
}

/// Adds tags to every device that `q` means, or that `devices` names (with `named` it must name some), and takes others away; all are separated by commas or
/// blanks. `expected` is how many devices the list told of; when they are another number by now, nothing is changed. Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/tags")]
pub async fn tag_devices(
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] named: String,
    #[server(default)] add: String,
    #[server(default)] remove: String,
    expected: i64,
    #[server(default)] back: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let devices = these(&call, &devices, &named)?;
    let (add, remove) = (wire::devices::words(&add), wire::devices::words(&remove));
    call.answer(call.fleet.devices().tag_many(&call.actor, &wire::devices::TagMany { q, devices, add, remove, expected }).await)?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(())
}

/// Puts every device that `q` means, or that `devices` names (with `named` it must name some), into a group, which is made where it is not there, or takes
/// them out of it when `out` is `yes`. `expected` is how many devices the list told of; when they are another number by now, nothing is changed. Leads to
/// `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/group")]
pub async fn group_devices(
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] named: String,
    group: String,
    #[server(default)] out: String,
    expected: i64,
    #[server(default)] back: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let wanted = wire::devices::GroupMany { q, devices: these(&call, &devices, &named)?, out: out == "yes", expected };
    call.answer_at(call.fleet.devices().gather(&call.actor, group.trim(), &wanted).await, "name", "group")?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(())
}

/// Suspends or resumes every device that `q` means, or that `devices` names (with `named` it must name some). `expected` is how many devices the list told
/// of; when they are another number by now, or one of them can't take the step, nothing is changed. Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/life")]
pub async fn change_devices(
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] named: String,
    step: DeviceStep,
    expected: i64,
    #[server(default)] back: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let devices = these(&call, &devices, &named)?;
    call.answer(call.fleet.devices().change_many(&call.actor, &wire::devices::StepMany { q, devices, step, expected }).await)?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(())
}

/// Takes a device a step on in its life; what can't be taken back as easily wants its name repeated in `confirm`. The answer is where to go then.
#[server(prefix = "/rpc", endpoint = "/device/life")]
pub async fn change_device(id: String, step: DeviceStep, #[server(default)] confirm: String) -> Result<String, ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    if matches!(step, DeviceStep::Decommission | DeviceStep::Recommission | DeviceStep::Delete) {
        call.confirmed(&confirm, device.as_str())?;
    }
    call.answer(call.fleet.devices().change(&call.actor, &device, step).await)?;
    let then = if step == DeviceStep::Delete { "/devices".to_owned() } else { format!("/devices/{device}") };
    call.lead_to(&then);
    Ok(then)
}

/// Orders a device to renew its certificate now.
#[server(prefix = "/rpc", endpoint = "/device/renew")]
pub async fn order_renewal(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    call.answer(call.fleet.devices().order_renewal(&call.actor, &device).await)?;
    call.lead_to(&format!("/devices/{device}/certificates"));
    Ok(())
}

/// Says that the sign of a possible clone was looked at.
#[server(prefix = "/rpc", endpoint = "/device/clear")]
pub async fn clear_suspicion(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    call.answer(call.fleet.devices().clear_suspicion(&call.actor, &device).await)?;
    call.lead_to(&format!("/devices/{device}"));
    Ok(())
}

/// Confirms a rollout's update of a device that asks nobody itself.
#[server(prefix = "/rpc", endpoint = "/device/confirm")]
pub async fn confirm_update(id: String, rollout: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    let rollout: wire::ids::RolloutId = call.id(&rollout)?;
    call.answer(call.fleet.rollouts().confirm_in_console(&call.actor, &rollout, &device).await)?;
    call.lead_to(&format!("/devices/{device}/firmware"));
    Ok(())
}

/// Cancels a rollout's update of a device, if `update` is still the attempt that stands.
#[server(prefix = "/rpc", endpoint = "/device/cancel_update")]
pub async fn cancel_update(id: String, rollout: String, update: String, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    let rollout: wire::ids::RolloutId = call.id(&rollout)?;
    let update: wire::ids::UpdateId = call.id(&update)?;
    call.answer(call.fleet.rollouts().cancel_update(&call.actor, &rollout, &device, Some(&update), &reason).await)?;
    call.lead_to(&format!("/devices/{device}/firmware"));
    Ok(())
}

/// Pins a device to what it runs, so that no rollout moves it.
#[server(prefix = "/rpc", endpoint = "/device/pin")]
pub async fn pin_device(id: String, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    call.answer(call.fleet.rollouts().pin(&call.actor, &device, &reason).await)?;
    call.lead_to(&format!("/devices/{device}/firmware"));
    Ok(())
}

/// Lets rollouts move a device again that was pinned.
#[server(prefix = "/rpc", endpoint = "/device/unpin")]
pub async fn unpin_device(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let device: wire::ids::DeviceId = call.id(&id)?;
    call.answer(call.fleet.rollouts().unpin(&call.actor, &device).await)?;
    call.lead_to(&format!("/devices/{device}/firmware"));
    Ok(())
}
