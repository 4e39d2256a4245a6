//! Authorities whose certificate is made where a root's key is: the request, what to do with it there, and the way back; and lists that are signed there.

use super::{duties, text_link};
use crate::{
    api::{
        certificates::{ImportAuthority, ImportList, MakeClaimAuthority, ReadAuthorities, RequestAuthority, WithdrawRequest},
        packed::reading,
    },
    ui::{
        Control, PageHead, code_block, code_sample, copyable, empty, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal, said},
        icon,
        page::{card, page},
        select, time,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{AuthoritiesPage as Model, AuthorityRow},
    roots::AuthorityRequest,
    states::KeyPlace,
};

/// The page's calls.
#[derive(Clone, Copy)]
struct Calls {
    request: FormCall<RequestAuthority>,
    withdraw: FormCall<WithdrawRequest>,
    import: FormCall<ImportAuthority>,
    list: FormCall<ImportList>,
    claims: FormCall<MakeClaimAuthority>,
}

/// `/certificates/authorities/elsewhere`. It is not read again by itself: what is pasted here would go with it.
#[component]
pub fn ElsewherePage() -> AnyView {
    let model = reading(|| ReadAuthorities { after: String::new() });
    let calls = Calls {
        request: said::<RequestAuthority>("The request is ready", model),
        withdraw: said::<WithdrawRequest>("The request is given up", model),
        import: said::<ImportAuthority>("The certificate is in", model),
        list: said::<ImportList>("The list is published", model),
        claims: said::<MakeClaimAuthority>("Claims have their authority", model),
    };
    page(model, move |model: Model| content(&model, calls))
}

fn content(m: &Model, calls: Calls) -> AnyView {
    let sub = view! { <a href="/certificates/authorities">"Authorities"</a>" · for a root whose key is kept elsewhere, and for a root of your own" };
    let body = if m.may_manage {
        let offline = |s: &&wire::pki::AuthorityStanding| s.row.kind == "root" && s.row.key == KeyPlace::Offline && s.row.state.trusted();
        let lists = m.authorities.iter().filter(offline).map(|s| list_card(&s.row, calls.list)).collect_view();
        let waiting = m.requests.iter().map(|r| waiting(r, calls.withdraw)).collect_view();
        let sign = signing(&m.requests);
        view! {
            {duties::card_of(&m.duties, calls.claims)}
            {card("1. Ask", None, ask(calls.request))}
            {waiting}
            {card("2. Sign it where the root's key is", None, code_sample(sign, "Where the root's key is"))}
            {card("3. Bring the certificate back", None, bring(calls.import))}
            {lists}
        }
        .into_any()
    } else {
        view! { <div class="card">{empty("lock", "Not for you", "Only an admin can change authorities.", None)}</div> }.into_any()
    };
    let manual = view! { <a class="btn" href="/docs/roots" rel="external">"The manual"</a> };
    view! { <PageHead title="Signed elsewhere" sub=sub.into_any() actions=manual.into_any()/><div class="stack">{body}</div> }.into_any()
}

/// The line that signs a request and nothing else; which request, where several wait, whoever signs has to say.
fn signing(requests: &[AuthorityRequest]) -> String {
    let key = if let [one] = requests { one.public_key_sha256.as_str() } else { "SHA256" };
    format!("fleetward ca issue-intermediate --root root.age --passphrase-file passphrase --csr ca.csr --key-sha256 {key} --out ca.pem")
}

fn ask(call: FormCall<RequestAuthority>) -> AnyView {
    let kinds = [("device", "Devices"), ("server", "Our listeners"), ("claim", "Claims")];
    let kinds = kinds.map(|(value, label)| (value.to_owned(), label.to_owned())).to_vec();
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {select("kind", "It will issue to", kinds).refused(call).view()}
                {field("own_root", "A root of my own will sign it, which is not known here yet", Control::Check)
                    .hint("It takes over from the present root once it has signed one for devices and one for our listeners.").view()}
                <div class="row">{form::submit("Make a key and a request", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn waiting(r: &AuthorityRequest, call: FormCall<WithdrawRequest>) -> AnyView {
    let (id, name) = (r.id.to_string(), format!("{}.csr", r.id));
    let body = view! {
        <div class="stack">
            <p>"Asked for by "{r.created_by.clone()}" "{time::ago(r.created_at)}". It waits for its certificate."</p>
            {code_block(r.csr.clone(), "The request as PEM")}
            <dl class="kv"><dt>"Public key SHA-256"</dt><dd>{copyable(r.public_key_sha256.clone(), "Copy public key digest")}</dd></dl>
            <p class="text-2">"Take the digest to where the root’s key is by another way than the file: whoever swaps the file could have a key of their own signed."</p>
            <div class="row">
                <a class="btn" data-s="sm" href=text_link("application/pkcs10", &r.csr) download=name rel="external">{icon("download")}"Request"</a>
                <ActionForm action=call>
                    <input type="hidden" name="id" value=id/>
                    {form::submit("Give it up", "ghost", move || call.pending().get())}
                </ActionForm>
            </div>
            {move || fault_banner(refusal(call).as_ref())}
        </div>
    };
    card(super::super::common_name(&r.subject).to_owned(), None, body.into_any())
}

fn bring(call: FormCall<ImportAuthority>) -> AnyView {
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {field("certificates", "Certificates, PEM", Control::Area).required().refused(call).placeholder("-----BEGIN CERTIFICATE-----")
                    .hint("What was signed, and the root's own certificate if it is not known here. It is staged: nothing issues until you activate it.").view()}
                <div class="row">{form::submit("Check and stage", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

/// The next list of a root whose key is not here.
fn list_card(root: &AuthorityRow, call: FormCall<ImportList>) -> AnyView {
    let id = root.id.to_string();
    let lines = format!(
        "fleetward ca crl request {id} --out request.json\nfleetward ca root crl --root root.age --passphrase-file passphrase --request request.json --out root.crl"
    );
    let body = view! {
        <div class="stack">
            {code_block(lines, "The request here, the signature where the root's key is")}
            <ActionForm action=call>
                <div class="stack">
                    {move || fault_banner(refusal(call).as_ref())}
                    <input type="hidden" name="id" value=id.clone()/>
                    {field("list", "The signed list, PEM", Control::Area).id(format!("f-list-{id}")).required().refused(call)
                        .placeholder("-----BEGIN X509 CRL-----").view()}
                    <div class="row">{form::submit("Check and publish", "", move || call.pending().get())}</div>
                </div>
            </ActionForm>
        </div>
    };
    card(format!("List of revoked certificates of {}", root.common_name()), None, body.into_any())
}
