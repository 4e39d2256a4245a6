//! Registered authorities: authorities of others whose devices are believed, once they have proved that they hold their key (E-10).

use crate::{Timestamp, ids::AuthorityId};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// A registered authority's life.
    RegisteredState {
        /// Its certificate is here; nobody has proved to hold its key.
        Unverified = "unverified",
        /// Possession is proved; its devices are not believed yet.
        Verified = "verified",
        /// Its devices are believed.
        Active = "active",
        /// Its devices are cut off for now.
        Disabled = "disabled",
    }
    /// What can be done with a registered authority.
    RegisteredStep {
        /// Prove that its key is held.
        Verify = "verify",
        /// Believe its devices, under a policy for new ones.
        Enable = "enable",
        /// Believe them no longer.
        Disable = "disable",
    }
    /// What becomes of a device that shows a certificate of a registered authority for the first time.
    JustInTime {
        /// It is refused.
        Off = "off",
        /// A person approves it.
        Pending = "pending",
        /// It is in the fleet.
        Auto = "auto",
    }
    /// What becomes of a registered authority's devices when its list of revoked certificates has ended for more than 24 hours.
    EndedList {
        /// They are refused until a newer one is brought.
        Closed = "closed",
        /// They go on by the list that has ended.
        Open = "open",
    }
}

/// What a device id is made from unless the policy says otherwise.
pub const TEMPLATE: &str = "{CN}";

/// What becomes of the new devices of a registered authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JustInTimePolicy {
    /// Whether a new device is refused, waits for a person, or is in at once.
    pub just_in_time: JustInTime,
    /// Type given to its devices.
    #[serde(default)]
    pub device_type: String,
    /// Tags given to its devices.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Groups that its devices are put into, by name or id, at most 20; told as ids. One that is not among the groups was deleted since: devices come in all
    /// the same.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What a device id is made from: text with `{CN}`, `{serialNumber}` (of the subject, 2.5.4.5) and `{SAN:URI}`.
    #[serde(default = "template")]
    pub template: String,
    /// Device ids, or patterns with `*` for them, with blanks between them, at most 100; empty means any.
    #[serde(default)]
    pub pattern: String,
    /// How many devices it may let in, in all: 1 to 1,000,000.
    #[serde(default = "most")]
    pub max_devices: i64,
    /// How many of them within 24 hours; what comes after waits for a person: 1 to 100,000.
    #[serde(default = "daily")]
    pub per_day: i64,
    /// What becomes of its devices when its list of revoked certificates has ended for more than 24 hours. Without a list it says nothing.
    #[serde(default = "closed")]
    pub ended_list: EndedList,
    /// Whether one of its devices gets a certificate of ours when it asks for one over its own, by EST `simpleenroll` (802.1AR: an `LDevID` for its `IDevID`).
    #[serde(default)]
    pub exchange: bool,
}

const fn closed() -> EndedList {
    EndedList::Closed
}

fn template() -> String {
    TEMPLATE.to_owned()
}

const fn most() -> i64 {
    10_000
}

const fn daily() -> i64 {
    1000
}

impl Default for JustInTimePolicy {
    fn default() -> Self {
        Self {
            just_in_time: JustInTime::Off,
            device_type: String::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            template: template(),
            pattern: String::new(),
            max_devices: most(),
            per_day: daily(),
            ended_list: closed(),
            exchange: false,
        }
    }
}

/// A registered authority's list of revoked certificates as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnersListStanding {
    /// Its number (RFC 5280 §5.2.3), `0x` and hex; empty when it has none.
    pub number: String,
    /// When it was made.
    pub this_update: Timestamp,
    /// Until when it holds.
    pub next_update: Timestamp,
    /// How many certificates are on it.
    pub entries: i64,
    /// SHA-256 of it, hex.
    pub sha256: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Who has brought it, or the address that it was fetched from.
    pub received_by: String,
}

/// Where a registered authority's list of revoked certificates is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListAddress {
    /// `http://` or `https://`, a host, and whatever leads to the list, without user name and password; at most 500 characters. Empty ends it: then the list is
    /// brought.
    pub url: String,
}

/// Where a registered authority's list of revoked certificates is fetched, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListAddressStanding {
    /// The address.
    pub url: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
    /// When it is asked next.
    pub next_at: Timestamp,
    /// When it was asked last.
    pub asked_at: Option<Timestamp>,
    /// When it gave a list that counts last, be it the one that was here already.
    pub fetched_at: Option<Timestamp>,
    /// How often it has given none since.
    pub failures: i64,
    /// Why it gave none the last time; empty when it did.
    pub error: String,
}

/// Failures in a row after which a person should look: half an hour has passed then.
const FAILURES: i64 = 3;
/// So long before the end of a list one failure is enough, in milliseconds.
const ENDS_SOON: i64 = 6 * 3_600_000;

/// Why a person should look after an authority's list: it could not be fetched several times, or soon before its end, in `ends`. None when there is time.
pub fn list_warning(label: &str, failures: i64, error: &str, ends: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let soon = ends.is_none_or(|ends| ends.since(now) < ENDS_SOON);
    if failures < 1 || (failures < FAILURES && !soon) {
        return None;
    }
    let times = if failures == 1 { "the last time".to_owned() } else { format!("{failures} times in a row") };
    let until = match ends {
        None => "There is none yet".to_owned(),
        Some(ends) if ends <= now => format!("The one that is here has ended on {}", ends.readable()),
        Some(ends) => format!("The one that is here holds until {}", ends.readable()),
    };
    Some(format!("The list of revoked certificates of {label} could not be fetched {times}: {error}. {until}"))
}

/// Why a person should look after an authority of which a list, made then, has counted and is not here again.
pub fn awaited_warning(label: &str, made: Timestamp) -> String {
    let made = made.readable();
    format!(
        "The list of revoked certificates of {label} that was made on {made} has counted, and the database was set back since: no device of it is let in until \
         that list, or a newer one, is here"
    )
}

/// An authority of somebody else's whose devices may be believed (E-10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredAuthority {
    /// Its id.
    pub id: AuthorityId,
    /// What people call it.
    pub label: String,
    /// Its name as its certificate says.
    pub subject: String,
    /// Algorithm and size of its key.
    pub key_alg: String,
    /// SHA-256 of its public key (`SubjectPublicKeyInfo`), hex.
    pub spki_sha256: String,
    /// SHA-256 of its certificate, hex.
    pub fingerprint: String,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Where it stands.
    pub state: RegisteredState,
    /// What its verification certificate has to name, while it may; 64 hex digits.
    pub code: Option<String>,
    /// Until when that is taken.
    pub code_until: Option<Timestamp>,
    /// What becomes of its new devices.
    pub policy: JustInTimePolicy,
    /// Its list of revoked certificates, if there is one.
    pub list: Option<OwnersListStanding>,
    /// Where that is fetched, if an admin has said so.
    pub list_address: Option<ListAddressStanding>,
    /// When the list was made that has counted before the database was set back, while neither it nor a newer one is here: no device of the authority is let
    /// in until then.
    pub list_awaited: Option<Timestamp>,
    /// How many devices have a usable certificate of it.
    pub devices: i64,
    /// How many it has let in since it is here.
    pub admitted: i64,
    /// When it let the last one in.
    pub last_admitted_at: Option<Timestamp>,
    /// When one of its devices was seen last.
    pub last_seen_at: Option<Timestamp>,
    /// How many certificates of it were refused.
    pub refused: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was proved that its key is held.
    pub verified_at: Option<Timestamp>,
    /// Its certificate, PEM.
    pub pem: String,
}

impl RegisteredAuthority {
    /// Why a person should look after its list, as [`awaited_warning`] and [`list_warning`] say.
    pub fn list_warning(&self, now: Timestamp) -> Option<String> {
        if let Some(made) = self.list_awaited {
            return Some(awaited_warning(&self.label, made));
        }
        let address = self.list_address.as_ref()?;
        list_warning(&self.label, address.failures, &address.error, self.list.as_ref().map(|list| list.next_update), now)
    }
}

/// An authority to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRegisteredAuthority {
    /// What people call it.
    pub label: String,
    /// Its certificate: PEM, or the base64 of its DER.
    pub certificate: String,
}

/// What proves that an authority's key is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PossessionProof {
    /// A certificate that names the code and that the authority has signed itself: PEM, or the base64 of its DER.
    pub certificate: String,
}

/// The registered authorities there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredAuthorities {
    /// Newest first.
    pub all: Vec<RegisteredAuthority>,
    /// Whether the caller may change them.
    pub may_manage: bool,
}

/// Shell lines that make the verification certificate with openssl, where `ca.pem` and `ca.key` are the authority's certificate and key.
pub fn verification_lines(code: &str) -> [String; 2] {
    [
        format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout verify.key -subj \"/CN={code}\" -out verify.csr"
        ),
        "openssl x509 -req -in verify.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -sha256 -out verify.pem".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_come_is_told_in_time() {
        let now = Timestamp(1_795_341_600_000);
        let warns = |failures, ends: Option<i64>| list_warning("Plant", failures, "no answer", ends.map(|ms| now.plus(ms)), now);
        let day = Some(24 * 3_600_000);
        assert_eq!((warns(0, None), warns(0, Some(-1)), warns(1, day), warns(2, day)), (None, None, None, None));
        assert!(warns(3, day).unwrap().contains("3 times in a row: no answer. The one that is here holds until"));
        assert!(warns(1, Some(ENDS_SOON - 1)).unwrap().contains("the last time"), "its end is near");
        assert!(warns(1, Some(-1)).unwrap().contains("has ended"));
        assert!(warns(1, None).unwrap().ends_with("There is none yet"));
    }
}
