//! Devices that have a channel, as far as the books know.

use super::World;
use crate::devices::{Connected, DeviceNo};
use std::collections::BTreeMap;
use wire::device::{Hello, Running};

impl World {
    /// A device's channel opens; it says nothing of what it is.
    pub async fn channel(&self, device: DeviceNo) {
        let hello = Hello {
            agent: "test".into(),
            boot_id: "boot".into(),
            firmware: Running::default(),
            attributes: BTreeMap::new(),
            stream: "s".into(),
            trust_bundle: 0,
            slots: None,
        };
        let devices = self.fleet.devices();
        devices.connected(Connected { org: self.org.clone(), device, address: "::1".into(), hello });
        devices.flush_presence(false).await.expect("the channel is in the books");
    }
}
