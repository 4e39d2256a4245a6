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
        &["device", "suspend-all"],
        &["rollout", "apply"],
        &["rollout", "pause"],
        &["release", "upload"],
        &["release", "recall"],
        &["release", "artifact"],
        &["freeze", "create"],
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
    for words in [&["--data", "a", "user", "password"][..], &["user", "--data", "a", "password"], &["user", "password", "--data", "a"]] {
        let all = ["fleetward"].iter().chain(words).chain(&["--email", "e", "--password-file", "f"]);
        let cli = Cli::from_arg_matches(&Cli::line().get_matches_from(all)).unwrap();
        let Command::User { flags, .. } = &cli.command else { panic!("{cli:?}") };
        assert_eq!(Config::load(&cli.flags, flags).unwrap().data, std::path::PathBuf::from("a"), "{words:?}");
    }
}

/// A switch without a value must not take the command's word for one.
#[test]
fn a_switch_before_the_command_takes_its_value_behind_an_equals_sign_alone() {
    let serve = |words: &[&str]| {
        let all = [&["fleetward"][..], words].concat();
        let cli = Cli::from_arg_matches(&Cli::line().try_get_matches_from(&all)?)?;
        let Command::Serve(flags) = &cli.command else { panic!("{cli:?}") };
        Ok::<_, clap::Error>(Config::load(&cli.flags, flags).unwrap().allow_server_keygen)
    };
    assert!(serve(&["--data", "d", "--allow-server-keygen", "serve"]).unwrap());
    assert!(serve(&["serve", "--allow-server-keygen"]).unwrap());
    assert!(serve(&["--allow-server-keygen=true", "serve"]).unwrap());
    assert!(!serve(&["serve", "--allow-server-keygen=false"]).unwrap());
    assert!(serve(&["serve", "--allow-server-keygen", "false"]).is_err());
}

#[test]
fn help_says_what_a_command_beside_a_server_takes_from_it() {
    let said = Cli::line().try_get_matches_from(["fleetward", "--help"]).unwrap_err().to_string();
    assert!(said.contains("that the server was last started with"), "{said}");
}

#[test]
fn what_concerns_every_organization_acts_in_none() {
    for words in [&["organization", "list"][..], &["kek", "rotate", "--to", "k"], &["migrate"], &["check"], &["serve"]] {
        let (named, flag) = (&["fleetward"][..], &["--organization", "acme"][..]);
        for all in [[named, flag, words].concat(), [named, words, flag].concat()] {
            let refused = Cli::from_arg_matches(&Cli::line().get_matches_from(&all)).unwrap().run().unwrap_err().to_string();
            assert!(refused.contains(words[0]) && refused.contains("leave --organization acme out"), "{all:?}: {refused}");
        }
    }
    assert!(help(&["user", "add"]).contains("--organization <SLUG>") && !help(&["serve"]).contains("--organization"));
}

#[test]
fn a_wrong_role_is_answered_with_the_right_ones() {
    let words = ["fleetward", "token", "create", "--email", "e", "--name", "n", "--role", "god"];
    let says = Cli::line().try_get_matches_from(words).unwrap_err().to_string();
    assert!(says.contains("viewer, operator, admin"), "{says}");
}

/// Whoever reads help learns what each command and each flag is for.
#[test]
fn nothing_in_help_is_without_words() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path} says nothing");
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
            assert!(flag.get_help().is_some(), "{path}: {} says nothing", flag.get_id());
        }
        command.get_subcommands().for_each(|below| walk(below, &path));
    }
    walk(&Cli::line(), "");
}

/// The words of the REST API are those of the command line.
#[test]
fn what_the_api_has_is_here_under_its_name() {
    for (words, says) in [
        (&["enrolment-request"][..], &["list", "approve", "reject"][..]),
        (&["enrolment-token"], &["create", "list", "revoke"]),
        (&["enrolment-settings"], &["--open", "--profile"]),
        (&["claim"], &["create", "list", "disable", "devices"]),
        (&["claim", "create"], &["--trusted-user", "--max-uses", "--per-minute", "--hours", "--csr", "--profile"]),
        (&["cert"], &["pem", "der", "revoke"]),
        (&["cert", "list"], &["--authority", "--week", "--within", "--state", "--sort"]),
        (&["device"], &["show", "updates", "log", "connections", "why", "confirm", "pin", "unpin"]),
        (&["device", "log"], &["<DEVICE>", "--update"]),
        (&["device", "connections"], &["<DEVICE>", "--csv"]),
        (&["device", "import"], &["<FILE>", "--preview", "--update"]),
        (&["device"], &["send-batch", "batches", "batch-lines", "batch-result", "cancel-batch", "revoke-batch"]),
        (&["ca"], &["approvals", "server-keys", "requests", "approve", "reject", "withdraw", "trust-bundle"]),
        (&["cert", "rules"], &["--clones", "--rekey", "--recovery", "--recovery-days"]),
        (&["ca", "stage"], &["--kind"]),
        (&["ca", "show"], &["<ID|NAME>", "--pem"]),
        (&["ca", "activate"], &["<ID|NAME>", "--force"]),
        (&["ca", "retire"], &["<ID|NAME>", "--force", "--yes"]),
        (&["ca", "compromise"], &["<ID|NAME>", "--yes"]),
        (&["ca", "clear-alarm"], &["<ID|NAME>"]),
        (&["ca", "thaw-tokens"], &["<ID|NAME>"]),
        (&["ca", "recover-devices"], &["<ID|NAME>", "--how", "--days"]),
        (&["ca", "csr"], &["--kind", "--own-root", "--fresh"]),
        (&["ca", "list-address"], &["<ID|NAME>", "[URL]", "--none"]),
        (&["ca", "fetch-list"], &["<ID|NAME>"]),
        (&["assignment-key"], &["list", "make", "retire"]),
        (&["image-key"], &["list", "add", "remove"]),
        (&["image-key", "add"], &["--name", "--file"]),
        (&["audit", "verify"], &["--file", "--heads"]),
        (&["key"], &["add", "list", "revoke", "threshold"]),
        (&["key", "set"], &["make", "sign", "list", "publish"]),
        (&["organization"], &["create", "list", "show", "set-up-code"]),
        (&["token"], &["create", "list", "revoke"]),
        (&["clock"], &["clock"]),
        (
            &["rollout"],
            &[
                "submit",
                "approve",
                "reject",
                "start",
                "pause",
                "resume",
                "promote",
                "stop",
                "retry",
                "roll-back",
                "cancel-device",
                "report",
                "preview",
                "list",
                "show",
                "devices",
                "updates",
                "preview-devices",
            ],
        ),
        (&["rollout", "show"], &["<ID|NAME>"]),
        (&["rollout", "devices"], &["<ID|NAME>", "--stage", "--show", "--outcome", "--select", "--sort"]),
        (&["rollout", "approve"], &["--digest", "--reason", "--token-file"]),
        (&["rollout", "start"], &["--reason", "--token-file"]),
        (&["rollout", "report"], &["<ID|NAME>"]),
        (&["rollout", "promote"], &["<ID|NAME>", "--reason", "--token-file"]),
        (&["rollout", "retry"], &["--class", "--reason", "--token-file"]),
        (&["rollout", "cancel-device"], &["<ID|NAME>", "<DEVICE>", "--reason", "--token-file"]),
        (
            &["release"],
            &[
                "upload",
                "list",
                "show",
                "manifest",
                "artifact",
                "recheck",
                "publish",
                "deprecate",
                "recall",
                "delete",
                "remove",
                "deltas",
                "diff",
                "installs",
                "sign",
                "add-signature",
            ],
        ),
        (&["release", "show"], &["<ID|VERSION>", "--type"]),
        (&["release", "artifact"], &["<ID|VERSION>", "--file", "--out"]),
        (&["release", "delete"], &["<RELEASE>", "--yes"]),
        (&["freeze"], &["list", "create", "end"]),
        (&["transfer-limits"], &["--bandwidth", "--site-attribute", "--site-bandwidth", "--data-budget-mb"]),
        (&["shared-secret-settings"], &["--tokens", "--newcomers"]),
        (&["target-token"], &["create", "revoke"]),
        (&["gateway-token"], &["create", "list", "revoke"]),
    ] {
        let text = help(words);
        assert!(says.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    }
}

#[test]
fn a_refusal_says_the_rule_and_a_failure_its_cause() {
    let refused = in_words(fleet::devices::Error::NoServerKeys.into());
    assert!(refused.to_string().contains("allow_server_keygen"), "{refused}");
    let behind = anyhow::Error::from(fleet::devices::Error::BadToken).context("nothing was changed");
    let said = format!("{:#}", in_words(behind));
    assert!(said.starts_with("nothing was changed: The enrolment token is unknown"), "{said}");
    let failed = in_words(fleet::Error::Db(fleet::db::Error::Corrupt("row 7".into())).into()).to_string();
    assert!(failed.contains("row 7"), "{failed}");
    // Whoever runs this is the one who can bring the token back.
    let away = || fleet::pki::Error::KeyOnToken { authority: "CN=Device CA".into(), id: format!("ca_{:032x}", 7).parse().unwrap() };
    let within = || fleet::devices::Error::Pki(away());
    for error in [away().into(), fleet::Error::Pki(away()).into(), within().into(), fleet::Error::Devices(within()).into()] {
        let said = in_words(error).to_string();
        assert!(said.contains("CN=Device CA") && said.contains("give pkcs11_module"), "{said}");
    }
}

/// What a flag was called before it had the API's name is still taken, and not told.
#[test]
fn an_authority_is_asked_for_by_its_kind() {
    for words in [&["ca", "stage"][..], &["ca", "csr", "--out", "ca.csr"]] {
        for flag in ["--kind", "--for"] {
            let all = [&["fleetward"][..], words, &[flag, "device"]].concat();
            Cli::line().try_get_matches_from(&all).unwrap();
        }
    }
    for words in [["ca", "stage"], ["ca", "csr"]] {
        assert!(!help(&words).contains("--for"), "{words:?}");
    }
}

/// What four eyes have to see is never done by a command line without a name.
#[test]
fn decisions_ask_for_a_person() {
    let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
    for verb in ["submit", "approve", "reject", "start"] {
        let refused = Cli::line().try_get_matches_from(["fleetward", "rollout", verb, id]).unwrap_err().to_string();
        assert!(refused.contains("--token-file"), "{verb}: {refused}");
    }
}

#[test]
fn whom_a_retry_is_of_is_said_by_the_words_there_are() {
    let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
    let given = |classes: &[&'static str]| {
        let line = ["fleetward", "rollout", "retry", id].into_iter().chain(classes.iter().flat_map(|class| ["--class", *class]));
        Cli::line().try_get_matches_from(line)
    };
    assert!(given(&[]).is_ok() && given(&["failed", "timed_out"]).is_ok());
    let refused = given(&["lost"]).unwrap_err().to_string();
    assert!(refused.contains("failed, timed_out, reverted, rejected, cancelled"), "{refused}");
}

#[test]
fn a_key_to_block_is_named_one_way_and_both_are_told() {
    let given = |words: &[&str]| {
        let all = [&["fleetward", "cert", "blocked-key", "add", "--reason", "found"][..], words].concat();
        Cli::line().try_get_matches_from(all).map_err(|e| e.to_string())
    };
    for one in [["--spki-sha256", "00"], ["--public-key", "key.pem"], ["--spki", "00"], ["--public", "key.pem"]] {
        assert!(given(&one).is_ok(), "{one:?}");
    }
    let none = given(&[]).unwrap_err();
    assert!(none.contains("--spki-sha256 <SHA256>") && none.contains("--public-key <FILE>"), "{none}");
    assert!(given(&["--spki-sha256", "00", "--public-key", "key.pem"]).unwrap_err().contains("cannot be used with"));
}
