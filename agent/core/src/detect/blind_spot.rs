//! Connections to a model endpoint that nothing is read of: calls that nobody counts.
//!
//! A program that ended too soon, a connection older than the daemon, or plain HTTP to this host is good to know;
//! anything else is low, and medium once [`Settings::bytes`] were sent. See `docs/blind-spots.md`.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, hours};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::blind::Reason;
use crate::units::Timestamp;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many bytes sent are medium.
    pub bytes: u64,
    /// So many hours without such a connection, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bytes: 1 << 20, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BlindSpots(Table<Sent, 1000>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sent {
    bytes: u64,
    connections: u64,
    from: Option<Timestamp>,
}

impl Watch for BlindSpots {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::BlindSpot;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, _settings: &Settings, _call: &Call<'_>, _say: &mut Say<'_>) {}

    fn other(&mut self, settings: &Settings, seen: &Seen<'_>, say: &mut Say<'_>) {
        let Seen::Blind(spot) = seen else { return };
        let what = format!("{}\0{}", spot.reason, spot.host);
        let subject = Subject::Identity(spot.identity.clone());
        let name = format!("{}\0{what}", spot.identity);
        if !say.is_open(&subject, &what) {
            self.0.remove(&name);
        }
        let sent = self.0.row(&name);
        sent.bytes = sent.bytes.saturating_add(spot.written);
        sent.connections = sent.connections.saturating_add(spot.connections);
        sent.from.get_or_insert(spot.time);
        let is_local = spot.plain_http.as_ref().is_some_and(|said| said.loopback);
        let severity = match spot.reason {
            Reason::JoinedLate | Reason::TooShort | Reason::Lost => Severity::Informational,
            Reason::PlainHttp if is_local => Severity::Informational,
            Reason::PlainHttp
            | Reason::Quic
            | Reason::Jvm
            | Reason::Refused
            | Reason::NoSymbols
            | Reason::UnsupportedVersion
            | Reason::Unreadable
            | Reason::UnknownTls => {
                if sent.bytes >= settings.bytes {
                    Severity::Medium
                } else {
                    Severity::Low
                }
            }
        };
        say.holds(
            subject,
            &what,
            severity,
            || Whose::identity(spot.identity.clone()),
            || Report {
                summary: format!(
                    "nothing is read of {} connections of {} to {}: {}",
                    sent.connections, spot.identity, spot.host, spot.reason
                ),
                evidence: Evidence {
                    observed: Some(Amount::Bytes(sent.bytes)),
                    from: sent.from,
                    until: Some(spot.until),
                    details: BTreeMap::from([
                        ("host".to_owned(), spot.host.clone()),
                        ("reason".to_owned(), spot.reason.to_string()),
                    ]),
                    ..Evidence::default()
                },
                next_step: "Run `weir doctor`, which says of each reason what can be done"
                    .to_owned(),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::super::testing::{Line, Log, firing};
    use super::super::watch::Watches;
    use super::*;
    use crate::blind::{BlindSpot, KnownBy, Transport};
    use crate::identity::{IdentityId, Process};

    fn blind(log: Log, reason: Reason, written: u64) -> Log {
        log.line(|now| {
            Line::Blind(Box::new(BlindSpot {
                time: now,
                until: now,
                identity: IdentityId("a".to_owned()),
                process: Process { pid: 7, exe: None, uid: 1000 },
                unit: None,
                container: None,
                host: "api.openai.com".to_owned(),
                known_by: KnownBy::Name,
                remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 443)),
                transport: Transport::Tcp,
                reason,
                connections: 1,
                written,
                read: None,
                plain_http: None,
            }))
        })
    }

    #[test]
    fn what_is_not_read_is_found_by_its_reason() {
        let low = ("a", Severity::Low);
        let one = |reason, written| blind(Log::new(), reason, written);
        for (log, expected) in [
            (one(Reason::UnknownTls, 1000), &[low] as &[_]),
            (one(Reason::Quic, 1 << 20), &[("a", Severity::Medium)]),
            (one(Reason::TooShort, 1 << 20), &[("a", Severity::Informational)]),
            (blind(one(Reason::Jvm, 1000), Reason::Jvm, 1000), &[low]),
            (blind(one(Reason::Jvm, 1000), Reason::Jvm, 1 << 20), &[low, ("a", Severity::Medium)]),
            (blind(one(Reason::Jvm, 1000), Reason::Quic, 1000), &[low, low]),
            (blind(one(Reason::Jvm, 1 << 19).after_hours(25), Reason::Jvm, 1 << 19), &[low, low]),
        ] {
            let mut watches = Watches::default();
            watches.add::<BlindSpots>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
