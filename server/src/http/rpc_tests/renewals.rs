//! Many devices asked to renew, by the console's forms.

use super::Browser;

#[tokio::test]
async fn many_devices_are_asked_to_renew_without_scripts() {
    let b = Browser::new().await;
    for id in ["gw-1", "gw-2", "gw-3"] {
        let device = b.world.device(id, "gateway").await;
        b.world.channel(device).await;
    }
    let list = b.page("/devices?q=type:gateway").await;
    assert!(list.contains("href=\"/certificates/renew?q=type:gateway\"") && list.contains("formaction=\"/certificates/renew\""), "{list}");
    let asked = b.page("/certificates/renew?q=type:gateway").await;
    assert!(asked.contains("This is about the devices that match type:gateway: 3 devices."), "{asked}");
    assert!(asked.contains("Ask 3 devices") && asked.contains("name=\"expected\" value=\"3\"") && !asked.contains("Left out:"), "{asked}");
    let ticked = b.page("/certificates/renew?q=type:gateway&sort=version&sel=gw-1&sel=gw-3").await;
    assert!(ticked.contains("This is about gw-1, gw-3: 2 devices.") && ticked.contains("name=\"devices\" value=\"gw-1 gw-3\""), "{ticked}");
    assert!(ticked.replace("&amp;", "&").contains("href=\"/devices?q=type:gateway&sort=version\""), "back to the list they were ticked in");
    let hinted = b.page("/certificates/renew?q=type:gatway").await;
    assert!(hinted.contains("No device is of the type gatway. Did you mean gateway?"), "{hinted}");
    let slip = b.page("/certificates/renew?devices=gw-1,gw-2").await;
    assert!(slip.contains("“devices” says nothing here") && !slip.contains("Ask 3 devices"), "{slip}");

    let form = |devices, expected, minutes| {
        [("devices", devices), ("named", "1"), ("minutes", minutes), ("expected", expected), ("back", "/devices?q=type:gateway")]
    };
    let refused = (400, "invalid".to_owned());
    assert_eq!(b.post("devices/renew", &form("", "3", "")).await.unwrap_err(), refused, "nobody is not all");
    assert_eq!(b.post("devices/renew", &form("gw-1", "1", "soon")).await.unwrap_err(), refused);
    assert_eq!(b.post("devices/renew", &form("gw-1 gw-3", "1", "")).await.unwrap_err(), (409, "other_count".to_owned()));
    assert_eq!(b.post("devices/renew", &form("gw-1 gw-3", "2", "20")).await.unwrap(), "/devices?q=type:gateway");
    let rest = b.page("/certificates/renew?q=type:gateway").await;
    assert!(rest.contains("Ask 1 device") && rest.contains("Asked already, and not renewed yet"), "{rest}");
    assert!(b.page("/devices/gw-3/certificates").await.contains("one after the other: it is told at"));

    let all = b.world.fleet.pki().list_authorities(&b.admin).unwrap();
    let authority = all.iter().find(|a| a.kind == "device").unwrap();
    let page = format!("/certificates/authorities/{}", authority.id);
    let shown = b.page(&page).await;
    assert!(shown.contains("0 of 2 devices that were asked have renewed."), "{shown}");
    let question = format!("/certificates/renew?authority={}", authority.id);
    assert!(shown.contains(&format!("href=\"{question}\"")), "{shown}");
    let asked = b.page(&question).await;
    let about = format!("every device of the fleet with a certificate of {} to renew: 3 devices.", authority.common_name());
    assert!(asked.contains(&about) && asked.contains("Ask 1 device"), "{asked}");
    let back = page.as_str();
    let form = [("authority", authority.id.as_str()), ("expected", "3"), ("back", back)];
    assert_eq!(b.post("devices/renew", &form).await.unwrap(), back);
    assert!(b.page(&question).await.contains("Nobody is left to ask"));
    assert!(b.page(&page).await.contains("0 of 3 devices that were asked have renewed."));
}
