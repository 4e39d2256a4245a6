//! A new key-encryption key for everything that is sealed (K-6): data keys are wrapped anew, secrets stay as they are. Refuses to know
//! where a KEK comes from.

use super::{Error, Kek, Pki, authorities, keyring, store};
use crate::access::{Act, Actor, audit, may};
use serde_json::json;

impl Pki {
    /// Wraps every sealed secret for this KEK and says how many there were. Each is opened with the new one before the commit; a failure leaves
    /// all of them as they were. This process goes on with the old KEK, so end it: no server may be running meanwhile.
    pub async fn rotate_kek(&self, actor: &Actor, to: &Kek) -> Result<usize, Error> {
        may(actor, Act::Authorities)?;
        let mut tx = self.db.write().await?;
        let sealed = store::sealed_keys(&mut tx).await?;
        let mut count = keyring::rewrap(&mut tx, &self.kek, to).await?;
        for key in sealed {
            let id = key.id.parse().map_err(crate::db::Error::corrupt)?;
            let aad = authorities::aad(&id, &key.spki_sha256);
            let again = self.kek.rewrap(to, &aad, &key.sealed_key)?;
            to.open(&aad, &again)?;
            store::set_sealed_key(&mut tx, &id, &again).await?;
            count += 1;
        }
        count += self.rewrap_assignment_keys(&mut tx, to).await?;
        for key in store::request_keys(&mut tx).await? {
            let id = key.id.parse().map_err(crate::db::Error::corrupt)?;
            let again = self.kek.rewrap(to, &authorities::aad(&id, &key.spki_sha256), &key.sealed_key)?;
            store::set_request_key(&mut tx, &id, &again).await?;
            count += 1;
        }
        audit::append(&mut tx, actor, self.clock.now(), "kek.rotate", "", &json!({ "secrets": count })).await?;
        tx.commit().await?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        access::Actor,
        db::EngineKind,
        pki::{Error, Kek, KeyError, authorities::Found},
        testing::World,
    };
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn k_6_a_new_kek_opens_everything_and_the_old_one_nothing(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (pki, new) = (w.fleet.pki(), Kek::new(&[9; 32]).unwrap());
        assert!(pki.rotate_kek(&w.operator().await, &new).await.is_err(), "admins only");
        // Three authorities, the key of access tokens and that of assignments.
        let system = Actor::system(w.org.clone());
        assert_eq!(pki.rotate_kek(&system, &new).await.unwrap(), 5);
        assert_eq!(pki.rotate_kek(&system, &new).await.unwrap(), 5, "a second run is harmless");
        let closed = pki.forge().open(&Vec::new(), Found::new()).await.map(drop);
        assert!(matches!(closed, Err(Error::Key(KeyError::WrongKek))));
        let mut forge = pki.forge();
        forge.kek = new;
        assert_eq!(forge.open(&Vec::new(), Found::new()).await.unwrap().len(), 3);
        assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
    }
}
