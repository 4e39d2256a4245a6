//! What several rooms keep of a deleted device. Owns no table: it says in which order they forget.

use crate::{Fleet, Result};

impl Fleet {
    /// Worker: forgets the samples and the words of deleted devices, and gives their ids free once their last certificate has ended and a day has passed, so that what
    /// was under way has come and is forgotten too.
    pub async fn forget_deleted(&self) -> Result<()> {
        let mut after = 0;
        loop {
            let deleted = self.devices().deleted(after).await?;
            let Some(last) = deleted.last() else { break };
            after = *last;
            self.rollouts().forget_said_by(&deleted).await?;
            for device in deleted {
                self.telemetry().forget_device(device).await?;
            }
        }
        self.devices().free_ids().await?;
        Ok(())
    }
}
