//! Tags of many devices at once: of all that a filter means, or of none when those are more or fewer than were shown.

use super::{
    Devices, Error,
    naming::{ByName, about},
    store,
    words::{MOST_TAGS, check_tags},
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{column, exec, row},
};
use serde_json::json;
use wire::devices::{TagMany, Tagged};

/// Events in a row.
pub(super) const TOLD_AT_ONCE: usize = 500;

/// Tags as words, or a refusal that says which input they stood in.
fn checked(field: &'static str, tags: &[String]) -> Result<(), Error> {
    check_tags(tags).map_err(|refused| match refused {
        Error::Invalid { message, .. } => Error::Invalid { field, message },
        other => other,
    })
}

impl Devices {
    /// Adds tags to every device that a selector means, or that is named, and takes others away, all or nothing. `expected` is how many devices the caller
    /// has seen it mean; when it is another number by now, nothing happens.
    pub async fn tag_many(&self, actor: &Actor, many: &TagMany) -> Result<Tagged, Error> {
        may(actor, Act::EditDevices)?;
        let TagMany { q, devices: named, add, remove, expected } = many;
        checked("add", add)?;
        checked("remove", remove)?;
        if add.is_empty() && remove.is_empty() {
            return Err(Error::invalid("add", "Say which tags to add or to remove."));
        }
        if let Some(both) = add.iter().find(|tag| remove.contains(tag)) {
            return Err(Error::invalid("remove", format!("{both:?} can't be added and removed at once.")));
        }
        let now = self.clock.now();
        let whom = self.whom(&actor.org, q, named, ByName::Page).await?;
        let mut tx = self.db.write().await?;
        let found = self.found(&mut tx, &actor.org, &whom, *expected).await?;
        let all = column("device", &found)?;
        for tag in remove {
            exec!(&mut tx, store::TAG_OFF, all.as_str(), tag.as_str())?;
        }
        for tag in add {
            exec!(&mut tx, store::TAG_ON, all.as_str(), actor.org.as_str(), tag.as_str())?;
        }
        if let Some((device,)) = row!(&mut tx, (String,), store::TAGS_OVER, all.as_str(), i64::try_from(MOST_TAGS).unwrap_or(i64::MAX))? {
            let text = format!("{device} would have more than {MOST_TAGS} tags, and no device has more. Remove some of its tags first.");
            return Err(Error::invalid("add", text));
        }
        let detail = json!({ "q": q, "named": named, "add": add, "remove": remove, "devices": expected });
        audit::append(&mut tx, actor, now, "device.tag_many", &about(q, named), &detail).await?;
        tx.commit().await?;
        let devices = *expected;
        // The bus holds so many and no more: those who follow it get their turn in between.
        for some in found.chunks(TOLD_AT_ONCE) {
            for device in some {
                self.bus.tell(Event::Device { org: actor.org.clone(), device: *device });
            }
            tokio::task::yield_now().await;
        }
        Ok(Tagged { devices })
    }
}
