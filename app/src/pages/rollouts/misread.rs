//! Pure: what of the wizard's address is not understood: it is shown without that, and says so.

use super::{folds::PARTS, steps::Step};
use crate::{
    plan::{Draft, query},
    ui::{
        fold::FOLD,
        unread::{Unread, Word, unread},
    },
};

/// What of the address has to be one of some; everything else in it is the plan, and what is wrong with that is said at its fields.
const WORDS: [Word; 5] = [
    ("step", "step", |word| Step::named(word).is_some()),
    ("go", "step", |word| Step::named(word).is_some()),
    ("do", "button", is_button),
    ("open", "part", |part| PARTS.contains(&part) || part.parse::<usize>().is_ok()),
    ("release", "release", |id| id.parse::<wire::ids::ReleaseId>().is_ok()),
];
/// What buttons do, with and without something that they do it to.
const BUTTONS: ([&str; 3], [&str; 5]) = (["preview", "add", "first"], ["remove.", "template.", "with.", "without.", FOLD]);

fn is_button(what: &str) -> bool {
    BUTTONS.0.contains(&what) || BUTTONS.1.iter().any(|does| what.starts_with(does))
}

/// What of the address is not understood; none where there is nothing like that. A word of the plan is one that makes another plan of an empty one.
pub(super) fn misread(search: &str) -> Option<Unread> {
    let (pairs, empty) = (query::pairs(search), Draft::read(""));
    let of_plan = |key: &str| key == "first" || Draft::read(&format!("{key}=~")) != empty;
    let plan: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).filter(|key| of_plan(key)).collect();
    unread(search, &WORDS, &plan)
}

#[cfg(test)]
mod tests {
    use super::{super::wizard::Address, *};

    #[test]
    fn what_is_no_step_is_said_and_the_plan_beside_it_is_not() {
        let told = |search: &str| misread(search).map(|unread| (unread.said, unread.rest));
        for search in ["", "?step=gates&name=A&stages.0.reach=100&do=add&go=review", "?step=&open="] {
            assert_eq!(told(search), None, "{search}");
        }
        let plan = "name=Radio%20fix&stages.0.reach=100";
        let (said, rest) = told(&format!("?step=banana&{plan}")).unwrap();
        assert_eq!((said.as_str(), rest.as_str()), ("“banana” is no step. This is shown without it.", plan));
        assert_eq!(Address::read("?step=banana").step, Step::Firmware);
        assert_eq!(Address::read("?step=gates&go=banana").step, Step::Gates, "without it");
        assert!(told("?step=gates&go=banana").is_some());
        let strange = "?open=banana&do=xyz&stages=7&release=rel_banana&open=0&open=window&do=fold.2&first=tag%3Aa";
        let (said, rest) = told(strange).unwrap();
        let all = "“banana” is no part; “xyz” is no button; “stages” says nothing here; “rel_banana” is no release.";
        assert_eq!(said, format!("{all} This is shown without them."));
        assert_eq!(rest, "open=0&open=window&do=fold.2&first=tag%3Aa");
        // Everything that the forms send is understood.
        assert_eq!(told(&Address::read("?step=stages&do=add").query(Step::Gates)), None);
    }
}
