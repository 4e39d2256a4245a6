//! Groups of devices as the console reads and changes them.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};
use wire::{
    devices::{GroupPage, GroupsPage},
    percent,
};

/// The address of a group's page.
pub fn page_of(name: &str) -> String {
    format!("/groups?name={}", percent::encoded(name, b":,*"))
}

/// The page: all groups, or the one that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupsModel {
    /// All of them, when none was asked for.
    pub list: Option<GroupsPage>,
    /// The one.
    pub group: Option<GroupPage>,
}

/// The groups, or with a `name` that one as [`GroupsModel`]; `q` is a selector whose devices are counted.
#[server(prefix = "/rpc", endpoint = "/groups", input = GetUrl)]
pub async fn read_groups(
    #[server(default)] name: String,
    #[server(default)] q: Option<String>,
    #[server(default)] cursor: Option<String>,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    if name.is_empty() {
        let list = call.answer(call.fleet.groups_page(&call.actor).await)?;
        return Packed::of(&GroupsModel { list: Some(list), group: None });
    }
    let group = call.answer(call.fleet.group_page(&call.actor, &name, cursor, q.as_deref()).await)?;
    Packed::of(&GroupsModel { list: None, group: Some(group) })
}

/// Makes an empty group and leads to it.
#[server(prefix = "/rpc", endpoint = "/group/new")]
pub async fn create_group(name: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let made = call.answer(call.fleet.devices().create_group(&call.actor, &name).await)?;
    call.lead_to(&page_of(&made.name));
    Ok(())
}

/// Gives a group another name.
#[server(prefix = "/rpc", endpoint = "/group/rename")]
pub async fn rename_group(name: String, to: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer_at(call.fleet.rename_group(&call.actor, &name, &to).await, "name", "to")?;
    call.lead_to(&page_of(to.trim()));
    Ok(())
}

/// Deletes a group; wants its name repeated in `confirm`.
#[server(prefix = "/rpc", endpoint = "/group/delete")]
pub async fn delete_group(name: String, #[server(default)] confirm: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.confirmed(&confirm, &name)?;
    call.answer(call.fleet.delete_group(&call.actor, &name).await)?;
    call.lead_to("/groups");
    Ok(())
}

/// Puts devices into a group, or takes them out when `out` is `yes`: those named in `devices`, or every one that `q` means, which are `expected` many.
#[server(prefix = "/rpc", endpoint = "/group/members")]
pub async fn change_members(
    name: String,
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] out: String,
    #[server(default)] expected: i64,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let words = wire::devices::words(&devices);
    let named: Result<Vec<wire::ids::DeviceId>, _> = words.iter().map(|id| id.parse()).collect();
    let named = named.map_err(|error| call.invalid("devices", format!("{error}.")))?;
    if named.is_empty() && q.is_empty() {
        return Err(call.invalid("devices", "Name at least one device."));
    }
    let many = wire::devices::GroupMany { q, devices: named, out: out == "yes", expected };
    call.answer(call.fleet.devices().group_many(&call.actor, &name, &many).await)?;
    call.lead_to(&page_of(&name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::page_of;

    #[test]
    fn a_groups_address_keeps_its_name_whatever_is_in_it() {
        assert_eq!(page_of("Hall 3 & 4"), "/groups?name=Hall%203%20%26%204");
    }
}
