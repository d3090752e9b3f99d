//! What is known of identities and credentials, against a plain fold over everything that was stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use proptest::prelude::*;
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::{Assigned, IdentityId, Workload};
use weir_core::meter::UsageRecord;
use weir_core::secret::FingerprintKey;
use weir_core::units::{Role, Timestamp};

use super::super::inventory::Inventory;
use super::super::testing::{call, change, time};
use super::super::{
    CallsQuery, Change, Deed, Dimension, Entry, IdentityKind, IdentityQuery, Ledger, Options,
    Standing, rebuild, verify,
};
use super::{DAY, KEEP, open, query};

const BOT: &str = "spiffe://weir.local/host/h/unit/u1.service";
const NEW: &str = "spiffe://weir.local/host/h/unit/new.service";

/// Call `number` with the credential of that number.
fn used(number: u64, credential: u64, at: i64) -> UsageRecord {
    let key = FingerprintKey::new([1; 32]);
    UsageRecord {
        credential: Some(key.fingerprint("bearer", &credential.to_be_bytes())),
        credential_kind: Some(CredentialKind::OpenaiKey),
        credential_in: Some(CredentialPlace::Header),
        credential_ids: BTreeMap::from([("openai_project".to_owned(), format!("p{credential}"))]),
        ..call(number, time(at))
    }
}

fn entry(record: UsageRecord) -> Entry {
    Entry::Call(Box::new(record))
}

fn said(number: u64, identity: &str, deed: Deed, at: i64) -> Entry {
    Entry::Change(Box::new(change(number, identity, deed, time(at))))
}

fn to(name: &str) -> Deed {
    Deed::Rename { to: IdentityId(name.to_owned()) }
}

fn at(second: i64) -> IdentityQuery {
    IdentityQuery { uid: None, now: time(second) }
}

/// What the ledger knows, of one moment.
fn known(ledger: &Ledger, uid: Option<u32>) -> serde_json::Value {
    let query = IdentityQuery { uid, ..at(40 * DAY) };
    let mut identities = serde_json::to_value(ledger.reader().identities(&query).unwrap()).unwrap();
    let mut credentials =
        serde_json::to_value(ledger.reader().credentials(&query).unwrap()).unwrap();
    // From when on is known is another matter for each of the ways to know it.
    identities["begins"].take();
    credentials["begins"].take();
    serde_json::json!([identities, credentials])
}

#[test]
fn an_identity_is_what_its_calls_say() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let mut owned = used(4, 7, 50);
    owned.workload.assigned = Some(Assigned {
        rule: "bots".to_owned(),
        owner: Some("ann".to_owned()),
        ..Assigned::default()
    });
    let served = UsageRecord { role: Role::Server, ..used(1, 9, 90) };
    let unowned = UsageRecord { workload: Workload::default(), ..used(2, 8, 60) };
    let entries = [used(1, 7, 10), owned, unowned, served].map(entry);
    ledger.append(time(90), &entries).unwrap();
    let report = ledger.reader().identities(&at(100)).unwrap();
    assert_eq!(report.identities.len(), 2);
    let bot = &report.identities[1];
    assert_eq!((bot.identity.0.as_str(), bot.kind), (BOT, IdentityKind::Unit));
    assert_eq!((bot.first_seen, bot.last_seen), (time(10), time(50)));
    assert_eq!((bot.usage.calls, bot.usage.tokens.input_uncached), (2, 5));
    assert_eq!((bot.state, bot.unowned), (Standing::Active, false));
    assert_eq!(bot.uids, [0, 1].into());
    assert_eq!(bot.models.values.len(), 2);
    assert_eq!(bot.endpoints.values, ["api.openai.com".to_owned()].into());
    assert!(report.identities[0].unowned);
    let later = ledger.reader().identities(&at(31 * DAY + 60)).unwrap();
    assert_eq!(later.identities[0].state, Standing::Dormant);
    let credentials = ledger.reader().credentials(&at(100)).unwrap().credentials;
    assert_eq!(credentials.len(), 2);
    assert_eq!(credentials[1].identities.values, [BOT.to_owned()].into());
    assert_eq!(credentials[1].places, BTreeMap::from([(CredentialPlace::Header, 2)]));
    assert_eq!(credentials[1].age_seconds, 90);
    assert_eq!(credentials[1].ids["openai_project"], "p7");
}

#[test]
fn a_user_sees_what_that_user_did() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    // The same identity and credential with two users: even numbers are user 0, odd ones user 1.
    ledger.append(time(9), &[entry(used(1, 7, 1)), entry(used(4, 7, 2))]).unwrap();
    let reader = ledger.reader();
    let of = |uid| IdentityQuery { uid: Some(uid), ..at(9) };
    for (uid, calls, input) in [(0, 1, 4), (1, 1, 1)] {
        let mine = reader.identities(&of(uid)).unwrap().identities;
        assert_eq!((mine.len(), mine[0].usage.calls), (1, calls));
        assert_eq!(mine[0].usage.tokens.input_uncached, input);
        assert_eq!(mine[0].uids, [uid].into());
        let keys = reader.credentials(&of(uid)).unwrap().credentials;
        assert_eq!((keys.len(), keys[0].usage.calls), (1, calls));
    }
    assert_eq!(reader.identities(&of(2)).unwrap().identities, []);
    assert_eq!(reader.identity(BOT, &of(2)).unwrap(), None);
    assert_eq!(reader.identities(&at(9)).unwrap().identities[0].usage.calls, 2);
}

#[test]
fn an_offboarded_identity_that_calls_again_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(1), &[entry(call(1, time(1))), said(1, BOT, Deed::Offboard, 2)]).unwrap();
    let look = |ledger: &Ledger| ledger.reader().identity(BOT, &at(9)).unwrap().unwrap();
    let found = look(&ledger);
    assert_eq!(found.identity.state, Standing::Offboarded);
    assert_eq!(found.identity.offboarded.unwrap().calls, 0);
    ledger.append(time(3), &[entry(call(1, time(3))), entry(call(4, time(4)))]).unwrap();
    let check = |ledger: &Ledger| {
        let found = look(ledger);
        let offboarded = found.identity.offboarded.unwrap();
        assert_eq!((offboarded.calls, offboarded.last_call), (2, Some(time(4))));
        assert_eq!((offboarded.since, offboarded.reason.as_deref()), (time(2), Some("reason 1")));
        assert_eq!(found.changes, [change(1, BOT, Deed::Offboard, time(2))]);
    };
    check(&ledger);
    drop(ledger);
    let (mut ledger, _) = open(dir.path());
    check(&ledger);
    ledger.append(time(5), &[said(2, BOT, Deed::Restore, 5), entry(call(1, time(6)))]).unwrap();
    assert_eq!(look(&ledger).identity.state, Standing::Active);
    // Offboarded anew, it is counted anew.
    ledger.append(time(7), &[said(3, BOT, Deed::Offboard, 7), entry(call(1, time(8)))]).unwrap();
    assert_eq!(look(&ledger).identity.offboarded.unwrap().calls, 1);
    assert_eq!(look(&ledger).changes.len(), 3);
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
}

#[test]
fn a_renamed_identity_keeps_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let renamed = UsageRecord { identity: IdentityId(NEW.to_owned()), ..used(7, 7, 9) };
    let entries =
        [entry(used(1, 7, 1)), entry(used(2, 8, 2)), said(1, BOT, to(NEW), 3), entry(renamed)];
    ledger.append(time(9), &entries).unwrap();
    let check = |ledger: &Ledger| {
        let reader = ledger.reader();
        for until in [3599, 3600] {
            let by = [Dimension::Identity];
            let report = reader.usage(&query(&by, 0, until)).unwrap();
            let rows = report.rows.iter().map(|row| (row.key.0[0].1.as_deref(), row.usage.calls));
            let rows: BTreeMap<_, _> = rows.collect();
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[&Some(NEW)], 2);
            assert_eq!(report.totals.calls, 3);
        }
        for name in [BOT, NEW] {
            let found = reader.identity(name, &at(10)).unwrap().unwrap();
            assert_eq!(found.identity.identity.0, NEW);
            assert_eq!(found.identity.renamed_from, [BOT.to_owned()].into());
            assert_eq!((found.identity.usage.calls, found.changes.len()), (2, 1));
            let calls = CallsQuery { identity: Some(name.to_owned()), ..CallsQuery::default() };
            assert_eq!(reader.calls(calls).unwrap().count(), 2);
        }
        let keys = reader.credentials(&at(10)).unwrap().credentials;
        assert_eq!(keys[0].identities.values, [NEW.to_owned()].into());
    };
    check(&ledger);
    ledger.shared.index_mut().take();
    check(&ledger);
    drop(ledger);
    rebuild(dir.path(), time(9)).unwrap();
    check(&open(dir.path()).0);
}

#[test]
fn a_row_of_the_longest_texts_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let worst = |number: u64| format!("{number}{}", "\u{1}".repeat(5000));
    for number in 0..40 {
        let mut record = used(number, 1, 1);
        record.identity.0 = worst(0);
        record.process.uid = 0;
        (record.provider, record.host) = (worst(number), Some(worst(number)));
        record.model = Some(worst(number));
        record.credential_ids = (0..40).map(|number| (worst(number), worst(number))).collect();
        record.workload.assigned = Some(Assigned {
            rule: worst(1),
            owner: Some(worst(2)),
            team: Some(worst(3)),
            product_line: Some(worst(4)),
            cost_center: Some(worst(5)),
            environment: Some(worst(6)),
            labels: record.credential_ids.clone(),
        });
        ledger.append(time(1), &[entry(record)]).unwrap();
    }
    let inventory = ledger.reader().whole_inventory().unwrap();
    let lengths = inventory.identities.values().map(|row| serde_json::to_vec(row).unwrap().len());
    // A control character takes six bytes.
    assert!(lengths.max().unwrap() < 120 << 10, "{:?}", inventory.identities.len());
    let lengths = inventory.credentials.values().map(|row| serde_json::to_vec(row).unwrap().len());
    assert!(lengths.max().unwrap() < 120 << 10);
}

/// Something that happens to a ledger.
#[derive(Clone, Debug)]
enum Event {
    Calls(Vec<(u64, u64)>),
    Change(u64, u64, u8),
    NextDay,
    Reopen,
    Crash,
    Rebuild,
    IndexBreaks,
}

fn event() -> impl Strategy<Value = Event> {
    let calls = prop::collection::vec((0..200u64, 0..24u64), 0..30);
    prop_oneof![
        6 => calls.prop_map(Event::Calls),
        2 => (0..4u64, 0..4u64, 0..3u8).prop_map(|(one, other, deed)| Event::Change(one, other, deed)),
        3 => Just(Event::NextDay),
        1 => Just(Event::Reopen),
        1 => Just(Event::Crash),
        1 => Just(Event::Rebuild),
        1 => Just(Event::IndexBreaks),
    ]
}

fn unit(number: u64) -> String {
    format!("spiffe://weir.local/host/h/unit/u{number}.service")
}

/// Opens it as it is, or made anew.
fn again(dir: &Path, now: Timestamp, keep: &Options) -> Ledger {
    Ledger::open(dir, now, keep.clone()).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever happens, and though the lines of all but two days are gone. There are more identities
    /// and credentials than there is room for in tests.
    #[test]
    fn the_inventory_is_a_fold_over_all_that_was_ever_stored(
        events in prop::collection::vec(event(), 1..16),
    ) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        let keep = Options { retain_days: Some(1), ..KEEP };
        let mut now = time(0);
        let mut ledger = again(dir, now, &keep);
        let mut plain = Inventory::default();
        let mut seq = 1;
        let mut number = 0;
        for event in events {
            let mut entries = Vec::new();
            match event {
                Event::Calls(calls) => entries.extend(calls.iter().map(|(call, credential)| {
                    let mut record = used(*call, *credential, 0);
                    record.identity.0 = unit(call % 20);
                    record.time = now + SignedDuration::from_secs((*call).cast_signed());
                    entry(record)
                })),
                Event::Change(one, other, deed) => {
                    number += 1;
                    let deed = match deed {
                        0 => Deed::Offboard,
                        1 => Deed::Restore,
                        _ => to(&unit(other)),
                    };
                    let change = Change { time: now, ..change(number, &unit(one), deed, now) };
                    entries.push(Entry::Change(Box::new(change)));
                }
                Event::NextDay => now += SignedDuration::from_hours(24),
                Event::Reopen => {
                    ledger.close().unwrap();
                    ledger = again(dir, now, &keep);
                }
                Event::Crash => {
                    drop(ledger);
                    ledger = again(dir, now, &keep);
                }
                Event::Rebuild => {
                    ledger.close().unwrap();
                    rebuild(dir, now).unwrap();
                    ledger = again(dir, now, &keep);
                }
                Event::IndexBreaks => {
                    ledger.shared.index_mut().take();
                    ledger.retry = std::time::Instant::now();
                }
            }
            for entry in &entries {
                plain.take(seq, entry);
                seq += 1;
            }
            ledger.append(now, &entries).unwrap();
            let folded = ledger.reader().whole_inventory().unwrap();
            prop_assert_eq!(&folded, &plain);
        }
        let shown = known(&ledger, None);
        ledger.close().unwrap();
        prop_assert_eq!(verify(dir).unwrap().problem_count, 0);
        fs::remove_dir_all(dir.join("index")).unwrap();
        let ledger = again(dir, now, &keep);
        prop_assert_eq!(known(&ledger, None), shown);
    }
}
