//! The import rules of README.md: between packages from the manifests as cargo reads them, between rooms as `rooms` finds them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::tally::Tally;
use super::{rooms, tables};
use crate::process;

/// A package and the packages of this workspace that it may name; the second list in its tests only.
const ROOMS: [(&str, &[&str], &[&str]); 7] = [
    ("wire", &[], &[]),
    ("fleet", &["wire"], &[]),
    ("agent", &["wire"], &[]),
    ("app", &["fleet", "wire"], &[]),
    ("client", &["app"], &[]),
    ("server", &["app", "fleet", "wire"], &["agent"]),
    ("xtask", &[], &[]),
];

/// A library (with everything whose name begins with it and a `-` or `_`) and the only packages that may name it.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("sqlx", &["fleet"]),
    // app meets axum only through leptos_axum, under `ssr`.
    ("axum", &["server", "app"]),
    ("leptos_axum", &["server", "app"]),
    // server mounts the pages and renders none.
    ("leptos", &["app", "client", "server"]),
    ("rcgen", &["fleet", "agent", "server"]),
];

/// What the browser's half must not see: these are optional in `app`.
const OPTIONAL_IN_APP: [&str; 4] = ["fleet", "axum", "leptos_axum", "http"];

/// `wire` is plain data; nothing that waits may be anywhere below it.
const ASYNC: [&str; 8] = ["tokio", "futures", "futures-core", "async-trait", "hyper", "axum", "sqlx", "leptos"];

/// One crypto provider, one TLS stack.
const BANNED: [&str; 4] = ["ring", "openssl-sys", "native-tls", "openssl"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    optional: bool,
}

pub fn check() -> Result<Tally> {
    let metadata = process::capture(process::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut broken = broken_rules(&metadata.packages);
    for name in tree(&["--package", "wire", "--edges", "normal", "--all-features"])?.iter().filter(|name| ASYNC.contains(&name.as_str())) {
        broken.push(format!("wire reaches {name}: it must hold nothing async"));
    }
    for name in tree(&["--workspace", "--edges", "normal,build"])?.iter().filter(|name| BANNED.contains(&name.as_str())) {
        broken.push(format!("{name} is in the tree: aws-lc-rs is the one crypto provider (`cargo tree -i {name}` shows the way)"));
    }
    broken.extend(rooms::broken_rules()?);
    broken.extend(tables::broken_rules()?);
    for rule in &broken {
        println!("    {rule}");
    }
    if !broken.is_empty() {
        bail!("{} import rules are broken", broken.len());
    }
    Ok(Tally::default())
}

fn broken_rules(packages: &[Package]) -> Vec<String> {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|room| room.0).collect();
    let mut broken = Vec::new();
    for package in packages {
        let Some((_, always, in_tests)) = ROOMS.iter().find(|room| room.0 == package.name) else {
            broken.push(format!("{} has no line in xtask/src/test/imports.rs", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let test_only = dependency.kind.as_deref() == Some("dev");
            if rooms.contains(name) && !always.contains(&name) && !(test_only && in_tests.contains(&name)) {
                broken.push(format!("{} may not name {name}", package.name));
            }
            if let Some((library, allowed)) = owner_rule(name)
                && !allowed.contains(&package.name.as_str())
            {
                broken.push(format!("{} names {name}: only {} may name {library}", package.name, allowed.join(", ")));
            }
            if package.name == "app" && OPTIONAL_IN_APP.contains(&name) && !dependency.optional && !test_only {
                broken.push(format!("app must name {name} only under its feature `ssr`"));
            }
        }
    }
    broken
}

/// The most exact rule for a library.
fn owner_rule(name: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    let covers = |library: &str| name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']));
    LIBRARIES.iter().filter(|(library, _)| covers(library)).max_by_key(|(library, _)| library.len())
}

/// Names of all packages in a part of the tree, for this host.
fn tree(selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut cargo = process::cargo();
    cargo.args(["tree", "--quiet", "--prefix", "none", "--format", "{p}"]).args(selection);
    let listed = process::capture(&mut cargo)?;
    Ok(listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool, bool)]) -> Package {
        let dependencies = dependencies.iter().map(|&(name, optional, dev)| Dependency {
            name: name.to_owned(),
            kind: dev.then(|| "dev".to_owned()),
            optional,
        });
        Package { name: name.to_owned(), dependencies: dependencies.collect() }
    }

    #[test]
    fn the_house_as_designed_breaks_no_rule() {
        let house = [
            package("wire", &[("serde", false, false)]),
            package("fleet", &[("wire", false, false), ("sqlx", false, false)]),
            package("app", &[("wire", false, false), ("fleet", true, false), ("leptos_router", false, false), ("axum", true, false)]),
            package("server", &[("app", false, false), ("axum", false, false), ("agent", false, true)]),
        ];
        assert_eq!(broken_rules(&house), Vec::<String>::new());
    }

    #[test]
    fn each_forbidden_way_is_named() {
        let house = [
            package("wire", &[("fleet", false, false)]),
            package("server", &[("sqlx-core", false, false), ("agent", false, false)]),
            package("app", &[("axum", false, false)]),
            package("agent", &[("leptos", false, false)]),
            package("extension", &[]),
        ];
        let broken = broken_rules(&house).join("\n");
        for part in [
            "wire may not name fleet",
            "server names sqlx-core",
            "server may not name agent",
            "app must name axum only under",
            "agent names leptos",
            "extension has no line",
        ] {
            assert!(broken.contains(part), "{part} is missing in:\n{broken}");
        }
    }
}
