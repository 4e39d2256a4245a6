//! Which devices are shown as connected, and why they are not any more.

use super::{Devices, Peer};
use fleet::devices::Connected;
use wire::device::Hello;

/// Why a channel ended; shown in the device's list of connections.
pub(super) type Reason = &'static str;

/// A device that is shown as connected until this is dropped, however its channel ends.
pub(super) struct Here<'a> {
    devices: &'a Devices,
    peer: &'a Peer,
    pub(super) reason: Reason,
}

impl<'a> Here<'a> {
    /// From now on.
    pub(super) fn shown(devices: &'a Devices, peer: &'a Peer, hello: Hello) -> Self {
        let Peer { peer: device, address } = peer;
        devices.fleet.devices().connected(Connected { org: device.org.clone(), device: device.device, address: address.clone(), hello });
        Self { devices, peer, reason: "the server broke the connection off" }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.devices.fleet.devices().disconnected(&self.peer.peer.org, self.peer.peer.device, self.reason);
    }
}
