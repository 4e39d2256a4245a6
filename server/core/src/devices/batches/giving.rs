//! Giving back what a batch has made: an archive of certificates, filled some lines at a time.

use super::{
    super::{Devices, Error},
    Broken, LineRow,
    archive::Archive,
    store,
};
use crate::{access::Actor, csv, db::rows};
use std::{collections::BTreeSet, io};
use wire::{
    enrolment::BatchLineState,
    ids::{CertificateId, EnrolmentBatchId, OrgId},
};

impl Devices {
    /// What a batch has made so far, as a zip archive: `manifest.csv`, `certs/<device_id>.pem`, `chain.pem`, and `refused.csv` if lines were refused.
    pub async fn batch_result(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<Vec<u8>, Error> {
        let batch = self.batch(actor, id).await?;
        let archive = Box::pin(self.fill(&actor.org, id, Archive::new(batch.created_at))).await?;
        Ok(archive.finish().map_err(Broken::from)?)
    }

    /// Puts in what a batch has made so far, but for keys.
    pub(super) async fn fill<W>(&self, org: &OrgId, id: &EnrolmentBatchId, mut archive: Archive<W>) -> Result<Archive<W>, Error>
    where
        W: io::Write + io::Seek + 'static,
        Archive<W>: Send,
    {
        let mut manifest = csv::line(&["device_id", "serial", "sha256", "not_after"]);
        let mut refused = csv::line(&["label", "device_id", "code", "message"]);
        let (mut issuers, mut after, mut any) = (BTreeSet::new(), 0, false);
        loop {
            // Given back before the archive grows: readers are few.
            let mut on = self.db.read().await?;
            let some = rows!(&mut on, LineRow, store::LINES, id.as_str(), "", after, 500_i64)?;
            let Some(last) = some.last() else { break };
            after = last.line;
            let made: Vec<CertificateId> = some.iter().filter_map(|line| line.certificate_id.parse().ok()).collect();
            let leaves = self.pki.leaves(&mut on, org, &made).await?;
            drop(on);
            let mut files = Vec::with_capacity(made.len());
            for line in some {
                if line.state == BatchLineState::Refused.as_str() {
                    any = true;
                    refused.push_str(&csv::line(&[&line.label, &line.device_id, &line.code, &line.message]));
                }
                if line.state == BatchLineState::Registered.as_str() {
                    manifest.push_str(&csv::line(&[&line.device_id, "", "", ""]));
                }
                let Ok(certificate) = line.certificate_id.parse::<CertificateId>() else { continue };
                let found = leaves.get(&certificate).ok_or(crate::pki::Error::NotFound)?;
                manifest.push_str(&csv::line(&[&line.device_id, &found.serial, &found.fingerprint, &found.not_after.to_string()]));
                files.push((format!("certs/{}.pem", line.device_id), found.pem.clone()));
                issuers.insert(found.issuer.clone());
            }
            archive = grown(archive, files).await?;
        }
        let mut files = vec![("manifest.csv".to_owned(), manifest), ("chain.pem".to_owned(), self.pki.chains(&issuers))];
        if any {
            files.push(("refused.csv".to_owned(), refused));
        }
        grown(archive, files).await
    }
}

/// The archive with these files behind the others. Packing takes the processor, which the tasks of the runtime share.
async fn grown<W>(mut archive: Archive<W>, files: Vec<(String, String)>) -> Result<Archive<W>, Error>
where
    W: io::Write + io::Seek + 'static,
    Archive<W>: Send,
{
    let packed = tokio::task::spawn_blocking(move || -> io::Result<Archive<W>> {
        for (name, text) in files {
            archive.add(&name, text.as_bytes())?;
        }
        Ok(archive)
    });
    Ok(packed.await.map_err(|_| Broken::Cut)?.map_err(Broken::from)?)
}
