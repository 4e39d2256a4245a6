//! `fleetward device batches` and what is done with one batch of CSRs: looked at, stopped, its certificates written. The words are those of the REST API.

use super::{
    files, one_of,
    said::{every, table},
};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{enrolment::BatchLineState, ids::EnrolmentBatchId, page::MAX_ROWS};

#[derive(Debug, Subcommand)]
pub(super) enum OfBatches {
    /// List the batches of CSRs that were sent, newest first
    Batches,
    /// List the lines of a batch and what became of them
    BatchLines {
        /// The batch's id
        id: EnrolmentBatchId,
        /// Only lines in this state
        #[arg(long, value_name = "STATE", value_parser = one_of::<BatchLineState>(BatchLineState::ALL.iter().map(|s| s.as_str())))]
        state: Option<BatchLineState>,
    },
    /// Write what a batch has made so far: a zip archive with manifest.csv, certs/, chain.pem and, if lines were refused, refused.csv
    BatchResult {
        /// The batch's id
        id: EnrolmentBatchId,
        /// Where to write it; must not exist
        #[arg(long, value_name = "ZIP")]
        out: PathBuf,
    },
    /// Stop a batch; what was made stays
    CancelBatch {
        /// The batch's id
        id: EnrolmentBatchId,
    },
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: OfBatches) -> Result<()> {
    print!("{}", said(fleet, actor, command).await?);
    Ok(())
}

/// What a command says, in whole lines.
async fn said(fleet: &Fleet, actor: &Actor, command: OfBatches) -> Result<String> {
    let devices = fleet.devices();
    Ok(match command {
        OfBatches::Batches => {
            let all = every(async |cursor| devices.batches(actor, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            let rows: Vec<Vec<String>> = all
                .into_iter()
                .map(|b| {
                    let counts = [b.lines, b.issued, b.registered, b.refused].map(|n| n.to_string());
                    [b.id.to_string(), b.state.to_string()].into_iter().chain(counts).chain([b.created_at.to_string(), b.label]).collect()
                })
                .collect();
            table(&["ID", "STATE", "LINES", "ISSUED", "REGISTERED", "REFUSED", "SENT", "LABEL"], &rows)
        }
        OfBatches::BatchLines { id, state } => {
            let all = every(async |cursor| devices.batch_lines(actor, &id, state, cursor.as_deref(), Some(MAX_ROWS)).await).await?;
            let rows: Vec<Vec<String>> = all
                .into_iter()
                .map(|line| {
                    let certificate = line.certificate.map(|id| id.to_string()).unwrap_or_default();
                    vec![line.label, line.device_id, line.state.to_string(), certificate, line.code, line.message]
                })
                .collect();
            table(&["LINE", "DEVICE", "STATE", "CERTIFICATE", "CODE", "WHY"], &rows)
        }
        OfBatches::BatchResult { id, out } => {
            let archive = devices.batch_result(actor, &id).await?;
            files::write(&out, &archive, files::PUBLIC)?;
            format!("What {id} has made so far is in {}.\n", out.display())
        }
        OfBatches::CancelBatch { id } => {
            devices.cancel_batch(actor, &id).await?;
            format!("{id} is stopped; what was made stays.\n")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{
        db::EngineKind,
        devices::NewBatch,
        testing::{World, csr},
    };
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test(flavor = "multi_thread")]
    async fn e_7_a_batch_is_looked_at_stopped_and_written_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let actor = Actor::shell(w.org.clone());
        let line = |id: &str, csr: &str| serde_json::json!({ "device_id": id, "csr": csr }).to_string();
        let sent = [line("gw-1", &csr("gw-1")), line("gw-2", "nonsense"), line("gw-3", &csr("gw-3"))].join("\n");
        let new = NewBatch { label: "lot 17".into(), device_type: "gateway".into(), ..NewBatch::default() };
        let body = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(sent))]);
        let id = w.fleet.devices().receive_batch(&actor, new, body).await.unwrap().id;
        // Two of three lines.
        for _ in 0..2 {
            assert!(w.fleet.devices().work_batches().await.unwrap());
        }
        let say = async |command| said(&w.fleet, &actor, command).await.unwrap();
        let stopped = say(OfBatches::CancelBatch { id: id.clone() }).await;
        assert!(stopped.starts_with(id.as_str()), "{stopped}");
        let list = say(OfBatches::Batches).await;
        assert!(list.lines().count() == 2 && list.contains("lot 17") && list.contains("cancelled"), "{list}");
        let refused = say(OfBatches::BatchLines { id: id.clone(), state: Some(BatchLineState::Refused) }).await;
        assert!(refused.lines().count() == 2 && refused.contains("csr_malformed") && refused.contains("gw-2"), "{refused}");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("lot.zip");
        say(OfBatches::BatchResult { id: id.clone(), out: out.clone() }).await;
        assert!(std::fs::read(&out).unwrap().starts_with(b"PK"));
        assert!(said(&w.fleet, &actor, OfBatches::BatchResult { id, out }).await.is_err(), "nothing is written over");
    }
}
