//! A QR code, drawn from the modules that the server has made: no script, the same on paper and in the dark.

use super::copyable;
use leptos::prelude::*;
use wire::enrolment::QrPicture;

/// The code with the text in it below, to copy where no camera is; `label` says what scanning it does. Without a picture the text alone.
pub fn qr_code(picture: Option<&QrPicture>, text: &str, label: &'static str) -> AnyView {
    let drawn = picture.map(|p| {
        let view_box = format!("0 0 {0} {0}", p.size);
        let path = p.path.clone();
        // A screen's pixels are what a camera resolves: many modules take more room.
        let dense = (p.size > 80).then_some("");
        view! {
            <svg class="qr" data-dense=dense viewBox=view_box width="240" height="240" role="img" aria-label=label shape-rendering="crispEdges">
                <rect width="100%" height="100%" fill="#fff"/>
                <path d=path fill="#000"/>
            </svg>
        }
    });
    view! { <figure class="scan">{drawn}<figcaption>{label}{copyable(text, "Copy code")}</figcaption></figure> }.into_any()
}
