//! A stock client: curl and openssl as a device maker has them, in a folder of their own. Knows nothing of our code.

use crate::support::TestServer;
use std::{path::PathBuf, process::Output};
use tokio::process::Command;

/// A folder with `root.pem`, and the programs that work in it.
pub struct Stock {
    folder: tempfile::TempDir,
    /// The enrol listener.
    pub enrol: String,
    /// The device listener.
    pub device: String,
    /// Where it comes from, in 127.0.0.0/8.
    pub from: String,
}

/// What curl got.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Stock {
    pub fn of(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), server.running.fleet.pki().root_pem()).unwrap();
        let at = |port: u16| format!("https://127.0.0.1:{port}");
        let (enrol, device) = (at(server.running.enrol_addr.port()), at(server.running.device_addr.port()));
        Self { folder, enrol, device, from: "127.0.0.1".to_owned() }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let done = Command::new(program).args(arguments).current_dir(self.folder.path()).kill_on_drop(true).output();
        done.await.unwrap_or_else(|e| panic!("{program} is needed for this test: {e}"))
    }

    /// Runs a line as if it were pasted into a shell.
    pub async fn shell(&self, line: &str) {
        self.run("sh", &["-c", line]).await;
    }

    /// The same, with whether it succeeded and what it printed.
    pub async fn paste(&self, line: &str) -> (bool, String) {
        let Output { status, stdout, stderr } = self.run("sh", &["-c", line]).await;
        (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }

    /// Runs openssl; the test ends when it fails.
    pub async fn openssl(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run("openssl", arguments).await;
        assert!(status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).into_owned()
    }

    /// Makes `{name}.key` and a request for this subject in `{name}.der` and, base64, `{name}.b64`.
    pub async fn request(&self, name: &str, subject: &str) {
        let (key, der, b64) = (format!("{name}.key"), format!("{name}.der"), format!("{name}.b64"));
        let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key];
        self.openssl(&[&new[..], &["-subj", subject, "-outform", "DER", "-out", &der]].concat()).await;
        self.openssl(&["base64", "-in", &der, "-out", &b64]).await;
    }

    /// Asks the enrol listener; `arguments` are curl's.
    pub async fn enrol(&self, path: &str, arguments: &[&str]) -> Reply {
        self.curl(&format!("{}{path}", self.enrol), arguments).await
    }

    /// Asks the device listener.
    pub async fn device(&self, path: &str, arguments: &[&str]) -> Reply {
        self.curl(&format!("{}{path}", self.device), arguments).await
    }

    async fn curl(&self, url: &str, arguments: &[&str]) -> Reply {
        self.write("body", "");
        let fixed = ["-sS", "--max-time", "30", "--cacert", "root.pem", "--interface", &self.from, "-D", "-", "-o", "body", url];
        let Output { stdout, stderr, .. } = self.run("curl", &[&fixed[..], arguments].concat()).await;
        let heads = String::from_utf8_lossy(&stdout).into_owned();
        // An interim answer (100 Continue) has a head of its own.
        let head = heads.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&stderr)));
        Reply { status, head, body: std::fs::read(self.file("body")).unwrap() }
    }

    /// Posts a request to an EST operation as `any:secret`.
    pub async fn est(&self, operation: &str, secret: &str, file: &str, more: &[&str]) -> Reply {
        let (user, data) = (format!("any:{secret}"), format!("@{file}"));
        let posted = ["--user", &user, "-H", "Content-Type: application/pkcs10", "--data-binary", &data];
        self.enrol(&format!("/.well-known/est/{operation}"), &[&posted[..], more].concat()).await
    }

    /// Takes the certificates out of an EST answer into a PEM file, and says how many there are.
    pub async fn unpack(&self, reply: &Reply, into: &str) -> usize {
        self.write("answer.b64", &reply.body);
        self.openssl(&["base64", "-d", "-in", "answer.b64", "-out", "answer.der"]).await;
        self.openssl(&["pkcs7", "-inform", "DER", "-in", "answer.der", "-print_certs", "-out", into]).await;
        self.read(into).matches("-----BEGIN CERTIFICATE-----").count()
    }
}
