//! `fleetward organization`: more than one organization in one installation, each with devices, releases, people and authorities of its own. Refuses to
//! know what an organization is made with.

use super::table;
use anyhow::Result;
use clap::Subcommand;
use fleet::{
    Fleet,
    access::{Actor, Organization as Row, SetUpCode},
};
use std::fmt::Write as _;
use wire::{Timestamp, devices::DeviceQuery, ids::OrgSlug};

#[derive(Debug, Subcommand)]
pub(super) enum Organization {
    /// Make an organization, with authorities and keys of its own, and print the one-time code for its first admin; a server that runs serves it at once
    Create {
        /// Its name in addresses and certificates, for ever: small letters, digits and hyphens
        slug: OrgSlug,
        /// What people call it
        #[arg(long)]
        name: String,
    },
    /// List the organizations, the first one in front
    List,
    /// Show an organization: who and what is in it, and what devices have to know of it
    Show {
        /// Its slug
        slug: String,
    },
    /// Print another one-time code for an organization that nobody is in yet; the one before is over
    SetUpCode {
        /// Its slug
        slug: String,
    },
}

pub(super) async fn run(fleet: &Fleet, command: Organization) -> Result<String> {
    let (actor, access) = (Actor::shell(fleet.default_org().clone()), fleet.access());
    Ok(match command {
        Organization::Create { slug, name } => {
            let made = Box::pin(fleet.create_organization(&actor, &slug, &name)).await?;
            format!("{} is there, as {slug}.\n{}", made.id, waiting(&made.code))
        }
        Organization::List => {
            let now = fleet.clock().now();
            let rows: Vec<Vec<String>> = access.organizations(&actor).await?.iter().map(|one| line(one, now)).collect();
            table(&["SLUG", "SINCE", "PEOPLE", "NAME"], &rows)
        }
        Organization::Show { slug } => {
            let id = access.organization(&slug).await?;
            let all = access.organizations(&actor).await?;
            let found = all.into_iter().find(|one| one.id == id).ok_or(fleet::access::Error::NotFound("organization"))?;
            Box::pin(described(fleet, &found)).await?
        }
        Organization::SetUpCode { slug } => waiting(&access.renew_code(&actor, &slug).await?),
    })
}

/// What the first admin has to be told.
fn waiting(given: &SetUpCode) -> String {
    format!(
        "Its first admin opens /set-up in the console and enters this set-up code, once, until {}:\n{}\n",
        given.until.readable(),
        given.code
    )
}

fn line(one: &Row, now: Timestamp) -> Vec<String> {
    vec![one.slug.clone(), one.created_at.rfc3339(), people(one, now), one.name.clone()]
}

/// How many can sign in, or whether the first is waited for.
fn people(one: &Row, now: Timestamp) -> String {
    match one.set_up_until {
        Some(until) if now < until => "set-up code given".to_owned(),
        Some(_) => "set-up code over".to_owned(),
        None => one.people.to_string(),
    }
}

async fn described(fleet: &Fleet, one: &Row) -> Result<String> {
    let shell = Actor::shell(one.id.clone());
    let devices = fleet.devices().list(&shell, &DeviceQuery { rows: Some(1), ..DeviceQuery::default() }).await?.total;
    let enrol = fleet.devices().enrol_url();
    let mut out = format!("{}  {}\n", one.slug, one.name);
    let rows = [
        ("id", one.id.to_string()),
        ("since", one.created_at.readable()),
        ("people", people(one, fleet.clock().now())),
        ("devices", devices.to_string()),
        ("EST", format!("{enrol}/.well-known/est/{}", one.slug)),
        ("hawkBit tenant", one.slug.clone()),
        ("root to pin", fleet.pki().root_fingerprint()),
    ];
    for (what, is) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(out, "  {what:<15} {is}");
    }
    for authority in fleet.pki().list_authorities(&shell)? {
        let (state, until) = (authority.state.as_str(), authority.not_after.readable());
        let _ = writeln!(out, "  {:<15} {}  {state}, until {until}", "authority", authority.subject);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn an_organization_is_made_listed_and_shown_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        w.admin().await;
        let say = async |command| run(&w.fleet, command).await.map_err(|e| super::super::in_words(e).to_string());
        let create = |slug: &str| Organization::Create { slug: slug.parse().unwrap(), name: "Acme GmbH".into() };
        let made = say(create("acme")).await.unwrap();
        assert!(made.starts_with("org_") && made.contains(" is there, as acme.\n") && made.contains("/set-up"), "{made}");
        let code = made.lines().last().unwrap().to_owned();
        for (slug, why) in [("acme", "this slug already"), ("default", "this slug already"), ("cacerts", "operation of this name")] {
            let refused = say(create(slug)).await.unwrap_err();
            assert!(refused.contains(why), "{slug}: {refused}");
        }
        let list = say(Organization::List).await.unwrap();
        let rows: Vec<&str> = list.lines().collect();
        assert!(rows.len() == 3 && rows[1].starts_with("default ") && rows[2].starts_with("acme "), "{list}");
        assert!(rows[2].contains("set-up code given") && rows[2].ends_with("Acme GmbH"), "{list}");

        // The code that was lost is over with the next one, and the next one with the first admin.
        let again = say(Organization::SetUpCode { slug: "acme".into() }).await.unwrap();
        let next = again.lines().last().unwrap().to_owned();
        let access = w.fleet.access();
        let set_up = async |code: &str| access.set_up(code, "eve@acme.example", "Eve", "a long enough password", "192.0.2.9").await;
        assert!(set_up(&code).await.is_err());
        set_up(&next).await.unwrap();
        assert!(say(Organization::SetUpCode { slug: "acme".into() }).await.unwrap_err().contains("Somebody is in this organization"));
        let shown = say(Organization::Show { slug: "acme".into() }).await.unwrap();
        assert!(shown.starts_with("acme  Acme GmbH\n") && shown.contains("/.well-known/est/acme\n"), "{shown}");
        assert!(shown.contains("people          1\n") && shown.contains("O=acme, CN=Fleetward Device CA G1-1  active"), "{shown}");
        assert!(say(Organization::Show { slug: "nobody".into() }).await.unwrap_err().contains("no such organization"));

        // What is asked for within it is its own.
        let within = w.fleet.within("acme").await.unwrap();
        assert!(w.fleet.within("nobody").await.is_err());
        let people = within.access().people_page(&Actor::shell(within.default_org().clone())).await.unwrap().users;
        assert_eq!(people.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(), ["eve@acme.example"]);
    }
}
