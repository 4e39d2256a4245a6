//! The command line as a whole: what help shows, where flags may stand, how refusals read.

use super::*;

fn help(words: &[&str]) -> String {
    let asked = ["fleetward"].iter().chain(words).chain(&["--help"]);
    Cli::line().try_get_matches_from(asked).unwrap_err().to_string()
}

#[test]
fn what_needs_no_server_takes_no_flags_of_it() {
    Cli::line().debug_assert();
    for words in [&["sign"][..], &["key", "generate"], &["key", "set", "make"], &["release", "sign"]] {
        let text = help(words);
        assert!(text.contains("--out") && !text.contains("--operator-addr"), "{text}");
    }
    for words in [
        &["user", "add"][..],
        &["key", "add"],
        &["key", "set", "publish"],
        &["release", "add-signature"],
        &["device", "suspend"],
        &["rollout", "apply"],
        &["audit", "verify"],
    ] {
        let text = help(words);
        assert!(text.contains("\nConfiguration:\n") && text.contains("--data") && text.contains("--key-file"), "{text}");
        assert!(!text.contains("--operator-addr"), "{text}");
    }
    for words in [["serve"], ["check"], ["config"]] {
        assert!(help(&words).contains("--operator-addr"), "{words:?}");
    }
    let add = help(&["key", "add"]);
    assert!(add.find("      --public") < add.find("\nConfiguration:"), "{add}");
    assert!(help(&["user"]).starts_with("People who can sign in"));
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for words in [&["--data", "a", "user", "password"][..], &["user", "--data", "a", "password"], &["user", "password", "--data", "a"]]
    {
        let all = ["fleetward"].iter().chain(words).chain(&["--email", "e", "--password-file", "f"]);
        let cli = Cli::from_arg_matches(&Cli::line().get_matches_from(all)).unwrap();
        let Command::User { flags, .. } = &cli.command else { panic!("{cli:?}") };
        assert_eq!(Config::load(&cli.flags, flags).unwrap().data, std::path::PathBuf::from("a"), "{words:?}");
    }
}

#[test]
fn a_wrong_role_is_answered_with_the_right_ones() {
    let words = ["fleetward", "token", "create", "--email", "e", "--name", "n", "--role", "god"];
    let says = Cli::line().try_get_matches_from(words).unwrap_err().to_string();
    assert!(says.contains("viewer, operator, admin"), "{says}");
}
