//! The page in a real browser: what it shows, how soon, after a restart of the supervisor, and to a screen reader.
//!
//! Where no Chromium is installed this is not tested, and the last lines of the suite say so.

use std::io::Write;

use rustix::process::Signal;
use serde_json::json;

use super::endpoint::{free, listens, town};
use crate::{
    alone,
    support::{
        browser::{Browser, installed},
        process,
        town::Town,
    },
};

/// A browser; or a line that says that this test was not run.
fn browser() -> Option<Browser> {
    let program = installed();
    if program.is_none() {
        // Not through the test's own output, which is shown for failures only.
        let text = "NOT RUN: the page in a browser, as no chromium is installed (apt-get install chromium)\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    program.map(Browser::start)
}

/// The state that the page shows of the witness.
const STATE: &str = "document.querySelector('a[href=\"#agent/alpha/witness\"]')?.closest('tr')?.querySelector('.chip')?.textContent";

/// What the browser says by itself when the supervisor is gone, which no page can prevent.
fn without_lost_connections(browser: &Browser) -> Vec<&String> {
    browser.complaints.iter().filter(|it| !it.contains("net::ERR_")).collect()
}

fn restarted(
    town: &Town,
    first: &mut crate::support::supervisor::Supervisor,
) -> crate::support::supervisor::Supervisor {
    first.stop(Signal::TERM);
    town.start()
}

#[test]
fn it_shows_the_town_live() {
    let Some(mut browser) = browser() else { return };
    let _alone = alone();
    let address = free();
    let town = town(json!({"listen": address.to_string()}));
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("the endpoint", || listens(address));
    browser.open(&format!("http://{address}/"));
    browser.wait("the agent", &format!("{STATE} === 'alive'"));
    browser.wait("what happened", "document.querySelectorAll('#events li').length > 0");
    assert_eq!(browser.text("document.getElementById('live').textContent"), "Live");
    let headline = browser.text("document.getElementById('headline').textContent");
    assert!(
        headline.starts_with("4 agents: ") && town.ask(&["status"]).stdout.contains(&headline),
        "{headline}"
    );
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // A death shows; how soon is a figure (`cargo bench --bench figures -- live`).
    browser.value(&format!(
        "window.seen = []; new MutationObserver(() => window.seen.push({STATE})).observe(document.getElementById('agents'), \
         {{subtree: true, childList: true, characterData: true}})"
    ));
    process::signal(town.incarnation("gt-alpha-witness").unwrap().1, Signal::KILL);
    browser.wait("its death", "window.seen.some((state) => state !== 'alive')");
    browser.wait("its restart", &format!("{STATE} === 'alive' && window.seen.includes('starting')"));

    // Its story, by the keyboard, and back.
    browser.value("document.querySelector('a[href=\"#agent/alpha/witness\"]').focus()");
    for kind in ["keyDown", "char", "keyUp"] {
        browser.call(
            "Input.dispatchKeyEvent",
            json!({"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}),
        );
    }
    browser.wait(
        "its story",
        "[...document.querySelectorAll('#story-entries li')].some((it) => it.textContent.includes('died'))",
    );
    assert_eq!(browser.text("location.hash"), "#agent/alpha/witness");
    for kind in ["keyDown", "keyUp"] {
        browser.call(
            "Input.dispatchKeyEvent",
            json!({"type": kind, "key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27}),
        );
    }
    browser.wait("its end", "document.getElementById('story').hidden");
    assert_eq!(browser.text("document.activeElement.getAttribute('href')"), "#agent/alpha/witness");
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // A supervisor that is gone, and another.
    browser.value(
        "new MutationObserver(() => { window.wasLost ||= !document.getElementById('lost').hidden; })\
         .observe(document.getElementById('lost'), {attributes: true})",
    );
    let mut second = restarted(&town, &mut supervisor);
    browser.wait("the lost connection", "window.wasLost");
    assert!(
        browser.text("document.getElementById('lost-since').textContent").starts_with("Not connected since ")
    );
    town.wait("the endpoint", || listens(address));
    let took = browser.wait("the next connection", "document.getElementById('lost').hidden");
    assert!(took.as_secs() < 10, "{took:?}");
    browser.wait("the agent", &format!("{STATE} === 'alive'"));
    let wrong = without_lost_connections(&browser);
    assert!(wrong.is_empty(), "{wrong:#?}");
    second.stop(Signal::TERM);
}

#[test]
fn what_a_screen_reader_and_a_phone_get() {
    let Some(mut browser) = browser() else { return };
    let _alone = alone();
    let address = free();
    let town = town(json!({"listen": address.to_string()}));
    town.put("ESTOP", "");
    let mut supervisor = town.start_and_beat();
    town.wait("the endpoint", || listens(address));
    let narrow = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
    for width in ["wide", "narrow"] {
        if width == "narrow" {
            browser.call("Emulation.setDeviceMetricsOverride", narrow.clone());
        }
        browser.open(&format!("http://{address}/"));
        browser.wait("the agent", &format!("{STATE} === 'paused'"));
        let tree = browser.accessible();
        let has = |role: &str, name: &str| tree.iter().any(|(a, b)| a == role && b == name);
        for (role, name) in [
            ("main", ""),
            ("heading", "town"),
            ("heading", "Agents 4"),
            ("heading", "Rig alpha"),
            ("table", "Agents: Rig alpha"),
            ("columnheader", "State"),
            ("link", "alpha/witness"),
            ("searchbox", "Find"),
            ("checkbox", "only those not as they should be"),
            ("list", "What concerns the town or a rig"),
        ] {
            assert!(has(role, name), "{width}: {role} {name:?}: {tree:#?}");
        }
        assert!(
            tree.iter().any(|(role, name)| role == "rowheader" && name.contains("alpha/witness")),
            "{tree:#?}"
        );
        let nameless = tree.iter().filter(|(role, name)| {
            ["link", "button", "searchbox", "checkbox", "table"].contains(&&**role) && name.is_empty()
        });
        assert_eq!(nameless.count(), 0, "{width}: {tree:#?}");
        let banner = browser.text("document.getElementById('banners').textContent");
        assert!(banner.contains("EMERGENCY STOP"), "{width}: {banner}");
        assert_eq!(
            browser.value("document.documentElement.scrollWidth <= innerWidth"),
            json!(true),
            "{width}"
        );
        assert_eq!(browser.text("document.documentElement.lang"), "en");
    }
    // Whatever is in the address stays text.
    browser.open(&format!("http://{address}/#agent/%3Cimg%20src=x%20onerror=alert(1)%3E/%E2%80%AE"));
    browser.wait(
        "a story of nobody",
        "document.getElementById('story-none')?.textContent.startsWith('unknown agent')",
    );
    let title = browser.text("document.getElementById('story-title').textContent");
    assert_eq!(title, "<img src=x onerror=alert(1)>/\\u{202e}");
    // The refusal is in the console, as each answer of 404 is.
    let wrong: Vec<_> = browser.complaints.iter().filter(|it| !it.contains("404 (Not Found)")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    supervisor.stop(Signal::TERM);
}

#[test]
fn the_token_is_typed_once_and_not_kept_in_the_address() {
    let Some(mut browser) = browser() else { return };
    let _alone = alone();
    let address = free();
    let town = town(json!({}));
    let file = town.path("settings/token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    town.settings(json!({"http": {"listen": address.to_string(), "token_file": file}}));
    let mut supervisor = town.start();
    town.wait("the endpoint", || listens(address));
    browser.open(&format!("http://{address}/"));
    browser.wait("the question", "document.body?.innerText.includes('This town asks for a token')");
    browser.value("document.getElementById('token').value = '0123456789abcdef'; document.querySelector('form button').click()");
    browser.wait("the town", "document.getElementById('live')?.textContent === 'Live'");
    assert_eq!(browser.text("location.href"), format!("http://{address}/"));
    assert_eq!(browser.text("document.cookie"), "", "no script can read it");
    browser.open(&format!("http://{address}/"));
    browser.wait("the town again", "document.getElementById('live')?.textContent === 'Live'");
    let wrong: Vec<_> = browser.complaints.iter().filter(|it| !it.contains("401 (Unauthorized)")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    supervisor.stop(Signal::TERM);
}
