//! What a run has seen.

/// What happened, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub steps: u64,
    pub offers: u64,
    pub applied: u64,
    pub stale: u64,
    pub timed_out: u64,
    pub lies: u64,
    pub claims: u64,
    pub proven: u64,
    pub belied: u64,
    pub never_proven: u64,
    pub reverted: u64,
    pub withdrawn: u64,
    pub requeued: u64,
    pub late_words: u64,
    pub recounts: u64,
    pub halted: u64,
    pub completed: u64,
    pub stopped: u64,
    pub resumed_after_halt: u64,
    pub recalled: u64,
    pub recalled_under_way: u64,
    pub not_applicable: u64,
    pub clock_jumps: u64,
    pub held_back: u64,
    pub dark_halts: u64,
    pub failed_halts: u64,
    pub refused_halts: u64,
    pub shut: u64,
    pub paused_by_gate: u64,
    pub retried: u64,
    pub superseded: u64,
    pub set_out: u64,
    pub went_back: u64,
    pub rolled_back: u64,
    pub looks: u64,
    pub metric_halts: u64,
    pub too_few: u64,
    pub stuck: u64,
    pub whole_halts: u64,
    pub cancelled: u64,
    pub cancelled_again: u64,
    pub reopened: u64,
    pub set_aside: u64,
}

impl Tally {
    pub fn add(&mut self, o: &Self) {
        self.steps += o.steps;
        self.offers += o.offers;
        self.applied += o.applied;
        self.stale += o.stale;
        self.timed_out += o.timed_out;
        self.lies += o.lies;
        self.claims += o.claims;
        self.proven += o.proven;
        self.belied += o.belied;
        self.never_proven += o.never_proven;
        self.reverted += o.reverted;
        self.withdrawn += o.withdrawn;
        self.requeued += o.requeued;
        self.late_words += o.late_words;
        self.recounts += o.recounts;
        self.halted += o.halted;
        self.completed += o.completed;
        self.stopped += o.stopped;
        self.resumed_after_halt += o.resumed_after_halt;
        self.recalled += o.recalled;
        self.recalled_under_way += o.recalled_under_way;
        self.not_applicable += o.not_applicable;
        self.clock_jumps += o.clock_jumps;
        self.held_back += o.held_back;
        self.dark_halts += o.dark_halts;
        self.failed_halts += o.failed_halts;
        self.refused_halts += o.refused_halts;
        self.shut += o.shut;
        self.paused_by_gate += o.paused_by_gate;
        self.retried += o.retried;
        self.superseded += o.superseded;
        self.set_out += o.set_out;
        self.went_back += o.went_back;
        self.rolled_back += o.rolled_back;
        self.looks += o.looks;
        self.metric_halts += o.metric_halts;
        self.too_few += o.too_few;
        self.stuck += o.stuck;
        self.whole_halts += o.whole_halts;
        self.cancelled += o.cancelled;
        self.cancelled_again += o.cancelled_again;
        self.reopened += o.reopened;
        self.set_aside += o.set_aside;
    }
}
