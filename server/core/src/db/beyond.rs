//! Work on a store that goes on when whoever asked for it is gone, because it is not theirs alone or must not be left halfway. Closing waits for it.

use super::Db;
use std::time::Duration;
use tokio::task::JoinHandle;

impl Db {
    /// Runs the work to its end even if whoever asked for it goes away.
    pub fn beyond<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.beyond.spawn(work)
    }

    /// Waits until all such work is done, for so long; false when some is not. Call it before [`Db::close`], once nobody asks for anything any more.
    pub async fn settled(&self, within: Duration) -> bool {
        self.beyond.close();
        tokio::time::timeout(within, self.beyond.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{EngineKind, Store},
        testing,
    };
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[tokio::test]
    async fn what_goes_on_is_waited_for_but_not_for_ever() {
        let (db, _folder) = testing::store(EngineKind::Sqlite, Store::Fleet).await;
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        db.beyond(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            told.store(true, Ordering::SeqCst);
        });
        assert!(db.settled(Duration::from_secs(10)).await);
        assert!(done.load(Ordering::SeqCst));
        db.beyond(std::future::pending::<()>());
        assert!(!db.settled(Duration::from_millis(20)).await);
    }
}
