//! Lists of revoked certificates of a root whose key is elsewhere: what the next one must say, and the list that comes back.

use super::{DENIED, Desk};
use crate::{
    roots::{own_root, signed},
    stock::Stock,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;

/// What openssl makes lists by.
const CONFIG: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n\
                      crl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n";

/// The list of nothing of the authority in `{by}.pem`, with this number.
pub(super) async fn list(stock: &Stock, by: &str, number: i64) -> String {
    // openssl reads whole bytes.
    let next = format!("{number:016X}\n");
    for (file, content) in [("crl.cnf", CONFIG), ("index.txt", ""), ("crlnumber", next.as_str())] {
        stock.write(file, content);
    }
    let (key, certificate) = (format!("{by}.key"), format!("{by}.pem"));
    stock.openssl(&["ca", "-config", "crl.cnf", "-keyfile", &key, "-cert", &certificate, "-gencrl", "-out", "made.crl"]).await;
    stock.read("made.crl")
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_list_is_asked_for_signed_elsewhere_and_published(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let stock = Stock::of(&desk.server);
    let here = desk.authority("root", "active").await;
    own_root(&stock, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).await;
    let asked = desk.admin.post("/authority-csrs", &json!({ "kind": "device", "own_root": true })).await;
    stock.write("ca.csr", asked.ok()["csr"].as_str().unwrap());
    let certificates = format!("{}{}", signed(&stock, "device", "ca.csr").await, stock.read("own.pem"));
    let brought = json!({ "certificates": certificates });
    assert_eq!(desk.operator.post("/authorities/import", &brought).await.code(), DENIED);
    assert_eq!(desk.admin.post("/authorities/import", &json!({ "certificates": "junk" })).await.code(), (400, "certificate_refused"));
    let root = desk.admin.post("/authorities/import", &brought).await.ok()["root"]["id"].as_str().unwrap().to_owned();

    let request = format!("/authorities/{root}/list-request");
    assert_eq!(desk.operator.get(&request).await.code(), DENIED);
    assert_eq!(desk.admin.get(&format!("/authorities/{here}/list-request")).await.code(), (409, "authority_state"), "its key is here");
    assert_eq!(desk.admin.get("/authorities/nonsense/list-request").await.code(), (404, "not_found"));
    let wanted = desk.admin.get(&request).await.ok().clone();
    assert_eq!((&wanted["authority"], &wanted["entries"]), (&json!(root), &json!([])));
    let number = wanted["number"].as_i64().unwrap();

    let publish = format!("/authorities/{root}/list");
    let next = json!({ "list": list(&stock, "own", number).await });
    assert_eq!(desk.operator.post(&publish, &next).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/authorities/{here}/list"), &next).await.code(), (409, "authority_state"));
    assert_eq!(desk.admin.post(&publish, &json!({ "list": "junk" })).await.code(), (400, "certificate_refused"));
    assert_eq!(desk.admin.post(&publish, &json!({ "lists": "junk" })).await.code(), (400, "bad_json"));
    let standing = desk.admin.post(&publish, &next).await;
    assert_eq!(standing.ok()["number"], json!(number));
    assert_eq!(desk.standing(&root).await["list"], standing.body);
    let told = desk.logged("crl.publish").await;
    assert_eq!((&told["object"], &told["detail"]["number"], &told["detail"]["imported"]), (&json!(root), &json!(number), &json!(true)));
    assert_eq!(desk.admin.post(&publish, &next).await.code(), (400, "certificate_refused"), "numbers only grow");
    assert!(desk.admin.get(&request).await.ok()["number"].as_i64().unwrap() > number);
    desk.stop().await;
}
