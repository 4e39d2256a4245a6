//! Enrolment (E-1 to E-6): a secret and a CSR become a device and its certificate, exactly once; with a person's word in between, where
//! the token or its absence asks for it (`requests.rs`).

use super::{
    Devices, Error,
    admission::{self, Admission, Credential, Replaces, Standing, named},
    claims::{self, ClaimRow},
    desk::Answer,
    entry::LetIn,
    presence::clean,
    signs::asked_for,
    store,
    tokens::{PREFIX, TokenRow},
};
use crate::{
    access::{Actor, attacks::Sign, audit},
    asked, bearer,
    bus::Event,
    db::{Tx, row},
    pki,
    source::Source,
};
use serde_json::{Value, json};
use wire::{
    Timestamp,
    enrolment::{EnrolRequest, Enrolled, EnrolmentMode},
    ids::{CertificateId, ClaimId, EnrolmentTokenId, OrgId},
    pki::KeyType,
};

/// A lost answer can be asked for again this long (E-3).
pub(super) const RETRY_MS: i64 = 15 * 60 * 1000;

/// Where devices reach us; printed into enrolment lines and answers.
#[derive(Debug, Clone)]
pub struct EnrolmentUrls {
    /// The enrol listener, `https://host:port`.
    pub enrol: String,
    /// The device listener, `https://host:port`.
    pub device: String,
}

/// One request to enrol.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The bearer secret, `fet_…`; empty where there was none.
    pub secret: &'a str,
    /// What the device sent.
    pub request: &'a EnrolRequest,
    /// From where.
    pub address: &'a str,
}

/// What a flow knows beside the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Over<'a> {
    /// The organization the address names; a token of another one is unknown there.
    pub org: Option<&'a OrgId>,
    /// The profile the address names. What is brought says which one is given (E-1); where that is another one, nothing is.
    pub profile: Option<&'a str>,
    /// What a CSR that is bound to a connection is held against (E-12).
    pub channel: Option<pki::csr::Channel<'a>>,
    /// The claim whose certificate the connection shows; a token counts before it (E-9).
    pub claim: Option<&'a ClaimId>,
    /// The organization that is asked when there is no token, if it can be asked here (E-6).
    pub open: Option<&'a OrgId>,
}

impl Over<'_> {
    /// Refuses a profile other than the one the address names.
    pub(super) fn gives(&self, profile: &str) -> Result<(), Error> {
        match self.profile {
            Some(asked) if asked != profile => Err(Error::OtherProfile { asked: asked.to_owned(), given: profile.to_owned() }),
            _ => Ok(()),
        }
    }
}

impl Devices {
    /// Enrols a device. The same token with the same CSR within 15 minutes, or with the same key before its certificate was first used,
    /// gets the same certificate again and costs no use; 200 parallel attempts on a one-use token make one certificate.
    pub async fn enrol(&self, attempt: Attempt<'_>) -> Result<Enrolled, Error> {
        self.enrol_over(attempt, Over::default()).await
    }

    /// The same by a flow whose address names an organization, or whose connection a CSR may be bound to.
    pub async fn enrol_over(&self, attempt: Attempt<'_>, over: Over<'_>) -> Result<Enrolled, Error> {
        let now = self.clock.now();
        let outcome = self.admit_and_issue(attempt, over, now).await;
        self.counted(attempt, over, outcome, now).await
    }

    /// The outcome, or that this address has guessed too often. Behind one address may be a whole factory, so only those wait who have proved nothing:
    /// who holds a right secret, or a claim's key, hears why they were refused however much a neighbour guesses.
    ///
    /// While an address is closed that tells a right secret from a wrong one, as an enrolment that goes well always did. Guessing gets no cheaper by
    /// it: each wrong one counts, and there are 256 bits to guess. A right secret of a spent or revoked token gets the words of an unknown one;
    /// that it is not told to wait says no more than its holder knows.
    pub(super) async fn counted<T>(
        &self,
        attempt: Attempt<'_>,
        over: Over<'_>,
        outcome: Result<T, Error>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let Err(refusal) = &outcome else { return outcome };
        if matches!(refusal, Error::Pending) {
            return outcome;
        }
        tracing::info!(address = attempt.address, request_id = asked::request(), error = %refusal, "enrolment refused");
        let guess = is_guess(refusal);
        if !guess && !matches!(refusal, Error::Frozen(_)) {
            return outcome;
        }
        let brought = self.brought(attempt, over).await.unwrap_or_default();
        let proved = brought.proved;
        self.tell_refused(attempt, over, refusal, (brought, now)).await;
        // Whoever tries keys of other devices has proved what they are.
        if !guess || (proved && !matches!(refusal, Error::Pki(pki::Error::KeyInUse(_)))) {
            return outcome;
        }
        // Only after a refusal: those who hold a right token pay for nobody's guesses.
        if !self.guesses.open(&Source::of(attempt.address), now) {
            return Err(Error::TooMany);
        }
        self.guesses.fail(&Source::of(attempt.address), now);
        outcome
    }

    /// Whether a refusal of this credential from there for this reason is still written down by itself: ten a minute are enough for the books. Each reason has
    /// its own, so that ten of one hide no other one.
    fn is_booked(&self, books: Books<'_>, attempt: &Attempt<'_>, code: &str, now: Timestamp) -> bool {
        self.booked.take(&format!("{} {} {code}", books.credential.as_str(), Source::of(attempt.address)), now)
    }

    async fn admit_and_issue(&self, attempt: Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        if let (true, Some(claim)) = (attempt.secret.is_empty(), over.claim) {
            return self.by_claim(claim, &attempt, over, now).await;
        }
        if attempt.secret.is_empty() {
            return self.without_token(&attempt, over, now).await;
        }
        let token = self.known_token(attempt.secret).await?;
        if over.org.is_some_and(|org| org.as_str() != token.org_id) {
            return Err(Error::BadToken);
        }
        self.not_frozen(&token.org_id, token.created_at)?;
        let id = token.id.parse().map_err(crate::db::Error::corrupt)?;
        let books = Books { org: &token.org_id, credential: &Credential::Token(id), label: &token.label };
        let admission = self.noted(books, &attempt, admission::by_token(&token, &attempt, over), now).await?;
        if token.mode == EnrolmentMode::Approval.as_str() {
            // What is left of it now: the desk would ask by itself.
            let standing = Standing::of(&self.token(attempt.secret).await?, now);
            let certificate = self.by_approval(&admission, standing, now).await?;
            return self.answer(&admission, &certificate, now).await;
        }
        self.give(books, &attempt, admission, now).await
    }

    /// A device that shows a claim's certificate (E-9): within the claim's bounds, as with a token, and with the same answer again (E-3).
    async fn by_claim(&self, claim: &ClaimId, attempt: &Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        let row = row!(&mut self.db.read().await?, ClaimRow, claims::CLAIM, claim.as_str())?.ok_or(Error::BadClaim)?;
        if over.org.is_some_and(|org| org.as_str() != row.org_id) {
            return Err(Error::BadClaim);
        }
        self.not_frozen(&row.org_id, row.created_at)?;
        let books = Books { org: &row.org_id, credential: &Credential::Claim(claim.clone()), label: &row.label };
        let admission = self.noted(books, attempt, admission::by_claim(&row, claim, attempt, over), now).await?;
        let asked = self.ask_hook(&row, claim, &admission, false, now).await;
        self.noted(books, attempt, asked, now).await?;
        self.give(books, attempt, admission, now).await
    }

    /// Refuses what was handed out before the authority was given up that it would have led to.
    pub(super) fn not_frozen(&self, org: &str, made_at: i64) -> Result<(), Error> {
        let org = org.parse().map_err(crate::db::Error::corrupt)?;
        self.pki.frozen(&org, Timestamp(made_at)).map_or(Ok(()), |authority| Err(Error::Frozen(authority)))
    }

    /// What the desk gives for an admission.
    async fn give(&self, books: Books<'_>, attempt: &Attempt<'_>, admission: Admission, now: Timestamp) -> Result<Enrolled, Error> {
        let org = admission.org.clone();
        match self.desk.enrol(admission).await {
            Ok(Answer::New(issued)) => Ok(self.pki.just_enrolled(&issued, &self.urls.device, now)),
            Ok(Answer::Again(certificate)) => {
                // It may be unknown to memory here: its commit's answer was lost, or another instance has issued it.
                self.bus.tell(Event::Trust);
                Ok(self.pki.enrolled(&org, &certificate, &self.urls.device, now).await?)
            }
            // Told by whoever counts it.
            Err(e @ (Error::BadToken | Error::BadClaim | Error::Exists(_) | Error::Pki(pki::Error::KeyInUse(_)))) => Err(e),
            Err(e) => self.noted(books, attempt, Err(e), now).await,
        }
    }

    /// A device that has nothing but its key asks to join (E-6); only where the organization lets it.
    async fn without_token(&self, attempt: &Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        let org = over.open.ok_or(Error::BadToken)?;
        // Closed again, it still answers those that asked while it was open; to strangers it is as if it had never been.
        let (settings, asked) = self.askable(org, now).await?;
        if !settings.open && !asked {
            return Err(Error::NoToken);
        }
        over.gives(&settings.profile)?;
        let (device_id, csr) = named(attempt.request, over)?;
        let admission = Admission {
            org: org.clone(),
            credential: Credential::None,
            label: String::new(),
            enrolled_by: "approval".to_owned(),
            replaces: Replaces::Nobody,
            tags: Vec::new(),
            groups: Vec::new(),
            device_id,
            device_type: clean(&attempt.request.device_type),
            hardware: clean(&attempt.request.hardware),
            attributes: attempt.request.attributes.clone(),
            csr,
            profile: settings.profile,
            address: attempt.address.to_owned(),
            request: asked::request(),
        };
        let standing = if settings.open { Standing::Usable } else { Standing::Spent };
        let certificate = self.by_approval(&admission, standing, now).await?;
        self.answer(&admission, &certificate, now).await
    }

    /// The types of keys that whoever asks may have, by the profile that the address names, or by what they bring; empty means every one, also for whoever
    /// brings nothing that is known.
    pub async fn keys_for(&self, secret: &str, over: Over<'_>) -> Result<Vec<KeyType>, Error> {
        if let (Some(org), Some(profile)) = (over.org, over.profile) {
            return Ok(self.pki.profile_keys(&mut self.db.read().await?, org, profile).await?);
        }
        let (org, profile) = if !secret.is_empty() {
            match self.token(secret).await {
                Ok(token) if over.org.is_none_or(|org| org.as_str() == token.org_id) => (token.org_id, token.profile),
                Ok(_) | Err(Error::BadToken) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        } else if let Some(claim) = over.claim {
            let found = row!(&mut self.db.read().await?, ClaimRow, claims::CLAIM, claim.as_str())?;
            let Some(claim) = found else { return Ok(Vec::new()) };
            (claim.org_id, claim.profile)
        } else if let Some(org) = over.open {
            (org.to_string(), self.askable(org, self.clock.now()).await?.0.profile)
        } else {
            return Ok(Vec::new());
        };
        let org = org.parse().map_err(crate::db::Error::corrupt)?;
        Ok(self.pki.profile_keys(&mut self.db.read().await?, &org, &profile).await?)
    }

    /// The token behind this secret, as it is now.
    pub(super) async fn token(&self, secret: &str) -> Result<TokenRow, Error> {
        let (id, secret) = bearer::read::<EnrolmentTokenId>(PREFIX, secret).ok_or(Error::BadToken)?;
        let found = row!(&mut self.db.read().await?, TokenRow, store::TOKEN, id.as_str())?.ok_or(Error::BadToken)?;
        if bearer::fits(secret, &found.secret_hash) { Ok(found) } else { Err(Error::BadToken) }
    }

    /// The commit, and the news of it.
    pub(super) async fn finish(&self, tx: Tx, a: &Admission, made: LetIn) -> Result<CertificateId, Error> {
        tx.commit().await?;
        self.pki.admit(&made.issued);
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: a.org.clone(), device: made.device });
        Ok(made.issued.id)
    }

    pub(super) async fn answer(&self, a: &Admission, certificate: &CertificateId, now: Timestamp) -> Result<Enrolled, Error> {
        Ok(self.pki.enrolled(&a.org, certificate, &self.urls.device, now).await?)
    }

    /// The outcome as it is. A good credential with a request that is refused is an attack, a wrong device profile, or a device that was sent away and
    /// tries; all are for the books (E-4, E-1, A-34). Of those that get no row of their own a later one says how many there were.
    pub(super) async fn noted<T>(
        &self,
        books: Books<'_>,
        attempt: &Attempt<'_>,
        outcome: Result<T, Error>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let refusal = match outcome {
            Err(refusal) if is_guess(&refusal) || matches!(refusal, Error::NotActive(_)) => refusal,
            other => return other,
        };
        let (code, kind, object) = (refusal.fault().code, books.credential.refused(), books.credential.as_str());
        let org: OrgId = books.org.parse().map_err(crate::db::Error::corrupt)?;
        let mut detail = asked_for(attempt.request);
        detail.insert("token".into(), json!(books.label));
        detail.insert("code".into(), json!(code));
        if let Error::HookRefused(reason) = &refusal {
            detail.insert("reason".into(), json!(reason));
        }
        if self.is_booked(books, attempt, &code, now) {
            let actor = Actor::stranger(org, attempt.address);
            let mut tx = self.db.write().await?;
            audit::append(&mut tx, &actor, now, kind.action(), object, &Value::Object(detail)).await?;
            tx.commit().await?;
            self.pki.attacks().written(kind);
        } else {
            let sign = Sign { kind, org: Some(org), from: attempt.address.to_owned(), object: object.to_owned(), detail };
            self.pki.attacks().hold(sign, format!("{object} {code}"));
        }
        Err(refusal)
    }
}

/// Where a refusal is written down.
#[derive(Clone, Copy)]
pub(super) struct Books<'a> {
    pub(super) org: &'a str,
    pub(super) credential: &'a Credential,
    pub(super) label: &'a str,
}

/// Whether a refusal says that somebody tries what they may not. A busy database, a full disk or a suspended device are nobody's guess.
pub(super) const fn is_guess(refusal: &Error) -> bool {
    use Error as E;
    matches!(
        refusal,
        E::BadToken | E::OutOfScope(_) | E::Source | E::Bound(_) | E::HookRefused(_) | E::Pki(pki::Error::Csr(_) | pki::Error::KeyInUse(_))
    )
}
