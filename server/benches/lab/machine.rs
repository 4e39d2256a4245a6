//! Processes under test: started, waited for, looked at through `/proc`, ended with the measurement.

use crate::heap;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::{
    env, fs,
    io::Write as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// Ten thousand connections are ten thousand descriptors; children inherit what is allowed here.
pub fn open_many_files() {
    let allowed = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed }).unwrap();
}

/// Where a profile of the server is written, when one is asked for: by Linux' own sampling profiler, from the first look at what the server has used.
const PROFILE: &str = "BENCH_PROFILE";

/// A server under test. Ended when dropped, with its workers.
pub struct Server {
    child: Child,
    /// What watches it from the first look on, if anything does.
    profiler: OnceLock<Option<Child>>,
}

/// What a server has used.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Processor time, its own and the system's for it, in seconds.
    pub cpu_s: f64,
    /// Memory of its own: neither files nor the kernel's share.
    pub bytes: f64,
}

impl Server {
    /// Starts it and waits until it accepts connections there.
    pub async fn start(command: &mut Command, at: SocketAddr) -> Self {
        let program = command.get_program().to_owned();
        // On which Fleetward is told what to do about its heap.
        let input = if heap::asked().is_some() { Stdio::piped() } else { Stdio::null() };
        let child = command.stdin(input).stdout(Stdio::null()).spawn().unwrap_or_else(|e| panic!("starting {}: {e}", program.display()));
        let mut server = Self { child, profiler: OnceLock::new() };
        let begun = Instant::now();
        while TcpStream::connect(at).await.is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "{} ended by itself", program.display());
            assert!(begun.elapsed() < Duration::from_secs(30), "{} does not listen on {at}", program.display());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    /// From here on its profile is taken, if one was asked for: what came before was preparation.
    pub fn watch(&self) {
        self.profiler.get_or_init(|| {
            let file = env::var_os(PROFILE)?;
            let mut perf = Command::new("perf");
            perf.args(["record", "--quiet", "--freq", "999", "--event", "cpu-clock", "--pid", &self.child.id().to_string(), "--output"]);
            let profiler = perf.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("starting perf");
            // Until it is there; nothing of such a run is judged.
            std::thread::sleep(Duration::from_millis(300));
            Some(profiler)
        });
    }

    /// From here on what it takes is noted, if its heap was asked for.
    pub async fn watch_heap(&self) {
        if self.say(heap::NOTE) {
            // Until it has heard.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Has it write what it holds since then, for so many; back when that is written.
    pub async fn write_heap(&self, holders: usize) {
        let Some(file) = heap::asked() else { return };
        self.say(&format!("{}{holders}", heap::WRITE));
        let begun = Instant::now();
        while !file.exists() {
            assert!(begun.elapsed() < Duration::from_mins(5), "Fleetward does not write its heap");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether it could be said.
    fn say(&self, words: &str) -> bool {
        let Some(mut input) = self.child.stdin.as_ref() else { return false };
        writeln!(input, "{words}").unwrap();
        true
    }

    /// What it and the processes it started have used up to now.
    pub fn used(&self) -> Used {
        self.watch();
        let mut used = Used { cpu_s: 0.0, bytes: 0.0 };
        for id in family(self.child.id()) {
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
            // The name may hold anything; what is of interest follows it (proc(5): utime and stime are 14 and 15).
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
            // A tick is a hundredth of a second for everybody who reads it here.
            used.cpu_s += ticks / 100.0;
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let kib = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"))
                .map_or(0.0, |kib| kib.trim().trim_end_matches("kB").trim().parse().unwrap());
            used.bytes += kib * 1024.0;
        }
        used
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut profiler) = self.profiler.take().flatten() {
            signal(profiler.id(), Signal::INT);
            let _ = profiler.wait();
        }
        // Asked first, because a master ends its workers itself; then made to.
        let all = family(self.child.id());
        signal(self.child.id(), Signal::TERM);
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for id in all {
            signal(id, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // One that has ended meanwhile is what was wanted.
        let _ = kill_process(id, signal);
    }
}

/// A process and its children, workers mostly.
fn family(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    std::iter::once(id).chain(children.split_whitespace().map(|child| child.parse().unwrap())).collect()
}

/// A port that nobody listens on.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
