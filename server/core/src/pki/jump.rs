//! Pure: whether the machine's clock has jumped against one that nobody sets. Refuses to read either.

use std::sync::atomic::{AtomicI64, Ordering};

/// How far the two may drift apart before nothing is issued, in milliseconds: five minutes.
pub const MOST_MS: i64 = 5 * 60 * 1000;

/// What the two clocks show at one moment, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The clock that people and protocols set.
    pub wall: i64,
    /// The one that only counts on.
    pub steady: i64,
}

impl Reading {
    const fn apart(self) -> i64 {
        self.wall.saturating_sub(self.steady)
    }
}

/// What there is to tell of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It has jumped by so much.
    Jump(i64),
    /// It is right again.
    Right,
}

/// What was told of last.
const NOTHING: i64 = 0;

/// Remembers how far the two were apart when the time was right.
#[derive(Debug)]
pub struct Watch {
    right: AtomicI64,
    told: AtomicI64,
}

impl Watch {
    /// The time is taken to be right now.
    pub const fn new(now: Reading) -> Self {
        Self { right: AtomicI64::new(now.apart()), told: AtomicI64::new(NOTHING) }
    }

    /// By how much the clock is off, negative when it went back; none within [`MOST_MS`]. By itself it is right again when it is set right.
    pub fn jumped(&self, now: Reading) -> Option<i64> {
        let by = now.apart().saturating_sub(self.right.load(Ordering::SeqCst));
        (by.unsigned_abs() > MOST_MS.unsigned_abs()).then_some(by)
    }

    /// Somebody says that the time is right as it is now.
    pub fn accept(&self, now: Reading) {
        self.right.store(now.apart(), Ordering::SeqCst);
    }

    /// What has not been told yet. A jump that grows is not told again.
    pub fn news(&self, now: Reading) -> Option<News> {
        let by = self.jumped(now);
        let before = self.told.swap(by.unwrap_or(NOTHING), Ordering::SeqCst);
        ((before == NOTHING) != by.is_none()).then(|| by.map_or(News::Right, News::Jump))
    }

    /// What was news could not be written down: it is news again.
    pub fn untold(&self, news: News) {
        self.told.store(if news == News::Right { 1 } else { NOTHING }, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        News::{Jump, Right},
        *,
    };
    use proptest::prelude::*;

    const START: Reading = Reading { wall: 1_795_341_600_000, steady: 77 };

    fn later(wall: i64, steady: i64) -> Reading {
        Reading { wall: START.wall + wall, steady: START.steady + steady }
    }

    #[test]
    fn a_20_a_jump_in_either_direction_is_seen_until_it_is_undone_or_accepted() {
        for jump in [MOST_MS + 1, -MOST_MS - 1, 86_400_000, -86_400_000] {
            let watch = Watch::new(START);
            assert_eq!(watch.jumped(later(jump + 1000, 1000)), Some(jump));
            assert_eq!(watch.jumped(later(3000, 3000)), None, "set right again");
            watch.accept(later(jump + 5000, 5000));
            assert_eq!(watch.jumped(later(jump + 9000, 9000)), None);
            assert_eq!(watch.jumped(later(9000, 9000)), Some(-jump), "from then on the old time is the wrong one");
        }
    }

    #[test]
    fn a_20_each_change_is_told_once() {
        let watch = Watch::new(START);
        let day = 86_400_000;
        let told = [later(0, 0), later(day, 0), later(day + 1, 1), later(2, 2), later(3, 3), later(-day, 4), later(5, 5)]
            .map(|now| watch.news(now));
        assert_eq!(told, [None, Some(Jump(day)), None, Some(Right), None, Some(Jump(-day - 4)), Some(Right)]);
        watch.untold(Right);
        assert_eq!(watch.news(later(6, 6)), Some(Right));
        assert_eq!(watch.news(later(day, 7)), Some(Jump(day - 7)));
        watch.untold(Jump(day));
        assert_eq!(watch.news(later(day, 8)), Some(Jump(day - 8)));
    }

    proptest! {
        #[test]
        fn a_20_time_that_passes_is_no_jump(passed in 0..i64::from(u32::MAX) * 1000, drift in -MOST_MS..=MOST_MS) {
            prop_assert_eq!(Watch::new(START).jumped(later(passed + drift, passed)), None);
        }
        #[test]
        fn a_20_whatever_the_clocks_show_a_jump_is_large_and_told_once(wall: i64, steady: i64, then: i64, since: i64) {
            let (watch, now) = (Watch::new(Reading { wall, steady }), Reading { wall: then, steady: since });
            let jumped = watch.jumped(now);
            prop_assert!(jumped.is_none_or(|by| by.unsigned_abs() > MOST_MS.unsigned_abs()));
            prop_assert_eq!(watch.news(now), jumped.map(Jump));
            prop_assert_eq!(watch.news(now), None);
            watch.accept(now);
            prop_assert_eq!(watch.jumped(now), None);
        }
    }
}
