//! `fleetward user` and `fleetward token`: for the first start, for scripts that set a server up, and for a forgotten password.

use super::table;
use crate::config;
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{Timestamp, access::ApiToken, ids::ApiTokenId, states::Role};

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a person
    Add {
        /// Address to sign in with
        #[arg(long)]
        email: String,
        /// Name shown to others
        #[arg(long)]
        name: String,
        /// viewer, operator or admin
        #[arg(long, value_parser = role)]
        role: Role,
        /// File with the password, at least 12 characters
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// Set a person's password and end all their sessions
    Password {
        /// Address they sign in with
        #[arg(long)]
        email: String,
        /// File with the new password
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make an API token and print it, once
    Create {
        /// In whose name it acts
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// viewer, operator or admin; never more than its person's
        #[arg(long, value_parser = role)]
        role: Role,
        /// How many days it lives, 1 to 366
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List the API tokens, newest first
    List,
    /// Revoke an API token at once
    Revoke {
        /// The token's id
        id: ApiTokenId,
    },
}

/// A role by its word, or which there are.
fn role(word: &str) -> Result<Role, String> {
    let roles = Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>();
    word.parse().map_err(|_| format!("the roles are {}", roles.join(", ")))
}

pub(super) async fn user(fleet: &Fleet, command: User) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    match command {
        User::Add { email, name, role, password_file } => {
            let password = config::secret(&password_file)?;
            let id = fleet.access().create_user(&actor, &email, &name, role, &password).await?;
            println!("{id}");
        }
        User::Password { email, password_file } => {
            fleet.access().reset_password(&actor, &email, &config::secret(&password_file)?).await?;
            println!("The password is set and all sessions of {email} have ended.");
        }
    }
    Ok(())
}

pub(super) async fn token(fleet: &Fleet, command: Token) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    print!("{}", answer(fleet, &actor, command).await?);
    Ok(())
}

/// What a command about tokens says, in whole lines.
async fn answer(fleet: &Fleet, actor: &Actor, command: Token) -> Result<String> {
    Ok(match command {
        Token::Create { email, name, role, days } => {
            let created = fleet.access().create_token_for(actor, &email, &name, role, days).await?;
            format!("{}\n", created.secret)
        }
        Token::List => {
            let page = fleet.access().people_page(actor).await?;
            if page.tokens.is_empty() {
                return Ok("There is no API token.\n".to_owned());
            }
            let rows: Vec<Vec<String>> = page.tokens.iter().map(|token| line(token, page.at)).collect();
            table(&["ID", "STATE", "ROLE", "OF", "UNTIL", "NAME"], &rows)
        }
        Token::Revoke { id } => {
            fleet.access().revoke_token(actor, &id).await?;
            format!("{id} is revoked.\n")
        }
    })
}

fn line(token: &ApiToken, at: Timestamp) -> Vec<String> {
    let state = match token.revoked_at {
        Some(_) => "revoked",
        None if token.expires_at <= at => "expired",
        None => "usable",
    };
    let (id, until) = (token.id.to_string(), token.expires_at.readable());
    vec![id, state.to_owned(), token.role.to_string(), token.created_by.clone(), until, token.name.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};

    #[tokio::test]
    async fn a_token_is_made_listed_and_revoked_beside_the_server() {
        let w = World::open(EngineKind::Sqlite).await;
        w.person("ada", Role::Admin).await;
        let actor = Actor::shell(w.org.clone());
        let say = async |command| answer(&w.fleet, &actor, command).await.map_err(|e| super::super::in_words(e).to_string());
        assert_eq!(say(Token::List).await.unwrap(), "There is no API token.\n");
        let new = Token::Create { email: "ada@example.com".into(), name: "ci".into(), role: Role::Operator, days: 7 };
        let secret = say(new).await.unwrap();
        assert!(w.fleet.access().authenticate_token(secret.trim(), "").await.is_ok());
        let list = say(Token::List).await.unwrap();
        assert!(list.contains("usable") && list.contains("operator") && list.trim_end().ends_with("ci"), "{list}");
        let id: ApiTokenId = list.lines().nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        say(Token::Revoke { id: id.clone() }).await.unwrap();
        assert!(say(Token::List).await.unwrap().contains("revoked"));
        assert!(w.fleet.access().authenticate_token(secret.trim(), "").await.is_err());
        assert!(say(Token::Revoke { id }).await.unwrap_err().ends_with('.'));
    }
}
