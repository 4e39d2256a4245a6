//! Debian's own SWUpdate in suricatta mode: a signed image over mutual TLS, the connection cut once in the middle of the download, the success told
//! after the restart.

use super::Rig;
use crate::support::eventually;
use fleet::db::EngineKind;
use rstest::rstest;
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

/// Bytes after which the line is cut, once.
const CUT: u64 = 1_500_000;

/// A line to the server that breaks once, when so much has come over it. Gives its address and how much has come.
async fn breaking_line(server: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
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
                        let cuts = before < CUT && before + size as u64 >= CUT;
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

#[rstest]
#[case::that_restarts_at_once(false)]
#[case::that_restarts_late(true)]
#[tokio::test(flavor = "multi_thread")]
async fn debians_swupdate_installs_a_signed_image_over_a_line_that_breaks(#[case] late: bool) {
    let rig = Rig::start(EngineKind::Sqlite).await;
    let device = rig.device("gw-1").await;
    let (line, came) = breaking_line(rig.server.running.device_addr).await;
    std::fs::create_dir(rig.stock.file("run")).unwrap();
    let file = |name: &str| rig.stock.file(name).display().to_string();
    let settings = [("url", format!("https://{line}")), ("tenant", "DEFAULT".into()), ("id", "gw-1".into()), ("sslcert", file("gw-1.pem"))];
    let settings = settings.into_iter().chain([("sslkey", file("gw-1.key")), ("cafile", file("root.pem"))]);
    let settings = settings.map(|(name, value)| format!("  {name} = \"{value}\";\n")).collect::<Vec<_>>().concat();
    let identify = "identify : ( { name = \"board\"; value = \"one\"; } );";
    let settings = format!("globals : {{ verbose = true; }};\nsuricatta : {{\n{settings}}};\n{identify}\n");
    rig.stock.write("swupdate.cfg", settings);

    let content: Vec<u8> = (0..4_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let image = rig.image(&content).await;
    let rollout = rig.roll_out(&rig.rest.release_of("1.1.0", 2, &[("update.swu", "swu", &image)]).await).await;
    let first = rig.swupdate("first.log", &["-u", ""]);
    let installed = || async { std::fs::read(rig.stock.file("target")).is_ok_and(|written| written == content) };
    eventually("the image is installed", Duration::from_mins(2), installed).await;
    let state = || async { rig.part(&rollout, "gw-1").await["state"] == "installing" };
    eventually("and the device says so", Duration::from_secs(30), state).await;
    assert!(came.load(Ordering::Relaxed) > CUT + image.len() as u64 / 2, "it was cut and went on");
    assert!(device.link("deploymentBase").await.contains("/deploymentBase/"), "offered until its last word");
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!(shown["attributes"]["board"], "one");
    drop(first);
    if late {
        rig.pass(61).await;
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "timed_out");
        let newer = rig.roll_out(&rig.rest.release_of("1.2.0", 3, &[("newer.swu", "swu", &image)]).await).await;
        let _second = rig.swupdate("second.log", &["-u", "-c 2"]);
        let state = || async { rig.part(&rollout, "gw-1").await["state"] == "succeeded" };
        eventually("it ends what it installed", Duration::from_secs(30), state).await;
        assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
        assert_ne!(rig.part(&newer, "gw-1").await["state"], "succeeded", "and not what it has never seen");
        rig.server.stop().await;
        return;
    }

    // After its restart it is told by its boot loader that it tests something new.
    let _second = rig.swupdate("second.log", &["-u", "-c 2"]);
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 1, "{ended:#}\n{}", rig.stock.read("second.log"));
    assert!(device.poll().await.get("deploymentBase").is_none());
    rig.server.stop().await;
}
