//! A server that may have missed a revocation believes no certificate that a proxy passes on (H-6, H-8).

use super::{Behind, ask, byte_sequence, is, passed_on};
use futures::{SinkExt as _, StreamExt as _};
use server::tls::Reason;
use std::time::Duration;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// Longer than a server may hear nothing of its database.
const SILENCE: Duration = Duration::from_secs(61);

/// On one thread: the time of others can't be advanced.
#[tokio::test]
async fn h_6_a_server_that_hears_nothing_for_a_minute_believes_no_proxy_and_cuts_nobody() {
    let mut behind = Behind::plain().await;
    let (one, revoked) = (behind.rig.enrol("gw-1").await, behind.rig.enrol("gw-2").await);
    behind.rig.revoke(&revoked).await;
    let claim = passed_on(&behind.rig.claim().await);

    // Nobody follows the database any more; what was heard of it is enough for a minute.
    let follows = behind.rig.workers.remove(0);
    follows.abort();
    assert!(follows.await.is_err_and(|error| error.is_cancelled()));
    let mut kept = behind.connect().await;
    is(&mut kept, &passed_on(&one), "gw-1").await;
    is(&mut kept, &claim, "nobody").await;
    let mut request = "ws://localhost/echo".into_client_request().unwrap();
    request.headers_mut().insert("client-cert", byte_sequence(&one.chain[0]).parse().unwrap());
    let (mut socket, _) = client_async(request, behind.connect().await).await.unwrap();

    // Only for that moment: time that stands still would let every deadline pass while a socket is waited for.
    tokio::time::pause();
    tokio::time::advance(SILENCE).await;
    tokio::time::resume();
    let mut fresh = behind.connect().await;
    for stream in [&mut kept, &mut fresh] {
        for headers in [passed_on(&one), claim.clone()] {
            let answer = ask(stream, "/who", &headers).await.expect("an answer");
            let lower = answer.to_ascii_lowercase();
            assert!(lower.starts_with("http/1.1 503 ") && lower.contains("\r\nretry-after: 10\r\n"), "{answer}");
            assert!(answer.contains("\"certificate_not_judged\""), "{answer}");
        }
    }
    assert_eq!(behind.stats.failed.of(Reason::Stale) + behind.stats.refused.of(Reason::Stale), 4);
    let answer = ask(&mut fresh, "/who", &passed_on(&revoked)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("(revoked)"), "what it has heard stands: {answer}");
    is(&mut fresh, "", "nobody").await;
    socket.send(Message::text("here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("here"), "who was judged by what it knew then stays");

    behind.rig.world.fleet.pki().reload().await.unwrap();
    is(&mut kept, &passed_on(&one), "gw-1").await;
    is(&mut fresh, &claim, "nobody").await;
}
