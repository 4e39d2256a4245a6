//! How far an authority's devices are with orders to renew, and the way to ask more of them.

use crate::ui::{
    number::{counted, grouped},
    page::card,
    progress::progress,
    time,
};
use leptos::prelude::*;
use wire::pki::{AuthorityDetail as Model, RenewalProgress};

/// The card; nothing where nothing of the authority is renewed.
pub fn card_of(m: &Model) -> AnyView {
    let Some(renewals) = m.renewals else { return ().into_any() };
    let course = if renewals.asked == 0 {
        view! { <p>"Its devices renew their certificates by themselves in time. They can be asked to do so now, one after the other."</p> }
            .into_any()
    } else {
        let text = so_far(&renewals);
        let to_come = renewals.told_by.filter(|at| *at > m.at);
        view! {
            <p>{text.clone()}</p>
            {progress(text, renewals.renewed, renewals.asked)}
            {to_come.map(|at| view! { <p class="text-2">"The last one is told "{time::at(at)}"."</p> })}
        }
        .into_any()
    };
    let href = format!("/certificates/renew?authority={}", m.standing.row.id);
    let way = (renewals.may_ask && m.standing.devices > 0)
        .then(|| view! { <div class="row"><a class="btn" href=href>"Ask its devices to renew…"</a></div> });
    card("Renewal", None, view! { <div class="stack">{course}{way}</div> }.into_any())
}

fn so_far(renewals: &RenewalProgress) -> String {
    let RenewalProgress { asked, renewed, .. } = *renewals;
    let (that, have) = (if asked == 1 { "that was" } else { "that were" }, if renewed == 1 { "has" } else { "have" });
    format!("{} of {} {that} asked {have} renewed.", grouped(renewed), counted(asked, "device", "devices"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_of_how_many() {
        let renewals = RenewalProgress { asked: 12_000, renewed: 1_204, told_by: None, may_ask: true };
        assert_eq!(so_far(&renewals), "1,204 of 12,000 devices that were asked have renewed.");
        let few = |asked, renewed| so_far(&RenewalProgress { asked, renewed, ..renewals });
        assert_eq!(few(21, 1), "1 of 21 devices that were asked has renewed.");
        assert_eq!(few(1, 0), "0 of 1 device that was asked have renewed.");
    }
}
