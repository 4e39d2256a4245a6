//! Renewal over the identity that is being renewed (R-1…R-3). The key stays, because it may live where only one fits, unless the server wants
//! another one.

use super::{
    Error, Identity, Store,
    key::{request_by, wants_another},
};
use crate::{clock::Clock, http};
use std::{io, sync::Arc};
use wire::enrolment::{Enrolled, RenewRequest};

const REQUEST: &str = "renew.json";
const PATH: &str = "/device/v1/renew";

/// Asks for a new certificate and stores it; the old one goes on working until the new one was used. A lost answer is asked for again with the
/// same bytes.
pub async fn renew(store: &Store, identity: &Identity, clock: Arc<dyn Clock>) -> Result<Identity, Error> {
    let kept = store.folder.read(REQUEST)?.and_then(|bytes| serde_json::from_slice::<RenewRequest>(&bytes).ok());
    let request = if let Some(kept) = kept {
        kept
    } else {
        let request = RenewRequest { csr: store.request(identity.device_id())? };
        store.folder.write(REQUEST, &serde_json::to_vec(&request).map_err(io::Error::from)?)?;
        request
    };
    let client = identity.client(Arc::clone(&clock))?;
    let renewed: Enrolled = match client.post(PATH, None, &request).await {
        Err(http::Error::Answer { code, .. }) if wants_another(&code) => {
            let request = RenewRequest { csr: request_by(&store.other_key(&request.csr).await?, identity.device_id())? };
            store.folder.write(REQUEST, &serde_json::to_vec(&request).map_err(io::Error::from)?)?;
            client.post(PATH, None, &request).await?
        }
        Err(error @ http::Error::Answer { .. }) if !error.passing() => {
            // Another request may be taken: what is wanted of keys has changed since this one was made.
            store.folder.remove(REQUEST)?;
            return Err(error.into());
        }
        answer => answer?,
    };
    if renewed.device_id.as_str() != identity.device_id() {
        return Err(Error::Foreign(format!("we are {:?}, it is for {:?}", identity.device_id(), renewed.device_id.as_str())));
    }
    clock.raise(renewed.server_time);
    let identity = store.keep(renewed)?;
    store.folder.remove(REQUEST)?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, peer::Peer};

    #[tokio::test]
    async fn a_renewal_that_was_lost_is_asked_for_again_and_the_key_stays() {
        let (peer, mut heard) = Peer::issuing("gw-1", 1).await;
        let dir = tempfile::tempdir().unwrap();
        peer.authority.enrol(dir.path(), "gw-1", &peer.url);
        let key = std::fs::read(dir.path().join("key.pem")).unwrap();
        let attempt = async || {
            let store = Store::open(dir.path()).unwrap();
            let current = store.load().unwrap().unwrap();
            (current.fingerprint(), renew(&store, &current, clock::System::new()).await)
        };
        let (first, lost) = attempt().await;
        assert!(lost.is_err());
        let (still, renewed) = attempt().await;
        assert_eq!(first, still, "a lost answer changes nothing");
        assert_ne!(renewed.unwrap().fingerprint(), first);
        let asked = heard.recv().await.unwrap();
        assert!(asked.starts_with("/device/v1/renew "));
        assert_eq!(heard.recv().await.unwrap(), asked);
        assert_eq!(std::fs::read(dir.path().join("key.pem")).unwrap(), key);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is outstanding");
    }
}
