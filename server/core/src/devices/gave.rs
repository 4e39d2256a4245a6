//! What credentials gave for which keys (E-3), so that a lost answer can be given again; for many at once as for one. Refuses to decide whether
//! it may be.

use super::{
    DeviceNo,
    admission::{Admission, Credential},
    claims, store,
};
use crate::db::{Bytes, Conn, Error, Tx, exec, list, row, rows};
use serde::Serialize;
use wire::{Timestamp, ids::CertificateId};

/// What a credential gave.
pub(super) struct Gave {
    /// For which request.
    pub csr_sha256: Vec<u8>,
    pub certificate: CertificateId,
    pub at: Timestamp,
}

#[derive(Serialize)]
struct Asked<'a> {
    place: i64,
    token: &'a str,
    spki: Bytes<'a>,
}

#[derive(Serialize)]
struct Given<'a> {
    token: &'a str,
    org: &'a str,
    csr: Bytes<'a>,
    spki: Bytes<'a>,
    device: DeviceNo,
    certificate: &'a str,
    at: i64,
    address: &'a str,
}

/// What the credential of each gave last for its key, under the same name.
pub(super) async fn gave(on: &mut impl Conn, admissions: &[&Admission]) -> Result<Vec<Option<Gave>>, Error> {
    let mut found = Vec::new();
    let mut asked = Vec::new();
    for (place, a) in admissions.iter().enumerate() {
        let spki = a.csr.spki_sha256.as_slice();
        match &a.credential {
            Credential::Token(token) => {
                asked.push(Asked { place: i64::try_from(place).map_err(Error::corrupt)?, token: token.as_str(), spki: Bytes(spki) });
            }
            Credential::Claim(claim) => {
                let gave = row!(&mut *on, (Vec<u8>, String, i64, String), claims::ENROLMENT, claim.as_str(), spki)?;
                found.extend(gave.map(|(csr, certificate, at, device_id)| (place, csr, certificate, at, device_id)));
            }
            Credential::None => {}
        }
    }
    if !asked.is_empty() {
        for (place, csr, certificate, at, device_id) in
            rows!(&mut *on, (i64, Vec<u8>, String, i64, String), store::ENROLMENTS, list(&asked)?)?
        {
            found.push((usize::try_from(place).map_err(Error::corrupt)?, csr, certificate, at, device_id));
        }
    }
    let mut all: Vec<Option<Gave>> = admissions.iter().map(|_| None).collect();
    for (place, csr_sha256, certificate, at, device_id) in found {
        // The newest comes last, and counts under whichever name it is.
        let same = admissions[place].device_id.as_str() == device_id;
        let certificate = certificate.parse().map_err(Error::corrupt)?;
        all[place] = same.then_some(Gave { csr_sha256, certificate, at: Timestamp(at) });
    }
    Ok(all)
}

/// Writes down what the credential of each gives.
pub(super) async fn give(tx: &mut Tx, given: &[(&Admission, DeviceNo, &CertificateId)], now: Timestamp) -> Result<(), Error> {
    let mut by_token = Vec::new();
    for (a, device, certificate) in given {
        let (org, csr, spki) = (a.org.as_str(), a.csr.csr_sha256.as_slice(), a.csr.spki_sha256.as_slice());
        let (device, certificate) = (*device, certificate.as_str());
        match &a.credential {
            Credential::Token(token) => {
                let token = token.as_str();
                let address = a.address.as_str();
                by_token.push(Given { token, org, csr: Bytes(csr), spki: Bytes(spki), device, certificate, at: now.0, address });
            }
            Credential::Claim(claim) => {
                exec!(&mut *tx, claims::ENROLMENT_INSERT, claim.as_str(), org, csr, spki, device, certificate, now.0)?;
            }
            Credential::None => {}
        }
    }
    if !by_token.is_empty() {
        exec!(tx, store::ENROLMENTS_INSERT, list(&by_token)?)?;
    }
    Ok(())
}
