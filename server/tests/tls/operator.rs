//! The operator listener with its own TLS.

use app::api::cookies::Cookies;
use fleet::{clock::SystemClock, entropy::OsEntropy};
use server::config::Config;
use std::{net::SocketAddr, sync::Arc};
use wire::states::Role;

#[tokio::test]
async fn with_tls_of_its_own_it_knows_its_clients_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        data: folder.path().join("data"),
        operator_addr: any_port,
        operator_tls_cert: Some(cert),
        operator_tls_key: Some(key),
        device_addr: any_port,
        enrol_addr: any_port,
        publish_addr: any_port,
        ops_addr: any_port,
        ..Config::default()
    };
    let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
    let access = running.fleet.access();
    let system = fleet::access::Actor::system(running.fleet.default_org().clone());
    access.create_user(&system, "ada@example.com", "ada", Role::Admin, "a long enough password").await.unwrap();

    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).tls_certs_only([root]).build().unwrap();
    let answer = client
        .post(format!("https://localhost:{}/rpc/session/sign_in", running.operator_addr.port()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .header("sec-fetch-site", "same-origin")
        .body("email=ada%40example.com&password=a+long+enough+password&next=%2F")
        .send()
        .await
        .unwrap();
    let name = Cookies { secure: true }.access();
    let mut cookies = answer.headers().get_all("set-cookie").iter().filter_map(|c| c.to_str().ok());
    let jwt = cookies.find_map(|c| c.strip_prefix(name)?.strip_prefix('=')?.split(';').next()).expect("signed in");
    let actor = access.authenticate_jwt(jwt, "").await.unwrap();
    let addresses: Vec<_> = access.account(&actor).await.unwrap().sessions.into_iter().map(|s| s.address).collect();
    assert_eq!(addresses, ["127.0.0.1"]);
    running.stop().await.unwrap();
}
