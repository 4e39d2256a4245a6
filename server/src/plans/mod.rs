//! A rollout as a YAML file, for the command line and for REST. The fields are those of the REST API; the release is named by its device type and version,
//! and an instant by its date. Refuses to know where a file comes from, and what becomes of its plan (the core).

mod misread;
mod written;

pub(crate) use written::written;

use anyhow::{Result, bail};
use fleet::{Error, Fleet, access::Actor, rollouts};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::Path;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wire::{
    Timestamp,
    ids::ReleaseId,
    rollouts::{Budget, GateSpec, Order, Problem, Rate, Retry, RolloutSpec, StepLimits, Urgency, Window, WrittenStage},
};

/// The largest file that is read; a plan has at most 50 stages.
pub(crate) const LARGEST: u64 = 256 * 1024;

/// What a file says, with the lines where it says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "as the plan has them")]
pub(crate) struct PlanFile {
    name: String,
    /// Which release.
    pub release: Spanned<ReleaseName>,
    #[serde(default)]
    selector: String,
    stages: Vec<Spanned<WrittenStage>>,
    #[serde(default)]
    start_at: Option<Spanned<String>>,
    #[serde(default = "default_timeout_min")]
    timeout_min: u32,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    at_once: Option<u32>,
    #[serde(default)]
    budget: Option<Budget>,
    #[serde(default)]
    confirm_at_device: bool,
    #[serde(default)]
    bandwidth: Option<u64>,
    #[serde(default)]
    ignore_data_budget: bool,
    #[serde(default)]
    window: Option<Window>,
    #[serde(default)]
    urgency: WrittenUrgency,
    #[serde(default)]
    download_only: bool,
    #[serde(default)]
    during_freeze: bool,
    /// Which release devices go back to.
    #[serde(default)]
    pub way_back: Option<Spanned<ReleaseName>>,
    #[serde(default)]
    retry: Option<Retry>,
    #[serde(default)]
    priority: u32,
    #[serde(default)]
    order: Option<Order>,
    #[serde(default)]
    rate: Option<Rate>,
    gate: Option<GateSpec>,
    #[serde(default)]
    steps: StepLimits,
}

/// How urgent it is: [`Urgency`], with its instant as the files have instants.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenUrgency {
    Soft,
    #[default]
    Forced,
    ForcedAfter(Spanned<String>),
}

impl WrittenUrgency {
    fn meant(&self, path: &Path) -> Result<Urgency> {
        Ok(match self {
            Self::Soft => Urgency::Soft,
            Self::Forced => Urgency::Forced,
            // Unix milliseconds, as REST has it, are what files said before.
            Self::ForcedAfter(at) => {
                Urgency::ForcedAfter(at.value.trim().parse().map_or_else(|_| when(path, "forced_after", at), |ms| Ok(Timestamp(ms)))?)
            }
        })
    }
}

/// A release as people name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseName {
    /// Its device type.
    pub device_type: String,
    /// Its version.
    pub version: String,
}

const fn default_timeout_min() -> u32 {
    60
}

impl PlanFile {
    /// Reads a file's text. What is wrong is told in a line, with its place.
    pub(crate) fn read(path: &Path, text: &str) -> Result<Self> {
        match serde_saphyr::from_str(text) {
            Ok(file) => Ok(file),
            Err(e) => {
                let at = e.location().map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
                let why = misread::said(text, &e);
                bail!(
                    "{}{at} is not a plan: {why}\nThe manual has a whole file to begin with: /docs/rollouts on the console.",
                    path.display(),
                )
            }
        }
    }

    /// The plan, with the releases found.
    pub(crate) fn spec(&self, path: &Path, release: ReleaseId, way_back: Option<ReleaseId>) -> Result<RolloutSpec> {
        let start_at = self.start_at.as_ref().map(|at| when(path, "start_at", at)).transpose()?;
        Ok(RolloutSpec {
            name: self.name.clone(),
            release,
            selector: self.selector.clone(),
            stages: (1..).zip(&self.stages).map(|(number, s)| s.value.clone().numbered(number)).collect(),
            start_at,
            timeout_min: self.timeout_min,
            reason: self.reason.clone(),
            at_once: self.at_once,
            budget: self.budget.clone(),
            confirm_at_device: self.confirm_at_device,
            bandwidth: self.bandwidth,
            ignore_data_budget: self.ignore_data_budget,
            window: self.window.clone(),
            urgency: self.urgency.meant(path)?,
            download_only: self.download_only,
            during_freeze: self.during_freeze,
            way_back,
            retry: self.retry.clone(),
            priority: self.priority,
            order: self.order.clone(),
            rate: self.rate.clone(),
            gate: self.gate.clone(),
            steps: self.steps,
        })
    }

    /// Why a plan was refused: its problems in the file's words, anything else as it is.
    pub(crate) fn refused(&self, path: &Path, text: &str, why: Error) -> anyhow::Error {
        match why {
            Error::Rollouts(rollouts::Error::Problems(problems)) => anyhow::Error::msg(self.told(path, text, &problems)),
            other => other.into(),
        }
    }

    /// Problems of the plan, each with its place in the file.
    fn told(&self, path: &Path, text: &str, problems: &[Problem]) -> String {
        let line = |problem: &Problem| {
            let at = self.line(text, &problem.field).map_or_else(String::new, |line| format!(":{line}"));
            format!("{}{at} {}: {}", path.display(), problem.field, problem.message)
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The line on which a field of the plan begins; for a field of a stage, the stage.
    fn line(&self, text: &str, field: &str) -> Option<u64> {
        let mut parts = field.split('.');
        let first = parts.next()?;
        if let Some(stage) = parts.next().and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.stages.get(n)) {
            return Some(stage.referenced.line());
        }
        let at = text.lines().position(|line| line.strip_prefix(first).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
        u64::try_from(at + 1).ok()
    }
}

/// The plan of a file's text, and what it means here. `path` is what the text is called where it is wrong.
pub(crate) async fn meant(fleet: &Fleet, actor: &Actor, path: &Path, text: &str) -> Result<(PlanFile, RolloutSpec)> {
    let plan = PlanFile::read(path, text)?;
    let release = found(fleet, actor, path, &plan.release).await?;
    let way_back = match &plan.way_back {
        Some(named) => Some(found(fleet, actor, path, named).await?),
        None => None,
    };
    let spec = plan.spec(path, release, way_back)?;
    Ok((plan, spec))
}

/// The release of a name in a file.
async fn found(fleet: &Fleet, actor: &Actor, path: &Path, at: &Spanned<ReleaseName>) -> Result<ReleaseId> {
    let named = &at.value;
    let Some(release) = fleet.releases().named(actor, &named.device_type, &named.version).await? else {
        let meant = match fleet.releases().nearest(actor, &named.device_type, &named.version).await? {
            Some((of, Some(version))) => format!(" Did you mean {of} {version}?"),
            Some((of, None)) if of != named.device_type => format!(" Did you mean the device type {of}? That has no such release either."),
            _ => String::new(),
        };
        bail!(
            "{}:{} there is no release {} for {}.{meant} Upload and publish it first, or correct device_type and version.",
            path.display(),
            at.referenced.line(),
            named.version,
            named.device_type
        );
    };
    Ok(release.id)
}

/// The instant that a field of a file says.
fn when(path: &Path, field: &str, at: &Spanned<String>) -> Result<Timestamp> {
    let Some(instant) = instant(&at.value) else {
        bail!(
            "{}:{}:{} {field} is no instant. Write it as RFC 3339 has it, for example 2027-01-15T06:00:00Z.",
            path.display(),
            at.referenced.line(),
            at.referenced.column()
        );
    };
    Ok(instant)
}

/// An instant as RFC 3339 has it.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests;
