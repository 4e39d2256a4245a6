//! The order of versions, kept beside them: devices that were there before the order was kept get theirs when the room is opened.

use super::{Devices, store};
use crate::db::{Error, exec, rows};
use wire::selector::order_of;

impl Devices {
    /// Gives each version its order that has none yet. Versions without a place in the order keep none.
    pub async fn order_versions(&self) -> Result<(), Error> {
        let found = rows!(&mut self.db.read().await?, (String,), store::UNORDERED)?;
        for (version,) in found {
            let order = order_of(&version);
            if order.is_empty() {
                continue;
            }
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::ORDER, version.as_str(), order)?;
            tx.commit().await?;
        }
        Ok(())
    }
}
