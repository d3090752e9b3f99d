//! Who is billed for the results of a batch, by what was seen of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::http::Credential;
use crate::identity::{IdentityId, Process};
use crate::meter::{Catalogue, Habits, Meter};
use crate::provider::{Api, CallState, ModelCall, PriceContext, ResultOf};
use crate::secret::FingerprintKey;
use crate::units::{ConnectionId, ProcessKey};

static METER: LazyLock<Meter> = LazyLock::new(|| Meter::new(Catalogue::builtin().unwrap()));
const HOST: &str = "api.openai.com";

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(hours * 3600).unwrap()
}

/// The identity of that name; its process has the same number as its user.
fn maker(name: u32) -> Attribution {
    Attribution {
        unit: Some(format!("u{name}")),
        ..Attribution::new(
            IdentityId(format!("spiffe://test/host/h/unit/u{name}")),
            Process { pid: name, exe: None, uid: name },
        )
    }
}

fn key(secret: &str, organization: Option<&str>) -> Credential {
    let mut key = Credential::of_bearer(secret.as_bytes(), &FingerprintKey::new([1; 32]));
    key.add("openai_organization", organization.unwrap_or_default().as_bytes());
    key
}

fn news(created: bool, id: &str, files: &[&str], hours: i64) -> BatchNews {
    BatchNews {
        time: at(hours),
        provider: "openai",
        host: HOST.to_owned(),
        id: id.to_owned(),
        created,
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        credential: Some(key("sk-1", None)),
    }
}

fn created(id: &str, hours: i64) -> BatchNews {
    news(true, id, &[], hours)
}

/// A result of a batch that was fetched by that maker.
fn result(of: ResultOf, by: u32, hours: i64, credential: Option<Credential>) -> UsageRecord {
    let call = ModelCall {
        connection: ConnectionId {
            process: ProcessKey { pid: by, start_ns: 1 },
            handle: 1,
            generation: 1,
        },
        ordinal: 0,
        index: 0,
        role: Role::Client,
        provider: "openai",
        api: Api::ChatCompletions,
        host: Some(HOST.to_owned()),
        model_requested: None,
        model_served: Some("gpt-4o".to_owned()),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        usage: None,
        context: PriceContext::default(),
        max_output: None,
        retrieved: true,
        result_of: Some(of),
        countable: None,
        sample: None,
        response_id: None,
        error_type: None,
        request_fp: None,
        step_fp: None,
        credential,
        hints: crate::http::Hints::default(),
        started: at(hours),
        first_output: None,
        ended: at(hours),
        lost_bytes: 0,
    };
    METER.measure(call, &maker(by), "boot", &mut Habits::default())
}

fn of_batch(id: &str) -> ResultOf {
    ResultOf::Batch(id.to_owned())
}

fn of_file(id: &str) -> ResultOf {
    ResultOf::File(id.to_owned())
}

/// What is kept of batches, beside what is remembered.
#[derive(Default)]
struct Bench {
    batches: Batches,
    kept: RefCell<HashMap<[u8; 16], BatchRecord>>,
}

impl Bench {
    fn learn(&mut self, news: &BatchNews, teller: u32) -> usize {
        let Self { batches, kept } = self;
        let learnt = batches.learn(news, &maker(teller), |key, oldest| kept_of(kept, key, oldest));
        let count = learnt.len();
        kept.borrow_mut().extend(learnt.into_iter().map(|record| (record.key().0, record)));
        count
    }

    /// Who is billed for results that `by` fetches, who fetched them if that is somebody else, and
    /// whether the creator was seen.
    fn fetch(&mut self, of: ResultOf, by: u32, hours: i64) -> (String, Option<String>, Creator) {
        let record = result(of, by, hours, Some(key("sk-1", None)));
        let record = self.charge(record);
        let name = |id: &IdentityId| id.0.rsplit('/').next().unwrap_or_default().to_owned();
        let creator = record.result_of.as_ref().unwrap().creator;
        (name(&record.identity), record.retrieved_by.as_ref().map(name), creator)
    }

    fn charge(&mut self, record: UsageRecord) -> UsageRecord {
        let Self { batches, kept } = self;
        batches.charge(record, |key, oldest| kept_of(kept, key, oldest))
    }

    /// Forgets all that isn't kept.
    fn restart(&mut self) {
        self.batches = Batches::default();
    }
}

fn kept_of(
    kept: &RefCell<HashMap<[u8; 16], BatchRecord>>,
    key: BatchKey,
    oldest: Timestamp,
) -> Option<BatchRecord> {
    kept.borrow().get(&key.0).filter(|record| record.time >= oldest).cloned()
}

fn seen(by: &str, reader: Option<&str>) -> (String, Option<String>, Creator) {
    (by.to_owned(), reader.map(str::to_owned), Creator::Seen)
}

fn unseen(by: &str) -> (String, Option<String>, Creator) {
    (by.to_owned(), None, Creator::Unseen)
}

#[test]
fn results_are_the_creators_whoever_fetches_them() {
    let mut bench = Bench::default();
    assert_eq!(bench.learn(&created("b", 0), 1), 1);
    assert_eq!(bench.fetch(of_batch("b"), 1, 20), seen("u1", None));
    assert_eq!(bench.fetch(of_batch("b"), 2, 21), seen("u1", Some("u2")));
    assert_eq!(bench.fetch(of_batch("c"), 2, 21), unseen("u2"));
}

#[test]
fn what_is_known_of_the_creator_is_on_the_record() {
    let mut bench = Bench::default();
    bench.learn(&created("b", 0), 1);
    let record = bench.charge(result(of_batch("b"), 2, 20, Some(key("sk-2", None))));
    assert_eq!((record.process.pid, record.unit.as_deref()), (1, Some("u1")));
    assert_eq!(record.credential, Some(key("sk-1", None).fingerprint));
    assert_eq!(record.retrieved_with, Some(key("sk-2", None).fingerprint));
    let result = record.result_of.unwrap();
    assert_eq!((result.batch.as_deref(), result.file), (Some("b"), None));
}

#[test]
fn a_file_is_the_batchs_that_an_answer_names_it_with() {
    let mut bench = Bench::default();
    assert_eq!(bench.fetch(of_file("early"), 3, 0), unseen("u3"));
    bench.learn(&created("b", 0), 1);
    // Somebody else asks, and asks again.
    assert_eq!(bench.learn(&news(false, "b", &["out", "err", "early"], 20), 2), 3);
    assert_eq!(bench.learn(&news(false, "b", &["out", "err"], 21), 2), 0);
    assert_eq!(bench.fetch(of_file("out"), 3, 22), seen("u1", Some("u3")));
    assert_eq!(bench.fetch(of_file("err"), 1, 22), seen("u1", None));
    assert_eq!(bench.fetch(of_file("early"), 3, 22), seen("u1", Some("u3")));
    // An id of a file is none of a batch.
    assert_eq!(bench.fetch(of_batch("out"), 3, 22), unseen("u3"));
    let kept = bench.kept.borrow();
    let told: BTreeMap<_, _> =
        kept.values().map(|record| (record.file.as_deref(), record.told_to.as_ref())).collect();
    assert_eq!(told[&None], None);
    assert_eq!(told[&Some("out")], Some(&maker(2).identity));
}

#[test]
fn the_first_creation_wins() {
    let mut bench = Bench::default();
    bench.learn(&created("b", 0), 1);
    assert_eq!(bench.learn(&created("b", 1), 2), 0);
    assert_eq!(bench.batches.refused(), 1);
    bench.restart();
    assert_eq!(bench.learn(&created("b", 2), 2), 0);
    assert_eq!(bench.fetch(of_batch("b"), 2, 20), seen("u1", Some("u2")));
    assert_eq!(bench.batches.refused(), 1);
    // The same once more changes nothing and is no offence.
    assert_eq!(bench.learn(&created("b", 3), 1), 0);
    assert_eq!(bench.batches.refused(), 1);
}

#[test]
fn a_batch_that_is_in_use_has_been_created_out_of_sight() {
    for spoken_of in [true, false] {
        let mut bench = Bench::default();
        if spoken_of {
            assert_eq!(bench.learn(&news(false, "b", &["f"], 0), 1), 0);
        } else {
            assert_eq!(bench.fetch(of_batch("b"), 1, 0), unseen("u1"));
        }
        assert_eq!(bench.learn(&created("b", 1), 2), 0);
        assert_eq!(bench.fetch(of_batch("b"), 3, 2), unseen("u3"));
        assert_eq!(bench.batches.refused(), 1);
    }
}

#[test]
fn a_file_stays_with_its_first_batch() {
    let mut bench = Bench::default();
    bench.learn(&created("mine", 0), 1);
    bench.learn(&created("yours", 0), 2);
    bench.learn(&news(false, "yours", &["f"], 1), 2);
    assert_eq!(bench.learn(&news(false, "mine", &["f"], 2), 1), 0);
    assert_eq!(bench.fetch(of_file("f"), 1, 3), seen("u2", Some("u1")));
    assert_eq!(bench.batches.refused(), 1);
}

#[test]
fn another_account_names_no_files_and_fetches_for_itself() {
    let ours = || Some(key("sk-1", Some("org-1")));
    for (other, shares) in [
        (ours(), true),
        (Some(key("sk-2", Some("org-1"))), true),
        (Some(key("sk-2", None)), true),
        (Some(key("sk-2", Some("org-2"))), false),
        (None, false),
    ] {
        let mut bench = Bench::default();
        bench.learn(&BatchNews { credential: ours(), ..created("b", 0) }, 1);
        let told = BatchNews { credential: other.clone(), ..news(false, "b", &["f"], 1) };
        assert_eq!(bench.learn(&told, 2), usize::from(shares), "{other:?}");
        let record = bench.charge(result(of_batch("b"), 2, 2, other.clone()));
        let billed = if shares { maker(1) } else { maker(2) };
        assert_eq!(record.identity, billed.identity, "{other:?}");
    }
}

#[test]
fn another_server_cant_name_a_batch() {
    let mut bench = Bench::default();
    bench.learn(&created("b", 0), 1);
    for (host, provider, billed) in [
        (Some("API.OpenAI.com:443"), "openai", 1),
        (Some("api.openai.com:8443"), "openai", 2),
        (Some("localhost"), "openai", 2),
        (Some(HOST), "groq", 2),
        (None, "openai", 2),
    ] {
        let record = result(of_batch("b"), 2, 1, Some(key("sk-1", None)));
        let host = host.map(str::to_owned);
        let record = bench.charge(UsageRecord { host, provider: provider.to_owned(), ..record });
        assert_eq!(record.identity, maker(billed).identity, "{:?} {provider}", record.host);
    }
}

#[test]
fn what_is_kept_outlasts_a_restart_and_nothing_lasts_for_ever() {
    let mut bench = Bench::default();
    bench.learn(&created("b", 0), 1);
    bench.learn(&news(false, "b", &["f"], 24), 2);
    bench.restart();
    assert_eq!(bench.fetch(of_file("f"), 3, 25), seen("u1", Some("u3")));
    assert_eq!(bench.fetch(of_batch("b"), 3, 30 * 24), seen("u1", Some("u3")));
    assert_eq!(bench.fetch(of_batch("b"), 3, 30 * 24 + 1), unseen("u3"));
    // The file was named later, but its batch is as old.
    assert_eq!(bench.fetch(of_file("f"), 3, 30 * 24 + 1), unseen("u3"));
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_kept_is_found_again() {
    let mut bench = Bench::default();
    bench.learn(&created("b", 0), 1);
    for number in 0..REMEMBERED.get() {
        bench.fetch(of_batch(&number.to_string()), 2, 1);
    }
    assert_eq!(bench.batches.known.len(), REMEMBERED.get());
    assert_eq!(bench.learn(&created("b", 2), 2), 0);
    assert_eq!(bench.fetch(of_batch("b"), 2, 3), seen("u1", Some("u2")));
}

proptest! {
    /// Whatever others show, nobody takes a batch from its creator, and nobody is billed for a batch
    /// who has neither created it nor fetched it.
    #[test]
    fn nobody_makes_another_the_creator(
        claims in prop::collection::vec((any::<bool>(), 2..5u32, 0..3usize, 0..3usize, any::<bool>()), 0..30),
        restarts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let (ids, files) = (["b", "c", "d"], ["f", "g", "h"]);
        let mut bench = Bench::default();
        bench.learn(&created("b", 0), 1);
        bench.learn(&news(false, "b", &["f"], 0), 1);
        let mut creators: HashMap<&str, Vec<u32>> = HashMap::from([("b", vec![1])]);
        let restarts: Vec<usize> = restarts.iter().map(|at| at.index(30)).collect();
        for (number, (is_creation, by, id, file, fetches)) in (0..).zip(claims) {
            if restarts.contains(&number) {
                bench.restart();
            }
            let id = ids[id];
            if is_creation {
                creators.entry(id).or_default().push(by);
            }
            bench.learn(&news(is_creation, id, &[files[file]], 1), by);
            prop_assert_eq!(bench.fetch(of_batch("b"), by, 2).0, "u1");
            prop_assert_eq!(bench.fetch(of_file("f"), by, 2).0, "u1");
            if fetches {
                let (billed, _, creator) = bench.fetch(of_batch(id), by, 2);
                let billed: u32 = billed[1..].parse().unwrap();
                match creator {
                    Creator::Seen => prop_assert!(creators[id].contains(&billed)),
                    Creator::Unseen => prop_assert_eq!(billed, by),
                }
            }
        }
    }
}
