//! What administrators owe their roots (P-11, R-7, R-10): keys to be taken away, lists and certificates to be signed where a key is, each with the
//! lines that do it. A look into memory, and into the database for a list that is not there; refuses to do any of it.

use super::{
    Error, Pki,
    authorities::{Authorities, Authority},
    profile::{DAY, Kind},
};
use crate::access::{Act, Actor, allowed, may};
use std::sync::Arc;
use wire::{
    roots::{RootDuty, RootTask},
    states::AuthorityState::{Active, Retiring, Staged},
};

/// How long before the end of an offline root's list somebody is reminded.
const AHEAD: i64 = 10 * DAY;

impl Pki {
    /// What is to be done about the organization's roots; nothing for those who may not do it.
    pub async fn root_duties(&self, actor: &Actor) -> Result<Vec<RootDuty>, Error> {
        may(actor, Act::Read)?;
        if !allowed(actor, Act::Authorities) {
            return Ok(Vec::new());
        }
        let all = self.authorities.load_full();
        let mut roots: Vec<_> = all.iter().filter(|a| a.org == actor.org && a.kind == Kind::Root && a.trusted()).collect();
        roots.sort_by_key(|root| root.generation);
        // A process that serves has taken every list there is; a command has taken none.
        if roots.iter().any(|root| root.is_offline() && self.crl(&root.id).is_none()) {
            self.take_published().await?;
        }
        Ok(self.duties_of(&all, &roots))
    }

    fn duties_of(&self, all: &Authorities, roots: &[&Arc<Authority>]) -> Vec<RootDuty> {
        let mut duties = Vec::new();
        for root in roots {
            duties.extend(key_duty(root).map(|duty| RootDuty { then: self.needs_of(all, root), ..duty }));
            duties.extend(self.list_duty(root));
            duties.extend(self.cross_duty(all, root));
        }
        duties
    }

    /// A list is due when the root's key is elsewhere and something has ended, or the list ends soon.
    fn list_duty(&self, root: &Authority) -> Option<RootDuty> {
        if !root.is_offline() {
            return None;
        }
        let held = self.crl(&root.id);
        let (text, due) = match &held {
            Some(list) if self.lags(root, list) => {
                ("An authority that it has signed has ended, and its list of revoked certificates does not say so yet.", None)
            }
            Some(list) if list.next_update.since(self.clock.now()) < AHEAD => {
                ("Its list of revoked certificates holds for a few days only.", Some(list.next_update))
            }
            None if self.ended_below(root) => {
                ("An authority that it has signed has ended, and no list of revoked certificates says so.", None)
            }
            Some(_) | None => return None,
        };
        let id = &root.id;
        let commands = vec![
            format!("fleetward ca crl request {id} --out request.json"),
            "fleetward ca root crl --root root.age --passphrase-file passphrase --request request.json --out root.crl".to_owned(),
            format!("fleetward ca crl import {id} --file root.crl"),
        ];
        Some(RootDuty { due, ..duty(root, RootTask::SignList, text, commands) })
    }

    fn ended_below(&self, root: &Authority) -> bool {
        self.authorities.load().iter().any(|a| a.issuer_id == root.id && a.id != root.id && a.ended_seq.is_some())
    }

    /// From a root whose key is elsewhere nothing leads to the one that follows, until it has signed that one's key.
    fn cross_duty(&self, all: &Authorities, root: &Authority) -> Option<RootDuty> {
        if !root.is_offline() || !matches!(root.state, Active | Retiring) {
            return None;
        }
        let bundles = self.bundles.load();
        let newer = |a: &&Arc<Authority>| a.org == root.org && a.kind == Kind::Root && a.generation > root.generation;
        let next = all.iter().filter(newer).find(|a| matches!(a.state, Staged | Active))?;
        if bundles.crosses.iter().any(|c| c.subject == next.id && c.issuer == root.id) {
            return None;
        }
        let text = format!("Devices that believe in this root find no way to {} until this root has signed that one's key.", next.subject);
        let commands = vec![
            format!("fleetward ca show {} --pem > next.pem", next.id),
            "fleetward ca root cross --root root.age --passphrase-file passphrase --certificate next.pem --out cross.pem".to_owned(),
            "fleetward ca import cross.pem".to_owned(),
        ];
        Some(duty(root, RootTask::SignCross, text, commands))
    }
}

fn duty(root: &Authority, task: RootTask, text: impl Into<String>, commands: Vec<String>) -> RootDuty {
    RootDuty { root: root.id.clone(), subject: root.subject.clone(), task, text: text.into(), commands, due: None, then: Vec::new() }
}

/// What is to be done with a key that is here.
fn key_duty(root: &Authority) -> Option<RootDuty> {
    if !root.has_key() || root.on_token() {
        return None;
    }
    let (id, remove) =
        (&root.id, format!("fleetward ca root offline --authority {} --file root.age --passphrase-file passphrase", root.id));
    Some(match root.exported_at {
        None => duty(
            root,
            RootTask::Export,
            "Its private key is kept on this server only. Write it into a file, keep that in a safe place, and remove the key from the server: \
             whoever takes over the server could make authorities of their own otherwise.",
            vec![format!("fleetward ca root export --authority {id} --passphrase-file passphrase --out root.age"), remove],
        ),
        Some(_) => duty(
            root,
            RootTask::Remove,
            "Its private key was written into a file, and is still on this server. Show that you hold the file, and it is removed here.",
            vec![remove],
        ),
    })
}
