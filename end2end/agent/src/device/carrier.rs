//! Whether there is a network. A host always assumes so; a simulator pulls the plug.

use tokio::sync::watch;

/// The plug, as the device sees it.
#[derive(Debug, Clone)]
pub struct Carrier(watch::Receiver<bool>);

impl Carrier {
    /// A network that is assumed to be there.
    pub fn always() -> Self {
        Self(watch::channel(true).1)
    }

    /// A network that is there while the sender says true.
    pub fn switched() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(true);
        (sender, Self(receiver))
    }

    /// Waits until it is there.
    pub async fn up(&mut self) {
        self.until(true).await;
    }

    /// Waits until it is gone.
    pub async fn lost(&mut self) {
        self.until(false).await;
    }

    async fn until(&mut self, state: bool) {
        // Nobody is there any more to change it.
        if self.0.wait_for(|now| *now == state).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
