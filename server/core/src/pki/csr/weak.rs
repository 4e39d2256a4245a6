//! Pure: keys that no certificate is made for although their type and size are right (E-4): how they were made gives their private half away, or it is
//! published. Keys that were compromised here are the database's, and are asked for when the certificate is issued.

use super::{CsrError, KeyAlg, sha256};
use num_bigint::BigUint;
use std::{collections::HashSet, sync::LazyLock};
use x509_parser::{prelude::FromDer as _, public_key::RSAPublicKey, x509::SubjectPublicKeyInfo};

/// SHA-256 of the `SubjectPublicKeyInfo` of keys whose private half stands in a standard, or is guessed first; behind each where it is from.
const PUBLISHED: &str = include_str!("published_keys.txt");

/// The x coordinates of k times the generator of P-256 and of P-384, for k up to 16; −k has the same one.
const GUESSED: &str = include_str!("guessed_points.txt");

/// What the lines of both lists begin with, read once: every key is compared with them.
static PUBLISHED_KEYS: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| listed(PUBLISHED));
static GUESSED_POINTS: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| listed(GUESSED));

fn listed(lines: &str) -> HashSet<Vec<u8>> {
    lines.lines().filter_map(|line| hex::decode(line.split(' ').next()?).ok()).collect()
}

/// Primes below this divide no good modulus (CA/Browser Forum Baseline Requirements §6.1.6).
const SMALL: u32 = 752;

/// Primes below this tell a modulus of the library behind ROCA (CVE-2017-15361): of others one in 240 million looks like that.
const TELLING: u32 = 168;

/// Odd primes below [`SMALL`], found once.
static PRIMES: LazyLock<Vec<u32>> =
    LazyLock::new(|| (3..SMALL).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d))).collect());

/// Rounds of Fermat's factorisation, which finds primes that are close to each other (CVE-2022-26320; the same requirements).
const ROUNDS: u32 = 100;

/// Points of small order as an Ed25519 key may have them, the sign left out: for these anybody makes signatures (RFC 8032 §5.1.7 lets them pass).
const SMALL_ORDER: [[u8; 32]; 7] = [
    filled(0, 0),
    filled(1, 0),
    high(0xec),
    high(0xed),
    high(0xee),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

/// A number by its first octet and what the others are, little end first.
const fn filled(first: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = first;
    bytes
}

/// One at the field's upper end, 2^255 − 19, or above it.
const fn high(first: u8) -> [u8; 32] {
    let mut bytes = filled(first, 0xff);
    bytes[31] = 0x7f;
    bytes
}

/// Whether nobody but its holder can be expected to have the private half of a key of this type.
pub(super) fn look(spki: &SubjectPublicKeyInfo<'_>, alg: KeyAlg) -> Result<(), CsrError> {
    if PUBLISHED_KEYS.contains(sha256(spki.raw).as_slice()) {
        return Err(CsrError::Weak("its private key is published"));
    }
    let data: &[u8] = &spki.subject_public_key.data;
    match alg {
        KeyAlg::Rsa(_) => {
            let (_, key) = RSAPublicKey::from_der(data).map_err(|_| CsrError::WeakKey("it is not an RSA key"))?;
            modulus(&BigUint::from_bytes_be(key.modulus))
        }
        KeyAlg::Ed25519 => {
            let mut point: Vec<u8> = data.to_vec();
            if let Some(last) = point.last_mut() {
                *last &= 0x7f;
            }
            let small = SMALL_ORDER.iter().any(|known| known.as_slice() == point);
            if small { Err(CsrError::Weak("its point is of small order")) } else { Ok(()) }
        }
        KeyAlg::P256 | KeyAlg::P384 => {
            // Uncompressed: 4, x and y, of one length.
            let guessed = data.get(1..=data.len() / 2).is_some_and(|x| GUESSED_POINTS.contains(x));
            if guessed { Err(CsrError::Weak("its private key is guessed: a small number, or the negative of one")) } else { Ok(()) }
        }
    }
}

fn modulus(n: &BigUint) -> Result<(), CsrError> {
    if primes(SMALL).any(|p| rest(n, p) == 0) {
        return Err(CsrError::Weak("its RSA modulus has a small factor"));
    }
    if roca(n) {
        return Err(CsrError::Weak("its RSA modulus is made as by the library of CVE-2017-15361 (ROCA), and can be factored"));
    }
    if close(n) {
        return Err(CsrError::Weak("the primes of its RSA modulus are close to each other, and can be found"));
    }
    Ok(())
}

/// Odd primes below this, which is [`SMALL`] at most.
fn primes(below: u32) -> impl Iterator<Item = u32> {
    PRIMES.iter().copied().take_while(move |p| *p < below)
}

fn rest(n: &BigUint, by: u32) -> u32 {
    (n % by).iter_u32_digits().next().unwrap_or(0)
}

/// Whether it is a power of 65537 modulo each of the telling primes: so are both of its factors there, and their product with them.
fn roca(n: &BigUint) -> bool {
    primes(TELLING).all(|p| {
        let (rest, mut power) = (rest(n, p), 1);
        (0..p).any(|_| {
            let found = power == rest;
            power = power * (65_537 % p) % p;
            found
        })
    })
}

/// Whether Fermat's way finds its factors: n = a² − b² for an a little above its root.
fn close(n: &BigUint) -> bool {
    let mut a = n.sqrt();
    if &a * &a < *n {
        a += 1_u32;
    }
    let mut b_squared = &a * &a - n;
    for _ in 0..ROUNDS {
        if is_square(&b_squared) {
            return true;
        }
        b_squared += &a * 2_u32 + 1_u32;
        a += 1_u32;
    }
    false
}

/// Few numbers are squares modulo all of these; only their roots are drawn.
fn is_square(n: &BigUint) -> bool {
    let may_be = [64, 63, 65, 11].into_iter().all(|m| {
        let rest = rest(n, m);
        (0..m).any(|x| x * x % m == rest)
    });
    may_be && {
        let root = n.sqrt();
        &root * &root == *n
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::der::encode, sound_key},
        *,
    };
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm};
    use rcgen::{KeyPair, PublicKeyData as _};

    fn said(n: &BigUint) -> String {
        modulus(n).map_or_else(|e| e.to_string(), |()| "good".to_owned())
    }

    /// The first prime at or above this, for numbers so small that division finds it.
    fn prime_from(n: u64) -> BigUint {
        let is = |n: u64| (2..=n.isqrt()).all(|d| !n.is_multiple_of(d));
        BigUint::from((n..2 * n).find(|n| is(*n)).unwrap())
    }

    #[test]
    fn e_4_each_weakness_of_a_modulus_is_found_and_no_other() {
        let (p, q) = (prime_from(4_000_000_000), prime_from(3_000_000_000));
        assert_eq!(said(&(&p * &q)), "good");
        assert!(said(&(&p * 751_u32)).contains("small factor"));
        assert_eq!(said(&(&p * prime_from(u64::from(SMALL)))), "good", "the next one is large enough");
        assert!(said(&(&p * prime_from(4_000_001_000))).contains("close to each other"));
        assert!(said(&(&p * &p)).contains("close to each other"), "a square has one prime twice");
        // Both are 65537 to some power modulo each of the telling primes, and so is their product.
        let product = primes(TELLING).fold(BigUint::from(2_u32), |product, p| product * p);
        let generator = BigUint::from(65_537_u32);
        let (one, other) = (generator.pow(7) % &product, generator.pow(11) % &product + &product * 6_u32);
        assert!(said(&(one * other)).contains("CVE-2017-15361"));
    }

    #[test]
    fn e_4_the_list_of_published_keys_is_well_formed() {
        let lines: Vec<_> = PUBLISHED.lines().collect();
        assert!(lines.len() > 15);
        for line in lines {
            let (digest, from) = line.split_once(' ').unwrap();
            assert!(
                hex::decode(digest).is_ok_and(|bytes| bytes.len() == 32) && digest == digest.to_lowercase() && !from.is_empty(),
                "{line}"
            );
        }
    }

    /// A curve as the list names it.
    struct Curve {
        prime: BigUint,
        b: BigUint,
        oid: &'static [u8],
        alg: &'static EcdsaSigningAlgorithm,
    }

    fn curve(name: &str) -> Curve {
        let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap();
        match name {
            "P-256" => Curve {
                prime: number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
                b: number("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
                oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
                alg: &ECDSA_P256_SHA256_ASN1_SIGNING,
            },
            "P-384" => Curve {
                prime: number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"),
                b: number("b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef"),
                oid: &[0x2b, 0x81, 4, 0, 0x22],
                alg: &ECDSA_P384_SHA384_ASN1_SIGNING,
            },
            other => panic!("{other}"),
        }
    }

    /// A line's curve and number, and both points that have its x: the number's and the negative one's.
    fn points(line: &str) -> (Curve, u8, [Vec<u8>; 2]) {
        let (x, rest) = line.split_once(' ').unwrap();
        let (name, number) = rest.split_once(' ').unwrap();
        let (curve, octets) = (curve(name), hex::decode(x).unwrap());
        let (p, x) = (&curve.prime, BigUint::from_bytes_be(&octets));
        // y² = x³ − 3x + b, and both primes are 3 modulo 4, so that a root is a power.
        let square = (&x * &x * &x + p * 3_u32 - &x * 3_u32 + &curve.b) % p;
        let y = square.modpow(&((p + 1_u32) >> 2_u32), p);
        assert_eq!(&y * &y % p, square, "{line}: not on the curve");
        let both = [p - &y, y].map(|y| {
            let y = y.to_bytes_be();
            [vec![4], octets.clone(), vec![0; octets.len() - y.len()], y].concat()
        });
        (curve, number.parse().unwrap(), both)
    }

    #[test]
    fn e_4_each_guessed_point_is_on_its_curve_and_that_of_its_number() {
        for line in GUESSED.lines() {
            let (curve, number, both) = points(line);
            let mut private = vec![0; both[0].len() / 2];
            *private.last_mut().unwrap() = number;
            let fits = |point: &&Vec<u8>| EcdsaKeyPair::from_private_key_and_public_key(curve.alg, &private, point).is_ok();
            assert_eq!(both.iter().filter(fits).count(), 1, "{line}");
        }
        assert_eq!((GUESSED.lines().count(), GUESSED_POINTS.len()), (32, 32));
    }

    #[test]
    fn e_4_a_key_whose_private_half_is_a_small_number_or_the_negative_of_one_is_guessed() {
        const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        let said = |spki: &[u8]| sound_key(&SubjectPublicKeyInfo::from_der(spki).unwrap().1).map_err(|e| e.to_string());
        for line in GUESSED.lines() {
            let (curve, _, both) = points(line);
            let algorithm = encode(0x30, &[encode(6, EC_KEY), encode(6, curve.oid)].concat());
            for point in both {
                let spki = encode(0x30, &[algorithm.clone(), encode(3, &[vec![0], point].concat())].concat());
                assert!(said(&spki).unwrap_err().contains("its private key is guessed"), "{line}");
            }
        }
        for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            assert!(said(&KeyPair::generate_for(alg).unwrap().subject_public_key_info()).is_ok());
        }
    }
}
