//! What a file says, and what comes of it on both engines.

mod back;
mod still;
mod told;

use super::{
    super::{Devices, Error},
    ImportFormat, ImportHow, Unreadable, hawkbit,
    lines::{Line, Parsed},
    table,
};
use crate::{access::Actor, db::EngineKind, devices::Said, hash::sha256, testing::World};
use bytes::Bytes;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;
use std::{collections::BTreeMap, fmt::Write as _};
use wire::{
    devices::{DeviceDetail, DeviceQuery},
    enrolment::{ImportOutcome, SharedSecretSettings},
    states::{DeviceState, DeviceStep},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn quoted(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    format!("{}\r\n", cells.join(","))
}

proptest! {
    #[test]
    fn what_is_written_as_csv_is_read_back_in_any_order_of_columns(
        order in Just(vec!["device_id", "type", "name", "tags", "attributes", "security_token"]).prop_shuffle(),
        devices in prop::collection::vec(
            (
                "[A-Za-z0-9][A-Za-z0-9._:-]{0,10}",
                "[a-zé\",;=]{0,8}",
                "[a-zé\",;=]{1,8}",
                prop::collection::vec("[a-z0-9]{1,6}", 0..3),
                prop::collection::btree_map("[a-mo-z]{1,5}", "[a-z\",=]{0,6}", 0..3),
                prop::option::of("[!-~]{16,40}"),
            ),
            1..20,
        ),
    ) {
        let mut file = quoted(&order.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let mut lines = Vec::new();
        for (n, (id, device_type, name, tags, attributes, token)) in devices.into_iter().enumerate() {
            let id = format!("{id}-{n}");
            let pairs: Vec<String> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cell = |column: &str| match column {
                "device_id" => id.clone(),
                "type" => device_type.clone(),
                "name" => name.clone(),
                "tags" => tags.join(" "),
                "attributes" => pairs.join("; "),
                _ => token.clone().unwrap_or_default(),
            };
            file.push_str(&quoted(&order.iter().map(|column| cell(column)).collect::<Vec<_>>()));
            let mut kept: BTreeMap<String, String> = attributes.clone();
            kept.insert("name".into(), name.clone());
            lines.push(Line {
                at: i64::try_from(n).unwrap() + 2,
                device_id: id.parse().unwrap(),
                device_type: device_type.clone(),
                hardware: String::new(),
                tags: tags.clone(),
                groups: Vec::new(),
                attributes: kept,
                secret: token.as_ref().map(|token| sha256(token.as_bytes())),
            });
        }
        let read = table::parse(file.as_bytes()).unwrap();
        prop_assert!(read.problems.is_empty(), "{:?}", read.problems);
        prop_assert_eq!(read.lines, lines);
    }

    #[test]
    fn whatever_is_sent_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[\\[\\]{}\",:;a-z\n]{0,200}") {
        let named = [b"device_id,type,tags\n".as_slice(), &bytes].concat();
        let some: [&[u8]; 3] = [&bytes, text.as_bytes(), &named];
        for file in some {
            let _ = table::parse(file);
            let _ = hawkbit::parse(file);
        }
    }
}

fn whole(file: &str) -> String {
    match table::parse(file.as_bytes()) {
        Err(Unreadable::Malformed(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_can_not_be_read_says_why() {
    for (file, says) in [
        ("", "The file is empty"),
        ("device_id,type\n", "There is no device"),
        ("type\ngateway\n", "device_id is not among them"),
        ("device_id,tags,tags\n", "The column tags stands twice"),
        ("device_id,group,groups\n", "The column groups stands twice"),
        ("device_id,tpye\n", "There is no column \"tpye\". Did you mean type?"),
        ("devise_id\n", "Did you mean device_id?"),
        ("device_id,owner\n", "There is no column \"owner\". The first line"),
        ("\"device_id\n", "The file is empty, or its first line"),
        ("dev\"ice\"_id\n", "The quotes of the first line"),
    ] {
        let said = whole(file);
        assert!(said.contains(says), "{file:?}: {said}");
    }
    let mut many = "device_id\n".to_owned();
    for n in 0..=10_000 {
        let _ = writeln!(many, "gw-{n}");
    }
    assert!(matches!(table::parse(many.as_bytes()), Err(Unreadable::TooMany)));
    let said = hawkbit::parse(b"{\"content\": [").unwrap_err().to_string();
    assert!(said.contains("breaks off or is wrong at line 1, column"), "{said}");
}

fn problem(parsed: &Parsed) -> (i64, &str, &str, &str) {
    let [one] = parsed.problems.as_slice() else { panic!("{:?}", parsed.problems) };
    (one.line, &one.device_id, &one.field, &one.message)
}

#[test]
fn each_line_that_is_not_taken_says_where_and_why() {
    let long = "x".repeat(300);
    let (long_value, long_type) = (format!("gw-1,gateway,,,a={long},"), format!("gw-1,{long},,,,"));
    let long_id = format!("{long},gateway,,,,");
    for (line, field, says) in [
        (",gateway,,,,", "device_id", "There is no device id"),
        ("-gw,gateway,,,,", "device_id", "\"-gw\" is not a valid device id: expected 1 to 64 letters"),
        ("gw-0,gateway,,,,", "device_id", "gw-0 stands on line 2 already"),
        ("GW-0,gateway,,,,", "device_id", "stands on line 2 already"),
        ("gw-1,gateway,\"a,-b\",,,", "tags", "\"-b\" can't be a tag"),
        ("gw-1,gateway,,,site,", "attributes", "\"site\" is no attribute: write name=value"),
        ("gw-1,gateway,,,=x,", "attributes", "has no name"),
        ("gw-1,gateway,,,a=1;a=2,", "attributes", "\"a\" stands twice"),
        ("gw-1,gateway,,,firmware_version=1.0,", "attributes", "what the device itself says"),
        ("gw-1,gateway,,,hardware=B,", "attributes", "a column of its own"),
        (long_value.as_str(), "attributes", "at most 256 bytes"),
        (long_id.as_str(), "device_id", "x…\" has 300 characters, and a device id has at most 64. Give"),
        (long_type.as_str(), "type", "at most 64 characters"),
        ("gw-1,gateway,,,,tooshort", "security_token", "fewer than 16 characters"),
        ("gw-1,gateway,,,,0123456789 abcdef0", "security_token", "other than visible ASCII"),
        ("gw-1,gateway", "", "has 2 columns, and the first line names 6"),
        ("gw-1,gate\"way\",,,,", "", "The quotes of this line"),
        ("gw-1,\"gateway,,,,", "", "a quote that is not closed"),
    ] {
        let file = format!("device_id,type,tags,groups,attributes,security_token\ngw-0,gateway,,,,\n\n{line}\n");
        let parsed = table::parse(file.as_bytes()).unwrap();
        assert_eq!(parsed.lines.len(), 1, "the line before is taken: {line}");
        let (at, named, of, message) = problem(&parsed);
        assert_eq!((at, of), (4, field), "{line}: {message}");
        assert!(named == "gw-1" || !line.starts_with("gw-1") || field.is_empty(), "{line}: {named}");
        assert!(message.contains(says), "{line}: {message}");
    }
    let spread = table::parse(b"device_id;attributes\r\ngw-1;\"site=hall 3\r\nfloor=2\"\r\nbad id;\r\n").unwrap();
    assert_eq!(spread.lines[0].attributes, BTreeMap::from([("site".into(), "hall 3".into()), ("floor".into(), "2".into())]));
    assert_eq!(problem(&spread).0, 4, "as an editor counts lines");
}

#[test]
fn hawkbits_list_is_read_in_pages_in_arrays_and_one_behind_the_other() {
    let target = |id: &str| {
        json!({
            "createdBy": "bumlux", "createdAt": 1_682_408_571_231_i64, "name": "North\ndoor", "description": "x".repeat(500), "controllerId": id,
            "updateStatus": "in_sync", "securityToken": SECRET, "targetTypeName": "gateway", "address": "http://192.0.2.7",
            "requestAttributes": true, "_links": { "self": { "href": "https://hawkbit.example/rest/v1/targets/x" } },
        })
    };
    let page = |ids: &[&str]| json!({ "content": ids.iter().map(|id| target(id)).collect::<Vec<_>>(), "total": 3, "size": ids.len() });
    let (one, two) = (page(&["gw-1", "gw-2"]), page(&["gw-3"]));
    let forms = [
        json!([one, two]).to_string(),
        format!("{one}\n{two}{}", json!({ "content": [], "total": 3, "size": 0 })),
        json!([target("gw-1"), target("gw-2"), target("gw-3")]).to_string(),
        format!("\u{feff}{}\n{}\n{}\n", target("gw-1"), target("gw-2"), target("gw-3")),
    ];
    for form in forms {
        assert_eq!(ImportFormat::of(form.as_bytes()), ImportFormat::HawkBit);
        let read = hawkbit::parse(form.as_bytes()).unwrap();
        assert_eq!((read.lines.len(), read.problems.len()), (3, 0), "{form}");
        let last = &read.lines[2];
        assert_eq!((last.at, last.device_id.as_str(), last.device_type.as_str()), (3, "gw-3", "gateway"));
        assert_eq!(last.secret, Some(sha256(SECRET.as_bytes())));
        assert_eq!((last.attributes["name"].as_str(), last.attributes["description"].len()), ("North door", 256));
    }
    let odd = json!([{ "controllerId": "a b" }, { "name": "x" }, { "controllerId": 7 }, 5, { "controllerId": "gw-1", "name": "gw-1" }])
        .to_string();
    let read = hawkbit::parse(odd.as_bytes()).unwrap();
    let lines: Vec<i64> = read.problems.iter().map(|problem| problem.line).collect();
    assert_eq!((lines, read.lines.len()), (vec![1, 2, 3, 4], 1));
    assert!(read.lines[0].attributes.is_empty(), "a name that is the id says nothing");
    assert_eq!(ImportFormat::of(b"device_id\n"), ImportFormat::Csv);
    let odd = r#"{ "total": 3, "content": [[null, { "controllerId": "gw-1", "name": ["x"] }], { "controllerId": "gw-2", "tags": [{}], "group": null }] }"#;
    let read = hawkbit::parse(odd.as_bytes()).unwrap();
    assert_eq!((read.problems.len(), read.lines.len(), read.lines[0].at), (2, 1, 3));
    for many in [format!("[{}0]", "0,".repeat(10_000)), "{}\n".repeat(10_001)] {
        assert!(matches!(hawkbit::parse(many.as_bytes()), Err(Unreadable::TooMany)));
    }
    assert!(matches!(hawkbit::parse("[".repeat(1000).as_bytes()), Err(Unreadable::Malformed(_))), "no depth is too deep to be refused");
}

const LOOK: ImportHow = ImportHow { preview: true, update: false };
const TAKE: ImportHow = ImportHow { preview: false, update: false };
const UPDATE: ImportHow = ImportHow { preview: false, update: true };

async fn import(devices: &Devices, actor: &Actor, file: &str, how: ImportHow) -> ImportOutcome {
    devices.import_devices(actor, Bytes::from(file.to_owned()), ImportFormat::of(file.as_bytes()), how).await.unwrap()
}

/// New, unchanged, differing, errors.
fn counts(outcome: &ImportOutcome) -> (i64, i64, i64, i64) {
    (outcome.new, outcome.unchanged, outcome.differing, outcome.errors)
}

async fn detail(w: &World, id: &str) -> DeviceDetail {
    w.fleet.device(&Actor::system(w.org.clone()), &id.parse().unwrap()).await.unwrap()
}

async fn audited(w: &World, actor: &Actor, action: &str) -> usize {
    let log = w.fleet.access().audit_page(actor, None).await.unwrap().entries.items;
    log.iter().filter(|entry| entry.action == action).count()
}

const FILE: &str = "device_id,type,name,tags,groups,attributes,security_token\n\
    gw-1,gateway,North door,eu hall,Hall 3,site=hall-3;floor=2,0123456789abcdef0123456789abcdef\n\
    gw-2,gateway,,,,,\n\
    gw-2,gateway,,,,,\n\
    gw-3,gateway,,,Hal 3,,\n";

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_file_is_looked_at_and_taken_once(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    devices.create_group(&operator, "Hall 3").await.unwrap();
    let all = async || devices.list(&operator, &DeviceQuery::default()).await.unwrap().total;

    let looked = import(devices, &operator, FILE, LOOK).await;
    assert_eq!((counts(&looked), looked.secrets, looked.secrets_off, all().await), ((2, 0, 0, 2), 1, true, 0));
    assert_eq!(looked.problems.iter().map(|p| (p.line, p.field.as_str())).collect::<Vec<_>>(), [(4, "device_id"), (5, "groups")]);
    assert!(looked.problems[1].message.contains("There is no group \"Hal 3\". Did you mean Hall 3?"), "{:?}", looked.problems[1]);

    let mut events = w.fleet.bus().listen();
    let taken = import(devices, &operator, FILE, TAKE).await;
    assert_eq!((counts(&taken), all().await), ((2, 0, 0, 2), 2));
    assert_eq!(std::iter::from_fn(|| events.try_recv().ok()).count(), 2, "each of them is told of");
    let first = detail(&w, "gw-1").await;
    assert_eq!((first.row.state, first.row.device_type.as_str()), (DeviceState::Preregistered, "gateway"));
    assert_eq!((first.row.tags, first.groups), (vec!["eu".to_owned(), "hall".to_owned()], vec!["Hall 3".to_owned()]));
    let pairs: Vec<(&str, &str)> = first.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("floor", "2"), ("name", "North door"), ("site", "hall-3")]);
    assert!(first.target_token.is_some() && detail(&w, "gw-2").await.target_token.is_none());
    let booked = async |action| audited(&w, &operator, action).await;
    assert_eq!((booked("device.import_many").await, booked("device.preregister").await, booked("target_token.create").await), (1, 2, 1));
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items;
    assert!(log.iter().all(|entry| !entry.detail.contains(SECRET)), "the secret is in no book");

    // The same file again changes nothing, nor does it with `update`.
    for how in [TAKE, UPDATE] {
        assert_eq!(counts(&import(devices, &operator, FILE, how).await), (0, 2, 0, 2));
    }
    assert_eq!(booked("device.import_many").await, 1);

    // Who may not enrol may not look either.
    let file = || Bytes::from_static(FILE.as_bytes());
    let refused = devices.import_devices(&w.viewer().await, file(), ImportFormat::Csv, LOOK).await.unwrap_err();
    assert!(matches!(refused, Error::Access(_)), "{refused}");
    let refused = devices.import_devices(&operator, Bytes::from(vec![b'x'; (32 << 20) + 1]), ImportFormat::Csv, LOOK).await.unwrap_err();
    assert_eq!(refused.fault().code, "import_too_large");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_there_is_changed_only_where_it_is_asked_for(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    devices.create_group(&operator, "Hall 3").await.unwrap();
    import(devices, &operator, FILE, TAKE).await;
    w.device("gw-9", "gateway").await;

    let other = format!(
        "device_id,type,tags,groups,attributes,security_token\ngw-1,sensor,uk,,floor=3;room=7,\ngw-2,,,Hall 3,,{SECRET}\n\
         gw-9,,,,,{SECRET}\nGw-1,,,,,\ngw-4,sensor,,,,\n"
    );
    let left = import(devices, &operator, &other, TAKE).await;
    assert_eq!(counts(&left), (1, 0, 3, 1), "the new one comes in, the others are left");
    assert!(left.problems[0].message.contains("stands on line 2 already"), "{:?}", left.problems);
    let first = detail(&w, "gw-1").await;
    assert_eq!((first.row.device_type.as_str(), first.row.tags.len()), ("gateway", 2));
    assert!(detail(&w, "gw-2").await.target_token.is_none());

    let changed = import(devices, &operator, &other, UPDATE).await;
    assert_eq!((counts(&changed), changed.problems[0].field.as_str()), ((0, 1, 2, 2), "security_token"));
    assert!(changed.problems[0].message.contains("gw-9 has a certificate"), "{:?}", changed.problems);
    let first = detail(&w, "gw-1").await;
    assert_eq!((first.row.device_type.as_str(), first.row.tags.join(" ").as_str()), ("sensor", "eu hall uk"), "nothing is taken away");
    assert_eq!((first.attributes["floor"].as_str(), first.attributes["room"].as_str()), ("2", "7"), "what it has stays as it is");
    let second = detail(&w, "gw-2").await;
    assert_eq!((second.row.device_type.as_str(), second.groups.len(), second.target_token.is_some()), ("gateway", 1, true));
    assert_eq!(audited(&w, &operator, "device.import").await, 2, "one for each device that was changed");
    assert_eq!(counts(&import(devices, &operator, &other, UPDATE).await), (0, 3, 0, 2));

    // An id in other letters, and one that is out of the fleet.
    let letters = import(devices, &operator, "device_id\nGW-2\n", TAKE).await;
    assert!(letters.problems[0].message.contains("Write the id as it is there"), "{:?}", letters.problems);
    let admin = w.admin().await;
    devices.change(&admin, &"gw-4".parse().unwrap(), DeviceStep::Decommission).await.unwrap();
    let ended = format!("device_id,security_token\ngw-4,{SECRET}\n");
    assert_eq!(counts(&import(devices, &operator, &ended, TAKE).await), (0, 0, 1, 0));
    let refused = import(devices, &operator, &ended, UPDATE).await;
    assert!(refused.problems[0].message.contains("gw-4 is decommissioned"), "{:?}", refused.problems);
    devices.change(&admin, &"gw-4".parse().unwrap(), DeviceStep::Delete).await.unwrap();
    let reserved = import(devices, &operator, "device_id\ngw-4\n", TAKE).await;
    assert_eq!(counts(&reserved), (0, 0, 0, 1));
    assert!(reserved.problems[0].message.contains("that of a deleted device"), "{:?}", reserved.problems);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_imported_secret_speaks_for_its_device_and_no_other(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let admin = w.admin().await;
    devices.set_shared_secrets(&admin, SharedSecretSettings { tokens: true, newcomers: false }).await.unwrap();
    let list = json!({ "content": [{ "controllerId": "gw-1", "securityToken": SECRET }, { "controllerId": "gw-2", "securityToken": "b".repeat(32) }] });
    let taken = import(devices, &operator, &list.to_string(), TAKE).await;
    assert_eq!((counts(&taken), taken.secrets, taken.secrets_off), ((2, 0, 0, 0), 2, false));
    let speak = async |id: &str, secret: &str| devices.spoken_for("DEFAULT", id, Said::Target(secret), "192.0.2.1").await;
    for (id, secret) in [("gw-2", SECRET), ("GW-1", SECRET), ("gw-1", &SECRET[1..]), ("gw-1", ""), ("gw-3", SECRET)] {
        assert!(speak(id, secret).await.is_err(), "{id} {secret}");
    }
    for (tenant, id) in [("DEFAULT", "gw-1\0"), ("DEFAULT\0", "gw-1"), ("DEFAULT", "gw 1")] {
        let refused = devices.spoken_for(tenant, id, Said::Target(SECRET), "192.0.2.2").await.unwrap_err();
        assert_eq!(refused.fault().code, "bad_token", "{tenant:?} {id:?}");
    }
    assert_eq!(detail(&w, "gw-1").await.row.state, DeviceState::Preregistered);
    assert_eq!(speak("gw-1", SECRET).await.unwrap().device_id.as_str(), "gw-1");
    assert_eq!(detail(&w, "gw-1").await.row.state, DeviceState::Active, "active with its first word");
    assert!(detail(&w, "gw-1").await.target_token.unwrap().last_used_at.is_some());
    // One that is made here takes its place.
    let made = devices.create_target_token(&operator, &"gw-1".parse().unwrap(), &wire::enrolment::NewTargetToken::default()).await.unwrap();
    assert!(speak("gw-1", SECRET).await.is_err());
    assert!(speak("gw-1", &made.secret).await.is_ok() && speak("gw-1", &made.secret[..40]).await.is_err());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_file_that_was_laid_aside_is_imported_once_and_forgotten_after_a_day(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let lay = async |file: &'static str| devices.lay_import(&operator, "list\n.csv", Bytes::from_static(file.as_bytes()), false).await;
    let malformed = lay("owner\n").await.unwrap_err();
    assert_eq!(malformed.fault().code, "import_malformed");
    let id = lay("device_id,type\ngw-1,gateway\nbad id,\n").await.unwrap();
    let looked = devices.laid_import(&operator, &id).await.unwrap();
    assert_eq!((looked.name.as_str(), looked.done_at, counts(&looked.outcome)), ("list.csv", None, (1, 0, 0, 1)));
    assert!(looked.outcome.preview);
    w.device("gw-1", "gateway").await;
    assert_eq!(counts(&devices.laid_import(&operator, &id).await.unwrap().outcome), (0, 1, 0, 1), "as it is now");

    let other = lay("device_id,type\ngw-2,gateway\n").await.unwrap();
    for _ in 0..2 {
        devices.run_laid_import(&operator, &other).await.unwrap();
    }
    let done = devices.laid_import(&operator, &other).await.unwrap();
    assert_eq!((done.done_at.is_some(), done.outcome.preview, counts(&done.outcome)), (true, false, (1, 0, 0, 0)));
    assert_eq!(audited(&w, &operator, "device.import_many").await, 1);
    assert!(matches!(devices.laid_import(&w.viewer().await, &id).await.unwrap_err(), Error::Access(_)));

    w.clock.advance(23 * 3_600_000);
    devices.sweep_imports().await.unwrap();
    assert!(devices.laid_import(&operator, &id).await.is_ok());
    w.clock.advance(2 * 3_600_000);
    devices.sweep_imports().await.unwrap();
    assert!(matches!(devices.laid_import(&operator, &id).await.unwrap_err(), Error::NotFound(_)));
    assert_eq!(detail(&w, "gw-2").await.row.state, DeviceState::Preregistered, "the devices stay");
}
