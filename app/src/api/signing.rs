//! How many keys must have signed a release, which keys devices trust, and the server's own keys for assignments. Read with the firmware page.

use super::fault::ApiFault;
use leptos::prelude::*;

/// Asks for another number of signatures; `device_types` has a line `TYPE=N` for each type with a number of its own.
#[server(prefix = "/rpc", endpoint = "/signing_thresholds")]
pub async fn set_signing_thresholds(threshold: String, #[server(default)] device_types: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let wrong = |field: &str, message: &str| {
        let fault = wire::Fault::new(wire::FaultKind::Invalid, "bad_value", message).at(field);
        call.refuse(fault.into())
    };
    let threshold = threshold.trim().parse().map_err(|_| wrong("threshold", "Write a whole number from 1 to 16."))?;
    let mut types = Vec::new();
    for line in device_types.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let read = line.rsplit_once('=').and_then(|(name, n)| Some((name.trim().to_owned(), n.trim().parse().ok()?)));
        let (device_type, threshold) = read.ok_or_else(|| wrong("device_types", "Write a line for each type, for example gateway=2."))?;
        types.push(wire::signing::TypeThreshold { device_type, threshold });
    }
    let to = wire::signing::Thresholds { threshold, device_types: types };
    call.answer(call.fleet.releases().set_thresholds(&call.actor, to).await)?;
    call.lead_to("/firmware#signing");
    Ok(())
}

/// Publishes the next key set: the text of its file.
#[server(prefix = "/rpc", endpoint = "/key_set_publish")]
pub async fn publish_key_set(key_set: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.releases().publish_key_set(&call.actor, key_set.trim().as_bytes()).await)?;
    call.lead_to("/firmware#signing");
    Ok(())
}

/// Makes another key for assignments.
#[server(prefix = "/rpc", endpoint = "/assignment_key_make")]
pub async fn make_assignment_key() -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().make_assignment_key(&call.actor).await)?;
    call.lead_to("/firmware#assignments");
    Ok(())
}

/// Retires a key of assignments.
#[server(prefix = "/rpc", endpoint = "/assignment_key_retire")]
pub async fn retire_assignment_key(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AssignmentKeyId = call.id(&id)?;
    call.answer(call.fleet.pki().retire_assignment_key(&call.actor, &id).await)?;
    call.lead_to("/firmware#assignments");
    Ok(())
}

/// Adds a signature to a release: the text of what `fleetward release sign` wrote.
#[server(prefix = "/rpc", endpoint = "/release_sign")]
pub async fn sign_release(id: String, signature: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ReleaseId = call.id(&id)?;
    call.answer(call.fleet.releases().add_signatures(&call.actor, &id, signature.trim().as_bytes()).await)?;
    call.lead_to(&format!("/firmware/{id}"));
    Ok(())
}
