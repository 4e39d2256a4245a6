//! Pure: what an import comes to, line by line: counts, what is not taken and why, what becomes of devices that are there, and what is to be known of lines
//! that are taken. However much a file says, what is told of it has its bounds.

use super::{
    ImportHow,
    compare::{Change, Verdict},
    lines::{Line, Parsed, Refusal},
};
use std::collections::HashMap;
use wire::enrolment::{GivenGroup, ImportChange, ImportOutcome, ImportProblem};

/// Most lines that are told of: those that are not taken, and those of which something is to be known.
pub(super) const MOST_TOLD: usize = 1000;
/// Most devices of which it is told what is changed.
const MOST_CHANGES: usize = 200;

/// A line and what it comes to.
pub(super) struct Judged<'a> {
    pub line: &'a Line,
    /// The ids of its groups.
    pub groups: &'a [String],
    pub verdict: Verdict<'a>,
}

impl Judged<'_> {
    /// Whether anything of it is written, where `update` asks for changes of what is there.
    pub(super) fn is_to_do(&self, update: bool) -> bool {
        match &self.verdict {
            Verdict::New => true,
            Verdict::Differs(..) => update,
            Verdict::Unchanged | Verdict::Refused(_) => false,
        }
    }
}

/// What all lines come to so far.
pub(super) struct Tally<'a> {
    outcome: ImportOutcome,
    groups: &'a [GivenGroup],
    /// Of each secret how many lines have it, and the first of them.
    secrets: HashMap<&'a [u8; 32], (usize, &'a Line)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(parsed: &'a Parsed, how: ImportHow, groups: &'a [GivenGroup], secrets_off: bool) -> Self {
        let ImportHow { preview, update } = how;
        let mut secrets = HashMap::new();
        for line in &parsed.lines {
            if let Some(secret) = &line.secret {
                secrets.entry(secret).or_insert((0, line)).0 += 1;
            }
        }
        let outcome = ImportOutcome { preview, update, secrets_off, problems: parsed.problems.clone(), ..ImportOutcome::default() };
        Self { outcome, groups, secrets }
    }

    pub(super) fn count(&mut self, judged: &[Judged<'_>]) {
        for Judged { line, verdict, .. } in judged {
            // Whether the secret of the line is its device's afterwards.
            let mut has_secret = line.secret.is_some();
            match verdict {
                Verdict::New => self.outcome.new += 1,
                Verdict::Unchanged => self.outcome.unchanged += 1,
                Verdict::Differs(_, change) => {
                    self.outcome.differing += 1;
                    has_secret &= self.outcome.update || change.secret.is_none();
                    if self.outcome.changes.len() < MOST_CHANGES {
                        let told = self.told(line, change);
                        self.outcome.changes.push(told);
                    }
                }
                Verdict::Refused(Refusal { field, message }) => {
                    self.outcome.problems.push(problem(line, field, message.clone()));
                    continue;
                }
            }
            self.outcome.secrets += i64::from(has_secret);
            if has_secret
                && self.outcome.notes.len() < MOST_TOLD
                && let Some(note) = self.shared(line)
            {
                self.outcome.notes.push(note);
            }
        }
    }

    /// What becomes of a device that is there.
    fn told(&self, line: &Line, change: &Change<'_>) -> ImportChange {
        let (device_type, hardware) = change.kind.unwrap_or_default();
        let name =
            |id: &String| self.groups.iter().find(|group| group.id.as_str() == id).map_or_else(|| id.clone(), |group| group.name.clone());
        ImportChange {
            line: line.at,
            device_id: line.device_id.to_string(),
            device_type: device_type.to_owned(),
            hardware: hardware.to_owned(),
            tags: change.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            groups: change.groups.iter().map(name).collect(),
            attributes: change.attributes.iter().map(|(name, _)| (*name).to_owned()).collect(),
            secret: change.secret.is_some(),
        }
    }

    /// Says of a line that it is not the only one with its secret.
    fn shared(&self, line: &Line) -> Option<ImportProblem> {
        let (lines, first) = self.secrets.get(line.secret.as_ref()?).filter(|(lines, _)| *lines > 1)?;
        let text = format!(
            "{lines} devices of the file have this secret, the first is {} on line {}: whoever has it speaks for all of them. Make a target token of its own for \
             each.",
            first.device_id, first.at
        );
        Some(problem(line, "security_token", text))
    }

    pub(super) fn done(self) -> ImportOutcome {
        let mut outcome = self.outcome;
        outcome.problems.sort_by_key(|problem| problem.line);
        outcome.errors = i64::try_from(outcome.problems.len()).unwrap_or(i64::MAX);
        outcome.problems.truncate(MOST_TOLD);
        outcome
    }
}

fn problem(line: &Line, field: &str, message: String) -> ImportProblem {
    ImportProblem { line: line.at, device_id: line.device_id.to_string(), field: field.to_owned(), message }
}
