//! Releases, their state, and the keys their manifests are checked against. Bytes don't come this way: uploads use `/api/v1/uploads`.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::releases::{ReleaseQuery, ReleaseVerb, SigningKey};

/// A page of the list, with the signing keys, as [`wire::releases::ReleasesPage`].
#[server(prefix = "/rpc", endpoint = "/releases", input = GetUrl)]
pub async fn read_releases(query: ReleaseQuery) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let mut page = call.answer(call.fleet.releases().releases_page(&call.actor, &query).await)?;
    page.releases = call.answer(call.fleet.with_use_counts(&call.actor, page.releases).await)?;
    page.assignment_keys = call.answer(call.fleet.pki().assignment_keys(&call.actor).await)?;
    page.transfers = call.answer(call.fleet.transfers().page(&call.actor).await)?;
    call.model(Ok::<_, fleet::Error>(page))
}

/// One release: a [`wire::releases::ReleasePage`].
#[server(prefix = "/rpc", endpoint = "/release", input = GetUrl)]
pub async fn read_release(id: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ReleaseId = call.id(&id)?;
    call.model(call.fleet.release(&call.actor, &id).await)
}

/// Two releases beside each other, as [`wire::releases::ComparisonPage`]; empty is not chosen.
#[server(prefix = "/rpc", endpoint = "/release_comparison", input = GetUrl)]
pub async fn read_comparison(#[server(default)] before: String, #[server(default)] after: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let chosen = |id: &str| if id.is_empty() { Ok(None) } else { call.id::<wire::ids::ReleaseId>(id).map(Some) };
    let (before, after) = (chosen(&before)?, chosen(&after)?);
    call.model(call.fleet.release_comparison(&call.actor, before.as_ref(), after.as_ref()).await)
}

/// Whether the release's version is typed before this is done to it: these can't be taken back.
pub const fn asks_for_version(verb: ReleaseVerb) -> bool {
    matches!(verb, ReleaseVerb::Recall | ReleaseVerb::Remove)
}

/// Moves a release through its life: `publish`, `deprecate`, `recall`; `recheck` looks at a quarantined one again, `remove` deletes one that was
/// never published. `confirm` repeats the version where [`asks_for_version`].
#[server(prefix = "/rpc", endpoint = "/release_act")]
pub async fn act_on_release(
    id: String,
    verb: String,
    #[server(default)] reason: String,
    #[server(default)] confirm: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ReleaseId = call.id(&id)?;
    let (releases, actor) = (call.fleet.releases(), &call.actor);
    let unknown =
        || call.refuse(ApiFault::new(wire::FaultKind::Invalid, "unknown_verb", "There is nothing of this name to do to a release."));
    let verb: ReleaseVerb = verb.parse().map_err(|_| unknown())?;
    if asks_for_version(verb) {
        // An upload without a manifest has none to type.
        let version = call.answer(releases.detail(actor, &id).await)?.row.version;
        if !version.is_empty() {
            call.confirmed(&confirm, &version)?;
        }
    }
    let done = releases.act(actor, &id, verb, &reason).await;
    call.answer(done)?;
    call.lead_to(&if verb == ReleaseVerb::Remove { "/firmware".to_owned() } else { format!("/firmware/{id}") });
    Ok(())
}

/// Adds a public Ed25519 key, as PEM or as 64 hex digits.
#[server(prefix = "/rpc", endpoint = "/signing_key_add")]
pub async fn add_signing_key(name: String, public_key: String) -> Result<SigningKey, ApiFault> {
    let call = super::caller::caller()?;
    call.answer_at(call.fleet.releases().add_key(&call.actor, &name, &public_key).await, "public", "public_key")
}

/// Stops trusting a key for new uploads; `confirm` repeats its name.
#[server(prefix = "/rpc", endpoint = "/signing_key_revoke")]
pub async fn revoke_signing_key(id: String, #[server(default)] confirm: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::SigningKeyId = call.id(&id)?;
    let keys = call.answer(call.fleet.releases().keys(&call.actor).await)?;
    if let Some(key) = keys.iter().find(|k| k.id == id) {
        call.confirmed(&confirm, &key.name)?;
    }
    call.answer(call.fleet.releases().revoke_key(&call.actor, &id).await)?;
    call.lead_to("/firmware#keys");
    Ok(())
}

/// Holds signatures inside images against another certificate or public key, as PEM or as the base64 of its DER.
#[server(prefix = "/rpc", endpoint = "/image_key_add")]
pub async fn add_image_key(name: String, key: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.releases().add_image_key(&call.actor, &name, &key).await)?;
    call.lead_to("/firmware#image-keys");
    Ok(())
}

/// Forgets one.
#[server(prefix = "/rpc", endpoint = "/image_key_remove")]
pub async fn remove_image_key(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ImageKeyId = call.id(&id)?;
    call.answer(call.fleet.releases().remove_image_key(&call.actor, &id).await)?;
    call.lead_to("/firmware#image-keys");
    Ok(())
}
