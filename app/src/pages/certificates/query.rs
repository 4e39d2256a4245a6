//! Pure: the list's filters and its order in its address.

use crate::{
    plan::query::{address, push, push_place},
    ui::unread::{Known, Word},
};
use wire::{
    ids::AuthorityId,
    pki::{CertificateQuery, CertificateSort, WEEKS},
    states::CertificateState,
};

/// Words of the list's address, each with what its value has to be; the last one only of a list that is not of revoked certificates alone.
static WORDS: [Word; 6] = [
    ("state", "state of a certificate", |word| word.parse::<CertificateState>().is_ok()),
    ("week", "week from now", |word| word.parse::<u32>().is_ok_and(|week| week < WEEKS)),
    ("within", "number of days", |word| word.parse::<u32>().is_ok()),
    ("authority", "authority's id", |word| word.parse::<AuthorityId>().is_ok()),
    ("sort", "order of certificates", |word| word.parse::<CertificateSort>().is_ok()),
    ("sort", "order of certificates without “state=revoked”", |word| {
        word.parse::<CertificateSort>().is_ok_and(|sort| !sort.of_revoked())
    }),
];

/// What the list's address may say, where it says this.
pub fn known(query: &CertificateQuery) -> Known {
    let revoked = query.state == Some(CertificateState::Revoked);
    (if revoked { &WORDS[..5] } else { &WORDS }, &["q", "cur", "from"])
}

/// What the list's address asks for; a word that is not understood counts as not said.
pub fn read(get: impl Fn(&str) -> Option<String>) -> CertificateQuery {
    let state = get("state").and_then(|state| state.parse::<CertificateState>().ok());
    CertificateQuery {
        q: get("q").unwrap_or_default(),
        week: get("week").and_then(|week| week.parse().ok()).filter(|week| *week < WEEKS),
        within: get("within").and_then(|days| days.parse().ok()),
        state,
        authority: get("authority").and_then(|id| id.parse().ok()),
        sort: ordered(state, get("sort").and_then(|sort| sort.parse().ok())),
        cursor: get("cur").filter(|cursor| !cursor.is_empty()),
        rows: None,
    }
}

/// The order that a list in this state has; none is the one it has by itself.
fn ordered(state: Option<CertificateState>, sort: Option<CertificateSort>) -> Option<CertificateSort> {
    sort.filter(|sort| *sort != CertificateSort::End && (!sort.of_revoked() || state == Some(CertificateState::Revoked)))
}

/// What the list has been narrowed to, in the order of revocation: the tab of revoked ones. What ends soon is not among them.
pub fn revoked(query: &CertificateQuery) -> CertificateQuery {
    CertificateQuery {
        q: query.q.clone(),
        state: Some(CertificateState::Revoked),
        sort: Some(CertificateSort::RevokedDesc),
        ..CertificateQuery::default()
    }
}

/// The filters as a query string, without an order or a place in the list.
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
    if let Some(authority) = &query.authority {
        push(&mut out, "authority", authority.as_str());
    }
    out
}

/// The filters and the order as a query string.
pub fn shown(query: &CertificateQuery) -> String {
    let mut out = filters(query);
    if let Some(sort) = ordered(query.state, query.sort) {
        push(&mut out, "sort", sort.as_str());
    }
    out
}

/// The address of the list; `before` is how many rows lie in front of the page.
pub fn href(query: &CertificateQuery, before: i64) -> String {
    let mut out = shown(query);
    push_place(&mut out, before, query.cursor.as_deref().unwrap_or_default());
    address("/certificates", &out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::query::pairs, ui::unread::unread};

    #[test]
    fn the_address_keeps_what_was_asked_for() {
        let all = CertificateQuery {
            q: "gw 1&x".into(),
            week: Some(3),
            within: None,
            state: Some(CertificateState::Active),
            authority: Some("ca_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap()),
            sort: Some(CertificateSort::DeviceDesc),
            cursor: Some("17.crt_x".into()),
            rows: None,
        };
        let last_revoked = revoked(&all);
        assert_eq!((last_revoked.q.as_str(), last_revoked.week, last_revoked.sort), ("gw 1&x", None, Some(CertificateSort::RevokedDesc)));
        for query in [CertificateQuery::default(), CertificateQuery { within: Some(30), ..Default::default() }, all, last_revoked] {
            let address = href(&query, 50);
            let said = pairs(address.split_once('?').map_or("", |(_, query)| query));
            let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            assert_eq!(read(get), query, "{address}");
        }
        assert_eq!(read(|key| (key == "authority").then(|| "none".into())).authority, None);
        assert_eq!(read(|key| (key == "week").then(|| "99".into())).week, None);
        assert_eq!(href(&CertificateQuery::default(), 0), "/certificates");
    }

    #[test]
    fn an_order_of_revoked_ones_is_said_to_be_none_of_others() {
        let said = |state: Option<CertificateState>, sort: &str| {
            let (words, others) = known(&CertificateQuery { state, ..CertificateQuery::default() });
            unread(&format!("q=x&sort={sort}"), words, others).map(|unread| unread.said)
        };
        assert_eq!(said(Some(CertificateState::Revoked), "-revoked"), None);
        assert_eq!(said(Some(CertificateState::Active), "-device"), None);
        let without = "“-revoked” is no order of certificates without “state=revoked”. This is shown without it.";
        assert_eq!(said(None, "-revoked").unwrap(), without);
        assert_eq!(said(None, "-serial").unwrap(), "“-serial” is no order of certificates. This is shown without it.");
    }

    #[test]
    fn an_order_that_a_list_can_t_have_is_none() {
        let query = CertificateQuery { state: Some(CertificateState::Active), ..revoked(&CertificateQuery::default()) };
        assert_eq!(href(&query, 0), "/certificates?state=active", "only what was revoked is in the order of its revocation");
        assert_eq!(href(&CertificateQuery { sort: Some(CertificateSort::End), ..Default::default() }, 0), "/certificates");
        let said = |key: &str| (key == "sort").then(|| "-revoked".to_owned());
        assert_eq!(read(said), CertificateQuery::default());
        assert_eq!(read(|key| (key == "sort").then(|| "-serial".to_owned())).sort, None);
    }
}
