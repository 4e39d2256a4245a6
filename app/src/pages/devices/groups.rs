//! Groups of devices: the list, and one group with its devices and the ways to put some in and take some out. Both are one address: `?name=` chooses a
//! group, `?q=` counts what a selector means before anything is changed.

use super::filters::{self, encoded};
use crate::{
    api::{
        groups::{ChangeMembers, CreateGroup, DeleteGroup, GroupsModel, ReadGroups, RenameGroup, page_of},
        packed::reading,
    },
    pages::words,
    ui::{
        Column, Confirm, Control, PageHead, asked, badge,
        completion::Completing,
        dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty, fault_banner, field,
        form::{self, ActionForm, FormCall, QueryForm, refusal, said, selector},
        icon,
        number::{counted, grouped},
        page::{behind, card, card_flush, page, question},
        pager, status, submit, table, text, time,
        unread::{self, Known},
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    devices::{DeviceGroup, DeviceRow, GroupPage, GroupsPage as List},
    selector::Field,
};

/// Most devices that are changed at once; the server says no to more.
const MOST: i64 = 10_000;

/// The ids of the dialogs.
const RENAME: &str = "rename-group";
const DELETE: &str = "delete-group";

#[derive(Clone, Copy)]
struct Calls {
    create: FormCall<CreateGroup>,
    rename: FormCall<RenameGroup>,
    delete: FormCall<DeleteGroup>,
    members: FormCall<ChangeMembers>,
    /// How the selector could go on.
    ways: Completing,
}

/// What the address asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Asked {
    name: String,
    q: Option<String>,
    cursor: Option<String>,
    before: i64,
    ask: Option<String>,
}

/// What the address may say: a list of groups has no words of its own.
fn known(asked: &Asked) -> Known {
    let others: &'static [&'static str] = if asked.name.is_empty() { &["name"] } else { &["name", "q", "cursor", "before"] };
    (&[], others)
}

/// `/groups`, `/groups?name=…`
#[component]
pub fn GroupsPage() -> AnyView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        query.with(|q| Asked {
            name: q.get("name").unwrap_or_default(),
            q: q.get("q"),
            cursor: q.get("cursor"),
            before: q.get("before").and_then(|n| n.parse().ok()).unwrap_or(0_i64).max(0),
            ask: q.get("ask"),
        })
    });
    let model = reading(move || {
        let Asked { name, q, cursor, .. } = asked.get();
        ReadGroups { name, q, cursor }
    });
    let calls = Calls {
        create: said("Group made", model),
        // The page of the old name is gone: the server leads to the new one.
        rename: form::action(),
        delete: form::action(),
        members: said("Changed", model),
        ways: Completing::new("members-q"),
    };
    let notice = unread::notice_of(move |path| (path == "/groups").then(|| asked.with(known)));
    let content = page(model, move |model: GroupsModel| {
        let asked = asked.get_untracked();
        match (&model.list, &model.group) {
            (_, Some(group)) => one(group, &asked, &calls),
            (Some(all), None) => list(all, &calls),
            (None, None) => ().into_any(),
        }
    });
    view! { {notice}{content} }.into_any()
}

/// The address of its devices in the list.
fn devices_of(name: &str) -> String {
    filters::href(filters::with("", &Field::Group, name))
}

fn list(model: &List, calls: &Calls) -> AnyView {
    let body = if model.groups.is_empty() {
        let text =
            "A group is a set of devices that people put together by hand. Selectors ask for it by its name, for example group:north.";
        view! { <div class="card">{empty("bookmark", "No group yet", text, None)}</div> }.into_any()
    } else {
        card_flush("Groups", Some(grouped(i64::try_from(model.groups.len()).unwrap_or(0)).into_any()), rows(&model.groups))
    };
    let new = if model.may_edit {
        card("New group", None, create_form(calls.create))
    } else {
        card(
            "New group",
            None,
            view! { <p>"Making and filling groups needs the role operator. An admin can give it to you."</p> }.into_any(),
        )
    };
    view! {
        <PageHead title="Groups" sub=view! { "Devices put together by hand. "<a href="/devices">"Devices"</a>" that share tags or attributes need none: a selector finds them." }.into_any()/>
        <div class="split"><div class="stack">{body}</div><div class="stack">{new}</div></div>
    }
    .into_any()
}

fn rows(groups: &[DeviceGroup]) -> AnyView {
    let columns =
        vec![Column::text("Group"), Column::number("Devices"), Column::text("Asked for by"), Column::text("Made by"), Column::text("Made")];
    let rows = groups
        .iter()
        .map(|g| {
            view! {
                <tr>
                    <th scope="row"><a class="main" href=page_of(&g.name)>{g.name.clone()}</a></th>
                    <td class="num">{grouped(g.devices)}</td>
                    <td>{users(g)}</td>
                    <td>{g.created_by.clone()}</td>
                    <td class="dim">{time::ago(g.created_at)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Groups", columns, rows.into_any())
}

/// The rollouts that ask for a group, each with its state.
fn users(g: &DeviceGroup) -> AnyView {
    if g.used_by.is_empty() {
        return view! { <span class="dim">"no rollout"</span> }.into_any();
    }
    let links = g
        .used_by
        .iter()
        .map(|r| {
            let (tone, word) = words::rollout(r.state);
            view! { <div class="row"><a href=format!("/rollouts/{}", r.id)>{r.name.clone()}</a>{badge(tone, word)}</div> }
        })
        .collect_view();
    links.into_any()
}

fn create_form(call: FormCall<CreateGroup>) -> AnyView {
    view! {
        <ActionForm action=call clears=true>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("name", "Name").required().max_length(100).placeholder("Hall 3").autocomplete("off").hint("Selectors ask for it by this name: group:NAME.").refused(call).view()}
                <div class="row">{submit("Make group", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn one(model: &GroupPage, asked: &Asked, calls: &Calls) -> AnyView {
    let g = &model.group;
    let sub = view! { {counted(g.devices, "device", "devices")}" · made by "{g.created_by.clone()}" "{time::ago(g.created_at)} };
    let file = format!("/api/v1/devices:export?q={}", encoded(&filters::with("", &Field::Group, &g.name)));
    let all = view! {
        <a class="btn" href=file download="" rel="external">{icon("download")}"CSV"</a>
        <a class="btn" href=devices_of(&g.name)>{icon("list")}"Show in the list"</a>
    };
    let asks = match asked.ask.as_deref() {
        Some("rename") if changeable(model) => question(format!("Rename {}", g.name), rename_form(g, "page-", calls.rename)),
        Some("delete") if changeable(model) => question(format!("Delete {}", g.name), delete_form(g, "page-", calls.delete)),
        _ => ().into_any(),
    };
    view! {
        <PageHead title=g.name.clone() sub=sub.into_any() actions=view! { {all}{buttons(model)} }.into_any()/>
        {asks}
        <div class="split">
            {members(model, asked)}
            <div class="stack">
                {changes(model, asked, (calls.members, calls.ways))}
                {card("Asked for by", None, users(g))}
            </div>
        </div>
        {changeable(model).then(|| view! {
            {dialog(RENAME, format!("Rename {}", g.name), rename_form(g, "", calls.rename))}
            {dialog(DELETE, format!("Delete {}", g.name), delete_form(g, "", calls.delete))}
        })}
    }
    .into_any()
}

/// Whether it may get another name, or go: nobody's plan must come to mean other devices by that.
fn changeable(model: &GroupPage) -> bool {
    model.may_edit && model.group.used_by.is_empty()
}

fn buttons(model: &GroupPage) -> AnyView {
    if !model.may_edit {
        return ().into_any();
    }
    if changeable(model) {
        return view! {
            {dialog_link(RENAME, asked::asking("ask", "rename"), "", view! { {icon("pencil")}"Rename…" }.into_any())}
            {dialog_link(DELETE, asked::asking("ask", "delete"), "danger", view! { {icon("trash-2")}"Delete…" }.into_any())}
        }
        .into_any();
    }
    let why = "A rollout that has not ended asks for this group. Change its plan, or let it end first.";
    let off = |id: &'static str, mark: &'static str, label: &'static str| {
        view! {
            <button type="button" class="btn" aria-disabled="true" aria-describedby=id title=why>{icon(mark)}{label}</button>
            <span class="sr" id=id>{why}</span>
        }
    };
    view! { {off("why-rename", "pencil", "Rename…")}{off("why-delete", "trash-2", "Delete…")} }.into_any()
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn rename_form(g: &DeviceGroup, place: &str, call: FormCall<RenameGroup>) -> AnyView {
    let (name, back, id) = (g.name.clone(), asked::way_out(RENAME), format!("{place}f-to"));
    view! {
        <ActionForm action=call>
            <input type="hidden" name="name" value=name.clone()/>
            <div class="body">
                {move || fault_banner(refusal(call).as_ref())}
                {text("to", "New name").id(id).value(name).required().max_length(100).autocomplete("off").hint("Selectors that ask for the old name find nothing then.").refused(call).view()}
            </div>
            {crate::ui::dialog::buttons("Cancel", back, submit("Rename", "primary", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any()
}

fn delete_form(g: &DeviceGroup, place: &str, call: FormCall<DeleteGroup>) -> AnyView {
    let (name, devices, back, id) = (g.name.clone(), g.devices, asked::way_out(DELETE), format!("{place}delete"));
    let hidden = name.clone();
    let confirm = Confirm {
        text: format!(
            "The group of {} goes; the devices stay as they are. Selectors that ask for it find nothing then, and tokens that put devices into it do without.",
            counted(devices, "device", "devices")
        ),
        verb: "Delete group".to_owned(),
        cancel: "Keep it",
        back,
        danger: true,
        type_name: Some(name),
        reason: None,
    };
    let inside = confirm_dialog_as(&id, confirm, call);
    view! { <ActionForm action=call><input type="hidden" name="name" value=hidden/>{inside}</ActionForm> }.into_any()
}

fn members(model: &GroupPage, asked: &Asked) -> AnyView {
    let g = &model.group;
    let shown = i64::try_from(model.devices.items.len()).unwrap_or(0);
    let here = page_of(&g.name);
    let body = if model.devices.items.is_empty() && asked.cursor.is_some() {
        behind(here.clone())
    } else if model.devices.items.is_empty() {
        empty("cpu", "No device in it", "Put devices in by a selector or by their ids.", None)
    } else {
        let columns =
            vec![Column::text("Device"), Column::text("Status"), Column::text("Firmware"), Column::text("Type"), Column::text("Last seen")];
        table(format!("Devices of {}", g.name), columns, model.devices.items.iter().map(line).collect_view().into_any())
    };
    let next = model.devices.next.as_ref().map(|cursor| format!("{here}&cursor={}&before={}", encoded(cursor), asked.before + shown));
    let first = asked.cursor.is_some().then(|| here.clone());
    view! {
        <div>
            {card_flush("Devices", None, body)}
            {pager(asked.before, shown, model.devices.total, first, next)}
        </div>
    }
    .into_any()
}

fn line(row: &DeviceRow) -> AnyView {
    let (tone, word) = words::device(row.state, row.online);
    view! {
        <tr>
            <th scope="row"><a class="main mono" href=format!("/devices/{}", row.device_id)>{row.device_id.to_string()}</a></th>
            <td>{status(tone, word)}</td>
            <td class="mono">{row.version.clone()}</td>
            <td>{row.device_type.clone()}</td>
            <td class="dim">{time::ago_or(row.last_seen_at, "never")}</td>
        </tr>
    }
    .into_any()
}

/// The ways to change who is in it.
fn changes(model: &GroupPage, asked: &Asked, (call, ways): (FormCall<ChangeMembers>, Completing)) -> AnyView {
    if !model.may_edit {
        let text = "Changing who is in a group needs the role operator. An admin can give it to you.";
        return card("Change who is in it", None, view! { <p>{text}</p> }.into_any());
    }
    let (name, listed) = (model.group.name.clone(), model.group.name.clone());
    let before = asked.q.clone().unwrap_or_default();
    let by_selector = view! {
        <QueryForm action="/groups">
            <input type="hidden" name="name" value=name/>
            <div class="stack">
                {selector("q", "Every device that a selector means", ways).value(before).placeholder("type:gateway tag:eu").max_length(2000).view()}
                <div class="row"><button class="btn" type="submit">{icon("search")}"Count them"</button></div>
            </div>
        </QueryForm>
        {meant(model, asked, call)}
    };
    let by_list = view! {
        <ActionForm action=call>
            <input type="hidden" name="name" value=listed/>
            <div class="stack">
                {field("devices", "Devices by their ids", Control::Area).id("members-list").required().hint("Separated by blanks, commas or lines. All of them, or none where one does not exist.").refused(call).view()}
                {way("in-list", call)}
            </div>
        </ActionForm>
    };
    let fault = move || fault_banner(refusal(call).as_ref());
    card("Change who is in it", None, view! { <div class="stack">{fault}{by_selector}<hr/>{by_list}</div> }.into_any())
}

/// What was counted, and what can be done with it.
fn meant(model: &GroupPage, asked: &Asked, call: FormCall<ChangeMembers>) -> AnyView {
    let Some(q) = asked.q.clone() else { return ().into_any() };
    if let Some(error) = &model.selector_error {
        let text = format!("Not understood at character {}: {}", error.position + 1, error.advice());
        return view! { <p class="row mt-2">{icon("circle-alert")}<span>{text}</span></p> }.into_any();
    }
    match model.meant.unwrap_or(0) {
        0 => view! { <p class="mt-2">"No device matches."</p> }.into_any(),
        n if n > MOST => {
            view! { <p class="mt-2">{format!("{} match. At most 10,000 are changed at once: narrow the selector.", counted(n, "device", "devices"))}</p> }.into_any()
        }
        n => {
            let name = model.group.name.clone();
            view! {
                <ActionForm action=call>
                    <input type="hidden" name="name" value=name/>
                    <input type="hidden" name="q" value=q/>
                    <input type="hidden" name="expected" value=n/>
                    <p class="mt-2">{format!("{} now. If it is another number by then, nothing is changed.", counted(n, "device", "devices"))}</p>
                    {way("in-q", call)}
                </ActionForm>
            }
            .into_any()
        }
    }
}

/// In, or out.
fn way(id: &'static str, call: FormCall<ChangeMembers>) -> AnyView {
    let ways = vec![(String::new(), "Put them in".to_owned()), ("yes".to_owned(), "Take them out".to_owned())];
    view! {
        {form::select("out", "What to do", ways).id(id).view()}
        <div class="row mt-2">{submit("Do it", "primary", move || call.pending().get())}</div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_a_space_in_its_name_leads_to_its_devices() {
        assert_eq!(devices_of("Hall 3"), "/devices?q=group:%22Hall%203%22");
    }
}
