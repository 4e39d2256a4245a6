//! Pure: turns shared out between parts of different sizes, so that after any number of turns each part has had its share, to within one: never less
//! than the share rounded down, never more than the share rounded up.
//!
//! It is the quota method of Balinski and Young ("The quota method of apportionment", American Mathematical Monthly 82, 1975), kept as turns that
//! have a first and a last moment: the n-th turn of a part may not come before its share exceeds n − 1, and has to come by when it is n. The most
//! urgent turn that may come comes next. Sorting by remainders would not do: with it a part may lose a turn when there is one more for all.

use std::{cmp::Reverse, collections::BinaryHeap};

/// The sequence of turns: indices of parts, as many as they have members.
#[derive(Debug)]
pub struct Fair {
    total: u64,
    parts: Vec<Part>,
    turn: u64,
    /// By when the part's next turn has to come, then who is first among equals, then which part.
    ready: BinaryHeap<Reverse<(u64, i64, usize)>>,
    /// From when on the part may have its next turn.
    held: BinaryHeap<Reverse<(u64, usize)>>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    size: u64,
    given: u64,
    tie: i64,
}

impl Fair {
    /// Parts of these sizes, each with a number that says which of two equally urgent ones comes first.
    pub fn new(parts: impl IntoIterator<Item = (usize, i64)>) -> Self {
        let parts: Vec<Part> = parts.into_iter().map(|(size, tie)| Part { size: size as u64, given: 0, tie }).collect();
        let held = parts.iter().enumerate().filter(|(_, p)| p.size > 0).map(|(i, _)| Reverse((1, i))).collect();
        Self { total: parts.iter().map(|p| p.size).sum(), parts, turn: 0, ready: BinaryHeap::new(), held }
    }
}

impl Iterator for Fair {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.turn += 1;
        while let Some(Reverse((_, i))) = self.held.peek().copied().filter(|Reverse((from, _))| *from <= self.turn) {
            self.held.pop();
            let Part { size, given, tie } = self.parts[i];
            self.ready.push(Reverse((((given + 1) * self.total).div_ceil(size), tie, i)));
        }
        let Reverse((_, _, i)) = self.ready.pop()?;
        let part = &mut self.parts[i];
        part.given += 1;
        if part.given < part.size {
            self.held.push(Reverse((part.given * self.total / part.size + 1, i)));
        }
        Some(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn after_any_number_of_turns_each_has_its_share(sizes in prop::collection::vec(0usize..60, 1..12), ties in prop::collection::vec(any::<i64>(), 12)) {
            let total: usize = sizes.iter().sum();
            let mut had = vec![0; sizes.len()];
            let mut turns = 0;
            for part in Fair::new(sizes.iter().copied().zip(ties)) {
                had[part] += 1;
                turns += 1;
                for (size, had) in sizes.iter().zip(&had) {
                    prop_assert!(*had >= size * turns / total && *had <= (size * turns).div_ceil(total), "{had} of {size} after {turns} of {total}");
                }
            }
            prop_assert_eq!(had, sizes);
        }
    }

    #[test]
    fn among_equals_the_tie_decides_and_nobody_is_forgotten() {
        assert_eq!(Fair::new([(1, 30), (1, 10), (1, 20)]).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(Fair::new([(0, 1), (2, 5), (0, 2)]).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(Fair::new([]).next(), None);
    }
}
