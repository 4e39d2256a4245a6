//! The ways from the list to asking devices to renew. The question has a page of its own, which counts who is left out before.

use super::filters::Shown;
use crate::ui::icon;
use leptos::prelude::*;
use wire::devices::DevicesPage as Model;

/// The page with the question.
const QUESTION: &str = "/certificates/renew";

/// The way to it from all that the list means; nothing where no device is shown, and for those who may not.
pub fn link(model: &Model, shown: &Shown) -> AnyView {
    if !model.may_edit || model.devices.total == 0 {
        return ().into_any();
    }
    view! { <a class="btn" href=shown.at(QUESTION)>{icon("rotate-ccw")}"Renew certificates…"</a> }.into_any()
}

/// The way to it in the bar of those that are ticked: the form that they are in goes there.
pub fn button(model: &Model) -> AnyView {
    model
        .may_edit
        .then(|| view! { <button class="btn" data-s="sm" type="submit" formaction=QUESTION>"Renew certificates…"</button> })
        .into_any()
}

/// The way to it in the bar of all that the list means.
pub fn button_of_all(model: &Model, shown: &Shown) -> AnyView {
    model.may_edit.then(|| view! { <a class="btn" data-s="sm" href=shown.at(QUESTION)>"Renew certificates…"</a> }).into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_keeps_the_filter_and_how_the_list_is_shown() {
        let question =
            |said: &[(&str, &str)]| Shown::read(|key| said.iter().find(|word| word.0 == key).map(|word| word.1.to_owned())).at(QUESTION);
        assert_eq!(question(&[]), "/certificates/renew");
        assert_eq!(
            question(&[("q", "tag:eu online:yes"), ("sort", "version"), ("cursor", "x")]),
            "/certificates/renew?q=tag:eu%20online:yes&sort=version"
        );
    }
}
