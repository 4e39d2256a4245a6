//! How commands read and speak: words out of a list, tables, and refusals in the core's words for people.

use crate::{config, plans::instant};
use anyhow::{Context as _, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fleet::{Fleet, access::Actor};
use std::{convert::Infallible, fmt::Display, path::Path, str::FromStr};
use wire::{Fault, FaultKind, Timestamp, page::Page, states::UnknownState};

/// One of these words, which help and refusals list.
pub(super) fn one_of<T>(words: impl Iterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownState> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// What a command is about, by its id or by a name that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<T> {
    /// Its id.
    Id(T),
    /// A name, which may be nobody's, or that of several.
    Name(String),
}

impl<T: FromStr> FromStr for Named<T> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse::<T>().map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

/// The only one of those that have a name; where there are several, whoever asks has to give an id.
pub(super) fn only<T: Display>(what: &str, name: &str, mut found: Vec<T>) -> Result<T> {
    match (found.pop(), found.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => bail!("there is no {what} {name}"),
        (Some(last), others) => {
            let ids: Vec<String> = others.iter().chain([&last]).map(ToString::to_string).collect();
            bail!("more than one {what} has the name {name}; give the id of the one that is meant: {}", ids.join(", "))
        }
    }
}

/// The person of a token: what a person has to answer for is never done by a nameless command line.
pub(super) async fn person(fleet: &Fleet, token_file: &Path) -> Result<Actor> {
    let token = config::secret(token_file)?;
    let taken = fleet.access().authenticate_token(&token, "").await;
    taken.with_context(|| format!("the token in {} is not taken; `fleetward token create` makes one", token_file.display()))
}

/// An instant as RFC 3339 has it, for a flag.
pub(super) fn instant_flag(text: &str) -> Result<Timestamp, &'static str> {
    instant(text).ok_or("it is no instant: write it as RFC 3339 has it, for example 2027-01-15T06:00:00Z")
}

/// Prints what a command says, in whole lines.
pub(super) fn shown(said: Result<String>) -> Result<()> {
    print!("{}", said?);
    Ok(())
}

/// What the core refuses, in the words that it has for people: the rule and what to do. What failed keeps its cause, which whoever runs this may see; so
/// does what only this machine's operator can mend.
pub(super) fn in_words(error: anyhow::Error) -> anyhow::Error {
    if out_of_reach(&error) {
        return error;
    }
    let refused: [Option<(Fault, String)>; 6] = [
        error.downcast_ref().map(|e: &fleet::Error| (e.fault(), e.to_string())),
        error.downcast_ref().map(|e: &fleet::access::Error| (e.fault(), e.to_string())),
        error.downcast_ref().map(|e: &fleet::pki::Error| (e.fault(), e.to_string())),
        error.downcast_ref().map(|e: &fleet::devices::Error| (e.fault(), e.to_string())),
        error.downcast_ref().map(|e: &fleet::releases::Error| (e.fault(), e.to_string())),
        error.downcast_ref().map(|e: &fleet::rollouts::Error| (e.fault(), e.to_string())),
    ];
    let Some((fault, said)) = refused.into_iter().flatten().find(|(fault, _)| fault.kind != FaultKind::Internal) else { return error };
    let outermost = error.to_string();
    let refused = anyhow::Error::new(fault);
    if outermost == said { refused } else { refused.context(outermost) }
}

/// Whether a key on a token is out of reach: it is told what to give, and not that somebody else has to bring it back.
fn out_of_reach(error: &anyhow::Error) -> bool {
    use fleet::{Error, devices, pki};
    let refusal = match (error.downcast_ref::<Error>(), error.downcast_ref::<devices::Error>()) {
        (Some(Error::Pki(refusal) | Error::Devices(devices::Error::Pki(refusal))), _) | (_, Some(devices::Error::Pki(refusal))) => {
            Some(refusal)
        }
        _ => error.downcast_ref::<pki::Error>(),
    };
    matches!(refusal, Some(pki::Error::KeyOnToken { .. }))
}

/// All rows of a list, page by page: `page` reads the one behind a cursor.
pub(super) async fn every<T, E>(page: impl AsyncFn(Option<String>) -> std::result::Result<Page<T>, E>) -> std::result::Result<Vec<T>, E> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next, .. } = page(cursor).await?;
        all.extend(items);
        if next.is_none() {
            return Ok(all);
        }
        cursor = next;
    }
}

/// Prints rows in columns as wide as their widest cell.
pub(super) fn print_table(head: &[&str], rows: &[Vec<String>]) {
    print!("{}", table(head, rows));
}

/// The same as text.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).chain([head.get(at).map_or(0, |h| h.len())]).max();
    let widths: Vec<usize> = (0..head.len()).map(|at| width(at).unwrap_or(0)).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let line: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", line.join("  ").trim_end())
    };
    let rows = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    std::iter::once(line(&mut head.iter().copied())).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ids::ReleaseId;

    #[test]
    fn an_id_is_told_from_a_name_and_a_name_of_several_is_refused() {
        let id = format!("rel_{:032x}", 7);
        let of = |text: &str| text.parse::<Named<ReleaseId>>().unwrap();
        assert_eq!(of(&id), Named::Id(id.parse().unwrap()));
        assert_eq!(of("1.0.0"), Named::Name("1.0.0".into()));
        let found = |of: &[&'static str]| only("release", "1.0.0", of.to_vec()).map_err(|e| e.to_string());
        assert_eq!(found(&["a"]), Ok("a"));
        assert_eq!(found(&[]).unwrap_err(), "there is no release 1.0.0");
        assert_eq!(found(&["a", "b"]).unwrap_err(), "more than one release has the name 1.0.0; give the id of the one that is meant: a, b");
    }
}
