//! `agent confirm`: what somebody at the device says to the update that waits for them. For whatever has a screen or a button.

use super::StateArguments;
use agent::{
    clock::{self, Clock as _},
    files::Folder,
    update::{
        consent::Word,
        journal::{Journal, Phase},
    },
};
use anyhow::bail;
use clap::Args;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    state: StateArguments,
    /// Not this update, now or later.
    #[arg(long)]
    deny: bool,
    /// Ask again in so many minutes. The server waits 7 days at most.
    #[arg(long, value_name = "MINUTES", conflicts_with = "deny", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    later: Option<u32>,
}

impl Arguments {
    pub fn answer(self) -> anyhow::Result<()> {
        let folder = Folder::open(&self.state.state)?;
        let journal: Option<Journal> = folder.read("updates.json")?.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        let waiting = journal.as_ref().and_then(|journal| match journal.phase() {
            Phase::Working { offer } if offer.needs_confirmation => Some(offer.update_id.clone()),
            _ => None,
        });
        let Some(update) = waiting else { bail!("no update waits for anybody; agent status says what there is") };
        let (word, said) = match (self.deny, self.later) {
            (true, _) => (Word::No, "is refused".to_owned()),
            (_, Some(minutes)) => {
                let until = clock::System::new().now().plus(i64::from(minutes) * 60_000);
                (Word::Later(until), format!("is put off until {}", until.readable()))
            }
            _ => (Word::Yes, "may begin".to_owned()),
        };
        word.keep(&update, &folder)?;
        println!("{update} {said}");
        Ok(())
    }
}
