//! How many trusted keys have to sign a release (U-1): set here until the organization publishes a key set, from then on by key sets alone.
//! What was published under a lower threshold stays published, and everybody is shown that it falls short.

use super::{Error, Releases, acceptance::count, key_sets, manifest, quorum, state::was_published, store};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{self, Conn},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use wire::{
    ids::OrgId,
    manifest::Envelope,
    releases::ReleaseRow,
    signing::{ShortRelease, SignatureRow, SignatureStanding, SigningPolicy, Thresholds},
    states::ReleaseState,
};

impl Releases {
    /// How releases have to be signed now, and which published ones are not.
    pub async fn signing_policy(&self, actor: &Actor) -> Result<SigningPolicy> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (keys, thresholds) = (store::active_keys(&mut on, &actor.org).await?, store::thresholds(&mut on, &actor.org).await?);
        let mut short = Vec::new();
        // Where one signature is enough everything published has it, unless its key was revoked: its own page says so.
        if thresholds.quorum() > 1 {
            for (id, envelope) in store::shown_published(&mut on, &actor.org).await? {
                let Some(signed) = store::signed(&mut on, &actor.org, &id, envelope.as_deref()).await? else { continue };
                let Some(claims) = manifest::claims(&signed) else { continue };
                let have = manifest::verify(&signed, &keys).map_or(0, |v| count(&v.signed_by));
                let need = thresholds.of(&claims.device_type);
                if have < need {
                    short.push(ShortRelease { id, device_type: claims.device_type, version: claims.version, have, need });
                }
            }
        }
        let key_set = store::newest_key_set(&mut on, &actor.org).await?.map(|(version, _)| version);
        Ok(SigningPolicy { thresholds, keys: i64::try_from(keys.len()).unwrap_or(i64::MAX), key_set, short })
    }

    /// Asks for other numbers of signatures. Releases in quarantine are looked at again; verified ones are when they are published; published ones
    /// stay, and the answer names those that fall short.
    pub async fn set_thresholds(&self, actor: &Actor, mut to: Thresholds) -> Result<SigningPolicy> {
        may(actor, Act::Keys)?;
        to.device_types.sort();
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who change it at once the second sees what the first has set.
        audit::hold(&mut tx, &actor.org).await?;
        key_sets::none_decides(&mut tx, &actor.org).await?;
        let keys = store::active_keys(&mut tx, &actor.org).await?.len();
        if let Some((field, problem)) = to.problem(keys) {
            return Err(Error::Value { field, problem }.into());
        }
        let before = store::thresholds(&mut tx, &actor.org).await?;
        if before != to {
            store::set_thresholds(&mut tx, &actor.org, &to).await?;
            let detail = json!({ "before": before, "after": to });
            audit::append(&mut tx, actor, now, "key.threshold", actor.org.as_str(), &detail).await?;
            tx.commit().await?;
            self.policy_changed(actor).await;
        }
        self.signing_policy(actor).await
    }

    /// Drafts may be right by now, and others wait for more.
    pub(super) async fn policy_changed(&self, actor: &Actor) {
        if let Err(e) = self.recheck_drafts(actor).await {
            tracing::warn!(error = %e, "looking at quarantined releases again failed; each can be checked by hand");
        }
        match self.db.read().await {
            Ok(mut on) => match store::shown_published(&mut on, &actor.org).await {
                Ok(shown) => shown.into_iter().for_each(|(id, _)| self.bus.tell(Event::Release { org: actor.org.clone(), id })),
                Err(e) => tracing::warn!(error = %e, "open pages are not told of the new threshold"),
            },
            Err(e) => tracing::warn!(error = %e, "open pages are not told of the new threshold"),
        }
    }
}

/// How the signatures of a release stand by the keys and thresholds of now; none without an envelope that can be read.
pub(super) async fn standing(
    on: &mut impl Conn,
    org: &OrgId,
    row: &ReleaseRow,
    envelope: Option<&[u8]>,
) -> Result<Option<SignatureStanding>, db::Error> {
    let Some(uploaded) = envelope.and_then(|bytes| manifest::open(bytes).ok()) else { return Ok(None) };
    let Ok(payload) = STANDARD.decode(&uploaded.payload) else { return Ok(None) };
    let (known, active) = (store::keys(on, org).await?, store::active_keys(on, org).await?);
    let need = store::thresholds(on, org).await?.of(&row.device_type);
    let added = store::added(on, org, &row.id).await?;
    let at_first = uploaded.signatures.iter().map(|s| (s, None, String::new()));
    let later = added.iter().map(|s| (&s.signature, Some(s.at), s.by.clone()));
    let mut signatures: Vec<SignatureRow> = Vec::new();
    for (signature, added_at, added_by) in at_first.chain(later) {
        let name = known.iter().find(|k| k.keyid == signature.keyid).map(|k| k.name.clone()).unwrap_or_default();
        let why = match active.iter().find(|k| k.keyid == signature.keyid) {
            None if name.is_empty() => "nobody here trusts this key",
            None => "the key was revoked",
            Some(key) if quorum::is_by(key, &uploaded, &payload, signature).is_err() => "it does not fit the manifest",
            Some(_) if signatures.iter().any(|s| s.counts && s.keyid == signature.keyid) => "the key has signed twice",
            Some(_) => "",
        };
        let keyid = signature.keyid.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        signatures.push(SignatureRow { keyid, name, counts: why.is_empty(), why: why.to_owned(), added_at, added_by });
    }
    let have = signatures.iter().filter(|s| s.counts).count();
    Ok(Some(SignatureStanding { have: u32::try_from(have).unwrap_or(u32::MAX), need, signatures }))
}

/// What is to be said of a release that may have been enough once; of a draft its quarantine speaks.
pub(super) fn falls_short(state: ReleaseState, of: &SignatureStanding) -> Option<String> {
    let short = of.have < of.need && state != ReleaseState::Draft && state != ReleaseState::Recalled;
    let what = if was_published(state) {
        "it stays published, and devices that ask for more refuse it; add a signature"
    } else {
        "it can't be published before one is added"
    };
    short.then(|| format!("{} of the {} signatures by trusted keys that are needed now: {what}", of.have, of.need))
}

/// The envelope of a release that signatures can be added to.
pub(super) fn readable(envelope: Option<&[u8]>) -> Result<(Envelope, Vec<u8>), Error> {
    let envelope = manifest::open(envelope.ok_or(Error::NoManifest)?).map_err(|e| Error::BadSignature(e.to_string()))?;
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| Error::BadSignature("the manifest's payload is not base64".to_owned()))?;
    Ok((envelope, payload))
}
