//! The keys that signatures inside images are held against (U-5), and how those of a release's files stand to them. Owns which keys there are; what a
//! signature is and whether one fits is said by `containers`. Private keys never come here, and nothing is installed or held back by this: the
//! updater on the device decides.

use super::{ArtifactFile, Error, Releases, containers, label, store};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    pki::der,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde_json::json;
use wire::{
    ids::{ImageKeyId, OrgId},
    releases::{ArtifactRow, ContainerKind, ImageKey, ImageSignature, MOST_IMAGE_KEYS, ReleaseDetail},
};

/// Most bytes of a certificate or a key as it is given.
const LARGEST: usize = 32 * 1024;

impl Releases {
    /// Every image key, newest first.
    pub async fn image_keys(&self, actor: &Actor) -> Result<Vec<ImageKey>> {
        may(actor, Act::Read)?;
        Ok(store::image_keys(&mut self.db.read().await?, &actor.org).await?)
    }

    /// Makes a certificate or a public key known as an image key, given as PEM, or as the base64 of its DER. Of an authority's certificate all that it has
    /// issued are known with it.
    pub async fn add_image_key(&self, actor: &Actor, name: &str, given: &str) -> Result<ImageKey> {
        may(actor, Act::Keys)?;
        label::title(name, label::MAX_TITLE).map_err(|problem| Error::Value { field: "name", problem })?;
        let der = bytes(given).ok_or(Error::BadImageKey)?;
        let about = containers::about(&der).ok_or(Error::BadImageKey)?;
        let now = self.clock.now();
        let key = ImageKey {
            id: self.entropy.id(now),
            name: name.to_owned(),
            kind: about.kind,
            about: about.text,
            fingerprint: hex::encode(crate::hash::sha256(&der)),
            not_after: about.not_after,
            created_at: now,
            created_by: actor.label(),
        };
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if store::count_image_keys(&mut tx, &actor.org).await? >= i64::try_from(MOST_IMAGE_KEYS).unwrap_or(i64::MAX) {
            return Err(Error::TooManyImageKeys.into());
        }
        if !store::insert_image_key(&mut tx, &actor.org, &key, &der).await? {
            return Err(Error::ImageKeyExists.into());
        }
        let detail = json!({ "name": name, "kind": key.kind, "about": key.about, "fingerprint": key.fingerprint });
        audit::append(&mut tx, actor, now, "image_key.add", key.id.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// Forgets one.
    pub async fn remove_image_key(&self, actor: &Actor, id: &ImageKeyId) -> Result<()> {
        may(actor, Act::Keys)?;
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if !store::delete_image_key(&mut tx, &actor.org, id).await? {
            return Err(Error::NoImageKey.into());
        }
        audit::append(&mut tx, actor, self.clock.now(), "image_key.remove", id.as_str(), &serde_json::Value::Null).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The same release with how the signatures in its images stand now, and what that speaks against it. What can't be read is left out: it says nothing
    /// of the release.
    pub(super) async fn with_signatures(&self, org: &OrgId, mut of: ReleaseDetail) -> ReleaseDetail {
        if of.artifacts.iter().all(|artifact| artifact.container.is_none()) {
            return of;
        }
        if let Err(error) = self.look_at_signatures(org, &mut of).await {
            tracing::warn!(release = %of.row.id, %error, "the signatures inside a release's images could not be looked at");
        }
        of
    }

    async fn look_at_signatures(&self, org: &OrgId, of: &mut ReleaseDetail) -> Result<()> {
        let known = store::known(&mut self.db.read().await?, org).await?;
        let ReleaseDetail { artifacts, warnings, .. } = of;
        for artifact in artifacts {
            let Some(container) = artifact.container.clone() else { continue };
            artifact.signature = self.signature_of(artifact, container.kind, &known).await?;
            warnings.extend(containers::doubts(&artifact.name, &container, artifact.signature.as_ref(), !known.is_empty()));
        }
        Ok(())
    }

    async fn signature_of(
        &self,
        artifact: &ArtifactRow,
        kind: ContainerKind,
        known: &[containers::Known],
    ) -> Result<Option<ImageSignature>> {
        if artifact.damage.is_some() {
            return Ok(None);
        }
        let Some(stored) = self.disk.find(&artifact.sha256).await.map_err(Error::Store)? else { return Ok(None) };
        // A bundle of RAUC is signed at its end, the others at their beginning.
        let (head, tail) =
            if kind == ContainerKind::Rauc { (Vec::new(), tail(&stored).await?) } else { (head(&stored).await?, Vec::new()) };
        let ends = containers::Ends { head: &head, tail: &tail, size: stored.size };
        Ok(containers::signed(kind, ends).map(|found| containers::judge(&found, known)))
    }
}

/// The beginning of a stored file, as far as containers are looked at.
pub(super) async fn head(stored: &ArtifactFile) -> Result<Vec<u8>> {
    stored.read_part(0..stored.size.min(containers::HEAD as u64)).await
}

/// The same of its end.
pub(super) async fn tail(stored: &ArtifactFile) -> Result<Vec<u8>> {
    stored.read_part(stored.size.saturating_sub(containers::TAIL as u64)..stored.size).await
}

/// The DER of what was given, strictly encoded; none of a private key, or of several at once.
fn bytes(given: &str) -> Option<Vec<u8>> {
    let given = given.trim();
    if given.len() > LARGEST {
        return None;
    }
    let found = if given.contains("-----") {
        if given.matches("-----BEGIN").count() != 1 {
            return None;
        }
        let certificate = CertificateDer::from_pem_slice(given.as_bytes()).ok().map(|der| der.to_vec());
        certificate.or_else(|| Some(SubjectPublicKeyInfoDer::from_pem_slice(given.as_bytes()).ok()?.as_ref().to_vec()))?
    } else {
        STANDARD.decode(given.split_whitespace().collect::<String>()).ok()?
    };
    der::strict(&found).is_ok().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_or_key_is_taken_and_nothing_private() {
        let key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
        assert_eq!(bytes(key), bytes(&pem));
        assert!(bytes(key).is_some_and(|der| containers::about(&der).is_some_and(|about| about.text == "Ed25519")));
        let private =
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let (two, large) = (format!("{pem}{pem}"), "A".repeat(LARGEST + 1));
        for wrong in ["", "nonsense", "MCowBQ==", two.as_str(), private, large.as_str()] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
