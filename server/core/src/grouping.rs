//! Groups of devices beside the rollouts that ask for them. Owns no table: what a group is belongs to the devices, what a plan asks for to the rollouts.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed, may},
    bus::Event,
    db::Tx,
    devices::{self, Selector},
};
use wire::{
    devices::{DeviceGroup, DeviceQuery, GroupPage, GroupsPage},
    rollouts::RolloutLink,
};

impl Fleet {
    /// Groups by their names, each with its number of devices and the rollouts that ask for it and have not ended.
    pub async fn groups(&self, actor: &Actor) -> Result<Vec<DeviceGroup>> {
        let mut groups = self.devices().groups(actor).await?;
        let asking = self.rollouts().asking_for_groups(&mut self.read().await?, actor).await?;
        for group in &mut groups {
            group.used_by = users(&asking, &group.name);
        }
        Ok(groups)
    }

    /// The groups' page.
    pub async fn groups_page(&self, actor: &Actor) -> Result<GroupsPage> {
        let groups = self.groups(actor).await?;
        Ok(GroupsPage { groups, may_edit: allowed(actor, Act::EditDevices), at: self.clock().now() })
    }

    /// A group's page; `meant` is a selector whose devices are counted.
    pub async fn group_page(&self, actor: &Actor, name: &str, cursor: Option<String>, meant: Option<&str>) -> Result<GroupPage> {
        let mut groups = self.groups(actor).await?;
        let at = groups.iter().position(|group| group.name == name).ok_or(devices::Error::NotFound("group"))?;
        let group = groups.swap_remove(at);
        let members = Selector::Is(devices::selector::Field::Group, vec![group.name.clone()]).to_string();
        let query = DeviceQuery { q: members, cursor, ..DeviceQuery::default() };
        let devices = self.devices().list(actor, &query).await?;
        let (meant, selector_error) = match meant {
            None => (None, None),
            Some(q) => {
                let counted = self.devices().page(actor, &DeviceQuery { q: q.to_owned(), rows: Some(1), ..DeviceQuery::default() }).await?;
                (counted.selector_error.is_none().then_some(counted.devices.total), counted.selector_error)
            }
        };
        Ok(GroupPage { group, devices, meant, selector_error, may_edit: allowed(actor, Act::EditDevices) })
    }

    /// Gives a group another name. Refused while a rollout asks for it: what was approved would mean other devices then.
    pub async fn rename_group(&self, actor: &Actor, name: &str, to: &str) -> Result<()> {
        may(actor, Act::EditDevices)?;
        let mut tx = self.write().await?;
        let devices = self.devices().rename_group(&mut tx, actor, name, to).await?;
        self.unused(&mut tx, actor, name).await?;
        tx.commit().await?;
        for device in devices {
            self.bus().tell(Event::Device { org: actor.org.clone(), device });
        }
        Ok(())
    }

    /// Deletes a group; its devices stay. Refused while a rollout asks for it, as renaming is.
    pub async fn delete_group(&self, actor: &Actor, name: &str) -> Result<()> {
        may(actor, Act::EditDevices)?;
        let mut tx = self.write().await?;
        self.devices().delete_group(&mut tx, actor, name).await?;
        self.unused(&mut tx, actor, name).await?;
        Ok(tx.commit().await?)
    }

    /// Called just before the commit: the audit log's head is held by then, so a plan that is written meanwhile waits for what becomes of the group, or is
    /// seen here.
    async fn unused(&self, tx: &mut Tx, actor: &Actor, name: &str) -> Result<()> {
        let asking = self.rollouts().asking_for_groups(tx, actor).await?;
        match users(&asking, name).as_slice() {
            [] => Ok(()),
            users => {
                let names: Vec<String> = users.iter().map(|rollout| format!("“{}”", rollout.name)).collect();
                let text = format!("The plan of {} asks for this group. Change the plan, or let the rollout end first.", names.join(", "));
                Err(devices::Error::GroupInUse(text).into())
            }
        }
    }
}

fn users(asking: &[(RolloutLink, Selector)], name: &str) -> Vec<RolloutLink> {
    asking.iter().filter(|(_, selector)| selector.asks_for_group(name)).map(|(rollout, _)| rollout.clone()).collect()
}
