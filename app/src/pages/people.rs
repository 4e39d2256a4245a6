//! People with a login, and the API tokens of scripts.

use super::words;
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::people::{CreateApiToken, CreateUser, DisableUser, PeopleModel as Model, ReadPeople, RevokeApiToken, SetUserRole},
    ui::{
        Column, Confirm, Control, PageHead, Tone, asked, badge, card, code_block, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty, field,
        form::{self, fault_banner, refusal, said},
        page::{self, card_flush, page},
        select, table, text, time, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    access::{ApiToken, CreatedApiToken, MAX_TOKEN_DAYS, PeoplePage as Page, User},
    states::Role,
};

/// `/people`; `?disable=ID` and `?revoke=ID` ask without JavaScript.
#[component]
pub fn PeoplePage() -> AnyView {
    let query = use_query_map();
    let model = reading(|| ReadPeople {});
    let calls = Calls {
        add: said("Added", model),
        role: said("Role changed", model),
        disable: said("Switched off", model),
        create: said("Token made", model),
        revoke: said("Token revoked", model),
    };
    let content = page(model, move |model: Model| {
        let asked = query.with_untracked(|q| q.get("disable").or_else(|| q.get("revoke")));
        content(&model, asked.as_deref(), calls)
    });
    view! { {unread::notice(&[], &[])}{content} }.into_any()
}

#[derive(Clone, Copy)]
struct Calls {
    add: FormCall<CreateUser>,
    role: FormCall<SetUserRole>,
    disable: FormCall<DisableUser>,
    create: FormCall<CreateApiToken>,
    revoke: FormCall<RevokeApiToken>,
}

fn content(model: &Model, asked: Option<&str>, calls: Calls) -> AnyView {
    let p = &model.page;
    let question = asked.and_then(|id| {
        let user = p
            .users
            .iter()
            .find(|u| p.may_edit && !u.disabled && u.id.as_str() == id)
            .map(|u| (format!("Switch off {}", u.name), ask_disable(u, "page-", calls.disable)));
        let token = || {
            p.tokens
                .iter()
                .find(|t| t.may_revoke && t.revoked_at.is_none() && t.id.as_str() == id)
                .map(|t| (format!("Revoke {}", t.name), ask_revoke(t, "page-", calls.revoke)))
        };
        user.or_else(token)
    });
    let question = question.map(|(title, form)| page::question(title, form));
    // The plain form's token comes with the page, the scripted form's as the answer of its call.
    let posted = model.created.clone();
    let created = move || {
        let answered = calls.create.done();
        answered.or_else(|| posted.clone()).map(|c| created_card(&c))
    };
    let forms = (p.may_edit || p.may_make_tokens).then(|| {
        view! {
            <div class="stack">
                {p.may_edit.then(|| card("Add a person", None, add_form(calls.add)))}
                {p.may_make_tokens.then(|| card("New API token", None, token_form(calls.create)))}
            </div>
        }
    });
    let tokens = if p.tokens.is_empty() {
        empty(
            "key-round",
            "No API token yet",
            "A script, such as a build pipeline that uploads releases, signs in with an API token.",
            None,
        )
    } else {
        token_rows(p, calls.revoke)
    };
    view! {
        <PageHead title="People" sub=view! { "Viewers read, operators run the fleet, admins also approve rollouts and manage people and keys." }.into_any()/>
        {question}
        {created}
        <div class="split">
            <div class="stack">
                {card_flush("People", None, user_rows(p, calls))}
                {(!p.may_edit).then(|| page::locked("Adding people, and changing what they may do, needs the role admin."))}
                {card_flush("API tokens", None, tokens)}
            </div>
            {forms}
        </div>
    }
    .into_any()
}

fn roles() -> Vec<(String, String)> {
    Role::ALL.iter().map(|r| (r.as_str().to_owned(), r.as_str().to_owned())).collect()
}

fn user_rows(p: &Page, calls: Calls) -> AnyView {
    let columns = vec![
        Column::text("Name"),
        Column::text("E-mail"),
        Column::text("Role"),
        Column::text("Standing"),
        Column::text("Since"),
        Column::actions("Switch off"),
    ];
    let rows = p
        .users
        .iter()
        .map(|u| {
            let (tone, word) = if u.disabled {
                (Tone::Off, "Switched off")
            } else if u.locked_until.is_some_and(|until| until > p.at) {
                (Tone::Warn, "Wrong passwords")
            } else {
                (Tone::Ok, "Active")
            };
            let editable = p.may_edit && !u.disabled;
            let button = editable.then(|| {
                let id = format!("disable-{}", u.id);
                view! {
                    {dialog_link(id.clone(), asked::asking("disable", &u.id), "ghost", "Switch off…".into_any())}
                    {dialog(id, format!("Switch off {}", u.name), ask_disable(u, "", calls.disable))}
                }
            });
            let role = if editable { role_form(u, calls.role) } else { u.role.as_str().into_any() };
            let (mailbox, host) = u.email.split_at(u.email.find('@').unwrap_or(0));
            view! {
                <tr>
                    <th scope="row">{u.name.clone()}</th>
                    <td class="breaks">{mailbox.to_owned()}<wbr/>{host.to_owned()}</td>
                    <td>{role}</td>
                    <td>{badge(tone, word)}</td>
                    <td class="dim">{time::ago(u.created_at)}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    let fault = move || fault_banner(refusal(calls.role).as_ref());
    view! { {fault}{table("People", columns, rows.into_any())} }.into_any()
}

fn role_form(u: &User, call: FormCall<SetUserRole>) -> AnyView {
    let options = Role::ALL
        .iter()
        .map(|r| {
            let selected = *r == u.role;
            view! { <option value=r.as_str() selected=selected>{r.as_str()}</option> }
        })
        .collect_view();
    let (id, name) = (u.id.to_string(), u.name.clone());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <div class="row nowrap">
                <select class="select unit" name="role" aria-label=format!("Role of {name}")>{options}</select>
                <button class="btn" data-s="sm" type="submit" aria-label=format!("Change the role of {name}")>"Change"</button>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn add_form(call: FormCall<CreateUser>) -> AnyView {
    view! {
        <ActionForm action=call clears=true>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("name", "Name").id("user-name").required().max_length(100).autocomplete("off").refused(call).view()}
                {field("email", "E-mail", Control::Input("email")).id("user-email").required().autocomplete("off").refused(call).view()}
                {select("role", "Role", roles()).id("user-role").value(Role::Viewer.as_str()).refused(call).view()}
                {field("password", "First password", Control::Input("password")).id("user-password").required().autocomplete("new-password")
                    .hint("At least 12 characters. They can change it under Account.").refused(call).view()}
                <div class="row">{form::submit("Add person", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn token_form(call: FormCall<CreateApiToken>) -> AnyView {
    view! {
        <ActionForm action=call clears=true>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("name", "What it is for").id("token-name").required().max_length(100).placeholder("Build pipeline").autocomplete("off").refused(call).view()}
                {select("role", "Its role", roles()).id("token-role").value(Role::Operator.as_str())
                    .hint("Never more than you may yourself.").refused(call).view()}
                {field("days", "Valid for, in days", Control::Input("number")).id("token-days").value("90").bounds(1, i64::from(MAX_TOKEN_DAYS))
                    .required().refused(call).view()}
                <div class="row">{form::submit("Make token", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn created_card(c: &CreatedApiToken) -> AnyView {
    view! {
        <section class="card created" aria-live="polite">
            <header><h2>{format!("API token for {}", c.token.name)}</h2></header>
            <div class="body stack">
                <p>"Copy it now: it is shown this once. Send it as "<code>"Authorization: Bearer …"</code>" to /api/v1."</p>
                {code_block(c.secret.clone(), "API token")}
            </div>
        </section>
    }
    .into_any()
}

fn token_rows(p: &Page, revoke: FormCall<RevokeApiToken>) -> AnyView {
    let columns = vec![
        Column::text("Token"),
        Column::text("Role"),
        Column::text("State"),
        Column::text("Ends"),
        Column::text("Last used"),
        Column::text("Made by"),
        Column::actions("Revoke"),
    ];
    let rows = p
        .tokens
        .iter()
        .map(|t| {
            let (tone, word) = words::token_standing(t.revoked_at.is_some(), false, t.expires_at, p.at);
            let button = (t.may_revoke && tone == Tone::Ok).then(|| {
                let id = format!("revoke-{}", t.id);
                view! {
                    {dialog_link(id.clone(), asked::asking("revoke", &t.id), "ghost", "Revoke…".into_any())}
                    {dialog(id, format!("Revoke {}", t.name), ask_revoke(t, "", revoke))}
                }
            });
            view! {
                <tr>
                    <th scope="row">{t.name.clone()}</th>
                    <td>{t.role.as_str()}</td>
                    <td>{badge(tone, word)}</td>
                    <td>{time::ago(t.expires_at)}</td>
                    <td class="dim">{time::ago_or(t.last_used_at, "never")}</td>
                    <td>{t.created_by.clone()}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("API tokens", columns, rows.into_any())
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask_disable(u: &User, place: &str, call: FormCall<DisableUser>) -> AnyView {
    let (form_id, email, back) = (format!("{place}off-{}", u.id), u.email.clone(), asked::way_out(&format!("disable-{}", u.id)));
    let confirm = Confirm {
        text: "They can't sign in any more, and their sessions end at once. What they did stays in the audit log.".to_owned(),
        verb: "Switch off".to_owned(),
        cancel: "Keep",
        back,
        danger: true,
        type_name: Some(email),
        reason: None,
    };
    let inside = confirm_dialog_as(&form_id, confirm, call);
    let id = u.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

fn ask_revoke(t: &ApiToken, place: &str, call: FormCall<RevokeApiToken>) -> AnyView {
    let (form_id, back) = (format!("{place}token-{}", t.id), asked::way_out(&format!("revoke-{}", t.id)));
    let confirm = Confirm {
        text: "Scripts that use it are refused from now on.".to_owned(),
        verb: "Revoke token".to_owned(),
        cancel: "Keep it",
        back,
        danger: true,
        type_name: None,
        reason: None,
    };
    let inside = confirm_dialog_as(&form_id, confirm, call);
    let id = t.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
