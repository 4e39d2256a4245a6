//! Tags of many devices at once: of all that a filter means, or of none when those are more or fewer than were shown.

use super::{
    DeviceNo, Devices, Error, Selector,
    filter::Asked,
    listing::base,
    selector::Field,
    store,
    words::{MOST_TAGS, check_tags},
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{Tx, exec, list, row, select},
};
use serde::Serialize;
use serde_json::json;
use wire::{
    devices::{TagMany, Tagged},
    ids::{DeviceId, OrgId},
    page::MAX_ROWS,
};

/// Most devices that are tagged at once.
pub const MOST_AT_ONCE: i64 = 10_000;
/// Events in a row.
pub(super) const TOLD_AT_ONCE: usize = 500;

#[derive(Serialize)]
struct Of {
    device: i64,
}

/// Tags as words, or a refusal that says which input they stood in.
fn checked(field: &'static str, tags: &[String]) -> Result<(), Error> {
    check_tags(tags).map_err(|refused| match refused {
        Error::Invalid { message, .. } => Error::Invalid { field, message },
        other => other,
    })
}

/// Who is meant: the devices that are named, or those that the selector means where none is.
pub(super) fn meant(q: &str, named: &[DeviceId]) -> Result<Selector, Error> {
    if named.is_empty() {
        return Selector::parse(q).map_err(Error::Selector);
    }
    if !q.trim().is_empty() {
        return Err(Error::invalid("devices", "Name devices or give a selector, not both."));
    }
    if named.len() > MAX_ROWS as usize {
        return Err(Error::invalid("devices", format!("At most {MAX_ROWS} devices are named at once. Give a selector for more.")));
    }
    Ok(Selector::Is(Field::Id, named.iter().map(|id| id.as_str().to_owned()).collect()))
}

/// What the audit log says an order was about.
pub(super) fn about(q: &str, named: &[DeviceId]) -> String {
    match named {
        [] if q.trim().is_empty() => "every device".to_owned(),
        [] => q.to_owned(),
        [one] => one.to_string(),
        some => format!("{} devices by name", some.len()),
    }
}

impl Devices {
    /// The devices that a selector means now, by number: exactly so many as were expected, at most [`MOST_AT_ONCE`]. Where they are not so many, lists of it
    /// are counted anew, however lately they were: whoever is refused looks again.
    pub(super) async fn found(
        &self,
        tx: &mut Tx,
        org: &OrgId,
        (selector, asked): (&Selector, &Asked),
        expected: i64,
    ) -> Result<Vec<DeviceNo>, Error> {
        let filter = base(org, selector, asked);
        let text = format!("SELECT d.number FROM {} WHERE {} ORDER BY d.number LIMIT {}", filter.from, filter.text, MOST_AT_ONCE + 1);
        let found: Vec<(i64,)> = select(&mut *tx, text, &filter.values).await?;
        let devices = i64::try_from(found.len()).unwrap_or(i64::MAX);
        if devices > MOST_AT_ONCE {
            return Err(Error::invalid("q", "More than 10,000 devices match, and no more are changed at once. Narrow the filter."));
        }
        if devices != expected {
            self.totals.forget(&(org.clone(), selector.to_string()));
            return Err(Error::OtherCount { expected, found: devices });
        }
        Ok(found.into_iter().map(|(device,)| device).collect())
    }

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
        let selector = meant(q, named)?;
        let asked = self.asked(&actor.org, &selector).await?;
        let mut tx = self.db.write().await?;
        let found = self.found(&mut tx, &actor.org, (&selector, &asked), *expected).await?;
        let all = list(&found.iter().map(|device| Of { device: *device }).collect::<Vec<_>>())?;
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
