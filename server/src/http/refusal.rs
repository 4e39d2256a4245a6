//! What a form without a script was refused with: it travels in the address of the page that the form is on, and a link could say anything there.
//! So this server signs what it says, and leads an address that says something else to the page without it. What was typed travels with it, so
//! that nobody types it twice; secrets never do.

use super::guard::encode;
use app::api::session::local;
use aws_lc_rs::hmac;
use axum::{
    http::{HeaderValue, Response, Uri, header},
    response::{self, IntoResponse as _, Redirect},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use std::sync::Arc;
use wire::Fault;

/// The words that a form's refusal is written with in an address: as `server_fn` has them, what was typed, and our signature beside them.
const PARTS: [&str; 3] = ["__path=", "__err=", TYPED];
const TYPED: &str = "__typed=";
const MAC: &str = "__mac=";
/// Fields of the console's forms that hold secrets: addresses are written down by browsers and proxies.
const SECRETS: [&str; 4] = ["password", "old", "new", "code"];
/// What a private key is recognized by (PEM, as a form encodes it), in whichever field it was pasted by mistake.
const PRIVATE: &str = "PRIVATE+KEY-----";
/// Fields that nobody types: the page's own address has what they hold.
const CARRIED: [&str; 1] = ["plan"];
/// Most bytes of what is typed that an address takes along.
const MOST_TYPED: usize = 2000;

/// Signs refusals while the process lives; one from before a restart is not shown any more.
#[derive(Clone)]
pub struct Refusals(Arc<hmac::Key>);

impl Refusals {
    /// With this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// Signs the refusal in a redirect, if there is one, with what was typed into the form that was refused.
    pub fn sign<B>(&self, response: &mut Response<B>, form: &[u8]) {
        let Some(location) = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok()) else { return };
        let Some((_, query)) = location.split_once('?').filter(|(_, query)| says(query)) else { return };
        // The page that the form was on may have shown a refusal itself: what it said of that one is not of this one.
        let path = location.split_once('?').map_or("", |(path, _)| path);
        let mut query = query.split('&').filter(|pair| !pair.starts_with(MAC) && !pair.starts_with(TYPED)).collect::<Vec<_>>().join("&");
        if let Some(typed) = typed(form) {
            query = format!("{query}&{TYPED}{}", encode(&typed));
        }
        let signed = format!("{path}?{query}&{MAC}{}", hex::encode(hmac::sign(&self.0, &said(&query))));
        if let Ok(signed) = HeaderValue::from_str(&signed) {
            response.headers_mut().insert(header::LOCATION, signed);
        }
    }

    /// Leads a form that the browser posted to `path` by itself back to its page, with what it was refused with as `server_fn` writes that, and what of it was
    /// `typed`. `page` is an address with a query; `at` is the id of what is shown first there.
    pub fn back(&self, (page, at): (&str, &str), path: &str, fault: &Fault, typed: &[u8]) -> response::Response {
        let said = serde_json::to_vec(fault).map(|json| URL_SAFE.encode(json)).unwrap_or_default();
        let mut response = Redirect::to(&format!("{page}&__path={}&__err={}", encode(path), encode(&said))).into_response();
        self.sign(&mut response, typed);
        let signed = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok()).map(|signed| format!("{signed}#{at}"));
        if let Some(whole) = signed.and_then(|whole| HeaderValue::from_str(&whole).ok()) {
            response.headers_mut().insert(header::LOCATION, whole);
        }
        response
    }

    /// The address without its refusal, if it has one that this server did not write. Never one of another host, whatever the path looks like.
    pub fn forged(&self, uri: &Uri) -> Option<String> {
        let query = uri.query().filter(|query| says(query))?;
        let mac = query.split('&').find_map(|pair| hex::decode(pair.strip_prefix(MAC)?).ok()).unwrap_or_default();
        if hmac::verify(&self.0, &said(query), &mac).is_ok() {
            return None;
        }
        let ours = |pair: &&str| PARTS.iter().chain([&MAC]).any(|part| pair.starts_with(part));
        let rest: Vec<&str> = query.split('&').filter(|pair| !ours(pair)).collect();
        let mark = if rest.is_empty() { "" } else { "?" };
        Some(format!("{}{mark}{}", local(uri.path(), "/"), rest.join("&")))
    }
}

/// What may travel of a form (`application/x-www-form-urlencoded`), still encoded; none when there is nothing, or too much.
fn typed(form: &[u8]) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let open = |pair: &&str| {
        let secret = |name: &str, value: &str| SECRETS.contains(&name) || value.contains(PRIVATE);
        pair.split_once('=').is_some_and(|(name, value)| !value.is_empty() && !secret(name, value) && !CARRIED.contains(&name))
    };
    let typed = form.split('&').filter(open).collect::<Vec<_>>().join("&");
    (!typed.is_empty() && typed.len() <= MOST_TYPED).then_some(typed)
}

/// Whether an address's query says that something was refused.
fn says(query: &str) -> bool {
    query.split('&').any(|pair| PARTS.iter().any(|part| pair.starts_with(part)))
}

/// The parts that are signed, byte for byte as they travel.
fn said(query: &str) -> Vec<u8> {
    let parts = query.split('&').filter(|pair| PARTS.iter().any(|part| pair.starts_with(part)));
    parts.flat_map(|pair| [pair.as_bytes(), b"&"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_server_wrote_is_shown() {
        let ours = Refusals::new(&[1; 32]);
        let mut response = Response::new(());
        let said = "http://h/set-up?a=1&__path=%2Frpc%2Fx&__err=eyJ9";
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(said));
        ours.sign(&mut response, b"");
        let signed: Uri = response.headers()[header::LOCATION].to_str().unwrap().parse().unwrap();
        assert_eq!(ours.forged(&signed), None);
        assert_eq!(Refusals::new(&[2; 32]).forged(&signed).unwrap(), "/set-up?a=1");
        let changed: Uri = signed.to_string().replace("eyJ9", "eyJ8").parse().unwrap();
        assert_eq!(ours.forged(&changed).unwrap(), "/set-up?a=1");
        assert_eq!(ours.forged(&said.parse().unwrap()).unwrap(), "/set-up?a=1");
        assert_eq!(ours.forged(&"/devices?q=__err".parse().unwrap()), None);
    }

    #[test]
    fn what_leads_away_from_a_forged_refusal_stays_on_this_host() {
        let ours = Refusals::new(&[1; 32]);
        let leads = |address: &str| ours.forged(&address.parse().unwrap()).unwrap();
        for evil in ["//evil.example/?__err=x", "//evil.example?__err=x", "/\\evil.example/?__err=x", "///evil.example?__err=x"] {
            assert_eq!(leads(evil), "/", "{evil}");
        }
        assert_eq!(leads("//evil.example/?__err=x&a=1"), "/?a=1");
        assert_eq!(leads("/devices?__err=x&q=a"), "/devices?q=a");
    }

    #[test]
    fn a_form_that_is_refused_twice_says_so_twice() {
        let ours = Refusals::new(&[1; 32]);
        // The page that was posted from had the refusal before in its address, and with it its signature.
        let mut response = Response::new(());
        let again = format!("http://h/sign-in?{MAC}00&__path=%2Frpc%2Fx&__err=eyJ9");
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&again).unwrap());
        ours.sign(&mut response, b"");
        let signed: Uri = response.headers()[header::LOCATION].to_str().unwrap().parse().unwrap();
        assert_eq!(ours.forged(&signed), None);
        assert_eq!(signed.query().unwrap().matches(MAC).count(), 1);
    }

    #[test]
    fn what_was_typed_travels_and_secrets_do_not() {
        let ours = Refusals::new(&[1; 32]);
        let refuse = |form: &str| {
            let mut response = Response::new(());
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/people?__path=%2Frpc%2Fx&__err=eyJ9"));
            ours.sign(&mut response, form.as_bytes());
            response.headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        let address = refuse("name=Ada+L&email=ada%40example.com&password=a+long+secret&code=123");
        assert!(address.contains("__typed=name%3DAda%2BL%26email%3Dada%2540example.com&"), "{address}");
        assert!(!address.contains("secret") && !address.contains("123"), "{address}");
        let pasted = refuse("public_key=-----BEGIN+EC+PRIVATE+KEY-----%0D%0AMHcCAQEE&reason=Found");
        assert!(pasted.contains("__typed=reason%3DFound&") && !pasted.contains("MHcCAQEE"), "{pasted}");
        assert_eq!(ours.forged(&address.parse().unwrap()), None);
        assert!(ours.forged(&address.replace("Ada", "Eve").parse().unwrap()).is_some(), "nobody else fills a form in");
        assert!(!refuse(&format!("name={}", "x".repeat(MOST_TYPED))).contains(TYPED));
        let review = refuse(&format!("plan={}&reason=Battery+drain", "x".repeat(MOST_TYPED)));
        assert!(review.contains("__typed=reason%3DBattery%2Bdrain&") && !review.contains("xxx"), "{review}");
    }

    #[test]
    fn a_form_that_the_browser_posts_by_itself_is_led_back_with_what_was_wrong() {
        let ours = Refusals::new(&[1; 32]);
        let fault = Fault::new(wire::FaultKind::Invalid, "no_file", "Choose a file.");
        let led = ours.back(("/enrolment?tab=import", "send"), "/enrolment/imports", &fault, b"update=true");
        assert_eq!(led.status(), axum::http::StatusCode::SEE_OTHER);
        let whole = led.headers()[header::LOCATION].to_str().unwrap();
        let (address, at) = whole.split_once('#').unwrap();
        assert!(address.starts_with("/enrolment?tab=import&__path=/enrolment/imports&__err="), "{whole}");
        assert!(address.contains("&__typed=update%3Dtrue&") && at == "send", "{whole}");
        assert_eq!(ours.forged(&address.parse().unwrap()), None);
    }

    #[test]
    fn other_redirects_are_left_alone() {
        let mut response = Response::new(());
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/devices?q=x"));
        Refusals::new(&[1; 32]).sign(&mut response, b"q=x");
        assert_eq!(response.headers()[header::LOCATION], "/devices?q=x");
    }
}
