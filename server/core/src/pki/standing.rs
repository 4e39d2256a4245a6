//! What pages, REST and the command line are told of authorities: what hangs on each, how far the fleet is, what can be done next and why not.
//! Refuses to do any of it.

use super::{
    Error, Pki,
    authorities::{self, Authorities, Authority},
    bundle::Cross,
    consents,
    decode::decode,
    following, generations,
    profile::Kind,
    read::shown,
    rollover, store,
};
use crate::access::{Act, Actor, allowed, may};
use std::{collections::HashMap, sync::Arc};
use wire::{
    Timestamp,
    consents::Deed,
    ids::{AuthorityId, DeviceId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    pki::{
        AuthoritiesPage, AuthorityAction, AuthorityAlarm, AuthorityDetail, AuthorityStanding, BundleReach, CrossCertificate,
        ListedAuthority, steps::ONE_STAGED,
    },
    states::{
        AuthorityState::{Active, Compromised, Retired, Retiring, Staged},
        AuthorityStep::{self, Activate, Compromise, Retire, Stage},
    },
};

/// Certificates that hang on each authority, and those without a successor in use.
type Hanging = HashMap<String, (i64, i64)>;

/// Why a step has to wait.
const ASKED: &str = "It was asked for and waits for another admin. See the requests.";
const NO_ROOT_KEY: &str = "The root's key is not on this server. Make a request on the page of authorities, sign it where the key is, and bring the certificate back.";
const TOKEN_OUT_OF_REACH: &str = "The token with the root's key is out of reach.";
const WITH_ROOT: &str = "Its root is staged. Activate the root: this one follows with it.";
const UNDER_IT: &str = "Authorities that this root has signed are still believed. Retire them first.";
const PRESENTED: &str = "The listeners still present a certificate of it. They change within a minute.";

impl Pki {
    /// The organization's authorities, roots first, and how far the fleet is with the newest trust bundle.
    pub async fn authorities_page(&self, actor: &Actor) -> Result<AuthoritiesPage, Error> {
        self.authorities_page_from(actor, "").await
    }

    /// The same; the devices that don't hold it are those behind this place, the `behind_next` of the page before.
    pub async fn authorities_page_from(&self, actor: &Actor, after: &str) -> Result<AuthoritiesPage, Error> {
        may(actor, Act::Read)?;
        let now = self.clock.now();
        let bundle = self.holders(&actor.org).await?.of(self.trust_bundle(&actor.org).version);
        let alarms = self.alarms_by_authority(actor).await?;
        let mut on = self.db.read().await?;
        let hanging = self.hanging(&mut on, actor).await?;
        let longest = self.longest_life(&mut on, &actor.org).await?;
        let all = self.authorities.load_full();
        let mut mine: Vec<_> = all.iter().filter(|a| a.org == actor.org).collect();
        mine.sort_by_key(|a| a.kind != Kind::Root);
        let listed = |a: &Arc<Authority>| AuthorityStanding {
            not_signing: self.silence_of(a),
            alarm: alarms.get(&a.id).cloned(),
            ..standing(&all, a, &hanging, longest, now)
        };
        let authorities = mine.into_iter().map(listed).collect();
        // That nobody is behind takes as long to find out as the fleet is large.
        let found = if bundle.unsure() > 0 {
            store::behind(&mut on, &actor.org, bundle.version, after, i64::from(DEFAULT_ROWS) + 1).await?
        } else {
            Vec::new()
        };
        let behind = found.iter().map(|id| id.parse::<DeviceId>().map_err(crate::db::Error::corrupt)).collect::<Result<Vec<_>, _>>()?;
        let behind = Page::cut(behind, DEFAULT_ROWS, bundle.unsure(), |id| id.as_str().to_lowercase());
        drop(on);
        let (duties, requests) = (self.root_duties(actor).await?, self.requests_for(actor).await?);
        Ok(AuthoritiesPage {
            authorities,
            bundle,
            behind: behind.items,
            behind_next: behind.next,
            may_manage: allowed(actor, Act::Authorities),
            duties,
            requests,
            at: now,
        })
    }

    /// The organization's authorities, roots first, with the alarm of each.
    pub async fn listed_authorities(&self, actor: &Actor) -> Result<Vec<ListedAuthority>, Error> {
        let rows = self.list_authorities(actor)?;
        let mut alarms = self.alarms_by_authority(actor).await?;
        Ok(rows.into_iter().map(|row| ListedAuthority { alarm: alarms.remove(&row.id), row }).collect())
    }

    async fn alarms_by_authority(&self, actor: &Actor) -> Result<HashMap<AuthorityId, AuthorityAlarm>, Error> {
        let all = self.alarms(&actor.org, i64::from(MAX_ROWS)).await?;
        Ok(all.into_iter().map(|(id, _, alarm)| (id, alarm)).collect())
    }

    /// One authority: what is written in its certificate, what hangs on it, and the steps of its life.
    pub async fn authority(&self, actor: &Actor, id: &AuthorityId) -> Result<AuthorityDetail, Error> {
        may(actor, Act::Read)?;
        let all = self.authorities.load_full();
        let found = all.iter().find(|a| a.id == *id && a.org == actor.org).ok_or(Error::NoSuchAuthority)?;
        let holders = self.holders(&actor.org).await?;
        let duties = self.root_duties(actor).await?;
        let reach = self.reach_shown(&all, &holders, found).await?;
        let follows = match active_root(&all, found) {
            // What a retiring root leaves behind depends on who holds the one that follows.
            Some(root) if found.kind == Kind::Root && found.state == Retiring => self.reach_shown(&all, &holders, root).await?,
            _ => reach,
        };
        let mut chain: Vec<_> = authorities::up(&all, id).into_iter().map(shown).collect();
        chain.remove(0);
        let alarmed = self.alarmed_in(&actor.org, &chain).await?;
        let mut on = self.db.read().await?;
        let hanging = self.hanging(&mut on, actor).await?;
        let of = |id: &AuthorityId| all.iter().find(|a| a.id == *id).map(|a| a.subject.clone()).unwrap_or_default();
        let bundles = self.bundles.load();
        let part = |c: &&Cross| c.subject == *id || c.issuer == *id;
        let cross = bundles.crosses.iter().filter(part).map(|c| CrossCertificate {
            subject: of(&c.subject),
            issuer: of(&c.issuer),
            not_after: c.not_after,
            fingerprint: hex::encode(&c.fingerprint),
            pem: crate::pem::encode("CERTIFICATE", &c.der),
        });
        let later = |a: &&Arc<Authority>| a.org == found.org && a.kind == found.kind && a.generation > found.generation;
        let successor = all.iter().filter(later).find(|a| matches!(a.state, Staged | Active)).map(shown);
        let longest = self.longest_life(&mut on, &actor.org).await?;
        let alarm = store::alarm_of(&mut on, id, &actor.org).await?.map(|(sign, at)| AuthorityAlarm { sign, at: Timestamp(at) });
        let standing = AuthorityStanding {
            not_signing: self.silence_of(found),
            alarm: alarm.clone().filter(|_| found.trusted()),
            ..standing(&all, found, &hanging, longest, self.clock.now())
        };
        let before = matches!((found.state, found.kind), (Staged, Kind::Root | Kind::DeviceAuthority))
            .then(|| authorities::active(&all, &actor.org, Kind::DeviceAuthority).ok())
            .flatten();
        let takes_over_from = before.map(|a| self::standing(&all, a, &hanging, longest, self.clock.now()));
        let second_person = store::approvals(&mut on, &actor.org).await?;
        let asked: Vec<Deed> =
            store::consents_waiting(&mut on, &actor.org, self.clock.now()).await?.into_iter().map(|row| row.deed).collect();
        let actions = if allowed(actor, Act::Authorities) {
            let signed = all.iter().filter(|a| a.issuer_id == found.id && a.id != found.id && a.trusted());
            let below = signed.filter_map(|a| hanging.get(a.id.as_str())).map(|(_, devices)| devices).sum();
            Offer { all: &all, a: found, standing: &standing, reach: follows, presented: self.presents(id), below, asked: &asked }.actions()
        } else {
            Vec::new()
        };
        Ok(AuthorityDetail {
            decoded: decode(&found.der).ok_or_else(|| crate::db::Error::corrupt("an authority's certificate"))?,
            standing,
            chain,
            cross: cross.collect(),
            successor,
            takes_over_from,
            reach,
            actions,
            second_person,
            duties: duties.into_iter().filter(|d| authorities::up(&all, id).iter().any(|a| a.id == d.root)).collect(),
            list: self.list_standing(id),
            ended_at: found.ended_at,
            alarm,
            alarmed,
            may_clear: allowed(actor, Act::Authorities),
            aftermath: self.aftermath(&mut on, actor, found).await?,
            renewals: self.renewal_progress(&mut on, actor, found).await?,
            at: self.clock.now(),
        })
    }

    /// How far the fleet is with the newest trust bundle.
    pub async fn bundle_reach(&self, actor: &Actor) -> Result<BundleReach, Error> {
        may(actor, Act::Read)?;
        self.reach(&mut self.db.read().await?, &actor.org, self.trust_bundle(&actor.org).version).await
    }

    async fn hanging(&self, on: &mut impl crate::db::Conn, actor: &Actor) -> Result<Hanging, Error> {
        let all = store::hanging(on, &actor.org, self.clock.now()).await?;
        Ok(all.into_iter().map(|(issuer, certificates, devices)| (issuer, (certificates, devices))).collect())
    }
}

/// `longest` is the longest life of devices' certificates.
fn standing(all: &Authorities, a: &Arc<Authority>, hanging: &Hanging, longest: i64, now: Timestamp) -> AuthorityStanding {
    let (certificates, devices) = hanging.get(a.id.as_str()).copied().unwrap_or_default();
    let root_first = |root: &Arc<Authority>| following::root_first(a.kind, a.state, (a.not_after, root.not_after), longest, now);
    AuthorityStanding {
        row: shown(a),
        certificates,
        devices,
        follow_from: following::follow_from(a.kind, a.state, a.not_after, longest),
        root_first: active_root(all, a).is_some_and(root_first),
        not_signing: None,
        alarm: None,
    }
}

fn active_root<'a>(all: &'a Authorities, a: &Authority) -> Option<&'a Arc<Authority>> {
    authorities::active(all, &a.org, Kind::Root).ok()
}

/// What the offer of steps looks at.
struct Offer<'a> {
    all: &'a Authorities,
    a: &'a Authority,
    standing: &'a AuthorityStanding,
    reach: BundleReach,
    presented: bool,
    /// Devices that hang on what it has signed.
    below: i64,
    /// What waits for another admin.
    asked: &'a [Deed],
}

impl Offer<'_> {
    fn actions(&self) -> Vec<AuthorityAction> {
        let root = self.a.kind == Kind::Root;
        let steps: &[AuthorityStep] = match (self.a.state, root) {
            (Active, false) if self.a.kind == Kind::ClaimAuthority => &[Compromise],
            (Active, true) => &[Stage],
            (Active, false) => &[Stage, Compromise],
            (Staged, _) => &[Activate, Retire, Compromise],
            (Retiring, _) => &[Retire, Compromise],
            (Retired, false) => &[Compromise],
            // Nobody else's page offers what comes after the only one there was.
            (Compromised, false) if self.nobody_issues() => &[Stage],
            (Retired, true) | (Compromised, _) => &[],
        };
        steps.iter().map(|step| self.action(*step, root)).collect()
    }

    fn action(&self, step: AuthorityStep, root: bool) -> AuthorityAction {
        let (blocked, forced, cut) = match (step, root) {
            (Stage, _) => (self.stage_blocked(root), false, 0),
            (Activate, true) => (None, !self.reach.enough(), self.reach.missing()),
            (Activate, false) => (self.root_staged().then_some(WITH_ROOT), false, 0),
            (Retire, true) if self.a.state == Retiring => {
                (self.any_under().then_some(UNDER_IT), self.reach.unsure() > 0, self.reach.unsure())
            }
            (Retire, true) => (None, false, 0),
            (Retire, false) => (self.presented.then_some(PRESENTED), self.standing.certificates > 0, self.standing.devices),
            (Compromise, true) => {
                let without_successor = if self.a.state == Retiring { self.reach.unsure() } else { 0 };
                (None, false, without_successor.max(self.below))
            }
            (Compromise, false) => (None, false, self.standing.certificates),
        };
        let blocked = blocked.or_else(|| self.asked(step).then_some(ASKED));
        AuthorityAction { step, blocked: blocked.map(str::to_owned), forced, cut }
    }

    fn asked(&self, step: AuthorityStep) -> bool {
        self.asked.iter().any(|deed| {
            consents::step(deed) == Some(step)
                && match deed {
                    Deed::Stage { kind } => generations::kind(*kind) == self.a.kind,
                    other => other.authority() == Some(&self.a.id),
                }
        })
    }

    fn stage_blocked(&self, root: bool) -> Option<&'static str> {
        let mine = |a: &&Arc<Authority>| a.org == self.a.org;
        let offline = active_root(self.all, self.a).is_some_and(|root| root.is_offline());
        if !offline && !active_root(self.all, self.a).is_some_and(|root| root.has_key()) {
            return Some(TOKEN_OUT_OF_REACH);
        }
        // A root makes its successor itself; what it would sign for it is brought later.
        if offline && !root {
            return Some(NO_ROOT_KEY);
        }
        if root {
            let busy = self.all.iter().filter(mine).any(|a| a.state == Staged || (a.kind == Kind::Root && a.state == Retiring));
            return busy.then_some(rollover::IN_THE_WAY);
        }
        self.all.iter().filter(mine).any(|a| a.kind == self.a.kind && a.state == Staged).then_some(ONE_STAGED)
    }

    /// Whether nobody issues for its use, and a root is there that could sign one who does.
    fn nobody_issues(&self) -> bool {
        let peer = |a: &Arc<Authority>| a.org == self.a.org && a.kind == self.a.kind && a.state == Active;
        self.a.kind != Kind::ClaimAuthority && active_root(self.all, self.a).is_some() && !self.all.iter().any(peer)
    }

    fn root_staged(&self) -> bool {
        authorities::up(self.all, &self.a.id).iter().any(|a| a.kind == Kind::Root && a.state == Staged)
    }

    fn any_under(&self) -> bool {
        self.all.iter().any(|a| a.issuer_id == self.a.id && a.id != self.a.id && a.trusted())
    }
}
