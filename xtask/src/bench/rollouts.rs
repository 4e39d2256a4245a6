//! `cargo xtask bench rollouts`: rollouts over fleets of up to a million devices, the device list, polls and downloads, and the goals they are held
//! against.

use super::suite::{Column, Scale, Suite, Workload};
use super::workloads::{Goal, Limit, VALUE};

pub static SUITE: Suite = Suite {
    name: "rollouts",
    title: "How fast rollouts, lists, polls and downloads are",
    common: "On the embedded database. Of the fleet 300 devices are enrolled and really there, the others are only written down. Whoever asks over TLS \
             has a P-256 certificate; TLS 1.3, X25519, nothing is resumed.",
    workloads: &WORKLOADS,
    peers: &[("nginx", "nginx-light"), ("curl", "curl"), ("sqlite3", "sqlite3"), ("openssl", "openssl")],
    page: "app/docs/rollouts-benchmark.md",
    reasons: "server/benches/lab/rollouts/reasons.md",
    prepare: "prepare-fleet",
    spare: 0,
    full: Scale { fleet: 1_000_000, seconds: 6.0, pairs: 5, curve: &[1_000, 10_000, 100_000, 1_000_000] },
    quick: Scale { fleet: 10_000, seconds: 1.0, pairs: 3, curve: &[500, 10_000] },
    floor: None,
    beside_floor: &[],
    raw: &[],
    curve: &[
        Column {
            workload: "advance",
            figure: "p50_ms",
            title: "a stage advanced, median, ms",
            drawn: true,
            growth: Some(Limit::AtMost(1.5)),
        },
        Column { workload: "advance", figure: VALUE, title: "a stage advanced, p99, ms", drawn: false, growth: None },
        Column { workload: "advance", figure: "pause_p99_ms", title: "paused or resumed, p99, ms", drawn: false, growth: None },
        Column { workload: "advance", figure: "start_s", title: "drafted, approved and begun, s", drawn: true, growth: None },
        Column { workload: "lists", figure: "list_p99_ms", title: "pages, p99, ms", drawn: true, growth: None },
        Column { workload: "lists", figure: "search_p99_ms", title: "search, p99, ms", drawn: true, growth: None },
    ],
};

const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "advance",
        title: "A stage advanced, over the whole fleet",
        what: "A rollout over all devices in 25 stages. One device of each stage takes the release and says that it runs it; on that evidence an admin goes on, \
               over REST, answered when it is on the disk. Then it is paused and resumed, and stopped. Beside it a row a member in the same database, as others \
               keep it: to advance is to change those of a tenth of the fleet.",
        unit: "ms, 99th percentile",
        peer: Some(("rows", "a row a member")),
        share: 100,
        goals: &[
            Goal { figure: VALUE, limit: Limit::AtMost(5.0) },
            Goal { figure: "pause_p99_ms", limit: Limit::AtMost(5.0) },
            Goal { figure: "stop_ms", limit: Limit::AtMost(5.0) },
        ],
        ratios: &[(VALUE, Limit::AtMost(0.02))],
    },
    Workload {
        name: "lists",
        title: "The device list while the fleet reports",
        what: "Twenty people each ask ten times a second over REST, fifty rows a page: in each order, from far behind, by filters wide and narrow, by words \
               in ids. Meanwhile a hundred devices send a thousand samples a second, each acknowledged when it is synced.",
        unit: "ms, 99th percentile of all",
        peer: None,
        share: 100,
        goals: &[
            Goal { figure: VALUE, limit: Limit::AtMost(10.0) },
            Goal { figure: "search_p99_ms", limit: Limit::AtMost(10.0) },
            Goal { figure: "reports_per_s", limit: Limit::AtLeast(950.0) },
        ],
        ratios: &[],
    },
    Workload {
        name: "export",
        title: "The whole fleet as a file",
        what: "`GET /api/v1/devices:export`, CSV, read to its end.",
        unit: "devices/s",
        peer: None,
        share: 100,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(200_000.0) }],
        ratios: &[],
    },
    Workload {
        name: "polls",
        title: "Polls with nothing to do",
        what: "hawkBit's poll over 64 connections that stay: certificate checked, device looked up, noted that it was heard of. nginx checks the certificate and \
               sends a file of the same size.",
        unit: "polls/s",
        peer: Some(("nginx", "nginx")),
        share: 1,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(50_000.0) }],
        ratios: &[(VALUE, Limit::AtLeast(0.8))],
    },
    Workload {
        name: "dials",
        title: "Polls with a new connection each",
        what: "The same with a full mutual-TLS handshake for every poll, 16 under way.",
        unit: "polls/s",
        peer: Some(("nginx", "nginx")),
        share: 1,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(2_500.0) }],
        ratios: &[(VALUE, Limit::AtLeast(1.9))],
    },
    Workload {
        name: "download-1",
        title: "One download",
        what: DOWNLOAD,
        unit: "MB/s",
        peer: Some(("nginx", "nginx")),
        share: 1,
        goals: &[],
        ratios: &[(VALUE, Limit::AtLeast(1.15)), ("gb_per_cpu_s", Limit::AtLeast(2.0))],
    },
    Workload {
        name: "download-16",
        title: "Sixteen downloads at once",
        what: DOWNLOAD,
        unit: "MB/s",
        peer: Some(("nginx", "nginx")),
        share: 1,
        goals: &[],
        ratios: &[(VALUE, Limit::AtLeast(1.25)), ("gb_per_cpu_s", Limit::AtLeast(2.0))],
    },
    Workload {
        name: "download-64",
        title: "Sixty-four downloads at once",
        what: DOWNLOAD,
        unit: "MB/s",
        peer: Some(("nginx", "nginx")),
        share: 1,
        goals: &[Goal { figure: "bytes_each", limit: Limit::AtMost(64_000.0) }],
        ratios: &[(VALUE, Limit::AtLeast(1.25)), ("gb_per_cpu_s", Limit::AtLeast(2.0))],
    },
    Workload {
        name: "cuts",
        title: "Downloads that are cut",
        what: "Cut at 10, 50 and 90 %, torn a little more, and resumed by curl. A run counts only if the digest of each is right.",
        unit: "whole, of 3",
        peer: None,
        share: 1,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(3.0) }],
        ratios: &[],
    },
];

const DOWNLOAD: &str = "64 MiB to curl over TLS 1.3 with a client certificate. Fleetward gives a device what its own update is made of, and counts its \
                        bytes; nginx gives everybody with a certificate the file. Memory is what the server has while all are under way slowly, less what it has \
                        when they have ended.";
