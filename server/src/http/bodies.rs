//! Bodies of a bounded size, read whole. One that announces more is refused unread: otherwise it would be listened to for as long as it takes to send
//! what nobody wants.

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};

/// The bytes; none when there are more than `most`, or when the request is cut.
pub async fn whole(body: Body, most: usize) -> Option<Bytes> {
    if body.size_hint().lower() > most as u64 {
        return None;
    }
    to_bytes(body, most).await.ok()
}
