//! Certificates, authorities, tokens and devices that wait, by the console's forms.

use super::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use std::time::Duration;
use wire::pki::CertificateQuery;

#[tokio::test]
async fn profiles_are_made_given_by_tokens_and_removed_by_forms() {
    let b = Browser::new().await;
    // As a browser sends checkboxes: one pair for each that is checked, none when none is.
    let set = |name, keys: &[&'static str], rekey| {
        [("name", name), ("hours", "720"), ("rekey", rekey)].into_iter().chain(keys.iter().map(|key| ("keys[]", *key))).collect::<Vec<_>>()
    };
    for (key, rekey) in [(Some("dsa"), ""), (None, "sometimes")] {
        let refused = b.post("certificate_profile_set", &set("month", key.as_slice(), rekey)).await.unwrap_err();
        assert_eq!(refused, (400, "invalid".to_owned()), "{key:?}{rekey}");
    }
    assert_eq!(b.post("certificate_profile_set", &set("month", &["p-256", "ed25519"], "forbidden")).await.unwrap(), "/certificates/rules");
    let made = b.world.fleet.pki().profiles(&b.admin).await.unwrap();
    assert_eq!((made[0].rules.keys.len(), made[0].rules.rekey), (2, Some(wire::states::RekeyPolicy::Forbidden)));
    let (status, _, page) = b.send("GET", "/certificates/rules", FORM, Vec::new(), "text/html").await;
    let page = String::from_utf8(page).unwrap();
    assert!(status == StatusCode::OK && page.matches("name=\"keys[]\"").count() == 4, "{page}");
    let token = |profile| {
        [("label", "t"), ("pattern", ""), ("device_type", ""), ("tags", ""), ("max_uses", "1"), ("hours", "1"), ("profile", profile)]
    };
    assert_eq!(b.post("enrolment_token_new", &token("year")).await.unwrap_err(), (404, "profile_not_found".to_owned()));
    b.post("enrolment_token_new", &token("month")).await.unwrap();
    let used = b.post("certificate_profile_remove", &[("name", "month")]).await.unwrap_err();
    assert_eq!(used, (409, "profile_in_use".to_owned()));
    b.post("certificate_profile_set", &set("spare", &[], "")).await.unwrap();
    assert!(b.world.fleet.pki().profiles(&b.admin).await.unwrap()[1].rules.keys.is_empty(), "every type");
    assert_eq!(b.post("certificate_profile_remove", &[("name", "spare")]).await.unwrap(), "/certificates/rules");
    let ten_years = [("name", "plant"), ("hours", "87600"), ("rekey", "")];
    assert_eq!(b.post("certificate_profile_set", &ten_years).await.unwrap_err(), (400, "invalid".to_owned()), "it has to be said");
    b.post("certificate_profile_set", &[&ten_years[..], &[("factory", "true")]].concat()).await.unwrap();
    assert!(b.page("/certificates/rules").await.contains("3,650 days"));
}

#[tokio::test]
async fn keys_are_blocked_and_unblocked_by_forms() {
    let b = Browser::new().await;
    let key = KeyPair::generate().unwrap();
    let (public, private) = (key.public_key_pem(), key.serialize_pem());
    for wrong in [private.as_str(), "12", ""] {
        let refused = b.post("key_block", &[("public_key", wrong), ("reason", "found")]).await.unwrap_err();
        assert_eq!(refused, (400, "invalid".to_owned()), "{wrong}");
    }
    assert_eq!(b.post("key_block", &[("public_key", &public), ("reason", "in the image of 2.1")]).await.unwrap(), "/certificates/rules");
    let page = b.page("/certificates/rules").await;
    assert!(page.contains("in the image of 2.1") && page.contains("Unblock"), "{page}");
    let spki = b.world.fleet.pki().blocked_keys(&b.admin, None, None).await.unwrap().items.remove(0).spki_sha256;
    assert_eq!(b.post("key_unblock", &[("spki_sha256", &spki)]).await.unwrap(), "/certificates/rules");
    assert!(b.page("/certificates/rules").await.contains("No key is blocked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_batches_and_the_open_door_name_a_profile_by_forms() {
    let b = Browser::new().await;
    let rules = wire::pki::ProfileRules { hours: 720, factory: false, keys: Vec::new(), rekey: None };
    b.world.fleet.pki().set_profile(&b.admin, "month", rules).await.unwrap();
    let devices = b.world.fleet.devices();
    let page = async |path: &str| b.page(path).await;
    let asked = "Certificate profile";
    assert_eq!(page("/enrolment").await.matches(asked).count(), 2, "a token's, and that of devices without one");
    assert!(page("/enrolment?tab=factory").await.contains(asked));
    assert_eq!(page("/enrolment?tab=claim").await.matches(asked).count(), 2);

    let open = |profile| [("open", "true"), ("profile", profile)];
    assert_eq!(b.post("enrolment_open", &open("year")).await.unwrap_err(), (404, "profile_not_found".to_owned()));
    assert_eq!(b.post("enrolment_open", &open("month")).await.unwrap(), "/enrolment");
    assert!(page("/enrolment").await.contains("Their certificates are of the profile month."));

    let here = |profile| [("label", "bench"), ("pattern", "gw-1"), ("profile", profile)];
    assert_eq!(b.post("claim_here", &here("year")).await.unwrap_err(), (404, "profile_not_found".to_owned()));
    b.post("claim_here", &here("month")).await.unwrap();
    let claim = async |body: String| b.send("POST", "/enrolment/claims", FORM, body.into_bytes(), "application/json").await;
    let (status, _, made) = claim("label=image&pattern=gw-*&max_uses=5&hours=1&per_minute=5&profile=month".into()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&made));
    let all = devices.claims(&b.admin, None, None).await.unwrap().items;
    assert!(all.len() == 2 && all.iter().all(|c| c.profile == "month"), "{all:?}");
    assert!(page("/enrolment?tab=claim").await.contains("profile month"));

    // It is a form of words: what is larger is refused before it is read.
    let (status, _, refused) = claim(format!("label={}", "x".repeat(300_000))).await;
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!((status, &refused["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("form_too_large")));
    let (status, _, refused) = claim("label".into()).await;
    assert!(status.is_client_error(), "{}", String::from_utf8_lossy(&refused));

    let file = "--x\r\ncontent-disposition: form-data; name=\"label\"\r\n\r\nlot\r\n--x\r\ncontent-disposition: form-data; name=\"profile\"\r\n\r\nmonth\r\n\
                --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"lot.csv\"\r\n\r\ndevice_id,device_type,csr\ngw-9,gateway,\n\r\n--x--\r\n";
    let (status, headers, body) =
        b.send("POST", "/enrolment/batches", "multipart/form-data; boundary=x", file.into(), "application/json").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&body));
    assert_eq!(devices.batches(&b.admin, None, None).await.unwrap().items[0].profile, "month");
    let shown = page(headers[header::LOCATION].to_str().unwrap()).await;
    assert!(shown.contains("Its certificates are of the profile month.") && shown.contains("profile month"));
}

#[tokio::test]
async fn a_refusal_names_the_input_of_the_form_that_it_is_about() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    b.post("group/new", &[("name", "north")]).await.unwrap();
    let field = async |function: &str, form: &str| {
        let (status, _, body) = b.send("POST", &format!("/rpc/{function}"), FORM, form.as_bytes().to_vec(), "application/json").await;
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert!(status.is_client_error(), "{function}: {status} {fault}");
        fault["field"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(field("group/rename", "name=north&to=no*").await, "to");
    assert_eq!(field("devices/group", "devices=gw-1&expected=1&group=no*").await, "group");
    assert_eq!(field("session/change_password", "old=wrong&new=short").await, "new");
    assert_eq!(field("signing_key_add", "name=Builds&public_key=nonsense").await, "public_key");
}

#[tokio::test]
async fn a_secret_with_everything_around_it_survives_the_redirect_and_is_shown_once() {
    let b = Browser::new().await;
    let tags = (0..20).map(|i| format!("{i:0>50}")).collect::<Vec<_>>().join("+");
    let form = format!("label=Hall+3&pattern=gw-*&device_type=gateway&tags={tags}&max_uses=1&hours=1");
    let (status, headers, _) = b.send("POST", "/rpc/enrolment_token_new", FORM, form.into_bytes(), "text/html").await;
    assert_eq!(status, StatusCode::FOUND, "{headers:?}");
    let set = headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).find(|c| c.starts_with("fw_once=")).unwrap();
    assert!(set.len() < 4096 && set.contains("; Path=/enrolment;"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let secret = cookie.split_once('.').unwrap().1.to_owned();

    let page = |cookies: String| {
        let request = Request::get("/enrolment").header(header::COOKIE, cookies).body(Body::empty()).unwrap();
        async {
            let (parts, body) = b.router.clone().oneshot(request).await.unwrap().into_parts();
            (parts.headers, String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap())
        }
    };
    let (headers, text) = page(format!("{}; {cookie}", b.session)).await;
    assert!(text.contains(&format!("--token {secret} ")) && text.contains("--type gateway"), "the line to paste is there");
    assert!(headers.get_all(header::SET_COOKIE).iter().any(|v| v.to_str().unwrap().starts_with("fw_once=; Path=/enrolment; Max-Age=0;")));
    let (_, text) = page(b.session.clone()).await;
    assert!(!text.contains(&secret));
}

#[tokio::test]
async fn the_lines_of_a_token_make_a_key_that_its_profile_takes() {
    use wire::pki::KeyType::{Ed25519, P256, P384, Rsa};
    let b = Browser::new().await;
    let shown = async |keys: &[wire::pki::KeyType], tab: &str| {
        let rules = wire::pki::ProfileRules { hours: 720, factory: false, keys: keys.to_vec(), rekey: None };
        b.world.fleet.pki().set_profile(&b.admin, "strong", rules).await.unwrap();
        let form = "label=t&pattern=&device_type=&tags=&max_uses=1&hours=1&profile=strong";
        let (_, headers, _) = b.send("POST", "/rpc/enrolment_token_new", FORM, form.into(), "text/html").await;
        let set = headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).find(|c| c.starts_with("fw_once=")).unwrap();
        let cookies = format!("{}; {}", b.session, set.split(';').next().unwrap());
        let request = Request::get(format!("/enrolment{tab}")).header(header::COOKIE, cookies).body(Body::empty()).unwrap();
        let body = b.router.clone().oneshot(request).await.unwrap().into_body();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        text.split("card created").nth(1).expect("the new token is shown").split("</section>").next().unwrap().to_owned()
    };
    let est = "?tab=est";
    for (keys, makes) in [
        (&[][..], "ec_paramgen_curve:P-256"),
        (&[P256, P384][..], "ec_paramgen_curve:P-256"),
        (&[Ed25519, P384][..], "ec_paramgen_curve:P-384"),
        (&[Ed25519][..], "-algorithm ed25519"),
        (&[Rsa][..], "rsa_keygen_bits:3072"),
    ] {
        let text = shown(keys, est).await;
        assert!(text.contains(makes) && text.matches(makes).count() == text.matches("openssl genpkey").count(), "{keys:?}: {text}");
    }
    for (keys, key) in [(&[P384, Ed25519][..], "p-384"), (&[Ed25519], "ed25519"), (&[Rsa], "rsa-3072")] {
        let text = shown(keys, "").await;
        assert!(text.contains(&format!(" --key {key}")) && text.contains(&format!("so the agent is told to make a {key} key.")), "{text}");
        assert!(text.contains(&format!("alg={key}")), "the code says so as well: {text}");
    }
    let text = shown(&[P256, P384], "").await;
    assert!(text.contains("agent run --enrol") && !text.contains("--key") && !text.contains("alg="), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_chosen_by_every_form_that_lets_devices_in() {
    let b = Browser::new().await;
    let devices = b.world.fleet.devices();
    let asked = "Its devices are put into these as they come in.";
    assert!(!b.page("/enrolment").await.contains(asked), "there is none to choose");
    let north = devices.create_group(&b.admin, "north").await.unwrap().id.to_string();
    let hall = devices.create_group(&b.admin, "Hall 3, upstairs").await.unwrap().id.to_string();
    for tab in ["", "?tab=factory", "?tab=claim"] {
        let page = b.page(&format!("/enrolment{tab}")).await;
        assert!(page.contains(asked) && page.matches("name=\"groups[]\"").count() == 2 && page.contains("Hall 3, upstairs"), "{tab}");
    }
    let token = [("label", "t"), ("pattern", ""), ("device_type", ""), ("tags", ""), ("max_uses", "1"), ("hours", "1")];
    let giving = |group| [&token[..], &[("groups[]", hall.as_str()), ("groups[]", group)]].concat();
    let none = format!("grp_{}", "0".repeat(32));
    assert_eq!(b.post("enrolment_token_new", &giving(&none)).await.unwrap_err(), (400, "invalid".to_owned()));
    b.post("enrolment_token_new", &giving(&north)).await.unwrap();
    let page = b.page("/enrolment").await;
    assert!(page.contains("group north") && page.contains("group Hall 3, upstairs"), "{page}");

    let claim = format!("label=image&max_uses=5&hours=1&per_minute=5&groups%5B%5D={north}&groups%5B%5D={hall}");
    let (status, _, made) = b.send("POST", "/enrolment/claims", FORM, claim.into_bytes(), "application/json").await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&made));
    assert_eq!(devices.claims(&b.admin, None, None).await.unwrap().items[0].groups.len(), 2);

    let word = |name: &str, value: &str| format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let file = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"lot.csv\"\r\n\r\ndevice_id,device_type,csr\ngw-9,gateway,\n\r\n--x--\r\n";
    let form = [word("label", "lot"), word("groups[]", &north), word("groups[]", &hall), file.to_owned()].concat();
    let (status, headers, body) =
        b.send("POST", "/enrolment/batches", "multipart/form-data; boundary=x", form.into_bytes(), "application/json").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&body));
    let place = headers[header::LOCATION].to_str().unwrap();
    assert!(b.page(place).await.contains("Its devices are put into the groups: north, Hall 3, upstairs."));

    // Deleted, it is said to be, and can't be chosen.
    b.world.fleet.delete_group(&b.admin, "north").await.unwrap();
    let page = b.page("/enrolment").await;
    assert!(page.contains("group north (deleted)") && page.matches("name=\"groups[]\"").count() == 1, "{page}");
    assert!(b.page(place).await.contains("Its devices are put into the groups: north (deleted), Hall 3, upstairs."));

    // By the REST API the same, with names.
    let wanted = json!({ "label": "r", "groups": ["Hall 3, upstairs"], "max_uses": 1, "hours": 1 });
    let made = b.api("POST", "/enrolment-tokens", wanted.to_string().into_bytes()).await;
    assert_eq!(made["token"]["groups"], json!([{ "id": hall, "name": "Hall 3, upstairs", "deleted": false }]));
    let batch = b.api("POST", &format!("/enrolment-batches?groups={hall}"), b"{\"device_id\":\"gw-10\"}\n".to_vec()).await;
    assert_eq!(batch["groups"][0]["name"], "Hall 3, upstairs");
    assert_eq!(b.api("GET", "/groups", Vec::new()).await["items"][0]["id"], json!(hall));
}

#[tokio::test]
async fn a_device_that_waits_is_seen_and_decided_on_without_scripts() {
    let b = Browser::new().await;
    assert_eq!(b.post("enrolment_open", &[("open", "true")]).await.unwrap(), "/enrolment");
    let devices = b.world.fleet.devices();
    let attributes = [("site".to_owned(), "<b>Hall</b>".to_owned())].into();
    let (csr, device_type) = (fleet::testing::csr("gw-1"), "gateway".to_owned());
    let asked = EnrolRequest { csr, device_id: None, device_type, hardware: "B2".into(), attributes };
    let over = Over { open: Some(&b.world.org), ..Over::default() };
    let ask = async || devices.enrol_over(Attempt { secret: "", request: &asked, address: "192.0.2.1" }, over).await;
    assert!(matches!(ask().await, Err(fleet::devices::Error::Pending)));
    let waits = devices.enrolment_requests(&b.admin, None, None).await.unwrap().items.remove(0);
    let page = async |path: String| b.page(&path).await;
    let text = page("/enrolment".into()).await;
    let id = waits.id.to_string();
    let approve = format!("approve={id}");
    for part in [waits.code.as_str(), "192.0.2.1", "no token", "B2", "site=&lt;b&gt;Hall&lt;/b&gt;", &approve, "agent run --enrol"] {
        assert!(text.contains(part), "{part} is not on the page");
    }
    let question = page(format!("/enrolment?{approve}")).await;
    let question = question.split("card narrow ask").nth(1).expect("the question has a page of its own");
    assert!(question.contains(&waits.code) && question.contains("/rpc/enrolment_approve"), "who lets it in has compared the code");
    let question = page(format!("/enrolment?reject={id}")).await;
    let question = question.split("card narrow ask").nth(1).expect("the question has a page of its own");
    assert!(question.contains("Reject gw-1") && question.contains("/rpc/enrolment_reject"));
    let est = page("/enrolment?tab=est".into()).await;
    assert!(est.contains("/.well-known/est/simpleenroll") && est.contains(&b.world.fleet.pki().root_fingerprint()));
    assert_eq!(b.post("enrolment_approve", &[("id", &id)]).await.unwrap(), "/enrolment");
    assert!(ask().await.is_ok());
    assert_eq!(b.post("enrolment_reject", &[("id", &id)]).await.unwrap_err(), (404, "not_found".to_owned()), "it is decided");
}

#[tokio::test]
async fn authorities_are_led_from_one_to_the_next_without_javascript() {
    let b = Browser::new().await;
    let page = async |path: String| b.page(&path).await;
    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let device = all.iter().find(|a| a.kind == "device").unwrap();
    let list = page("/certificates/authorities".into()).await;
    for part in
        ["Fleetward Root CA G1", "On this machine, encrypted", "trust bundle 1", &format!("/certificates/authorities/{}", device.id)]
    {
        assert!(list.contains(part), "{part} is not on the page");
    }
    let detail = page(format!("/certificates/authorities/{}", device.id)).await;
    assert!(
        detail.contains("Stage the next one") && detail.contains("Give up as compromised") && detail.contains("Chain, from its issuer")
    );
    let question = page(format!("/certificates/authorities/{}/stage", device.id)).await;
    assert!(question.contains("/rpc/authority_step") && question.contains("does not issue yet"));
    assert!(page(format!("/certificates/authorities/{}/nonsense", device.id)).await.contains("There is nothing of this name"));
    assert!(page(format!("/certificates/authorities/{}/retire", device.id)).await.contains("Activate its successor first"));

    let id = device.id.to_string();
    let led = b.post("authority_step", &[("id", &id), ("step", "stage")]).await.unwrap();
    let next = led.strip_prefix("/certificates/authorities/").unwrap().to_owned();
    assert!(page(led).await.contains("Staged"));
    let detail = page(format!("/certificates/authorities/{id}")).await;
    assert!(detail.contains("aria-disabled=\"true\"") && detail.contains("There is a staged authority for this use already"));
    let question = page(format!("/certificates/authorities/{next}/activate")).await;
    assert!(question.contains("No device has a certificate of Fleetward Device CA G1-1 to renew."), "{question}");
    assert!(b.post("authority_step", &[("id", &next), ("step", "activate")]).await.is_ok());
    let unconfirmed = b.post("authority_step", &[("id", &next), ("step", "compromise"), ("confirm", "yes")]).await;
    assert_eq!(unconfirmed.unwrap_err().1, "not_confirmed");
    assert!(b.post("authority_step", &[("id", &id), ("step", "retire")]).await.is_ok(), "no certificate of it is in use");
    let nobody = b.post("authority_step", &[("id", "x"), ("step", "retire")]).await.unwrap_err();
    assert_eq!(nobody, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn r_11_what_is_left_of_an_authority_is_done_without_javascript() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let token = wire::enrolment::NewEnrolmentToken { label: "line 3".into(), max_uses: 5, hours: 24, ..Default::default() };
    b.world.fleet.devices().create_enrolment_token(&b.admin, token).await.unwrap();
    let page = async |path: &str| b.page(path).await;
    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let device = all.iter().find(|a| a.kind == "device").unwrap();
    let (id, here) = (device.id.to_string(), format!("/certificates/authorities/{}", device.id));
    assert!(!page(&here).await.contains("certificate%3Auntrusted"), "nothing is left of one that is believed");
    let step = [("id", id.as_str()), ("step", "compromise"), ("confirm", device.common_name())];
    assert_eq!(b.post("authority_step", &step).await.unwrap(), here);
    let after = page(&here).await;
    for part in ["1 device has a certificate of it", "Lift the freeze", "Their own keys were not lost", "certificate%3Auntrusted"] {
        assert!(after.contains(part), "{part} is not on the page");
    }
    let list = page("/certificates?state=untrusted").await;
    assert!(list.contains("Not trusted") && list.contains("authority compromised"));
    assert!(page("/enrolment").await.contains("Frozen"));

    let way = [("id", id.as_str()), ("how", "auto")];
    assert_eq!(b.post("authority_recover", &[&way[..], &[("days", "91")]].concat()).await.unwrap_err().1, "invalid");
    assert_eq!(b.post("authority_recover", &[&way[..], &[("days", "7")]].concat()).await.unwrap(), here);
    assert!(page(&here).await.contains("They come back by themselves"));
    assert_eq!(b.post("authority_thaw", &[("id", &id)]).await.unwrap(), here);
    assert!(!page(&here).await.contains("Lift the freeze"));
}

/// Above a certificate as well an authority is marked whose key somebody else may have.
#[tokio::test]
async fn h_4_the_chain_of_a_certificate_marks_an_authority_with_an_alarm() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let pki = b.world.fleet.pki().clone();
    let listed = pki.certificates_page(&b.admin, &CertificateQuery::default()).await.unwrap();
    let here = format!("/certificates/{}", listed.certificates.items[0].id);
    let before = b.page(&here).await;
    assert!(before.contains("Chain, from its issuer to the root") && !before.contains("Alarm"), "{before}");

    let device = listed.authorities.iter().find(|a| a.kind == "device").unwrap();
    let (_, thief) = pki.stolen(device).await;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "gw-2");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    let begins = b.world.clock_now().plus(-3_600_000);
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_millis(u64::try_from(begins.0).unwrap());
    params.not_after = params.not_before + Duration::from_hours(24 * 30);
    let forged = params.signed_by(&KeyPair::generate().unwrap(), &thief).unwrap();
    let trust = pki.trust();
    assert!(trust.check(forged.der()).is_err());
    trust.unknown_from(forged.der(), "198.51.100.7".parse().unwrap());
    b.world.clock.advance(7_000);
    let worker = tokio::spawn(async move { pki.work().await });
    let told = async {
        while trust.unknown_seen() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), told).await.expect("the database is asked");
    worker.abort();
    let after = b.page(&here).await;
    assert_eq!(after.matches("Alarm").count(), 1, "{after}");
}

#[tokio::test]
async fn k_6_a_second_person_is_asked_and_answers_without_javascript() {
    let mut b = Browser::new().await;
    b.world.person("eve", Role::Admin).await;
    let page = async |b: &Browser, path: &str| b.page(path).await;
    let here = "/certificates/authorities/requests";
    let before = page(&b, here).await;
    assert!(before.contains("One admin is enough") && before.contains("Let two people decide") && before.contains("Nothing waits"));
    assert_eq!(b.post("authority_approvals", &[("on", "true")]).await.unwrap(), here);
    assert_eq!(b.post("authority_approvals", &[("on", "false")]).await.unwrap_err().1, "invalid", "it says why");

    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let id = all.iter().find(|a| a.kind == "device").unwrap().id.to_string();
    let detail = page(&b, &format!("/certificates/authorities/{id}")).await;
    assert!(detail.contains("Two people decide here"));
    let question = page(&b, &format!("/certificates/authorities/{id}/stage")).await;
    assert!(question.contains("before another admin has approved it") && question.contains("name=\"reason\""), "it is said beforehand");
    let stage = [("id", id.as_str()), ("step", "stage")];
    assert_eq!(b.post("authority_step", &stage).await.unwrap_err().1, "invalid");
    let reason = [("reason", "the old one ends <soon>")];
    assert_eq!(b.post("authority_step", &[&stage[..], &reason].concat()).await.unwrap(), here);
    let mine = page(&b, here).await;
    for part in
        ["Stage the next authority for devices", "ends &lt;soon", "a new authority for devices", "someone else must decide", "Take back"]
    {
        assert!(mine.contains(part), "{part} is not on the page");
    }
    assert!(!mine.contains(&format!("{here}?approve=")), "no way to approve one's own");
    assert!(page(&b, &format!("/certificates/authorities/{id}")).await.contains("waits for another admin"));
    let row = b.world.fleet.pki().consents_page(&b.admin).await.unwrap().waiting.remove(0).row;
    let (request, digest) = (row.id.to_string(), row.digest.to_string());
    let yes = [("id", request.as_str()), ("approve", "true"), ("digest", &digest), ("reason", "fine")];
    assert_eq!(b.post("authority_decide", &yes).await.unwrap_err(), (403, "own_request".to_owned()));

    let eve = b.world.fleet.access().sign_in("eve@example.com", "a long enough password", &Origin::default()).await.unwrap();
    b.session = format!("fw_access={}", eve.access);
    assert!(page(&b, "/approvals").await.contains("1 request about authorities waits"));
    let theirs = page(&b, &format!("{here}?approve={request}")).await;
    let question = theirs.split("card narrow ask").nth(1).expect("the question stands on the page");
    assert!(question.contains("/rpc/authority_decide") && question.contains(&digest) && question.contains("Approve and do it"));
    assert_eq!(b.post("authority_decide", &yes).await.unwrap(), here);
    let after = page(&b, here).await;
    assert!(after.contains("Approved and done") && after.contains("Nothing waits"));
    let staged = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    assert_eq!(staged.iter().filter(|a| a.state == wire::states::AuthorityState::Staged).count(), 1);
}

#[tokio::test]
async fn a_20_the_console_says_that_the_clock_jumped_and_takes_the_new_time() {
    let b = Browser::new().await;
    let page = async |path: &str| b.page(path).await;
    assert!(!page("/certificates").await.contains("has jumped"));
    b.world.clock.jump(600_000);
    // The renderer may put marks between a sentence and what is put into it.
    let shown = page("/certificates").await;
    assert!(shown.contains("clock has jumped by") && shown.contains("+10 min") && shown.contains("/rpc/clock_accept"));
    assert!(page("/").await.contains("has jumped by +10 min"), "the overview says so");
    assert_eq!(b.post("clock_accept", &[]).await.unwrap(), "/certificates");
    assert!(!page("/certificates").await.contains("has jumped"));
}

/// The lines of a token take the host's name unless they name the device; what that has to fit is said beside them.
#[tokio::test]
async fn a_token_s_lines_say_which_names_it_takes() {
    let b = Browser::new().await;
    for (pattern, says) in [("u-*", Some("<code>u-*")), ("gw-1 gw-2", Some("one of")), ("gw-1", None), ("", None), ("*", None)] {
        let token = wire::enrolment::NewEnrolmentToken {
            label: "line 3".into(),
            pattern: pattern.into(),
            max_uses: 1,
            hours: 1,
            ..Default::default()
        };
        let made = b.world.fleet.devices().create_enrolment_token(&b.admin, token).await.unwrap();
        for way in ["agent", "est"] {
            let request = Request::builder()
                .uri(format!("/enrolment?tab={way}"))
                .header(header::COOKIE, format!("{}; fw_once={}.{}", b.session, made.token.id, made.secret))
                .header(header::ACCEPT, "text/html");
            let response = b.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let page = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
            assert!(page.contains("Token for line 3"), "{way}: {page}");
            assert_eq!(page.contains("The name of the device has to fit"), says.is_some(), "{way} {pattern:?}: {page}");
            assert!(says.is_none_or(|says| page.contains(says)), "{way} {pattern:?}: {page}");
        }
    }
}
