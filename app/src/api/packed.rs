//! A page's model on its way to the page: JSON that is read where it is rendered.
//!
//! Reading a page needs a server function, a resource, and code that takes both over from the server's HTML; the compiler writes all of that anew
//! for every type. With one type for all models it is written once, which makes the browser's bundle a good deal smaller.

use super::{decode::decode, fault::ApiFault};
#[cfg(feature = "hydrate")]
use crate::ui::browser;
use leptos::{
    prelude::{Get, Memo, Resource, untrack},
    server::codee::{Decoder, Encoder},
    server_fn::ServerFn,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::{fmt, pin::Pin, sync::Arc};

/// What a question for a model is answered with.
type Answer = Result<Packed, ApiFault>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A page's one resource.
pub type Reading = Resource<Answer, InPage>;

/// Begins to read a model: what `question` asks, and again when it asks something else.
pub fn reading<S>(question: impl Fn() -> S + Send + Sync + 'static) -> Reading
where
    S: ServerFn<Output = Packed, Error = ApiFault> + Serialize + Send + 'static,
{
    let question = Arc::new(question);
    let tracked = Arc::clone(&question);
    reading_of(Box::new(move || drop(tracked())), Box::new(move || ask(untrack(|| question()))))
}

/// The same with the types out of sight, so that the resource is compiled once for all pages.
fn reading_of(track: Box<dyn Fn() + Send + Sync>, ask: Box<dyn Fn() -> Answering + Send + Sync>) -> Reading {
    let change = Memo::new(move |before: Option<&u32>| {
        track();
        before.map_or(0, |n| n.wrapping_add(1))
    });
    Resource::new_with_options(move || change.get(), move |_| held(ask()), false)
}

/// The page is shown again with every answer. One that comes while somebody answers a dialog or has a menu open waits until that is closed, and what is asked
/// for after it waits with it: what they have typed would be gone, or about something else. What was open already when it was asked for has nothing against it.
#[cfg(feature = "hydrate")]
fn held(answering: Answering) -> Answering {
    let before = browser::at_work();
    Box::pin(send_wrapper::SendWrapper::new(async move {
        let answer = answering.await;
        browser::left_alone(before.as_ref()).await;
        answer
    }))
}

/// The server shows a page once.
#[cfg(not(feature = "hydrate"))]
const fn held(answering: Answering) -> Answering {
    answering
}

/// Asks a server function with `input = GetUrl`: on the server it runs, in the browser its address is read.
#[cfg(not(feature = "hydrate"))]
pub fn ask<S>(question: S) -> Answering
where
    S: ServerFn<Output = Packed, Error = ApiFault> + Serialize + Send + 'static,
{
    Box::pin(question.run_body())
}

/// Asks a server function with `input = GetUrl`: on the server it runs, in the browser its address is read.
#[cfg(feature = "hydrate")]
#[expect(clippy::needless_pass_by_value, reason = "the server's half of it consumes the question")]
pub fn ask<S>(question: S) -> Answering
where
    S: ServerFn<Output = Packed, Error = ApiFault> + Serialize + Send + 'static,
{
    let address = serde_qs::to_string(&question).map(|query| format!("{}?{query}", S::PATH));
    Box::pin(send_wrapper::SendWrapper::new(get(address.unwrap_or_default())))
}

#[cfg(feature = "hydrate")]
async fn get(address: String) -> Answer {
    super::fetch::get(&address).await.map(Packed)
}

/// Any page's model, packed: its JSON as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(String);

impl Packed {
    /// Packs a model.
    #[cfg(feature = "ssr")]
    pub fn of<T: Serialize>(model: &T) -> Result<Self, ApiFault> {
        let packed = serde_json::to_string(model).map(Self);
        packed.map_err(|_| ApiFault::new(wire::FaultKind::Internal, "internal", "Something went wrong on our side. Try again."))
    }

    /// Unpacks it as what the page knows it to be. It is something else when the page is older than the server that answers.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiFault> {
        decode(&self.0)
    }
}

/// It travels as the JSON that it is, not as text in JSON.
impl Serialize for Packed {
    #[cfg(feature = "ssr")]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
    #[cfg(not(feature = "ssr"))]
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a browser packs nothing"))
    }
}

/// Only [`ask`] reads what a server sent, and as text; the server function's own reader is not used.
impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("read it with `ask`"))
    }
}

/// How an answer stands in the server's page: a plus and the model, or a minus and the fault, both JSON.
pub struct InPage;

/// A text in the page that is no answer.
#[derive(Debug)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}
impl std::error::Error for NoAnswer {}

impl Encoder<Answer> for InPage {
    type Error = NoAnswer;
    type Encoded = String;
    fn encode(answer: &Answer) -> Result<String, NoAnswer> {
        match answer {
            Ok(model) => Ok(format!("+{}", model.0)),
            #[cfg(feature = "ssr")]
            Err(fault) => serde_json::to_string(fault).map(|fault| format!("-{fault}")).map_err(|_| NoAnswer),
            #[cfg(not(feature = "ssr"))]
            Err(_) => Err(NoAnswer),
        }
    }
}

impl Decoder<Answer> for InPage {
    type Error = NoAnswer;
    type Encoded = str;
    fn decode(text: &str) -> Result<Answer, NoAnswer> {
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(model), _) => Ok(Ok(Packed(model.to_owned()))),
            (None, Some(fault)) => decode(fault).map(Err).map_err(|_| NoAnswer),
            (None, None) => Err(NoAnswer),
        }
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        let model = Packed::of(&vec![1, 2, 3]).unwrap();
        assert_eq!(serde_json::to_string(&model).unwrap(), "[1,2,3]", "it travels as JSON, not as text in JSON");
        assert_eq!(model.read::<Vec<i64>>().unwrap(), [1, 2, 3]);
        assert_eq!(model.read::<String>().unwrap_err().0.code, "version");
    }

    #[test]
    fn an_answer_survives_the_page() {
        let fault = ApiFault::new(wire::FaultKind::Forbidden, "role", "Your role does not allow this.");
        for answer in [Ok(Packed::of(&"<script>").unwrap()), Err(fault)] {
            let text = InPage::encode(&answer).unwrap();
            assert_eq!(InPage::decode(&text).unwrap(), answer);
        }
        for text in ["", "x", "-", "-{}"] {
            assert!(InPage::decode(text).is_err(), "{text:?}");
        }
    }
}
