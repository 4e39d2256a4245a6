//! What a device was told about itself, kept in the state folder so that the next start needs none of it: what it is, whose firmware it
//! installs, and the commands that fit updates to its hardware. Refuses to know where the words come from.

use crate::{files::Folder, update::keys::TrustedKeys};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io};
use wire::enrolment::AgentKey;

const FILE: &str = "settings.json";

/// Why settings can't be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state folder cannot be read or written.
    #[error("state folder: {0}")]
    Files(#[from] io::Error),
    /// The file does not hold settings.
    #[error("{FILE} in the state folder is damaged ({0}); remove it and start once with all the flags")]
    Damaged(serde_json::Error),
    /// Nothing could ever be installed.
    #[error("{threshold} signatures are asked for, and {keys} keys are trusted; give --trusted-key for each, or a lower --threshold")]
    Threshold {
        /// How many must have signed.
        threshold: u32,
        /// How many can.
        keys: usize,
    },
}

/// What was told; what never was is none or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The device's type as in manifests.
    pub device_type: Option<String>,
    /// Its hardware revision.
    pub hardware: Option<String>,
    /// The version it reports before its first update.
    pub factory_version: Option<String>,
    /// Facts to show beside it.
    pub attributes: BTreeMap<String, String>,
    /// Whose firmware it installs.
    pub trusted_keys: TrustedKeys,
    /// How many of these keys must have signed; one unless told otherwise.
    pub threshold: Option<u32>,
    /// The key it makes where it has none.
    pub key: Option<AgentKey>,
    /// The enrol listener it was sent to.
    pub enrol_url: Option<String>,
    /// Makes a verified payload startable.
    pub install_hook: Option<String>,
    /// Restarts the machine into the current slot.
    pub reboot_hook: Option<String>,
    /// Judges the machine after a start into new firmware.
    pub health_hook: Option<String>,
}

impl Settings {
    /// What is said now over what was kept; it is kept from here on. What is said replaces what was kept of its kind, lists as a whole.
    ///
    /// # Errors
    /// When the state folder can't be used, or holds settings that can't be read.
    pub fn told(self, folder: &Folder) -> Result<Self, Error> {
        let kept = folder.read(FILE)?;
        let before: Self = kept.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(Error::Damaged)?.unwrap_or_default();
        let now = Self {
            device_type: self.device_type.or_else(|| before.device_type.clone()),
            hardware: self.hardware.or_else(|| before.hardware.clone()),
            factory_version: self.factory_version.or_else(|| before.factory_version.clone()),
            attributes: if self.attributes.is_empty() { before.attributes.clone() } else { self.attributes },
            trusted_keys: if self.trusted_keys.is_empty() { before.trusted_keys.clone() } else { self.trusted_keys },
            threshold: self.threshold.or(before.threshold),
            key: self.key.or(before.key),
            enrol_url: self.enrol_url.or_else(|| before.enrol_url.clone()),
            install_hook: self.install_hook.or_else(|| before.install_hook.clone()),
            reboot_hook: self.reboot_hook.or_else(|| before.reboot_hook.clone()),
            health_hook: self.health_hook.or_else(|| before.health_hook.clone()),
        };
        let keys = now.trusted_keys.count();
        if keys > 0 && usize::try_from(now.threshold()).unwrap_or(usize::MAX) > keys {
            return Err(Error::Threshold { threshold: now.threshold(), keys });
        }
        if now != before {
            folder.write(FILE, &serde_json::to_vec_pretty(&now).map_err(io::Error::from)?)?;
        }
        Ok(now)
    }

    /// How many of the trusted keys must have signed.
    pub fn threshold(&self) -> u32 {
        self.threshold.unwrap_or(1)
    }

    /// The keys and how many of them must have signed.
    pub fn trust(&self) -> TrustedKeys {
        self.trusted_keys.clone().with_threshold(self.threshold())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_start_needs_none_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(Settings::default().told(&folder).unwrap(), Settings::default());
        let mut keys = TrustedKeys::none();
        keys.add([7; 32]);
        let first = Settings {
            device_type: Some("gateway".into()),
            attributes: [("site".to_owned(), "hall 3".to_owned())].into(),
            trusted_keys: keys.clone(),
            key: Some(AgentKey::P384),
            reboot_hook: Some("/sbin/reboot".into()),
            ..Settings::default()
        };
        first.clone().told(&folder).unwrap();
        assert_eq!(Settings::default().told(&folder).unwrap(), first);

        let mut other = TrustedKeys::none();
        other.add([8; 32]);
        let again = Settings { trusted_keys: other.clone(), hardware: Some("B".into()), ..Settings::default() }.told(&folder).unwrap();
        assert_eq!((again.trusted_keys, again.hardware.as_deref()), (other, Some("B")), "what is said replaces what was kept");
        assert_eq!((again.device_type.as_deref(), again.key), (Some("gateway"), Some(AgentKey::P384)));
    }

    #[test]
    fn a_threshold_is_kept_and_can_be_met() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut keys = TrustedKeys::none();
        keys.add([7; 32]);
        let told = Settings { trusted_keys: keys.clone(), threshold: Some(2), ..Settings::default() };
        assert!(matches!(told.clone().told(&folder), Err(Error::Threshold { threshold: 2, keys: 1 })));
        keys.add([8; 32]);
        Settings { trusted_keys: keys, ..told }.told(&folder).unwrap();
        assert_eq!(Settings::default().told(&folder).unwrap().trust().threshold(), 2);
    }

    #[test]
    fn damaged_settings_are_said_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write(FILE, b"{\"trusted_keys\":[\"00\"]}").unwrap();
        assert!(matches!(Settings::default().told(&folder), Err(Error::Damaged(_))));
    }
}
