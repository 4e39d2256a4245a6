//! Image keys: who adds and removes them, and what a release says of the signatures in its images by them (U-5).

use super::*;
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    FaultKind,
    releases::{ImageKeyKind, ImageSignature, ImageSignatureKind, ImageSignatureState, MOST_IMAGE_KEYS},
    states::ReleaseState,
};

/// An image of SWUpdate with this description and the signature that was made for the other one.
fn image(description: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in [("sw-description", description), ("sw-description.sig", &openssl("cms")), ("TRAILER!!!", b"")] {
        out.extend_from_slice(b"070701");
        for field in [1, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0] {
            out.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

async fn release_with(w: &World, actor: &Actor, sequence: u64, content: &[u8]) -> ReleaseDetail {
    let envelope = key(1).sign(&manifest(&format!("1.{sequence}.0"), sequence, content)).unwrap();
    release_of(w, actor, &[("fw.bin", content), ("fw.manifest.json", &envelope)]).await.unwrap()
}

fn signature(of: &ReleaseDetail) -> &ImageSignature {
    of.artifacts[0].signature.as_ref().unwrap()
}

/// Warnings that are of signatures inside images; what else speaks against a release is not of here.
fn told(of: &ReleaseDetail) -> Vec<&String> {
    of.warnings.iter().filter(|text| text.contains("signed inside")).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_5_an_image_says_how_its_signature_stands_to_the_keys_that_are_known_now(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let right = release_with(&w, &oli, 1, &image(&openssl("sw-description"))).await;
    assert_eq!(right.row.state, ReleaseState::Verified);
    let id = right.row.id.clone();
    assert_eq!(
        (signature(&right).state, signature(&right).kind, told(&right).len()),
        (ImageSignatureState::UnknownSigner, ImageSignatureKind::Cms, 0),
        "no key is known"
    );
    assert_eq!(signature(&right).by, ["O=Example, CN=Example builds"]);

    let added = releases.add_image_key(&admin, "Image authority", &openssl_base64("authority")).await.unwrap();
    assert_eq!((added.kind, added.about.as_str()), (ImageKeyKind::Certificate, "O=Example, CN=Example image authority"));
    assert_eq!(releases.image_keys(&vic).await.unwrap(), std::slice::from_ref(&added));
    let page = releases.releases_page(&vic, &wire::releases::ReleaseQuery::default()).await.unwrap();
    assert_eq!(page.image_keys, std::slice::from_ref(&added));
    let now = releases.detail(&vic, &id).await.unwrap();
    assert_eq!(
        (signature(&now).state, signature(&now).keys.as_slice(), told(&now).len()),
        (ImageSignatureState::Trusted, &["Image authority".to_owned()][..], 0)
    );

    // What was changed behind the signature's back is found when it comes, and held back by nothing: the device decides.
    let mut description = openssl("sw-description");
    let last = description.len() - 1;
    description[last] = b' ';
    let wrong = release_with(&w, &oli, 2, &image(&description)).await;
    assert_eq!((signature(&wrong).state, wrong.row.state, wrong.may_publish), (ImageSignatureState::Invalid, ReleaseState::Verified, true));
    assert!(told(&wrong)[0].contains("the signature is invalid"), "{:?}", wrong.warnings);

    // Another one's key says that this is nobody's.
    releases.remove_image_key(&admin, &added.id).await.unwrap();
    let other = releases.add_image_key(&admin, "Other", &openssl_base64("rsa-key")).await.unwrap();
    assert_eq!((other.kind, other.not_after), (ImageKeyKind::Key, None));
    let now = releases.detail(&vic, &id).await.unwrap();
    assert_eq!((signature(&now).state, told(&now).len()), (ImageSignatureState::UnknownSigner, 1), "{:?}", now.warnings);
    let entries = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    let actions: Vec<_> = entries.iter().map(|e| e.action.as_str()).filter(|action| action.starts_with("image_key")).collect();
    assert_eq!(actions, ["image_key.add", "image_key.remove", "image_key.add"], "newest first");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn image_keys_are_of_admins_and_once_each(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let authority = openssl_base64("authority");
    assert_eq!(fault(releases.add_image_key(&oli, "Ours", &authority).await).kind, FaultKind::Forbidden);
    for (name, given, code) in [("", authority.as_str(), "bad_value"), ("Ours", "nonsense", "bad_image_key")] {
        let refused = fault(releases.add_image_key(&admin, name, given).await);
        assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Invalid, code), "{}", refused.message);
    }
    let added = releases.add_image_key(&admin, "Ours", &authority).await.unwrap();
    let again = fault(releases.add_image_key(&admin, "Ours again", &authority).await);
    assert_eq!((again.kind, again.code.as_str()), (FaultKind::Conflict, "image_key_exists"));

    // Another organization knows nothing of it, and may have the same.
    let stranger = stranger(&w, &admin).await;
    assert_eq!(releases.image_keys(&stranger).await.unwrap(), []);
    assert_eq!(fault(releases.remove_image_key(&stranger, &added.id).await).code, "no_image_key");
    releases.add_image_key(&stranger, "Theirs", &authority).await.unwrap();

    assert_eq!(fault(releases.remove_image_key(&oli, &added.id).await).kind, FaultKind::Forbidden);
    releases.remove_image_key(&admin, &added.id).await.unwrap();
    assert_eq!(fault(releases.remove_image_key(&admin, &added.id).await).code, "no_image_key");

    for seed in 1..=MOST_IMAGE_KEYS as u64 {
        releases.add_image_key(&admin, &format!("Key {seed}"), &key(seed).public_pem()).await.unwrap();
    }
    let more = fault(releases.add_image_key(&admin, "One more", &key(99).public_pem()).await);
    assert_eq!((more.kind, more.code.as_str()), (FaultKind::Conflict, "too_many_image_keys"));
}
