//! Pure: the little of DER that the parser and the writer of certificates leave to us. Refuses to know what the bytes mean.
//!
//! The X.509 parser reads some BER, and ignores what follows the value it was asked for. [`strict`] closes both: what passes is one value
//! in distinguished encoding as far as lengths and nesting go (X.690 §10.1), and nothing else.

/// Deepest nesting that is read. A CSR needs nine levels.
const DEPTH: usize = 16;

/// Why bytes are not one strictly encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The value ends before its length says so, or there is none.
    #[error("the encoding is cut off")]
    Truncated,
    /// Indefinite, non-minimal or absurd length.
    #[error("a length is not encoded as DER demands")]
    Length,
    /// A tag number above 30; nothing in X.509 has one.
    #[error("a tag is not one that X.509 uses")]
    Tag,
    /// More levels than anything legitimate has.
    #[error("the encoding is nested too deeply")]
    Depth,
    /// Bytes after the value.
    #[error("there are bytes after the end")]
    Trailing,
}

/// One value and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The content octets.
    pub content: &'a [u8],
}

/// Splits the first value off.
pub fn split(input: &[u8]) -> Result<(Value<'_>, &[u8]), DerError> {
    let [tag, length, rest @ ..] = input else { return Err(DerError::Truncated) };
    if tag & 0x1f == 0x1f {
        return Err(DerError::Tag);
    }
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        // 0x80 is BER's indefinite length; more than four length octets would be more than 4 GiB.
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let (octets, rest) = rest.split_at_checked(count).ok_or(DerError::Truncated)?;
            let length = octets.iter().fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet));
            if octets[0] == 0 || length < 0x80 {
                return Err(DerError::Length);
            }
            (length, rest)
        }
        _ => return Err(DerError::Length),
    };
    let (content, rest) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
    Ok((Value { tag: *tag, content }, rest))
}

/// The values inside a constructed value's content, in order.
pub fn children(mut content: &[u8]) -> Result<Vec<Value<'_>>, DerError> {
    let mut values = Vec::new();
    while !content.is_empty() {
        let (value, rest) = split(content)?;
        values.push(value);
        content = rest;
    }
    Ok(values)
}

/// Whether the input is exactly one value, strictly encoded at every level.
pub fn strict(input: &[u8]) -> Result<(), DerError> {
    let (value, rest) = split(input)?;
    if !rest.is_empty() {
        return Err(DerError::Trailing);
    }
    inside(value, DEPTH)
}

fn inside(value: Value<'_>, depth: usize) -> Result<(), DerError> {
    const CONSTRUCTED: u8 = 0x20;
    if value.tag & CONSTRUCTED == 0 {
        return Ok(());
    }
    let depth = depth.checked_sub(1).ok_or(DerError::Depth)?;
    children(value.content)?.into_iter().try_for_each(|child| inside(child, depth))
}

/// One value of this tag.
pub fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if let Ok(short @ 0..=0x7f) = u8::try_from(content.len()) {
        out.push(short);
    } else {
        let octets: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
        // A length has at most eight octets.
        out.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
        out.extend(octets);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_strict_and_splits_back(tag in 0_u8..0x1e, content in prop::collection::vec(any::<u8>(), 0..400)) {
            let der = encode(tag, &content);
            prop_assert_eq!(strict(&der), Ok(()));
            let (value, rest) = split(&der).unwrap();
            prop_assert_eq!((value.tag, value.content, rest.len()), (tag, content.as_slice(), 0));
        }

        #[test]
        fn what_is_strict_has_no_other_encoding(
            input in prop::collection::vec(any::<u8>(), 0..300),
            (tag, content, at, octet) in (0_u8..0x1e, prop::collection::vec(any::<u8>(), 0..300), 0_usize..6, any::<u8>()),
        ) {
            // Most bytes are refused at once; those that are nearly right get further.
            let mut nearly = encode(tag, &content);
            let place = at % nearly.len();
            nearly[place] = octet;
            for input in [input, nearly] {
                if strict(&input).is_ok() {
                    let (value, rest) = split(&input).unwrap();
                    prop_assert!(rest.is_empty());
                    prop_assert_eq!(encode(value.tag, value.content), input);
                }
            }
        }
    }

    #[test]
    fn what_ber_allows_and_der_does_not_is_refused() {
        assert_eq!(strict(&[0x30, 0x80, 0, 0]), Err(DerError::Length), "indefinite");
        assert_eq!(strict(&[0x04, 0x81, 0x01, 7]), Err(DerError::Length), "not minimal");
        assert_eq!(strict(&[0x04, 0x82, 0x00, 0x81]), Err(DerError::Length), "leading zero");
        assert_eq!(strict(&[0x04, 0x02, 7]), Err(DerError::Truncated));
        assert_eq!(strict(&[0x05, 0x00, 0x00]), Err(DerError::Trailing));
        assert_eq!(strict(&[0x1f, 0x81, 0x00]), Err(DerError::Tag));
        let deep = (0..40).fold(Vec::new(), |inner, _| encode(0x30, &inner));
        assert_eq!(strict(&deep), Err(DerError::Depth));
    }
}
