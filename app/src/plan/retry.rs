//! Pure: retries as they are typed into the wizard.

use super::words::{number, problem};
use wire::rollouts::{Problem, Retry, RetryClass};

/// The ends of a retry as the form has them: `failed,timed_out`.
pub(super) fn ends(retry: Option<&Retry>) -> String {
    retry.map_or_else(String::new, |r| r.classes.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(","))
}

/// The retries of three inputs; none where no end is chosen, whatever the others say.
pub(super) fn retry(classes: &str, times: &str, wait: &str, wrong: &mut Vec<Problem>) -> Option<Retry> {
    if classes.trim().is_empty() {
        return None;
    }
    let read = |word: &str| word.trim().parse::<RetryClass>().ok();
    let Some(classes) = classes.split(',').map(read).collect::<Option<Vec<_>>>() else {
        wrong.push(problem("retry.classes", "Choose of failed, timed_out, reverted and rejected."));
        return None;
    };
    let times = number(times, "retry.times", "Write how often it is tried again, for example 3.", wrong);
    let wait_min = number(wait, "retry.wait_min", "Write a whole number of minutes, for example 30.", wrong);
    Some(Retry { classes, times, wait_min })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_written_back() {
        let mut wrong = Vec::new();
        let read = retry("failed,timed_out", "3", "30", &mut wrong).unwrap();
        assert_eq!((ends(Some(&read)).as_str(), read.times, read.wait_min, wrong.len()), ("failed,timed_out", 3, 30, 0));
        assert_eq!((retry("", "x", "", &mut wrong), wrong.len()), (None, 0), "without an end nothing else counts");
        retry("failed", "", "soon", &mut wrong);
        retry("lost", "1", "1", &mut wrong);
        assert_eq!(wrong.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["retry.times", "retry.wait_min", "retry.classes"]);
    }
}
