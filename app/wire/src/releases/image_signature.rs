//! Signatures inside images: who says to have made them, and how they stand to the keys that an organization knows for them (U-5). What is signed inside is
//! for the updater on the device to check; here people see beforehand what it will say.

use crate::{Timestamp, ids::ImageKeyId};
use serde::{Deserialize, Serialize};

/// Most image keys that an organization may have.
pub const MOST_IMAGE_KEYS: usize = 32;

crate::states::words! {
    /// How an image is signed.
    ImageSignatureKind {
        /// Signed data of the Cryptographic Message Syntax (RFC 5652): RAUC, SWUpdate.
        Cms = "cms",
        /// The bytes of a signature alone, which name no signer: SWUpdate, Mender.
        Raw = "raw",
        /// A signature of `OpenPGP`: SWUpdate. It is not read here.
        Pgp = "pgp",
    }
}

crate::states::words! {
    /// How an image's signature stands.
    ImageSignatureState {
        /// It fits, and is by a known image key.
        Trusted = "trusted",
        /// No known image key vouches for whoever made it.
        UnknownSigner = "unknown_signer",
        /// It does not fit what it signs.
        Invalid = "invalid",
        /// It can't be checked here.
        Unchecked = "unchecked",
    }
}

crate::states::words! {
    /// What an image key is.
    ImageKeyKind {
        /// A certificate: of whoever signs, or of the authority above.
        Certificate = "certificate",
        /// A public key by itself.
        Key = "key",
    }
}

/// A signature inside an image, held against the image keys that are known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageSignature {
    /// How it is signed.
    pub kind: ImageSignatureKind,
    /// How that stands.
    pub state: ImageSignatureState,
    /// Who says to have signed: the subjects of their certificates. Empty where the signature names nobody.
    pub by: Vec<String>,
    /// The known keys by which it is trusted, as people call them; empty unless it is.
    pub keys: Vec<String>,
    /// Why it stands as it does, a clause; empty where it is trusted.
    pub why: String,
    /// When the certificate of whoever signed ends; of several the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl ImageSignature {
    /// How it stands, in a clause for people: who has signed, and what is known of that.
    pub fn told(&self) -> String {
        let by = if self.by.is_empty() { String::new() } else { format!(" by {}", self.by.join(", ")) };
        match self.state {
            ImageSignatureState::Trusted => format!("signed{by}, trusted by the image key {}", self.keys.join(", ")),
            ImageSignatureState::Invalid => format!("signed{by}, and the signature is invalid: {}", self.why),
            ImageSignatureState::UnknownSigner => format!("signed{by}, not trusted here: {}; devices check it by themselves", self.why),
            ImageSignatureState::Unchecked => format!("signed{by}, not checked here: {}; devices check it by themselves", self.why),
        }
    }
}

/// A key that signatures inside images are held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageKey {
    /// Its id here.
    pub id: ImageKeyId,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub kind: ImageKeyKind,
    /// The certificate's subject, or the algorithm of the key.
    pub about: String,
    /// SHA-256 (hex) of its DER: of the certificate, or of the `SubjectPublicKeyInfo`.
    pub fingerprint: String,
    /// When the certificate ends; absent of a key by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_checked_here_is_never_told_as_if_it_were() {
        for state in ImageSignatureState::ALL {
            let trusted = *state == ImageSignatureState::Trusted;
            let signature = ImageSignature {
                kind: ImageSignatureKind::Cms,
                state: *state,
                by: vec!["CN=Example builds".into()],
                keys: if trusted { vec!["Image authority".into()] } else { Vec::new() },
                why: if trusted { String::new() } else { "nobody knows".into() },
                until: None,
            };
            let told = signature.told();
            assert!(told.starts_with("signed by CN=Example builds, "), "{told}");
            assert_eq!(told.contains("Image authority"), trusted, "{told}");
            assert_eq!(told.contains(": nobody knows"), !trusted, "{told}");
            assert_eq!(
                told.contains("devices check it"),
                matches!(state, ImageSignatureState::UnknownSigner | ImageSignatureState::Unchecked),
                "{told}"
            );
            assert!(ImageSignature { by: Vec::new(), ..signature }.told().starts_with("signed, "));
        }
    }
}
