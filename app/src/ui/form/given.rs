//! What a page gives an input to hold. Owns when it is put there; refuses to know what it is.

use leptos::{
    tachys::{
        html::property::IntoProperty,
        renderer::{Rndr, types::Element},
    },
    wasm_bindgen::JsValue,
};

/// For an input's `prop:value`, beside its `value`: a page that goes to another address puts the other text there, and a page that is only read again
/// leaves what a person is typing. A plain text would be put there with each reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(pub String);

impl Given {
    fn put(&self, el: &Element, key: &str) {
        Rndr::set_property_or_value(el, key, &JsValue::from_str(&self.0));
    }
}

impl IntoProperty for Given {
    type State = (Element, Self);
    type Cloneable = Self;
    type CloneableOwned = Self;

    /// The server's page has the text in the attribute; who was quick has typed already.
    fn hydrate<const FROM_SERVER: bool>(self, el: &Element, key: &str) -> Self::State {
        if !FROM_SERVER {
            self.put(el, key);
        }
        (el.clone(), self)
    }

    fn build(self, el: &Element, key: &str) -> Self::State {
        self.put(el, key);
        (el.clone(), self)
    }

    fn rebuild(self, (el, before): &mut Self::State, key: &str) {
        if self != *before {
            self.put(el, key);
            *before = self;
        }
    }

    fn into_cloneable(self) -> Self::Cloneable {
        self
    }

    fn into_cloneable_owned(self) -> Self::CloneableOwned {
        self
    }
}
