//! What a page gives an input to hold. Owns when it is put there; refuses to know what it is.

use leptos::{
    tachys::{
        html::property::IntoProperty,
        renderer::{Rndr, types::Element},
    },
    wasm_bindgen::JsValue,
};

/// What an input was given last. It is on the element itself, because a page that is read again makes every attribute of its elements anew.
const LAST: &str = "data-given";

/// For an input's `prop:given`, beside its `value`: a page that goes to another address puts the other text there, and a page that is only read again leaves
/// what a person is typing. A `prop:value` would be emptied and put there anew with each reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(pub String);

impl Given {
    /// Whether it was given something else before, which is remembered from now on.
    fn is_new(&self, el: &Element) -> bool {
        let new = el.get_attribute(LAST).is_none_or(|last| last != self.0);
        // The name is one that an attribute may have.
        let _ = el.set_attribute(LAST, &self.0);
        new
    }

    fn put(&self, el: &Element) {
        if self.is_new(el) {
            Rndr::set_property_or_value(el, "value", &JsValue::from_str(&self.0));
        }
    }
}

impl IntoProperty for Given {
    type State = Element;
    type Cloneable = Self;
    type CloneableOwned = Self;

    /// The server's page has the text in the attribute; who was quick has typed already.
    fn hydrate<const FROM_SERVER: bool>(self, el: &Element, _: &str) -> Self::State {
        if FROM_SERVER {
            self.is_new(el);
        } else {
            self.put(el);
        }
        el.clone()
    }

    fn build(self, el: &Element, _: &str) -> Self::State {
        self.put(el);
        el.clone()
    }

    fn rebuild(self, el: &mut Self::State, _: &str) {
        self.put(el);
    }

    fn into_cloneable(self) -> Self::Cloneable {
        self
    }

    fn into_cloneable_owned(self) -> Self::CloneableOwned {
        self
    }
}
