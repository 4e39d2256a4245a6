//! A plan that is kept as a file: it is found again by its name, compared with what is kept here, and drafted or edited where it differs. What has
//! been approved or has begun is never edited this way.

use super::{
    Error, Rollouts,
    arranging::arranged,
    comparing::back_label,
    difference::{Plan, between},
    drafting::{Newest, checked},
    store::records::{self, Record},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    releases,
};
use wire::{change::FieldChange, ids::RolloutId, rollouts::RolloutSpec, states::RolloutState};

/// How often a plan is looked at anew when somebody else was faster.
const TRIES: usize = 8;

/// What became of a plan that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was no rollout of this name, or it has ended with another plan: it is a new draft.
    Drafted,
    /// The rollout of this name is a draft with this plan now.
    Edited,
    /// The rollout of this name has this plan already.
    Same,
}

/// A plan that was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The rollout.
    pub id: RolloutId,
    /// Where it is in its life now.
    pub state: RolloutState,
    /// What was done.
    pub outcome: Outcome,
    /// What it changed, against the rollout of the same name.
    pub lines: Vec<FieldChange>,
}

/// The newest rollout of a plan's name, and what the plan would change.
#[derive(Debug, Clone)]
pub struct Against {
    /// The rollout.
    pub id: RolloutId,
    /// Where it is in its life.
    pub state: RolloutState,
    /// What differs in the plan.
    pub lines: Vec<FieldChange>,
    /// Why applying the plan is refused, because of where that rollout is in its life.
    pub refused: Option<String>,
    generation: i64,
    same: bool,
}

impl Rollouts {
    /// What differs between a plan and the newest rollout of its name; none when there is no such rollout. Changes nothing.
    pub async fn against(&self, actor: &Actor, spec: &RolloutSpec) -> Result<Option<Against>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let spec = &arranged(&mut on, &actor.org, spec.clone()).await?;
        let Some(record) = records::named(&mut on, &actor.org, &spec.name).await? else { return Ok(None) };
        let release = releases::for_rollout(&mut on, &actor.org, &spec.release).await?;
        let label = |device_type: &str, version: &str| format!("{device_type} {version}");
        let new = release.map_or_else(|| spec.release.to_string(), |r| label(&r.row.device_type, &r.row.version));
        let old = label(&record.device_type, &record.version);
        let old_back = back_label(&mut on, &actor.org, &record.spec).await?;
        let new_back = back_label(&mut on, &actor.org, spec).await?;
        let lines = between(
            Plan { spec: &record.spec, release: &old, back: old_back.as_deref() },
            Plan { spec, release: &new, back: new_back.as_deref() },
        );
        let (state, generation, same) = (record.state(), record.generation(), record.spec == *spec);
        let Record { id, .. } = record;
        let refused = refusal(&id, state, same);
        Ok(Some(Against { id, state, lines, refused, generation, same }))
    }

    /// What applying a plan would change: what differs from the newest rollout of its name, none where there is none. An error with the plan's problems
    /// where it has any. Changes nothing.
    pub async fn compared(&self, actor: &Actor, spec: &RolloutSpec) -> Result<Option<Against>> {
        let found = self.against(actor, spec).await?;
        self.sound(actor, spec, found.as_ref()).await?;
        Ok(found)
    }

    /// An error with the problems that a plan would be refused for if it were applied now; `against` is the newest rollout of its name. One that is kept
    /// already is not looked at again. Changes nothing.
    pub async fn sound(&self, actor: &Actor, spec: &RolloutSpec, against: Option<&Against>) -> Result<()> {
        may(actor, Act::Read)?;
        if against.is_some_and(|against| against.same) {
            return Ok(());
        }
        let mut on = self.db.read().await?;
        let spec = arranged(&mut on, &actor.org, spec.clone()).await?;
        checked(&mut on, &actor.org, &spec, self.clock.now()).await.map(drop)
    }

    /// Keeps a plan under its name: a new draft, or another plan for the one that is not decided on yet. Of two who apply at once the second is told
    /// what the first has left.
    pub async fn apply_plan(&self, actor: &Actor, spec: RolloutSpec) -> Result<Applied> {
        may(actor, Act::Draft)?;
        for _ in 0..TRIES {
            let against = self.against(actor, &spec).await?;
            match self.apply_once(actor, &spec, against).await {
                Ok(Some(applied)) => return Ok(applied),
                // Somebody was faster: what they have left is looked at anew.
                Ok(None) | Err(crate::Error::Rollouts(Error::Stale)) => {}
                Err(e) => return Err(e),
            }
        }
        Err(Error::Stale.into())
    }

    /// None when another rollout of this name was drafted since it was looked for.
    async fn apply_once(&self, actor: &Actor, spec: &RolloutSpec, against: Option<Against>) -> Result<Option<Applied>> {
        use RolloutState as S;
        let drafted = |id| Applied { id, state: S::Draft, outcome: Outcome::Drafted, lines: Vec::new() };
        let Some(against) = against else {
            return Ok(Box::pin(self.draft_while(actor, (None, spec.clone()), Newest::Missing)).await?.map(drafted));
        };
        let Against { id, state, lines, refused, generation, same } = against;
        if let Some(why) = refused {
            return Err(Error::NotNow(why).into());
        }
        match state {
            _ if same => Ok(Some(Applied { id, state, outcome: Outcome::Same, lines })),
            S::Draft | S::Rejected | S::WaitingForApproval => {
                self.edit(actor, &id, generation, spec.clone()).await?;
                Ok(Some(Applied { id, state: S::Draft, outcome: Outcome::Edited, lines }))
            }
            _ => {
                let made = Box::pin(self.draft_while(actor, (None, spec.clone()), Newest::Is(&id))).await?;
                Ok(made.map(|id| Applied { lines, ..drafted(id) }))
            }
        }
    }
}

/// Why a plan can't be applied while the newest rollout of its name is there; `same` where that has it already.
fn refusal(id: &RolloutId, state: RolloutState, same: bool) -> Option<String> {
    use RolloutState as S;
    match state {
        // Nobody would ever run it, and whoever applies it believes that it will be.
        S::Stopped | S::Rejected if same => {
            let ended = if state == S::Stopped { "stopped" } else { "rejected" };
            Some(format!("{id} has this plan and was {ended}. Change the plan, or give it another name."))
        }
        _ if same => None,
        S::Draft | S::Rejected | S::WaitingForApproval | S::Completed | S::Stopped | S::RolledBack => None,
        S::Approved | S::Scheduled => Some(format!(
            "{id} is approved with another plan. Edit it in the console, which voids the approval, or give the plan another name."
        )),
        S::Running | S::Paused | S::Halted | S::RollingBack | S::Stopping => {
            Some(format!("{id} has begun with another plan, and a plan that runs is never edited. Stop it, or give the plan another name."))
        }
    }
}
