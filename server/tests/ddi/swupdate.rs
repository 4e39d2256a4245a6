//! Debian's own SWUpdate in suricatta mode: a signed image over mutual TLS, the connection cut or the program killed once in the middle of the download,
//! the success told after the restart.

use super::{Device, Rig};
use crate::support::eventually;
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use std::{
    fs::File,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use wire::transfers::TransferLimits;

/// Bytes after which the line is cut, or the program killed.
const CUT: u64 = 1_500_000;
const KILL: u64 = 400_000;

/// A line to the server that breaks once, when so much has come over it. Gives its address and how much has come.
async fn line(server: SocketAddr, cut: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, came) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let total = came.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let total = total.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
                let down = async {
                    let mut piece = vec![0; 16 * 1024];
                    while let Ok(size @ 1..) = from_server.read(&mut piece).await {
                        let before = total.fetch_add(size as u64, Ordering::Relaxed);
                        let cuts = before < cut && before + size as u64 >= cut;
                        if cuts || to_client.write_all(&piece[..size]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = down => {}
                    _ = copy(&mut from_client, &mut to_server) => {}
                }
            });
        }
    });
    (at, came)
}

/// An archive as `cpio -o -H crc` makes it.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, (name, bytes)) in files.iter().chain(&[("TRAILER!!!", &[][..])]).enumerate() {
        let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        let (size, length) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(name.len()).unwrap() + 1);
        out.extend_from_slice(b"070702");
        for field in [u32::try_from(n).unwrap() + 1, 0o100_644, 0, 0, 1, 0, size, 0, 0, 0, 0, length, sum] {
            out.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        for part in [name.as_bytes(), &[0], &[]] {
            out.extend_from_slice(part);
        }
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

impl Rig {
    /// An image that writes this to `target`, signed by `signer.pem`.
    async fn image(&self, content: &[u8]) -> Vec<u8> {
        let stock = &self.stock;
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "signer.key", "-out", "signer.pem", "-subj", "/CN=builds"];
        stock.openssl(&[&new[..], &["-days", "30"]].concat()).await;
        stock.write("content", content);
        let sum = stock.openssl(&["dgst", "-sha256", "-r", "content"]).await;
        let (sum, target) = (sum.split(' ').next().unwrap(), stock.file("target"));
        let description = format!(
            "software = {{ version = \"1.1.0\"; hardware-compatibility: [ \"1.0\" ];\n  files: ( {{ filename = \"content\"; path = \"{}\"; \
             type = \"rawfile\"; sha256 = \"{sum}\"; }} ); }}\n",
            target.display()
        );
        stock.write("sw-description", &description);
        let sign = ["cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig", "-signer", "signer.pem", "-inkey", "signer.key"];
        stock.openssl(&[&sign[..], &["-outform", "DER", "-nosmimecap", "-binary"]].concat()).await;
        let signature = std::fs::read(stock.file("sw-description.sig")).unwrap();
        archive(&[("sw-description", description.as_bytes()), ("sw-description.sig", &signature), ("content", content)])
    }

    /// Starts SWUpdate as a device would. All its processes end with what is returned: it kills its main one, and the others follow.
    fn swupdate(&self, log: &str, more: &[&str]) -> Child {
        let log = File::create(self.stock.file(log)).unwrap();
        let fixed = ["-v", "-k", "signer.pem", "-H", "board:1.0", "-f", "swupdate.cfg"];
        let mut command = Command::new("swupdate");
        command.args(fixed).args(more).current_dir(self.stock.file("")).env("TMPDIR", self.stock.file("run"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        command.spawn().unwrap_or_else(|e| panic!("swupdate is needed for this test: {e}"))
    }
}

/// A device with SWUpdate on a line to its server, and a signed image that is rolled out to it.
struct Drive {
    rig: Rig,
    device: Device,
    came: Arc<AtomicU64>,
    content: Vec<u8>,
    image: Vec<u8>,
    rollout: String,
}

impl Drive {
    /// The line breaks once, when so much has come over it.
    async fn start(kind: EngineKind, cut: u64) -> Self {
        let rig = Rig::start(kind).await;
        let device = rig.device("gw-1").await;
        let (line, came) = line(rig.server.running.device_addr, cut).await;
        std::fs::create_dir(rig.stock.file("run")).unwrap();
        let file = |name: &str| rig.stock.file(name).display().to_string();
        let settings =
            [("url", format!("https://{line}")), ("tenant", "DEFAULT".into()), ("id", "gw-1".into()), ("sslcert", file("gw-1.pem"))];
        let settings = settings.into_iter().chain([("sslkey", file("gw-1.key")), ("cafile", file("root.pem"))]);
        let settings = settings.map(|(name, value)| format!("  {name} = \"{value}\";\n")).collect::<Vec<_>>().concat();
        let identify = "identify : ( { name = \"board\"; value = \"one\"; } );";
        let settings = format!("globals : {{ verbose = true; }};\nsuricatta : {{\n{settings}}};\n{identify}\n");
        rig.stock.write("swupdate.cfg", settings);
        let content: Vec<u8> = (0..3_700_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let image = rig.image(&content).await;
        let rollout = rig.roll_out(&rig.rest.release_of("1.1.0", 2, &[("update.swu", "swu", &image)]).await).await;
        Self { rig, device, came, content, image, rollout }
    }

    /// What has come over the line, the handshakes of TLS with it.
    fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    async fn state(&self) -> Value {
        self.rig.part(&self.rollout, "gw-1").await["state"].clone()
    }

    /// Waits until it has installed the image and said so.
    async fn installs(&self) {
        // Three quarters of a minute alone; the client waits between its tries, and longer where everything else runs beside it.
        let installed = || async { std::fs::read(self.rig.stock.file("target")).is_ok_and(|written| written == self.content) };
        eventually("the image is installed", Duration::from_secs(150), installed).await;
        let said = || async { self.history().await.iter().any(|line| line == "All Chunks Installed.") };
        eventually("and the device says so", Duration::from_secs(30), said).await;
        assert_eq!(self.state().await, "installing");
    }

    /// What the log of its only update says, the oldest first.
    async fn history(&self) -> Vec<String> {
        let updates = self.rig.rest.get("/devices/gw-1/updates").await;
        assert_eq!(updates["total"], 1, "{updates:#}");
        let said = self.rig.rest.get(&format!("/devices/gw-1/updates/{}/log", updates["items"][0]["id"].as_str().unwrap())).await;
        said["items"].as_array().unwrap().iter().rev().map(|said| said["line"].as_str().unwrap().to_owned()).collect()
    }

    /// Bytes of files that the server has sent it.
    async fn sent(&self) -> u64 {
        self.rig.server.running.fleet.transfers().write_down().await.unwrap();
        self.rig.rest.get("/devices/gw-1").await["data"]["bytes"].as_u64().unwrap()
    }

    async fn limit(&self, bandwidth: Option<u64>) {
        let limits = TransferLimits { bandwidth, data_budget_mb: Some(4), ..TransferLimits::default() };
        self.rig.server.running.fleet.transfers().set_limits(&self.rig.server.system(), limits).await.unwrap();
    }

    /// After its restart it is told by its boot loader that it tests something new.
    async fn succeeds(&self) {
        let _tests = self.rig.swupdate("tests.log", &["-u", "-c 2"]);
        let ended = self.rig.rest.rollout_ends(&self.rollout, "completed").await;
        let counts = &ended["row"]["counts"];
        assert_eq!((&counts["succeeded"], &counts["failed"]), (&json!(1), &json!(0)), "{ended:#}\n{}", self.rig.stock.read("tests.log"));
        assert!(self.device.poll().await.get("deploymentBase").is_none());
        assert_eq!(self.rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    }
}

#[rstest]
#[case::that_restarts_at_once(EngineKind::Sqlite, false)]
#[case::that_restarts_at_once_on_postgres(EngineKind::Postgres, false)]
#[case::that_restarts_late(EngineKind::Sqlite, true)]
#[case::that_restarts_late_on_postgres(EngineKind::Postgres, true)]
#[tokio::test(flavor = "multi_thread")]
async fn debians_swupdate_installs_a_signed_image_over_a_line_that_breaks(#[case] kind: EngineKind, #[case] late: bool) {
    let drive = Drive::start(kind, CUT).await;
    let rig = &drive.rig;
    let first = rig.swupdate("first.log", &["-u", ""]);
    drive.installs().await;
    assert!(drive.came() > drive.image.len() as u64, "all of it has come");
    let history = drive.history().await;
    assert!(history.iter().any(|line| line.starts_with("asks for update.swu again, from byte ")), "it was cut and went on: {history:#?}");
    assert!(drive.device.link("deploymentBase").await.contains("/deploymentBase/"), "offered until its last word");
    assert_eq!(rig.rest.get("/devices/gw-1").await["attributes"]["board"], "one");
    drop(first);
    if late {
        rig.pass(61).await;
        assert_eq!(drive.state().await, "timed_out");
        let newer = rig.roll_out(&rig.rest.release_of("1.2.0", 3, &[("newer.swu", "swu", &drive.image)]).await).await;
        let _second = rig.swupdate("second.log", &["-u", "-c 2"]);
        eventually("it ends what it installed", Duration::from_secs(30), || async { drive.state().await == "succeeded" }).await;
        assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
        assert_ne!(rig.part(&newer, "gw-1").await["state"], "succeeded", "and not what it has never seen");
    } else {
        drive.succeeds().await;
    }
    drive.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn debians_swupdate_is_killed_in_its_download_and_goes_on_with_the_same_action(#[case] kind: EngineKind) {
    let drive = Drive::start(kind, u64::MAX).await;
    let (rig, device) = (&drive.rig, &drive.device);
    // For the governor no time passes here: each piece of 50 KB waits 50 ms longer than the one before. What it is killed after comes within seconds, and
    // all of it would take minutes.
    drive.limit(Some(1_000_000)).await;
    let action = device.link("deploymentBase").await;
    let mut first = rig.swupdate("first.log", &["-u", ""]);
    eventually("some of it has come", Duration::from_mins(2), || async { drive.came() > KILL }).await;
    first.kill().await.unwrap();
    eventually("the server has seen it go", Duration::from_secs(30), || async { drive.sent().await > 0 }).await;
    let (cut, came, whole) = (drive.sent().await, drive.came(), drive.image.len() as u64);
    assert!(cut < whole && cut.abs_diff(came) < 200_000, "what was sent counts, and no more: {cut} of {whole}, and {came} came");
    assert_eq!(drive.state().await, "downloading");

    // The same folder and settings, and nothing that says it was ever here.
    drive.limit(None).await;
    let second = rig.swupdate("second.log", &["-u", ""]);
    drive.installs().await;
    assert_eq!(device.link("deploymentBase").await, action, "it goes on with the same one");
    eventually("both downloads count", Duration::from_secs(30), || async { drive.sent().await == cut + whole }).await;
    let history = drive.history().await;
    let at = |wanted: &str| history.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("no {wanted} in {history:#?}"));
    let (begins, again) = (at("Installing Update Chunk Artifacts."), at("asks for update.swu again, from its beginning"));
    assert!(begins < again && again < at("Installed Chunk."), "{history:#?}");
    drop(second);
    drive.succeeds().await;
    assert!(drive.history().await.iter().any(|line| line == "Update Installed."));

    // Either download alone is below the budget.
    rig.roll_out(&rig.rest.release_of("1.2.0", 3, &[("newer.swu", "swu", &drive.image)]).await).await;
    assert!(device.poll().await.get("deploymentBase").is_none());
    let why = rig.rest.get("/devices/gw-1").await.to_string();
    assert!(why.contains("has used 4 of 4 MB in 30 days"), "{why}");
    drive.rig.server.stop().await;
}
