//! A selector as SQL over `devices d`, every value bound: pure, but for the last values that a selector asks for. Holds no statement of its own.

use super::{
    narrowing::FEW,
    selector::{EXPIRING_MS, Field, Metric, Ordering, Selector, before},
};
use crate::{
    db::{EngineKind, Error, Value, literal},
    pki::store::{cut, unbelieved},
    telemetry::LastValues,
};
use wire::{
    Timestamp,
    devices::{CertificateStanding, PRESENT_MS, Presence},
    ids::OrgId,
    states::DeviceState,
};

/// What a condition needs beside its selector: what stands elsewhere than in the fleet's store, and how lists are unfolded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// The instant of which presence and the like are asked.
    pub(super) at: Timestamp,
    postgres: bool,
    /// The numbers of the devices whose last value is asked for, as a JSON list.
    having: Vec<(Metric, String)>,
}

impl Asked {
    /// Looks up what the selector asks of metrics.
    pub(crate) async fn of(
        selector: &Selector,
        last: Option<&LastValues>,
        (kind, org, at): (EngineKind, &OrgId, Timestamp),
    ) -> Result<Self, Error> {
        let mut metrics = Vec::new();
        selector.visit(&mut |part| {
            if let Selector::Metric(metric) = part {
                metrics.push(metric);
            }
        });
        let mut having = Vec::new();
        for metric in metrics {
            let found = match last {
                Some(last) => last.having(org, metric, at).await?,
                None => Vec::new(),
            };
            having.push((metric.clone(), serde_json::to_string(&found).map_err(Error::corrupt)?));
        }
        Ok(Self { at, postgres: kind == EngineKind::Postgres, having })
    }

    pub(super) const fn on_postgres(&self) -> bool {
        self.postgres
    }
}

/// A `WHERE` condition and the values of its `$n`.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) asked: Asked,
    /// All that match are counted, so what stands in other tables is read from there; a page asks for each device that it meets.
    pub(super) counting: bool,
    /// Where the devices `d` are read from.
    pub(super) from: String,
    /// They are read along rows `s` that have their ids and numbers, in the order of those.
    pub(super) placed: bool,
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// That of a device's certificates the one that ends last was revoked. Asked of each device that is met, by two steps along the index of its certificates.
/// `certificate:revoked` is asked of those alone of which one was cut off, by the partial index of these (`certificates_cut_of_devices`), and so costs the
/// same at a million devices as at a thousand, up to ten thousand cut off. `certificate:expired` and `certificate:none` have no such index, because the
/// standing follows from all certificates and from the clock: a page of them passes by every device in front of it with some such steps each, which at a
/// million devices of which nearly all are valid is a walk through all of them. How many they are is [kept](crate::kept), as of other slow lists.
const CUT: &str = concat!(
    "(COALESCE((SELECT MAX(c.not_after) FROM certificates c WHERE c.device = d.number AND c.fingerprint IS NOT NULL AND ",
    cut!(),
    "), 0) > COALESCE((SELECT MAX(c.not_after) FROM certificates c WHERE c.device = d.number AND c.fingerprint IS NOT NULL AND NOT ",
    cut!(),
    "), 0))"
);

impl Filter {
    /// The next placeholder, with its value.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Appends the selector's condition, in parentheses.
    pub(super) fn push(&mut self, selector: &Selector) {
        let condition = self.condition(selector);
        self.text.push_str(&condition);
    }

    fn condition(&mut self, selector: &Selector) -> String {
        match selector {
            Selector::All(parts) if parts.is_empty() => "(1 = 1)".into(),
            Selector::All(parts) => self.list(parts, " AND "),
            Selector::Any(parts) => self.list(parts, " OR "),
            Selector::Not(part) => format!("(NOT {})", self.condition(part)),
            Selector::Word(word) if word.contains('*') => format!("({})", self.is(&Field::Id, word)),
            Selector::Word(word) => {
                let pattern = self.bind(Value::Text(format!("%{}%", literal(&word.to_lowercase()))));
                format!("(d.device_id_lower LIKE {pattern} ESCAPE '\\')")
            }
            Selector::Sequence(how, n) => {
                let n = self.bind(Value::Int(*n));
                format!("(d.sequence {} {n})", how.as_str())
            }
            Selector::Version(how, version) => {
                let order = self.bind(Value::Text(version.order()));
                // One without a place in the order is neither older nor newer.
                format!("(d.version_order <> '' AND d.version_order {} {order})", how.as_str())
            }
            Selector::Metric(metric) => {
                // Nobody where it was not looked up.
                let of = self.asked.having.iter().find(|(asked, _)| asked == metric).map_or_else(|| "[]".to_owned(), |(_, of)| of.clone());
                format!("({})", self.among("d.number", of))
            }
            Selector::Silent(how, ms) => {
                let since = self.bind(Value::Int(before(self.asked.at, *ms)));
                let than = match how {
                    Ordering::Below => ">",
                    Ordering::AtMost => ">=",
                    Ordering::Above => "<",
                    Ordering::AtLeast => "<=",
                };
                format!("(d.last_seen_at {than} {since})")
            }
            Selector::Is(field, values) => {
                let parts: Vec<String> = values.iter().map(|v| self.is(field, v)).collect();
                format!("({})", parts.join(" OR "))
            }
        }
    }

    fn list(&mut self, parts: &[Selector], between: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|p| self.condition(p)).collect();
        format!("({})", parts.join(between))
    }

    fn is(&mut self, field: &Field, value: &str) -> String {
        match field {
            Field::Id => self.compare("d.device_id_lower", &value.to_lowercase()),
            Field::Type => self.compare("d.device_type", value),
            Field::Hardware => self.compare("d.hardware", value),
            Field::Version => self.compare("d.version", value),
            Field::State => self.compare("d.state", value),
            Field::Update => self.compare("d.update_state", value),
            Field::Online => {
                let yes = self.bind(Value::Bool(value == "yes"));
                format!("d.online = {yes}")
            }
            Field::Presence => self.presence(value),
            Field::Certificate => self.certificate(value),
            Field::Group => {
                let group = self.compare("g.name", value);
                self.beside("group_members s JOIN device_groups g ON g.id = s.group_id", &group)
            }
            Field::Tag => {
                let tag = self.compare("s.tag", value);
                self.beside("device_tags s", &tag)
            }
            Field::Attribute(name) => {
                let name = self.bind(Value::Text(name.clone()));
                let value = self.compare("s.value", value);
                self.beside("device_attributes s", &format!("s.name = {name} AND {value}"))
            }
        }
    }

    /// That a number is one of a JSON list.
    pub(super) fn among(&mut self, column: &str, numbers: String) -> String {
        let list = self.bind(Value::Text(numbers));
        if self.asked.postgres {
            format!("{column} IN (SELECT CAST(n.value AS BIGINT) FROM json_array_elements_text(CAST({list} AS JSON)) n)")
        } else {
            format!("{column} IN (SELECT n.value FROM json_each({list}) n)")
        }
    }

    /// The devices `d` of a JSON list of few numbers, each once, read by its number. The join in this order, or the limit, keeps the planner from looking for
    /// them along the order of the list.
    pub(super) fn each(&mut self, numbers: String) -> String {
        let list = self.bind(Value::Text(numbers));
        if self.asked.postgres {
            format!(
                "(SELECT e.* FROM devices e WHERE e.number IN (SELECT CAST(n.value AS BIGINT) FROM json_array_elements_text(CAST({list} AS JSON)) n) LIMIT {FEW}) d"
            )
        } else {
            format!("json_each({list}) n CROSS JOIN devices d ON d.number = n.value")
        }
    }

    pub(super) const fn on_postgres(&self) -> bool {
        self.asked.postgres
    }

    /// What stands in rows `s` beside the device. `$1` is the organization.
    fn beside(&self, rows: &str, condition: &str) -> String {
        if self.counting {
            format!("d.number IN (SELECT s.device FROM {rows} WHERE s.org_id = $1 AND {condition})")
        } else {
            format!("EXISTS (SELECT 1 FROM {rows} WHERE s.device = d.number AND {condition})")
        }
    }

    fn presence(&mut self, word: &str) -> String {
        let connected = self.bind(Value::Bool(word == Presence::Online.as_str()));
        if word == Presence::Online.as_str() {
            return format!("d.online = {connected}");
        }
        let since = self.bind(Value::Int(before(self.asked.at, PRESENT_MS)));
        let than = if word == Presence::Stale.as_str() { ">" } else { "<=" };
        format!("(d.online = {connected} AND d.last_seen_at {than} {since})")
    }

    /// Without NULL, because NOT of it is nothing.
    fn certificate(&mut self, word: &str) -> String {
        use CertificateStanding as C;
        let (now, soon) = (self.asked.at.0, self.asked.at.plus(EXPIRING_MS).0);
        match word.parse() {
            Ok(C::Valid) => self.ends("NOT IN", soon + 1, i64::MAX),
            Ok(C::Expiring) => self.ends("NOT IN", now + 1, soon),
            Ok(C::Untrusted) => format!("({} AND {} AND NOT {CUT})", self.ends("NOT IN", 0, now), self.ends("IN", now + 1, i64::MAX)),
            Ok(C::Revoked) => format!("({} AND {CUT})", self.ends("NOT IN", 0, now)),
            Ok(C::Expired) => {
                let (over, none) =
                    ((self.ends("NOT IN", 0, now), self.ends("IN", 0, now)), (self.ends("NOT IN", 0, 0), self.ends("IN", 0, 0)));
                format!("({} AND {} AND NOT ({} AND {}) AND NOT {CUT})", over.0, over.1, none.0, none.1)
            }
            Ok(C::None) => format!("({} AND {} AND NOT {CUT})", self.ends("NOT IN", 0, 0), self.ends("IN", 0, 0)),
            // The parser takes no other word.
            Err(_) => "(1 = 0)".to_owned(),
        }
    }

    /// Whether the last certificate that was not revoked ends between two instants, 0 for none, of those whose authority is not among, or is among,
    /// the ones that are not believed.
    fn ends(&mut self, among: &str, from: i64, to: i64) -> String {
        let (from, to) = (self.bind(Value::Int(from)), self.bind(Value::Int(to)));
        format!(
            "(COALESCE((SELECT MAX(c.not_after) FROM certificates c WHERE c.device = d.number AND c.fingerprint IS NOT NULL \
             AND NOT {} AND c.issuer_id {among} {}), 0) BETWEEN {from} AND {to})",
            cut!(),
            unbelieved!()
        )
    }

    fn compare(&mut self, column: &str, value: &str) -> String {
        if value.contains('*') {
            let pattern: Vec<String> = value.split('*').map(literal).collect();
            let pattern = self.bind(Value::Text(pattern.join("%")));
            format!("{column} LIKE {pattern} ESCAPE '\\'")
        } else {
            let value = self.bind(Value::Text(value.to_owned()));
            format!("{column} = {value}")
        }
    }
}

/// Whether a selector asks for a state itself; lists leave out decommissioned devices unless one does.
pub(super) fn asks_for_state(selector: &Selector) -> bool {
    match selector {
        Selector::All(parts) | Selector::Any(parts) => parts.iter().any(asks_for_state),
        Selector::Not(part) => asks_for_state(part),
        Selector::Is(field, _) => *field == Field::State,
        Selector::Sequence(..) | Selector::Version(..) | Selector::Metric(_) | Selector::Silent(..) | Selector::Word(_) => false,
    }
}

/// Whether decommissioned devices may be in a list of what a selector means: it asks for a state, and none of its conditions that must all hold names only
/// others or takes that one away.
pub(super) fn may_mean_decommissioned(selector: &Selector) -> bool {
    let parts = match selector {
        Selector::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    asks_for_state(selector) && !parts.iter().any(leaves_out_decommissioned)
}

/// Whether a decommissioned device never fulfils it, as far as exact states say so.
fn leaves_out_decommissioned(part: &Selector) -> bool {
    const GONE: &str = DeviceState::Decommissioned.as_str();
    match part {
        Selector::Is(Field::State, states) => states.iter().all(|state| state != GONE && !state.contains('*')),
        Selector::Not(part) => matches!(&**part, Selector::Is(Field::State, states) if states.iter().any(|state| state == GONE)),
        _ => false,
    }
}
