//! Enrolment: how a device joins, the tokens it joins with, the devices that wait for a person, batches from a factory, claims, authorities of one's own, and
//! shared secrets, and files of devices that are known elsewhere.

mod claims;
mod factory;
mod guide;
mod import;
mod own;
mod requests;
mod shared;
mod tokens;

use crate::api::packed::{Reading, reading};
use crate::ui::form::FormCall;
use crate::{
    api::enrolment::{
        ApproveEnrolment, CancelBatch, CreateClaimHere, CreateEnrolmentToken, Created, DisableClaim, EnrolmentModel as Model,
        OpenEnrolment, ReadEnrolment, RejectEnrolment, RevokeBatch, RevokeEnrolmentToken, RunImport,
    },
    api::registered::{
        BringList, DisableAuthority, EnableAuthority, FetchListNow, RegisterAuthority, RemoveAuthority, RenewVerificationCode,
        SetListAddress, VerifyAuthority,
    },
    api::shared::{CreateGatewayToken, CreateTargetToken, RevokeGatewayToken, SetSharedSecrets},
    live,
    ui::{
        Control, Field, PageHead, Tone, banner, card, field,
        form::{Post, action, on_success, said},
        icon,
        number::grouped,
        page::{self, page},
        refocus, select,
        unread::{self, Word},
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    enrolment::{AgentKey, EnrolmentPage as Page, GivenGroup, Listed},
    live::Topic,
    pki::{KeyType, SignerLost},
    registered::RegisteredState,
};

/// Words of the page's address.
const WORDS: [Word; 1] = [("tab", "way to add devices", guide::Way::is_one)];
const OTHERS: [&str; 5] = ["batch", "ca", "cur", "device", "import"];

/// `/enrolment`; `?tab=` shows another way in, `?batch=ID` a batch, `?import=ID` a file of devices, `?revoke=ID`, `?approve=ID`, `?reject=ID` and `?disable=ID` ask
/// without JavaScript, `?ca=ID` shows a registered authority, `?cur=` the rows of a list behind those that are shown first.
#[component]
pub fn EnrolmentPage() -> AnyView {
    let query = use_query_map();
    let way = Memo::new(move |_| query.with(|q| guide::Way::of(q.get_str("tab").unwrap_or_default())));
    let model = reading(move || {
        let word = |name: &str| query.with(|q| q.get(name).unwrap_or_default());
        ReadEnrolment { batch: word("batch"), import: word("import"), cur: word("cur") }
    });
    // A file is compared with the fleet anew with each reading, up to ten thousand lines: not with everything that any device does.
    live::refetch_on(move || query.with(|q| q.get_str("import").is_none()).then_some(Topic::Devices), 1000, model);
    let newest = RwSignal::new(None);
    let create = action::<CreateEnrolmentToken>();
    on_success(create, move |c| made(newest, Created::Token(c), model));
    let calls = Calls {
        create,
        newest,
        revoke: said::<RevokeEnrolmentToken>("Token revoked", model),
        deciding: requests::Deciding {
            approve: said::<ApproveEnrolment>("Device approved", model),
            reject: said::<RejectEnrolment>("Device rejected", model),
            chosen: RwSignal::new(None),
        },
        open: said::<OpenEnrolment>("Setting changed", model),
    };
    let here = action::<CreateClaimHere>();
    on_success(here, move |c| made(newest, Created::Claim(c), model));
    let lots = Lots {
        cancel: said::<CancelBatch>("Batch stopped", model),
        disable: said::<DisableClaim>("Claim disabled", model),
        here,
        revoke: said::<RevokeBatch>("Batch revoked", model),
        run: import::call(model),
        sent: Post::plain(import::PATH),
    };
    let shares = shared::Shares {
        set: said::<SetSharedSecrets>("Setting changed", model),
        gateway: action::<CreateGatewayToken>(),
        revoke: said::<RevokeGatewayToken>("Gateway token revoked", model),
        target: action::<CreateTargetToken>(),
    };
    on_success(shares.gateway, move |c| made(newest, Created::Gateway(c), model));
    on_success(shares.target, move |c| made(newest, Created::Target(c), model));
    let own = own::Owns {
        register: said::<RegisterAuthority>("Authority registered", model),
        code: said::<RenewVerificationCode>("Code made", model),
        verify: said::<VerifyAuthority>("Possession proved", model),
        enable: said::<EnableAuthority>("Authority enabled", model),
        disable: said::<DisableAuthority>("Authority disabled", model),
        list: said::<BringList>("List brought", model),
        address: said::<SetListAddress>("Address changed", model),
        fetch: said::<FetchListNow>("Its address is asked now", model),
        remove: said::<RemoveAuthority>("Authority removed", model),
    };
    let ca = Memo::new(move |_| query.with(|q| q.get("ca")));
    let content = page(model, move |model: Model| {
        let asked = query.with_untracked(|q| Asked {
            revoke: q.get("revoke"),
            approve: q.get("approve"),
            reject: q.get("reject"),
            disable: q.get("disable"),
            revoke_batch: q.get("revoke-batch").is_some(),
            device: q.get("device"),
        });
        content(&model, &asked, (way.get(), ca.get()), &calls, (lots, own, shares))
    });
    view! { {unread::notice(&WORDS, &OTHERS)}{content}{requests::decide_dialog(calls.deciding)} }.into_any()
}

/// The id of the heading over a secret that is shown once.
const CREATED: &str = "created";

/// What was made is shown above the form that made it, out of sight on a phone, in place of what was made before it: each is shown this once.
fn made(newest: RwSignal<Option<Created>>, created: Created, model: Reading) {
    newest.set(Some(created));
    model.refetch();
    refocus::lead_to(CREATED);
}

/// What the address asks about, by id.
struct Asked {
    revoke: Option<String>,
    approve: Option<String>,
    reject: Option<String>,
    disable: Option<String>,
    /// The batch that is shown is asked about.
    revoke_batch: bool,
    /// The device that a target token is asked for.
    device: Option<String>,
}

#[derive(Clone, Copy)]
struct Calls {
    create: FormCall<CreateEnrolmentToken>,
    /// What was made last, on whichever tab.
    newest: RwSignal<Option<Created>>,
    revoke: FormCall<RevokeEnrolmentToken>,
    deciding: requests::Deciding,
    open: FormCall<OpenEnrolment>,
}

/// The calls of the tabs that have no tokens.
#[derive(Clone, Copy)]
struct Lots {
    cancel: FormCall<CancelBatch>,
    disable: FormCall<DisableClaim>,
    here: FormCall<CreateClaimHere>,
    revoke: FormCall<RevokeBatch>,
    run: FormCall<RunImport>,
    /// The form that sends a file of devices.
    sent: Post,
}

fn content(
    model: &Model,
    asked: &Asked,
    (way, ca): (guide::Way, Option<String>),
    calls: &Calls,
    (lots, own, shares): (Lots, own::Owns, shared::Shares),
) -> AnyView {
    let p = &model.page;
    let authority = |id: &str| p.registered.all.iter().find(|a| a.id.as_str() == id);
    let revoke = asked.revoke.as_deref().filter(|_| p.may_edit);
    let revoke = revoke
        .and_then(|id| p.tokens.iter().find(|t| t.id.as_str() == id && t.revoked_at.is_none()))
        .map(|t| page::question(format!("Revoke {}", t.label), tokens::ask(t, calls.revoke)));
    let decided = |id: &Option<String>, decision| {
        let request = id.as_deref().filter(|_| p.may_approve).and_then(|id| p.requests.iter().find(|r| r.id.as_str() == id));
        request.map(|r| requests::question(r, decision, calls.deciding))
    };
    let approve = decided(&asked.approve, requests::Decision::Approve);
    let reject = decided(&asked.reject, requests::Decision::Reject);
    // The plain form's secret comes with the page, the scripted form's as the answer of its call.
    let (newest, posted, deciding) = (calls.newest, model.created.clone(), calls.deciding);
    let shown = p.clone();
    let created = move || {
        newest.get().or_else(|| posted.clone()).map(|created| match created {
            Created::Token(c) => tokens::created_card(&c, &shown, way),
            Created::Claim(c) => claims::created_card(&c, &shown),
            Created::Gateway(c) => shared::gateway_card(&c, &shown),
            Created::Target(c) => shared::target_card(&c, &shown),
        })
    };
    let gateway = asked.revoke.as_deref().filter(|_| p.shared.may_manage);
    let gateway = gateway
        .and_then(|id| p.shared.gateways.iter().find(|t| t.id.as_str() == id && t.revoked_at.is_none()))
        .map(|t| page::question(format!("Revoke {}", t.label), shared::ask(t, shares.revoke)));
    let disable = asked.disable.as_deref();
    let disable = disable
        .and_then(|id| p.claims.all.iter().find(|c| c.id.as_str() == id))
        .filter(|c| c.disabled_at.is_none() && claims::may_disable(c, p))
        .map(|c| page::question(format!("Disable {}", c.label), claims::ask(c, lots.disable)));
    let disable_own = asked.disable.as_deref().filter(|_| p.registered.may_manage);
    let disable_own = disable_own.and_then(authority).filter(|a| a.state == RegisteredState::Active);
    let disable_own = disable_own.map(|a| page::question(format!("Disable {}", a.label), own::ask(a, own.disable)));
    let named = ca.as_deref().filter(|id| way == guide::Way::Own && !id.is_empty());
    let gone = named.and_then(|id| authority(id).is_none().then(own::gone));
    let sides = match way {
        guide::Way::HawkBit => shared::sides(p, asked.device.clone(), shares),
        guide::Way::Own => own::sides(p, named.and_then(authority), &own),
        guide::Way::Factory => factory::sides(p, lots.cancel, lots.revoke, asked.revoke_batch),
        guide::Way::Import => import::sides(p, lots.run, lots.sent),
        guide::Way::Claim => claims::sides(p, lots.disable, lots.here),
        guide::Way::Agent | guide::Way::Est => with_tokens(p, way, calls),
    };
    view! {
        <PageHead title="Add devices" sub=way.sub().into_any()/>
        {p.signer_lost.as_ref().map(lost)}
        {revoke}
        {gateway}
        {approve}
        {reject}
        {disable}
        {disable_own}
        {gone}
        {created}
        {requests::waiting(p, deciding)}
        <div class="split">{sides}</div>
    }
    .into_any()
}

/// That devices get no certificate now, or not from everybody.
fn lost(lost: &SignerLost) -> AnyView {
    let what = if lost.whole { "No device gets a certificate now: " } else { "Not every device gets a certificate now: " };
    let text = view! { <b>{what}</b>{lost.why.clone()}" "<a href="/certificates/authorities">"Authorities"</a> };
    view! { <div class="mb-4">{banner(Tone::Bad, text.into_any())}</div> }.into_any()
}

/// Below a list of which there is more than this: "The newest 50 of 1,204", with a way to the others and back. `name` is what it is a list of, as two may
/// stand on the page; `address` is the list's own, with a query.
fn rest(list: &Listed, shown: usize, (end, name): (&'static str, &'static str), address: &str) -> AnyView {
    if list.next.is_none() && list.behind.is_none() {
        return ().into_any();
    }
    let shown = grouped(i64::try_from(shown).unwrap_or(i64::MAX));
    let words = if list.behind.is_some() {
        format!("{shown} of {}", grouped(list.total))
    } else {
        format!("The {end} {shown} of {}", grouped(list.total))
    };
    let first =
        list.behind.is_some().then(|| view! { <a class="btn" data-s="sm" href=address.to_owned()>{icon("chevron-left")}"First"</a> });
    let next = list.next.as_ref().map(|cursor| {
        view! { <a class="btn" data-s="sm" href=format!("{address}&cur={cursor}")>"Next"{icon("chevron-right")}</a> }
    });
    view! {
        <nav class="pager" aria-label=format!("Pages of {name}")>
            <span>{words}</span>
            <div class="btn-group push">{first}{next}</div>
        </nav>
    }
    .into_any()
}

/// The profile of the certificates that something gives; no field where there is none to choose.
fn profile_field(p: &Page, chosen: &str) -> Option<Field> {
    if p.profiles.is_empty() {
        return None;
    }
    let none = (String::new(), "None: 90 days, every type of key".to_owned());
    let options = std::iter::once(none).chain(p.profiles.iter().map(|of| (of.name.clone(), of.name.clone()))).collect();
    Some(select("profile", "Certificate profile", options).value(chosen).hint("Admins make profiles under Certificates, Rules."))
}

/// Why the agent is told which key to make; nothing where its usual one will do.
fn key_words(p: &Page, profile: &str) -> Option<AnyView> {
    let of = p.profiles.iter().find(|of| of.name == profile)?;
    let (types, key) = (of.others_than(KeyType::P256)?, AgentKey::for_any_of(&of.keys));
    let text = format!("The profile {profile} takes {types} only, so the agent is told to make a {key} key.");
    Some(view! { <p class="small text-2">{text}</p> }.into_any())
}

/// The groups that devices are put into as they come in, where there are any. `chosen` are ids.
fn groups_field(p: &Page, chosen: &[String]) -> Option<Field> {
    let options: Vec<_> = p.groups.iter().filter(|group| !group.deleted).map(|group| (group.id.to_string(), group.name.clone())).collect();
    let hint = "Its devices are put into these as they come in.";
    (!options.is_empty()).then(|| field("groups", "Groups", Control::Checks(options)).value(chosen.join(" ")).hint(hint))
}

/// Groups that something gives, by their names; none when it gives none.
fn groups_words(groups: &[GivenGroup]) -> Option<String> {
    let name = |group: &GivenGroup| if group.deleted { format!("{} (deleted)", group.name) } else { group.name.clone() };
    (!groups.is_empty()).then(|| groups.iter().map(name).collect::<Vec<_>>().join(", "))
}

/// The profile that something gives, in words; none when it gives none.
fn profile_words(profile: &str) -> Option<String> {
    (!profile.is_empty()).then(|| format!("profile {profile}"))
}

/// The ways in that begin with a token: how, which there are, and a new one.
fn with_tokens(p: &Page, way: guide::Way, calls: &Calls) -> AnyView {
    let new = p.may_edit.then(|| card("New token", None, tokens::new_form(p, calls.create)));
    view! {
        <div class="stack">{guide::card_of(p, way)}{tokens::list(p, calls.revoke)}</div>
        <div class="stack">{new}{requests::setting(p, calls.open)}</div>
    }
    .into_any()
}
