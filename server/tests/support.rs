//! A whole server on free ports over a fresh database of either engine, and the clients that tests use.

use fleet::{
    access::Actor,
    clock::{Clock, SystemClock},
    db::EngineKind,
    entropy::OsEntropy,
    pki::Kek,
    testing,
};
use reqwest::{Client, Response, redirect::Policy};
use server::{config::Config, run::Running};
use std::{
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::process::Command;
use wire::states::Role;

pub const PASSWORD: &str = "a long enough password";

/// A running server; stop it at the end of the test to learn whether everything ended well.
pub struct TestServer {
    pub running: Running,
    config: Config,
    folder: tempfile::TempDir,
    pub http: Client,
}

impl TestServer {
    pub async fn start(kind: EngineKind) -> Self {
        Self::start_with(kind, |config| config).await
    }

    /// One that is configured a little differently.
    pub async fn start_with(kind: EngineKind, change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_by(kind, Arc::new(SystemClock), change).await
    }

    /// One by another clock.
    pub async fn start_by(kind: EngineKind, clock: Arc<dyn Clock>, change: impl FnOnce(Config) -> Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url_file = match kind {
            EngineKind::Sqlite => None,
            EngineKind::Postgres => {
                let file = folder.path().join("postgres.url");
                std::fs::write(&file, testing::postgres().await).unwrap();
                std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                Some(file)
            }
        };
        let on_free_ports = Config::on_free_ports(folder.path().join("data"));
        let config = change(Config { database_url_file, database_connections: 6, drain_s: 10, ..on_free_ports });
        // As after a first start that made the schema and nothing else.
        match kind {
            EngineKind::Sqlite => testing::schema_into(&config.data).await,
            EngineKind::Postgres => std::fs::DirBuilder::new().mode(0o700).create(&config.data).unwrap(),
        }
        Kek::make_file(&config.own_key(), &OsEntropy).unwrap();
        // In a box: it is large, and every test would carry it.
        let running = Box::pin(server::run::start_with(config.clone(), clock, Arc::new(OsEntropy))).await.unwrap();
        let http = Client::builder().redirect(Policy::none()).cookie_store(true).timeout(Duration::from_secs(30)).build().unwrap();
        Self { running, config, folder, http }
    }

    /// The console's address of this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.operator_addr)
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    /// The flags by which a command beside it finds its fleet.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec!["--data".to_owned(), self.config.data.display().to_string()];
        if let Some(file) = &self.config.database_url_file {
            flags.extend(["--database-url-file".to_owned(), file.display().to_string()]);
        }
        flags
    }

    /// A command beside it: whether it went well, and what it says on both streams.
    pub async fn fleetward(&self, words: &[&str]) -> (bool, String, String) {
        let flags = self.flags();
        let words: Vec<&str> = words.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        fleetward(self.folder.path(), &words).await
    }

    /// The same of one that must go well: what it says.
    pub async fn must(&self, words: &[&str]) -> String {
        let (well, said, why) = self.fleetward(words).await;
        assert!(well, "{words:?}: {why}");
        said
    }

    pub fn system(&self) -> Actor {
        Actor::system(self.running.fleet.default_org().clone())
    }

    /// Adds a person and gives their address.
    pub async fn person(&self, name: &str, role: Role) -> String {
        let email = format!("{name}@example.com");
        self.running.fleet.access().create_user(&self.system(), &email, name, role, PASSWORD).await.unwrap();
        email
    }

    /// An API token in the name of a new person with this role.
    pub async fn token(&self, name: &str, role: Role) -> String {
        let email = self.person(name, role).await;
        self.running.fleet.access().create_token_for(&self.system(), &email, name, role, 1).await.unwrap().secret
    }

    /// A browser of its own, signed in as a new person with this role.
    pub async fn browser(&self, name: &str, role: Role) -> Client {
        let email = self.person(name, role).await;
        let client = Client::builder().redirect(Policy::none()).cookie_store(true).timeout(Duration::from_secs(30)).build().unwrap();
        let answer = self.sign_in(&client, &email, PASSWORD).await;
        assert!(answer.status().is_success() || answer.status().is_redirection(), "{}", answer.status());
        client
    }

    /// Posts the sign-in form as a browser without JavaScript does.
    pub async fn sign_in(&self, client: &Client, email: &str, password: &str) -> Response {
        let form = [("email", email), ("password", password), ("next", "/")];
        self.post_form(client, "/rpc/session/sign_in", &form).await
    }

    /// Posts a form as one of our own pages does.
    pub async fn post_form(&self, client: &Client, path: &str, form: &[(&str, &str)]) -> Response {
        let body: String = form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&");
        client
            .post(self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("referer", self.url("/sign-in"))
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// What another server goes on with when this one has ended, on the same addresses.
    pub fn goes_on(&self) -> Config {
        let Running { operator_addr, device_addr, enrol_addr, publish_addr, ops_addr, .. } = self.running;
        Config { operator_addr, device_addr, enrol_addr, publish_addr, ops_addr, ..self.config.clone() }
    }

    /// Stops it and gives what another server goes on with; the folder goes with its guard.
    pub async fn stop_to_go_on(self) -> (Config, tempfile::TempDir) {
        let config = self.goes_on();
        self.running.stop().await.unwrap();
        (config, self.folder)
    }

    /// Stops it and fails if anything had to be cut off or had crashed.
    pub async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}

/// The program in a folder: whether it goes well, and what it says on both streams. It has no terminal, whoever runs the tests: nobody is asked anything.
pub async fn fleetward(folder: &Path, words: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetward"));
    command.args(words).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

pub fn encode(text: &str) -> String {
    server::http::guard::encode(text)
}

/// Waits until the condition holds; fails after the time with what it was waiting for.
pub async fn eventually<F: Future<Output = bool>>(what: &str, within: Duration, mut holds: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + within;
    while !holds().await {
        assert!(tokio::time::Instant::now() < end, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
