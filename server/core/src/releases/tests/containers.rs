//! Containers of other updaters: recognised when they come, and held against the manifest before it is published.

use super::*;
use crate::db::EngineKind;
use rstest::rstest;
use wire::{releases::ContainerKind, states::ReleaseState};

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A Mender artifact for this type, with a payload far beyond what is looked at.
fn mender(device_type: &str) -> Vec<u8> {
    let info = format!(r#"{{"artifact_provides":{{"artifact_name":"r7"}},"artifact_depends":{{"device_type":["{device_type}"]}}}}"#);
    let header = packed(&[("header-info", info.as_bytes())]);
    let version = &br#"{"format":"mender","version":3}"#[..];
    packed(&[("version", version), ("manifest", b""), ("header.tar", &header), ("data/0000.tar", &vec![5; 3 << 20])])
}

/// A bundle of RAUC that ends in this signature: the plain format's holds no content, the others' holds the manifest. Every fill is another file.
fn rauc(signature: &str, fill: u8) -> Vec<u8> {
    let mut file = vec![fill; 4096];
    file[..4].copy_from_slice(b"hsqs");
    file[40..48].copy_from_slice(&4000_u64.to_le_bytes());
    let signature = openssl(signature);
    file.extend_from_slice(&signature);
    file.extend_from_slice(&(signature.len() as u64).to_be_bytes());
    file
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_container_for_another_type_is_warned_of_before_it_is_published(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    for (n, device_type, warned) in [(1, "gateway", false), (2, "beaglebone", true)] {
        let content = mender(device_type);
        let envelope = key(1).sign(&manifest(&format!("1.{n}.0"), n, &content)).unwrap();
        let made = release_of(&w, &oli, &[("fw.bin", &content), ("fw.manifest.json", &envelope)]).await.unwrap();
        assert_eq!((made.row.state, made.may_publish), (ReleaseState::Verified, true));
        let container = made.artifacts[0].container.clone().unwrap();
        assert_eq!((container.kind, container.name.as_str(), container.fits), (ContainerKind::Mender, "r7", vec![device_type.to_owned()]));
        assert_eq!(made.warnings.len(), usize::from(warned), "{:?}", made.warnings);
        assert!(made.warnings.iter().all(|text| text.contains("fw.bin is a Mender artifact for beaglebone, the manifest says gateway")));
        releases.publish(&oli, &made.row.id).await.unwrap();
    }
    let plain = verified(&w, &oli, "2.0.0", 9).await;
    assert_eq!((plain.artifacts[0].container.clone(), plain.warnings), (None, Vec::new()));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_5_a_bundle_in_rauc_s_plain_format_is_refused_whoever_has_signed_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let bundle = async |sequence: u64, content: &[u8], seed: u64| {
        let envelope = key(seed).sign(&manifest(&format!("1.{sequence}.0"), sequence, content)).unwrap();
        release_of(&w, &oli, &[("fw.bin", content), ("fw.manifest.json", &envelope)]).await.unwrap()
    };
    // Who has signed comes first: of what a stranger signed nothing else is said.
    let plain = bundle(1, &rauc("cms", 1), 1).await;
    assert!(plain.row.quarantine.contains("unknown key"), "{}", plain.row.quarantine);
    trust(&w, &admin, 1).await;
    let again = releases.recheck(&oli, &plain.row.id).await.unwrap();
    let sent = bundle(2, &rauc("cms", 2), 1).await;
    for release in [again, sent] {
        let said = &release.row.quarantine;
        assert_eq!((release.row.state, release.may_publish, release.warnings.len()), (ReleaseState::Draft, false, 0), "{said}");
        assert!(said.contains("\"fw.bin\" is a bundle in RAUC's plain format") && said.contains("format=verity"), "{said}");
        assert_eq!(fault(releases.publish(&oli, &release.row.id).await).code, "quarantined");
    }
    let verity = bundle(3, &rauc("cms-with-manifest", 3), 1).await;
    assert_eq!((verity.row.state, verity.artifacts[0].container.as_ref().unwrap().kind), (ReleaseState::Verified, ContainerKind::Rauc));
    assert!(verity.warnings.is_empty(), "{:?}", verity.warnings);
}
