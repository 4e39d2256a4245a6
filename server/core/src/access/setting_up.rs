//! How the first admin of an organization comes in: by a one-time code, typed into the set-up page. That of the first organization is in the server's memory
//! and said as it starts, as long as nobody is in it. That of an organization that was made later is kept as a hash and holds for a week. Owns the codes;
//! refuses to know how they are said.

use super::{Access, Actor, Error, audit, organizations::FIRST_ORG, policy::of_the_machine, sessions::parse, store};
use crate::{
    db::{Conn, Tx, exec, row},
    hash::sha256,
};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use wire::{Timestamp, ids::OrgId, states::Role};

/// How long the code of an organization that was made later holds.
const CODE_MS: i64 = 7 * 24 * 3600 * 1000;
/// What the page says when it takes no code.
const DONE: &str = "Fleetward is already set up. Sign in instead.";
/// The same for a code that has come too late.
const USED: &str = "Somebody is in this organization already, so the code is over. Sign in instead, or ask for an account.";

/// What has to be so in the transaction that makes a person.
#[derive(Clone, Copy)]
pub(super) enum First<'a> {
    /// Nothing: others may be there.
    No,
    /// Nobody is in the organization yet.
    Start,
    /// The same, and the code with this hash still holds.
    Code(&'a [u8; 32]),
}

/// A one-time code of the set-up page; it is seen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUpCode {
    /// As it is typed.
    pub code: String,
    /// Until when it holds.
    pub until: Timestamp,
}

/// How many people the organization has, whether they can sign in or not.
async fn people(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), store::USERS_OF, org.as_str())?.map_or(0, |(n,)| n))
}

/// Refuses the first person of an organization that is not the first, or comes by a code that is over. Whoever comes in ends the code that waited there. Call
/// it once the audit log's head is held.
pub(super) async fn comes_in(tx: &mut Tx, org: &OrgId, first: First<'_>, now: Timestamp) -> Result<(), Error> {
    if !matches!(first, First::No) && people(tx, org).await? > 0 {
        return Err(Error::SetUp(if matches!(first, First::Start) { DONE } else { USED }));
    }
    if let First::Code(hash) = first
        && exec!(tx, store::SET_UP_TAKE, org.as_str(), hash.as_slice(), now.0)? == 0
    {
        return Err(Error::SetUp(USED));
    }
    exec!(tx, store::SET_UP_END, org.as_str())?;
    Ok(())
}

impl Access {
    /// Whether nobody has an account yet, in no organization.
    pub async fn nobody_yet(&self) -> Result<bool, Error> {
        Ok(row!(&mut self.db.read().await?, (i64,), store::USER_COUNT)?.is_none_or(|r| r.0 == 0))
    }

    /// Whether nobody is in the first organization yet: then the server says a code as it starts.
    pub async fn set_up_needed(&self) -> Result<bool, Error> {
        Ok(row!(&mut self.db.read().await?, (i64,), store::USERS_OF_SLUG, FIRST_ORG)?.is_none_or(|r| r.0 == 0))
    }

    /// Whether the set-up page takes a code: the server's own, or that of an organization which waits for its first admin.
    pub async fn set_up_open(&self) -> Result<bool, Error> {
        Ok(self.set_up_needed().await? || self.codes_wait().await?)
    }

    async fn codes_wait(&self) -> Result<bool, Error> {
        Ok(row!(&mut self.db.read().await?, (i64,), store::SET_UPS_OPEN, self.clock.now().0)?.is_some_and(|(n,)| n > 0))
    }

    /// The one-time code of the first organization, made at the first call; for whoever runs the server and nobody else.
    pub fn set_up_code(&self) -> String {
        self.set_up_code.lock().get_or_insert_with(|| self.draw_code()).clone()
    }

    fn draw_code(&self) -> String {
        let b = self.entropy.bytes::<12>();
        // Sixty-four letters without the ones that look alike would be nicer to type; hex in fours is unmistakable.
        hex::encode(b).as_bytes().chunks(4).map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join("-")
    }

    /// Gives the organization a code for its first admin, in the caller's transaction. One that was given before is over.
    pub(crate) async fn give_code(&self, tx: &mut Tx, org: &OrgId, now: Timestamp) -> Result<SetUpCode, Error> {
        let (code, until) = (self.draw_code(), now.plus(CODE_MS));
        exec!(tx, store::SET_UP_PUT, org.as_str(), sha256(code.as_bytes()).as_slice(), until.0)?;
        Ok(SetUpCode { code, until })
    }

    /// Another code for an organization whose first admin has not come in, where the one before was lost or is over; for whoever has the server's machine.
    pub async fn renew_code(&self, actor: &Actor, slug: &str) -> Result<SetUpCode, Error> {
        of_the_machine(actor)?;
        let org = self.organization(slug).await?;
        let now = self.clock.now();
        let own = Actor { org, ..actor.clone() };
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &own.org).await?;
        if people(&mut tx, &own.org).await? > 0 {
            return Err(Error::SetUp("Somebody is in this organization already. `fleetward user` adds others, and sets a password."));
        }
        let given = self.give_code(&mut tx, &own.org, now).await?;
        audit::append(&mut tx, &own, now, "organization.set_up_code", own.org.as_str(), &json!({ "until": given.until })).await?;
        tx.commit().await?;
        Ok(given)
    }

    /// Makes the first admin of the organization that the one-time code is for. Works once for each; after the last the page is closed. The books say
    /// that it was the admin, from which `address`, and by the request that is being answered.
    pub async fn set_up(&self, code: &str, email: &str, name: &str, password: &str, address: &str) -> Result<(), Error> {
        let code = code.trim().to_lowercase();
        let hash = sha256(code.as_bytes());
        let waits = row!(&mut self.db.read().await?, (String,), store::SET_UP_BY_CODE, hash.as_slice(), self.clock.now().0)?;
        if let Some((org,)) = waits {
            let stranger = Actor::stranger(parse(&org)?, address);
            self.insert_user(&stranger, email, name, Role::Admin, password, First::Code(&hash)).await?;
            return Ok(());
        }
        let needed = self.set_up_needed().await?;
        if !needed && !self.codes_wait().await? {
            return Err(Error::SetUp(DONE));
        }
        if !needed || !bool::from(self.set_up_code().as_bytes().ct_eq(code.as_bytes())) {
            if !self.wrong_codes.take("set-up", self.clock.now()) {
                return Err(Error::TooMany);
            }
            return Err(Error::invalid(
                "code",
                "This is not a code that holds. The server said its own as it started, in its terminal or its log, on the line that says set-up code; that \
                 of an organization which was made later came with it.",
            ));
        }
        let org = self.ensure_organization().await?;
        self.insert_user(&Actor::stranger(org, address), email, name, Role::Admin, password, First::Start).await?;
        *self.set_up_code.lock() = None;
        Ok(())
    }
}
