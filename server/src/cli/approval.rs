//! `fleetward approval`: who approves rollouts, for how long that is waited for, and rollouts that were started in an emergency without it. What a
//! person decides needs an API token of theirs.

use super::{
    foreseen::foreseen,
    rollout::{Which, meant_by},
    said::person,
};
use crate::plans::written;
use anyhow::{Context as _, Result, bail};
use app::ui::number::counted;
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor};
use std::{fmt::Write as _, path::PathBuf};
use wire::{
    ids::{ApproverGroupId, Digest, GlassId, UserId},
    rollouts::{
        ApprovalCard, ApprovalRule, ApprovalTerms, ApproverGroup, GlassBreak, InboxQuery, InboxTab, NewApprovalTerms, NewApproverGroup,
        NewGlassReview, RuleRow, Share,
    },
};

/// Devices named of each stage.
const NAMED: usize = 12;

#[derive(Debug, Subcommand)]
pub(super) enum Approval {
    /// What waits for approval (`fleetward rollout approve` and `reject` decide it), and what was started without it and is to be reviewed
    Inbox,
    /// List the groups of approvers with their members
    Groups,
    /// Make a group of approvers, or say who is in it from now on
    Group {
        /// Its name
        name: String,
        /// Address of an admin who is in it; several times for several people, never for nobody
        #[arg(long = "member", value_name = "ADDRESS")]
        members: Vec<String>,
    },
    /// Delete a group of approvers that no rule names
    Ungroup {
        /// Its name
        name: String,
    },
    /// List the rules of how many approve, and from which groups
    Rules,
    /// Ask for another rule; what it asks for more counts at once, what it asks for less a day later
    Rule {
        /// How many people approve, 1 to 5; nobody approves their own rollout
        #[arg(long)]
        needed: u32,
        /// How many of them are of a group; several times for several groups
        #[arg(long = "from", value_name = "GROUP=NUMBER")]
        from: Vec<String>,
        /// Only rollouts for this device type, beside the rule for every rollout
        #[arg(long, alias = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
        device_type: String,
    },
    /// Ask for no rule of its own for a device type any more; it ends a day later
    DropRule {
        /// The device type
        device_type: String,
    },
    /// Show for how long approvals are waited for and hold, or change what is named
    Terms {
        /// Days to decide; 0 is for ever
        #[arg(long, value_name = "DAYS")]
        request_days: Option<u32>,
        /// Days to begin after the approval; 0 is for ever
        #[arg(long, value_name = "DAYS")]
        start_days: Option<u32>,
        /// Hours to review a broken glass
        #[arg(long, value_name = "HOURS")]
        review_hours: Option<u32>,
        /// Whether admins may break the glass; on counts a day later
        #[arg(long, value_enum)]
        break_glass: Option<Switch>,
    },
    /// Start a rollout in an emergency without its approvals; two other admins review that afterwards
    BreakGlass {
        #[command(flatten)]
        which: Which,
        /// The digest of exactly the plan that is started, as the rollout shows it
        #[arg(long)]
        digest: Digest,
        /// Why: it is kept, and everybody sees it
        #[arg(long)]
        reason: String,
        /// File with an API token of the admin who does it
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Review a rollout that was started without its approvals
    Review {
        /// The id that the inbox shows
        id: GlassId,
        /// What you say
        #[arg(value_enum)]
        say: Say,
        /// Why: it is kept with the review
        #[arg(long)]
        remark: String,
        /// File with an API token of the admin who reviews it
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// A day from now
    On,
    /// At once
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Say {
    /// It was right
    Accept,
    /// It was not
    Object,
    /// It was not, and it is halted, or taken back if it has not begun
    Stop,
}

pub(super) async fn run(fleet: &Fleet, command: Approval) -> Result<()> {
    print!("{}", answer(fleet, command).await?);
    Ok(())
}

/// What a command says, in whole lines.
async fn answer(fleet: &Fleet, command: Approval) -> Result<String> {
    let shell = Actor::shell(fleet.default_org().clone());
    match said(fleet, &shell, command).await {
        Ok(text) => Ok(text),
        // What the core refuses it says in words for people.
        Err(e) => match e.downcast::<fleet::Error>() {
            Ok(refused @ fleet::Error::Rollouts(_)) => bail!("{}", refused.fault().message),
            Ok(other) => Err(other.into()),
            Err(other) => Err(other),
        },
    }
}

async fn said(fleet: &Fleet, shell: &Actor, command: Approval) -> Result<String> {
    let rollouts = fleet.rollouts();
    Ok(match command {
        Approval::Inbox => inbox(fleet, shell).await?,
        Approval::Groups => rollouts.approver_groups(shell).await?.iter().map(group).collect(),
        Approval::Group { name, members } => {
            let members = people(fleet, shell, &members).await?;
            let known = rollouts.approver_groups(shell).await?.into_iter().find(|g| g.name == name.trim());
            let made = match known {
                Some(known) => rollouts.set_approvers(shell, &known.id, &members).await?,
                None => rollouts.create_approver_group(shell, NewApproverGroup { name, members }).await?,
            };
            group(&made)
        }
        Approval::Ungroup { name } => {
            let id = found(fleet, shell, &name).await?;
            rollouts.delete_approver_group(shell, &id).await?;
            format!("The group {name} is deleted.\n")
        }
        Approval::Rules => {
            let groups = rollouts.approver_groups(shell).await?;
            rules(&rollouts.approval_rules(shell).await?, &groups)
        }
        Approval::Rule { needed, from, device_type } => {
            let mut shares = Vec::new();
            for text in from {
                let Some((name, Ok(at_least))) = text.rsplit_once('=').map(|(name, n)| (name, n.trim().parse())) else {
                    bail!("{text} is not a group and a number: write for example safety=1");
                };
                shares.push(Share { group: found(fleet, shell, name.trim()).await?, at_least });
            }
            let rows = rollouts.set_rule(shell, &device_type, ApprovalRule { needed, from: shares }).await?;
            rules(&rows, &rollouts.approver_groups(shell).await?)
        }
        Approval::DropRule { device_type } => {
            let rows = rollouts.drop_rule(shell, &device_type).await?;
            rules(&rows, &rollouts.approver_groups(shell).await?)
        }
        Approval::Terms { request_days, start_days, review_hours, break_glass } => {
            let now = rollouts.approval_terms(shell).await?;
            let on = now.break_glass || now.break_glass_from.is_some();
            let new = NewApprovalTerms {
                request_days: request_days.unwrap_or(now.request_days),
                start_days: start_days.unwrap_or(now.start_days),
                review_hours: review_hours.unwrap_or(now.review_hours),
                break_glass: break_glass.map_or(on, |switch| switch == Switch::On),
                break_glass_from: None,
            };
            terms(&rollouts.set_approval_terms(shell, new).await?)
        }
        Approval::BreakGlass { which, digest, reason, token_file } => {
            let person = person(fleet, &token_file).await?;
            let id = meant_by(fleet, &person, which).await?;
            let glass = rollouts.break_glass(&person, &id, &digest, &reason).await?;
            format!("{id} is started without its approvals. Two other admins review that as {glass}.\n")
        }
        Approval::Review { id, say, remark, token_file } => {
            let person = person(fleet, &token_file).await?;
            let review = NewGlassReview { accept: say == Say::Accept, remark, stop: say == Say::Stop };
            broken(&rollouts.review_glass(&person, &id, &review).await?)
        }
    })
}

/// The people of these addresses.
async fn people(fleet: &Fleet, shell: &Actor, addresses: &[String]) -> Result<Vec<UserId>> {
    let users = fleet.access().people_page(shell).await?.users;
    let find = |address: &String| match users.iter().find(|u| u.email.eq_ignore_ascii_case(address.trim())) {
        Some(user) => Ok(user.id.clone()),
        None => bail!("nobody here has the address {address}"),
    };
    addresses.iter().map(find).collect()
}

/// The group of this name.
async fn found(fleet: &Fleet, shell: &Actor, name: &str) -> Result<ApproverGroupId> {
    let groups = fleet.rollouts().approver_groups(shell).await?;
    let found = groups.into_iter().find(|g| g.name == name.trim()).map(|g| g.id);
    found.with_context(|| format!("there is no group of approvers {name}"))
}

async fn inbox(fleet: &Fleet, shell: &Actor) -> Result<String> {
    let mut query = InboxQuery { tab: InboxTab::Waiting, cursor: None };
    let (mut out, mut cards) = (String::new(), Vec::new());
    loop {
        let page = fleet.rollouts().approvals(shell, &query).await?;
        if query.cursor.is_none() {
            out.extend(page.glass.iter().filter(|g| g.settled_at.is_none()).map(broken));
        }
        cards.extend(page.waiting);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    // Writing to a string can't fail.
    for card in &cards {
        let (row, s) = (&card.rollout, &card.standing);
        let of: Vec<String> = s.from.iter().map(|s| format!(", {} of {} by {}", s.given, s.at_least, s.name)).collect();
        let until = s.decide_by.map_or_else(String::new, |at| format!("; expires {}", at.readable()));
        let _ = writeln!(out, "{} “{}”, {} {}, by {}", row.id, row.name, row.device_type, row.version, row.author);
        let _ = writeln!(out, "  digest {} of exactly this plan:", card.digest);
        let back = card.way_back.as_ref().map(|back| back.version.as_str());
        for line in written(&card.spec, (&row.device_type, &row.version), back).lines() {
            let _ = writeln!(out, "    {line}");
        }
        let _ = writeln!(out, "  {} of {} approvals{}{until}", s.given, s.needed, of.concat());
        if let Some(why) = &s.stuck {
            let _ = writeln!(out, "  {why}");
        }
        out.push_str(&would(card));
    }
    Ok(if out.is_empty() { "Nothing waits.\n".to_owned() } else { out })
}

/// What a plan that waits would do as of now, and what differs from the one that was approved last.
fn would(card: &ApprovalCard) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    for line in foreseen(&card.preview, NAMED).lines() {
        let _ = writeln!(out, "  {line}");
    }
    for line in &card.changes.lines {
        let (before, after) = (line.before.as_deref().unwrap_or("–"), line.after.as_deref().unwrap_or("–"));
        let _ = writeln!(out, "  changed: {}: {before} → {after}", line.what);
    }
    out
}

fn broken(g: &GlassBreak) -> String {
    let state = match (g.settled_at, g.overdue) {
        (Some(_), _) => "reviewed".to_owned(),
        (None, true) => format!("OVERDUE, {} to review it", g.missing),
        (None, false) => format!("{} to review it by {}", g.missing, g.review_by.readable()),
    };
    let mut out = format!("{} “{}” was started without approval by {}: {} ({state})\n", g.id, g.rollout_name, g.by_name, g.reason);
    let selector = if g.selector.is_empty() { "every device of the type" } else { g.selector.as_str() };
    let devices = g.devices.map_or_else(|| "not begun".to_owned(), |n| counted(n, "device", "devices"));
    let _ = writeln!(
        out,
        "  {}: {selector} ({devices}); approvals: {}; plan: `fleetward rollout show --plan {}`",
        g.release,
        g.approvals(),
        g.rollout
    );
    for r in &g.reviews {
        let word = if r.accepted { "accepts" } else { "objects" };
        let _ = writeln!(out, "  {} {word}: {}", r.by_name, r.remark);
    }
    out
}

fn group(g: &ApproverGroup) -> String {
    let member = |m: &wire::rollouts::ApproverMember| {
        let from = if g.named { format!(" from {}", m.counts_from.readable()) } else { String::new() };
        if m.approves { format!("{}{from}", m.name) } else { format!("{} (not an admin, does not count)", m.name) }
    };
    let members: Vec<String> = g.members.iter().map(member).collect();
    format!("{}: {}\n", g.name, if members.is_empty() { "nobody".to_owned() } else { members.join(", ") })
}

fn rules(rows: &[RuleRow], groups: &[ApproverGroup]) -> String {
    let name = |id: &ApproverGroupId| groups.iter().find(|g| g.id == *id).map_or_else(|| id.to_string(), |g| g.name.clone());
    let words = |rule: &ApprovalRule| {
        let of: Vec<String> = rule.from.iter().map(|s| format!(", {} of them by {}", s.at_least, name(&s.group))).collect();
        format!("{} {}{}", rule.needed, if rule.needed == 1 { "approval" } else { "approvals" }, of.concat())
    };
    let mut out = String::new();
    for row in rows {
        let of = if row.device_type.is_empty() { "every rollout" } else { row.device_type.as_str() };
        let _ = writeln!(out, "{of}: {}", words(&row.rule));
        if let Some(weaker) = &row.weaker {
            let what = weaker.rule.as_ref().map_or_else(|| "no rule of its own".to_owned(), words);
            let _ = writeln!(out, "  from {}: {what}", weaker.from.readable());
        }
        if let Some(why) = &row.unfulfillable {
            let _ = writeln!(out, "  {why}");
        }
    }
    out
}

fn terms(t: &ApprovalTerms) -> String {
    let days = |n: u32| if n == 0 { "for ever".to_owned() } else { format!("for {n} days") };
    let glass = match (t.break_glass, t.break_glass_from) {
        (true, _) => "may be broken".to_owned(),
        (false, Some(from)) => format!("may be broken from {}", from.readable()),
        (false, None) => "may not be broken".to_owned(),
    };
    format!(
        "A request is waited for {}, an approval holds {}.\nThe glass {glass}; that is reviewed within {} hours.\n",
        days(t.request_days),
        days(t.start_days),
        t.review_hours
    )
}

#[cfg(test)]
mod tests;
