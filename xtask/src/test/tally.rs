//! Pure: how many tests passed, read from what the test runners print.

use std::iter::Sum;

/// Tests, not steps.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |a, b| Self {
            passed: a.passed + b.passed,
            failed: a.failed + b.failed,
            skipped: a.skipped + b.skipped,
        })
    }
}

impl Tally {
    /// From nextest's line `Summary [ 12.3s] 9 tests run: 7 passed (1 slow, 1 flaky), 1 failed, 1 timed out, 2 skipped`.
    /// `None` if there is no such line: then nothing is known.
    pub fn of_nextest(output: &str) -> Option<Self> {
        let line = output.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
        let (_, counts) = line.split_once("run:")?;
        Some(Self::of_counts(&without_parentheses(counts), ','))
    }

    /// From the line `test result: ok. 5 passed; 0 failed; 1 ignored; …` of each of cargo test's binaries.
    pub fn of_cargo_test(output: &str) -> Option<Self> {
        let results: Vec<Self> = output
            .lines()
            .filter_map(|line| line.strip_prefix("test result: ")?.split_once(". "))
            .map(|(_, counts)| Self::of_counts(counts, ';'))
            .collect();
        if results.is_empty() { None } else { Some(results.into_iter().sum()) }
    }

    /// From the `stats` of Playwright's JSON report. What passed at its second try has passed; [`second_tries`] names it.
    pub fn of_playwright(report: &serde_json::Value) -> Option<Self> {
        let stats = report.get("stats")?;
        let count = |name: &str| stats.get(name)?.as_u64();
        Some(Self { passed: count("expected")? + count("flaky")?, failed: count("unexpected")?, skipped: count("skipped")? })
    }

    fn of_counts(counts: &str, separator: char) -> Self {
        let mut tally = Self::default();
        for part in counts.split(separator) {
            let Some((number, word)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word.trim() {
                "passed" => tally.passed += number,
                "skipped" | "ignored" => tally.skipped += number,
                "failed" | "timed out" | "exec failed" => tally.failed += number,
                _ => {}
            }
        }
        tally
    }
}

/// What Playwright's JSON report says passed only at its second try, by file and title.
pub fn second_tries(report: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    for suite in report["suites"].as_array().into_iter().flatten() {
        for spec in suite["specs"].as_array().into_iter().flatten() {
            let tests = spec["tests"].as_array().into_iter().flatten();
            if tests.clone().any(|test| test["status"] == "flaky") {
                found.push(format!("{}: {}", spec["file"].as_str().unwrap_or_default(), spec["title"].as_str().unwrap_or_default()));
            }
        }
        found.extend(second_tries(suite));
    }
    found
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    let mut kept = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn nextest_summaries_are_read_with_all_their_trimmings() {
        let simple = "   Summary [   0.004s] 3 tests run: 3 passed, 0 skipped";
        assert_eq!(Tally::of_nextest(simple), Some(tally(3, 0, 0)));
        let full = "noise\n     Summary [  12.3s] 9/11 tests run: 7 passed (1 slow, 1 flaky), 1 failed, 1 timed out, 2 skipped\n  FAIL x";
        assert_eq!(Tally::of_nextest(full), Some(tally(7, 2, 2)));
        assert_eq!(Tally::of_nextest("error: could not compile"), None);
    }

    #[test]
    fn cargo_test_results_of_several_binaries_add_up() {
        let output = "test a ... ok\ntest result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                      test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(Tally::of_cargo_test(output), Some(tally(7, 3, 1)));
        assert_eq!(Tally::of_cargo_test(""), None);
    }

    #[test]
    fn a_journey_that_passes_at_its_second_try_has_passed_and_is_named() {
        let spec = |title: &str, status: &str| serde_json::json!({ "title": title, "file": "a.spec.ts", "tests": [{ "status": status }] });
        let report = serde_json::json!({
            "stats": { "expected": 20, "unexpected": 1, "flaky": 2, "skipped": 3 },
            "suites": [{
                "specs": [spec("comes", "expected"), spec("waits", "flaky")],
                "suites": [{ "specs": [spec("goes", "flaky"), spec("fails", "unexpected")] }],
            }],
        });
        assert_eq!(Tally::of_playwright(&report), Some(tally(22, 1, 3)));
        assert_eq!(second_tries(&report), ["a.spec.ts: waits", "a.spec.ts: goes"]);
    }
}
