//! What is told when all goes well.

use super::*;

/// What happens, and how long after what happened before.
enum Happens {
    Fires(&'static str, Severity),
    Ends(&'static str),
    Waits(Duration),
    Silenced(&'static str, Duration),
    Acked(&'static str),
}

use Happens::{Acked, Ends, Fires, Silenced, Waits};
use Severity::{Critical, High, Low, Medium};

fn check(happens: &[Happens], told: &[&str]) {
    let mut world = World::new(vec![route("w")]);
    for event in happens {
        match event {
            Fires(id, severity) => world.fires(id, *severity),
            Ends(id) => world.ends(id),
            Waits(wait) => world.wait(*wait),
            Silenced(matcher, wait) => world.silence(matcher, *wait),
            Acked(id) => {
                let finding = FindingId((*id).to_owned());
                world.say(What::Ack { finding, uid: 0, comment: None });
            }
        }
    }
    assert_eq!(world.told(), told);
    // Whoever dies now tells nothing twice.
    let sent = world.sent.len();
    world.crash();
    world.step();
    assert_eq!(world.sent.len(), sent);
}

#[test]
fn a_group_waits_for_its_kind() {
    check(&[Fires("a1", High), Waits(29 * SECOND)], &[]);
    check(&[Fires("a1", High), Waits(30 * SECOND)], &["news a1+"]);
    // The worst stands first; who does something else is another group.
    check(
        &[Fires("a1", High), Fires("a2", Critical), Fires("b1", High), Waits(MINUTE)],
        &["news a2+", "news b1+"],
    );
    let many = [Fires("a1", Low), Fires("a2", High), Waits(30 * SECOND)];
    check(&many, &["news a2+ a1+"]);
}

#[test]
fn news_of_a_group_keep_their_distance() {
    let start = [Fires("a1", High), Waits(30 * SECOND), Fires("a2", High)];
    let before: Vec<_> = start.into_iter().chain([Waits(299 * SECOND)]).collect();
    check(&before, &["news a1+"]);
    check(
        &[Fires("a1", High), Waits(30 * SECOND), Fires("a2", High), Waits(300 * SECOND)],
        &["news a1+", "news a2+"],
    );
    // What becomes worse is told again, what becomes better isn't.
    check(
        &[Fires("a1", Medium), Waits(MINUTE), Fires("a1", High), Waits(6 * MINUTE)],
        &["news a1+", "news a1+"],
    );
    check(
        &[Fires("a1", High), Waits(MINUTE), Fires("a1", Medium), Waits(6 * MINUTE)],
        &["news a1+"],
    );
}

#[test]
fn what_goes_on_is_told_again_until_somebody_cares() {
    let day = Duration::from_hours(9);
    check(&[Fires("a1", High), Waits(day)], &["news a1+", "repeat a1+", "repeat a1+"]);
    check(&[Fires("a1", High), Waits(MINUTE), Acked("a1"), Waits(day)], &["news a1+"]);
    // But that it becomes worse is news, and so is its end.
    let worse = Fires("a1", Critical);
    check(
        &[
            Fires("a1", High),
            Waits(MINUTE),
            Acked("a1"),
            worse,
            Waits(10 * MINUTE),
            Ends("a1"),
            Waits(day),
        ],
        &["news a1+", "news a1+", "news a1-"],
    );
}

#[test]
fn each_beginning_is_told_before_its_end() {
    check(
        &[Fires("a1", High), Waits(SECOND), Ends("a1"), Waits(10 * MINUTE)],
        &["news a1+", "news a1-"],
    );
    // What begins again under its old name is told again.
    check(
        &[
            Fires("a1", High),
            Waits(MINUTE),
            Ends("a1"),
            Waits(10 * MINUTE),
            Fires("a1", High),
            Waits(10 * MINUTE),
        ],
        &["news a1+", "news a1-", "news a1+"],
    );
}

#[test]
fn what_is_silenced_is_not_told() {
    check(&[Silenced("detector=budget", HOUR), Fires("a1", High), Waits(HOUR / 2)], &[]);
    check(&[Silenced("identity!=a", HOUR), Fires("a1", High), Waits(MINUTE)], &["news a1+"]);
    check(&[Silenced("identity=a*", HOUR), Fires("a1", High), Waits(HOUR)], &["news a1+"]);
    // What was over by the end of the silence was nobody's news.
    check(&[Silenced("severity=high", HOUR), Fires("a1", High), Ends("a1"), Waits(2 * HOUR)], &[]);
    // Who was told of the beginning is told of the end.
    check(
        &[
            Fires("a1", High),
            Waits(MINUTE),
            Silenced("finding=a1", 9 * HOUR),
            Waits(5 * HOUR),
            Ends("a1"),
            Waits(MINUTE),
        ],
        &["news a1+", "news a1-"],
    );
}

#[test]
fn a_critical_finding_stands_for_what_else_is_wrong_there() {
    // Both are about the budget of a.
    check(&[Fires("a1", Critical), Fires("a2", High), Waits(MINUTE)], &["news a1+"]);
    check(
        &[Fires("a1", Critical), Fires("a2", High), Waits(MINUTE), Ends("a1"), Waits(10 * MINUTE)],
        &["news a1+", "news a1- a2+"],
    );
    check(&[Fires("a1", Critical), Fires("b1", High), Waits(MINUTE)], &["news a1+", "news b1+"]);
}

#[test]
fn webhooks_are_told_what_they_want_to_know() {
    let critical = Route { min_severity: Critical, send_resolved: false, ..route("pager") };
    let mut world = World::new(vec![route("chat"), critical]);
    world.fires("a1", High);
    world.fires("b1", Critical);
    world.wait(MINUTE);
    world.ends("a1");
    world.ends("b1");
    world.wait(10 * MINUTE);
    let of = |webhook: &str| {
        let sent = world.sent.iter().filter(|(notification, ..)| notification.webhook == webhook);
        sent.count()
    };
    assert_eq!((of("chat"), of("pager")), (4, 1));
    assert_eq!(world.sent.iter().filter(|(n, ..)| n.state() == State::Resolved).count(), 2);
}

#[test]
fn a_heart_beats() {
    let mut world = World::new(vec![Route { heartbeat: Some(MINUTE), ..route("w") }]);
    world.wait(10 * MINUTE);
    assert_eq!(world.told().len(), 11);
    world.answers.insert("w".to_owned(), status(500));
    world.wait(3 * MINUTE);
    // One that fails is not tried again: the next comes soon enough.
    assert_eq!(world.sent.len(), 14);
    assert_eq!(world.book.report(false, world.now).webhooks[0].dead, []);
}
