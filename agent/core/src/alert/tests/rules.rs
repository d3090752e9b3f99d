//! What receivers answer, and what is done then.

use super::*;
use Severity::{Critical, High, Low};

/// Seconds from the first attempt at the first notification to each.
fn attempts(world: &World) -> Vec<i64> {
    let (first, _, begun) = &world.sent[0];
    let same = world.sent.iter().filter(|(sent, ..)| sent == first);
    same.map(|(_, _, time)| time.duration_since(*begun).as_secs()).collect()
}

fn view(world: &World) -> WebhookView {
    world.book.report(false, world.now).webhooks.remove(0)
}

#[test]
fn failures_are_tried_again_by_the_schedule_until_nobody_believes_in_it() {
    for answer in [
        status(500),
        status(301),
        status(404),
        status(199),
        Answer::None(Problem::Timeout),
        Answer::None(Problem::Tls),
        Answer::None(Problem::File),
    ] {
        let mut world = World::new(vec![route("w")]);
        world.answers.insert("w".to_owned(), answer);
        world.fires("a1", High);
        world.wait(Duration::from_hours(90));
        let times = attempts(&world);
        assert_eq!(times.len(), 10, "{answer:?}");
        // Between the sum of all delays and a tenth more; the world looks once a minute.
        let last = *times.last().unwrap();
        assert!((271_500..=300_000).contains(&last), "{times:?}");
        assert_eq!(view(&world).dead.len(), 1);
        // It goes on, so it is told again; that is another notification.
        assert!(world.sent.len() > 10);
    }
}

#[test]
fn the_dead_can_be_told_again() {
    let mut world = World::new(vec![route("w")]);
    world.answers.insert("w".to_owned(), status(500));
    world.fires("a1", High);
    world.wait(Duration::from_hours(90));
    let dead = view(&world).dead[0].notification.clone();
    world.answers.clear();
    world.say(What::Replay { notification: Some(dead.clone()), uid: 0 });
    world.crash();
    world.step();
    assert!(world.sent.iter().any(|(sent, answer, _)| sent.id == dead && *answer == status(200)));
    assert_eq!(view(&world).dead, []);
}

#[test]
fn receivers_that_want_to_be_left_alone_are() {
    let put_off = |status| Answer::Status { status, retry_after: Some(HOUR) };
    for (code, second) in [(429, 3600), (503, 3600), (502, 3600), (504, 3600), (500, 6)] {
        let mut world = World::new(vec![route("w")]);
        world.answers.insert("w".to_owned(), put_off(code));
        world.fires("a1", High);
        world.wait(HOUR);
        world.wait(2 * MINUTE);
        let second_attempt = attempts(&world)[1];
        assert!((second - 1..=second + 60).contains(&second_attempt), "{code}: {second_attempt}");
    }
    // Nobody else is sent there meanwhile.
    let mut world = World::new(vec![route("w")]);
    world.answers.insert("w".to_owned(), put_off(429));
    world.fires("a1", High);
    world.wait(MINUTE);
    world.fires("b1", Critical);
    world.wait(HOUR / 2);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn who_is_gone_is_left_alone_until_a_test_gets_through() {
    let mut world = World::new(vec![Route { heartbeat: Some(HOUR), ..route("w") }]);
    world.fires("a1", High);
    world.answers.insert("w".to_owned(), status(410));
    world.wait(5 * HOUR);
    let sent = world.sent.len();
    assert!(view(&world).gone.is_some());
    world.answers.clear();
    world.fires("b1", High);
    world.wait(5 * HOUR);
    world.crash();
    world.wait(MINUTE);
    assert_eq!(world.sent.len(), sent);
    let test = Notification::without_findings("w", Reason::Test, world.now, "1");
    world.say(What::Queued(Box::new(test)));
    world.wait(10 * MINUTE);
    assert!(view(&world).gone.is_none());
    let told = world.told();
    assert!(told.contains(&"news a1+".to_owned()) && told.contains(&"news b1+".to_owned()));
}

#[test]
fn a_test_is_tried_once_and_says_what_came_of_it() {
    for (answer, problem) in [
        (status(204), None),
        (status(500), Some(Problem::Status(500))),
        (status(410), Some(Problem::Status(410))),
        (Answer::None(Problem::Forbidden), Some(Problem::Forbidden)),
    ] {
        let mut world = World::new(vec![route("w")]);
        world.answers.insert("w".to_owned(), answer);
        let test = Notification::without_findings("w", Reason::Test, world.now, "1");
        let expected = TestView { notification: test.id.clone(), problem };
        world.say(What::Queued(Box::new(test)));
        world.wait(10 * MINUTE);
        assert_eq!(world.sent.len(), 1);
        assert_eq!(view(&world).test, Some(expected));
    }
}

#[test]
fn when_a_receiver_is_back_it_is_told_at_once() {
    let mut world = World::new(vec![route("w")]);
    world.answers.insert("w".to_owned(), Answer::None(Problem::Connect));
    world.fires("a1", High);
    world.wait(Duration::from_hours(24));
    world.answers.clear();
    // The next attempt would be many hours away, but others are told.
    world.fires("b1", Low);
    world.wait(MINUTE);
    assert_eq!(world.told(), ["news b1+", "news a1+"]);
}

#[test]
fn the_end_waits_until_the_beginning_has_arrived() {
    let mut world = World::new(vec![route("w")]);
    world.answers.insert("w".to_owned(), status(500));
    world.fires("a1", High);
    world.wait(MINUTE);
    world.ends("a1");
    world.wait(HOUR);
    assert!(world.sent.iter().all(|(sent, ..)| sent.state() == State::Firing));
    world.answers.clear();
    world.wait(Duration::from_hours(24));
    assert_eq!(world.told(), ["news a1+", "news a1-"]);
}

#[test]
fn attempts_keep_to_the_rate() {
    let mut world = World::new(vec![Route { per_minute: 6, ..route("w") }]);
    for number in 0..100_u8 {
        world.fires(&format!("{}{number}", char::from(b'!' + number)), High);
    }
    world.wait(30 * SECOND);
    let burst = world.sent.len();
    assert!(burst <= 7, "{burst}");
    world.wait(10 * MINUTE);
    assert!((60..=68).contains(&world.sent.len()), "{}", world.sent.len());
    world.wait(10 * MINUTE);
    assert_eq!(world.told().len(), 100);
}

#[test]
fn the_worst_goes_first_and_the_least_gives_way() {
    let mut world = World::new(vec![route("w")]);
    world.answers.insert("w".to_owned(), Answer::None(Problem::Connect));
    let name = |number: u32| format!("{}{number}", char::from_u32(0x4e00 + number).unwrap());
    for number in 0..u32::try_from(OUTBOX_MAX).unwrap() {
        world.fires(&name(number), Low);
    }
    world.wait(MINUTE);
    world.fires("x1", Critical);
    world.fires("y1", Low);
    world.wait(12 * MINUTE);
    let view = view(&world);
    assert_eq!((view.waiting, view.dropped), (OUTBOX_MAX as u64, 1));
    world.answers.clear();
    world.wait(4 * HOUR);
    let told = world.told();
    // What found no room waits for it; only what has given way is lost, and counted.
    assert!(told[..3].contains(&"news x1+".to_owned()), "{:?}", &told[..3]);
    assert!(told.contains(&"news y1+".to_owned()));
    assert_eq!(told.iter().filter(|told| told.starts_with("news")).count(), OUTBOX_MAX + 1);
}

#[test]
fn a_long_group_is_told_in_pieces_below_twenty_kilobytes() {
    let mut world = World::new(vec![route("w")]);
    for number in 0..100 {
        let mut long = finding(&format!("a{number}"), State::Firing, High, world.now);
        long.summary = "\u{1}".repeat(4000);
        world.append(Logged::Finding(Box::new(long)));
    }
    world.wait(10 * MINUTE);
    let told: usize = world.sent.iter().map(|(sent, ..)| sent.findings.len()).sum();
    assert_eq!(told, 100);
    for (sent, ..) in &world.sent {
        assert!(serde_json::to_vec(sent).unwrap().len() < 20_000);
        assert_eq!(sent.more == 0, sent.id == world.sent.last().unwrap().0.id);
    }
}

#[test]
fn who_joins_is_told_what_goes_on_and_nothing_of_the_past() {
    let mut world = World::new(vec![]);
    world.fires("a1", High);
    world.fires("b1", High);
    world.ends("b1");
    world.wait(HOUR);
    world.settings.routes.push(route("w"));
    world.crash();
    world.wait(10 * MINUTE);
    assert_eq!(world.told(), ["news a1+"]);
    // Who leaves is told nothing, and what waits for him is not lost in silence.
    world.answers.insert("w".to_owned(), status(500));
    world.fires("c1", High);
    world.wait(MINUTE);
    world.settings.routes = vec![route("v")];
    world.crash();
    world.step();
    let receiver = &world.book.memory.receivers["w"];
    assert_eq!((receiver.outbox.len(), receiver.dead.len()), (0, 1));
}

#[test]
fn findings_are_bounded_and_the_least_severe_are_forgotten_first() {
    let mut world = World::new(vec![]);
    world.fires("x1", Critical);
    for number in 0..5000 {
        world.fires(&format!("a{number}"), Low);
    }
    let report = world.book.report(false, world.now);
    assert_eq!((report.alerts.len(), report.forgotten), (4096, 905));
    assert_eq!(report.alerts[0].finding.id.0, "x1");
}
