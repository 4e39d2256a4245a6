//! What every order about all listed devices, or about those that were ticked, has in common: the way to its question, and the question, which keeps filter
//! and count as they are shown.
//! Refuses to know what is ordered.

use super::{
    filters::Shown,
    selecting::{Question, joined, some},
};
use crate::ui::{
    asked, dialog,
    dialog::{buttons, dialog_link_too},
    dialog_link, fault_banner,
    form::{self, ActionForm, Post},
    number::counted,
    page::question,
    submit,
};
use leptos::prelude::*;

/// Most devices that one order is about; the server says no to more.
pub const MOST: i64 = 10_000;

/// An order about all devices of a list.
pub struct Order<'a> {
    /// What the address asks for: `?ask=NAME`.
    pub name: &'static str,
    /// What its button says: "Tag".
    pub verb: &'static str,
    /// What is done to the devices: "tagged".
    pub done: &'static str,
    /// Whether whoever asks may give it.
    pub may: bool,
    /// How many devices the list means.
    pub total: i64,
    /// What the list shows.
    pub shown: &'a Shown,
    /// What the address asks.
    pub question: &'a Question,
}

impl Order<'_> {
    fn dialog(&self) -> String {
        format!("{}-all", self.name)
    }

    /// How many devices its question is about.
    pub fn number(&self) -> i64 {
        match self.question.of(self.name) {
            [] => self.total,
            ticked => i64::try_from(ticked.len()).unwrap_or(i64::MAX),
        }
    }

    fn possible(&self) -> bool {
        self.may && (1..=MOST).contains(&self.number())
    }

    /// The list from its first page on, and with the question in it.
    fn addresses(&self) -> (String, String) {
        (self.shown.first(), self.shown.question(self.name))
    }

    /// A second way to it, where [`Order::link`] is one.
    pub fn link_too(&self, label: AnyView) -> AnyView {
        if self.possible() { dialog_link_too(self.dialog(), self.addresses().1, label) } else { self.link(label) }
    }

    /// The way to it; nothing where no device is shown, and where too many are, why not.
    pub fn link(&self, label: AnyView) -> AnyView {
        if !self.may || self.total == 0 {
            return ().into_any();
        }
        if self.possible() {
            return dialog_link(self.dialog(), self.addresses().1, "", label);
        }
        let (id, why) = (format!("why-{}", self.dialog()), format!("At most 10,000 devices are {} at once. Narrow the filter.", self.done));
        view! {
            <button type="button" class="btn" aria-disabled="true" aria-describedby=id.clone() title=why.clone()>{label}</button>
            <span class="sr" id=id>{why}</span>
        }
        .into_any()
    }

    /// The dialog; where the address asks for it, which is the way without script and the way of those that were ticked, the question stands in the page.
    /// `rest` is said after how many there are and what they are, `inputs` are the order's own, `doing` is the button and how it looks.
    pub fn ask(&self, call: impl Into<Post>, title: String, (rest, inputs): (&str, AnyView), doing: (String, &'static str)) -> AnyView {
        if !self.possible() {
            return ().into_any();
        }
        let call: Post = call.into();
        let (mut q, (back, _), ticked) = (self.shown.query.q.clone(), self.addresses(), self.question.of(self.name));
        let (number, count) = (self.number(), counted(self.number(), "device", "devices"));
        let text = if ticked.is_empty() {
            let meant = if q.is_empty() { "every device of the fleet".to_owned() } else { format!("the devices that match {q}") };
            format!("This is about {meant} now: {count}. {rest}")
        } else {
            q.clear();
            format!("This is about {count}: {}. {rest}", some(ticked))
        };
        // Says that devices are named: were their names lost on the way, the order would mean all without it.
        let named = !ticked.is_empty();
        let devices = joined(ticked, " ");
        let cancel = asked::back_to(&back, &self.dialog());
        let inside = view! {
            <ActionForm action=call>
                <input type="hidden" name="q" value=q/>
                <input type="hidden" name="devices" value=devices/>
                {named.then(|| view! { <input type="hidden" name="named" value="1"/> })}
                <input type="hidden" name="expected" value=number/>
                <input type="hidden" name="back" value=back/>
                <div class="body">
                    {move || fault_banner(form::refusal(call).as_ref())}
                    <p>{text}</p>
                    {inputs}
                </div>
                {buttons("Cancel", cancel, submit(doing.0, doing.1, move || call.pending().get()))}
            </ActionForm>
        }
        .into_any();
        if self.question.asks(self.name) { question(title, inside) } else { dialog(self.dialog(), title, inside) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{devices::DeviceQuery, views::DeviceColumn};

    fn shown(query: DeviceQuery) -> Shown {
        Shown { query, columns: DeviceColumn::all() }
    }

    fn order<'a>(may: bool, total: i64, shown: &'a Shown, question: &'a Question) -> Order<'a> {
        Order { name: "tag", verb: "Tag", done: "tagged", may, total, shown, question }
    }

    #[test]
    fn the_question_keeps_the_filter_and_begins_at_the_first_page() {
        let addresses = |shown: &Shown| order(true, 1, shown, &Question::default()).addresses();
        let narrowed = shown(DeviceQuery { q: "tag:eu".into(), cursor: Some("x".into()), ..DeviceQuery::default() });
        assert_eq!(addresses(&narrowed), ("/devices?q=tag:eu".into(), "/devices?q=tag:eu&ask=tag".into()));
        assert_eq!(addresses(&shown(DeviceQuery::default())).1, "/devices?ask=tag");
        let few = Shown { columns: Vec::new(), ..shown(DeviceQuery::default()) };
        assert_eq!(addresses(&few).1, "/devices?cols=none&ask=tag", "and the columns");
    }

    #[test]
    fn nobody_is_asked_what_the_server_would_refuse() {
        let shown = shown(DeviceQuery::default());
        let possible = |may, total| order(may, total, &shown, &Question::default()).possible();
        assert_eq!(
            [(true, 1), (true, MOST), (true, 0), (true, MOST + 1), (false, 1)].map(|(may, total)| possible(may, total)),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn what_was_ticked_is_what_is_asked_about() {
        let shown = shown(DeviceQuery::default());
        let ticked = |name: &str| Question {
            name: Some(name.to_owned()),
            devices: vec!["gw-1".parse().unwrap(), "gw-2".parse().unwrap()],
            all: None,
        };
        let (of_tag, of_group) = (ticked("tag"), ticked("group"));
        assert_eq!(order(true, 12_000, &shown, &of_tag).number(), 2);
        assert!(order(true, 12_000, &shown, &of_tag).possible(), "however many the list means");
        assert_eq!(order(true, 7, &shown, &of_group).number(), 7, "another question is about all");
    }
}
