//! Where the chain of a registered authority's device ends (E-10, A-33): in the nearest to the device of the authorities to whose keys it leads.
//! Owns webpki's verifiers over each of them and the way between; refuses to know whether the device may come in.
//!
//! The nearest decides, as whoever registers an authority below another one says something about its devices alone.

use fleet::pki::{
    RegisteredAnchor,
    registered::{Link, has_signed, link},
};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{cell::LazyCell, collections::HashMap, sync::Arc};
use wire::ids::AuthorityId;

/// One registered authority, alone: a chain is good for it and never for another.
struct End {
    anchor: Arc<RegisteredAnchor>,
    webpki: Arc<dyn ClientCertVerifier>,
}

/// All of them by their raw names, so that a handshake reads each certificate once and asks only those that its chain names.
#[derive(Default)]
pub(super) struct Ends(HashMap<Vec<u8>, Vec<End>>);

/// A certificate between the device and an authority, and what holds it.
struct Step<'a> {
    certificate: &'a CertificateDer<'a>,
    link: Link,
}

/// A chain that leads to an authority's key.
pub(super) type Found = (Arc<RegisteredAnchor>, ClientCertVerified);

impl End {
    /// None when it can't be an anchor. Somebody else's certificate must not stop the listener.
    fn of(anchor: &Arc<RegisteredAnchor>, provider: &Arc<CryptoProvider>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        let added = roots.add(anchor.certificate.clone());
        let built = added.map_err(|e| e.to_string()).and_then(|()| {
            let provider = Arc::clone(provider);
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|e| e.to_string())
        });
        let webpki =
            built.inspect_err(|error| tracing::error!(authority = %anchor.id, error, "a registered authority can't be an anchor")).ok()?;
        Some(Self { anchor: Arc::clone(anchor), webpki })
    }

    /// Whether these steps lead from the device to it.
    fn leads(&self, leaf: &CertificateDer<'_>, steps: &[Step<'_>], now: UnixTime) -> Option<Found> {
        // What the device sends of the authority itself is no step of the path, be it the certificate before the present one.
        let itself = |step: &&Step<'_>| step.link.name == self.anchor.name && step.link.key == self.anchor.key;
        let steps: Vec<_> = steps.iter().filter(|step| !itself(step)).map(|step| step.certificate.clone()).collect();
        self.webpki.verify_client_cert(leaf, &steps, now).ok().map(|verified| (Arc::clone(&self.anchor), verified))
    }
}

impl Ends {
    pub fn of(anchors: &[Arc<RegisteredAnchor>], provider: &Arc<CryptoProvider>) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for end in anchors.iter().filter_map(|anchor| End::of(anchor, provider)) {
            by_name.entry(end.anchor.name.clone()).or_default().push(end);
        }
        Self(by_name)
    }

    /// The authority in which this chain ends: the one that the device is `known` to be of, otherwise the nearest. Goes up from the device by the names
    /// that certificates give of their signers, so that neither their order nor what stands beside them says anything. No path builder looks at an
    /// anchor's path length, so the generations are counted here.
    pub fn find<'a>(
        &self,
        leaf: &'a CertificateDer<'a>,
        intermediates: &'a [CertificateDer<'a>],
        now: UnixTime,
        known: impl FnOnce() -> Option<AuthorityId>,
    ) -> Option<Found> {
        if self.0.is_empty() {
            return None;
        }
        let known = LazyCell::new(known);
        let mut ahead: Vec<Step<'_>> =
            intermediates.iter().filter_map(|certificate| Some(Step { certificate, link: link(certificate)? })).collect();
        let (mut names, mut steps) = (vec![link(leaf)?.by], Vec::new());
        for between in 0.. {
            let mut here: Vec<&End> = names.iter().filter_map(|name| self.0.get(name)).flatten().collect();
            here.retain(|end| end.anchor.path_len.is_none_or(|most| between <= most));
            here.retain(|end| known.as_ref().is_none_or(|known| end.anchor.id == *known));
            // Of two that are as near, the one that was there first.
            here.sort_unstable_by(|a, b| a.anchor.id.as_str().cmp(b.anchor.id.as_str()));
            if let Some(found) = here.into_iter().find_map(|end| end.leads(leaf, &steps, now)) {
                return Some(found);
            }
            let (next, rest): (Vec<_>, Vec<_>) = ahead.into_iter().partition(|step| names.contains(&step.link.name));
            if next.is_empty() {
                return None;
            }
            for step in next {
                if !names.contains(&step.link.by) {
                    names.push(step.link.by.clone());
                }
                steps.push(step);
            }
            ahead = rest;
        }
        None
    }

    /// The nearest active authority whose key has signed this certificate, or one of those above it as they were sent. Nothing else of them is looked at: its
    /// chain was refused, and this is whom that concerns. Signatures are checked under fitting names alone.
    pub fn behind(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<Arc<RegisteredAnchor>> {
        if self.0.is_empty() {
            return None;
        }
        let mut below = leaf;
        for _ in 0..=intermediates.len() {
            let by = link(below)?.by;
            let mut here = self.0.get(&by).into_iter().flatten().map(|end| &end.anchor);
            if let Some(anchor) = here.find(|anchor| anchor.active && has_signed(below, &anchor.certificate)) {
                return Some(Arc::clone(anchor));
            }
            below = intermediates.iter().find(|above| has_signed(below, above))?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
    use std::time::Duration;
    use wire::Timestamp;

    /// An authority or a device, and what it signs with.
    struct Party {
        params: CertificateParams,
        key: KeyPair,
        der: CertificateDer<'static>,
    }

    fn params(name: &str, authority: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params
    }

    impl Party {
        fn root(name: &str) -> Self {
            let (params, key) = (params(name, true), KeyPair::generate().unwrap());
            Self { der: params.self_signed(&key).unwrap().der().clone(), params, key }
        }

        fn sign(&self, name: &str, authority: bool) -> Self {
            let (params, key) = (params(name, authority), KeyPair::generate().unwrap());
            let signed = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
            Self { der: signed.der().clone(), params, key }
        }

        /// Registered as the `n`-th.
        fn registered(&self, n: u32, path_len: Option<u32>) -> Arc<RegisteredAnchor> {
            let Link { name, key, .. } = link(&self.der).unwrap();
            let (id, org) = (format!("ca_{n:032}").parse().unwrap(), format!("org_{n:032}").parse().unwrap());
            let (not_before, not_after) = (Timestamp(0), Timestamp(i64::MAX));
            let certificate = self.der.clone();
            let (active, list, closed, awaits_list) = (true, None, true, false);
            Arc::new(RegisteredAnchor {
                id,
                org,
                certificate,
                name,
                key,
                path_len,
                active,
                not_before,
                not_after,
                list,
                closed,
                awaits_list,
            })
        }
    }

    fn find(anchors: &[Arc<RegisteredAnchor>], leaf: &Party, between: &[&Party], known: Option<&RegisteredAnchor>) -> Option<AuthorityId> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let between: Vec<_> = between.iter().map(|party| party.der.clone()).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_hours(498_706));
        let found = Ends::of(anchors, &provider).find(&leaf.der, &between, now, || known.map(|anchor| anchor.id.clone()));
        found.map(|(anchor, _)| anchor.id.clone())
    }

    #[test]
    fn e_10_the_nearest_decides_in_whatever_order_they_were_registered() {
        let plant = Party::root("Plant CA");
        let line = plant.sign("Line CA", true);
        let cell = line.sign("Cell CA", true);
        let device = cell.sign("meter-1", false);
        for (first, second) in [(1, 2), (2, 1)] {
            let (above, below) = (plant.registered(first, None), line.registered(second, None));
            let both = [Arc::clone(&above), Arc::clone(&below)];
            for chain in [&[&cell, &line][..], &[&cell, &line, &plant], &[&line, &cell], &[&cell]] {
                assert_eq!(find(&both, &device, chain, None), Some(below.id.clone()));
                // A device that is in stays the one's that let it in, as far as its chain leads there.
                assert_eq!(find(&both, &device, chain, Some(&below)), Some(below.id.clone()));
                assert_eq!(find(&both, &device, chain, Some(&above)), (chain.len() > 1).then(|| above.id.clone()));
            }
            assert_eq!(find(&both, &device, &[], None), None);
            assert_eq!(find(&both, &line.sign("meter-2", false), &[&line], None), Some(below.id.clone()));
            assert_eq!(find(&both, &plant.sign("meter-3", false), &[], None), Some(above.id.clone()));
            assert_eq!(find(&both, &Party::root("Plant CA").sign("meter-4", false), &[], None), None, "a name is nothing (A-33)");
        }
    }

    #[test]
    fn e_10_what_a_device_sends_beside_its_chain_and_in_which_order_changes_nothing() {
        let plant = Party::root("Plant CA");
        let line = plant.sign("Line CA", true);
        let cell = line.sign("Cell CA", true);
        let device = cell.sign("meter-1", false);
        let (above, below) = (plant.registered(1, None), line.registered(2, Some(1)));
        let both = [above, Arc::clone(&below)];
        let (stranger, twin) = (Party::root("Stranger"), Party::root("Cell CA"));
        for chain in [[&stranger, &cell, &line], [&plant, &cell, &line], [&device, &line, &cell], [&twin, &cell, &line]] {
            assert_eq!(find(&both, &device, &chain, None), Some(below.id.clone()));
        }
    }

    #[test]
    fn e_10_who_has_signed_what_is_refused_is_found_by_keys_alone() {
        let plant = Party::root("Plant CA");
        // A device that signs: no chain goes over it.
        let line = plant.sign("Line CA", false);
        let device = line.sign("meter-1", false);
        let above = plant.registered(1, Some(0));
        let behind = |anchors: &[Arc<RegisteredAnchor>], leaf: &Party, between: &[&Party]| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let between: Vec<_> = between.iter().map(|party| party.der.clone()).collect();
            Ends::of(anchors, &provider).behind(&leaf.der, &between).map(|anchor| anchor.id.clone())
        };
        let all = [Arc::clone(&above)];
        assert_eq!(find(&all, &device, &[&line], None), None);
        assert_eq!(behind(&all, &device, &[&line]), Some(above.id.clone()));
        assert_eq!(behind(&all, &device, &[&plant, &line]), Some(above.id.clone()), "in whatever order they were sent");
        assert_eq!(behind(&all, &device, &[]), None, "nobody knows who that is");
        assert_eq!(behind(&all, &Party::root("Plant CA"), &[]), None, "a name is nothing (A-33)");
        let root = Party::root("Other CA");
        assert_eq!(behind(&all, &root.sign("meter-2", false), &[&root, &root]), None, "and it ends where it goes round");
        let mut disabled = plant.registered(1, Some(0));
        Arc::get_mut(&mut disabled).unwrap().active = false;
        assert_eq!(behind(&[disabled], &device, &[&line]), None, "its owner has disabled it");
    }

    #[test]
    fn e_10_a_path_length_counts_what_is_between_and_not_the_authority_itself() {
        let plant = Party::root("Plant CA");
        let line = plant.sign("Line CA", true);
        let cell = line.sign("Cell CA", true);
        let device = cell.sign("meter-1", false);
        let chain = [&cell, &line, &plant];
        assert_eq!(find(&[plant.registered(1, Some(1))], &device, &chain, None), None);
        assert!(find(&[plant.registered(1, Some(2))], &device, &chain, None).is_some());
        // Its certificate before the present one, wherever it stands.
        let mut renewed = plant.registered(1, Some(2));
        Arc::get_mut(&mut renewed).unwrap().certificate = plant.params.self_signed(&plant.key).unwrap().der().clone();
        assert!(find(&[Arc::clone(&renewed)], &device, &chain, None).is_some());
        assert!(find(&[renewed], &device, &[&plant, &cell, &line], None).is_some());
    }
}
