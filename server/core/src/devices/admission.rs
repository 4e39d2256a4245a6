//! What an attempt to enrol may become: the credential it came with, what that lets in, and how far it is used up. Refuses to write anything; the flows
//! are `enrolment.rs`'s.

use super::{
    Error,
    claims::ClaimRow,
    enrolment::{Attempt, Over},
    presence::clean,
    tokens::TokenRow,
    words::{patterns, split_words},
};
use crate::{
    access::attacks::Kind,
    asked::{self, Origin},
    network::Network,
    pki::{Csr, csr},
};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    enrolment::{EnrolRequest, EnrolmentMode},
    ids::{ClaimId, DeviceId, EnrolmentTokenId, OrgId},
};

/// What a device brings to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// Nothing: a person decides.
    None,
    /// A secret (E-1).
    Token(EnrolmentTokenId),
    /// A shared certificate (E-9).
    Claim(ClaimId),
}

impl Credential {
    /// Its id; empty without one.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Token(id) => id.as_str(),
            Self::Claim(id) => id.as_str(),
        }
    }

    /// What a request is that it did not let through, in the books.
    pub(super) const fn refused(&self) -> Kind {
        match self {
            Self::None | Self::Token(_) => Kind::RefusedByToken,
            Self::Claim(_) => Kind::RefusedByClaim,
        }
    }
}

/// Which device that is in the fleet already may be enrolled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaces {
    /// None: who comes with a shared secret could take over a device's name.
    Nobody,
    /// One that waits for its first certificate: a person has named it.
    Expected,
    /// One of exactly this name: the token was made for it.
    Itself,
}

/// What an attempt may become once token and CSR were read.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) org: OrgId,
    pub(super) credential: Credential,
    pub(super) label: String,
    /// By what it was let in, for the books.
    pub(super) enrolled_by: String,
    pub(super) replaces: Replaces,
    pub(super) tags: Vec<String>,
    /// By their ids; there need not be such groups any more.
    pub(super) groups: Vec<String>,
    pub(super) device_id: DeviceId,
    pub(super) device_type: String,
    pub(super) hardware: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) csr: Csr,
    /// The profile of its certificate; empty for none.
    pub(super) profile: String,
    pub(super) address: String,
    /// The request's id, for the books.
    pub(super) request: String,
}

impl Admission {
    /// From where it came, and by which request.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { address: &self.address, request: &self.request }
    }
}

/// What a token is still good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something new.
    Usable,
    /// What it was used for already.
    Spent,
    /// Nothing that has not become a certificate.
    Revoked,
}

impl Standing {
    pub(super) const fn of(token: &TokenRow, now: Timestamp) -> Self {
        if token.revoked_at.is_some() {
            Self::Revoked
        } else if token.expires_at <= now.0 || token.uses >= token.max_uses {
            Self::Spent
        } else {
            Self::Usable
        }
    }
}

/// The name and the CSR of a request, through the one gate.
pub(super) fn named(request: &EnrolRequest, over: Over<'_>) -> Result<(DeviceId, Csr), Error> {
    let wanted = request
        .device_id
        .as_deref()
        .map(|id| id.parse::<DeviceId>().map_err(|e| Error::invalid("device_id", e.to_string())))
        .transpose()?;
    let csr = csr::gate_over(request.csr.as_bytes(), wanted.as_ref(), over.channel).map_err(crate::pki::Error::from)?;
    let device_id = wanted
        .or_else(|| csr.common_name.clone())
        .ok_or_else(|| Error::invalid("device_id", "Give a device id in the request or as the CSR's common name."))?;
    Ok((device_id, csr))
}

/// What a token lets in, if it does.
pub(super) fn by_token(token: &TokenRow, attempt: &Attempt<'_>, over: Over<'_>) -> Result<Admission, Error> {
    let request = attempt.request;
    if !token.source.is_empty() {
        let source: Network = token.source.parse().map_err(crate::db::Error::corrupt)?;
        if !attempt.address.parse().is_ok_and(|address| source.contains(address)) {
            return Err(Error::Source);
        }
    }
    let (device_id, csr) = named(request, over)?;
    in_scope(&token.pattern, &device_id)?;
    over.gives(&token.profile)?;
    for (bound, is, what) in [(&token.spki_sha256, csr.spki_sha256, "key"), (&token.csr_sha256, csr.csr_sha256, "CSR")] {
        if !bound.is_empty() && *bound != hex::encode(is) {
            return Err(Error::Bound(what));
        }
    }
    let device_type = if token.device_type.is_empty() { clean(&request.device_type) } else { token.device_type.clone() };
    Ok(Admission {
        org: token.org_id.parse().map_err(crate::db::Error::corrupt)?,
        credential: Credential::Token(token.id.parse().map_err(crate::db::Error::corrupt)?),
        label: token.label.clone(),
        enrolled_by: format!("token {}", token.label),
        replaces: replaces(token, &device_id),
        tags: split_words(&token.tags),
        groups: split_words(&token.group_ids),
        device_id,
        device_type,
        hardware: clean(&request.hardware),
        attributes: request.attributes.clone(),
        csr,
        profile: token.profile.clone(),
        address: attempt.address.to_owned(),
        request: asked::request(),
    })
}

/// Which device of this name a token may enrol anew.
fn replaces(token: &TokenRow, device_id: &DeviceId) -> Replaces {
    let names = |pattern: &str| pattern.eq_ignore_ascii_case(device_id.as_str());
    if token.mode == EnrolmentMode::Approval.as_str() {
        // What waited for a person replaces nobody, however exact its token is (E-6).
        Replaces::Nobody
    } else if names(&token.pattern) {
        Replaces::Itself
    } else if patterns(&token.pattern).iter().any(|one| names(one)) {
        // A person has named it; others who are named with it have the same secret.
        Replaces::Expected
    } else {
        Replaces::Nobody
    }
}

/// What a claim lets in, if it does.
pub(super) fn by_claim(claim: &ClaimRow, id: &ClaimId, attempt: &Attempt<'_>, over: Over<'_>) -> Result<Admission, Error> {
    let request = attempt.request;
    let (device_id, csr) = named(request, over)?;
    in_scope(&claim.pattern, &device_id)?;
    over.gives(&claim.profile)?;
    Ok(Admission {
        org: claim.org_id.parse().map_err(crate::db::Error::corrupt)?,
        credential: Credential::Claim(id.clone()),
        label: claim.label.clone(),
        enrolled_by: format!("claim {}", claim.label),
        replaces: Replaces::Nobody,
        tags: split_words(&claim.tags),
        groups: split_words(&claim.group_ids),
        device_id,
        device_type: if claim.device_type.is_empty() { clean(&request.device_type) } else { claim.device_type.clone() },
        hardware: clean(&request.hardware),
        attributes: request.attributes.clone(),
        csr,
        profile: claim.profile.clone(),
        address: attempt.address.to_owned(),
        request: asked::request(),
    })
}

/// Refuses an id that the pattern does not cover, or none of several with blanks between them; `*` stands for any characters, case does not matter, and an
/// empty one covers all.
pub(super) fn in_scope(pattern: &str, id: &DeviceId) -> Result<(), Error> {
    use super::selector::{Facts, Field, Selector};
    let facts = Facts { device_id: id.to_string(), ..Facts::default() };
    if pattern.is_empty() || Selector::Is(Field::Id, patterns(pattern)).matches(&facts) {
        Ok(())
    } else {
        Err(Error::OutOfScope(id.to_string()))
    }
}
