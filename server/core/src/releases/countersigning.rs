//! Adding signatures to a release (U-1): detached ones, or an envelope over the same payload, byte for byte. What was uploaded stays as it is.

use super::{Error, Releases, manifest, policy, quorum, store};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use wire::{
    ids::ReleaseId,
    manifest::{Envelope, Signature},
    releases::ReleaseDetail,
    states::ReleaseState,
};

impl Releases {
    /// Adds signatures by trusted keys that have not signed the release yet: a signature by itself, or an envelope with some, as JSON. A draft that
    /// waited for them is looked at again; to what is published they may be added as well. Nothing is taken of what is wrong anywhere.
    pub async fn add_signatures(&self, actor: &Actor, id: &ReleaseId, given: &[u8]) -> Result<ReleaseDetail> {
        may(actor, Act::Upload)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let row = store::release(&mut tx, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        if row.state == ReleaseState::Recalled {
            return Err(Error::BadSignature("the release was recalled; a signature changes nothing".to_owned()).into());
        }
        let body = store::body(&mut tx, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let keys = store::active_keys(&mut tx, &actor.org).await?;
        let (mut envelope, payload) = policy::readable(body.envelope.as_deref())?;
        envelope.signatures.extend(store::added(&mut tx, &actor.org, id).await?.into_iter().map(|s| s.signature));
        let mut names = Vec::new();
        let given = read(given, &envelope)?;
        for signature in &given {
            // Whoever nobody trusts may have signed as well; that says nothing.
            let Some(key) = keys.iter().find(|k| k.keyid == signature.keyid) else { continue };
            quorum::is_by(key, &envelope, &payload, signature).map_err(|problem| match problem {
                quorum::Problem::Base64 => Error::BadSignature("it is not base64".to_owned()),
                quorum::Problem::Wrong(name) => {
                    Error::BadSignature(format!("the signature of {name:?} does not fit the release's manifest"))
                }
            })?;
            if envelope.signatures.iter().any(|s| s.keyid == signature.keyid) {
                continue;
            }
            if envelope.signatures.len() >= manifest::MAX_SIGNATURES {
                return Err(Error::BadSignature(format!("there are {} signatures, which is the most", manifest::MAX_SIGNATURES)).into());
            }
            envelope.signatures.push(signature.clone());
            store::insert_added(&mut tx, (&actor.org, id), signature, &actor.label(), now).await?;
            names.push(key.name.clone());
        }
        if names.is_empty() {
            let known = |s: &Signature| keys.iter().any(|k| k.keyid == s.keyid);
            return Err(if given.iter().any(known) { Error::SignedAlready } else { Error::NotTrusted }.into());
        }
        let whole = manifest::written(&envelope).map_err(db_error)?;
        if whole.len() > manifest::MAX_ENVELOPE {
            return Err(Error::BadSignature(manifest::ManifestError::TooLarge(whole.len()).to_string()).into());
        }
        if let Ok(verified) = manifest::verify(&whole, &keys) {
            store::set_signers(&mut tx, &actor.org, id, &verified.signed_by).await?;
        }
        audit::append(&mut tx, actor, now, "release.sign", id.as_str(), &json!({ "by": names })).await?;
        tx.commit().await?;
        self.bus.tell(Event::Release { org: actor.org.clone(), id: id.clone() });
        self.judge_again(actor, id).await?;
        self.detail(actor, id).await
    }
}

fn db_error(error: serde_json::Error) -> Error {
    Error::Db(crate::db::Error::corrupt(error))
}

/// The signatures that are given: of an envelope whose payload is exactly that of the release, or one by itself.
fn read(given: &[u8], of: &Envelope) -> Result<Vec<Signature>, Error> {
    if given.len() > manifest::MAX_ENVELOPE {
        return Err(Error::BadSignature(format!("at most {} bytes are taken", manifest::MAX_ENVELOPE)));
    }
    if let Ok(signature) = serde_json::from_slice::<Signature>(given) {
        return Ok(vec![signature]);
    }
    let envelope = manifest::open(given).map_err(|e| Error::BadSignature(e.to_string()))?;
    // Compared as bytes: the same payload may be written in base64 in one way only.
    match (STANDARD.decode(&envelope.payload), STANDARD.decode(&of.payload)) {
        (Ok(theirs), Ok(ours)) if theirs == ours && envelope.payload_type == of.payload_type => Ok(envelope.signatures),
        _ => Err(Error::BadSignature("the envelope is over another manifest than this release's".to_owned())),
    }
}
