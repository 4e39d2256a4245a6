//! Renewal over the identity that is being renewed (pki.md R-1…R-3). The key stays: it may live where only one fits.

use super::{Error, Identity, Store};
use crate::clock::Clock;
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
    let renewed: Enrolled = client.post(PATH, None, &request).await?;
    if renewed.device_id.as_str() != identity.device_id() {
        return Err(Error::Foreign(format!("we are {:?}, it is for {:?}", identity.device_id(), renewed.device_id.as_str())));
    }
    clock.raise(renewed.server_time);
    let identity = store.keep(renewed)?;
    store.folder.remove(REQUEST)?;
    Ok(identity)
}
