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

/// What the name of a device has to fit where a line takes the host's: the pattern of a token that is neither for one exact id, which its lines name, nor for
/// any. None where there is nothing to say.
pub fn names_to_fit(pattern: &str) -> Option<&str> {
    let exact = !pattern.is_empty() && !pattern.contains(['*', ' ']);
    let any = pattern.split(' ').any(|one| one.bytes().all(|b| b == b'*'));
    (!exact && !any).then_some(pattern)
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
/// root has another fingerprint gets no token. `device_id` may be a shell expression such as `$(hostname)`. The device makes a key of the type `key`
/// unless it has one: pasted again they ask with the same key, which is how an answer that was lost is fetched, or one that a person approves.
pub fn est_lines(enrol_url: &str, root_fingerprint: &str, secret: &str, device_id: &str, key: KeyType) -> [String; 4] {
    [
        format!(
            "curl -sSk {enrol_url}/.well-known/est/cacerts | openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out ca.pem && \
             openssl x509 -in ca.pem -out root.pem"
        ),
        format!(
            "openssl x509 -in root.pem -noout -fingerprint -sha256 | tr -d : | grep -iq {root_fingerprint} && echo 'root verified' || \
             {{ echo 'not our server'; rm -f root.pem; }}"
        ),
        format!("{}; {}", key_line("device.key", key), request_line("device.key", device_id)),
        trade_line(&format!("--user any:{secret}"), &format!("{enrol_url}/.well-known/est/simpleenroll"), "mv device.new device.pem"),
    ]
}

/// Shell lines that renew the certificate which [`est_lines`] has brought, beside it. The first makes a new key and may be left out: then the device keeps
/// its key, and the renewal is due after two thirds of the certificate's life. The name is the certificate's.
pub fn est_renewal_lines(enrol_url: &str, key: KeyType) -> [String; 2] {
    let name = "$(openssl x509 -in device.pem -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= //p')";
    let request = request_line("\"$key\"", name);
    let keep = "mv device.new device.pem && { [ \"$key\" = device.key ] || mv next.key device.key; }";
    let trade = trade_line("--cert device.pem --key device.key", &format!("{enrol_url}/.well-known/est/simplereenroll"), keep);
    [key_line("next.key", key), format!("key=device.key; [ ! -s next.key ] || key=next.key; {request}; {trade}")]
}

/// Makes a key of this type, for its owner alone, unless there is one.
fn key_line(file: &str, key: KeyType) -> String {
    let kind = match key {
        KeyType::P256 => "EC -pkeyopt ec_paramgen_curve:P-256",
        KeyType::P384 => "EC -pkeyopt ec_paramgen_curve:P-384",
        KeyType::Ed25519 => "ed25519",
        KeyType::Rsa => "RSA -pkeyopt rsa_keygen_bits:3072",
    };
    format!("[ -s {file} ] || (umask 077; openssl genpkey -algorithm {kind} -out {file})")
}

/// Asks with this key, in `device.csr`.
fn request_line(key: &str, device_id: &str) -> String {
    format!("openssl req -new -key {key} -subj \"/CN={device_id}\" -outform DER | openssl base64 -out device.csr")
}

/// Sends `device.csr` and takes what comes: a certificate is put away by `keep`, of anything else the server's words are shown, and what was there stays.
fn trade_line(credential: &str, url: &str, keep: &str) -> String {
    format!(
        "rm -f device.p7; said=$(curl -sS --cacert root.pem {credential} -H 'Content-Type: application/pkcs10' --data-binary @device.csr \
         -o device.p7 -w '%{{http_code}}' {url}); case \"$said\" in \
         200) openssl base64 -d -in device.p7 | openssl pkcs7 -inform DER -print_certs -out device.new && {keep} && \
         echo 'the certificate is in device.pem';; \
         202) cat device.p7; echo 'it waits for approval; run this line again';; \
         *) cat device.p7 2>/dev/null; echo \"no certificate ($said)\"; false;; esac"
    )
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
    fn a_name_has_to_fit_where_a_pattern_is_neither_one_id_nor_any() {
        for (pattern, fits) in
            [("u-*", true), ("gw-1 gw-2", true), ("*-hall3", true), ("gw-1", false), ("", false), ("*", false), ("gw-* *", false)]
        {
            assert_eq!(names_to_fit(pattern), fits.then_some(pattern), "{pattern:?}");
        }
    }

    #[test]
    fn est_lines_make_a_key_only_where_there_is_none_and_show_what_the_server_says() {
        let lines = est_lines("https://h:8444", "ab", "fet_x", "gw-1", KeyType::Rsa);
        assert!(lines[2].starts_with(
            "[ -s device.key ] || (umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out device.key); "
        ));
        assert!(lines[3].contains("-w '%{http_code}' https://h:8444/.well-known/est/simpleenroll); case"), "{}", lines[3]);
        let [new_key, renewal] = est_renewal_lines("https://h:8444", KeyType::Ed25519);
        assert_eq!(new_key, "[ -s next.key ] || (umask 077; openssl genpkey -algorithm ed25519 -out next.key)");
        assert!(renewal.contains("--cert device.pem --key device.key ") && renewal.contains("/simplereenroll); case"));
        assert!(!lines.iter().chain([&new_key, &renewal]).any(|line| line.contains('\n')), "a line is one line");
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
