//! Pure: the session's cookies (RFC 6265bis). The access token goes with every request; the refresh secret only with the one that trades it in.
//!
//! Over TLS both are `Secure` and the access cookie is `__Host-`: no other host and no plain HTTP can set it. Plain HTTP exists on loopback only and
//! knows no prefix.

use fleet::access::SignedIn;

/// How cookies are to be set on this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookies {
    /// Whether the listener speaks TLS.
    pub secure: bool,
}

/// The only path that receives the refresh secret.
pub const REFRESH_PATH: &str = "/session/refresh";

impl Cookies {
    /// Name of the access token's cookie.
    pub const fn access(self) -> &'static str {
        if self.secure { "__Host-fw_access" } else { "fw_access" }
    }
    /// Name of the refresh secret's cookie. `__Secure-`, because `__Host-` would forbid its path.
    pub const fn refresh(self) -> &'static str {
        if self.secure { "__Secure-fw_refresh" } else { "fw_refresh" }
    }
    fn set(self, name: &str, value: &str, path: &str, max_age_s: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// Seconds a browser keeps both cookies: the refresh secret's longest life. What they are worth, the server decides.
const KEPT_S: i64 = 30 * 86_400;

/// `Set-Cookie` values of a new or renewed session: access, refresh. A refresh secret that stays good is not set again.
pub fn signed_in(cookies: Cookies, signed_in: &SignedIn) -> Vec<String> {
    let access = cookies.set(cookies.access(), &signed_in.access, "/", KEPT_S);
    let refresh = signed_in.refresh.as_ref().map(|secret| cookies.set(cookies.refresh(), secret, REFRESH_PATH, KEPT_S));
    std::iter::once(access).chain(refresh).collect()
}

/// `Set-Cookie` values that end it.
pub fn signed_out(cookies: Cookies) -> Vec<String> {
    vec![cookies.set(cookies.access(), "", "/", 0), cookies.set(cookies.refresh(), "", REFRESH_PATH, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn cookies_are_closed_to_scripts_and_other_sites() {
        let session =
            SignedIn { access: "jwt".into(), refresh: Some("secret".into()), access_expires: Timestamp(0), refresh_expires: Timestamp(0) };
        let over_tls = signed_in(Cookies { secure: true }, &session);
        assert_eq!(over_tls[0], "__Host-fw_access=jwt; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure");
        assert!(over_tls[1].starts_with("__Secure-fw_refresh=secret; Path=/session/refresh;"));
        let plain = signed_in(Cookies { secure: false }, &SignedIn { refresh: None, ..session });
        assert_eq!(plain.len(), 1);
        assert!(!plain[0].contains("Secure") && !plain[0].contains("__Host-"));
        assert!(signed_out(Cookies { secure: true }).iter().all(|c| c.contains("Max-Age=0")));
    }
}
