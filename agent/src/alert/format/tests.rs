//! What each form looks like, and that none is broken by what processes say.

use proptest::prelude::*;
use serde_json::Value;
use weir_core::alert::{GroupId, NotificationId};
use weir_core::detect::{Detector, Evidence, FindingId, Severity, Subject};
use weir_core::identity::IdentityId;

use super::*;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn time() -> Timestamp {
    "2026-11-26T08:00:00.25Z".parse().unwrap()
}

fn finding(text: &str, state: State) -> Finding {
    Finding {
        id: FindingId("0123456789abcdef0123456789abcdef".to_owned()),
        time: time(),
        since: time(),
        state,
        detector: Detector::BudgetBurn,
        severity: Severity::High,
        subject: Subject::Budget(text.to_owned()),
        identity: Some(IdentityId(text.to_owned())),
        owner: Some(text.to_owned()),
        team: None,
        summary: text.to_owned(),
        evidence: Evidence::default(),
        next_step: text.to_owned(),
    }
}

fn notification(reason: Reason, findings: Vec<Finding>) -> Notification {
    let firing = findings.iter().filter(|finding| finding.state == State::Firing).count();
    Notification {
        id: NotificationId("msg_1".to_owned()),
        webhook: "w".to_owned(),
        time: time(),
        reason,
        group: GroupId("group".to_owned()),
        labels: [("detector".to_owned(), "budget_burn".to_owned())].into(),
        findings,
        more: 0,
        firing: firing as u64,
    }
}

fn told(format: Format, notification: &Notification, secrets: &Secrets) -> Message {
    let telling = Telling { notification, host: "host-1", now: time(), secrets };
    telling.message(format).unwrap_or_else(|error| panic!("{error}"))
}

fn shown(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

const JSON_FORMATS: [Format; 5] =
    [Format::Standard, Format::Slack, Format::Pagerduty, Format::Alertmanager, Format::Ocsf];

fn secret(format: Format) -> Secrets {
    match format {
        Format::Standard => Secrets::of(&[KEY]),
        Format::Slack | Format::CefSyslog => Secrets::default(),
        Format::Pagerduty | Format::Alertmanager | Format::Ocsf | Format::SplunkHec => {
            Secrets::of(&["t0ken"])
        }
    }
}

#[test]
fn each_form_says_what_is_the_case() {
    for format in JSON_FORMATS {
        let secrets = secret(format);
        for (name, reason, findings) in [
            ("firing", Reason::News, vec![finding("a <b>", State::Firing)]),
            ("resolved", Reason::News, vec![finding("a <b>", State::Resolved)]),
            ("test", Reason::Test, vec![]),
        ] {
            let message = told(format, &notification(reason, findings), &secrets);
            let text = serde_json::to_string_pretty(&shown(&message)).unwrap();
            let text = text.replace(env!("CARGO_PKG_VERSION"), "[version]");
            insta::assert_snapshot!(format!("{}_{name}", format.as_str()), text);
        }
    }
}

#[test]
fn lines_and_events_stand_one_after_the_other() {
    let version = env!("CARGO_PKG_VERSION");
    let both = vec![finding("a=b|c\\\nd", State::Firing), finding("e", State::Resolved)];
    let both = notification(Reason::News, both);
    let text =
        |format| String::from_utf8(told(format, &both, &secret(format)).body.to_vec()).unwrap();
    let cef = text(Format::CefSyslog);
    let first = format!(
        "<107>1 2026-11-26T08:00:00.25Z host-1 weir - finding - \
         CEF:0|weir|weir|{version}|budget_burn|budget burn|8|externalId=0123456789abcdef0123456789abcdef \
         act=firing dvchost=host-1 suser=a\\=b|c\\\\\\nd start=1795680000250 end=1795680000250 \
         cs1Label=subject cs1=budget:a\\=b|c\\\\\\nd cs2Label=owner cs2=a\\=b|c\\\\\\nd cs3Label=team \
         cs4Label=nextStep cs4=a\\=b|c\\\\\\nd cs5Label=notification cs5=msg_1 msg=a\\=b|c\\\\\\nd"
    );
    assert_eq!(cef.lines().next(), Some(first.as_str()));
    assert_eq!(cef.lines().count(), 2);
    let splunk = text(Format::SplunkHec);
    let events: Vec<Value> =
        splunk.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["time"], "1795680000.250");
    assert_eq!(events[1]["event"]["state"], "resolved");
}

#[test]
fn who_asks_for_a_token_gets_it_in_its_own_way() {
    let test = notification(Reason::Test, vec![]);
    for (format, header) in [
        (Format::Alertmanager, "Bearer t0ken"),
        (Format::Ocsf, "Bearer t0ken"),
        (Format::SplunkHec, "Splunk t0ken"),
    ] {
        let message = told(format, &test, &secret(format));
        assert_eq!(message.headers.len(), 1);
        assert_eq!(message.headers[0].1.as_str(), header);
    }
    let message = told(Format::Pagerduty, &test, &secret(Format::Pagerduty));
    assert_eq!(shown(&message)["routing_key"], "t0ken");
    for format in [Format::Standard, Format::Pagerduty, Format::SplunkHec] {
        let secrets = Secrets::of(&["no token, no key"]);
        let telling = Telling { notification: &test, host: "h", now: time(), secrets: &secrets };
        assert_eq!(telling.message(format).err(), Some(SecretError::Malformed));
    }
}

/// With the example of Standard Webhooks' own tests.
#[test]
fn each_key_signs_what_was_sent_and_when() {
    let notification = notification(Reason::Test, vec![]);
    let other = format!("whsec_{}", "A".repeat(32));
    let message = told(Format::Standard, &notification, &Secrets::of(&[KEY, &other]));
    let header = |name: &str| {
        let found = message.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string()).unwrap()
    };
    assert_eq!(header("webhook-id"), "msg_1");
    assert_eq!(header("webhook-timestamp"), "1795680000");
    let signatures = header("webhook-signature");
    assert_eq!(signatures.split(' ').count(), 2);
    assert!(signatures.split(' ').all(|one| one.starts_with("v1,") && one.len() == 47));
    assert_eq!(
        standard::sign(
            &Secrets::of(&[KEY]).keys().unwrap()[0],
            b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}",
        ),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

proptest! {
    #[test]
    fn no_text_breaks_a_form(text in any::<String>(), over in any::<bool>()) {
        let state = if over { State::Resolved } else { State::Firing };
        let notification = notification(Reason::News, vec![finding(&text, state)]);
        for format in JSON_FORMATS {
            prop_assert!(shown(&told(format, &notification, &secret(format))).is_object()
                || format == Format::Ocsf);
        }
        let cef = told(Format::CefSyslog, &notification, &Secrets::default());
        let cef = String::from_utf8(cef.body.to_vec()).unwrap();
        prop_assert!(!cef.contains(char::is_control));
        prop_assert_eq!(cef.matches(" act=").count(), 1);
    }
}
