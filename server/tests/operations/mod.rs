//! Every operation of the REST API over real sockets, as scripts of an admin, an operator and a viewer use it: what is changed is read back and stands in
//! the audit log, what is wrong is refused in words, and so is who may not.

mod approvals;
mod authorities;
mod catalogue;
mod certificates;
mod devices;
mod enrolment;
mod glass;
mod identities;
mod keys;
mod lists;
mod registered;
mod releases;
mod rollouts;
mod written;

use crate::support::{PASSWORD, TestServer};
use fleet::db::EngineKind;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use std::time::Duration;
use wire::states::Role;

/// A server, and a script of somebody of each role: ada, oli and vic.
struct Desk {
    server: TestServer,
    admin: Script,
    operator: Script,
    viewer: Script,
}

/// REST in somebody's name, by a token of theirs.
struct Script {
    http: Client,
    base: String,
    token: String,
}

/// What the server answers: a body that is no JSON is a text.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Desk {
    async fn open(kind: EngineKind) -> Self {
        Self::of(TestServer::start(kind).await).await
    }

    async fn of(server: TestServer) -> Self {
        let (admin, operator) = (Script::new(&server, "ada", Role::Admin).await, Script::new(&server, "oli", Role::Operator).await);
        let viewer = Script::new(&server, "vic", Role::Viewer).await;
        Self { server, admin, operator, viewer }
    }

    /// The newest entry of the audit log about this, with its details read, but for the request that it was done by.
    async fn logged(&self, action: &str) -> Value {
        let log = self.admin.get(&format!("/audit?action={action}")).await;
        let entries = log.ok()["items"].as_array().unwrap();
        let mut entry = entries.iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("no {action}")).clone();
        let mut detail: Value = serde_json::from_str(entry["detail"].as_str().unwrap()).unwrap_or_default();
        if let Some(words) = detail.as_object_mut() {
            words.remove("request");
        }
        entry["detail"] = detail;
        entry
    }

    /// How many entries the audit log has about this.
    async fn times(&self, action: &str) -> usize {
        let log = self.admin.get(&format!("/audit?action={action}")).await;
        log.ok()["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).count()
    }

    /// The id of the authority of this kind that is in this state.
    async fn authority(&self, kind: &str, state: &str) -> String {
        let all = self.viewer.get("/authorities").await;
        let found = all.ok()["items"].as_array().unwrap().iter().find(|a| a["kind"] == kind && a["state"] == state);
        found.unwrap_or_else(|| panic!("no {kind} that is {state}: {}", all.body))["id"].as_str().unwrap().to_owned()
    }

    /// An authority as its page has it.
    async fn standing(&self, id: &str) -> Value {
        self.viewer.get(&format!("/authorities/{id}")).await.ok().clone()
    }

    async fn stop(self) {
        self.server.stop().await;
    }
}

impl Script {
    /// A new person's.
    async fn new(server: &TestServer, name: &str, role: Role) -> Self {
        let access = server.running.fleet.access();
        access.create_user(&server.system(), &format!("{name}@example.com"), name, role, PASSWORD).await.unwrap();
        Self::of(server, name, role).await
    }

    /// Another one of a person who is there.
    async fn of(server: &TestServer, name: &str, role: Role) -> Self {
        let (access, email) = (server.running.fleet.access(), format!("{name}@example.com"));
        let token = access.create_token_for(&server.system(), &email, name, role, 1).await.unwrap().secret;
        let http = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, base: server.url("/api/v1"), token }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        Reply::to(self.request(Method::POST, path).json(body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        Reply::to(self.request(Method::PUT, path).json(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::DELETE, path)).await
    }
}

impl Reply {
    async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let (status, headers, text) = (answer.status().as_u16(), answer.headers().clone(), answer.bytes().await.unwrap());
        let body = serde_json::from_slice(&text).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&text).into_owned()));
        Self { status, headers, body }
    }

    /// What was answered, which is no refusal.
    #[track_caller]
    fn ok(&self) -> &Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        &self.body
    }

    /// Status and code of a refusal, which says what to do.
    #[track_caller]
    fn code(&self) -> (u16, &str) {
        let media = self.headers.get("content-type").map(|media| media.to_str().unwrap());
        assert_eq!(media, Some("application/problem+json"), "{} {}", self.status, self.body);
        assert!(!self.body["detail"].as_str().unwrap_or_default().is_empty(), "{}", self.body);
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// The id of what was made.
    #[track_caller]
    fn id(&self) -> String {
        self.ok()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.body)).to_owned()
    }
}

/// What a role that is too low is told.
const DENIED: (u16, &str) = (403, "denied");
