//! Coming back after the certificate has ended (R-4) or its authority was given up (R-11): the old key signs who asks, and a new certificate for the same key is the answer, at once
//! or when a person has approved it.

use super::{
    Error, Identity, Store,
    key::{request_by, wants_another},
};
use crate::{clock::Clock, http, tls, tls::Trust};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::SigningKey as _;
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc};
use wire::enrolment::{Enrolled, RecoverRequest, RecoveryNonce};

const REQUEST: &str = "recover.json";
const PATH: &str = "/device/v1/recover";

/// What was asked for, in the place of which certificate.
#[derive(Serialize, Deserialize)]
struct Outstanding {
    certificate: String,
    csr: String,
}

/// Asks the enrol listener for a certificate in the place of the one that has ended, and stores it. The same CSR is sent until there is an answer,
/// so that what a person approves is what is asked for again.
///
/// # Errors
/// [`http::Error::passing`] tells whether trying again may help; while a person thinks, it is one of those.
pub async fn recover(store: &Store, identity: &Identity, url: &str, clock: Arc<dyn Clock>) -> Result<Identity, Error> {
    let kept = store.folder.read(REQUEST)?.and_then(|bytes| serde_json::from_slice::<Outstanding>(&bytes).ok());
    let csr = if let Some(kept) = kept.filter(|kept| kept.certificate == identity.enrolled.certificate) {
        kept.csr
    } else {
        let fresh = Outstanding { certificate: identity.enrolled.certificate.clone(), csr: store.request(identity.device_id())? };
        store.folder.write(REQUEST, &serde_json::to_vec(&fresh).map_err(io::Error::from)?)?;
        fresh.csr
    };
    let tls = tls::anonymous(&Trust::Roots(identity.roots.clone()), None, Arc::clone(&clock))?;
    let client = http::Client::new(tls, url)?;
    let enrolled = match ask(store, identity, &client, csr.clone()).await {
        Err(Error::Http(http::Error::Answer { code, .. })) if wants_another(&code) => {
            let csr = request_by(&store.other_key(&csr).await?, identity.device_id())?;
            let fresh = Outstanding { certificate: identity.enrolled.certificate.clone(), csr };
            store.folder.write(REQUEST, &serde_json::to_vec(&fresh).map_err(io::Error::from)?)?;
            ask(store, identity, &client, fresh.csr).await?
        }
        Err(Error::Http(error @ http::Error::Answer { .. })) if !error.passing() => {
            // Another request may be taken: what is wanted of keys has changed since this one was made.
            store.folder.remove(REQUEST)?;
            return Err(error.into());
        }
        answer => answer?,
    };
    if enrolled.device_id.as_str() != identity.device_id() {
        return Err(Error::Foreign(format!("we are {:?}, it is for {:?}", identity.device_id(), enrolled.device_id.as_str())));
    }
    clock.raise(enrolled.server_time);
    let identity = store.keep(enrolled)?;
    store.folder.remove(REQUEST)?;
    Ok(identity)
}

/// One question: a fresh nonce, signed along with the CSR by the key of the certificate that has ended.
async fn ask(store: &Store, identity: &Identity, client: &http::Client, csr: String) -> Result<Enrolled, Error> {
    let RecoveryNonce { nonce, .. } = client.ask(PATH).await?;
    let mut message = STANDARD.decode(&nonce).map_err(|e| http::Error::Unexpected(e.to_string()))?;
    let der = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes())
        .map_err(|e| Error::Damaged { file: REQUEST, reason: e.to_string() })?;
    message.extend_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der).as_ref());
    let signature = store.key()?.sign(&message).map_err(|e| Error::Key(e.to_string()))?;
    let request = RecoverRequest { csr, certificate: identity.enrolled.certificate.clone(), nonce, signature: STANDARD.encode(signature) };
    Ok(client.post(PATH, None, &request).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        peer::{Authority, Peer, request},
    };
    use parking_lot::Mutex;
    use tokio::io::AsyncWriteExt as _;
    use wire::Timestamp;

    fn answer(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn who_comes_back_with_a_refused_key_asks_once_more_with_another() {
        let authority = Authority::new("back");
        let issuer = Arc::clone(&authority);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let peer = Peer::of(authority, move |number, mut stream| {
            let (issuer, heard) = (Arc::clone(&issuer), Arc::clone(&heard));
            async move {
                // Before each question there is a nonce.
                let answer = if number.is_multiple_of(2) {
                    request(&mut stream).await;
                    let nonce = RecoveryNonce { nonce: STANDARD.encode([7_u8; 32]), expires_at: Timestamp(0) };
                    answer("200 OK", &serde_json::to_string(&nonce).unwrap())
                } else {
                    let (question, granted) = issuer.granted(&mut stream, "gw-1").await;
                    heard.lock().push(question);
                    if number == 1 { answer("409 Conflict", r#"{"code":"key_in_use","detail":"Another one."}"#) } else { granted }
                };
                stream.write_all(&answer).await.unwrap();
                stream.flush().await.unwrap();
            }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        peer.authority.enrol(dir.path(), "gw-1", &peer.url);
        let key = || std::fs::read(dir.path().join("key.pem")).unwrap();
        let old = key();
        let store = Store::open(dir.path()).unwrap();
        let ended = store.load().unwrap().unwrap();
        let back = recover(&store, &ended, &peer.url, clock::System::new()).await.unwrap();
        assert_ne!(back.fingerprint(), ended.fingerprint());
        assert_ne!(key(), old, "its key came with it");
        let questions: Vec<RecoverRequest> =
            asked.lock().iter().map(|said: &String| serde_json::from_str(said.split_once(' ').unwrap().1).unwrap()).collect();
        let [first, second] = questions.try_into().unwrap();
        assert_eq!(first.certificate, second.certificate);
        assert_ne!(first.csr, second.csr);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is outstanding");
    }
}
