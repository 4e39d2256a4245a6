//! `fleetward rollout`: plans that are kept as YAML files, beside the firmware's sources, and orders to rollouts. What files say becomes drafts; deciding
//! stays with people, who show a token of theirs.

mod orders;
mod shown;

use super::{
    foreseen::foreseen,
    said::{every, one_of, person, table},
};
use crate::plans::{LARGEST, PlanFile, meant};
use anyhow::{Context as _, Result, bail};
use app::ui::number::counted;
use clap::Subcommand;
use fleet::{
    Fleet,
    access::Actor,
    rollouts::{Against, Applied, Outcome, REPORT, push_report_line},
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};
use wire::{
    change::FieldChange,
    page::MAX_ROWS,
    rollouts::{Call, Finding, GlassBreak, RolloutDetail, RolloutSpec, StageOutcome, Tab, Verdict, lower_words},
    states::StageState,
};

pub(super) use shown::{Which, meant as meant_by};

#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Make a draft of a plan, or edit the draft of the same name, and say what changed; what is approved or runs is never edited
    Apply {
        /// The plan, YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// File with an API token: the draft is its person's, who can't approve it
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// What applying a plan would change, and what is wrong with it, which is an error; changes nothing
    Diff {
        /// The plan, YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// How the rollout of a plan's name stands
    Status {
        /// The plan, YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// What a plan would do, and what is wrong with it, which is an error; changes nothing
    Preview {
        /// The plan, YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the rollouts, newest first
    List {
        /// Only those that are there; all of them unless given
        #[arg(long, value_name = "TAB", value_parser = one_of::<Tab>(Tab::ALL.iter().map(|t| t.as_str())))]
        tab: Option<Tab>,
    },
    #[command(flatten)]
    Shown(shown::Shown),
    #[command(flatten)]
    Order(orders::Order),
    /// Cancel the update of one device while the rollout goes on, as long as it has not begun to install; retry --class cancelled offers it
    /// again until the rollout has ended, which it does not by itself before a day has passed since the last was cancelled
    CancelDevice(orders::OfDevice),
    /// What became of every device of a rollout, as CSV
    Report(shown::Which),
}

pub(super) async fn run(fleet: &Fleet, command: Rollout) -> Result<()> {
    if let Rollout::Report(which) = command {
        return report(fleet, which).await;
    }
    print!("{}", answer(fleet, command).await?);
    Ok(())
}

/// Prints the report part by part, so that the size of the fleet does not matter.
async fn report(fleet: &Fleet, which: shown::Which) -> Result<()> {
    let shell = Actor::shell(fleet.default_org().clone());
    let id = shown::meant(fleet, &shell, which).await?;
    let mut part = fleet.rollouts().report_part(&shell, &id, 0).await?;
    print!("{}", fleet::csv::line(&REPORT));
    loop {
        let mut text = String::new();
        for row in part.rows {
            push_report_line(&mut text, row, &part.version);
        }
        print!("{text}");
        let Some(next) = part.next else { return Ok(()) };
        part = fleet.rollouts().report_part(&shell, &id, next).await?;
    }
}

/// What differs between a plan and the newest rollout of its name.
fn differing(Against { id, state, lines, .. }: &Against) -> String {
    format!("{id} ({state}) has another plan:\n{}", changes(lines))
}

/// What a command says, in whole lines.
async fn answer(fleet: &Fleet, command: Rollout) -> Result<String> {
    let shell = Actor::shell(fleet.default_org().clone());
    match command {
        Rollout::Apply { file, token_file } => {
            let actor = person(fleet, &token_file).await?;
            let (plan, text, spec) = read(fleet, &actor, &file).await?;
            let applied = fleet.rollouts().apply_plan(&actor, spec).await.map_err(|why| plan.refused(&file, &text, why))?;
            Ok(done(&applied))
        }
        Rollout::Diff { file } => {
            let (plan, text, spec) = read(fleet, &shell, &file).await?;
            let found = fleet.rollouts().against(&shell, &spec).await?;
            let sound = fleet.rollouts().sound(&shell, &spec, found.as_ref()).await;
            if let Err(why) = sound {
                let wrong = plan.refused(&file, &text, why);
                // What differs helps to find the slip.
                let differs = found.filter(|against| !against.lines.is_empty() && !wrong.is::<fleet::Error>());
                return Err(match differs {
                    Some(against) => anyhow::Error::msg(format!("{wrong}\n{}", differing(&against).trim_end())),
                    None => wrong,
                });
            }
            let Some(against) = found else {
                return Ok(format!("There is no rollout “{}” yet: applying the file drafts it.\n", spec.name));
            };
            let said =
                if against.lines.is_empty() { format!("{} has this plan ({}).\n", against.id, against.state) } else { differing(&against) };
            match &against.refused {
                Some(why) => bail!("{why}\n{}", said.trim_end()),
                None => Ok(said),
            }
        }
        Rollout::Status { file } => {
            let (_, _, spec) = read(fleet, &shell, &file).await?;
            let Some(against) = fleet.rollouts().against(&shell, &spec).await? else {
                return Ok(format!("There is no rollout “{}” yet: applying the file drafts it.\n", spec.name));
            };
            let detail = fleet.rollouts().detail(&shell, &against.id).await?;
            Ok(status(&detail, against.lines.len()))
        }
        Rollout::Preview { file } => {
            let (_, _, spec) = read(fleet, &shell, &file).await?;
            let preview = fleet.rollouts().preview(&shell, &spec).await?;
            let told = foreseen(&preview, 0);
            if preview.selector_error.is_some() || !preview.problems.is_empty() {
                bail!("{} has problems:\n{}", file.display(), told.trim_end());
            }
            Ok(told)
        }
        Rollout::List { tab } => {
            let (rollouts, tab) = (fleet.rollouts(), tab.unwrap_or_default());
            let page = async |cursor: Option<String>| rollouts.list(&shell, cursor.as_deref(), tab, MAX_ROWS).await.map(|p| p.rollouts);
            let line = |r: wire::rollouts::RolloutRow| {
                vec![r.id.to_string(), r.state.to_string(), format!("{} {}", r.device_type, r.version), r.name]
            };
            let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(line).collect();
            Ok(table(&["ID", "STATE", "RELEASE", "NAME"], &rows))
        }
        Rollout::Shown(command) => shown::told(fleet, &shell, command).await,
        Rollout::Order(order) => orders::give(fleet, shell, order).await,
        Rollout::CancelDevice(of) => orders::cancel(fleet, shell, of).await,
        // It is printed part by part.
        Rollout::Report(_) => Ok(String::new()),
    }
}

/// The plan of a file, its text, and what it means here.
async fn read(fleet: &Fleet, actor: &Actor, path: &Path) -> Result<(PlanFile, String, RolloutSpec)> {
    let size = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    if size > LARGEST {
        bail!("{} has {size} bytes; a plan has at most {LARGEST}", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let (plan, spec) = meant(fleet, actor, path, &text).await?;
    Ok((plan, text, spec))
}

fn done(applied: &Applied) -> String {
    let Applied { id, state, outcome, lines } = applied;
    match outcome {
        Outcome::Same => format!("{id} has this plan already ({state}). Nothing was changed.\n"),
        Outcome::Drafted if lines.is_empty() => {
            format!("{id} is drafted. Send it for approval: `fleetward rollout submit`, or the console.\n")
        }
        Outcome::Drafted => format!("{id} is drafted; the rollout of this name before it has ended. Against that one:\n{}", changes(lines)),
        Outcome::Edited => format!("{id} is edited, and a draft:\n{}", changes(lines)),
    }
}

/// Changes as lines: what comes begins with `+`, what goes with `-`.
fn changes(lines: &[FieldChange]) -> String {
    let line = |c: &FieldChange| match (&c.before, &c.after) {
        (Some(before), Some(after)) => format!("  {}: {before} → {after}\n", c.what),
        (None, Some(after)) => format!("+ {}: {after}\n", c.what),
        (Some(before), None) => format!("- {}: {before}\n", c.what),
        (None, None) => format!("  {}\n", c.what),
    };
    lines.iter().map(line).collect()
}

pub(super) fn status(detail: &RolloutDetail, differing: usize) -> String {
    let row = &detail.row;
    let mut out = format!("{} “{}”, {} {}: {}\n", row.id, row.name, row.device_type, row.version, row.state);
    // Writing to a string can't fail.
    if let Some(glass) = detail.glass.as_ref().filter(|glass| glass.settled_at.is_none()) {
        let _ = writeln!(out, "{}", unreviewed(glass));
    }
    if !row.summary.is_empty() {
        let _ = writeln!(out, "{}", row.summary);
    }
    if detail.release.damaged > 0 {
        let files = if detail.release.damaged == 1 {
            "1 file of the release is".to_owned()
        } else {
            format!("{} files of the release are", detail.release.damaged)
        };
        let _ = writeln!(out, "{files} damaged and not given out until uploaded again: `fleetward release upload` with the same file.");
    }
    for stage in &detail.stages {
        let c = &stage.counts;
        let _ = writeln!(
            out,
            "Stage {} {}: {}{}; {} of {} succeeded, {} updating, {} in error, {} {}{}",
            stage.number,
            stage.spec.name,
            stage.state,
            match stage.outcome {
                Some(StageOutcome::WentOn) => ", went on",
                Some(StageOutcome::NotJudged) => ", not judged",
                Some(StageOutcome::Passed) | None => "",
            },
            c.succeeded,
            c.total,
            c.updating,
            c.errors(),
            c.waiting,
            if row.state.ended() { "not reached" } else { "waiting" },
            if c.left_out > 0 { format!(", {} left out", c.left_out) } else { String::new() }
        );
        // Its gate has not let it pass: who did.
        let passed_over = stage.state == StageState::Succeeded && stage.verdict.call == Call::Wait;
        if passed_over || stage.verdict.tells_who_went_on() {
            let _ = writeln!(out, "  {}", stage.verdict.text);
        }
        for line in proves(&stage.verdict) {
            let _ = writeln!(out, "  {line}");
        }
        for (i, found) in stage.findings.iter().enumerate() {
            // The latest of each metric.
            if !stage.findings[i + 1..].iter().any(|later| later.metric == found.metric && later.worse == found.worse) {
                let _ = writeln!(out, "  {}", looked(found));
            }
        }
    }
    if let Some(whole) = &detail.verdict {
        let _ = writeln!(out, "Whole rollout: {}", whole.text);
        for line in proves(whole) {
            let _ = writeln!(out, "  {line}");
        }
    }
    if differing > 0 {
        let _ = writeln!(out, "The file says something else: `fleetward rollout diff` shows what.");
    }
    out
}

/// What a look at a metric found, and whether that stops it.
fn looked(found: &Finding) -> String {
    let over = if found.seen && found.call == Call::Halt { "; a person went on in spite of it" } else { "" };
    format!("look {} of {}: {}{over}", found.look, found.looks, found.text)
}

/// That a rollout goes without its approvals, and nobody has looked at that yet.
fn unreviewed(glass: &GlassBreak) -> String {
    let people = counted(i64::from(glass.missing), "more admin has", "more admins have");
    let by = glass.review_by.readable();
    let until = if glass.overdue { format!("since {by} it is OVERDUE") } else { format!("by {by}") };
    format!(
        "THE GLASS IS BROKEN: started without its approvals ({}) by {} on {}: {}\n{people} to review that, {until}: `fleetward approval review {}`.",
        glass.approvals(),
        glass.by_name,
        glass.at.readable(),
        glass.reason,
        glass.id
    )
}

/// What the finished devices of a gate prove of all, as it saw them and, where they are others by now, as of now; nothing while there is none.
fn proves(verdict: &Verdict) -> Vec<String> {
    let line = |succeeded: i64, finished: i64, low: Option<f64>| {
        let low = lower_words(low?);
        Some(format!("{succeeded} of {finished} finished devices succeeded: {low} % or more do, 95 % sure"))
    };
    let saw = line(verdict.succeeded, verdict.finished, verdict.success_low).map(|line| match (verdict.at, verdict.now) {
        (Some(at), _) => format!("as the gate saw it {}: {line}", at.readable()),
        (None, Some(_)) => format!("as the gate saw it: {line}"),
        (None, None) => line,
    });
    let now = verdict.now.and_then(|t| line(t.succeeded, t.finished, t.success_low)).map(|line| format!("as of now: {line}"));
    saw.into_iter().chain(now).collect()
}

#[cfg(test)]
mod tests;
