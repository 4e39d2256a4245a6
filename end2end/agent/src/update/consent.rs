//! What somebody at the device says to an update that needs them: a word in a file of the state folder, for exactly one update.
//!
//! The word stays until there is another one, so that a restart asks nobody twice and a device that was put off stays so. One for another update says
//! nothing. Whatever has a screen or a button writes it by `agent confirm`.

use super::{Error, Updates, execute::Stop};
use crate::{clock::Clock, files::Folder};
use std::{io, time::Duration};
use wire::{Timestamp, device::Offer, ids::UpdateId, states::UpdateState};

const FILE: &str = "consent";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often the server hears that nobody has answered, at least and at most: a part of the time after which it takes silence for a time-out.
const SAY_MS: (i64, i64) = (10_000, 900_000);

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Install it.
    Yes,
    /// Never this one.
    No,
    /// Not before then. The server waits a week at most.
    Later(Timestamp),
}

impl Word {
    /// The word on this update.
    fn read(text: &str, update: &UpdateId) -> Option<Self> {
        let mut words = text.split_whitespace();
        if words.next()? != update.as_str() {
            return None;
        }
        match words.next()? {
            "yes" => Some(Self::Yes),
            "no" => Some(Self::No),
            "later" => words.next()?.parse().ok().map(|at| Self::Later(Timestamp(at))),
            _ => None,
        }
    }

    /// Keeps this answer to `update`, in the place of any other.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn keep(self, update: &UpdateId, folder: &Folder) -> io::Result<()> {
        let word = match self {
            Self::Yes => "yes".to_owned(),
            Self::No => "no".to_owned(),
            Self::Later(until) => format!("later {}", until.millis()),
        };
        folder.write(FILE, format!("{update} {word}\n").as_bytes())
    }
}

impl Updates {
    fn answered(&self, update: &UpdateId) -> Result<Option<Word>, Error> {
        let text = self.folder.read(FILE)?;
        Ok(text.and_then(|text| Word::read(&String::from_utf8_lossy(&text), update)))
    }

    /// Waits until somebody has agreed, where the offer asks for that.
    pub(super) async fn agreed(&self, offer: &Offer, clock: &dyn Clock) -> Result<(), Stop> {
        if !offer.needs_confirmation {
            return Ok(());
        }
        let id = &offer.update_id;
        let every = (offer.deadline.since(clock.now()) / 4).clamp(SAY_MS.0, SAY_MS.1);
        let mut said: Option<(Timestamp, Option<Timestamp>)> = None;
        loop {
            let now = clock.now();
            let until = match self.answered(id)? {
                Some(Word::Yes) => return Ok(()),
                Some(Word::No) => {
                    let detail = "somebody at the device does not want it".to_owned();
                    return Err(Stop::Failed { state: UpdateState::Rejected, code: "denied_at_device", detail });
                }
                Some(Word::Later(until)) if now < until => Some(until),
                Some(Word::Later(_)) | None => None,
            };
            if said.is_none_or(|(at, before)| before != until || now.since(at) >= every) {
                if said.is_none() {
                    tracing::info!(update = %id, "waits for somebody to agree: agent confirm");
                }
                said = Some((now, until));
                self.change(|journal| journal.waits_for_person(id, until))?;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_for_one_update() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let (one, other): (UpdateId, UpdateId) = (format!("upd_{:032x}", 1).parse().unwrap(), format!("upd_{:032x}", 2).parse().unwrap());
        for word in [Word::Yes, Word::No, Word::Later(Timestamp(7))] {
            word.keep(&one, &folder).unwrap();
            let text = String::from_utf8(folder.read(FILE).unwrap().unwrap()).unwrap();
            assert_eq!(Word::read(&text, &one), Some(word));
            assert_eq!(Word::read(&text, &other), None);
        }
        for nothing in ["", "yes", "upd_1 yes", "later", "\u{0}"] {
            assert_eq!(Word::read(nothing, &one), None, "{nothing}");
        }
        assert_eq!(Word::read(&format!("{one} later soon"), &one), None);
    }
}
