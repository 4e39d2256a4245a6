//! Two people for what concerns authorities (K-6, A-37), on both engines: who may ask and decide, what is carried out, and what makes a request
//! worthless.

use super::life::enrol;
use crate::{
    access::{Actor, Who},
    db::EngineKind,
    pki::{Error, Pki},
    testing::World,
};
use parking_lot::Mutex;
use rstest::rstest;
use std::sync::Arc;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use wire::{
    Fault, FaultKind,
    consents::{AskConsent, ConsentRow, ConsentState, Deed},
    enrolment::NewClaim,
    ids::AuthorityId,
    pki::AuthorityUse,
    states::{AuthorityState, AuthorityStep, Role},
};

const HOUR: i64 = 3_600_000;

/// A fleet in which two people decide: ada and eve are admins.
struct Scene {
    w: World,
    ada: Actor,
    eve: Actor,
}

impl Scene {
    async fn open(kind: EngineKind) -> Self {
        let w = World::open(kind).await;
        let ada = w.admin().await;
        assert_eq!(code(w.fleet.pki().set_approvals(&ada, true).await), "no_second_admin", "nobody locks themselves out");
        let eve = w.person("eve", Role::Admin).await;
        w.fleet.pki().set_approvals(&ada, true).await.unwrap();
        Self { w, ada, eve }
    }

    fn pki(&self) -> &Pki {
        self.w.fleet.pki()
    }

    async fn ask(&self, who: &Actor, deed: Deed) -> Result<ConsentRow, Error> {
        self.pki().ask_consent(who, AskConsent { deed, remark: "it is time".into() }).await
    }

    async fn approve(&self, who: &Actor, row: &ConsentRow) -> Result<ConsentRow, Error> {
        self.pki().approve_consent(who, &row.id, &row.digest, "looked at it").await
    }

    async fn state(&self, row: &ConsentRow) -> ConsentState {
        self.pki().consent(&self.ada, &row.id).await.unwrap().state
    }

    /// Id and state of the newest device authority.
    fn newest(&self) -> (AuthorityId, AuthorityState) {
        let all = self.pki().authorities_of(&self.w.org);
        all.iter().rfind(|a| a.kind == "device").map(|a| (a.id.clone(), a.state)).unwrap()
    }

    /// The actions in the audit log, the newest first, each with who did it.
    async fn log(&self) -> Vec<(String, String, String)> {
        let page = self.w.fleet.access().audit_page(&self.ada, None).await.unwrap();
        page.entries.items.into_iter().map(|e| (e.action, e.actor, e.detail)).collect()
    }

    fn shell(&self) -> Actor {
        Actor::shell(self.w.org.clone())
    }
}

fn fault<T: std::fmt::Debug>(refused: Result<T, Error>) -> Fault {
    refused.unwrap_err().fault()
}

fn code<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
    fault(refused).code
}

const STAGE: Deed = Deed::Stage { kind: AuthorityUse::Device };

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_37_one_admin_alone_changes_no_authority(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let device = s.newest().0;
    let token = Who::Token {
        token: s.w.entropy.id(s.w.clock_now()),
        user: s.ada.user().unwrap().clone(),
        person: "ada".into(),
        name: "ci".into(),
        role: Role::Admin,
    };
    let token = Actor { who: token, ..s.ada.clone() };
    for who in [&s.ada, &token, &Actor::system(s.w.org.clone())] {
        assert_eq!(code(s.pki().stage_authority(who, AuthorityUse::Device).await), "second_person");
        assert_eq!(code(s.pki().stage_authority(who, AuthorityUse::Root).await), "second_person");
        assert_eq!(code(s.pki().activate_authority(who, &device, true).await), "second_person");
        assert_eq!(code(s.pki().retire_authority(who, &device, true).await), "second_person");
        assert_eq!(code(s.pki().set_approvals(who, false).await), "second_person");
    }
    // Whoever may not do it may not ask for it either; and who is nobody can't.
    assert_eq!(fault(s.ask(&s.w.operator().await, STAGE).await).kind, FaultKind::Forbidden);
    assert_eq!(code(s.ask(&Actor::system(s.w.org.clone()), STAGE).await), "not_a_person");
    for remark in [String::new(), "x".repeat(501), "fine\u{1b}[2J".into(), "\u{202e}enif".into()] {
        let refused = fault(s.pki().ask_consent(&s.ada, AskConsent { deed: STAGE, remark }).await);
        assert_eq!(refused.field.as_deref(), Some("reason"));
    }

    let row = s.ask(&token, STAGE).await.unwrap();
    assert_eq!((row.asked_name.as_str(), &row.asked_by), ("ada", s.ada.user().unwrap()), "the person, not the token");
    assert_eq!(code(s.ask(&s.eve, STAGE).await), "already_asked");
    let offered = s.pki().authority(&s.ada, &device).await.unwrap();
    let stage = offered.actions.iter().find(|a| a.step == AuthorityStep::Stage).unwrap();
    assert!(offered.second_person && stage.blocked.as_deref().unwrap().contains("waits for another admin"));
    for own in [&s.ada, &token] {
        assert_eq!(code(s.approve(own, &row).await), "own_request");
        assert_eq!(code(s.pki().reject_consent(own, &row.id, "no").await), "own_request");
    }
    assert_eq!(fault(s.approve(&s.w.viewer().await, &row).await).kind, FaultKind::Forbidden);
    let other = wire::ids::Digest::from_bytes(&[7; 32]);
    assert_eq!(code(s.pki().approve_consent(&s.eve, &row.id, &other, "yes").await), "other_digest");
    assert_eq!(code(s.pki().approve_consent(&s.eve, &row.id, &row.digest, " ").await), "invalid");
    assert_eq!(s.newest().0, device, "nothing has happened");

    let (mine, theirs) = (s.pki().consents_page(&s.ada).await.unwrap(), s.pki().consents_page(&s.eve).await.unwrap());
    assert!(mine.on && mine.waiting[0].own && mine.waiting[0].blocked.as_deref().unwrap().contains("someone else must decide"));
    assert_eq!((theirs.admins, theirs.waiting[0].own, &theirs.waiting[0].blocked), (2, false, &None));
    assert_eq!((s.pki().consents_waiting(&s.ada).await.unwrap(), s.pki().consents_waiting(&s.eve).await.unwrap()), (0, 1));

    let done = s.approve(&s.eve, &row).await.unwrap();
    assert_eq!((done.state, done.decided_name.as_str(), s.newest().1), (ConsentState::Done, "eve", AuthorityState::Staged));
    let log = s.log().await;
    let words: Vec<_> = log.iter().map(|(action, by, _)| (action.as_str(), by.as_str())).collect();
    assert!(words.contains(&("authority.ask", "ada by token ci")) && words.contains(&("authority.approve", "eve")));
    assert!(words.contains(&("authority.create", "eve")), "the deed has its own entry: {words:?}");
    assert_eq!(code(s.approve(&s.eve, &row).await), "request_over");
    assert_eq!(code(s.pki().withdraw_consent(&s.ada, &row.id).await), "request_over");

    // Giving up what somebody else has the key of can't wait for anybody.
    s.pki().compromise_authority(&s.ada, &device).await.unwrap();
    assert!(s.w.fleet.access().verify_audit(&s.ada).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_the_command_line_is_the_way_out_and_the_log_says_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    s.pki().stage_authority(&s.shell(), AuthorityUse::Device).await.unwrap();
    let (_, by, detail) = s.log().await.into_iter().find(|(action, ..)| action == "authority.alone").unwrap();
    assert!(by == "command line" && detail.contains("on one person's word"), "{by}: {detail}");
    // It may also stand in for the second person, for whom it says that nobody knows who it was.
    let (staged, _) = s.newest();
    let row = s.ask(&s.ada, Deed::Activate { authority: staged.clone(), force: false }).await.unwrap();
    assert_eq!(code(s.ask(&s.shell(), STAGE).await), "not_a_person");
    s.approve(&s.shell(), &row).await.unwrap();
    assert_eq!(s.newest(), (staged, AuthorityState::Active));
    let (.., detail) = s.log().await.into_iter().find(|(action, ..)| action == "authority.approve").unwrap();
    assert!(detail.contains("on one person's word") && detail.contains("\"asked_by\":\"ada\""), "{detail}");
    s.pki().set_approvals(&s.shell(), false).await.unwrap();
    assert!(!s.pki().consents_page(&s.ada).await.unwrap().on);
    assert_eq!(code(s.ask(&s.ada, STAGE).await), "no_second_person");
    s.pki().stage_authority(&s.ada, AuthorityUse::Device).await.unwrap();
    assert_eq!(s.log().await.iter().filter(|(action, ..)| action == "authority.alone").count(), 2, "only where two are asked for");
}

/// Keeps what the log of this thread says was done on one person's word.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Subscriber for Said {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "deed" {
            self.0.lock().push(value.to_owned());
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_the_log_says_of_what_was_done_alone_and_not_of_what_was_refused(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let said = Said::default();
    let _here = tracing::subscriber::set_default(said.clone());
    let (device, _) = s.newest();
    assert!(s.pki().activate_authority(&s.shell(), &device, true).await.is_err(), "it is active");
    assert!(s.pki().retire_authority(&s.shell(), &device, true).await.is_err(), "nobody else issues");
    assert_eq!(*said.0.lock(), Vec::<String>::new());
    s.pki().stage_authority(&s.shell(), AuthorityUse::Device).await.unwrap();
    assert_eq!(*said.0.lock(), ["Stage the next authority for devices"]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_of_two_who_decide_at_once_one_does(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let max = s.w.person("max", Role::Admin).await;
    let row = s.ask(&s.ada, STAGE).await.unwrap();
    let (one, other) = tokio::join!(s.approve(&s.eve, &row), s.approve(&max, &row));
    assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
    assert_eq!(code(if one.is_ok() { other } else { one }), "request_over");
    let staged = s.pki().authorities_of(&s.w.org).iter().filter(|a| a.state == AuthorityState::Staged).count();
    assert_eq!(staged, 1);
    let (authority, _) = s.newest();
    let row = s.ask(&s.ada, Deed::Activate { authority, force: false }).await.unwrap();
    let (yes, no) = tokio::join!(s.approve(&s.eve, &row), s.pki().reject_consent(&max, &row.id, "not today"));
    assert_ne!(yes.is_ok(), no.is_ok(), "{yes:?} {no:?}");
    let active = s.newest().1 == AuthorityState::Active;
    assert_eq!((active, s.state(&row).await == ConsentState::Done), (yes.is_ok(), yes.is_ok()), "done by a yes, and by nothing else");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_a_request_is_void_once_what_it_is_about_has_changed(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let old = s.newest().0;
    s.pki().stage_authority(&s.shell(), AuthorityUse::Device).await.unwrap();
    let (staged, _) = s.newest();
    let row = s.ask(&s.ada, Deed::Activate { authority: staged.clone(), force: false }).await.unwrap();
    let names: Vec<_> = row.effects.iter().map(|e| (e.authority.clone().unwrap(), e.to)).collect();
    assert!(names.contains(&(staged.clone(), AuthorityState::Active)) && names.contains(&(old.clone(), AuthorityState::Retiring)));
    // Not the staged one itself: what it would take over from is gone.
    s.pki().compromise_authority(&s.eve, &old).await.unwrap();
    let card = s.pki().consents_page(&s.eve).await.unwrap().waiting.remove(0);
    assert!(card.blocked.unwrap().contains("changed since"));
    assert_eq!(code(s.approve(&s.eve, &row).await), "request_void");
    assert_eq!((s.state(&row).await, s.newest().1), (ConsentState::Void, AuthorityState::Staged), "nothing was done");
    assert_eq!(code(s.approve(&s.eve, &row).await), "request_over");
    assert!(s.log().await.iter().any(|(action, ..)| action == "authority.void"));

    // Somebody who is not an admin any more can't have it done by others.
    let max = s.w.person("max", Role::Admin).await;
    let row = s.ask(&max, Deed::Activate { authority: staged, force: false }).await.unwrap();
    s.w.fleet.access().set_role(&s.ada, max.user().unwrap(), Role::Operator).await.unwrap();
    assert_eq!(code(s.approve(&s.eve, &row).await), "request_void");
    // What can't be done to the authorities as they are is not asked for in the first place.
    assert_eq!(code(s.ask(&s.ada, Deed::Retire { authority: old.clone(), force: true }).await), "authority_state");
    assert_eq!(code(s.ask(&s.ada, STAGE).await), "authority_state");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_a_request_lapses_after_a_day_and_can_be_taken_back(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let row = s.ask(&s.ada, STAGE).await.unwrap();
    assert_eq!(code(s.pki().withdraw_consent(&s.eve, &row.id).await), "not_own_request");
    s.pki().withdraw_consent(&s.ada, &row.id).await.unwrap();
    assert_eq!(code(s.approve(&s.eve, &row).await), "request_over");
    let row = s.ask(&s.ada, STAGE).await.unwrap();
    s.w.clock.advance(24 * HOUR - 1);
    s.pki().lapse_consents().await.unwrap();
    assert_eq!(s.state(&row).await, ConsentState::Waiting);
    s.w.clock.advance(1);
    assert!(fault(s.approve(&s.eve, &row).await).message.contains("24 hours"));
    assert!(s.pki().consents_page(&s.eve).await.unwrap().waiting.is_empty());
    // The same may be asked for again before anybody has swept.
    let again = s.ask(&s.ada, STAGE).await.unwrap();
    s.pki().lapse_consents().await.unwrap();
    assert_eq!((s.state(&row).await, s.state(&again).await), (ConsentState::Expired, ConsentState::Waiting));
    assert!(s.log().await.iter().any(|(action, by, _)| action == "authority.lapse" && by == "automatic"));
    s.approve(&s.eve, &again).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_an_approval_does_what_one_person_could_have_done_and_no_more(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    enrol(&s.w, "gw-1").await;
    let old = s.newest().0;
    let row = s.ask(&s.ada, STAGE).await.unwrap();
    s.approve(&s.eve, &row).await.unwrap();
    let row = s.ask(&s.eve, Deed::Activate { authority: s.newest().0, force: false }).await.unwrap();
    s.approve(&s.ada, &row).await.unwrap();
    // The same rules hold for it: what has to be forced is not done unforced, and goes on waiting.
    let gentle = s.ask(&s.ada, Deed::Retire { authority: old.clone(), force: false }).await.unwrap();
    assert_eq!(code(s.approve(&s.eve, &gentle).await), "authority_in_use");
    assert_eq!(s.state(&gentle).await, ConsentState::Waiting);
    let forced = s.ask(&s.ada, Deed::Retire { authority: old.clone(), force: true }).await.unwrap();
    let cards = s.pki().consents_page(&s.eve).await.unwrap().waiting;
    assert_eq!(cards.iter().find(|c| c.row.id == forced.id).unwrap().cut, 1, "whom it cuts off is told");
    s.approve(&s.eve, &forced).await.unwrap();
    let state = s.pki().authorities_of(&s.w.org).into_iter().find(|a| a.id == old).unwrap().state;
    assert_eq!(state, AuthorityState::Retired);
    assert_eq!(code(s.approve(&s.eve, &gentle).await), "request_void");
    // A whole change of roots, with what comes along.
    let row = s.ask(&s.ada, Deed::Stage { kind: AuthorityUse::Root }).await.unwrap();
    assert_eq!(row.effects.len(), 3);
    s.approve(&s.eve, &row).await.unwrap();
    let root = s.pki().authorities_of(&s.w.org).into_iter().find(|a| a.kind == "root" && a.state == AuthorityState::Staged).unwrap();
    let row = s.ask(&s.ada, Deed::Activate { authority: root.id.clone(), force: true }).await.unwrap();
    assert_eq!(row.effects.len(), 6);
    s.approve(&s.eve, &row).await.unwrap();
    assert_eq!(s.pki().authority(&s.ada, &root.id).await.unwrap().standing.row.state, AuthorityState::Active);
    let row = s.ask(&s.ada, Deed::ApprovalsOff).await.unwrap();
    s.approve(&s.eve, &row).await.unwrap();
    s.pki().stage_authority(&s.ada, AuthorityUse::Server).await.unwrap();
    assert!(s.w.fleet.access().verify_audit(&s.ada).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_the_root_signs_no_authority_of_claims_on_one_word(#[case] kind: EngineKind) {
    let s = Scene::open(kind).await;
    let claim = || NewClaim {
        label: "Hall 3".into(),
        pattern: "gw-*".into(),
        device_type: String::new(),
        tags: Vec::new(),
        groups: Vec::new(),
        profile: String::new(),
        trusted_user: false,
        max_uses: 1,
        hours: 1,
        per_minute: 60,
        csr: String::new(),
    };
    let refused = s.w.fleet.devices().create_claim(&s.ada, claim()).await.unwrap_err().fault();
    assert_eq!(refused.code, "second_person");
    let row = s.ask(&s.ada, Deed::ClaimAuthority).await.unwrap();
    s.approve(&s.eve, &row).await.unwrap();
    s.w.fleet.devices().create_claim(&s.ada, claim()).await.unwrap();
    s.w.fleet.devices().create_claim(&s.eve, claim()).await.unwrap();
}
