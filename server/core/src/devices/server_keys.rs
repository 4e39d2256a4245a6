//! Enrolment with a key that is made here (E-8; RFC 7030 §4.4), for devices that can't make a good one. Off unless the installation allows it, and where
//! two people decide on authorities unless they have agreed to it (K-6). The key goes out with the answer and nowhere else, so a lost answer can't be
//! given again: another key and another certificate take the place of the unused one, and the use is not counted twice (E-3).

use super::{
    Devices, Error,
    admission::{self, Admission, Credential, Replaces, Standing},
    claims::{self, ClaimRow},
    desk,
    enrolment::{Attempt, Books, Over, RETRY_MS},
    gave::{gave, give},
    tokens,
};
use crate::{
    bus::Event,
    db::{Conn, Tx, row},
    pki::{self, ConsentError, ServerKey, csr::CsrError, signed_ahead},
};
use wire::{
    Timestamp,
    consents::ServerKeyRule,
    enrolment::{Enrolled, EnrolmentMode},
    ids::CertificateId,
};
use zeroize::Zeroizing;

/// A certificate and the key that was made for it. Not printed, not copied.
pub struct EnrolledWithKey {
    /// The certificate and what belongs to it.
    pub enrolled: Enrolled,
    /// PKCS#8 in DER; wiped when this is dropped.
    pub key: Zeroizing<Vec<u8>>,
}

impl Devices {
    /// Enrols a device with a new key, by a token that lets its devices in at once or by a claim. The request proves that whoever asks holds the request's
    /// own key; that key is then left alone. The same request again within 15 minutes, while the certificate was not used, gets another key and another
    /// certificate, which supersedes the first.
    pub async fn enrol_with_server_key(&self, attempt: Attempt<'_>, over: Over<'_>) -> Result<EnrolledWithKey, Error> {
        if !self.pki.makes_keys() {
            return Err(Error::NoServerKeys);
        }
        let now = self.clock.now();
        let outcome = self.admit_and_make(attempt, over, now).await;
        self.counted(attempt, over, outcome, now).await
    }

    /// Refuses where no key is made for a device of this organization: the installation makes none (E-8), or two people decide there and have not agreed
    /// to it (K-6).
    pub(super) async fn may_make_keys(&self, on: &mut impl Conn, org: &str) -> Result<(), Error> {
        match self.pki.server_key_rule(on, org).await? {
            ServerKeyRule::Off => Err(Error::NoServerKeys),
            ServerKeyRule::Needed => Err(pki::Error::from(ConsentError::Keys).into()),
            ServerKeyRule::Configured | ServerKeyRule::Agreed => Ok(()),
        }
    }

    async fn admit_and_make(&self, attempt: Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<EnrolledWithKey, Error> {
        if let (true, Some(claim)) = (attempt.secret.is_empty(), over.claim) {
            let row = row!(&mut self.db.read().await?, ClaimRow, claims::CLAIM, claim.as_str())?.ok_or(Error::BadClaim)?;
            if over.org.is_some_and(|org| org.as_str() != row.org_id) || row.is_disabled() {
                return Err(Error::BadClaim);
            }
            self.not_frozen(&row.org_id, row.created_at)?;
            // Before a hook is asked, and before anything is made.
            self.may_make_keys(&mut self.db.read().await?, &row.org_id).await?;
            let books = Books { org: &row.org_id, credential: &Credential::Claim(claim.clone()), label: &row.label };
            let admission = self.noted(books, &attempt, admission::by_claim(&row, claim, &attempt, over), now).await?;
            let asked = self.ask_hook(&row, claim, &admission, true, now).await;
            self.noted(books, &attempt, asked, now).await?;
            return self.make(books, &attempt, &admission, row.standing(now), now).await;
        }
        if attempt.secret.is_empty() {
            return Err(Error::NoToken);
        }
        let token = self.token(attempt.secret).await?;
        if over.org.is_some_and(|org| org.as_str() != token.org_id) || Standing::of(&token, now) == Standing::Revoked {
            return Err(Error::BadToken);
        }
        self.not_frozen(&token.org_id, token.created_at)?;
        self.may_make_keys(&mut self.db.read().await?, &token.org_id).await?;
        let id = token.id.parse().map_err(crate::db::Error::corrupt)?;
        let books = Books { org: &token.org_id, credential: &Credential::Token(id), label: &token.label };
        let admission = self.noted(books, &attempt, admission::by_token(&token, &attempt, over), now).await?;
        // What a person approves is a key that the device shows (E-6), and here is none yet.
        if token.mode == EnrolmentMode::Approval.as_str() {
            return Err(Error::ServerKeyWaits);
        }
        let standing = if Standing::of(&token, now) == Standing::Usable { Ok(()) } else { Err(Error::BadToken) };
        self.make(books, &attempt, &admission, standing, now).await
    }

    /// Makes the key and issues; `standing` is whether the credential is good for something new.
    async fn make(
        &self,
        books: Books<'_>,
        attempt: &Attempt<'_>,
        admission: &Admission,
        standing: Result<(), Error>,
        now: Timestamp,
    ) -> Result<EnrolledWithKey, Error> {
        if admission.csr.wraps_key {
            return self.noted(books, attempt, Err(pki::Error::from(CsrError::WrappedKey).into()), now).await;
        }
        let key = ServerKey::generate()?;
        let certificate = match (self.lost(admission, now).await?, standing) {
            (Some(lost), _) => signed_ahead!(self.pki, Box::pin(self.make_again(admission, &key, &lost, now)).await)?,
            (None, Ok(())) => {
                let issued = signed_ahead!(self.pki, Box::pin(self.make_first(admission, &key, now)).await);
                self.noted(books, attempt, issued, now).await?
            }
            (None, Err(refusal)) => return Err(refusal),
        };
        Ok(EnrolledWithKey { enrolled: self.answer(admission, &certificate, now).await?, key: key.into_pkcs8() })
    }

    /// The certificate that the same request was just given with a key of ours, and that nobody has used: the answer was lost.
    async fn lost(&self, a: &Admission, now: Timestamp) -> Result<Option<CertificateId>, Error> {
        let mut on = self.db.read().await?;
        let Some(gave) = gave(&mut on, &[a]).await?.pop().flatten() else { return Ok(None) };
        let same = gave.csr_sha256 == a.csr.csr_sha256 && now.since(gave.at) < RETRY_MS;
        let ours = same && !self.pki.is_for(&mut on, &gave.certificate, &a.csr).await?;
        let lost = ours && self.pki.untouched(&mut on, &a.org, &gave.certificate).await?;
        Ok(lost.then_some(gave.certificate))
    }

    /// A key and a certificate for a use of the credential. By itself, not at the desk: what the desk gives may be given again.
    pub(super) async fn make_first(&self, a: &Admission, key: &ServerKey, now: Timestamp) -> Result<CertificateId, Error> {
        let mut tx = self.db.write().await?;
        // Since it was asked somebody may have ended it.
        self.may_make_keys(&mut tx, a.org.as_str()).await?;
        take(&mut tx, a, now).await?;
        let admitted = Admission { csr: key.instead(&a.csr), ..a.clone() };
        let made = self.let_in(&mut tx, &admitted, desk::note, now).await?;
        give(&mut tx, &[(a, made.device, &made.issued.id)], now).await?;
        self.finish(tx, &admitted, made).await
    }

    /// Another key and certificate in the place of a lost one, without a use of the credential.
    async fn make_again(&self, a: &Admission, key: &ServerKey, lost: &CertificateId, now: Timestamp) -> Result<CertificateId, Error> {
        // It is this device's own row: the request has got it before.
        let again = Admission { csr: key.instead(&a.csr), replaces: Replaces::Itself, ..a.clone() };
        let mut tx = self.db.write().await?;
        self.may_make_keys(&mut tx, a.org.as_str()).await?;
        let made = self.let_in(&mut tx, &again, desk::note, now).await?;
        if self.pki.forsake(&mut tx, &made.issued, Some(lost)).await? == 0 {
            // It was used at this moment, or the same request was sent twice and the other one is answered.
            return Err(Error::AskedTwice);
        }
        give(&mut tx, &[(a, made.device, &made.issued.id)], now).await?;
        let certificate = self.finish(tx, &again, made).await?;
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        Ok(certificate)
    }
}

/// Takes a use of the credential.
async fn take(tx: &mut Tx, a: &Admission, now: Timestamp) -> Result<(), Error> {
    match &a.credential {
        Credential::Claim(claim) => claims::take(tx, claim, now).await,
        Credential::Token(token) => tokens::take(tx, token, now).await,
        Credential::None => Err(Error::BadToken),
    }
}
