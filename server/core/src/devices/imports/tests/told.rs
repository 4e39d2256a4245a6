//! What a preview names: who would be changed and how, secrets that are nobody's own, and a file that is no list.

use super::{ImportHow, LOOK, SECRET, TAKE, UPDATE, Unreadable, hawkbit, import};
use crate::{db::EngineKind, testing::World};
use rstest::rstest;
use std::fmt::Write as _;
use wire::enrolment::ImportChange;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_preview_names_who_would_be_changed_and_how(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    devices.create_group(&operator, "Hall 3").await.unwrap();
    let before = "device_id,type,hardware,tags\ngw-1,gateway,A,eu\ngw-2,gateway,A,eu\n";
    assert!(import(devices, &operator, before, TAKE).await.changes.is_empty(), "who is new is not changed");
    let file = format!(
        "device_id,type,hardware,tags,groups,attributes,security_token\ngw-1,gateway,B,eu uk,Hall 3,site=x,{SECRET}\ngw-2,gateway,A,,,,\n"
    );
    let change = ImportChange {
        line: 2,
        device_id: "gw-1".into(),
        device_type: String::new(),
        hardware: "B".into(),
        tags: vec!["uk".into()],
        groups: vec!["Hall 3".into()],
        attributes: vec!["site".into()],
        secret: true,
    };
    // Without `update` the secret would never be set, so it is none that has to be switched on.
    for (how, secrets) in [(LOOK, 0), (ImportHow { preview: true, update: true }, 1), (UPDATE, 1)] {
        let said = import(devices, &operator, &file, how).await;
        assert_eq!((said.changes.as_slice(), said.secrets), (std::slice::from_ref(&change), secrets), "{how:?}");
    }
    let again = import(devices, &operator, &file, UPDATE).await;
    assert_eq!((again.changes.len(), again.secrets), (0, 1), "it has the secret");

    let mut many = "device_id,tags\n".to_owned();
    for n in 0..201 {
        let _ = writeln!(many, "m-{n},");
    }
    import(devices, &operator, &many, TAKE).await;
    let many = many.replace(",\n", ",new\n");
    let said = import(devices, &operator, &many, LOOK).await;
    assert_eq!((said.differing, said.changes.len()), (201, 200), "so many are named");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_secret_of_several_devices_is_told_on_their_lines(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let file = format!("device_id,security_token\ngw-1,{SECRET}\ngw-2,another-secret-of-its-own\ngw-3,{SECRET}\n");
    for how in [LOOK, TAKE] {
        let said = import(devices, &operator, &file, how).await;
        assert_eq!((said.new, said.errors), (3, 0), "they are taken");
        let lines: Vec<_> = said.notes.iter().map(|note| (note.line, note.device_id.as_str(), note.field.as_str())).collect();
        assert_eq!(lines, [(2, "gw-1", "security_token"), (4, "gw-3", "security_token")]);
        assert!(
            said.notes[1].message.starts_with("2 devices of the file have this secret, the first is gw-1 on line 2"),
            "{:?}",
            said.notes
        );
        assert!(!said.notes[1].message.contains(SECRET));
    }
}

#[test]
fn json_that_is_no_list_is_refused_as_a_whole() {
    for file in ["{}", "null", "5", "\"x\"", r#"{"content":{"controllerId":"gw-1"}}"#, r#"{"content":null}"#, "{\"error\":\"x\"}\n{}"] {
        let Err(Unreadable::Malformed(said)) = hawkbit::parse(file.as_bytes()) else { panic!("{file} is read") };
        assert!(said.starts_with("This is no list of targets"), "{file}: {said}");
    }
    // Behind a page it is told on its line: the others are devices all the same.
    let read = hawkbit::parse(br#"{"content":[{"controllerId":"gw-1"}]} {"errorCode":"x"}"#).unwrap();
    assert_eq!((read.lines.len(), read.problems.len()), (1, 1));
}
