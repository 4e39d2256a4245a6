//! What Fleetward's heap holds, for a memory goal that was missed: this program's allocator, which notes who asked for each block while it is told
//! to, and Fleetward run in this process, so that the blocks are its own. Refuses to know whose a block is: it writes down whole stacks.

#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands everything on to the allocator that Fleetward has")]

use mimalloc::MiMalloc;
use serde_json::json;
use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    collections::{BTreeMap, HashMap},
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where the heap is to be written, to the process that measures.
const ASKED: &str = "BENCH_HEAP";
/// The same, to the process that is Fleetward then.
const HERE: &str = "BENCH_HEAP_HERE";

/// What is said to that process: to note from here on; to write what is held since then, with how many hold it.
pub const NOTE: &str = "note";
pub const WRITE: &str = "write ";

/// Calls that are noted of each stack, the innermost. Some of them are the allocator's own.
const CALLS: usize = 32;

/// Where calls return to; nought behind the outermost.
type Stack = [usize; CALLS];

/// A block that is held.
struct Held {
    bytes: usize,
    stack: Stack,
}

/// Whether blocks are noted: off, it is all that this costs.
static ON: AtomicBool = AtomicBool::new(false);

/// Blocks by their address, in parts, so that threads seldom wait for each other.
static BLOCKS: [Mutex<BTreeMap<usize, Held>>; 64] = [const { Mutex::new(BTreeMap::new()) }; 64];

thread_local! {
    /// Whether this thread is noting something: what it takes to do so is not noted.
    static NOTING: Cell<bool> = const { Cell::new(false) };
}

/// mimalloc, as in Fleetward, and notes of what it gave.
pub struct Noting;

// SAFETY: every block is mimalloc's and goes back to it as it was asked for; what is noted of it touches nothing but its address.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the trait's contract, which is mimalloc's too.
        let block = unsafe { MiMalloc.alloc(layout) };
        if ON.load(Ordering::Relaxed) {
            note(block, layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { MiMalloc.alloc_zeroed(layout) };
        if ON.load(Ordering::Relaxed) {
            note(block, layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // First, because afterwards the address may be another's.
        if ON.load(Ordering::Relaxed) {
            forget(block);
        }
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let on = ON.load(Ordering::Relaxed);
        if on {
            forget(block);
        }
        // SAFETY: as above.
        let moved = unsafe { MiMalloc.realloc(block, layout, size) };
        if on {
            note(moved, size);
        }
        moved
    }
}

fn note(block: *mut u8, bytes: usize) {
    if block.is_null() {
        return;
    }
    unless_noting(|| {
        let mut stack: Stack = [0; CALLS];
        let mut depth = 0;
        backtrace::trace(|call| {
            stack[depth] = call.ip().addr();
            depth += 1;
            depth < CALLS
        });
        part(block.addr()).insert(block.addr(), Held { bytes, stack });
    });
}

fn forget(block: *mut u8) {
    unless_noting(|| {
        part(block.addr()).remove(&block.addr());
    });
}

fn unless_noting(act: impl FnOnce()) {
    if !NOTING.replace(true) {
        act();
        NOTING.set(false);
    }
}

fn part(address: usize) -> MutexGuard<'static, BTreeMap<usize, Held>> {
    locked(&BLOCKS[address / 4096 % BLOCKS.len()])
}

/// A thread that panicked in here has not left anything half done.
fn locked(part: &'static Mutex<BTreeMap<usize, Held>>) -> MutexGuard<'static, BTreeMap<usize, Held>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the heap of Fleetward is written, if it was asked for.
pub fn asked() -> Option<PathBuf> {
    env::var_os(ASKED).map(PathBuf::from)
}

/// The same, in the process that is Fleetward.
pub fn here() -> Option<PathBuf> {
    env::var_os(HERE).map(PathBuf::from)
}

/// Fleetward to be started: its binary, or this program when its heap was asked for.
pub fn fleetward() -> Command {
    let Some(file) = asked() else { return Command::new(env!("CARGO_BIN_EXE_fleetward")) };
    let mut fleetward = Command::new(env::current_exe().unwrap());
    fleetward.env_remove(ASKED).env(HERE, file);
    fleetward
}

/// Is Fleetward, started with its own words, and does beside it what is said on the standard input.
pub fn serve(file: PathBuf) {
    std::thread::spawn(move || {
        for said in io::stdin().lines().map_while(Result::ok) {
            if let Some(holders) = said.strip_prefix(WRITE) {
                write(&file, holders.parse().unwrap());
            } else if said == NOTE {
                ON.store(true, Ordering::Relaxed);
            }
        }
    });
    if let Err(error) = server::cli::Cli::read().run() {
        panic!("{error:#}");
    }
}

/// Writes how many hold what was taken and not given back, and its bytes by stack, names of functions from the innermost. The file is there when it
/// is whole.
fn write(file: &Path, holders: usize) {
    ON.store(false, Ordering::Relaxed);
    let mut bytes: HashMap<Stack, usize> = HashMap::new();
    for part in &BLOCKS {
        for held in locked(part).values() {
            *bytes.entry(held.stack).or_default() += held.bytes;
        }
    }
    let mut names: HashMap<usize, Vec<String>> = HashMap::new();
    let mut stacks = Vec::new();
    for (stack, bytes) in bytes {
        let mut calls: Vec<String> = Vec::new();
        for at in stack.into_iter().take_while(|at| *at != 0) {
            calls.extend_from_slice(names.entry(at).or_insert_with(|| functions(at)));
        }
        stacks.push(json!({ "bytes": bytes, "calls": calls }));
    }
    let unfinished = file.with_extension("part");
    fs::write(&unfinished, json!({ "holders": holders, "stacks": stacks }).to_string()).unwrap();
    fs::rename(unfinished, file).unwrap();
}

/// The function that a call returns to. More than one, the innermost first, where the build tells what was inlined.
fn functions(at: usize) -> Vec<String> {
    let mut names = Vec::new();
    backtrace::resolve(ptr::without_provenance_mut(at), |symbol| {
        // Without the hash of legacy names.
        names.extend(symbol.name().map(|name| format!("{name:#}")));
    });
    names
}
