//! What a person sees while a step runs: one line with the elapsed time, rewritten in place on a terminal, repeated
//! every half minute in a log.

use std::io::{IsTerminal, Write, stdout};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a log that is not a terminal hears that a step still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Runs `work` and shows how long it has been going on. `detail` is asked for a few words on what it does right now.
pub fn during<T>(label: &str, detail: impl Fn() -> String + Send, work: impl FnOnce() -> Result<T>) -> Result<T> {
    during_judged(label, detail, work, |_| true)
}

/// Like [`during`], for work that can end without an error and still not be `fine`.
pub fn during_judged<T>(
    label: &str,
    detail: impl Fn() -> String + Send,
    work: impl FnOnce() -> Result<T>,
    fine: impl Fn(&T) -> bool,
) -> Result<T> {
    let started = Instant::now();
    let result = thread::scope(|scope| {
        let (finished, wait) = channel::<()>();
        scope.spawn(move || {
            let terminal = stdout().is_terminal();
            let mut spoken = started;
            let pause = Duration::from_millis(200);
            while let Err(RecvTimeoutError::Timeout) = wait.recv_timeout(pause) {
                let line = format!("  … {label}  {}  {}", span(started.elapsed()), detail());
                if terminal {
                    print!("\r\x1b[K{}", line.chars().take(110).collect::<String>());
                    let _ = stdout().flush();
                } else if spoken.elapsed() >= HEARTBEAT {
                    spoken = Instant::now();
                    println!("{line}");
                }
            }
        });
        let result = work();
        drop(finished);
        result
    });
    let mark = if result.as_ref().is_ok_and(fine) { "✓" } else { "✗" };
    let erase = if stdout().is_terminal() { "\r\x1b[K" } else { "" };
    println!("{erase}  {mark} {label}  {}", span(started.elapsed()));
    result
}

/// Elapsed time for people: `840 ms`, `12.3 s`, `4 min 07 s`.
pub fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else if time < Duration::from_mins(1) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well_at_every_size() {
        assert_eq!(span(Duration::from_millis(840)), "840 ms");
        assert_eq!(span(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(span(Duration::from_secs(247)), "4 min 07 s");
    }
}
