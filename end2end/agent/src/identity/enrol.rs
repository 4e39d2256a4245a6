//! Enrolment: trades a token and a request for a certificate (E-1…E-5).

use super::{Error, Identity, Store};
use crate::{
    clock::Clock,
    http,
    tls::{self, Trust},
};
use std::{collections::BTreeMap, io, sync::Arc};
use wire::{
    enrolment::{AgentKey, EnrolRequest, Enrolled},
    percent::encoded,
};

const REQUEST: &str = "enrol.json";
const PATH: &str = "/device/v1/enrol";

/// What an enrolment needs.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The enrol listener, `https://host:port`.
    pub url: String,
    /// The token's secret, `fet_…`; empty to ask without one, so that a person decides (E-6).
    pub token: String,
    /// A shared certificate to ask with instead of a token (E-9).
    pub claim: Option<Arc<tls::Claim>>,
    /// The slug of the organization to ask; none leaves it to the token or the claim, and without either to the first one there.
    pub organization: Option<String>,
    /// Whom to believe on first contact.
    pub trust: Trust,
    /// The name the device wants.
    pub device_id: String,
    /// The device's type as in manifests.
    pub device_type: String,
    /// Hardware revision.
    pub hardware: String,
    /// Facts to show beside it.
    pub attributes: BTreeMap<String, String>,
    /// The key to make; none takes the one that is there, and makes the usual one where none is.
    pub key: Option<AgentKey>,
}

/// Enrols once and stores the identity. The request is kept until the answer is stored, so asking again after a lost answer or a power cut
/// sends the same bytes and gets the same certificate (E-3). An identity that is stored already is returned without asking, whatever
/// its name.
///
/// # Errors
/// [`http::Error::passing`] tells whether trying again may help.
pub async fn enrol(store: &Store, enrolment: &Enrolment, clock: Arc<dyn Clock>) -> Result<Identity, Error> {
    if let Some(identity) = store.load()? {
        return Ok(identity);
    }
    let request = outstanding(store, enrolment).await?;
    let tls = tls::anonymous(&enrolment.trust, enrolment.claim.as_deref(), Arc::clone(&clock))?;
    let client = http::Client::new(tls, &enrolment.url)?;
    let path = match &enrolment.organization {
        Some(slug) => format!("{PATH}?organization={}", encoded(slug, b"")),
        None => PATH.to_owned(),
    };
    let enrolled: Enrolled = client.post(&path, Some(enrolment.token.as_str()).filter(|t| !t.is_empty()), &request).await?;
    if enrolled.device_id.as_str() != enrolment.device_id {
        return Err(Error::Foreign(format!("asked for {:?}, got {:?}", enrolment.device_id, enrolled.device_id.as_str())));
    }
    clock.raise(enrolled.server_time);
    let identity = store.keep(enrolled)?;
    store.folder.remove(REQUEST)?;
    Ok(identity)
}

/// The request that was sent before, if it asked for the same by such a key; a new one otherwise.
async fn outstanding(store: &Store, enrolment: &Enrolment) -> Result<EnrolRequest, Error> {
    let there = store.key_type()?;
    if there.is_none_or(|there| enrolment.key.is_some_and(|asked| asked != there)) {
        let kind = enrolment.key.unwrap_or(AgentKey::USUAL);
        tracing::info!(%kind, "making a key");
        // What was asked for by another key does not outlive it: its certificate would fit nothing here.
        store.folder.remove(REQUEST)?;
        store.make_key(kind).await?;
    }
    let kept = store.folder.read(REQUEST)?.and_then(|bytes| serde_json::from_slice::<EnrolRequest>(&bytes).ok());
    let mut request = EnrolRequest {
        csr: String::new(),
        device_id: Some(enrolment.device_id.clone()),
        device_type: enrolment.device_type.clone(),
        hardware: enrolment.hardware.clone(),
        attributes: enrolment.attributes.clone(),
    };
    if let Some(kept) = kept.filter(|kept| kept.device_id == request.device_id) {
        request.csr = kept.csr;
        return Ok(request);
    }
    request.csr = store.request(&enrolment.device_id)?;
    store.folder.write(REQUEST, &serde_json::to_vec(&request).map_err(io::Error::from)?)?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unanswered_request_is_asked_again_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut enrolment = Enrolment {
            url: "https://localhost:1".into(),
            token: "fet_x".into(),
            claim: None,
            organization: None,
            trust: Trust::Roots(vec![]),
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            attributes: BTreeMap::new(),
            key: None,
        };
        let ask = async |enrolment: &Enrolment| outstanding(&Store::open(dir.path()).unwrap(), enrolment).await.unwrap();
        let first = ask(&enrolment).await;
        assert_eq!(first, ask(&enrolment).await);
        enrolment.key = Some(AgentKey::USUAL);
        assert_eq!(first, ask(&enrolment).await, "the key that is there is one of those");
        enrolment.device_id = "gw-2".into();
        let other = ask(&enrolment).await;
        assert_ne!(first.csr, other.csr);
        // Another type of key is another key, and another request.
        enrolment.key = Some(AgentKey::Ed25519);
        let another = ask(&enrolment).await;
        assert_ne!(other.csr, another.csr);
        assert_eq!(Store::open(dir.path()).unwrap().key_type().unwrap(), Some(AgentKey::Ed25519));
        enrolment.key = None;
        assert_eq!(another, ask(&enrolment).await, "who asks for no type keeps what is there");
    }

    #[tokio::test]
    async fn a_request_asks_for_a_name_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.make_key(AgentKey::USUAL).await.unwrap();
        let csr = store.request("gw-1").unwrap();
        let parsed = rcgen::CertificateSigningRequestParams::from_pem(&csr).unwrap();
        assert_eq!(parsed.params.distinguished_name.get(&rcgen::DnType::CommonName), Some(&"gw-1".into()));
        assert!(parsed.params.subject_alt_names.is_empty() && parsed.params.key_usages.is_empty());
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_and_an_identity_only_once() {
        use crate::{clock, peer::Peer, tls::Fingerprint};
        let (peer, mut heard) = Peer::issuing("gw-1", 1).await;
        let dir = tempfile::tempdir().unwrap();
        let mut enrolment = Enrolment {
            url: peer.url.clone(),
            token: "fet_x".into(),
            claim: None,
            organization: None,
            trust: Trust::Pinned(Fingerprint::of(&peer.authority.root)),
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            attributes: BTreeMap::new(),
            key: None,
        };
        // Every attempt is a process of its own.
        let attempt = async |enrolment: &Enrolment| enrol(&Store::open(dir.path()).unwrap(), enrolment, clock::System::new()).await;
        assert!(matches!(attempt(&enrolment).await, Err(Error::Http(e)) if e.passing()));
        let identity = attempt(&enrolment).await.unwrap();
        assert_eq!(identity.device_id(), "gw-1");
        assert_eq!(heard.recv().await, heard.recv().await, "byte for byte (E-3)");
        assert!(!dir.path().join(REQUEST).exists());
        enrolment.url = "https://127.0.0.1:1".into();
        assert_eq!(attempt(&enrolment).await.unwrap().fingerprint(), identity.fingerprint());
    }

    /// E-6: nothing is lost while a person thinks, and both sides show the same code.
    #[tokio::test]
    async fn a_device_that_waits_keeps_its_request_and_shows_its_code() {
        use crate::{clock, http, peer::Peer};
        let pending = r#"{"status":"pending","poll_after":7}"#;
        let answer = format!("HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n{pending}", pending.len());
        let (peer, mut heard) = Peer::saying(vec![answer.clone().into_bytes(), answer.into_bytes()]).await;
        let dir = tempfile::tempdir().unwrap();
        let enrolment = Enrolment {
            url: peer.url.clone(),
            token: String::new(),
            claim: None,
            organization: Some("acme".into()),
            trust: Trust::Roots(vec![peer.authority.root.clone()]),
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            attributes: BTreeMap::new(),
            key: None,
        };
        let mut codes = Vec::new();
        for _ in 0..2 {
            let store = Store::open(dir.path()).unwrap();
            let Err(Error::Http(error)) = enrol(&store, &enrolment, clock::System::new()).await else { panic!("not let in yet") };
            assert!(error.passing() && matches!(error, http::Error::Answer { retry_after: Some(7), .. }), "{error:?}");
            codes.push(store.comparison_code().unwrap());
            assert!(dir.path().join(REQUEST).exists());
            let head = heard.recv().await.unwrap();
            assert!(
                head.starts_with("POST /device/v1/enrol?organization=acme ") && !head.to_lowercase().contains("authorization"),
                "{head}"
            );
        }
        assert!(codes[0] == codes[1] && codes[0].len() == 8 && codes[0].bytes().all(|b| b.is_ascii_hexdigit()), "{codes:?}");
    }

    #[tokio::test]
    async fn a_certificate_for_somebody_else_is_not_kept() {
        use crate::{clock, peer::Peer};
        let (peer, _heard) = Peer::issuing("gw-2", 0).await;
        let dir = tempfile::tempdir().unwrap();
        let enrolment = Enrolment {
            url: peer.url.clone(),
            token: "fet_x".into(),
            claim: None,
            organization: None,
            trust: Trust::Roots(vec![peer.authority.root.clone()]),
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            attributes: BTreeMap::new(),
            key: None,
        };
        let store = Store::open(dir.path()).unwrap();
        assert!(matches!(enrol(&store, &enrolment, clock::System::new()).await, Err(Error::Foreign(_))));
        assert!(store.load().unwrap().is_none());
    }
}
