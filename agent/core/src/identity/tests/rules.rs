//! Which rules are taken, and which of them decides.

use super::*;

fn patterns(text: &str) -> Vec<Pattern> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// The fingerprint of 32 times this digit.
pub(super) fn print(digit: char) -> Fingerprint {
    digit.to_string().repeat(32).parse().unwrap()
}

/// What a rule says: its name, its selectors, its credentials by digit.
pub(super) fn spec(name: &str, all: &str, credentials: &str) -> RuleSpec {
    RuleSpec {
        name: (!name.is_empty()).then(|| name.to_owned()),
        all: patterns(all),
        credentials: credentials.chars().map(print).collect(),
        ..RuleSpec::default()
    }
}

pub(super) fn rules<const N: usize>(specs: [RuleSpec; N]) -> Rules {
    Rules::new(specs.into_iter().map(|spec| Rule::new(spec).unwrap()).collect())
}

#[test]
fn a_rule_must_rest_on_what_the_workload_can_not_choose() {
    for (name, all, credentials, expected) in [
        ("a", "unix:uid:1000", "", ""),
        ("a", "systemd:id:bot.service process:script:app.py", "", ""),
        ("a", "k8s:ns:prod k8s:sa:bot", "", ""),
        ("a", "weir:id:spiffe://example.org/host/h1/user/agent/*", "", ""),
        ("a", "unix:uid:1000", "1", ""),
        ("", "unix:uid:1000", "1", ""),
        ("", "", "1", ""),
        ("", "process:script:app.py", "1", ""),
        ("", "", "", "matches everybody"),
        ("a", "", "", "matches everybody"),
        ("a", "", "1", "steals a credential"),
        ("a", "process:script:app.py", "1", "steals a credential"),
        ("a", "process:script:app.py", "", "process:script:app.py"),
        ("", "process:script:app.py", "", "process:script:app.py"),
        ("a", "cloud:AWS_ROLE_ARN:arn:x", "", "cloud:AWS_ROLE_ARN:arn:x"),
        ("a", "container:user:bot", "", "container:user:bot"),
        ("a", "unix:path:/opt/bot", "", "unix:path:/opt/bot"),
        ("a", "unix:login-uid:1000 agent:bot", "", "unix:login-uid:1000, agent:bot"),
        ("a", "k8s:sa:bot", "", "k8s:sa:bot"),
        ("a", "systemd:user-id:bot.service", "", "systemd:user-id:bot.service"),
        ("a", "process:interactive:true package:bot", "", "process:interactive:true, package:bot"),
        ("a", "systemd:id:* process:script:a", "", "systemd:id:*, process:script:a"),
    ] {
        let taken = Rule::new(spec(name, all, credentials));
        match taken {
            Ok(_) => assert_eq!(expected, "", "{name} {all} {credentials}"),
            Err(error) => {
                let said = error.to_string();
                assert!(!expected.is_empty() && said.contains(expected), "{all}: {said}");
            }
        }
    }
    let program = RuleSpec::program(&"a".repeat(64)).unwrap();
    let by_program = RuleSpec { exe_sha256: vec![program], ..spec("a", "", "") };
    assert!(matches!(Rule::new(by_program.clone()), Err(RuleError::OnlyHints(_))));
    let anchored = RuleSpec { all: patterns("unix:uid:7"), ..by_program };
    assert!(Rule::new(anchored).is_ok());
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = rules([
        spec("other", "systemd:id:other.service", ""),
        spec("app", "systemd:id:bot@* process:script:app.py", ""),
        spec("bot", "systemd:id:bot@*", ""),
        spec("late", "unix:uid:1000", ""),
    ]);
    let cgroup = "/system.slice/bot@7.service";
    for (cgroup, script, expected, rule) in [
        (cgroup, Some("app.py"), "/workload/app", Some("app")),
        (cgroup, Some("app"), "/workload/bot", Some("bot")),
        (cgroup, None, "/workload/bot", Some("bot")),
        ("/system.slice/x.service", Some("app.py"), "/workload/late", Some("late")),
    ] {
        let mut facts = facts(Some(cgroup));
        facts.script = script.map(str::to_owned);
        let found = rules.attribute(&facts, &namespace());
        assert_eq!(found.identity.0, format!("spiffe://example.org{expected}"));
        assert_eq!(found.workload.assigned.map(|a| a.rule).as_deref(), rule);
    }
    let mut stranger = facts(Some("/system.slice/x.service"));
    stranger.process.uid = 1001;
    let found = rules.attribute(&stranger, &namespace());
    assert_eq!(found.identity.0, "spiffe://example.org/host/h1/unit/x.service");
    assert_eq!(found.workload.assigned, None);
}

#[test]
fn a_rule_without_a_name_keeps_the_identity_and_assigns() {
    let owner = Assigned { owner: Some("ann".to_owned()), ..Assigned::default() };
    let rules = rules([RuleSpec { assigned: owner, ..spec("", "unix:uid:1000 unix:user:*", "") }]);
    let found = rules.attribute(&facts(None), &namespace());
    assert_eq!(found.identity.0, "spiffe://example.org/host/h1/user/agent");
    let assigned = found.workload.assigned.unwrap();
    assert_eq!(assigned.owner.as_deref(), Some("ann"));
    assert_eq!(assigned.rule, "unix:uid:1000, unix:user:*");
}

#[test]
fn a_name_is_one_segment_whatever_it_is() {
    let rules = rules([spec("../host/h1 ü", "unix:uid:1000", "")]);
    let identity = rules.attribute(&facts(None), &namespace()).identity.0;
    assert_eq!(identity, "spiffe://example.org/workload/.._x2fhost_x2fh1_x20_xc3_xbc");
    assert!(rules.named(&identity, &namespace()).is_some());
    assert!(rules.named("../host/h1 ü", &namespace()).is_some());
    assert!(rules.named("other", &namespace()).is_none());
}

#[test]
fn credentials_decide_in_the_order_of_the_rules() {
    let rules = rules([
        spec("elsewhere", "unix:uid:7", "1"),
        spec("one", "unix:uid:1000", "1"),
        spec("", "", "23"),
        spec("rest", "unix:uid:1000", ""),
        spec("late", "unix:uid:1000", "4"),
    ]);
    let maker = rules.attribute(&facts(None), &namespace());
    for (credential, identity, rule) in [
        (None, "/workload/rest", "rest"),
        (Some('1'), "/workload/one", "one"),
        (
            Some('2'),
            "/host/h1/user/agent",
            "credential:22222222222222222222222222222222 or \
             credential:33333333333333333333333333333333",
        ),
        (Some('4'), "/workload/rest", "rest"),
        (Some('5'), "/workload/rest", "rest"),
    ] {
        let (found, workload) = maker.of_call(credential.map(print).as_ref());
        assert_eq!(found.0, format!("spiffe://example.org{identity}"), "{credential:?}");
        assert_eq!(workload.assigned.unwrap().rule, rule, "{credential:?}");
    }
}

#[test]
fn one_of_several_programs_or_parents_is_enough() {
    let digits = |digit: char| digit.to_string().repeat(64);
    let program = |digit| RuleSpec::program(&digits(digit)).unwrap();
    let rules = rules([RuleSpec {
        exe_sha256: vec![program('a'), program('b')],
        parents: vec![RuleSpec::parent("claude").unwrap()],
        ..spec("x", "unix:uid:1000", "")
    }]);
    for (digest, depth, is_matched) in
        [('a', 1, true), ('b', 1, true), ('c', 1, false), ('a', 2, false), ('a', 0, false)]
    {
        let mut facts = facts(None);
        facts.exe_sha256 = Some(digits(digest));
        facts.agent = agent("claude", depth);
        let found = rules.attribute(&facts, &namespace()).workload.assigned;
        assert_eq!(found.is_some(), is_matched, "{digest} {depth}");
    }
}

#[test]
fn an_explanation_says_what_did_not_hold() {
    let rules = rules([
        spec("a", "unix:uid:1000 systemd:id:a.service", ""),
        spec("b", "unix:uid:7 unix:user:agent", ""),
        spec("c", "unix:uid:1000 process:script:c.py", ""),
        spec("d", "container:name:web", ""),
        spec("e", "systemd:id:bot.service", "1"),
        spec("f", "systemd:id:bot.service", ""),
        spec("g", "unix:uid:1000", ""),
    ]);
    let mut facts = facts(Some(&format!("/system.slice/bot.service/libpod-payload-{ID}")));
    facts.container = Some(Container {
        id: ID.to_owned(),
        name: Some("web".to_owned()),
        image: None,
        runtime: None,
    });
    facts.script = Some("evil\n.py".to_owned());
    let explained = rules.explain(&facts, &namespace());
    let tried: Vec<_> = explained
        .rules
        .iter()
        .map(|tried| match &tried.outcome {
            Outcome::Matched => format!("{}: matched", tried.rule),
            Outcome::WithCredential => format!("{}: with a credential", tried.rule),
            Outcome::Failed { condition, because } => {
                format!("{}: {condition}: {because}", tried.rule)
            }
        })
        .collect();
    assert_eq!(
        tried,
        [
            "a: systemd:id:a.service: it is bot.service",
            "b: unix:uid:7: it is 1000",
            r"c: process:script:c.py: it is evil\n.py",
            "d: container:name:web: only the workload itself says so (source: delegate)",
            "e: with a credential",
            "f: matched",
        ]
    );
    assert_eq!(explained.identity.0, "spiffe://example.org/workload/f");
    assert_eq!(explained.resolved.0, "spiffe://example.org/host/h1/unit/bot.service");
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["facts"][0]["selector"], "unix:uid:1000");
    assert_eq!(json["facts"][0]["source"], "kernel");
    assert_eq!(json["facts"][0]["hint"], false);
    assert_eq!(json["rules"][5]["outcome"], "matched");
    assert_eq!(serde_json::from_value::<Explanation>(json).unwrap(), explained);
}

#[test]
fn facts_come_with_their_sources_the_most_trusted_first() {
    let pod = Pod {
        uid: POD.to_owned(),
        name: Some("bot-1".to_owned()),
        namespace: Some("prod".to_owned()),
        service_account: Some("bot".to_owned()),
    };
    let known = ProcessFacts {
        gid: Some(100),
        group: Some("users".to_owned()),
        container_user: Some("app".to_owned()),
        login_uid: Some(1000),
        terminal: Some(false),
        exe_sha256: Some("ab".repeat(32)),
        script: Some("app.py".to_owned()),
        package: Some("python3".to_owned()),
        token: Some(pod),
        container: Some(Container {
            id: ID.to_owned(),
            name: Some("k8s_web_bot-1_prod".to_owned()),
            image: Some("registry.example/bot:1".to_owned()),
            runtime: None,
        }),
        cloud: [("AWS_ROLE_ARN", "arn:aws:iam::1:role/bot".to_owned())].into(),
        agent: agent("claude", 1),
        ..facts(Some(&format!("/kubepods/pod{POD}/{ID}")))
    };
    let told: Vec<_> = super::super::facts(&known, &namespace())
        .iter()
        .map(|fact| format!("{} {}", fact.source, fact.selector))
        .collect();
    let digest = "ab".repeat(32);
    assert_eq!(
        told,
        [
            "kernel unix:uid:1000",
            "kernel unix:gid:100",
            "kernel unix:login-uid:1000",
            "kernel process:interactive:false",
            &format!("kernel unix:sha256:{digest}"),
            &format!("cgroup container:id:{ID}"),
            &format!("cgroup k8s:pod-uid:{POD}"),
            "runtime container:name:k8s_web_bot-1_prod",
            "runtime container:image:registry.example/bot:1",
            "runtime k8s:ns:prod",
            "runtime k8s:pod-name:bot-1",
            "host unix:user:agent",
            "host unix:group:users",
            "host package:python3",
            "root unix:path:/usr/bin/python3",
            "root container:user:app",
            "root k8s:sa:bot",
            "root weir:id:spiffe://example.org/ns/prod/sa/bot",
            "process process:script:app.py",
            "process cloud:AWS_ROLE_ARN:arn:aws:iam::1:role/bot",
            "process agent:claude",
            "process parent:claude",
        ]
    );
}

proptest! {
    #[test]
    fn facts_are_bounded_and_shown_plainly(
        script in any::<String>(),
        name in "(\\PC|[\\x00-\\x1f]){0,2000}",
        cgroup in prop::option::of(paths()),
    ) {
        let mut known = facts(cgroup.as_deref());
        known.script = Some(script);
        known.package = Some(name);
        for fact in super::super::facts(&known, &namespace()) {
            prop_assert!(fact.selector.0.len() < 4096);
            prop_assert!(!fact.selector.to_string().contains(char::is_control));
        }
    }

    /// Whatever it says of itself, a process comes under no rule that is about others.
    #[test]
    fn no_word_of_a_process_makes_it_another(
        script in "(app.py|bot|.){0,3}",
        user in "(bot|app|.){0,2}",
        below in paths(),
    ) {
        let rules = rules([
            spec("bot", "systemd:id:bot.service process:script:app.py", ""),
            spec("web", "container:name:web", ""),
            spec("pay", "k8s:ns:pay k8s:sa:pay", ""),
            spec("root", "unix:uid:0 container:user:bot", ""),
        ]);
        for above in ["/user.slice/user-1000.slice/user@1000.service", "/system.slice/evil.service"] {
            let mut facts = facts(Some(&format!("{above}{below}")));
            facts.script = Some(script.clone());
            facts.container_user = Some(user.clone());
            facts.container = Some(Container {
                id: ID.to_owned(), name: Some("web".to_owned()), image: None, runtime: None,
            });
            facts.token = Some(Pod {
                uid: POD.to_owned(),
                name: Some("pay-1".to_owned()),
                namespace: Some("pay".to_owned()),
                service_account: Some("pay".to_owned()),
            });
            prop_assert_eq!(rules.attribute(&facts, &namespace()).workload.assigned, None);
        }
    }
}
