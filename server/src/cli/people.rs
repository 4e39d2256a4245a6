//! `fleetward user` and `fleetward token`: for the first start, for scripts that set a server up, and for a forgotten password.

use crate::config;
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::states::Role;

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
    let Token::Create { email, name, role, days } = command;
    let created = fleet.access().create_token_for(&actor, &email, &name, role, days).await?;
    println!("{}", created.secret);
    Ok(())
}
