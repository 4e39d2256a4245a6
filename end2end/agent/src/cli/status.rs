//! `agent status`: what the state folder says. Reads only; a running agent is not disturbed.

use super::StateArguments;
use agent::{
    files::Folder,
    identity::Store,
    slots::{Seal, Slot, Slots},
    update::journal::{Journal, Phase},
};
use clap::Args;
use wire::states::UpdateState;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    state: StateArguments,
}

impl Arguments {
    pub fn print(self) -> anyhow::Result<()> {
        let state = self.state.state;
        let store = if state.is_dir() { Some(Store::open(&state)?) } else { None };
        let identity = store.as_ref().map(Store::load).transpose()?.flatten();
        let (Some(identity), Some(store)) = (identity, store) else {
            println!("not enrolled ({} holds no identity)", state.display());
            return Ok(());
        };
        println!("device       {}", identity.device_id());
        println!("server       {}", identity.device_url());
        println!("certificate  until {}, renewed after {}", identity.not_after(), identity.renew_after());
        if let Some(key) = store.key_type()? {
            println!("key          {key}");
        }
        if let Some(fingerprint) = identity.fingerprint() {
            println!("fingerprint  {fingerprint}");
        }
        let folder = Folder::open(&state)?;
        if !state.join("current").exists() {
            println!("firmware     never started");
            return Ok(());
        }
        let slots = Slots::open(folder.clone(), "")?;
        let active = slots.active()?;
        for slot in [Slot::A, Slot::B] {
            let holds = match slots.seal(slot)? {
                Some(Seal { version, sequence, bad, .. }) => {
                    format!("version {version}, sequence {sequence}{}", if bad { ", not well" } else { "" })
                }
                None => "nothing verified".to_owned(),
            };
            println!("slot {slot}       {holds}{}", if slot == active { " (current)" } else { "" });
        }
        if let Some(bytes) = folder.read("updates.json")? {
            let journal: Journal = serde_json::from_slice(&bytes)?;
            if let Some(seen) = journal.assigned() {
                println!("assignments  taken up to counter {}; none without", seen.counter);
            }
            println!("floor        nothing below sequence {} is installed", journal.floor);
            match journal.phase() {
                Phase::Idle => {}
                Phase::Working { offer } if journal.latest().is_some_and(|r| r.state == UpdateState::AwaitingConfirmation) => {
                    println!("update       {} waits for somebody to agree: agent confirm", offer.update_id);
                }
                Phase::Working { offer } => println!("update       {} is being downloaded or installed", offer.update_id),
                Phase::Trial { offer, to, .. } => println!("update       {} is on trial in slot {to}", offer.update_id),
            }
            if let Some(latest) = journal.latest() {
                let detail = latest.detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default();
                println!("last report  {} {}{detail}", latest.update_id, latest.state);
            }
        }
        Ok(())
    }
}
