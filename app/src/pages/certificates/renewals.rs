//! The question whether many devices are asked to renew their certificates: whom it means, who is left out and why, and over how long they are told. A page
//! of its own, because all of that is counted first.

use crate::{
    api::{
        packed::reading,
        renewals::{OrderRenewals, ReadRenewals, RenewalsView as Model},
    },
    pages::devices::{self, filters::Shown},
    ui::{
        Control, PageHead, Tone, banner, empty,
        form::{self, ActionForm, FormCall, fault_banner, field, on_asked_anew, on_success, refusal},
        number::{counted, grouped},
        page::page,
        progress::progress,
        toast::toasts,
        unread::not_understood,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_query_map, use_url};
use wire::pki::{MAX_RENEWAL_MINUTES, ManyRenewals, RenewalUnderWay};

/// What the address asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    /// `q=`: a selector.
    q: String,
    /// `sel=`, several times: devices that were ticked, separated by blanks; none for all that the selector means.
    devices: String,
    /// Says that devices are named: what was ticked and is no device never becomes all.
    named: &'static str,
    /// `authority=`: whose devices alone are meant.
    authority: String,
    /// The list of devices where whoever asks came from: its words stand in the address beside those that were ticked, too.
    list: String,
    /// What of the address says nothing here; it may have said whom this is about, so nothing is offered then.
    unread: Option<String>,
}

/// What an address says here, and what the list of devices has in its own: the form of those that are ticked brings it along.
const WORDS: [&str; 8] = ["q", "sel", "authority", "sort", "cols", "cursor", "before", "all"];

impl Asked {
    fn new(list: &Shown, ticked: &[String], authority: &str) -> Self {
        let (q, named) = if ticked.is_empty() { (list.query.q.clone(), "") } else { (String::new(), "1") };
        Self { q, devices: ticked.join(" "), named, authority: authority.to_owned(), list: list.first(), unread: None }
    }

    /// Where whoever asked came from.
    fn back(&self) -> String {
        if self.authority.is_empty() { self.list.clone() } else { format!("/certificates/authorities/{}", self.authority) }
    }
}

/// `/certificates/renew?q=&sel=&authority=`
#[component]
pub fn RenewalsPage() -> AnyView {
    let (address, url) = (use_query_map(), use_url());
    let asked = Memo::new(move |_| {
        let asked = address.with(|a| {
            let list = Shown::read(|word| a.get_str(word).map(str::to_owned));
            Asked::new(&list, &a.get_all("sel").unwrap_or_default(), a.get_str("authority").unwrap_or_default())
        });
        Asked { unread: url.with(|url| not_understood(url.search(), &WORDS)), ..asked }
    });
    let model = reading(move || {
        let Asked { q, devices, named, authority, .. } = asked.get();
        ReadRenewals { q, devices, named: named.to_owned(), authority }
    });
    let (call, notes) = (form::action::<OrderRenewals>(), toasts());
    on_success(call, move |asked| {
        if let Some(notes) = notes {
            let are = if asked == 1 { "is" } else { "are" };
            notes.say(Tone::Ok, format!("{} {are} asked to renew", counted(asked, "device", "devices")));
        }
        model.refetch();
    });
    // What was refused because others are meant by now is asked about those.
    on_asked_anew(call, move || model.refetch());
    page(model, move |model: Model| content(&model, &asked.get_untracked(), call))
}

fn content(m: &Model, asked: &Asked, call: FormCall<OrderRenewals>) -> AnyView {
    let would = &m.would;
    let back = asked.back();
    let sub = view! { <a href=back.clone()>{if asked.authority.is_empty() { "Back to the devices" } else { "Back to the authority" }}</a> };
    let way_back = view! { <a class="btn" href=back>"Back"</a> }.into_any();
    let body = if let Some(said) = &asked.unread {
        let text =
            format!("{said}. It may have said which devices are meant, so nobody is asked by it: q= is a filter, and sel= one device.");
        empty("circle-alert", "This address is not understood", text, Some(way_back))
    } else if would.asked == 0 {
        view! {
            <div class="body"><p>{about(m, asked)}</p>{left_out(would)}{under_way(&m.under_way)}</div>
            {nobody(would, way_back)}
        }
        .into_any()
    } else {
        ask(m, asked, call)
    };
    let hints = (!m.hints.is_empty()).then(|| view! { <div class="mb-4">{banner(Tone::Warn, m.hints.join(" ").into_any())}</div> });
    view! {
        <PageHead title="Ask devices to renew their certificates" sub=sub.into_any()/>
        {hints}
        <section class="card narrow">{body}</section>
    }
    .into_any()
}

/// What is said where an order would ask nobody.
fn nobody(would: &ManyRenewals, way_back: AnyView) -> AnyView {
    let (title, text) = match (would.devices, would.already_asked) {
        (0, _) => ("No device is meant", "The filter means nobody, or nothing of those devices is renewed here."),
        (_, 0) => ("Nobody can be asked", "Why each of them is left out stands above."),
        _ => ("Nobody is left to ask", "Who was asked already renews when it is told, or when it connects."),
    };
    empty("shield-check", title, text, Some(way_back))
}

fn ask(m: &Model, asked: &Asked, call: FormCall<OrderRenewals>) -> AnyView {
    let would = &m.would;
    let who = counted(would.asked, "device", "devices");
    let hint = "They are told one after the other over this time, so that they don't all come back at once; with 0 as fast as it goes, which is never more than 300 a second. Whoever is not connected then is told when it connects.";
    let minutes = field("minutes", "Over how many minutes", Control::Input("number"))
        .value(would.minutes.to_string())
        .bounds(0, i64::from(MAX_RENEWAL_MINUTES))
        .hint(hint)
        .refused(call);
    let Asked { q, devices, named, authority, .. } = asked.clone();
    let what = what(would);
    let (back, about, left_out, expected) = (asked.back(), about(m, asked), left_out(would), would.devices);
    let under_way = under_way(&m.under_way);
    view! {
        <ActionForm action=call>
            <input type="hidden" name="q" value=q/>
            <input type="hidden" name="devices" value=devices/>
            <input type="hidden" name="named" value=named/>
            <input type="hidden" name="authority" value=authority/>
            <input type="hidden" name="expected" value=expected/>
            <input type="hidden" name="back" value=back.clone()/>
            <div class="body stack">
                {move || fault_banner(refusal(call).as_ref())}
                <p>{about}</p>
                <p>{what}</p>
                {left_out}
                {under_way}
                {minutes.view()}
                <div class="row">
                    {form::submit(format!("Ask {who}"), "primary", move || call.pending().get())}
                    <a class="btn" href=back>"Cancel"</a>
                </div>
            </div>
        </ActionForm>
    }
    .into_any()
}

/// How many of those are asked, and what that means, in two sentences.
fn what(would: &ManyRenewals) -> String {
    let who = match (would.asked, would.devices) {
        (1, 1) => "It is".to_owned(),
        (1, _) => "1 of them is".to_owned(),
        (asked, all) if asked == all => "All of them are".to_owned(),
        (asked, _) => format!("{} of them are", grouped(asked)),
    };
    let whose = if would.asked == 1 { "its" } else { "their" };
    format!("{who} asked, whatever the age of {whose} certificates. An order ends when its device has used a new one.")
}

/// Whom it is about, in a sentence.
fn about(m: &Model, asked: &Asked) -> String {
    let whose = m.authority.as_ref().map(|name| format!(" with a certificate of {name} to renew")).unwrap_or_default();
    let meant = match (m.devices.as_slice(), asked.q.is_empty()) {
        ([], true) => "every device of the fleet".to_owned(),
        ([], false) => format!("the devices that match {}", asked.q),
        (named, _) => devices::some(named),
    };
    format!("This is about {meant}{whose}: {}.", counted(m.would.devices, "device", "devices"))
}

/// Who is left out, and why; nothing where nobody is.
fn left_out(would: &ManyRenewals) -> AnyView {
    let reasons = [
        (would.suspended, "Suspended: nothing of them is renewed until they are resumed"),
        (
            would.nothing_to_renew,
            "Nothing of them is renewed here: no certificate that they may connect with, or one of an owner's authority",
        ),
        (would.already_asked, "Asked already, and not renewed yet"),
        (
            would.no_channel,
            "Never had a channel to be told by: clients of EST and hawkBit renew by themselves, others have not connected yet",
        ),
        (would.for_later, "For another order: one asks 100,000"),
    ];
    if reasons.iter().all(|(n, _)| *n == 0) {
        return ().into_any();
    }
    let rows = reasons.into_iter().filter(|(n, _)| *n > 0).map(|(n, why)| view! { <dt>{why}</dt><dd>{grouped(n)}</dd> });
    view! { <p>"Left out:"</p><dl class="kv">{rows.collect_view()}</dl> }.into_any()
}

/// Orders that are being carried out, and how far they are; nothing where there is none.
fn under_way(orders: &[RenewalUnderWay]) -> AnyView {
    let shown = orders.iter().map(|order| {
        let text = reached(order);
        view! { <p>{text.clone()}</p>{progress(text, order.reached, order.asked)} }
    });
    shown.collect_view().into_any()
}

fn reached(order: &RenewalUnderWay) -> String {
    let RenewalUnderWay { about, ordered_by, asked, reached, .. } = order;
    let of = counted(*asked, "device", "devices");
    format!("The order of {ordered_by} about {about} is being carried out: {} of {of} reached so far.", grouped(*reached))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    fn list(q: &str) -> Shown {
        Shown::read(|word| match word {
            "q" => Some(q.to_owned()),
            "sort" => Some("version".to_owned()),
            _ => None,
        })
    }

    fn model(devices: &[&str], authority: Option<&str>) -> Model {
        let would = ManyRenewals {
            devices: 1204,
            asked: 1200,
            suspended: 4,
            nothing_to_renew: 0,
            already_asked: 0,
            no_channel: 0,
            for_later: 0,
            minutes: 1,
            told_by: Timestamp(0),
        };
        let devices = devices.iter().map(|id| id.parse().unwrap()).collect();
        Model { would, devices, authority: authority.map(str::to_owned), hints: Vec::new(), under_way: Vec::new() }
    }

    #[test]
    fn what_was_ticked_is_meant_and_nothing_else() {
        let ticked = ["gw-1".to_owned(), "gw-2".to_owned()];
        let asked = Asked::new(&list("type:gateway"), &ticked, "");
        assert_eq!((asked.q.as_str(), asked.devices.as_str(), asked.named), ("", "gw-1 gw-2", "1"));
        assert_eq!(about(&model(&["gw-1", "gw-2"], None), &asked), "This is about gw-1, gw-2: 1,204 devices.");
        assert_eq!(asked.back(), "/devices?q=type:gateway&sort=version", "the list that they were ticked in");
        assert_eq!(Asked::new(&list(""), &[String::new()], "").named, "1", "a tick of nobody is not all");
        assert_eq!(not_understood("?q=tag:eu&sel=gw-1&sort=version&cols=tags&ask=tag", &WORDS), None, "the list's form brings it along");
        assert_eq!(not_understood("?devices=gw-1,gw-2", &WORDS).unwrap(), "“devices” says nothing here");
    }

    #[test]
    fn it_says_how_many_of_them_are_asked() {
        let said = |asked, devices| what(&ManyRenewals { asked, devices, ..model(&[], None).would });
        assert_eq!(said(1, 1), "It is asked, whatever the age of its certificates. An order ends when its device has used a new one.");
        assert!(said(1, 3).starts_with("1 of them is asked, whatever the age of its certificates."));
        assert!(said(3, 3).starts_with("All of them are asked, whatever the age of their certificates."));
        assert!(said(1200, 1204).starts_with("1,200 of them are asked,"));
    }

    #[test]
    fn an_order_that_is_under_way_says_how_far_it_is() {
        let order = RenewalUnderWay {
            about: "type:gateway".into(),
            authority: None,
            ordered_at: Timestamp(0),
            ordered_by: "oli".into(),
            asked: 100_000,
            reached: 3_000,
        };
        let said = "The order of oli about type:gateway is being carried out: 3,000 of 100,000 devices reached so far.";
        assert_eq!(reached(&order), said);
    }

    #[test]
    fn the_way_back_is_where_the_question_came_from() {
        let asked = Asked::new(&list("tag:eu"), &[], "");
        assert_eq!((asked.back().as_str(), asked.named), ("/devices?q=tag:eu&sort=version", ""));
        assert_eq!(about(&model(&[], None), &asked), "This is about the devices that match tag:eu: 1,204 devices.");
        let of = Asked::new(&list(""), &[], "ca_1");
        assert_eq!(of.back(), "/certificates/authorities/ca_1");
        let said = about(&model(&[], Some("Device CA G1")), &of);
        assert_eq!(said, "This is about every device of the fleet with a certificate of Device CA G1 to renew: 1,204 devices.");
    }
}
