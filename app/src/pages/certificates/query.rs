//! Pure: the list's filters in its address.

use crate::plan::query::push;
use wire::{
    pki::{CertificateQuery, WEEKS},
    states::CertificateState,
};

/// What the list's address asks for; a word that is not understood counts as not said.
pub fn read(get: impl Fn(&str) -> Option<String>) -> CertificateQuery {
    CertificateQuery {
        q: get("q").unwrap_or_default(),
        week: get("week").and_then(|week| week.parse().ok()).filter(|week| *week < WEEKS),
        within: get("within").and_then(|days| days.parse().ok()),
        state: get("state").and_then(|state| state.parse::<CertificateState>().ok()),
        cursor: get("cur").filter(|cursor| !cursor.is_empty()),
        rows: None,
    }
}

/// The filters as a query string, without a place in the list.
pub fn filters(query: &CertificateQuery) -> String {
    let mut out = String::new();
    if !query.q.is_empty() {
        push(&mut out, "q", &query.q);
    }
    if let Some(state) = query.state {
        push(&mut out, "state", state.as_str());
    }
    if let Some(week) = query.week {
        push(&mut out, "week", &week.to_string());
    }
    if let Some(days) = query.within {
        push(&mut out, "within", &days.to_string());
    }
    out
}

/// The address of the list; `before` is how many rows lie in front of the page.
pub fn href(query: &CertificateQuery, before: i64) -> String {
    let mut out = filters(query);
    if let Some(cursor) = &query.cursor {
        push(&mut out, "from", &before.to_string());
        push(&mut out, "cur", cursor);
    }
    if out.is_empty() { "/certificates".to_owned() } else { format!("/certificates?{out}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::pairs;

    #[test]
    fn the_address_keeps_what_was_asked_for() {
        let all = CertificateQuery {
            q: "gw 1&x".into(),
            week: Some(3),
            within: None,
            state: Some(CertificateState::Active),
            cursor: Some("17.crt_x".into()),
            rows: None,
        };
        for query in [CertificateQuery::default(), CertificateQuery { within: Some(30), ..Default::default() }, all] {
            let address = href(&query, 50);
            let said = pairs(address.split_once('?').map_or("", |(_, query)| query));
            let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            assert_eq!(read(get), query, "{address}");
        }
        assert_eq!(read(|key| (key == "week").then(|| "99".into())).week, None);
        assert_eq!(href(&CertificateQuery::default(), 0), "/certificates");
    }
}
