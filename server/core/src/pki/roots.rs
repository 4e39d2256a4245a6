//! The root's key on its way out (P-11, K-1, K-5): written into a file, removed once somebody has shown that they hold that file. Refuses to give it
//! to anybody but the command line on the server's own machine: a key in a browser or in a script's answer is a copy too many.

use super::{
    Error, Pki,
    authorities::{self, Authority, aad},
    csr::sha256,
    profile::Kind,
    root_file::{self, Lock, RootFile},
    store,
};
use crate::{
    access::{Act, Actor, Who, audit, may},
    bus::Event,
};
use serde_json::json;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use wire::{ids::AuthorityId, pki::AuthorityRow};
use zeroize::Zeroizing;

/// A root's key, locked.
#[derive(Debug)]
pub struct ExportedRoot {
    /// The root.
    pub root: AuthorityRow,
    /// An age file; write it down before anything else.
    pub file: Vec<u8>,
}

/// How somebody shows that they hold the file of a root.
#[derive(Debug)]
pub enum Holding<'a> {
    /// They have opened it.
    Opened(&'a RootFile),
    /// They say what only opening the file that was written last tells, where it is kept: its [`RootFile::proof`].
    Proof([u8; 32]),
}

const ON_TOKEN: &str =
    "This root's key is on the PKCS#11 token, which gives no key away. Keep the token, or bring a root of your own: /docs/roots.";
const NOT_EXPORTED: &str = "This root's key was never written into a file. Do that first: fleetward ca root export.";

/// Why a root's key can't be taken out of the database: it is elsewhere on purpose, or on a token that this process does not reach.
fn not_here(root: &Authority) -> Error {
    root.signer().err().unwrap_or(Error::RootOffline)
}

impl Pki {
    /// The root of this id, or the active one.
    pub(super) fn a_root(&self, actor: &Actor, id: Option<&AuthorityId>) -> Result<Arc<Authority>, Error> {
        let all = self.authorities.load();
        match id {
            None => Ok(Arc::clone(authorities::active(&all, &actor.org, Kind::Root)?)),
            Some(id) => {
                let found = all.iter().find(|a| a.id == *id && a.org == actor.org).ok_or(Error::NoSuchAuthority)?;
                if found.kind == Kind::Root { Ok(Arc::clone(found)) } else { Err(Error::AuthorityState("This authority is not a root.")) }
            }
        }
    }

    fn shell_only(actor: &Actor) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        match actor.who {
            Who::Shell | Who::System => Ok(()),
            _ => Err(Error::AuthorityState("A root's key leaves and is removed on the server's own command line only: fleetward ca root.")),
        }
    }

    /// Locks a root's certificate and key into a file (K-1). The key stays here as well until [`Pki::take_root_offline`].
    pub async fn export_root(&self, actor: &Actor, id: Option<&AuthorityId>, lock: Lock) -> Result<ExportedRoot, Error> {
        Self::shell_only(actor)?;
        let root = self.a_root(actor, id)?;
        if root.on_token() {
            return Err(Error::AuthorityState(ON_TOKEN));
        }
        let record = store::sealed_key(&mut self.db.read().await?, &root.id, &actor.org).await?.ok_or(Error::NoSuchAuthority)?;
        let Some(sealed) = record.sealed_key else { return Err(not_here(&root)) };
        let plain = self.kek.open(&aad(&root.id, &record.spki_sha256), &sealed)?;
        let text: Zeroizing<String> = root_file::text(&root.id, &root.subject, &root.base_url, &root.der, &plain);
        // The passphrase costs a second of one core.
        let made = tokio::task::spawn_blocking(move || root_file::lock(&text, &lock)).await;
        let file = made.map_err(|e| Error::Build(e.to_string()))??;
        let (now, digest) = (self.clock.now(), sha256(&file));
        let mut tx = self.db.write().await?;
        store::exported(&mut tx, &root.id, now, &digest).await?;
        audit::append(&mut tx, actor, now, "authority.export", root.id.as_str(), &json!({ "subject": root.subject })).await?;
        tx.commit().await?;
        self.reload().await?;
        Ok(ExportedRoot { root: self.authority_row(actor, &root.id)?, file })
    }

    /// Removes a root's key from here, after a last list that holds for 30 days. Whoever asks shows that they hold its file. From here on what needs
    /// the key is made elsewhere and brought back. Other processes forget the key within a second.
    pub async fn take_root_offline(&self, actor: &Actor, id: Option<&AuthorityId>, holding: Holding<'_>) -> Result<AuthorityRow, Error> {
        Self::shell_only(actor)?;
        let root = self.a_root(actor, id)?;
        if root.on_token() {
            return Err(Error::AuthorityState(ON_TOKEN));
        }
        let record = store::sealed_key(&mut self.db.read().await?, &root.id, &actor.org).await?.ok_or(Error::NoSuchAuthority)?;
        let Some(sealed) = record.sealed_key else { return Err(not_here(&root)) };
        if record.exported_at.is_none() {
            return Err(Error::AuthorityState(NOT_EXPORTED));
        }
        let held = match holding {
            // The file's key was tried against its certificate when it was read.
            Holding::Opened(file) => file.fingerprint() == root.fingerprint,
            // A digest would show that the file is there, not that anybody can open it: with the wrong passphrase the root would be lost.
            Holding::Proof(proof) => {
                let plain = self.kek.open(&aad(&root.id, &record.spki_sha256), &sealed)?;
                record.export_sha256.is_some_and(|digest| root_file::proof(&digest, &plain).as_slice().ct_eq(&proof).into())
            }
        };
        if !held {
            return Err(Error::NotHeld);
        }
        self.publish_list(&root).await?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Other processes look when the trust clock has moved.
        store::next_trust(&mut tx).await?;
        if !store::take_offline(&mut tx, &root.id, &actor.org, now).await? {
            return Err(Error::RootOffline);
        }
        audit::append(&mut tx, actor, now, "authority.offline", root.id.as_str(), &json!({ "subject": root.subject })).await?;
        self.journal_offline(&actor.org, &root.id, now).await;
        let last = self.crl(&root.id);
        tx.commit().await?;
        if let Some(list) = last {
            self.journal_list(&actor.org, &root.id, &list).await;
        }
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.authority_row(actor, &root.id)
    }
}
