//! Pure: the rules of one rollout for one device, in the order in which people ask about them: what each looked at, and when it is looked at again. What
//! keeps a device back is [`admission`](super::admission)'s to say, as when an offer is made; here it gets its words.

use super::{
    admission::{Bar, Check, Had},
    confirming::Agreement,
    course::may_install,
    explain::{Concern, words},
    retry,
    stand::Stand,
    survey::Miss,
};
use crate::{devices::Facts, releases::says_trust};
use wire::{
    Timestamp,
    device::{NO_KEYS, TRUSTED_KEYS},
    rollouts::{Outlook, Reason, Rule, Says},
    states::{RolloutState, StageState, UpdateState},
};

fn reason(rule: Rule, says: Says, fact: impl Into<String>) -> Reason {
    Reason { rule, says, fact: fact.into(), again: String::new(), again_at: None }
}

/// A rule that keeps nothing back.
pub(super) fn met(rule: Rule, fact: impl Into<String>) -> Reason {
    reason(rule, Says::Met, fact)
}

/// A rule that keeps the device back, and when it is looked at again.
pub(super) fn blocks(rule: Rule, fact: impl Into<String>, again: &str) -> Reason {
    Reason { again: again.to_owned(), ..reason(rule, Says::Blocks, fact) }
}

fn no_matter(rule: Rule, fact: &str) -> Reason {
    reason(rule, Says::NoMatter, fact)
}

impl Concern {
    /// Every rule, as it stands for a device.
    pub fn rules(&self, facts: &Facts, stand: &Stand, now: Timestamp) -> Vec<Reason> {
        if self.is_done(stand) {
            return vec![last_word(stand, now), self.done(facts)];
        }
        let known = self.known(facts);
        let bar = |check| known.bar(check, now);
        let mut all = vec![last_word(stand, now), self.own_turn(bar(Check::OwnTurn), now)];
        all.extend(self.target_rules(facts));
        all.push(self.goes_out(bar(Check::GoesOut)));
        if bar(Check::GoesOut).is_none() {
            let stage = bar(Check::Stage).or(bar(Check::Place));
            all.extend([
                self.stage_rule(stage),
                self.time_rule(bar(Check::Time)),
                release_rule(bar(Check::Release)),
                self.at_once(bar(Check::Room)),
                self.data_budget(bar(Check::DataBudget)),
            ]);
        } else {
            let later = [Rule::Stage, Rule::Time, Rule::Release, Rule::AtOnce, Rule::DataBudget];
            all.extend(later.map(|rule| reason(rule, Says::NotYet, "it is asked once the rollout goes out.")));
        }
        all.extend([self.agreed(bar(Check::Agreed)), asks(facts, stand.polls)]);
        all
    }

    /// Whether the device has had its turn and succeeded, and owes nothing: no rule matters any more.
    pub(super) fn is_done(&self, stand: &Stand) -> bool {
        stand.owes.is_none() && matches!(self.ended, Some((UpdateState::Succeeded, _)))
    }

    fn done(&self, facts: &Facts) -> Reason {
        let fact = if self.download_only {
            "the device has fetched it.".to_owned()
        } else if facts.sequence == self.target.sequence {
            format!("{}.", words(UpdateState::Succeeded))
        } else {
            let runs = if facts.version.is_empty() { "something else" } else { &facts.version };
            format!("it succeeded, and the device runs {runs} by now.")
        };
        met(Rule::OwnTurn, fact)
    }

    fn own_turn(&self, bar: Option<Bar>, now: Timestamp) -> Reason {
        use UpdateState as U;
        let rule = Rule::OwnTurn;
        let Some((state, detail)) = &self.ended else {
            return met(rule, if self.had == Had::Again { "it is to be tried again." } else { "it had no turn in this rollout yet." });
        };
        let again = match self.had {
            Had::Turn(Some(at)) if self.never().is_none() => Some((self.attempts, at)),
            _ => None,
        };
        let goes_out = self.doors.state == RolloutState::Running;
        if let Some((tried, at)) = again.filter(|_| bar.is_none()) {
            return met(rule, retry::waits(tried, at, now, goes_out));
        }
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        let what = if self.download_only && *state == UpdateState::Succeeded { "the device has fetched it" } else { words(*state) };
        let retried = again.map_or_else(String::new, |(tried, at)| format!(" {}", retry::waits(tried, at, now, goes_out)));
        // Of a rollout that goes on, an update that does not come again was cancelled by a person.
        let tried_again = matches!(state, U::Failed | U::TimedOut | U::Reverted | U::Rejected | U::Cancelled);
        let by_people = if tried_again { self.never().unwrap_or("When a person has it tried again.") } else { "" };
        let next = match again {
            Some(_) if goes_out => "When its wait is over.",
            Some(_) => "When a person resumes the rollout, and its wait is over.",
            None => by_people,
        };
        Reason { again_at: again.map(|(_, at)| at), ..blocks(rule, format!("{what}{detail}.{retried}"), next) }
    }

    /// Why no device gets it from this rollout any more, and what to do instead; none while one may.
    pub(super) const fn never(&self) -> Option<&'static str> {
        use RolloutState as R;
        match self.doors.state {
            R::RollingBack | R::RolledBack => Some("Never by this rollout: it goes back. Draft a new one with a release that is good."),
            R::Stopping | R::Stopped | R::Completed => Some("Never by this rollout. Draft a new one for the devices that don't have it."),
            _ if !may_install(self.release) => Some("Never by this rollout. Draft one with another release."),
            _ => None,
        }
    }

    /// What the release and the plan ask of the device itself.
    fn target_rules(&self, facts: &Facts) -> Vec<Reason> {
        let t = &self.target;
        let selector = t.selector.to_string();
        let selected = if selector.is_empty() { "it means every device.".to_owned() } else { format!("it is one of {selector}.") };
        let hardware = if facts.hardware.is_empty() { "unknown hardware" } else { &facts.hardware };
        let own = facts.sequence;
        let away = [
            (Miss::NotSeen, "When it enrols."),
            (Miss::Pending, "When a person lets it in."),
            (Miss::Suspended, "When a person resumes it."),
        ];
        let (away, comes) = away.into_iter().find(|(miss, _)| t.misses(facts, *miss)).unwrap_or((Miss::NotActive, ""));
        let all = [
            (Miss::NotSelected, selected, "When its tags, groups or attributes change."),
            (Miss::OtherType, format!("it is a {}.", facts.device_type), ""),
            (away, "it is active.".to_owned(), comes),
            (Miss::Pinned, "it is not pinned.".to_owned(), "When a person unpins it."),
            (Miss::Hardware, format!("it has {hardware}."), "When the device reports other hardware."),
            (Miss::Newer, format!("it runs sequence {own}, and this is {}.", t.sequence), "When the device reports older firmware."),
            (Miss::RunsOther, format!("it runs sequence {own}."), "When the device reports that it runs it."),
            (Miss::TooOld, format!("it runs sequence {own}, and {} is enough.", t.min_sequence), "When the device reports newer firmware."),
            (
                Miss::Unsigned,
                "enough of the keys that it trusts have signed it.".to_owned(),
                "When the device reports other keys, or one that it trusts has signed the release.",
            ),
        ];
        all.into_iter()
            .map(|(miss, fact, again)| {
                let rule = rule_of(miss);
                if t.misses(facts, miss) {
                    let keyless = || facts.attributes.get(TRUSTED_KEYS).is_some_and(|said| said == NO_KEYS);
                    let why = match (miss, &facts.pin) {
                        (Miss::Pinned, Some(pin)) => pin.words(),
                        (Miss::Unsigned, _) if keyless() => {
                            format!("{}: it trusts none at all, start it once with --trusted-key", t.words(miss))
                        }
                        _ => t.words(miss),
                    };
                    return blocks(rule, format!("{}.", why.trim_end_matches('.')), again);
                }
                match miss {
                    Miss::Hardware if t.hardware.is_empty() => no_matter(rule, "the release runs on all hardware."),
                    Miss::RunsOther if t.runs.is_none() => no_matter(rule, "this is no way back."),
                    Miss::TooOld if t.min_sequence == 0 => no_matter(rule, "the release goes over any firmware."),
                    Miss::Unsigned if t.signed.is_none() || !says_trust(&facts.attributes) => {
                        no_matter(rule, "the device does not say which keys it trusts.")
                    }
                    _ => met(rule, fact),
                }
            })
            .collect()
    }

    fn goes_out(&self, bar: Option<Bar>) -> Reason {
        use RolloutState as R;
        if bar.is_none() {
            return met(Rule::GoesOut, "it goes out.");
        }
        let (fact, again): (String, &str) = match self.doors.state {
            R::Running => ("it goes out.".to_owned(), ""),
            R::Draft => ("it is still a draft.".to_owned(), "When it is sent for approval and approved."),
            R::WaitingForApproval => ("it waits for approval.".to_owned(), "When it is approved."),
            R::Rejected => ("it was rejected.".to_owned(), "When it is changed and approved."),
            R::Approved => ("it is approved and starts in a moment.".to_owned(), "Within a second."),
            R::Scheduled => {
                let fact = self.begin_at.map_or_else(|| "it is scheduled.".to_owned(), |at| format!("it starts {}.", at.readable()));
                return Reason { again_at: self.begin_at, ..blocks(Rule::GoesOut, fact, "When it starts.") };
            }
            R::Paused | R::Halted => (format!("{}.", self.summary.trim_end_matches('.')), "When a person resumes it."),
            R::Stopping | R::Stopped => ("it was stopped.".to_owned(), ""),
            R::Completed if self.ended.is_some() => ("it has ended.".to_owned(), ""),
            R::Completed => ("it has ended without this device.".to_owned(), ""),
            R::RollingBack | R::RolledBack => ("it is taken back from the devices that run it.".to_owned(), ""),
        };
        // What was recalled is resumed by nobody.
        let again = self.never().unwrap_or(again);
        blocks(Rule::GoesOut, fact, again)
    }

    fn stage_rule(&self, bar: Option<Bar>) -> Reason {
        let (rule, stage) = (Rule::Stage, self.doors.stage);
        let open = matches!(self.stage_state, Some(StageState::Running | StageState::Soaking | StageState::AwaitingPromotion));
        let (comes, next) = if self.ended.is_some() && open {
            ("a retry makes it go on with the device", "When a person has devices tried again.")
        } else if self.last {
            ("nobody comes any more", "When a person has devices tried again.")
        } else {
            ("it comes with the next stage", "When the next stage begins.")
        };
        match (bar, self.device_stage) {
            (None, Some(own)) if own < stage => met(rule, format!("it is in stage {own}, whose turn has come; stage {stage} is running.")),
            (None, _) => met(rule, format!("stage {stage} is running, and it is in it.")),
            (Some(Bar::Later(own)), _) => {
                let again = format!("When stage {own} begins.");
                blocks(rule, format!("its turn comes in stage {own}; stage {stage} is running."), &again)
            }
            (Some(Bar::Closed), _) => {
                let what = match self.stage_state {
                    Some(StageState::Soaking) => "is being watched",
                    Some(StageState::AwaitingPromotion) => "waits for a person to go on",
                    _ => "takes no more devices",
                };
                blocks(rule, format!("stage {stage} {what}; {comes}."), next)
            }
            (Some(Bar::NotReached), _) => blocks(rule, format!("its turn comes after stage {stage}."), next),
            (Some(_), _) => blocks(rule, "none of its stages takes the device.", "When its tags, groups or attributes change."),
        }
    }

    fn time_rule(&self, bar: Option<Bar>) -> Reason {
        match bar {
            Some(Bar::Shut(until)) => {
                let held = self.held.as_deref().unwrap_or("its time has not come.");
                Reason { again_at: until, ..blocks(Rule::Time, held, "When its window opens, or the freeze ends.") }
            }
            _ if self.windowed => met(Rule::Time, "its window is open, or it waits for it by itself."),
            _ => no_matter(Rule::Time, "the plan has no window, and no freeze holds it."),
        }
    }

    fn at_once(&self, bar: Option<Bar>) -> Reason {
        match (bar, &self.full) {
            (Some(_), Some(full)) => {
                let again = if self.frees.is_empty() { "When there is room beside the others." } else { &self.frees };
                Reason { again_at: self.turn, ..blocks(Rule::AtOnce, full.clone(), again) }
            }
            _ if self.limited => met(Rule::AtOnce, "fewer update at the same time than may."),
            _ => no_matter(Rule::AtOnce, "the plan has no such limit."),
        }
    }

    fn data_budget(&self, bar: Option<Bar>) -> Reason {
        match (bar, &self.over_budget) {
            (Some(_), Some((over, at))) => {
                Reason { again_at: *at, ..blocks(Rule::DataBudget, over.clone(), "When enough of it is 30 days ago.") }
            }
            _ if self.budgeted => met(Rule::DataBudget, "it is below its budget."),
            _ => no_matter(Rule::DataBudget, "there is no budget, or the plan passes over it."),
        }
    }

    fn agreed(&self, bar: Option<Bar>) -> Reason {
        let rule = Rule::Agreed;
        match (bar, self.agreement) {
            (None, Agreement::NotAsked) => no_matter(rule, "the plan asks nobody."),
            (None, Agreement::AtDevice) => met(rule, "the device asks somebody before it begins."),
            (None, Agreement::InConsole(_)) => met(rule, "somebody has confirmed it in the console."),
            (Some(_), _) => blocks(
                rule,
                "the plan asks for somebody at the device, and the device does not say that it asks. It gets it once somebody has confirmed it here.",
                "When somebody confirms it in the console.",
            ),
        }
    }
}

fn release_rule(bar: Option<Bar>) -> Reason {
    match bar {
        None => met(Rule::Release, "its files are there."),
        Some(Bar::Damaged) => {
            let fact = "it is its turn, but a file of the release is damaged in the store; it gets it once that was uploaded again.";
            blocks(Rule::Release, fact, "When the file was uploaded again.")
        }
        Some(_) => blocks(Rule::Release, "the release may not be installed any more.", ""),
    }
}

fn last_word(stand: &Stand, now: Timestamp) -> Reason {
    match &stand.owes {
        Some(owes) => {
            let again = "When the device says so, or has been waited for long enough.";
            Reason { again_at: Some(owes.until), ..blocks(Rule::LastWord, owes.words(now), again) }
        }
        None => met(Rule::LastWord, "nothing is open with the device."),
    }
}

fn asks(facts: &Facts, polls: bool) -> Reason {
    match (facts.online, polls) {
        (true, _) => met(Rule::Asks, "it is connected, and is told at once."),
        (false, true) => met(Rule::Asks, "it asks every few minutes."),
        (false, false) => {
            let fact = "it is its turn, but the device is offline. It gets it when it comes back.";
            blocks(Rule::Asks, fact, "When it connects or asks.")
        }
    }
}

const fn rule_of(miss: Miss) -> Rule {
    match miss {
        Miss::NotSelected => Rule::Selected,
        Miss::OtherType => Rule::DeviceType,
        Miss::NotSeen | Miss::Pending | Miss::Suspended | Miss::NotActive => Rule::Active,
        Miss::Pinned => Rule::Pinned,
        Miss::Hardware => Rule::Hardware,
        Miss::Newer => Rule::Older,
        Miss::RunsOther => Rule::TakenBack,
        Miss::TooOld => Rule::Direct,
        Miss::Unsigned => Rule::Signed,
        Miss::Busy => Rule::LastWord,
    }
}

/// What follows from rules for a device that is, or is not, connected.
pub(super) fn outlook(rules: &[Reason], online: bool) -> Outlook {
    let keeps = |r: &&Reason| r.says == Says::Blocks;
    match rules.iter().find(keeps) {
        None if online => Outlook::Now,
        None => Outlook::WhenItAsks,
        Some(first) if first.rule == Rule::Asks => Outlook::WhenItAsks,
        Some(_) => Outlook::Blocked,
    }
}

/// What is answered: how it ended for a device that is done, or else the first rule that keeps the device back, in its words.
pub(super) fn answer(rules: &[Reason], outlook: Outlook, online: bool) -> String {
    if outlook == Outlook::Done
        && let Some(turn) = rules.iter().find(|r| r.rule == Rule::OwnTurn)
    {
        return turn.fact.clone();
    }
    match rules.iter().find(|r| r.says == Says::Blocks) {
        Some(first) => first.fact.clone(),
        None if online => "it is its turn; it gets it within a moment.".to_owned(),
        None => "it is its turn; it gets it when it asks next.".to_owned(),
    }
}
