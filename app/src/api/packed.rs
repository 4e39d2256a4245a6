//! A page's model on its way to the page: JSON that is read where it is rendered.
//!
//! Reading a page needs a server function, a resource, and code that takes both over from the server's HTML; the compiler writes all of that anew
//! for every type. With one type for all models it is written once, which makes the browser's bundle a good deal smaller.

use super::{decode::decode, fault::ApiFault};
use leptos::prelude::{Get, Memo, Resource, untrack};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{pin::Pin, sync::Arc};
#[cfg(feature = "ssr")]
use wire::FaultKind;

/// A page's one resource.
pub type Reading = Resource<Result<Packed, ApiFault>>;

/// Begins to read a model: by what `source` says, and again when it says something else.
pub fn reading<S, Fut>(source: impl Fn() -> S + Send + Sync + 'static, ask: impl Fn(S) -> Fut + Send + Sync + 'static) -> Reading
where
    S: 'static,
    Fut: Future<Output = Result<Packed, ApiFault>> + Send + 'static,
{
    let source = Arc::new(source);
    let tracked = Arc::clone(&source);
    reading_of(Box::new(move || drop(tracked())), Box::new(move || Box::pin(ask(untrack(|| source())))))
}

type Answer = Pin<Box<dyn Future<Output = Result<Packed, ApiFault>> + Send>>;

/// The same with the types out of sight, so that the resource is compiled once for all pages.
fn reading_of(track: Box<dyn Fn() + Send + Sync>, ask: Box<dyn Fn() -> Answer + Send + Sync>) -> Reading {
    let change = Memo::new(move |before: Option<&u32>| {
        track();
        before.map_or(0, |n| n.wrapping_add(1))
    });
    Resource::new(move || change.get(), move |_| ask())
}

/// Any page's model, packed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(Box<RawValue>);

impl Packed {
    /// Packs a model.
    #[cfg(feature = "ssr")]
    pub fn of<T: Serialize>(model: &T) -> Result<Self, ApiFault> {
        let packed = serde_json::value::to_raw_value(model).map(Self);
        packed.map_err(|_| ApiFault::new(FaultKind::Internal, "internal", "Something went wrong on our side. Try again."))
    }

    /// Unpacks it as what the page knows it to be. It is something else when the page is older than the server that answers.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiFault> {
        decode(self.0.get())
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        let model = Packed::of(&vec![1, 2, 3]).unwrap();
        let sent = serde_json::to_string(&Ok::<_, ApiFault>(model)).unwrap();
        assert_eq!(sent, r#"{"Ok":[1,2,3]}"#, "it travels as JSON, not as text in JSON");
        let arrived: Result<Packed, ApiFault> = serde_json::from_str(&sent).unwrap();
        let arrived = arrived.unwrap();
        assert_eq!(arrived.read::<Vec<i32>>().unwrap(), [1, 2, 3]);
        assert_eq!(arrived.read::<String>().unwrap_err().0.code, "version");
    }
}
