//! Pure: in which order devices come and how fast, as it is typed: order, rate, and the share of a budget.

use super::words::{limit_text, number, optional, percentage, problem};
use crate::ui::number::{plain, read_decimal};
use wire::{
    ids::DeviceId,
    rollouts::{Budget, Growth, Order, Problem, Rate, RolloutSpec},
};

/// What is typed of the order and the rate of a plan. Every text may still be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderDraft {
    /// `random`, `spread` or `listed`; empty is the organization's.
    pub order: String,
    /// The attribute to spread over.
    pub spread: String,
    /// Device ids, with spaces, commas or lines between them.
    pub listed: String,
    /// Devices a minute; empty is no limit.
    pub per_minute: String,
    /// A number; empty is a rate that stays.
    pub factor: String,
    /// Devices.
    pub successes: String,
    /// Devices a minute.
    pub at_most: String,
}

impl OrderDraft {
    /// Takes an input of this name; false when it is another's.
    pub fn read(&mut self, name: &str, value: &str) -> bool {
        let Some((_, slot)) = self.fields().into_iter().find(|(field, _)| *field == name) else { return false };
        value.clone_into(slot);
        true
    }

    fn fields(&mut self) -> [(&'static str, &mut String); 7] {
        [
            ("order", &mut self.order),
            ("order.spread", &mut self.spread),
            ("order.listed", &mut self.listed),
            ("rate.per_minute", &mut self.per_minute),
            ("rate.growth.factor", &mut self.factor),
            ("rate.growth.successes", &mut self.successes),
            ("rate.growth.at_most", &mut self.at_most),
        ]
    }

    /// Every input with its text.
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.clone().fields().into_iter().map(|(name, text)| (name.to_owned(), text.clone())).collect()
    }

    /// What an existing plan says of it.
    pub fn of(spec: &RolloutSpec) -> Self {
        let mut draft = Self::default();
        match &spec.order {
            None => {}
            Some(Order::Random) => "random".clone_into(&mut draft.order),
            Some(Order::Spread(attribute)) => (draft.order, draft.spread) = ("spread".to_owned(), attribute.clone()),
            Some(Order::Listed(ids)) => {
                "listed".clone_into(&mut draft.order);
                draft.listed = ids.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(" ");
            }
        }
        if let Some(Rate { per_minute, growth }) = &spec.rate {
            draft.per_minute = per_minute.to_string();
            if let Some(Growth { factor, successes, at_most }) = growth {
                (draft.factor, draft.successes, draft.at_most) = (plain(*factor), successes.to_string(), at_most.to_string());
            }
        }
        draft
    }

    /// The order, or what has to be put right first; none for the organization's.
    pub fn order(&self, wrong: &mut Vec<Problem>) -> Option<Order> {
        match self.order.trim() {
            "" => None,
            "random" => Some(Order::Random),
            "spread" => Some(Order::Spread(self.spread.trim().to_owned())),
            "listed" => {
                let mut ids = Vec::new();
                for word in self.listed.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty()) {
                    match word.parse() {
                        Ok(id) => ids.push(id),
                        Err(_) => wrong.push(problem("order", &format!("{word:?} is no device id. Write ids with spaces between them."))),
                    }
                }
                Some(Order::Listed(ids))
            }
            _ => {
                wrong.push(problem("order", "Choose one of random, spread and listed."));
                None
            }
        }
    }

    /// The rate, or what has to be put right first; none when nothing of one is typed.
    pub fn rate(&self, wrong: &mut Vec<Problem>) -> Option<Rate> {
        let grows = [&self.factor, &self.successes, &self.at_most].into_iter().any(|text| !text.trim().is_empty());
        let message = "Write how many devices a minute may begin, for example 50, or leave it empty.";
        let per_minute = optional(&self.per_minute, "rate.per_minute", message, wrong);
        if !grows {
            return per_minute.map(|per_minute| Rate { per_minute, growth: None });
        }
        if self.per_minute.trim().is_empty() {
            wrong.push(problem("rate.per_minute", "Write the rate that it begins with, or empty what it grows by."));
        }
        let factor = read_decimal(self.factor.trim()).unwrap_or_else(|| {
            wrong.push(problem("rate.growth.factor", "Write a factor, for example 2."));
            0.0
        });
        let successes =
            number(&self.successes, "rate.growth.successes", "Write how many devices have to succeed for a step, for example 100.", wrong);
        let at_most = number(&self.at_most, "rate.growth.at_most", "Write up to how many a minute it grows, for example 1000.", wrong);
        per_minute.map(|per_minute| Rate { per_minute, growth: Some(Growth { factor, successes, at_most }) })
    }
}

/// What a budget allows as it is typed: `2`, or `10 %`.
pub(super) fn room_text(budget: Option<&Budget>) -> String {
    match budget {
        Some(Budget { at_most_percent: Some(percent), .. }) => format!("{} %", plain(*percent)),
        Some(budget) => limit_text(budget.at_most),
        None => String::new(),
    }
}

/// The budget of two inputs; one without the other is a problem.
pub(super) fn budget(attribute: &str, at_most: &str, wrong: &mut Vec<Problem>) -> Option<Budget> {
    let (attribute, at_most) = (attribute.trim(), at_most.trim());
    match (attribute.is_empty(), at_most.is_empty()) {
        (true, true) => None,
        (true, false) => {
            wrong.push(problem(
                "budget.attribute",
                "Name the attribute that devices of one kind share, for example site, or empty the number.",
            ));
            None
        }
        (false, _) => {
            let message = "Write how many devices of one kind may update at once, for example 1, or which share of them, for example 10 %.";
            let of = |at_most, at_most_percent| Budget { attribute: attribute.to_owned(), at_most, at_most_percent };
            Some(if at_most.ends_with('%') {
                of(None, Some(percentage(at_most, "budget.at_most", message, wrong)))
            } else {
                of(Some(number(at_most, "budget.at_most", message, wrong)), None)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> RolloutSpec {
        RolloutSpec::new("x".into(), "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(), Vec::new())
    }

    #[test]
    fn what_is_typed_is_read_and_written_back() {
        let rate = |growth| Some(Rate { per_minute: 10, growth });
        let growth = Some(Growth { factor: 1.5, successes: 20, at_most: 100 });
        for (order, rate) in [
            (None, None),
            (Some(Order::Random), rate(None)),
            (Some(Order::Spread("site".into())), rate(growth)),
            (Some(Order::Listed(vec!["gw-1".parse().unwrap(), "gw-2".parse().unwrap()])), None),
        ] {
            let spec = RolloutSpec { order, rate, ..plan() };
            let draft = OrderDraft::of(&spec);
            let mut again = OrderDraft::default();
            assert!(draft.pairs().into_iter().all(|(name, text)| again.read(&name, &text)) && again == draft);
            let mut wrong = Vec::new();
            assert_eq!((draft.order(&mut wrong), draft.rate(&mut wrong), wrong.len()), (spec.order, spec.rate, 0));
        }
        assert!(!OrderDraft::default().read("name", "x"));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_input() {
        let mut wrong = Vec::new();
        OrderDraft { order: "listed".into(), listed: "gw-1,\n !\n".into(), ..OrderDraft::default() }.order(&mut wrong);
        OrderDraft { order: "alphabetical".into(), ..OrderDraft::default() }.order(&mut wrong);
        OrderDraft { factor: "2".into(), ..OrderDraft::default() }.rate(&mut wrong);
        OrderDraft { per_minute: "fast".into(), ..OrderDraft::default() }.rate(&mut wrong);
        let fields: Vec<_> = wrong.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["order", "order", "rate.per_minute", "rate.growth.successes", "rate.growth.at_most", "rate.per_minute"]);
    }

    #[test]
    fn a_budget_is_a_number_or_a_share() {
        let mut wrong = Vec::new();
        for text in ["2", "12.5 %"] {
            let read = budget("site", text, &mut wrong);
            assert_eq!(room_text(read.as_ref()), text);
        }
        assert_eq!((budget(" ", "", &mut wrong), wrong.len()), (None, 0));
        budget("", "1", &mut wrong);
        budget("site", "", &mut wrong);
        budget("site", "many %", &mut wrong);
        assert_eq!(wrong.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["budget.attribute", "budget.at_most", "budget.at_most"]);
    }
}
