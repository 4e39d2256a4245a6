//! The list: those that end first in front unless another order is asked for, filters in the address, the calendar above it. The revoked ones are a tab
//! of it, with when and why.

use super::{
    authorities::{authorities, key_mark},
    common_name, query,
    revoke::{Revoke, question, revocable, revoke_dialog, revoke_link, revoking},
    weeks::weeks,
};
use crate::{
    api::{
        certificates::{AcceptTime, ReadCertificates},
        packed::reading,
    },
    live,
    pages::words,
    ui::{
        Column, PageHead, Tab, Tone, badge, banner, chip, copyable, empty, facet,
        form::{self, ActionForm, FormCall, fault_banner, refusal, said, search_input},
        icon,
        number::counted,
        page::{card_behind, card_flush, locked, page},
        pager, table,
        table::Order,
        tabs, time, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    pki::{CertificateQuery, CertificateRow, CertificateSort, CertificatesPage as Model, ClockPage},
    states::CertificateState,
};

/// `/certificates`; `?revoke=ID` asks about one.
#[component]
pub fn CertificatesPage() -> AnyView {
    let address = use_query_map();
    let query = Memo::new(move |_| address.with(|a| query::read(|key| a.get(key))));
    let model = reading(move || ReadCertificates { query: query.get() });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let revoke = revoking(model);
    let accept = said::<AcceptTime>("The new time holds", model);
    let content = page(model, move |model: Model| {
        let (from, asked) = address.with_untracked(|a| (a.get("from").unwrap_or_default(), a.get("revoke").unwrap_or_default()));
        let shown = content(&model, &query.get_untracked(), from.parse().unwrap_or(0_i64).max(0), &asked, revoke);
        view! { {clock(&model.clock, accept)}{shown} }.into_any()
    });
    let notice = unread::notice_of(move |path| (path == "/certificates").then(|| query.with(query::known)));
    view! { {notice}{content}{revoke_dialog(revoke)} }.into_any()
}

/// What the server's clock has done, with the button that accepts its time.
fn clock(clock: &ClockPage, call: FormCall<AcceptTime>) -> Option<AnyView> {
    let jump = clock.jump?;
    let text = view! {
        "The server's clock has jumped by "{jump.to_string()}" and shows "{time::at(clock.at)}". Nothing is issued until it is right again."
    };
    let accept = if clock.may_accept {
        view! {
            <ActionForm action=call>
                {move || fault_banner(refusal(call).as_ref())}
                {form::submit("This time is right", "", move || call.pending().get())}
            </ActionForm>
        }
        .into_any()
    } else {
        locked("Saying that this time is right needs the role admin.")
    };
    Some(view! { {banner(Tone::Bad, text.into_any())}<div class="row mt-2">{accept}</div> }.into_any())
}

fn content(model: &Model, query: &CertificateQuery, before: i64, asked: &str, revoke: Revoke) -> AnyView {
    let items = &model.certificates.items;
    let shown = i64::try_from(items.len()).unwrap_or(0);
    let filtered = !query::filters(query).is_empty();
    let sub = format!(
        "{}{} from {}",
        counted(model.certificates.total, "certificate", "certificates"),
        if filtered { " found," } else { "" },
        counted(i64::try_from(model.authorities.len()).unwrap_or(0), "authority", "authorities")
    );
    let question = items.iter().find(|c| model.may_revoke && revocable(c) && c.id.as_str() == asked).map(|c| question(c, revoke));
    let first = (before > 0).then(|| query::href(&CertificateQuery { cursor: None, ..query.clone() }, 0));
    let list = match (items.is_empty(), filtered) {
        (true, _) if first.is_some() => first.clone().map(card_behind).into_any(),
        (false, _) if is_revoked(query) => card_flush("Revoked certificates", None, revoked_rows(model, query)),
        (false, _) => card_flush("Device certificates", None, rows(model, query, revoke)),
        (true, true) if query::filters(query) == query::filters(&query::revoked(&CertificateQuery::default())) => {
            let text = "A certificate that is revoked, here or by its owner's list, stands in this list with when and why.";
            view! { <div class="card">{empty("shield-check", "Nothing is revoked", text, None)}</div> }.into_any()
        }
        (true, true) => {
            let clear = view! { <a class="btn" href="/certificates">"Clear filters"</a> }.into_any();
            let text = "Take a filter away, or search for a part of a device's id or the beginning of a serial number.";
            view! { <div class="card">{empty("search", "No certificates match", text, Some(clear))}</div> }.into_any()
        }
        (true, false) => {
            let enrol = view! { <a class="btn" href="/enrolment">"Enrol a device"</a> }.into_any();
            view! { <div class="card">{empty("shield-check", "No certificates yet", "A device gets its certificate when it enrols.", Some(enrol))}</div> }.into_any()
        }
    };
    let next = model
        .certificates
        .next
        .clone()
        .map(|cursor| query::href(&CertificateQuery { cursor: Some(cursor), ..query.clone() }, before + shown));
    view! {
        <PageHead title="Certificates" sub=view! { {sub}" · "<a href="/certificates/rules">"Rules"</a> }.into_any()/>
        {kinds(query)}
        {question}
        {(!is_revoked(query)).then(|| view! { <div class="mt-4">{weeks(&model.weeks, model.at, query.week)}</div> })}
        <div class="mt-4">{filter_bar(model, query)}</div>
        {list}
        {pager(before, shown, model.certificates.total, first, next)}
        <div class="mt-4">{card_flush("Authorities", Some(view! { <a href="/certificates/authorities">"Manage authorities"</a> }.into_any()), authorities(&model.authorities, &model.alarmed, model.at))}</div>
    }
    .into_any()
}

fn filter_bar(model: &Model, query: &CertificateQuery) -> AnyView {
    use CertificateState as S;
    let states = [S::Active, S::Superseded, S::Revoked, S::Expired, S::Untrusted];
    let links = states
        .into_iter()
        .map(|state| {
            let current = query.state == Some(state);
            let href = query::href(&CertificateQuery { state: Some(state), cursor: None, ..query.clone() }, 0);
            view! { <a href=href aria-current=current.then_some("true")>{current.then(|| icon("check"))}{state.as_str()}</a> }
        })
        .collect_view();
    let ends = [7, 30, 90].map(|days| {
        let current = query.within == Some(days);
        let href = query::href(&CertificateQuery { within: Some(days), week: None, cursor: None, ..query.clone() }, 0);
        view! { <a href=href aria-current=current.then_some("true")>{current.then(|| icon("check"))}{format!("within {days} days")}</a> }
    });
    let to = |query: CertificateQuery| query::href(&CertificateQuery { cursor: None, ..query }, 0);
    let chips = [
        query.state.map(|state| chip("state", state.as_str(), to(CertificateQuery { state: None, ..query.clone() }))),
        query.within.map(|days| chip("ends", format!("within {days} days"), to(CertificateQuery { within: None, ..query.clone() }))),
        query.week.map(|week| chip("ends in week", (week + 1).to_string(), to(CertificateQuery { week: None, ..query.clone() }))),
        query.authority.as_ref().map(|id| {
            let row = model.authorities.iter().find(|a| a.id == *id);
            let name = row.map_or_else(|| id.to_string(), |a| a.common_name().to_owned());
            // Without a state or a time the list is of what still depends on it.
            let depends = query.state.is_none() && query.within.is_none() && query.week.is_none();
            let what = if depends { "depends on" } else { "issued by" };
            chip(what, name, to(CertificateQuery { authority: None, ..query.clone() }))
        }),
    ];
    let hidden = crate::plan::query::pairs(&query::shown(&CertificateQuery { q: String::new(), ..query.clone() }))
        .into_iter()
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect_view();
    view! {
        <form class="filters" method="get" action="/certificates" role="search">
            {search_input("Search certificates", "Device id, serial number or fingerprint", &query.q)}
            {hidden}
            {facet("State", links.into_any())}
            {facet("Ends", ends.collect_view().into_any())}
            {chips.into_iter().flatten().collect_view()}
        </form>
    }
    .into_any()
}

/// Whether the list is the tab of revoked ones.
fn is_revoked(query: &CertificateQuery) -> bool {
    query.state == Some(CertificateState::Revoked)
}

/// The tabs.
fn kinds(query: &CertificateQuery) -> AnyView {
    let all = CertificateQuery { q: query.q.clone(), ..CertificateQuery::default() };
    tabs(
        "Certificates by kind",
        vec![
            Tab::new(query::href(&all, 0), "All", !is_revoked(query)),
            Tab::new(query::href(&query::revoked(query), 0), "Revoked", is_revoked(query)),
        ],
    )
}

/// The head of a column that the list can be sorted by, `first` being the order that it is put into at first.
fn sorted(label: &'static str, query: &CertificateQuery, first: CertificateSort, other: CertificateSort) -> Column {
    let now = query.sort.unwrap_or(CertificateSort::End);
    let order = if now != first && now != other {
        Order::None
    } else if now.descends() {
        Order::Descending
    } else {
        Order::Ascending
    };
    let next = if now == first { other } else { first };
    Column::text(label).sorted(order, query::href(&CertificateQuery { sort: Some(next), cursor: None, ..query.clone() }, 0))
}

fn by_device(query: &CertificateQuery) -> Column {
    sorted("Device", query, CertificateSort::Device, CertificateSort::DeviceDesc)
}

fn by_end(query: &CertificateQuery) -> Column {
    sorted("Ends", query, CertificateSort::End, CertificateSort::EndDesc)
}

/// The cell that names who issued it.
fn issuer(model: &Model, c: &CertificateRow) -> AnyView {
    let mark = key_mark(&c.issuer_id, &model.authorities, &model.alarmed);
    view! { <td title=c.issuer.clone()>{common_name(&c.issuer).to_owned()}{mark}</td> }.into_any()
}

fn revoked_rows(model: &Model, query: &CertificateQuery) -> AnyView {
    let columns = vec![
        by_device(query),
        sorted("Revoked", query, CertificateSort::RevokedDesc, CertificateSort::Revoked),
        Column::text("Reason"),
        by_end(query),
        Column::text("Issued by"),
        Column::text("Key"),
        Column::text("Serial number"),
    ];
    let line = |c: &CertificateRow| {
        let why = words::certificate_reason(c).unwrap_or_else(|| "not said".to_owned());
        view! {
            <tr>
                <th scope="row"><a class="main mono" href=format!("/certificates/{}", c.id)>{c.device_id.to_string()}</a></th>
                <td>{c.revoked_at.map(time::at)}</td>
                <td>{why}</td>
                <td class="dim">{time::ago(c.not_after)}</td>
                {issuer(model, c)}
                <td>{c.key_alg.clone()}</td>
                <td>{copyable(c.serial.clone(), "Copy serial number")}</td>
            </tr>
        }
    };
    let lines = model.certificates.items.iter().map(line).collect_view();
    table("Revoked certificates", columns, lines.into_any())
}

fn rows(model: &Model, query: &CertificateQuery, revoke: Revoke) -> AnyView {
    let columns = vec![
        by_device(query),
        Column::text("State"),
        by_end(query),
        Column::text("Issued by"),
        Column::text("Key"),
        Column::text("Serial number"),
        Column::text("First used"),
        Column::actions("Revoke"),
    ];
    let rows = model
        .certificates
        .items
        .iter()
        .map(|c| {
            let (tone, word) = words::certificate(c.state, c.not_after.since(model.at));
            let reason = words::certificate_reason(c).map(|why| view! { " "<span class="dim">{why}</span> });
            let button = (model.may_revoke && revocable(c)).then(|| revoke_link(c, ("ghost", "sm"), revoke));
            view! {
                <tr>
                    <th scope="row"><a class="main mono" href=format!("/certificates/{}", c.id)>{c.device_id.to_string()}</a></th>
                    <td>{badge(tone, word)}{reason}</td>
                    <td>{time::ago(c.not_after)}</td>
                    {issuer(model, c)}
                    <td>{c.key_alg.clone()}</td>
                    <td>{copyable(c.serial.clone(), "Copy serial number")}</td>
                    <td class="dim">{time::ago_or(c.first_used_at, "not yet")}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Device certificates", columns, rows.into_any())
}
