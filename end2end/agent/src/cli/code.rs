//! The code of the console's QR on the command line: address, root and secret in one text, which a camera reads and a script hands on.

use agent::tls::{Claim, Fingerprint, Trust};
use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use std::{fs, path::PathBuf, sync::Arc};
use wire::enrolment::{AgentKey, CodeSecret, EnrolCode};

#[derive(Args)]
#[group(skip)]
pub(super) struct CodeArguments {
    /// The enrolment code that the console shows as a QR code: the enrol listener, the root and the secret in one, and where it says so the device's id and
    /// type. Other users of this machine can see it in the process list: prefer --code-file there.
    #[arg(
        long, value_name = "fleetward://enrol?…", env = "FLEETWARD_ENROL_CODE", hide_env_values = true,
        conflicts_with_all = ["enrol", "token", "token_file", "claim", "root_fingerprint", "ca"]
    )]
    code: Option<EnrolCode>,
    /// A file that holds the enrolment code.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["code", "enrol", "token", "token_file", "claim", "root_fingerprint", "ca"])]
    code_file: Option<PathBuf>,
}

/// What a code says, ready to be used.
pub(super) struct Read {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) claim: Option<Arc<Claim>>,
    pub(super) trust: Trust,
    pub(super) device_id: Option<String>,
    pub(super) device_type: Option<String>,
    pub(super) key: Option<AgentKey>,
}

impl CodeArguments {
    /// The code, if one was given.
    pub(super) fn read(&self) -> anyhow::Result<Option<Read>> {
        let code = match (&self.code, &self.code_file) {
            (Some(code), _) => code.clone(),
            (None, Some(file)) => {
                let text = fs::read_to_string(file).with_context(|| format!("cannot read the code in {}", file.display()))?;
                text.parse().with_context(|| format!("the code in {}", file.display()))?
            }
            (None, None) => return Ok(None),
        };
        Read::of(code).map(Some)
    }
}

impl Read {
    fn of(code: EnrolCode) -> anyhow::Result<Self> {
        let root: Fingerprint = code.root.parse().map_err(anyhow::Error::msg).context("the enrolment code's root")?;
        let bytes =
            |text: &str| URL_SAFE_NO_PAD.decode(text).context("the enrolment code's claim can't be read; scan or copy it again, whole");
        let (token, claim) = match &code.secret {
            CodeSecret::Token(token) => (token.clone(), None),
            CodeSecret::Claim { certificate, key } => (String::new(), Some(Arc::new(Claim::of_der(bytes(certificate)?, bytes(key)?)))),
        };
        let EnrolCode { url, device_id, device_type, alg: key, .. } = code;
        Ok(Self { url, token, claim, trust: Trust::Pinned(root), device_id, device_type, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_apart_and_a_damaged_one_says_so() {
        let root = "ab".repeat(32);
        let read = |text: String| text.parse().map_err(anyhow::Error::from).and_then(Read::of);
        let token = read(format!("fleetward://enrol?url=https://h:8444&root={root}&token=fet_x&id=gw-1&type=gateway&alg=ed25519")).unwrap();
        assert_eq!((token.url.as_str(), token.token.as_str()), ("https://h:8444", "fet_x"));
        assert_eq!((token.device_id.as_deref(), token.device_type.as_deref()), (Some("gw-1"), Some("gateway")));
        assert_eq!(token.key, Some(AgentKey::Ed25519));
        assert!(token.claim.is_none() && matches!(token.trust, Trust::Pinned(_)));
        let claim = read(format!("fleetward://enrol?url=https://h:8444&root={root}&claim=AQID&key=BAUG")).unwrap();
        assert!(claim.claim.is_some() && claim.token.is_empty());
        for bad in [format!("root={root}&claim=!&key=BAUG"), "root=ab&token=x".to_owned()] {
            assert!(read(format!("fleetward://enrol?url=https://h:8444&{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_code_in_a_file_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code");
        fs::write(&file, format!("fleetward://enrol?url=https://h:8444&root={}&token=fet_x\n", "ab".repeat(32))).unwrap();
        let given = |code_file| CodeArguments { code: None, code_file };
        assert_eq!(given(Some(file)).read().unwrap().unwrap().token, "fet_x");
        assert!(given(Some(folder.path().join("missing"))).read().is_err());
        assert!(given(None).read().unwrap().is_none());
    }
}
