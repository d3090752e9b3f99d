//! Model calls in plain HTTP.

use super::*;
use crate::http::CredentialPlace;
use crate::identity::Assigned;
use crate::secret::FingerprintKey;

fn request(line: &str, host: &str, secret: &str) -> Request {
    let key = FingerprintKey::new([7; 32]);
    let text = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\
         OpenAI-Project: proj_1\r\n\r\n"
    );
    Request::read(text.as_bytes(), &key).unwrap()
}

fn chat(secret: &str) -> Request {
    request("POST /v1/chat/completions", "Gateway.inside.example:8000", secret)
}

fn to(number: u64, remote: &str) -> Flow {
    Flow { remote: remote.parse().unwrap(), ..flow(number, 7, 0) }
}

const SENT: Carried = Carried { written: 400, read: 0 };

#[test]
fn only_what_goes_to_a_model_counts() {
    const CHAT: &str = "POST /v1/chat/completions";
    const LIST: &str = "GET /api/tags";
    for (line, host, remote, expected) in [
        (CHAT, "10.0.0.7:8000", "10.0.0.7:8000", Some(("10.0.0.7", KnownBy::Request))),
        (CHAT, "[::1]:8000", "[::1]:8000", Some(("::1", KnownBy::Request))),
        (CHAT, "a.inside.example", "10.0.0.7:80", Some(("a.inside.example", KnownBy::Name))),
        (LIST, "a.inside.example", "10.0.0.7:80", Some(("a.inside.example", KnownBy::Name))),
        (LIST, "API.openai.com:80", "192.0.2.1:80", Some((HOST, KnownBy::Name))),
        (LIST, "localhost:11434", "127.0.0.1:11434", Some(("localhost", KnownBy::Name))),
        (LIST, "models", "[::ffff:10.0.0.7]:11434", Some(("models", KnownBy::Address))),
        (LIST, "models", "192.0.2.9:80", Some(("models", KnownBy::Address))),
        (LIST, "10.0.0.7:8000", "10.0.0.7:8000", None),
        ("POST /login", "example.com", "10.0.0.7:80", None),
    ] {
        let request = request(line, host, "sekret");
        let (flow, carried) = (to(1, remote), SENT);
        let outputs = Room::new().feed(Input::Plain { flow, carried, request: Some(&request) });
        let expected = match expected {
            Some((host, known_by)) => {
                let host = host.to_owned();
                let endpoint = Endpoint { host, known_by, transport: Transport::Http };
                Output::Plain { flow, endpoint, carried, request: Box::new(request) }
            }
            None => Output::Forget { id: flow.id },
        };
        assert_eq!(outputs, [expected], "{line} {host}");
    }
    let flow = to(1, "192.0.2.1:80");
    let outputs = Room::new().feed(Input::Plain { flow, carried: SENT, request: None });
    assert_eq!(outputs, [Output::Forget { id: flow.id }]);
}

/// It is no connection that a TLS library could have shown.
#[test]
fn what_is_read_is_set_against_no_plain_connection() {
    let mut room = Room::new();
    let flow = to(1, "192.0.2.1:80");
    let request = request("POST /v1/chat/completions", HOST, "sekret");
    room.feed(Input::Plain { flow, carried: SENT, request: Some(&request) });
    assert!(!room.0.is_following());
    room.greet(super::flow(2, 7, 0), HOST);
    room.count(2, 5000, 100);
    assert_eq!(room.speak(7, Some(HOST), 200), [Output::Forget { id: FlowId(2) }]);
    assert_eq!(room.tick(60_000), [0; 0]);
    let carried = Carried { written: 8000 - 400, read: 16_000 };
    let more = Output::More { id: FlowId(1), carried, time: at(61_000), is_closed: true };
    assert_eq!(room.release(1, 8000, 61_000), [more]);
    assert_eq!(room.0.blind().count(), 0);
}

fn see(rows: &mut Rows, number: u64, remote: &str, request: &Request) -> Option<BlindSpot> {
    let mut attribution = attribution("a");
    let assigned = Assigned { owner: Some("ann".to_owned()), ..Assigned::default() };
    attribution.workload.assigned = Some(assigned);
    let host = request.host.clone().unwrap();
    rows.add(&Sighting {
        flow: to(number, remote),
        endpoint: &Endpoint { host, known_by: KnownBy::Request, transport: Transport::Http },
        attribution: &attribution,
        reason: Reason::PlainHttp,
        carried: SENT,
        time: at(0),
        is_closed: true,
        request: Some(request),
    })
}

#[test]
fn a_row_says_what_was_said_and_no_secret() {
    let mut rows = Rows::default();
    let spot = see(&mut rows, 1, "[::ffff:127.0.0.1]:8000", &chat("sekret")).unwrap();
    let said = spot.plain_http.clone().unwrap();
    assert!(said.loopback);
    assert_eq!(said.provider.as_deref(), Some("openai"));
    assert_eq!(said.credential_in, Some(CredentialPlace::Header));
    assert_eq!(said.credential_ids["openai_project"], "proj_1");
    assert_eq!(said.assigned.and_then(|assigned| assigned.owner).as_deref(), Some("ann"));
    let line = serde_json::to_string(&spot).unwrap();
    assert!(!line.contains("sekret"), "{line}");
    assert!(line.contains(r#""transport":"http","reason":"plain_http""#), "{line}");
    assert_eq!(serde_json::from_str::<BlindSpot>(&line).unwrap(), spot);
}

#[test]
fn each_credential_has_a_row_of_its_own() {
    let mut rows = Rows::default();
    assert!(see(&mut rows, 1, "10.0.0.7:80", &chat("one")).is_some());
    assert!(see(&mut rows, 2, "10.0.0.7:80", &chat("one")).is_none());
    assert!(see(&mut rows, 3, "10.0.0.7:80", &chat("two")).is_some());
    assert!(see(&mut rows, 4, "127.0.0.1:80", &chat("two")).is_some());
    let [rest] = rows.due(at(1000), true).try_into().unwrap();
    assert_eq!((rest.connections, rest.read), (1, Some(0)));
}

/// Whoever makes up credentials has no more rows than whoever makes up hosts.
#[test]
fn made_up_credentials_share_a_row_without_any() {
    let mut rows = Rows::default();
    let made_up = |number: u64| chat(&format!("sk-{number}"));
    let told =
        (0..100).filter_map(|number| see(&mut rows, number, "10.0.0.7:80", &made_up(number)));
    let told: Vec<BlindSpot> = told.collect();
    assert_eq!(told.len(), 33);
    let others = told.last().unwrap();
    assert_eq!(others.host, "(others)");
    assert_eq!(others.plain_http.as_ref().unwrap().credential, None);
    let [rest] = rows.due(at(1000), true).try_into().unwrap();
    assert_eq!(rest.connections, 67);
}

proptest! {
    /// However often and in whatever order it is looked at, what is told adds up to what it carried, and
    /// nothing is kept of it once it is closed.
    #[test]
    fn what_a_connection_carries_is_told_once(
        steps in prop::collection::vec((0u64..5000, any::<bool>()), 0..20),
    ) {
        let mut room = Room::new();
        let request = request("POST /v1/chat/completions", HOST, "sekret");
        room.feed(Input::Plain { flow: to(1, "192.0.2.1:80"), carried: SENT, request: Some(&request) });
        let mut carried = SENT.written;
        let mut told = SENT.written;
        let mut outputs = Vec::new();
        for (more, speaks) in steps {
            carried += more;
            outputs.extend(room.count(1, carried, 1000));
            if speaks {
                outputs.extend(room.speak(7, Some(HOST), 2000));
            }
            prop_assert_eq!(room.tick(100_000), [0; 0]);
        }
        outputs.extend(room.release(1, carried, 3000));
        for output in outputs {
            match output {
                Output::More { carried, .. } => told += carried.written,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(told, carried);
        prop_assert_eq!(room.0.blind().count(), 0);
    }
}
