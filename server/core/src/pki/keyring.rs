//! The instance's own small keys: drawn at the first start, kept sealed under the key-encryption key, which is not in the database (K-1). Refuses
//! to know what is signed with them.

use super::{Error, Kek, KeyError, store};
use crate::{
    db::{Db, Tx},
    entropy::Entropy,
};
use aws_lc_rs::signature::Ed25519KeyPair;

const ACCESS_TOKENS: &str = "access-token-key";

/// The PKCS#8 of the Ed25519 key that access tokens are signed with. It is the same one at every start and on every instance.
pub(crate) async fn signing_key(db: &Db, kek: &Kek, entropy: &dyn Entropy) -> Result<Vec<u8>, Error> {
    if let Some(key) = kept(db, kek).await? {
        return Ok(key);
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(&entropy.bytes::<32>()).map_err(|_| KeyError::Cipher)?;
    let key = pair.to_pkcs8().map_err(|_| KeyError::Cipher)?.as_ref().to_vec();
    let sealed = kek.seal(ACCESS_TOKENS.as_bytes(), &key)?;
    let mut tx = db.write().await?;
    if store::add_secret(&mut tx, ACCESS_TOKENS, &sealed).await? {
        tx.commit().await?;
        return Ok(key);
    }
    // Another instance makes its first start at the same moment: its key is the one.
    drop(tx);
    kept(db, kek).await?.ok_or_else(|| KeyError::Gone("the key of access tokens").into())
}

async fn kept(db: &Db, kek: &Kek) -> Result<Option<Vec<u8>>, Error> {
    let sealed = store::secret(&mut db.read().await?, ACCESS_TOKENS).await?;
    Ok(sealed.map(|sealed| kek.open(ACCESS_TOKENS.as_bytes(), &sealed)).transpose()?.map(|key| key.to_vec()))
}

/// Wraps the instance's small keys for another key-encryption key inside the caller's transaction (K-6); says how many.
pub(super) async fn rewrap(tx: &mut Tx, from: &Kek, to: &Kek) -> Result<usize, Error> {
    let secrets = store::secrets(tx).await?;
    for (name, sealed) in &secrets {
        let again = from.rewrap(to, name.as_bytes(), sealed)?;
        to.open(name.as_bytes(), &again)?;
        store::set_secret(tx, name, &again).await?;
    }
    Ok(secrets.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{EngineKind, Store},
        entropy::SeededEntropy,
        testing,
    };
    use rstest::rstest;
    use std::sync::Arc;
    use tokio::sync::Barrier;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn instances_that_start_at_once_sign_with_one_key(#[case] kind: EngineKind) {
        let (db, _folder) = testing::store(kind, Store::Fleet).await;
        let barrier = Arc::new(Barrier::new(3));
        let starts: Vec<_> = (0..3)
            .map(|seed| {
                let (db, barrier) = (db.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    signing_key(&db, &Kek::new(&[7; 32]).unwrap(), &SeededEntropy::new(seed)).await.unwrap()
                })
            })
            .collect();
        let mut keys = Vec::new();
        for start in starts {
            keys.push(start.await.unwrap());
        }
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
