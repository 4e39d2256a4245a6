//! Pure: what a person pastes on a device to enrol it.

use crate::profiles::KeyType;

crate::states::words! {
    /// A key that the agent makes: its type (P-1), and its length where that is a choice.
    AgentKey {
        /// NIST P-256.
        P256 = "p-256",
        /// NIST P-384.
        P384 = "p-384",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// RSA with 2048 bits.
        Rsa2048 = "rsa-2048",
        /// RSA with 3072 bits.
        Rsa3072 = "rsa-3072",
        /// RSA with 4096 bits.
        Rsa4096 = "rsa-4096",
    }
}

impl AgentKey {
    /// The one that the agent makes unless it is told otherwise.
    pub const USUAL: Self = Self::P256;

    /// The one to make for a profile that is for these types, of which none means every type: the usual one if it may be.
    pub fn for_any_of(types: &[KeyType]) -> Self {
        match types.iter().min() {
            None | Some(KeyType::P256) => Self::USUAL,
            Some(KeyType::P384) => Self::P384,
            Some(KeyType::Ed25519) => Self::Ed25519,
            Some(KeyType::Rsa) => Self::Rsa3072,
        }
    }

    /// Itself, where the agent has to be told.
    pub fn told(self) -> Option<Self> {
        (self != Self::USUAL).then_some(self)
    }
}

/// The shell line that makes a host a device with the agent and a key of this type; without a `device_id` it takes the host's name, without a `device_type`
/// the agent's own.
pub fn agent_line(
    enrol_url: &str,
    root_fingerprint: &str,
    secret: &str,
    device_id: Option<&str>,
    device_type: &str,
    key: AgentKey,
) -> String {
    let device_id = device_id.map_or_else(|| "\"$(hostname)\"".to_owned(), shell_word);
    let kind = if device_type.is_empty() { String::new() } else { format!(" --type {}", shell_word(device_type)) };
    let key = key.told().map(|key| format!(" --key {key}")).unwrap_or_default();
    format!("agent run --enrol {enrol_url} --token {secret} --root-fingerprint {root_fingerprint} --device-id {device_id}{kind}{key}")
}

/// The same with all that the agent needs in one code, which a phone scans and hands on.
pub fn code_line(code: &str) -> String {
    format!("agent run --code {}", shell_word(code))
}

/// The text as one word of a POSIX shell (§2.2.2): lines are pasted as root by somebody who did not write them.
fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/@%+=,".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Shell lines that enrol a device by EST with nothing but curl and openssl. They leave `device.key`, `device.pem` and `root.pem`; a server whose
/// root has another fingerprint gets no token. `device_id` may be a shell expression such as `$(hostname)`. The device makes a key of the type `key`.
pub fn est_lines(enrol_url: &str, root_fingerprint: &str, secret: &str, device_id: &str, key: KeyType) -> [String; 4] {
    let new_key = match key {
        KeyType::P256 => "ec -pkeyopt ec_paramgen_curve:P-256",
        KeyType::P384 => "ec -pkeyopt ec_paramgen_curve:P-384",
        KeyType::Ed25519 => "ed25519",
        KeyType::Rsa => "rsa:3072",
    };
    let unpack = "openssl base64 -d | openssl pkcs7 -inform DER -print_certs";
    [
        format!("curl -sk {enrol_url}/.well-known/est/cacerts | {unpack} -out ca.pem && openssl x509 -in ca.pem -out root.pem"),
        format!(
            "openssl x509 -in root.pem -noout -fingerprint -sha256 | tr -d : | grep -iq {root_fingerprint} && echo 'root verified' || \
             {{ echo 'not our server'; rm -f root.pem; }}"
        ),
        format!(
            "openssl req -new -newkey {new_key} -nodes -keyout device.key -subj \"/CN={device_id}\" -outform DER | \
             openssl base64 -out device.csr"
        ),
        format!(
            "curl -sS --fail --cacert root.pem --user any:{secret} -H 'Content-Type: application/pkcs10' --data-binary @device.csr \
             {enrol_url}/.well-known/est/simpleenroll | {unpack} -out device.pem"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_runs_the_agent_and_nothing_else() {
        let line = |id, kind| agent_line("https://h:8444", "ab", "fet_x", id, kind, AgentKey::USUAL);
        assert_eq!(line(None, ""), "agent run --enrol https://h:8444 --token fet_x --root-fingerprint ab --device-id \"$(hostname)\"");
        assert!(line(Some("gw-1"), "linux-host").ends_with("--device-id gw-1 --type linux-host"));
        assert!(agent_line("h", "ab", "x", Some("gw-1"), "", AgentKey::Rsa3072).ends_with("--device-id gw-1 --key rsa-3072"));
        assert!(line(Some("$(reboot)"), "it's; reboot").ends_with(r"--device-id '$(reboot)' --type 'it'\''s; reboot'"));
    }

    #[test]
    fn the_agent_makes_a_key_that_the_profile_takes() {
        for (types, key) in [
            (&[][..], AgentKey::P256),
            (&[KeyType::Rsa, KeyType::P256], AgentKey::P256),
            (&[KeyType::Ed25519, KeyType::P384], AgentKey::P384),
            (&[KeyType::Ed25519], AgentKey::Ed25519),
            (&[KeyType::Rsa], AgentKey::Rsa3072),
        ] {
            assert_eq!(AgentKey::for_any_of(types), key, "{types:?}");
        }
        assert!(AgentKey::USUAL.told().is_none());
        for key in AgentKey::ALL {
            assert_eq!(key.as_str().parse::<AgentKey>(), Ok(*key));
        }
    }
}
