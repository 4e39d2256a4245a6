//! What the other side gets to see of this room's refusals and failures, and which of them the log is told of. Refuses to know who the other side is.

use super::{Error, KeyError};
use wire::{
    Fault, FaultKind,
    pki::{AuthorityUse, BundleReach},
};

/// How to come by an authority of this use, as `ca csr --kind` names it.
fn root_offline(purpose: &str) -> Fault {
    let text = format!(
        "The root's key is not on this server. Make a request (fleetward ca csr --kind {purpose} --out ca.csr), sign it where the key is \
         (fleetward ca issue-intermediate --root root.age --csr ca.csr --out ca.pem) and bring it back (fleetward ca import ca.pem), or do the \
         same on the page of authorities. Lists: fleetward ca crl. The manual has each step: /docs/roots."
    );
    Fault::new(FaultKind::Conflict, "root_offline", text)
}

impl Error {
    /// What the other side gets to see. Causes go to the log.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Access(e) => e.fault(),
            Self::Csr(e) => e.fault(),
            Self::Consent(e) => e.fault(),
            Self::ClockJumped(jump) => Fault::new(
                FaultKind::Busy,
                "clock_jumped",
                format!(
                    "The server's clock has jumped by {jump}, and nothing is issued until it is right again or an administrator accepts the new time."
                ),
            )
            .retry_after(60),
            Self::Registered(e) => e.fault(),
            Self::NotOurs => Fault::new(
                FaultKind::Conflict,
                "renew_at_own_authority",
                "This certificate comes from your own authority. Renew it there, with the same key, and connect with the new one: it is taken over by itself.",
            ),
            Self::KeyInUse(_) => Fault::new(
                FaultKind::Conflict,
                "key_in_use",
                "This public key can't be used: make a new key on the device and send a CSR for it.",
            ),
            Self::NotFound => Fault::new(FaultKind::NotFound, "certificate_not_found", "There is no such certificate."),
            Self::NoAssignmentKey => Fault::new(FaultKind::NotFound, "no_assignment_key", "There is no such assignment key."),
            Self::AssignmentKeys(what) => Fault::new(FaultKind::Conflict, "assignment_keys", *what),
            Self::Cursor => Fault::new(FaultKind::Invalid, "bad_cursor", "This page's address is out of date. Start from the first page."),
            Self::RenewTooEarly(at) => Fault::new(
                FaultKind::Conflict,
                "renew_too_early",
                format!("The certificate is due for renewal from {at}; keep using it until then, or send a CSR for a new key."),
            ),
            Self::NothingToRenew => Fault::new(
                FaultKind::Conflict,
                "nothing_to_renew",
                "This device has no certificate that is renewed here: none may be used any more, their authority was given up, or they come from its owner's \
                 authority. Enrol it again, or renew it there.",
            ),
            Self::SuccessorInUse => Fault::new(
                FaultKind::Conflict,
                "successor_in_use",
                "This certificate was renewed, and its successor is in use: connect with that one and renew that one. If the device has lost it, have an \
                 operator revoke it first.",
            ),
            Self::RenewedTooOften(seconds) => Fault::new(
                FaultKind::TooMany,
                "renewed_too_often",
                format!("This device has renewed as often as it may for now. Use the certificate that it was given last, and renew again in {seconds} seconds."),
            )
            .retry_after(*seconds),
            Self::RekeyRequired => Fault::new(
                FaultKind::Conflict,
                "rekey_required",
                "This organization wants a new key with every renewal: make one on the device and send a CSR for it.",
            )
            .at("csr"),
            Self::RekeyForbidden => Fault::new(
                FaultKind::Conflict,
                "rekey_forbidden",
                "This organization wants devices to keep their key: send a CSR for the key of the certificate that is renewed.",
            )
            .at("csr"),
            Self::AlreadyRevoked { .. } => Fault::new(FaultKind::Conflict, "already_revoked", self.to_string()).at("reason"),
            Self::RevocationNote => {
                let text = format!("A note has at most {} characters, and no control characters.", wire::pki::MAX_REVOCATION_NOTE);
                Fault::new(FaultKind::Invalid, "invalid", text).at("note")
            }
            Self::InvalidityDate => Fault::new(
                FaultKind::Invalid,
                "invalid",
                "Give the time since which the certificate is known or suspected to be wrong: not later than now.",
            )
            .at("invalidity_date"),
            Self::KeyType(types) => {
                let text = format!("The certificate's profile is for keys of these types: {types}. Make such a key and send a CSR for it.");
                Fault::new(FaultKind::Invalid, "unsupported_alg", text).at("csr")
            }
            Self::MadeKeys { profile, types } => {
                let text = format!(
                    "The server makes p-256 keys, and the profile {profile} is for keys of these types alone: {types}. Choose a profile that takes \
                     p-256, or none; or have the devices make their keys, and send a batch of their CSRs."
                );
                Fault::new(FaultKind::Invalid, "unsupported_alg", text).at("profile")
            }
            Self::NoProfile => {
                let text = "There is no such certificate profile. Choose one that there is, or none.";
                Fault::new(FaultKind::NotFound, "profile_not_found", text).at("profile")
            }
            Self::ProfileName => {
                let text = "A profile's name has 1 to 40 lower-case letters, digits and -, and begins with a letter or digit.";
                Fault::new(FaultKind::Invalid, "invalid", text).at("name")
            }
            Self::ProfileHours => {
                let most = wire::pki::MAX_PROFILE_HOURS;
                let text = format!("Give 1 to {most} hours ({} days). What holds longer is a factory profile: say so.", most / 24);
                Fault::new(FaultKind::Invalid, "invalid", text).at("hours")
            }
            Self::FactoryHours => {
                let (least, most) = (wire::pki::MAX_PROFILE_HOURS + 1, wire::pki::MAX_FACTORY_HOURS);
                let text = format!("A factory profile holds {least} to {most} hours (ten years). What holds for a shorter time is none.");
                Fault::new(FaultKind::Invalid, "invalid", text).at("hours")
            }
            Self::ProfilesFull => {
                Fault::new(FaultKind::Conflict, "profiles_full", "An organization has at most 50 certificate profiles. Remove one first.")
            }
            Self::ProfileInUse(users) => {
                let text = format!(
                    "This profile is in use: {users}. Revoke the tokens, disable the claims, choose another one for devices without a token, and remove it when \
                     its devices have certificates of another one."
                );
                Fault::new(FaultKind::Conflict, "profile_in_use", text)
            }
            Self::NoKeyNamed(why) => Fault::new(FaultKind::Invalid, "invalid", *why).at("public_key"),
            Self::AuthorityKey => Fault::new(
                FaultKind::Conflict,
                "authority_key",
                "This is the key of an authority of this organization, or of one that waits for its certificate: no device gets a certificate for it anyway. \
                 If somebody else has it, an admin gives the authority up (fleetward ca compromise), or withdraws the request (fleetward ca withdraw-csr).",
            )
            .at("public_key"),
            Self::BlockReason => {
                let most = wire::blocked::MAX_BLOCK_REASON;
                let text = format!("Say why, in 1 to {most} characters without control characters: others will want to know.");
                Fault::new(FaultKind::Invalid, "invalid", text).at("reason")
            }
            Self::NoBlockedKey => Fault::new(FaultKind::NotFound, "blocked_key_not_found", "This key is not blocked by this organization."),
            Self::BlockedForGood => Fault::new(
                FaultKind::Conflict,
                "blocked_for_good",
                "A certificate for this key was revoked because the key is compromised. It stays blocked for good: make a new key.",
            ),
            Self::RecoveryDays => {
                let text = format!("Give 1 to {} days.", wire::pki::MAX_RECOVERY_DAYS);
                Fault::new(FaultKind::Invalid, "invalid", text).at("recovery_days")
            }
            Self::WayBackDays => {
                let text = format!("Give 1 to {} days.", wire::pki::MAX_WAY_BACK_DAYS);
                Fault::new(FaultKind::Invalid, "invalid", text).at("days")
            }
            Self::RecoveryNonce => Fault::new(
                FaultKind::Invalid,
                "recovery_nonce",
                "The nonce is not one of this server, or older than five minutes. Ask for a new one: GET /device/v1/recover.",
            )
            .at("nonce"),
            Self::RecoveryRefused => Fault::new(
                FaultKind::Forbidden,
                "recovery_refused",
                "The certificate is not known here, or its key has not signed this request. Enrol the device again.",
            ),
            Self::NoRecovery => Fault::new(
                FaultKind::Forbidden,
                "recovery_off",
                "This organization does not take devices back after their certificate has ended. Enrol the device again.",
            ),
            Self::NotEnded => Fault::new(
                FaultKind::Conflict,
                "not_ended",
                "The certificate has not ended. Renew it over mutual TLS: POST /device/v1/renew.",
            ),
            Self::NotRecoverable => Fault::new(
                FaultKind::Forbidden,
                "not_recoverable",
                "The certificate was revoked or replaced, its key is blocked, it ended too long ago, its authority was given up, or its device is not \
                 active. Enrol the device again, or ask an administrator whether devices of this authority may come back.",
            ),
            Self::NotUsable(_) | Self::ProofBlocked => {
                Fault::new(FaultKind::Forbidden, "certificate_not_usable", "This certificate can't be renewed. Enrol the device again.")
            }
            Self::AuthorityExpiring => Fault::new(
                FaultKind::Busy,
                "ca_expiring",
                "The issuing authority is about to end. An administrator has to make a new one first.",
            )
            .retry_after(3600),
            Self::NoSuchAuthority => Fault::new(FaultKind::NotFound, "authority_not_found", "There is no such authority."),
            Self::AuthorityState(what) => Fault::new(FaultKind::Conflict, "authority_state", *what),
            Self::NothingFrozen { id, given_up: false } => Fault::new(
                FaultKind::Conflict,
                "nothing_frozen",
                format!("{id} was not given up: none of its enrolment tokens and claims are frozen."),
            ),
            Self::NothingFrozen { id, given_up: true } => Fault::new(
                FaultKind::Conflict,
                "nothing_frozen",
                format!(
                    "No enrolment tokens and claims are frozen with {id}: it did not issue to devices when it was given up, or they were let count again."
                ),
            ),
            Self::RootOffline => root_offline("device"),
            Self::ClaimsStaged(id) => Fault::new(
                FaultKind::Conflict,
                "authority_staged",
                format!("An authority for claims is staged and does not issue yet: activate {id} (fleetward ca activate {id}), or do so on the page of authorities."),
            ),
            Self::RootOfflineFor(purpose) => root_offline(match purpose {
                AuthorityUse::Device | AuthorityUse::Root => "device",
                AuthorityUse::Server => "server",
                AuthorityUse::Claim => "claim",
            }),
            Self::NotHeld => Fault::new(
                FaultKind::Forbidden,
                "not_held",
                "This is not the root's file. Open the file that fleetward ca root export wrote last, or give what fleetward ca root check says where it is kept; until then the key stays here.",
            ),
            Self::Unfit(why) => Fault::new(FaultKind::Invalid, "certificate_refused", why.to_string()).at("certificates"),
            Self::RootFile(why) => Fault::new(FaultKind::Invalid, "root_file", format!("{why}.")),
            Self::NoSuchRequest => {
                Fault::new(FaultKind::NotFound, "authority_request_not_found", "There is no such request, or it is over. Make a new one.")
            }
            Self::AuthorityInUse(leaves) => Fault::new(
                FaultKind::Conflict,
                "authority_in_use",
                format!(
                    "{leaves} certificates of this authority are in use. Wait until their devices have renewed, or force it: they are cut off then."
                ),
            ),
            Self::BundleNotHeld(reach) => {
                let BundleReach { version, devices, cannot_tell, .. } = reach;
                let silent = if *cannot_tell > 0 { format!(", and {cannot_tell} can never tell") } else { String::new() };
                let text = if reach.missing() == 0 {
                    format!(
                        "{cannot_tell} of {devices} active devices can never tell whether they hold trust bundle {version}: waiting does not help. \
                         Force it; they may not find back then."
                    )
                } else {
                    format!(
                        "{} of {devices} active devices don't hold trust bundle {version} yet{silent}. Wait until they have connected and fetched it, or force it: {} may not find back then.",
                        reach.missing(),
                        reach.unsure()
                    )
                };
                Fault::new(FaultKind::Conflict, "bundle_not_held", text)
            }
            // Said to whoever makes an authority: those who wait for a certificate hear that the token is late.
            Self::Key(KeyError::Token(trouble)) => {
                tracing::error!(error = %self, "nothing is signed");
                let text = format!("Nothing was done: {trouble}.");
                Fault::new(FaultKind::Busy, trouble.code(), text).retry_after(10)
            }
            Self::TokenLate | Self::ToSign(_) => {
                tracing::error!(error = %self, "nothing is signed");
                let text = "The server's keys are on a token that does not answer at the moment. Nothing was done; try again.";
                Fault::new(FaultKind::Busy, "token_late", text).retry_after(10)
            }
            Self::KeyOnToken { .. } => {
                tracing::error!(error = %self, "an authority's key is out of reach");
                let text = "The authority's key is on a token that the server does not reach. An administrator has to bring it back first.";
                Fault::new(FaultKind::Busy, "no_authority", text).retry_after(3600)
            }
            Self::NoAuthority(_) => {
                tracing::error!(error = %self, "no authority issues");
                Fault::new(
                    FaultKind::Busy,
                    "no_authority",
                    "No authority issues certificates at the moment. An administrator has to activate one first.",
                )
                .retry_after(3600)
            }
            Self::Key(_) | Self::Journal { .. } | Self::Build(_) | Self::Serial => {
                tracing::error!(error = %self, "the PKI can't issue");
                Fault::new(FaultKind::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
            Self::Db(e) => e.fault(),
        }
    }
}
