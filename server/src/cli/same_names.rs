//! What the command line calls things, held against the REST API: the same words for the same fields, for everything that both do. A field that comes to one
//! of them and not to the other fails here; so does an operation that nobody has said anything of.

use super::Cli;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An operation, the command that does the same, and the fields that it has another way to say, with that way.
type Pair = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The page of a list: the command line reads them all.
const PAGES: [&str; 2] = ["cursor", "rows"];
/// A bulk call's count of what it means, against which it is checked: the command counts and asks for `--yes`.
const COUNTED: &[(&str, &str)] = &[("expected", "counted by the command"), ("devices", "a selector alone")];

const PAIRS: &[Pair] = &[
    ("stage_authority", "ca stage", &[]),
    ("activate_authority", "ca activate", &[]),
    ("retire_authority", "ca retire", &[]),
    ("recover_devices", "ca recover-devices", &[]),
    ("set_authority_approvals", "ca approvals", &[("on", "the word on or off")]),
    ("set_server_keys", "ca server-keys", &[("on", "the word on or off")]),
    ("approve_authority_request", "ca approve", &[]),
    ("reject_authority_request", "ca reject", &[]),
    ("import_authority", "ca import", &[("certificates", "a file")]),
    ("import_list", "ca crl import", &[("list", "--file")]),
    ("create_authority_csr", "ca csr", &[]),
    ("register_authority", "ca register", &[]),
    ("verify_authority", "ca verify", &[]),
    ("enable_authority", "ca enable", &[]),
    ("set_registered_list_address", "ca list-address", &[]),
    ("list_certificates", "cert list", &[]),
    ("revoke_certificate", "cert revoke", &[]),
    ("set_certificate_rules", "cert rules", &[]),
    ("set_certificate_profile", "cert profile set", &[]),
    ("block_key", "cert blocked-key add", &[]),
    ("unblock_key", "cert blocked-key remove", &[]),
    ("create_enrolment_token", "enrolment-token create", &[]),
    ("set_enrolment_settings", "enrolment-settings", &[]),
    ("create_claim", "claim create", &[]),
    ("create_enrolment_batch", "device send-batch", &[]),
    ("create_enrolment_batch_with_keys", "device send-batch", &[]),
    ("list_enrolment_batch_lines", "device batch-lines", &[]),
    ("revoke_enrolment_batch", "device revoke-batch", &[]),
    ("list_devices", "device list", &[("sort", "a table for other programs, by the id")]),
    ("export_devices", "device list", &[]),
    ("import_devices", "device import", &[]),
    ("tag_devices", "device tag", COUNTED),
    ("change_devices", "device suspend-all", &[("expected", "counted"), ("devices", "a selector alone"), ("step", "the command")]),
    ("renew_devices", "device renew", &[("expected", "counted by the command")]),
    ("preview_renew_devices", "device renew", &[("expected", "counted by the command")]),
    ("confirm_device_update", "device confirm", &[]),
    ("pin_device", "device pin", &[]),
    ("cancel_device_update", "rollout cancel-device", &[("update", "the one that is under way")]),
    ("create_target_token", "target-token create", &[]),
    ("create_gateway_token", "gateway-token create", &[]),
    ("set_shared_secret_settings", "shared-secret-settings", &[]),
    ("create_group", "group create", &[]),
    ("group_devices", "group add", &[("expected", "counted"), ("out", "group remove")]),
    ("list_releases", "release list", &[]),
    ("recall_release", "release recall", &[]),
    ("add_signing_key", "key add", &[]),
    ("set_signing_policy", "key threshold", &[]),
    ("add_image_key", "image-key add", &[("key", "--file")]),
    ("set_transfer_limits", "transfer-limits", &[]),
    ("list_rollouts", "rollout list", &[("name", "rollout show takes it")]),
    ("list_rollout_updates", "rollout devices", &[]),
    ("list_rollout_preview_devices", "rollout preview-devices", &[]),
    ("act_on_rollout", "rollout approve", &[("stage", "of promote and resume"), ("classes", "of retry")]),
    ("act_on_rollout", "rollout retry", &[("stage", "of promote and resume"), ("digest", "of approve"), ("remark", "of approve")]),
    ("act_on_rollout", "rollout promote", &[("classes", "of retry"), ("digest", "of approve"), ("remark", "of approve")]),
    ("create_freeze", "freeze create", &[]),
    ("end_freeze", "freeze end", &[]),
    ("set_approval_rule", "approval rule", &[]),
    ("set_approval_terms", "approval terms", &[("break_glass_from", "read only")]),
    ("create_approver_group", "approval group", &[]),
    ("set_approvers", "approval group", &[]),
    ("review_broken_glass", "approval review", &[("accept", "the last word"), ("stop", "the last word")]),
    ("list_audit", "audit list", &[]),
    ("export_audit", "audit export", &[]),
];

/// Operations with fields that have no command of the same shape, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("ask_authority_request", "the command that is asked for asks"),
    ("list_approvals", "approval inbox shows what waits for anybody: a shell is nobody"),
    ("change_device", "a command for each step"),
    ("set_device_tags", "device tag, by a selector"),
    ("get_device_history", "charts"),
    ("save_device_view", "of the console"),
    ("rename_group", "group rename OLD NEW"),
    ("publish_key_set", "the file that key set make wrote"),
    ("create_release", "release upload"),
    ("begin_upload", "release upload"),
    ("append_upload", "release upload"),
    ("sign_release", "the file that release sign wrote"),
    ("draft_rollout", "rollout apply, of a file"),
    ("edit_rollout", "rollout apply, of a file"),
    ("preview_rollout", "rollout preview, of a file"),
    ("list_preview_devices", "rollout preview-devices, of one that is kept"),
    ("set_rollout_approvals", "approval rule"),
];

#[test]
fn the_command_line_and_rest_call_things_the_same() {
    let operations = operations();
    let (line, mut wrong) = (Cli::line(), Vec::new());
    for (operation, command, otherwise) in PAIRS {
        let Some(fields) = operations.get(*operation) else {
            wrong.push(format!("there is no operation {operation}"));
            continue;
        };
        let words = words(&line, command);
        // Of several each is given by itself.
        let one_of = |field: &str, ending| field.strip_suffix(ending).is_some_and(|one| words.contains(one));
        let named = |field: &str| words.contains(field) || one_of(field, "s") || one_of(field, "es");
        for field in fields.iter().filter(|field| !PAGES.contains(&field.as_str())) {
            match (named(field), otherwise.iter().any(|(name, _)| name == field)) {
                (false, false) => wrong.push(format!("{command} has no {field}, which {operation} has")),
                (true, true) => wrong.push(format!("{command} has {field}: it is no exception")),
                _ => {}
            }
        }
        let stale = otherwise.iter().filter(|(name, _)| !fields.contains(*name));
        wrong.extend(stale.map(|(name, _)| format!("{operation} has no {name}: it is no exception")));
    }
    let told: BTreeSet<&str> =
        PAIRS.iter().map(|(operation, ..)| *operation).chain(OTHERWISE.iter().map(|(operation, _)| *operation)).collect();
    let has_fields = |fields: &BTreeSet<String>| fields.iter().any(|field| !PAGES.contains(&field.as_str()));
    let untold = operations.iter().filter(|(operation, fields)| has_fields(fields) && !told.contains(operation.as_str()));
    wrong.extend(untold.map(|(operation, fields)| format!("{operation} has no command: {fields:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a command's flags and words are called, also those names that its help shows beside the first.
fn words(line: &clap::Command, path: &str) -> BTreeSet<String> {
    let command =
        path.split(' ').fold(line, |command, word| command.find_subcommand(word).unwrap_or_else(|| panic!("there is no command {path}")));
    let names = command.get_arguments().flat_map(|arg| {
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        let own = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
        aliases.into_iter().chain([own]).map(|name| name.replace('-', "_")).collect::<Vec<_>>()
    });
    names.collect()
}

/// The fields of every operation, of its query and its body.
fn operations() -> BTreeMap<String, BTreeSet<String>> {
    let contract = crate::http::api::contract();
    let paths = contract["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let taken = paths.filter_map(|operation| {
        let id = operation["operationId"].as_str()?.to_owned();
        let mut fields = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            fields.insert(parameter["name"].as_str()?.to_owned());
        }
        for body in operation["requestBody"]["content"].as_object().into_iter().flat_map(|bodies| bodies.values()) {
            gather(&contract, &body["schema"], &mut fields);
        }
        Some((id, fields))
    });
    taken.collect()
}

/// The properties of a schema, wherever they are said.
fn gather(contract: &Value, schema: &Value, fields: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        gather(contract, &contract["components"]["schemas"][name], fields);
    }
    for part in ["oneOf", "allOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten() {
        gather(contract, part, fields);
    }
    fields.extend(schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned()));
}
