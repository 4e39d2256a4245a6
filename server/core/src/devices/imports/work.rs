//! The work of an import: some lines at a time, each looked at beside what is there. Those that come to nothing are only read; the others are written in one
//! transaction, in which they are looked at once more.

use super::{
    super::{
        DeviceNo, Devices, Error,
        entry::{self, Attribute, NewDevice, Tagged},
        given_groups::{self, Newcomer},
        shared::{self, Given},
        store as devices,
        tagging::TOLD_AT_ONCE,
    },
    ImportFormat, ImportHow,
    compare::{Change, Placed, There, Verdict, placed, verdict},
    lines::{Line, Parsed, Refusal},
    read, store,
    tally::{Judged, Tally},
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{self, Bytes, Conn, Tx, column, exec, list, rows},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use wire::{
    Timestamp,
    enrolment::ImportOutcome,
    ids::{OrgId, TargetTokenId},
    states::DeviceState,
};

#[derive(sqlx::FromRow)]
struct Row {
    number: DeviceNo,
    device_id: String,
    device_id_lower: String,
    device_type: String,
    hardware: String,
    state: String,
    deleted: bool,
    certified: bool,
    revoked: Option<String>,
    secret_hash: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Kind<'a> {
    device: DeviceNo,
    device_type: &'a str,
    hardware: &'a str,
}

/// What a device gets by its line.
struct Gets<'a> {
    device: DeviceNo,
    line: &'a Line,
    change: Change<'a>,
    new: bool,
}

impl Gets<'_> {
    /// What the books say that it got: of a device that was there nothing that stayed as it was.
    fn said(&self) -> Value {
        let Change { kind, tags, attributes, .. } = &self.change;
        let names: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
        if self.new {
            let Line { device_type, hardware, .. } = self.line;
            return json!({ "device_type": device_type, "hardware": hardware, "tags": tags, "attributes": names, "by": "import" });
        }
        let (device_type, hardware) = kind.unwrap_or_default();
        let mut detail = json!({ "by": "import" });
        for (word, value) in [("device_type", device_type), ("hardware", hardware)] {
            if !value.is_empty() {
                detail[word] = json!(value);
            }
        }
        for (word, values) in [("tags", tags), ("attributes", &names)] {
            if !values.is_empty() {
                detail[word] = json!(values);
            }
        }
        detail
    }
}

impl Devices {
    /// Whether this actor may import at all: asked before a file is listened to.
    pub fn may_import(&self, actor: &Actor) -> Result<(), Error> {
        Ok(may(actor, Act::Enrol)?)
    }

    /// Imports a file of at most [`super::MOST_IMPORT_BYTES`] and ten thousand devices, or says what that would come to. Lines that are not taken stop no
    /// other; a device that is there is left as it is unless `update` asks for its changes. A new one is preregistered, and active with its first word where
    /// it has a secret. May be repeated: what is done already is unchanged. Needs the right to enrol, and for `update` and for groups that to edit devices.
    pub async fn import_devices(
        &self,
        actor: &Actor,
        file: bytes::Bytes,
        format: ImportFormat,
        how: ImportHow,
    ) -> Result<ImportOutcome, Error> {
        may(actor, Act::Enrol)?;
        let parsed = read(file, format).await?;
        self.import(actor, &parsed, how, "an import").await
    }

    /// The same with what was read; `about` is what the books call it.
    pub(super) async fn import(&self, actor: &Actor, parsed: &Parsed, how: ImportHow, about: &str) -> Result<ImportOutcome, Error> {
        may(actor, Act::Enrol)?;
        if how.update || parsed.lines.iter().any(|line| !line.groups.is_empty()) {
            // Whoever comes in by it is put there as if the actor did it.
            may(actor, Act::EditDevices)?;
        }
        let groups = given_groups::choices(&mut self.db.read().await?, &actor.org).await?;
        let taken = self.shared_secrets(actor).await?.settings.tokens;
        let mut tally = Tally::new(parsed, how, &groups, !taken);
        let placed = placed(&parsed.lines, &groups);
        let all: Vec<&Placed<'_>> = placed.iter().collect();
        for some in all.chunks(TOLD_AT_ONCE) {
            let now = self.clock.now();
            let mut judged = judged(&mut self.db.read().await?, &actor.org, some, how.update, now).await?;
            if !how.preview {
                let to_do = judged.iter_mut().zip(some).filter(|(one, _)| one.is_to_do(how.update));
                let (places, lines): (Vec<_>, Vec<_>) = to_do.map(|(one, line)| (one, *line)).unzip();
                if !lines.is_empty() {
                    let done = Box::pin(self.take_some(actor, &lines, how.update)).await?;
                    places.into_iter().zip(done).for_each(|(place, one)| *place = one);
                }
            }
            tally.count(&judged);
        }
        let outcome = tally.done();
        let changed = if how.update { outcome.differing } else { 0 };
        if !how.preview && outcome.new + changed > 0 {
            let detail = json!({
                "new": outcome.new, "changed": changed, "left": outcome.differing - changed, "unchanged": outcome.unchanged, "errors": outcome.errors,
            });
            let mut tx = self.db.write().await?;
            audit::append(&mut tx, actor, self.clock.now(), "device.import_many", about, &detail).await?;
            tx.commit().await?;
        }
        Ok(outcome)
    }

    /// Takes some lines in, in one transaction, and says what they came to: somebody else may have been there since they were looked at.
    async fn take_some<'a>(&self, actor: &Actor, lines: &[&'a Placed<'a>], update: bool) -> Result<Vec<Judged<'a>>, Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let asked: Vec<_> = lines.iter().map(|placed| json!({ "org": actor.org, "lower": lower(placed.line) })).collect();
        // What is there keeps its state until the transaction ends.
        rows!(&mut tx, (i64, String, String, String, String), devices::HELD, list(&asked)?)?;
        let mut judged = judged(&mut tx, &actor.org, lines, update, now).await?;
        let gets = entered(&mut tx, actor, &mut judged, update, now).await?;
        if gets.is_empty() {
            // Nothing was written, the transaction ends here without a commit.
            return Ok(judged);
        }
        self.give_lines(&mut tx, actor, &gets, now).await?;
        tx.commit().await?;
        for Gets { device, .. } in &gets {
            self.bus.tell(Event::Device { org: actor.org.clone(), device: *device });
        }
        // The bus holds so many and no more: those who follow it get their turn in between.
        tokio::task::yield_now().await;
        Ok(judged)
    }

    /// Gives devices what their lines say, and writes it into the books.
    async fn give_lines(&self, tx: &mut Tx, actor: &Actor, gets: &[Gets<'_>], now: Timestamp) -> Result<(), Error> {
        let (org, by) = (actor.org.as_str(), actor.label());
        let tags: Vec<Tagged<'_>> =
            gets.iter().flat_map(|g| g.change.tags.iter().map(move |tag| Tagged { device: g.device, org, tag })).collect();
        if !tags.is_empty() {
            exec!(&mut *tx, devices::TAGS_INSERT, list(&tags)?)?;
        }
        let attributes: Vec<Attribute<'_>> = gets
            .iter()
            .flat_map(|g| {
                let pairs = g.change.attributes.iter();
                pairs.map(move |(name, value)| Attribute { device: g.device, org, name: (*name).to_owned(), value: (*value).to_owned() })
            })
            .collect();
        if !attributes.is_empty() {
            exec!(&mut *tx, devices::ATTRIBUTES_SET, list(&attributes)?)?;
        }
        let kinds: Vec<Kind<'_>> = gets
            .iter()
            .filter_map(|g| g.change.kind.map(|(device_type, hardware)| Kind { device: g.device, device_type, hardware }))
            .collect();
        if !kinds.is_empty() {
            exec!(&mut *tx, store::SET_KINDS, list(&kinds)?)?;
        }
        let newcomers: Vec<Newcomer<'_>> = gets.iter().map(|g| Newcomer { device: g.device, org, groups: &g.change.groups }).collect();
        let joined = given_groups::put_in(tx, &newcomers).await?;
        let secrets: Vec<Option<TargetTokenId>> = gets.iter().map(|g| g.change.secret.map(|_| self.entropy.id(now))).collect();
        let given: Vec<Given<'_>> = gets
            .iter()
            .zip(&secrets)
            .filter_map(|(g, id)| {
                let (secret, id) = (g.change.secret?, id.as_ref()?.as_str());
                Some(Given { device: g.device, id, org, secret_hash: Bytes(secret), created_at: now.0, created_by: &by })
            })
            .collect();
        shared::give(tx, &given).await?;
        let mut deeds = Vec::with_capacity(gets.len() + given.len());
        for ((g, joined), secret) in gets.iter().zip(&joined).zip(&secrets) {
            let mut detail = g.said();
            joined.say(&mut detail);
            let (action, object) = (if g.new { "device.preregister" } else { "device.import" }, g.line.device_id.as_str());
            deeds.push(audit::Deed { actor, action, object, detail });
            if let Some(id) = secret {
                let detail = json!({ "id": id, "by": "import" });
                deeds.push(audit::Deed { actor, action: "target_token.create", object, detail });
            }
        }
        Ok(audit::append_all(tx, now, &deeds).await?)
    }
}

/// Rows for the devices that are new; and what these and, with `update`, the others get. A name that somebody else took meanwhile is told of.
async fn entered<'a>(
    tx: &mut Tx,
    actor: &Actor,
    judged: &mut [Judged<'a>],
    update: bool,
    now: Timestamp,
) -> Result<Vec<Gets<'a>>, db::Error> {
    let org = actor.org.as_str();
    let mut new: Vec<(&Line, String)> =
        judged.iter().filter(|one| one.verdict == Verdict::New).map(|one| (one.line, lower(one.line))).collect();
    // Whoever makes many takes their names in one order, so that two don't wait for each other.
    new.sort_by(|a, b| a.1.cmp(&b.1));
    let rows: Vec<NewDevice<'_>> = new
        .iter()
        .map(|(line, lower)| NewDevice {
            org,
            device_id: line.device_id.as_str(),
            lower,
            device_type: &line.device_type,
            hardware: &line.hardware,
            state: DeviceState::Preregistered.as_str(),
            enrolled_at: now.0,
            enrolled_by: "import",
        })
        .collect();
    let made = entry::insert(tx, &rows).await?;
    let mut gets = Vec::new();
    for one in judged {
        let line = one.line;
        let got = match &one.verdict {
            Verdict::New => {
                let device = made.get(&(org.to_owned(), lower(line))).copied();
                device.map(|device| Gets { device, line, change: Change::all_of(line, one.groups), new: true })
            }
            Verdict::Differs(device, change) if update => Some(Gets { device: *device, line, change: change.clone(), new: false }),
            _ => continue,
        };
        if let Some(got) = got {
            gets.push(got);
        } else {
            one.verdict = Verdict::Refused(Refusal::new("device_id", "Somebody else has just taken this id. Import the file again."));
        }
    }
    Ok(gets)
}

/// What these lines come to beside what is there.
async fn judged<'a>(
    on: &mut impl Conn,
    org: &OrgId,
    lines: &[&'a Placed<'a>],
    update: bool,
    now: Timestamp,
) -> Result<Vec<Judged<'a>>, db::Error> {
    let named = column("lower", lines.iter().map(|placed| lower(placed.line)))?;
    let found = rows!(&mut *on, Row, store::THERE, named, org.as_str(), now.0)?;
    let numbers = column("device", found.iter().map(|row| row.number))?;
    let mut tags = by_device(rows!(&mut *on, (DeviceNo, String), store::TAGS, numbers.as_str())?);
    let mut attributes = by_device(rows!(&mut *on, (DeviceNo, String), store::ATTRIBUTES, numbers.as_str())?);
    let mut members = by_device(rows!(&mut *on, (DeviceNo, String), store::GROUPS, numbers.as_str())?);
    let mut there = HashMap::with_capacity(found.len());
    for row in found {
        let device = row.number;
        let state = if row.deleted { None } else { Some(row.state.parse().map_err(db::Error::corrupt)?) };
        let own = |of: &mut HashMap<DeviceNo, BTreeSet<String>>| of.remove(&device).unwrap_or_default();
        let is = There {
            device,
            device_id: row.device_id,
            device_type: row.device_type,
            hardware: row.hardware,
            state,
            certified: row.certified,
            revoked: row.revoked,
            secret: row.secret_hash,
            tags: own(&mut tags),
            attributes: own(&mut attributes),
            groups: own(&mut members),
        };
        there.insert(row.device_id_lower, is);
    }
    let judge = |Placed { line, groups }: &'a Placed<'a>| match groups {
        Ok(ids) => Judged { line, groups: ids, verdict: verdict(line, ids, there.get(&lower(line)), update) },
        Err(refusal) => Judged { line, groups: &[], verdict: Verdict::Refused(refusal.clone()) },
    };
    Ok(lines.iter().copied().map(judge).collect())
}

fn by_device(rows: Vec<(DeviceNo, String)>) -> HashMap<DeviceNo, BTreeSet<String>> {
    let mut all: HashMap<DeviceNo, BTreeSet<String>> = HashMap::new();
    for (device, word) in rows {
        all.entry(device).or_default().insert(word);
    }
    all
}

/// A line's id as it is unique.
fn lower(line: &Line) -> String {
    line.device_id.as_str().to_lowercase()
}
