//! `fleetward device show`, `updates`, `log` and `connections`: what is known of one device. The words are those of the REST API; refuses to know how it came
//! to be known.

use super::{
    device::Which,
    said::{every, table},
};
use crate::http::api::{CONNECTION_COLUMNS, connection_line};
use anyhow::Result;
use app::ui::number::{bytes, value};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{
    Timestamp,
    connections::ConnectionsQuery,
    devices::{ConnectionSpan, DeviceDetail},
    ids::{DeviceId, UpdateId},
    page::MAX_ROWS,
    pki::CertificateRow,
    slots::DeviceSlot,
    states::DeviceStep,
    time::duration,
    updates::{AttemptsQuery, DeviceUpdate, LogLine, Pin},
};

#[derive(Debug, Subcommand)]
pub(super) enum Watched {
    /// Show what is known of a device: what it runs, its certificates, its own facts, and what can be done with it
    Show(Which),
    /// List a device's updates, newest first: each attempt, and how it ended
    Updates(Which),
    /// What a device said of an update of its own, newest first; of the newest one unless another is given
    Log {
        #[command(flatten)]
        which: Which,
        /// The update's id, as `device updates` shows it
        #[arg(long, value_name = "UPDATE")]
        update: Option<UpdateId>,
    },
    /// List when a device was connected, newest first, from where, and why that ended
    Connections {
        #[command(flatten)]
        which: Which,
        /// As CSV, with the columns of the console's file
        #[arg(long)]
        csv: bool,
    },
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: Watched) -> Result<()> {
    match command {
        Watched::Connections { which: Which { device }, csv: true } => exported(fleet, actor, &device).await,
        command => {
            print!("{}", told(fleet, actor, command).await?);
            Ok(())
        }
    }
}

/// What a command says, in whole lines.
async fn told(fleet: &Fleet, actor: &Actor, command: Watched) -> Result<String> {
    match command {
        Watched::Show(Which { device }) => Ok(lines(&Box::pin(fleet.device(actor, &device)).await?)),
        Watched::Updates(Which { device }) => {
            let page = async |cursor: Option<String>| {
                let query = AttemptsQuery { cursor: cursor.unwrap_or_default(), rows: Some(MAX_ROWS), whole: None };
                fleet.updates(actor, &device, &query).await
            };
            let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(update).collect();
            let head = ["UPDATE", "ROLLOUT", "ATTEMPT", "FROM", "TO", "OUTCOME", "OFFERED", "ENDED", "WHY"];
            Ok(if rows.is_empty() { "It has had no update.\n".to_owned() } else { table(&head, &rows) })
        }
        Watched::Log { which: Which { device }, update } => {
            let (mut out, update) = if let Some(update) = update {
                (String::new(), update)
            } else {
                let query = AttemptsQuery { rows: Some(1), ..AttemptsQuery::default() };
                let newest = fleet.updates(actor, &device, &query).await?.items.into_iter().next();
                let Some(newest) = newest else { return Ok("It has had no update.\n".to_owned()) };
                let from = if newest.from_version.is_empty() { "–" } else { newest.from_version.as_str() };
                let words = format!("{} “{}”, {from} → {}: {}\n", newest.id, newest.rollout_name, newest.to_version, outcome(&newest));
                (words, newest.id)
            };
            let rows: Vec<Vec<String>> = fleet.update_log(actor, &device, &update).await?.items.into_iter().map(said).collect();
            if rows.is_empty() {
                out.push_str("Nothing is kept of what it said of it.\n");
            } else {
                out.push_str(&table(&["WHEN", "STATE", "PERCENT", "CODE", "LINE"], &rows));
            }
            Ok(out)
        }
        Watched::Connections { which: Which { device }, .. } => {
            let devices = fleet.devices();
            let page = async |cursor: Option<String>| {
                let query = ConnectionsQuery { cursor: cursor.unwrap_or_default(), rows: Some(MAX_ROWS) };
                devices.connections_listed(actor, &device, &query).await
            };
            let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(connection).collect();
            Ok(if rows.is_empty() {
                "No connection is kept. Devices that only poll have none.\n".to_owned()
            } else {
                table(&["CONNECTED", "DISCONNECTED", "LASTED", "ADDRESS", "WHY IT ENDED"], &rows)
            })
        }
    }
}

/// Prints the connections as CSV, part by part.
async fn exported(fleet: &Fleet, actor: &Actor, device: &DeviceId) -> Result<()> {
    let (mut part, mut cursor) = fleet.devices().connections_export(actor, device, None).await?;
    print!("{}", fleet::csv::line(&CONNECTION_COLUMNS));
    loop {
        for row in part {
            print!("{}", connection_line(row));
        }
        if cursor.is_none() {
            return Ok(());
        }
        (part, cursor) = fleet.devices().connections_export(actor, device, cursor).await?;
    }
}

/// How far an update is, or how it ended.
fn outcome(update: &DeviceUpdate) -> String {
    match (update.failure, update.progress) {
        (Some(failure), _) => failure.to_string(),
        (None, Some(percent)) if !update.state.finished() => format!("{} {percent} %", update.state),
        (None, _) => update.state.to_string(),
    }
}

fn update(row: DeviceUpdate) -> Vec<String> {
    let outcome = outcome(&row);
    let ended = row.ended_at.map(Timestamp::rfc3339).unwrap_or_default();
    let why: Vec<String> = [row.code, row.detail].into_iter().filter(|part| !part.is_empty()).collect();
    let offered = row.offered_at.map_or_else(|| "not offered".to_owned(), Timestamp::rfc3339);
    let (id, attempt) = (row.id.to_string(), row.attempt.to_string());
    vec![id, row.rollout_name, attempt, row.from_version, row.to_version, outcome, offered, ended, why.join(": ")]
}

fn said(line: LogLine) -> Vec<String> {
    let state = line.state.map(|state| state.to_string()).unwrap_or_default();
    let percent = line.progress.map(|percent| percent.to_string()).unwrap_or_default();
    vec![line.at.rfc3339(), state, percent, line.code, line.line]
}

fn connection(span: ConnectionSpan) -> Vec<String> {
    let (ended, lasted) = match span.to {
        Some(to) => (to.rfc3339(), duration(to.since(span.from))),
        None => ("not yet".to_owned(), String::new()),
    };
    vec![span.from.rfc3339(), ended, lasted, span.address, span.reason]
}

/// Pure: a device in lines.
fn lines(device: &DeviceDetail) -> String {
    let row = &device.row;
    let readable = |at: Option<Timestamp>| at.map(Timestamp::readable).unwrap_or_default();
    let firmware = if row.version.is_empty() { String::new() } else { format!("{} (sequence {})", row.version, device.sequence) };
    let sent = match device.data.budget {
        Some(budget) => format!("{} of {} in 30 days", bytes(device.data.bytes), bytes(budget)),
        None => format!("{} in 30 days", bytes(device.data.bytes)),
    };
    let token = device.target_token.as_ref();
    let steps: Vec<&str> = device.steps.iter().copied().map(DeviceStep::as_str).collect();
    let mut out = String::new();
    // Writing to a string can't fail.
    for (name, text) in [
        ("Device", row.device_id.to_string()),
        ("Type", row.device_type.clone()),
        ("Hardware", row.hardware.clone()),
        ("State", row.state.to_string()),
        ("Online", if row.online { "yes" } else { "no" }.to_owned()),
        ("Connected", readable(device.connected_at)),
        ("Address", device.address.clone()),
        ("Last seen", readable(row.last_seen_at)),
        ("Agent", device.agent.clone()),
        ("Firmware", firmware),
        ("Update", row.update.map(|state| state.to_string()).unwrap_or_default()),
        ("Why", device.update_reason.clone()),
        ("Pin", device.pin.as_ref().map(Pin::words).unwrap_or_default()),
        ("Tags", row.tags.join(" ")),
        ("Groups", device.groups.join(", ")),
        ("Enrolled", format!("{} by {}", device.enrolled_at.readable(), device.enrolled_by)),
        ("Sent", sent),
        ("Target token", token.map(|t| format!("made by {} on {}", t.created_by, t.created_at.readable())).unwrap_or_default()),
        ("Clone?", device.suspicion.as_ref().map(|s| format!("{}: {}", s.at.readable(), s.sign)).unwrap_or_default()),
        ("Possible", steps.join(", ")),
    ] {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:<14}{text}");
        }
    }
    let certificate = |c: &CertificateRow| vec![c.id.to_string(), c.state.to_string(), c.not_after.to_string(), c.serial.clone()];
    let certificates = device.certificates.iter().map(certificate);
    let held = |s: &DeviceSlot| {
        let holds = s.version.clone().unwrap_or_else(|| "–".to_owned());
        vec![s.name.clone(), holds, s.state.to_string(), s.since.to_string()]
    };
    let slots = device.slots.iter().map(held);
    let facts = device.attributes.iter().map(|(name, text)| vec![name.clone(), text.clone()]);
    let latest = device.latest.iter().map(|l| vec![l.metric.clone(), value(l.value), l.at.to_string()]);
    for (head, rows) in [
        (&["CERTIFICATE", "STATE", "UNTIL", "SERIAL"][..], certificates.collect::<Vec<_>>()),
        (&["SLOT", "HOLDS", "STATE", "SINCE"], slots.collect()),
        (&["ATTRIBUTE", "VALUE"], facts.collect()),
        (&["METRIC", "VALUE", "AT"], latest.collect()),
    ] {
        if !rows.is_empty() {
            let _ = write!(out, "\n{}", table(head, &rows));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{
        db::EngineKind,
        devices::Connected,
        entropy::SeededEntropy,
        releases::signing::SigningKeyPair,
        testing::{World, manifest},
    };
    use rstest::rstest;
    use std::collections::BTreeMap;
    use wire::{
        device::{Hello, Running, StatusReport},
        rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
        slots::{Slot, SlotState, Slots},
        states::UpdateState,
    };

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_device_its_updates_and_its_connections_are_told_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (ada, oli) = (w.admin().await, w.operator().await);
        let (devices, rollouts, shell) = (w.fleet.devices(), w.fleet.rollouts(), Actor::shell(w.org.clone()));
        let device = w.device("gw-1", "gateway").await;
        let which = |id: &str| Which { device: id.parse().unwrap() };
        let tell = async |command| told(&w.fleet, &shell, command).await.map_err(|e| super::super::in_words(e).to_string());
        let log = |update| Watched::Log { which: which("gw-1"), update };
        let connections = || Watched::Connections { which: which("gw-1"), csv: false };
        assert_eq!(tell(Watched::Updates(which("gw-1"))).await.unwrap(), "It has had no update.\n");
        assert_eq!(tell(log(None)).await.unwrap(), "It has had no update.\n");
        assert!(tell(connections()).await.unwrap().starts_with("No connection is kept."));
        for command in [Watched::Show(which("gw-9")), Watched::Updates(which("gw-9"))] {
            assert_eq!(tell(command).await.unwrap_err(), "There is no such device.");
        }

        let slot = |name: &str, version: Option<&str>, state| Slot { name: name.into(), version: version.map(str::to_owned), state };
        let slots = Slots::try_from(vec![slot("a", Some("1.0.0"), SlotState::Running), slot("b", None, SlotState::Empty)]).unwrap();
        for n in 1..=2 {
            let firmware = Running { version: "1.0.0".into(), sequence: 1, device_type: "gateway".into(), hardware: "A".into() };
            let attributes = BTreeMap::from([("site".to_owned(), "hall 3".to_owned())]);
            let slots = Some(slots.clone());
            let hello =
                Hello { agent: "t/1".into(), boot_id: "b".into(), firmware, attributes, stream: "s".into(), trust_bundle: 0, slots };
            devices.connected(Connected { org: w.org.clone(), device, address: format!("192.0.2.{n}"), hello });
            w.clock.advance(90_000);
            if n == 1 {
                devices.disconnected(&w.org, device, "the peer went away");
            }
        }
        devices.flush_presence(true).await.unwrap();
        let said = tell(connections()).await.unwrap();
        let spans: Vec<&str> = said.lines().skip(1).collect();
        assert!(spans[0].contains("not yet") && spans[0].contains("192.0.2.2"), "{said}");
        assert!(spans[1].contains("  1 min  ") && spans[1].ends_with("192.0.2.1  the peer went away"), "{said}");
        run(&w.fleet, &shell, Watched::Connections { which: which("gw-1"), csv: true }).await.unwrap();

        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        w.fleet.releases().add_key(&ada, "build", &key.public_pem()).await.unwrap();
        let release = w.publish(&oli, &key, &manifest("2.0.0", 2, &[("fw.bin", "raw", b"new")]), &[("fw.bin", b"new")]).await;
        let all = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
        let id = rollouts.draft(&oli, RolloutSpec::new("Radio".into(), release, vec![all])).await.unwrap();
        rollouts.submit(&oli, &id).await.unwrap();
        let digest = rollouts.detail(&ada, &id).await.unwrap().digest;
        rollouts.approve(&ada, &id, &digest, "Read.").await.unwrap();
        let offered = rollouts.poll(device).await.unwrap().expect("an offer").update_id;
        let says = |state, progress, code: Option<&str>, detail: Option<&str>| {
            let (code, detail) = (code.map(str::to_owned), detail.map(str::to_owned));
            StatusReport { update_id: offered.clone(), state, progress, code, detail, firmware: None, deferred_until: None, slots: None }
        };
        rollouts.report(device, says(UpdateState::Downloading, Some(10), None, None)).await.unwrap();
        let under_way = tell(Watched::Updates(which("gw-1"))).await.unwrap();
        assert!(under_way.contains("  downloading"), "{under_way}");
        rollouts.report(device, says(UpdateState::Failed, None, Some("no_space"), Some("the disk is full"))).await.unwrap();

        let updates = tell(Watched::Updates(which("gw-1"))).await.unwrap();
        let line = updates.lines().nth(1).unwrap();
        assert!(line.starts_with(offered.as_str()) && line.contains("  Radio    1        1.0.0  2.0.0  failed   "), "{updates}");
        assert!(line.ends_with("no_space: the disk is full"), "{updates}");
        let newest = tell(log(None)).await.unwrap();
        assert!(newest.starts_with(&format!("{offered} “Radio”, 1.0.0 → 2.0.0: failed\n")), "{newest}");
        let lines: Vec<&str> = newest.lines().skip(2).collect();
        assert!(lines.len() == 2 && lines[0].contains("failed") && lines[0].ends_with("no_space  the disk is full"), "{newest}");
        assert!(lines[1].contains("downloading  10"), "{newest}");
        assert_eq!(tell(log(Some(offered.clone()))).await.unwrap(), newest.split_once('\n').unwrap().1);

        let shown = tell(Watched::Show(which("gw-1"))).await.unwrap();
        for part in [
            "Device        gw-1\n",
            "Online        yes\n",
            "Firmware      1.0.0 (sequence 1)\n",
            "Agent         t/1\n",
            "CERTIFICATE",
            "hall 3",
        ] {
            assert!(shown.contains(part), "{part:?} in:\n{shown}");
        }
        for slot in [["a", "1.0.0", "running"], ["b", "–", "empty"]] {
            assert!(shown.lines().any(|line| line.split_whitespace().take(3).eq(slot)), "{slot:?} in:\n{shown}");
        }
        assert!(shown.contains("Possible      ") && shown.contains("suspend"), "{shown}");
    }
}
