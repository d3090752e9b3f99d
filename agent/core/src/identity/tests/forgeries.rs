//! What a workload can say of itself, and that it moves no call to somebody else: each forgery by its
//! name.

use super::rules::{print, rules, spec};
use super::*;

/// The rule that a forger of uid 1000 would like to come under.
fn victim() -> Rules {
    rules([
        spec("pay", "unix:user:pay process:script:pay.py", ""),
        spec("pay-unit", "systemd:id:pay.service unix:path:/opt/pay", ""),
        spec("pay-pod", "k8s:ns:pay k8s:sa:pay", ""),
        spec("pay-box", "container:name:pay container:user:pay", ""),
        spec("pay-cloud", "unix:uid:7 cloud:AWS_ROLE_ARN:arn:pay", ""),
        spec("pay-agent", "unix:uid:7 agent:pay", ""),
        spec("pay-person", "unix:uid:7 unix:login-uid:7", ""),
        spec("pay-id", "weir:id:spiffe://example.org/host/h1/container/pay", ""),
        spec("pay-sa", "weir:id:spiffe://example.org/ns/pay/sa/pay", ""),
    ])
}

/// Root in a container is whoever it likes, and no more of the host's users for that.
#[test]
fn a_user_that_a_container_has_taken_on() {
    let mut facts = facts(Some(&format!("/docker/{ID}")));
    facts.process.uid = 7;
    facts.user = Some("pay".to_owned());
    facts.script = Some("pay.py".to_owned());
    let found = victim().attribute(&facts, &namespace());
    assert_eq!(found.identity.0, "spiffe://example.org/host/h1/container/3f29a1cc0b6d");
    assert_eq!(found.workload.assigned, None);
    let of_user = rules([spec("pay", "unix:uid:7", "")]);
    let explained = of_user.explain(&facts, &namespace());
    assert_eq!(
        explained.rules[0].outcome,
        Outcome::Failed {
            condition: "unix:uid:7".to_owned(),
            because: "a process in a container may take on any user: say which container"
                .to_owned(),
        }
    );
    // Which container it is makes the difference, and then the user may, too.
    let here = format!("container:id:{ID} unix:uid:");
    for (uid, is_matched) in [(7, true), (8, false)] {
        let of_container = rules([spec("pay", &format!("{here}{uid}"), "")]);
        let found = of_container.attribute(&facts, &namespace());
        assert_eq!(found.workload.assigned.is_some(), is_matched);
    }
    // A user's own containers have no other users than his.
    let below = "/user.slice/user-7.slice/user@7.service/user.slice";
    facts.cgroup = Some(format!("{below}/libpod-{ID}.scope"));
    assert!(of_user.attribute(&facts, &namespace()).workload.assigned.is_some());
}

/// Checks that these facts come under no rule and have this identity.
fn check(facts: &ProcessFacts, identity: &str) {
    let found = victim().attribute(facts, &namespace());
    assert_eq!(found.identity.0, format!("spiffe://example.org{identity}"));
    assert_eq!(found.workload.assigned, None);
    let is_trusted = |fact: &Fact| {
        // What it is called follows from the others and was compared already.
        !fact.source.is_hint() && !fact.selector.0.starts_with("weir:id:")
    };
    let trusted = |known: &ProcessFacts| {
        let facts = super::super::facts(known, &namespace());
        facts.into_iter().filter(is_trusted).collect::<Vec<_>>()
    };
    let honest =
        ProcessFacts { login_uid: facts.login_uid, ..super::facts(facts.cgroup.as_deref()) };
    assert_eq!(trusted(facts), trusted(&honest), "a trusted fact has changed");
}

#[test]
fn a_forged_script_or_program_name() {
    let mut facts = facts(None);
    facts.script = Some("pay.py".to_owned());
    facts.process.exe = Some("/opt/pay".to_owned());
    facts.package = Some("pay".to_owned());
    check(&facts, "/host/h1/user/agent");
}

/// `comm` is no fact at all: who it is follows from the pid and the start time. What a lineage calls
/// an agent may come from it.
#[test]
fn a_forged_comm() {
    let mut facts = facts(None);
    facts.agent = agent("pay", 1);
    check(&facts, "/host/h1/user/agent");
}

#[test]
fn a_forged_environment() {
    let mut facts = facts(None);
    facts.cloud = [("AWS_ROLE_ARN", "arn:pay".to_owned())].into();
    check(&facts, "/host/h1/user/agent");
}

#[test]
fn a_forged_login_uid() {
    let mut facts = facts(None);
    facts.login_uid = Some(7);
    check(&facts, "/host/h1/user/agent");
}

#[test]
fn a_forged_user_database_of_the_container() {
    let mut facts = facts(Some(&format!("/docker/{ID}")));
    facts.container_user = Some("pay".to_owned());
    check(&facts, "/host/h1/container/3f29a1cc0b6d");
}

fn token(uid: &str) -> Option<Pod> {
    let pay = || Some("pay".to_owned());
    Some(Pod { uid: uid.to_owned(), name: pay(), namespace: pay(), service_account: pay() })
}

#[test]
fn a_forged_token_of_another_pod() {
    let mut facts = facts(Some(&format!("/kubepods/pod{POD}/{ID}")));
    facts.token = token("11111111-b29f-11e7-9350-020968147796");
    check(&facts, &format!("/host/h1/pod/{POD}"));
}

#[test]
fn a_forged_token_outside_a_pod() {
    let mut facts = facts(Some("/system.slice/x.service"));
    facts.token = token(POD);
    check(&facts, "/host/h1/unit/x.service");
}

/// A pod that is given no token can put one for itself in its place. Where the runtime or the kubelet
/// knows the pod, that doesn't get it out of its namespace.
#[test]
fn a_forged_token_of_the_own_pod() {
    let mut known = facts(Some(&format!("/kubepods/pod{POD}/{ID}")));
    known.token = token(POD);
    known.kubelet = Some(Pod {
        uid: POD.to_owned(),
        name: Some("bot-1".to_owned()),
        namespace: Some("prod".to_owned()),
        service_account: Some("bot".to_owned()),
    });
    check(&known, "/ns/prod/sa/bot");

    known.kubelet = None;
    let mut by_runtime = known.clone();
    by_runtime.container = Some(Container {
        id: ID.to_owned(),
        name: Some("k8s_bot_bot-1_prod".to_owned()),
        image: None,
        runtime: None,
    });
    check(&by_runtime, "/host/h1/container/k8s_bot_bot-1_prod");

    // Where nobody else knows the pod, its own word names it, and comes under no rule.
    check(&known, "/ns/pay/sa/pay");
}

#[test]
fn a_forged_unit_of_a_users_own_manager() {
    let manager = "/user.slice/user-1000.slice/user@1000.service/app.slice/pay.service";
    check(&facts(Some(manager)), "/host/h1/user/agent/unit/pay.service");
}

#[test]
fn a_forged_container_below_a_user_or_a_service() {
    for (above, identity) in [
        ("/user.slice/user-1000.slice/user@1000.service", "/host/h1/user/agent/container/pay"),
        ("/system.slice/evil.service", "/host/h1/unit/evil.service"),
    ] {
        let mut facts = facts(Some(&format!("{above}/docker-{ID}.scope")));
        facts.container = Some(Container {
            id: ID.to_owned(),
            name: Some("pay".to_owned()),
            image: Some("pay".to_owned()),
            runtime: None,
        });
        facts.container_user = Some("pay".to_owned());
        check(&facts, identity);
    }
}

#[test]
fn a_stolen_credential_takes_no_name() {
    let rules = rules([spec("pay", "unix:uid:7", "1")]);
    let thief = rules.attribute(&facts(None), &namespace());
    let (identity, workload) = thief.of_call(Some(&print('1')));
    assert_eq!(identity.0, "spiffe://example.org/host/h1/user/agent");
    assert_eq!(workload.assigned, None);
}
