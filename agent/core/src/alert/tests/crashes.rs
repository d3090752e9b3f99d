//! The daemon may die between any two steps, and receivers may answer anything.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// Something that happens next.
#[derive(Clone, Debug)]
enum Step {
    Find {
        id: usize,
        over: bool,
        severity: Severity,
    },
    /// Receivers answer this from now on.
    Answer(Answer),
    Wait(u32),
    Save,
    /// It dies before what it proposes is on the disk.
    DieUnsaid,
    /// It dies before it sends what it had put on the disk.
    DieUnsent,
    /// It dies before what came of it is on the disk.
    DieUntold,
}

const IDS: [&str; 6] = ["a1", "a2", "a3", "b1", "b2", "c1"];

fn step() -> impl Strategy<Value = Step> {
    let severity = (1..Severity::ALL.len() - 1).prop_map(|index| Severity::ALL[index]);
    let answers = prop::sample::select(vec![
        status(200),
        status(500),
        status(302),
        Answer::Status { status: 429, retry_after: Some(HOUR) },
        Answer::None(Problem::Timeout),
        Answer::None(Problem::Connect),
    ]);
    prop_oneof![
        6 => (0..IDS.len(), any::<bool>(), severity)
            .prop_map(|(id, over, severity)| Step::Find { id, over, severity }),
        2 => answers.prop_map(Step::Answer),
        4 => (1..1000_u32).prop_map(Step::Wait),
        1 => Just(Step::Save),
        1 => Just(Step::DieUnsaid),
        1 => Just(Step::DieUnsent),
        1 => Just(Step::DieUntold),
    ]
}

/// What of the log a checkpoint covers, and what it remembers.
type Saved = Option<(usize, Vec<u8>)>;

fn restart(world: &mut World, saved: &Saved) {
    world.crash();
    let whole = world.book.memory.clone();
    if let Some((covered, memory)) = saved {
        world.book = Book::new(world.settings.clone());
        world.book.restore(memory).unwrap();
        let tail = world.log.split_off(*covered);
        tail.into_iter().for_each(|line| world.append(line));
        assert_eq!(world.book.memory, whole, "a checkpoint is as good as all of the log");
    }
}

fn run(steps: &[Step]) -> (World, HashMap<&'static str, (bool, Severity)>) {
    let mut world = World::new(vec![route("w")]);
    let mut saved = None;
    let mut last = HashMap::new();
    for step in steps {
        match step {
            Step::Find { id, over, severity } => {
                let id = IDS[*id];
                // Detectors end only what they began.
                if *over && !matches!(last.get(id), Some((false, _))) {
                    continue;
                }
                let state = if *over { State::Resolved } else { State::Firing };
                world.find(id, state, *severity);
                last.insert(id, (*over, *severity));
            }
            Step::Answer(answer) => drop(world.answers.insert("w".to_owned(), *answer)),
            Step::Wait(seconds) => world.wait(SECOND * *seconds),
            Step::Save => saved = Some((world.log.len(), world.book.save().unwrap())),
            Step::DieUnsaid => {
                drop(world.book.propose(world.now));
                restart(&mut world, &saved);
            }
            Step::DieUnsent => {
                for event in world.book.propose(world.now) {
                    world.append(Logged::Alert(event));
                }
                drop(world.book.due(world.now));
                restart(&mut world, &saved);
            }
            Step::DieUntold => {
                for event in world.book.propose(world.now) {
                    world.append(Logged::Alert(event));
                }
                for delivery in world.book.due(world.now) {
                    world.post(&delivery);
                }
                restart(&mut world, &saved);
            }
        }
    }
    // All is well again, for longer than any attempt waits.
    world.answers.clear();
    world.wait(Duration::from_hours(30));
    (world, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn nothing_is_lost_and_all_is_in_order(steps in prop::collection::vec(step(), 0..40)) {
        let (world, last) = run(&steps);
        // One id is one notification.
        let mut bodies = HashMap::new();
        for (sent, ..) in &world.sent {
            prop_assert_eq!(bodies.entry(&sent.id).or_insert(sent), &sent);
        }
        // Each that was queued has arrived, unless ten attempts were in vain.
        let arrived: HashSet<_> = world.sent.iter()
            .filter(|(_, answer, _)| *answer == status(200))
            .map(|(sent, ..)| &sent.id)
            .collect();
        let mut dead = HashSet::new();
        let mut queued = Vec::new();
        for line in &world.log {
            match line {
                Logged::Alert(AlertEvent { event: What::Queued(notification), .. }) => {
                    queued.push(&**notification);
                }
                Logged::Alert(AlertEvent { event: What::Dead { tried, .. }, .. }) => {
                    dead.insert(&tried.notification);
                }
                Logged::Alert(_) | Logged::Finding(_) => {}
            }
        }
        for notification in &queued {
            prop_assert!(arrived.contains(&notification.id) || dead.contains(&notification.id));
        }
        // Of one group they arrive in the order in which they were queued.
        for group in queued.iter().map(|queued| &queued.group).collect::<HashSet<_>>() {
            let order: Vec<_> = queued.iter()
                .filter(|queued| queued.group == *group && arrived.contains(&queued.id))
                .map(|queued| &queued.id)
                .collect();
            let mut firsts: Vec<&NotificationId> = Vec::new();
            for (sent, answer, _) in &world.sent {
                if sent.group == *group && *answer == status(200) && !firsts.contains(&&sent.id) {
                    firsts.push(&sent.id);
                }
            }
            prop_assert_eq!(order, firsts);
        }
        // And the last that was told of each finding is what is the case.
        for (id, (over, _)) in last {
            let told = queued.iter()
                .flat_map(|queued| &queued.findings)
                .rfind(|finding| finding.id.0 == id);
            let state = if over { State::Resolved } else { State::Firing };
            prop_assert_eq!(told.map(|finding| finding.state), Some(state), "{}", id);
        }
    }
}
