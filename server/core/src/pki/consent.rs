//! Pure: the two-person rule for authorities (K-6). What a deed does to which authority, the digest that binds it, and which states of
//! a request may follow which. Refuses to know who asks and who decides.

use super::profile::Kind;
use crate::hash::sha256;
use wire::{
    Fault, FaultKind,
    consents::{ConsentEffect, ConsentState, Deed, MAX_REMARK},
    ids::{AuthorityId, Digest, OrgId},
    pki::AuthorityUse,
    states::AuthorityState::{self, Active, Retired, Retiring, Staged},
};

/// How long somebody may decide, in milliseconds: a day.
pub const LIFE_MS: i64 = 24 * 3600 * 1000;
/// Most requests of an organization that wait at once.
pub const MOST: i64 = 50;

/// A request's life.
pub const CONSENT: &[(ConsentState, &[ConsentState])] = {
    use ConsentState as S;
    &[
        (S::Waiting, &[S::Done, S::Rejected, S::Withdrawn, S::Void, S::Expired]),
        (S::Done, &[]),
        (S::Rejected, &[]),
        (S::Withdrawn, &[]),
        (S::Void, &[]),
        (S::Expired, &[]),
    ]
};

/// Whether a request in one state may come to another.
pub fn legal(from: ConsentState, to: ConsentState) -> bool {
    CONSENT.iter().any(|(state, next)| *state == from && next.contains(&to))
}

/// Why a request is not taken, or not decided on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// Two people are asked for, and this is one.
    #[error("a second person has to agree")]
    Needed,
    /// Two people are asked for, and this is done on the server's own command line then.
    #[error("two people decide, so this is done on the server")]
    AtServer,
    /// One person is enough here.
    #[error("nobody else is asked here")]
    Off,
    /// Two people have to agree before a key is made for a device (E-8).
    #[error("two people have to agree before keys are made for devices")]
    Keys,
    /// They have agreed to that.
    #[error("two people have agreed that keys are made for devices")]
    KeysAgreed,
    /// The installation makes no keys for devices (E-8), whoever agrees.
    #[error("no keys are made for devices here")]
    KeysNowhere,
    /// One person is enough, and no person says whether keys are made for devices.
    #[error("the configuration says whether keys are made for devices")]
    KeysConfigured,
    /// Not a person.
    #[error("only a person can ask")]
    Nobody,
    /// There is nobody else who could decide.
    #[error("there is no second admin")]
    NoSecond,
    /// Whoever asked can't decide.
    #[error("who asked can't decide")]
    Own,
    /// Somebody else's request can't be taken back.
    #[error("not the asker's own request")]
    NotOwn,
    /// The same waits already.
    #[error("it was asked for already")]
    Asked,
    /// Too many wait.
    #[error("too many requests wait")]
    Many,
    /// No such request in this organization.
    #[error("no such request")]
    NotFound,
    /// It was decided, or its time is over.
    #[error("the request is {0}")]
    Over(ConsentState),
    /// What would happen is not what was asked for; the request is over.
    #[error("the request is void: {0}")]
    Void(&'static str),
    /// Something else was read than what is asked for.
    #[error("another digest")]
    Digest,
    /// A remark is missing or too long.
    #[error("the remark is out of bounds")]
    Remark,
}

impl ConsentError {
    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        match self {
            Self::Needed => Fault::new(
                K::Conflict,
                "second_person",
                "Two people decide on authorities here. Ask for it first, on the authority's page or by POST /api/v1/authorities/requests; \
                 it is done when another admin approves.",
            ),
            Self::AtServer => Fault::new(
                K::Conflict,
                "at_server",
                "Two people decide on authorities here. An authority of your own is enabled on the server's own command line then: fleetward ca enable.",
            ),
            Self::Off => Fault::new(K::Conflict, "no_second_person", "One person is enough for this here. Do it without asking."),
            Self::Keys => Fault::new(
                K::Forbidden,
                "server_keys_consent",
                "Two people decide on authorities here, and the server makes no key for a device until two admins have agreed to it. One asks, on the \
                 page of requests about authorities or by POST /api/v1/authorities/requests with the deed server_keys; keys are made when another one \
                 approves. Or make the key on the device, and send a CSR for it.",
            ),
            Self::KeysAgreed => Fault::new(
                K::Conflict,
                "server_keys_agreed",
                "Two admins have agreed already that keys are made for devices here. There is nothing to ask for.",
            ),
            Self::KeysNowhere => Fault::new(
                K::Conflict,
                "server_keys_off",
                "This server makes no keys for devices, so there is nothing to agree to. Whoever runs it has to allow it first (allow_server_keygen).",
            ),
            Self::KeysConfigured => Fault::new(
                K::Conflict,
                "no_second_person",
                "One person is enough here, so the server's configuration alone says whether keys are made for devices (allow_server_keygen).",
            ),
            Self::Nobody => {
                Fault::new(K::Conflict, "not_a_person", "Only a person can ask another one. Use your session, or a token of yours.")
            }
            Self::NoSecond => Fault::new(
                K::Conflict,
                "no_second_admin",
                "There is only one admin, and it takes two. Make somebody an admin under People, or use the command line on the server.",
            ),
            Self::Own => Fault::new(K::Forbidden, "own_request", "You asked for this, someone else must decide."),
            Self::NotOwn => Fault::new(K::Forbidden, "not_own_request", "Only who asked can take it back. You can reject it."),
            Self::Asked => Fault::new(K::Conflict, "already_asked", "The same was asked for already and waits for another admin."),
            Self::Many => Fault::new(K::TooMany, "too_many_requests", format!("{MOST} requests wait already. Decide on those first.")),
            Self::NotFound => Fault::new(K::NotFound, "not_found", "There is no such request."),
            Self::Over(state) => Fault::new(
                K::Conflict,
                "request_over",
                match state {
                    ConsentState::Expired => "Nobody decided on it within 24 hours. Ask again.".to_owned(),
                    other => format!("The request is over: {other}. Read it again."),
                },
            ),
            Self::Void(why) => {
                Fault::new(K::Conflict, "request_void", format!("{why} Nothing was done, and the request is over. Ask again."))
            }
            Self::Digest => Fault::new(
                K::Conflict,
                "other_digest",
                "This is not the digest of what is asked for. Read the request again, then decide on what it is.",
            )
            .at("digest"),
            Self::Remark => Fault::new(
                K::Invalid,
                "invalid",
                format!("Say why, in 1 to {MAX_REMARK} characters that can be seen: it is kept with the request."),
            )
            .at("reason"),
        }
    }
}

/// An authority as far as deeds look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub id: AuthorityId,
    /// `root`, `device`, `server`, `claim`.
    pub kind: String,
    /// Its state.
    pub state: AuthorityState,
    /// Who signed it: itself, if it is a root.
    pub issuer: AuthorityId,
    /// Its common name.
    pub name: String,
}

impl Standing {
    fn is(&self, kind: Kind) -> bool {
        self.kind == kind.as_str()
    }
    fn becomes(&self, to: AuthorityState) -> ConsentEffect {
        ConsentEffect { authority: Some(self.id.clone()), name: self.name.clone(), from: Some(self.state), to }
    }
}

/// What is said of an authority that is made.
fn new(kind: &str, to: AuthorityState) -> ConsentEffect {
    let name = match kind {
        "root" => "a new root",
        "device" => "a new authority for devices",
        "server" => "a new authority for the listeners",
        "claim" => "a new authority for claims",
        _ => "a new authority",
    };
    ConsentEffect { authority: None, name: name.to_owned(), from: None, to }
}

fn staged_under<'a>(all: &'a [Standing], root: &'a Standing) -> impl Iterator<Item = &'a Standing> {
    all.iter().filter(|a| a.issuer == root.id && a.id != root.id && a.state == Staged)
}

const GONE: &str = "There is no such authority.";
const NOT_STAGED: &str = "Only a staged authority can be activated.";
const STAGED_ALREADY: &str = "There is a staged authority for this use already. Activate or retire it first.";

/// What a deed would do to the organization's authorities as they are, sorted; or why it can't be done to them. Whom it cuts off is another
/// question: those numbers change by the minute.
pub fn effects(deed: &Deed, all: &[Standing]) -> Result<Vec<ConsentEffect>, &'static str> {
    let find = |id: &AuthorityId| all.iter().find(|a| a.id == *id).ok_or(GONE);
    let staged = |kind: Kind| all.iter().any(|a| a.is(kind) && a.state == Staged);
    let issuing = [Kind::DeviceAuthority, Kind::ServerAuthority];
    // Those of these kinds that issue are retiring from then on.
    let followed = |kinds: &[Kind]| -> Vec<ConsentEffect> {
        all.iter().filter(|a| a.state == Active && kinds.iter().any(|k| a.is(*k))).map(|a| a.becomes(Retiring)).collect()
    };
    let mut effects = match deed {
        Deed::Stage { kind: AuthorityUse::Root } => {
            if issuing.into_iter().chain([Kind::Root]).any(staged) || all.iter().any(|a| a.is(Kind::Root) && a.state == Retiring) {
                return Err(super::rollover::IN_THE_WAY);
            }
            ["root", "device", "server"].map(|kind| new(kind, Staged)).into()
        }
        Deed::Stage { kind } => {
            let kind = match kind {
                AuthorityUse::Device => Kind::DeviceAuthority,
                AuthorityUse::Claim => return Err(wire::pki::steps::CLAIMS_FOLLOW),
                AuthorityUse::Server | AuthorityUse::Root => Kind::ServerAuthority,
            };
            if staged(kind) {
                return Err(STAGED_ALREADY);
            }
            vec![new(kind.as_str(), Staged)]
        }
        Deed::Activate { authority, .. } => {
            let one = find(authority)?;
            if one.state != Staged {
                return Err(NOT_STAGED);
            }
            if one.is(Kind::Root) {
                let mut effects = followed(&[Kind::Root, Kind::ClaimAuthority, Kind::DeviceAuthority, Kind::ServerAuthority]);
                effects.extend(staged_under(all, one).map(|a| a.becomes(Active)));
                effects.push(one.becomes(Active));
                effects
            } else {
                if all.iter().any(|a| a.id == one.issuer && a.state == Staged) {
                    return Err("Its root is staged. Activate the root: this one follows with it.");
                }
                let same = all.iter().filter(|a| a.kind == one.kind && a.state == Active).map(|a| a.becomes(Retiring));
                same.chain([one.becomes(Active)]).collect()
            }
        }
        Deed::Retire { authority, .. } => {
            let one = find(authority)?;
            match (one.state, one.is(Kind::Root)) {
                (Staged, true) => staged_under(all, one).map(|a| a.becomes(Retired)).chain([one.becomes(Retired)]).collect(),
                (Retiring, true) if all.iter().any(|a| a.issuer == one.id && a.id != one.id && a.state.trusted()) => {
                    return Err("Authorities that this root has signed are still believed. Retire them first.");
                }
                (Staged | Retiring, _) => vec![one.becomes(Retired)],
                _ => return Err("Only a retiring or staged authority can be retired. Activate its successor first."),
            }
        }
        Deed::ClaimAuthority => followed(&[Kind::ClaimAuthority]).into_iter().chain([new("claim", Active)]).collect(),
        Deed::ApprovalsOff | Deed::ServerKeys => Vec::new(),
    };
    effects.sort();
    Ok(effects)
}

/// What did happen between two looks, in the words of [`effects`].
pub fn happened(before: &[Standing], after: &[Standing]) -> Vec<ConsentEffect> {
    let mut effects: Vec<_> = after
        .iter()
        .filter_map(|now| match before.iter().find(|was| was.id == now.id) {
            None => Some(new(&now.kind, now.state)),
            Some(was) if was.state == now.state => None,
            Some(was) => Some(was.becomes(now.state)),
        })
        .collect();
    effects.sort();
    effects
}

/// The digest of exactly what would happen: every field as its length (64 bits, big-endian) and its bytes, beginning with the form's name.
pub fn digest(org: &OrgId, deed: &Deed, effects: &[ConsentEffect]) -> Digest {
    let mut form = Vec::with_capacity(256);
    let mut field = |text: &str| {
        form.extend((text.len() as u64).to_be_bytes());
        form.extend(text.as_bytes());
    };
    field("fleetward authority consent 1");
    field(org.as_str());
    // The order of a struct's fields is fixed, so one deed has one text.
    field(&serde_json::to_string(deed).unwrap_or_default());
    for ConsentEffect { authority, name, from, to } in effects {
        field(authority.as_ref().map_or("", AuthorityId::as_str));
        field(name);
        field(from.map_or("", AuthorityState::as_str));
        field(to.as_str());
    }
    Digest::from_bytes(&sha256(&form))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};
    use wire::Timestamp;

    fn fleet() -> Vec<Standing> {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        let ids: Vec<AuthorityId> = (0..6).map(|i| entropy.id(Timestamp(i))).collect();
        let one = |at: usize, kind: &str, state, issuer: usize| Standing {
            id: ids[at].clone(),
            kind: kind.to_owned(),
            state,
            issuer: ids[issuer].clone(),
            name: format!("{kind} {at}"),
        };
        vec![
            one(0, "root", Active, 0),
            one(1, "device", Active, 0),
            one(2, "server", Active, 0),
            one(3, "root", Staged, 3),
            one(4, "device", Staged, 3),
            one(5, "server", Staged, 3),
        ]
    }

    fn activate(a: &Standing) -> Deed {
        Deed::Activate { authority: a.id.clone(), force: false }
    }

    #[test]
    fn k_6_a_request_is_over_once_and_every_state_has_its_row() {
        assert_eq!(CONSENT.iter().map(|(s, _)| *s).collect::<Vec<_>>(), ConsentState::ALL);
        for from in ConsentState::ALL {
            for to in ConsentState::ALL {
                assert_eq!(legal(*from, *to), *from == ConsentState::Waiting && *to != ConsentState::Waiting, "{from} → {to}");
            }
        }
    }

    #[test]
    fn k_6_a_root_takes_what_was_staged_with_it_along() {
        let all = fleet();
        let found = effects(&activate(&all[3]), &all).unwrap();
        let words: Vec<_> = found.iter().map(|e| format!("{} {}", e.name, e.to)).collect();
        let mut expected =
            vec!["root 0 retiring", "device 1 retiring", "server 2 retiring", "root 3 active", "device 4 active", "server 5 active"];
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.sort_unstable();
        expected.sort_unstable();
        assert_eq!(words, expected);
        assert!(effects(&activate(&all[4]), &all).unwrap_err().contains("Activate the root"));
        assert_eq!(effects(&activate(&all[1]), &all), Err(NOT_STAGED));
        let retire = |at: usize| effects(&Deed::Retire { authority: all[at].id.clone(), force: true }, &all);
        assert_eq!(retire(3).unwrap().len(), 3);
        assert!(retire(1).is_err(), "somebody has to issue");
        assert_eq!(effects(&Deed::Stage { kind: AuthorityUse::Root }, &all), Err(crate::pki::rollover::IN_THE_WAY));
        assert_eq!(effects(&Deed::Stage { kind: AuthorityUse::Root }, &all[..3]).unwrap().len(), 3);
    }

    #[test]
    fn k_6_any_change_of_what_would_happen_is_another_digest() {
        let org: OrgId = (&SeededEntropy::new(2) as &dyn Entropy).id(Timestamp(0));
        let all = fleet();
        let of = |deed: &Deed, all: &[Standing]| digest(&org, deed, &effects(deed, all).unwrap());
        let asked = of(&activate(&all[3]), &all);
        assert_eq!(asked, of(&activate(&all[3]), &all));
        let forced = Deed::Activate { authority: all[3].id.clone(), force: true };
        assert_ne!(asked, of(&forced, &all), "force is a part of it");
        for at in [0, 1, 2, 4, 5] {
            let mut later = all.clone();
            later[at].state = Retired;
            assert_ne!(asked, of(&activate(&all[3]), &later), "{} is not what it was", later[at].name);
        }
        let other: OrgId = (&SeededEntropy::new(3) as &dyn Entropy).id(Timestamp(1));
        assert_ne!(asked, digest(&other, &activate(&all[3]), &effects(&activate(&all[3]), &all).unwrap()));
        assert_ne!(digest(&org, &Deed::ApprovalsOff, &[]), digest(&org, &Deed::ClaimAuthority, &[]));
        assert_ne!(digest(&org, &Deed::ApprovalsOff, &[]), digest(&org, &Deed::ServerKeys, &[]));
    }

    #[test]
    fn k_6_what_happened_is_told_in_the_same_words() {
        let before = fleet();
        let mut after = before.clone();
        for (at, to) in [(0, Retiring), (1, Retiring), (2, Retiring), (3, Active), (4, Active), (5, Active)] {
            after[at].state = to;
        }
        assert_eq!(happened(&before, &after), effects(&activate(&before[3]), &before).unwrap());
        assert_eq!(happened(&before[..3], &before), effects(&Deed::Stage { kind: AuthorityUse::Root }, &before[..3]).unwrap());
        assert!(happened(&before, &before).is_empty());
    }
}
