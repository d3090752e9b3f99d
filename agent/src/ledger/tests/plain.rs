//! What the inventory says of plain HTTP.

use std::collections::BTreeMap;
use std::fs;

use weir_core::blind::{BlindSpot, KnownBy, OTHERS, PlainRequest, Reason, Transport};
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::Assigned;
use weir_core::provider::Api;
use weir_core::secret::{Fingerprint, FingerprintKey};

use super::super::inventory::{PlainHttp, Sightings};
use super::super::testing::{call, time};
use super::super::{Entry, IdentityQuery, Ledger, Options, verify};
use super::{DAY, KEEP, open};

fn print(credential: u64) -> Fingerprint {
    FingerprintKey::new([1; 32]).fingerprint("bearer", &credential.to_be_bytes())
}

/// Connections of the maker of call `number`, with the credential of that number.
fn spot(number: u64, credential: u64, loopback: bool, connections: u64, at: i64) -> Entry {
    let call = call(number, time(at));
    let assigned = Assigned { owner: Some("ann".to_owned()), ..Assigned::default() };
    let said = PlainRequest {
        loopback,
        provider: Some("ollama".to_owned()),
        api: Some(Api::OllamaChat),
        credential: Some(print(credential)),
        credential_kind: Some(CredentialKind::OpenaiKey),
        credential_in: Some(CredentialPlace::Header),
        credential_ids: BTreeMap::from([("openai_project".to_owned(), "p".to_owned())]),
        assigned: Some(assigned),
    };
    Entry::Blind(Box::new(BlindSpot {
        time: time(at),
        until: time(at + 5),
        identity: call.identity,
        process: call.process,
        unit: None,
        container: None,
        host: "models".to_owned(),
        known_by: KnownBy::Request,
        remote: "127.0.0.1:8000".parse().unwrap(),
        transport: Transport::Http,
        reason: Reason::PlainHttp,
        connections,
        written: 400,
        read: Some(900),
        plain_http: Some(Box::new(said)),
    }))
}

fn at(second: i64) -> IdentityQuery {
    IdentityQuery { uid: None, now: time(second) }
}

fn sightings(connections: u64, from: i64, until: i64) -> Option<Sightings> {
    let places = BTreeMap::from([(CredentialPlace::Header, connections)]);
    let (first_seen, last_seen) = (time(from), time(until));
    Some(Sightings { connections, first_seen, last_seen, places })
}

/// What the ledger says of the first identity and the first credential.
fn known(ledger: &Ledger) -> (PlainHttp, PlainHttp) {
    let reader = ledger.reader();
    let identities = reader.identities(&at(100)).unwrap().identities;
    let credentials = reader.credentials(&at(100)).unwrap().credentials;
    assert_eq!((identities.len(), credentials.len()), (1, 1));
    (identities[0].plain_http.clone(), credentials[0].plain_http.clone())
}

#[test]
fn what_was_only_seen_in_plain_http_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let entries = [spot(1, 7, false, 3, 10), spot(1, 7, true, 2, 20), spot(1, 7, false, 1, 30)];
    ledger.append(time(40), &entries).unwrap();
    // It only says how much they have carried since.
    ledger.append(time(90), &[spot(1, 7, false, 0, 90)]).unwrap();
    let expected = PlainHttp { network: sightings(4, 10, 35), loopback: sightings(2, 20, 25) };
    assert_eq!(known(&ledger), (expected.clone(), expected.clone()));
    let reader = ledger.reader();
    let identity = &reader.identities(&at(100)).unwrap().identities[0];
    assert_eq!((identity.first_seen, identity.last_seen), (time(10), time(35)));
    assert_eq!((identity.usage.calls, identity.unowned), (0, false));
    assert_eq!(identity.providers.values, ["ollama".to_owned()].into());
    assert_eq!(identity.endpoints.values, ["models".to_owned()].into());
    assert_eq!(identity.credentials.values, [print(7).to_string()].into());
    let credential = &reader.credentials(&at(100)).unwrap().credentials[0];
    assert_eq!(credential.fingerprint, print(7).to_string());
    assert_eq!((credential.kind, credential.age_seconds), (Some(CredentialKind::OpenaiKey), 90));
    assert_eq!((credential.ids["openai_project"].as_str(), credential.usage.calls), ("p", 0));
    assert!(credential.places.is_empty());
    drop(reader);
    drop(ledger);
    assert_eq!(known(&open(dir.path()).0), (expected.clone(), expected));
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
}

#[test]
fn calls_and_plain_http_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let mut encrypted = call(1, time(50));
    encrypted.credential = Some(print(7));
    encrypted.credential_in = Some(CredentialPlace::Url);
    let entries = [spot(1, 7, false, 3, 10), Entry::Call(Box::new(encrypted))];
    ledger.append(time(60), &entries).unwrap();
    let credential = &ledger.reader().credentials(&at(100)).unwrap().credentials[0];
    assert_eq!(credential.places, BTreeMap::from([(CredentialPlace::Url, 1)]));
    assert_eq!(credential.plain_http.network, sightings(3, 10, 15));
    assert_eq!((credential.first_seen, credential.last_seen), (time(10), time(50)));
    assert_eq!(credential.usage.calls, 1);
}

/// Rows that stand for many have no name that could be that of a host.
#[test]
fn what_stands_for_many_is_no_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let Entry::Blind(mut others) = spot(1, 7, false, 3, 10) else { panic!("no blind spot") };
    OTHERS.clone_into(&mut others.host);
    ledger.append(time(60), &[Entry::Blind(others)]).unwrap();
    let identity = &ledger.reader().identities(&at(100)).unwrap().identities[0];
    assert!(identity.endpoints.values.is_empty());
}

#[test]
fn a_user_sees_the_own_and_retention_takes_none_of_it() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (mut ledger, _) = open(dir.path());
        // Call 1 is user 1's, and call 4, of the same identity, user 0's.
        ledger.append(time(20), &[spot(1, 7, false, 3, 10), spot(4, 7, false, 5, 20)]).unwrap();
        let of = |uid| IdentityQuery { uid: Some(uid), ..at(100) };
        for (uid, connections) in [(1, 3), (0, 5)] {
            let own = ledger.reader().credentials(&of(uid)).unwrap().credentials;
            assert_eq!(own[0].plain_http.network.as_ref().unwrap().connections, connections);
        }
        assert_eq!(known(&ledger).1.network, sightings(8, 10, 25));
    }
    let keep = Options { retain_days: Some(1), ..KEEP };
    let (mut ledger, _) = Ledger::open(dir.path(), time(10 * DAY), keep).unwrap();
    ledger.append(time(10 * DAY), &[spot(1, 7, true, 1, 10 * DAY)]).unwrap();
    let files = fs::read_dir(dir.path().join("log")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.starts_with("known-")));
    assert_eq!(known(&ledger).1.network, sightings(8, 10, 25));
}
