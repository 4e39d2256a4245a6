//! The one way to standard output. `println!` and `print!` of the standard library end a program with a panic when nobody reads any more, as behind
//! `| head`; in the command line they are these, which end it quietly.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write as _},
    process,
};

/// What a shell says of a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// As the standard library's, by [`write`].
macro_rules! println {
    ($($said:tt)+) => {
        $crate::cli::printing::write(format_args!("{}\n", format_args!($($said)+)))
    };
}

/// As the standard library's, by [`write`].
macro_rules! print {
    ($($said:tt)+) => {
        $crate::cli::printing::write(format_args!($($said)+))
    };
}

/// Prints for whoever runs a command. When nobody reads any more the process ends: what it has written to the fleet is committed by then.
pub(super) fn write(said: Arguments<'_>) {
    match std::io::stdout().write_fmt(said) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => process::exit(CLOSED_PIPE),
        Err(e) => {
            eprintln!("fleetward: writing to standard output: {e}");
            process::exit(1)
        }
    }
}
