//! The command line when nobody reads what it prints any more, as behind `| head`.

use std::process::{Command, Stdio};

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetward"));
    command.args(["config", "--data", "data"]).current_dir(folder.path()).stdout(writer).stderr(Stdio::piped());
    let out = command.output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(141), ""));

    let read =
        Command::new(env!("CARGO_BIN_EXE_fleetward")).args(["config", "--data", "data"]).current_dir(folder.path()).output().unwrap();
    assert!(read.status.success() && String::from_utf8_lossy(&read.stdout).contains("data = "), "{read:?}");
}
