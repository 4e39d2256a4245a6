//! Pure: bearer secrets as text, `fat_<id>_<secret>`. The secret is 256 random bits, shown once and kept as its SHA-256: what can't be guessed
//! needs no slow hash. Refuses to know what a bearer may do and where it is kept.

use crate::{entropy::Entropy, hash::sha256};
use std::fmt::Display;
use subtle::ConstantTimeEq as _;
use wire::ids::Id;

/// A new secret for this id: the text to show once, and the hash to keep.
pub(crate) fn mint<T: Id + Display>(prefix: &str, id: &T, entropy: &dyn Entropy) -> (String, [u8; 32]) {
    let secret = entropy.secret();
    let id = id.to_string();
    let bare = id.strip_prefix(T::PREFIX).and_then(|id| id.strip_prefix('_')).unwrap_or(&id);
    (format!("{prefix}_{bare}_{secret}"), sha256(secret.as_bytes()))
}

/// The id and the secret of a bearer's text; none if it was never minted so.
pub(crate) fn read<'a, T: Id>(prefix: &str, text: &'a str) -> Option<(T, &'a str)> {
    let (id, secret) = text.strip_prefix(prefix)?.strip_prefix('_')?.split_once('_')?;
    Some((T::try_from(format!("{}_{id}", T::PREFIX)).ok()?, secret))
}

/// Whether the secret is the one behind the kept hash, in a time that tells nothing about how much of it is right.
pub(crate) fn fits(secret: &str, kept: &[u8]) -> bool {
    sha256(secret.as_bytes()).as_slice().ct_eq(kept).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use wire::{Timestamp, ids::ApiTokenId};

    #[test]
    fn what_is_minted_is_read_and_fits_nothing_else() {
        let entropy: &dyn Entropy = &SeededEntropy::new(5);
        let id: ApiTokenId = entropy.id(Timestamp(1_795_000_000_000));
        let (text, kept) = mint("fat", &id, entropy);
        let (read_id, secret) = read::<ApiTokenId>("fat", &text).unwrap();
        assert_eq!(read_id, id);
        assert!(fits(secret, &kept));
        assert!(!fits(secret, &kept[..31]) && !fits("", &kept) && !fits(&text, &kept));
        for wrong in ["", "fat", "fat_", "fat_x", "fat_x_y", &text[1..], &text.replacen("fat", "fet", 1)] {
            assert!(read::<ApiTokenId>("fat", wrong).is_none(), "{wrong}");
        }
    }
}
