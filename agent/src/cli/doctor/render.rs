//! The report as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use weir_core::blind::BlindSpot;

use crate::cli::name::printable;
use crate::cli::output::{counted, grouped};
use crate::control::{CaptureFunction, DoctorReport};

pub(super) fn text(report: &DoctorReport) -> String {
    let mut page = Page::default();
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in &report.checks {
        page.line(format_args!("{:<4}  {:<width$}  {}", check.status, check.name, check.detail));
        if let Some(advice) = &check.advice {
            page.line(format_args!("      {:<width$}  → {advice}", ""));
        }
    }
    if !report.capture.is_empty() {
        page.heading("TLS code");
        for target in &report.capture {
            let (path, outcome) = (printable(&target.path), printable(&target.outcome));
            page.line(format_args!("  {path}: {outcome}"));
            for function in &target.functions {
                page.line(format_args!("    {}", printable(&described(function))));
            }
        }
    }
    page.counts("Looked at since the start", &report.attach);
    if !report.blind_spots.is_empty() {
        page.heading("Not read");
        for spot in &report.blind_spots {
            page.line(format_args!("  {}", printable(&unread(spot))));
        }
    }
    page.counts("Lost since the start", &report.losses);
    page.counts("Protocols not understood yet", &report.unsupported);
    page.counts("Models without a price", &report.unpriced);
    if report.served_connections > 0 {
        page.heading("Served");
        let connections = counted(report.served_connections, "connection", "connections");
        page.line(format_args!("  {connections} answered by this host: not metered here"));
    }
    if report.token_bindings_refused > 0 {
        page.heading("Workload identities");
        let exchanges = counted(report.token_bindings_refused, "exchange", "exchanges");
        page.line(format_args!(
            "  {exchanges} of a token not believed: it had another name, or was known"
        ));
    }
    if report.batch_claims_refused > 0 {
        page.heading("Batches");
        let claims = counted(report.batch_claims_refused, "claim", "claims");
        page.line(format_args!("  {claims} not believed of whose a batch or a file of results is"));
    }
    if !report.unknown.is_empty() {
        page.heading("Not known without a daemon");
        for unknown in &report.unknown {
            page.line(format_args!("  {unknown}"));
        }
    }
    page.0
}

/// `SSL_read+0x16 emulated, SSL_read+0x38 emulated`: the entry, then the return.
fn described(function: &CaptureFunction) -> String {
    let sites = std::iter::once(&function.entry).chain(&function.exits);
    let sites = sites.map(|site| format!("{} {}", site.at, site.kind));
    let returns = function.return_probe.then(|| "return probe".to_owned());
    sites.chain(returns).collect::<Vec<_>>().join(", ")
}

/// `spiffe://…/unit/bot.service (pid 7) → api.openai.com (192.0.2.1:443): 3 connections, 5,000 bytes
/// sent, 9,000 received: unknown_tls`.
fn unread(spot: &BlindSpot) -> String {
    let BlindSpot { identity, process, host, remote, reason, connections, written, read, .. } =
        spot;
    let connections = counted(*connections, "connection", "connections");
    let sent = counted(*written, "byte", "bytes");
    let received = read.map(|read| format!(", {} received", grouped(read))).unwrap_or_default();
    let pid = process.pid;
    let plain = spot.plain_http.iter().flat_map(|said| {
        let loopback = said.loopback.then_some(", on loopback");
        let credential = said.credential_in.is_some().then_some(", with a credential");
        loopback.into_iter().chain(credential)
    });
    let plain: String = plain.collect();
    format!(
        "{identity} (pid {pid}) → {host} ({remote}): {connections}, {sent} sent{received}: {reason}{plain}"
    )
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn heading(&mut self, heading: &str) {
        self.line(format_args!("\n{heading}"));
    }

    /// What is not 0; the checks have said that the rest is.
    fn counts(&mut self, heading: &str, counts: &BTreeMap<String, u64>) {
        let some: Vec<_> = counts.iter().filter(|(_name, count)| **count > 0).collect();
        if some.is_empty() {
            return;
        }
        self.heading(heading);
        let width = some.iter().map(|(_, count)| grouped(**count).len()).max().unwrap_or_default();
        for (name, count) in some {
            self.line(format_args!("  {:>width$}  {}", grouped(*count), printable(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::blind::{KnownBy, PlainRequest, Reason, Transport};
    use weir_core::http::CredentialPlace;
    use weir_core::identity::{IdentityId, Process};
    use weir_core::units::Timestamp;

    use crate::control::{CaptureSite, CaptureTarget, Check};

    /// The first of `sites` is the entry.
    fn function(sites: &[&str], return_probe: bool) -> CaptureFunction {
        let mut sites = sites.iter().map(|site| {
            let (at, kind) = site.split_once(' ').unwrap();
            CaptureSite { at: at.to_owned(), kind: kind.to_owned() }
        });
        let entry = sites.next().unwrap();
        let (symbol, _offset) = entry.at.split_once('+').unwrap();
        CaptureFunction { symbol: symbol.to_owned(), entry, return_probe, exits: sites.collect() }
    }

    fn spot(reason: Reason, transport: Transport) -> BlindSpot {
        BlindSpot {
            time: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            identity: IdentityId("spiffe://weir.local/host/a/unit/bot.service".to_owned()),
            process: Process { pid: 77, exe: Some("/usr/bin/bot".to_owned()), uid: 1000 },
            unit: Some("bot.service".to_owned()),
            container: None,
            host: "api.openai.com".to_owned(),
            known_by: KnownBy::Name,
            remote: "192.0.2.1:443".parse().unwrap(),
            transport,
            reason,
            connections: 2,
            written: 5_000,
            read: (transport != Transport::Quic).then_some(9_000),
            plain_http: (transport == Transport::Http).then(|| {
                let credential_in = Some(CredentialPlace::Header);
                Box::new(PlainRequest { loopback: true, credential_in, ..PlainRequest::default() })
            }),
        }
    }

    #[test]
    fn everything_is_said() {
        let report = DoctorReport {
            checks: vec![
                Check::ok("kernel", "Linux 6.1.0-28-amd64"),
                Check::warn("prices", "2 calls to a model without a price", "add it"),
                Check::fail("ledger", "the disk is full", "make room"),
            ],
            capture: vec![CaptureTarget {
                path: "/usr/lib/x86_64-linux-gnu/libssl.so.3".to_owned(),
                outcome: "attached".to_owned(),
                functions: vec![
                    function(&["SSL_read+0x16 emulated", "SSL_read+0x38 emulated"], false),
                    function(&["SSL_read_ex+0x0 entry"], true),
                    function(&["SSL_free+0x3 emulated"], false),
                ],
            }],
            attach: [("attached".to_owned(), 3), ("exited".to_owned(), 0)].into(),
            calls: 4,
            blind_spots: vec![
                spot(Reason::UnknownTls, Transport::Tcp),
                spot(Reason::Quic, Transport::Quic),
                spot(Reason::PlainHttp, Transport::Http),
            ],
            blind_connections: [("unknown_tls".to_owned(), 2), ("quic".to_owned(), 2)].into(),
            losses: [("ring_full".to_owned(), 0), ("truncated".to_owned(), 1024)].into(),
            served_connections: 1,
            token_bindings_refused: 3,
            batch_claims_refused: 1,
            unsupported: [("grpc".to_owned(), 7)].into(),
            unpriced: [("own-model".to_owned(), 2)].into(),
            unknown: Vec::new(),
        };
        insta::assert_snapshot!(text(&report));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let report = DoctorReport {
            checks: vec![Check::ok("kernel", "Linux 6.1.0")],
            unknown: vec!["what was lost".to_owned()],
            ..DoctorReport::default()
        };
        insta::assert_snapshot!(text(&report));
    }
}
