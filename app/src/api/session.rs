//! Signing in and out, the first set-up, and one's own account. Credentials only ever travel in `HttpOnly` cookies.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// Who looks, for the frame: a [`wire::access::Viewer`].
#[server(prefix = "/rpc", endpoint = "/session/viewer", input = GetUrl)]
pub async fn read_viewer() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.viewer(&call.actor).await)
}

/// Begins a session and goes to `next`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/session/sign_in")]
pub async fn sign_in(email: String, password: String, #[server(default)] next: String) -> Result<(), ApiFault> {
    let (fleet, answer) = super::caller::anyone()?;
    let (cookies, peer) = super::caller::browser();
    let origin = fleet::access::Origin { address: peer.ip, user_agent: peer.user_agent };
    let signed_in = answer.of(fleet.access().sign_in(&email, &password, &origin).await)?;
    answer.sign_in(cookies, &signed_in);
    answer.lead_to(local(&next, "/"));
    Ok(())
}

/// Ends the session of this browser.
#[server(prefix = "/rpc", endpoint = "/session/sign_out")]
pub async fn sign_out() -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.access().sign_out(&call.actor).await)?;
    call.sign_out();
    call.lead_to("/sign-in");
    Ok(())
}

/// Whether an organization waits for its first admin, so that the set-up page is open: a `bool`.
#[server(prefix = "/rpc", endpoint = "/session/set_up_needed", input = GetUrl)]
pub async fn read_set_up_needed() -> Result<Packed, ApiFault> {
    let (fleet, answer) = super::caller::anyone()?;
    Packed::of(&answer.of(fleet.access().set_up_open().await)?)
}

/// Makes the first admin of an organization, with its one-time code, and goes to the sign-in page.
#[server(prefix = "/rpc", endpoint = "/session/set_up")]
pub async fn set_up(code: String, email: String, name: String, password: String) -> Result<(), ApiFault> {
    let (fleet, answer) = super::caller::anyone()?;
    let (_, peer) = super::caller::browser();
    answer.of(fleet.access().set_up(&code, &email, &name, &password, &peer.ip).await)?;
    answer.lead_to("/sign-in?set_up=done");
    Ok(())
}

/// One's own account and its sessions: a [`wire::access::AccountPage`].
#[server(prefix = "/rpc", endpoint = "/session/account", input = GetUrl)]
pub async fn read_account() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.access().account(&call.actor).await)
}

/// Ends one of one's own sessions.
#[server(prefix = "/rpc", endpoint = "/session/end")]
pub async fn end_session(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id = call.id(&id)?;
    call.answer(call.fleet.access().end_session(&call.actor, &id).await)?;
    call.lead_to("/account");
    Ok(())
}

/// Changes one's own password; the other sessions end.
#[server(prefix = "/rpc", endpoint = "/session/change_password")]
pub async fn change_password(old: String, new: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer_at(call.fleet.access().change_password(&call.actor, &old, &new).await, "password", "new")?;
    call.lead_to("/account?changed=password");
    Ok(())
}

/// Pure: a path of the console, or `or`. Never another host: neither `//host` nor `/\host`, which browsers read as one.
#[cfg(feature = "ssr")]
pub fn local<'a>(next: &'a str, or: &'a str) -> &'a str {
    let inside =
        next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') && next.bytes().all(|b| (0x21..0x7f).contains(&b));
    if inside { next } else { or }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::local;

    #[test]
    fn an_answer_never_leads_to_another_host() {
        assert_eq!(local("/devices?q=type:gateway", "/"), "/devices?q=type:gateway");
        for evil in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x", "javascript:alert(1)"] {
            assert_eq!(local(evil, "/rollouts"), "/rollouts", "{evil:?}");
        }
    }
}
