//! `cargo xtask bench pki`: the certificate authority beside its peers, and the goals it is held against.

use super::suite::{Column, Scale, Suite, Workload};
use super::workloads::{Goal, Limit, VALUE};

pub static SUITE: Suite = Suite {
    name: "pki",
    title: "How fast the certificate authority is",
    common: "Both sides have P-256 certificates, TLS 1.3, AES-256-GCM and X25519, resume nothing, and are asked by the same client.",
    workloads: &WORKLOADS,
    peers: &[("nginx", "nginx-light"), ("mosquitto", "mosquitto"), ("cfssl", "golang-cfssl"), ("openssl", "openssl")],
    page: "app/docs/pki-benchmark.md",
    reasons: "server/benches/lab/pki/reasons.md",
    prepare: "prepare",
    // Those that talk while everybody dials are beside them.
    spare: 100,
    full: Scale { fleet: 10_000, seconds: 4.0, pairs: 5, curve: &[100, 300, 1_000, 3_000, 10_000] },
    quick: Scale { fleet: 200, seconds: 0.5, pairs: 3, curve: &[50, 100, 200] },
    floor: Some(("join", "floor")),
    // Live ones are undisturbed: two cores for everybody, and no answer comes later than it would with nothing behind the sockets.
    beside_floor: &[("live_p99_ms", Limit::AtMost(1.0))],
    raw: &[
        ("signatures", "ECDSA P-256 signatures"),
        ("verifications", "ECDSA P-256 verifications"),
        ("certificates", "certificates from CSRs, P-256"),
        ("handshakes", "full mutual-TLS handshakes, the server's half"),
    ],
    curve: &[
        Column { workload: "join", figure: VALUE, title: "all joined, s", drawn: true, growth: None },
        Column { workload: "join", figure: "refused", title: "refused", drawn: false, growth: None },
        Column { workload: "join", figure: "bytes_each", title: "bytes each", drawn: false, growth: None },
        Column { workload: "join", figure: "cpu_us_each", title: "CPU each, µs", drawn: false, growth: None },
        Column { workload: "join", figure: "live_p99_ms", title: "live p99, ms", drawn: false, growth: None },
        Column { workload: "revoke", figure: VALUE, title: "revoked to closed p99, ms", drawn: true, growth: None },
    ],
};

const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "issue",
        title: "Certificates issued",
        what: "A CSR in, a certificate out, over 16 connections that stay. Ours checks the token, makes the device, writes certificate and audit entry and \
               syncs them before it answers, over TLS. `cfssl serve` signs over plain HTTP and stores nothing.",
        unit: "certificates/s",
        peer: Some(("cfssl", "cfssl")),
        share: 100,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(8_000.0) }],
        ratios: &[(VALUE, Limit::AtLeast(1.5))],
    },
    Workload {
        name: "enrol",
        title: "Enrolments, a new TLS connection each",
        what: "As a device does it once in its life: dial, full handshake, enrol. The floor is rustls and rcgen in one process: it checks the CSR's \
               signature, signs, and stores nothing.",
        unit: "enrolments/s",
        peer: Some(("floor", "floor")),
        share: 50,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(1_500.0) }, Goal { figure: "p99_ms", limit: Limit::AtMost(20.0) }],
        ratios: &[],
    },
    Workload {
        name: "trips",
        title: "Database round trips of one issue, 16 in flight",
        what: "Counted on the wire to PostgreSQL: words of ours that follow words of its. Enrolments that come at once share a transaction, and the goal is held \
               against that: 16 in flight. One that comes alone shares with nobody, and takes as many as stand below beside `one after the other`.",
        unit: "round trips",
        peer: None,
        share: 2,
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(3.0) }],
        ratios: &[],
    },
    Workload {
        name: "handshake",
        title: "Full mutual-TLS handshake and one authorised request",
        what: "TCP, TLS 1.3 with X25519 and P-256 certificates on both sides, chains of two, one GET answered with 204, 16 in flight. nginx checks \
               the client's certificate and asks nobody.",
        unit: "handshakes/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[],
        ratios: &[(VALUE, Limit::AtLeast(2.0)), ("per_cpu_s", Limit::AtLeast(3.0))],
    },
    Workload {
        name: "join",
        title: "Everybody dials at once",
        what: "All devices, each with a certificate of its own, dial in the same moment, while twenty others talk. A device that is refused dials again after \
               100 ms. Then nobody says anything and memory is read.",
        unit: "s until the last has joined",
        peer: None,
        share: 100,
        goals: &[
            Goal { figure: VALUE, limit: Limit::AtMost(5.0) },
            Goal { figure: "refused", limit: Limit::AtMost(0.0) },
            Goal { figure: "live_lost", limit: Limit::AtMost(0.0) },
            Goal { figure: "bytes_each", limit: Limit::AtMost(12_000.0) },
        ],
        ratios: &[],
    },
    Workload {
        name: "storm",
        title: "A tenth dials at once",
        what: "The same with so many devices as mosquitto takes in within minutes when they all dial in one moment: it has one thread, and a short queue \
               of connections that it has not accepted yet.",
        unit: "s until the last has joined",
        peer: Some(("mosquitto", "mosquitto")),
        share: 10,
        goals: &[],
        ratios: &[(VALUE, Limit::AtMost(0.35)), ("bytes_each", Limit::AtMost(0.46))],
    },
    Workload {
        name: "revoke",
        title: "Revoked to closed",
        what: "A hundred devices among all the others are revoked over REST, one after the other: from the request to the closed connection. None of them \
               comes back, none of the others is touched.",
        unit: "ms, 99th percentile",
        peer: None,
        share: 100,
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(1_000.0) }],
        ratios: &[],
    },
    Workload {
        name: "crl",
        title: "Lists of revoked certificates",
        what: "GET over 16 plain connections that stay. nginx has the same bytes in a file.",
        unit: "answers/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(5_000.0) }],
        ratios: &[],
    },
    Workload {
        name: "ocsp",
        title: "OCSP answers",
        what: "POST of what `openssl ocsp` asks, over 16 plain connections that stay. nginx has the answer's bytes in a file and reads no question.",
        unit: "answers/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(5_000.0) }],
        ratios: &[],
    },
];
