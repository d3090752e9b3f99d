//! Who started whom, as far as it matters for whom a process works.
//!
//! A process carries its chain with it, so a parent that has long ended is still in it. The chain shows
//! the agent behind a process: the first one of the same user in the same service or container, up to the
//! shell in which somebody sat, or to a service manager. All of this is the kernel's word, but for the
//! names, which are those of programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_core::identity::{Agent, Placement, Realm};

use super::process::Snapshot;

/// Most links of a chain. A longer one loses those in its middle, never its root.
const KEPT: u8 = 16;
/// Longest name, in bytes.
const NAME_MAX: usize = 64;
/// The programs in which people sit. One of them counts as a shell only if it leads the session of a
/// terminal.
const SHELLS: [&str; 11] =
    ["bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh", "tcsh", "nu", "pwsh"];

/// A process and who started it.
#[derive(Debug)]
pub(super) struct Link {
    pid: u32,
    name: Box<str>,
    /// In whose name it ran; `None` if nobody looked in time.
    uid: Option<u32>,
    home: Home,
    /// It starts what others ask for, and works for none of them.
    is_starter: bool,
    /// How many processes are above it in all.
    depth: u32,
    /// How many of them are in the chain. `<= KEPT`
    kept: u8,
    parent: Option<Arc<Self>>,
    /// It calls models itself.
    calls: AtomicBool,
}

/// What processes that work together are in.
#[derive(Debug, PartialEq, Eq)]
struct Home {
    realm: Realm,
    unit: Option<Box<str>>,
    container: Option<Box<str>>,
}

impl Link {
    /// The process `pid`, of which `seen` is known, which runs that script if it is an interpreter, and
    /// which `parent` started.
    pub(super) fn new(
        pid: u32,
        seen: &Snapshot,
        script: Option<&str>,
        parent: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let path = seen.cgroups.path();
        let Placement { realm, unit, container, pod: _ } =
            path.map(Placement::of).unwrap_or_default();
        let program = file_name(seen.exe.as_deref().unwrap_or_default());
        let name = script.map_or(program, file_name);
        // Of the longest chain, the last but one is left out.
        let above = match parent {
            Some(parent) if parent.kept == KEPT => parent.parent.as_ref(),
            Some(_) | None => parent,
        };
        Arc::new(Self {
            pid,
            name: name[..name.floor_char_boundary(NAME_MAX)].into(),
            uid: seen.standing.uid,
            home: Home {
                realm,
                unit: unit.map(String::into_boxed_str),
                container: container.map(|container| container.id.as_str().into()),
            },
            // systemd, its own and each user's, is alone in a scope of this name.
            is_starter: pid == 1
                || path.is_some_and(|path| path.ends_with("/init.scope"))
                || seen.standing.leads_terminal && SHELLS.contains(&program),
            depth: parent.map_or(0, |parent| parent.depth.saturating_add(1)),
            kept: above.map_or(0, |above| above.kept + 1),
            parent: above.cloned(),
            calls: AtomicBool::new(false),
        })
    }

    /// What it runs.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who started it.
    pub(super) fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// It calls models.
    pub(super) fn has_called(&self) {
        self.calls.store(true, Ordering::Relaxed);
    }

    /// For whom it works.
    pub(super) fn agent(&self) -> Agent {
        let mut root = self;
        let mut callers = Vec::new();
        while let Some(parent) = root.parent.as_deref()
            && self.works_with(parent)
        {
            root = parent;
            if root.calls.load(Ordering::Relaxed) {
                callers.push(&root.name);
            }
        }
        let recursive = callers.contains(&&self.name);
        if root.calls.load(Ordering::Relaxed) {
            callers.pop();
        }
        Agent {
            name: root.name.to_string(),
            pid: root.pid,
            depth: self.depth.saturating_sub(root.depth),
            through: callers.iter().rev().map(ToString::to_string).collect(),
            recursive,
        }
    }

    fn works_with(&self, other: &Self) -> bool {
        let is_another_user = self.uid.zip(other.uid).is_some_and(|(own, its)| own != its);
        !other.is_starter && !is_another_user && self.home == other.home
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process::Standing;
    use weir_core::identity::Membership;

    const SERVICE: &str = "/system.slice/bot.service";
    const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";
    const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";

    fn seen(program: &str, uid: u32, cgroup: &str) -> Snapshot {
        Snapshot {
            exe: Some(format!("/usr/bin/{program}")),
            cgroups: Membership::parse(&format!("0::{cgroup}\n")),
            standing: Standing { uid: Some(uid), ..Standing::default() },
        }
    }

    /// Checks for whom the last process of a chain works. Each is written `program uid cgroup`, the first
    /// being process 1; `tty` at the end says that it leads the session of a terminal.
    #[track_caller]
    fn check(chain: &[&str], expected: &str) {
        let mut link: Option<Arc<Link>> = None;
        for (pid, process) in (1..).zip(chain) {
            let words: Vec<&str> = process.split(' ').collect();
            let mut seen = seen(words[0], words[1].parse().unwrap(), words[2]);
            seen.standing.leads_terminal = words.get(3) == Some(&"tty");
            link = Some(Link::new(pid, &seen, None, link.as_ref()));
        }
        let Agent { name, pid, depth, .. } = link.unwrap().agent();
        assert_eq!(format!("{name} {pid} {depth}"), expected);
    }

    #[test]
    fn a_service_s_first_process_is_the_agent_of_all_that_it_starts() {
        let init = "systemd 0 /init.scope";
        let bot = format!("bot 1000 {SERVICE}");
        let shell = format!("sh 1000 {SERVICE}/worker");
        let tool = format!("python3.13 1000 {SERVICE}");
        check(&[init, &bot], "bot 2 0");
        check(&[init, &bot, &shell, &tool], "bot 2 2");
    }

    #[test]
    fn the_shell_that_somebody_sits_in_is_nobody_s_agent() {
        let manager = "systemd 0 /init.scope";
        let login = format!("sshd 0 {SESSION}");
        let shell = format!("bash 1000 {SESSION} tty");
        let agent = format!("claude 1000 {SESSION}");
        let tool = format!("bash 1000 {SESSION}");
        check(&[manager, &login, &shell, &agent, &tool], "claude 4 1");
        check(&[manager, &login, &shell, &tool], "bash 4 0");
        check(&[manager, &login, &shell], "bash 3 0");
        let run = format!("claude 1000 {SESSION} tty");
        check(&[manager, &login, &run, &tool], "claude 3 1");
    }

    #[test]
    fn another_user_or_container_is_another_s_work() {
        let cron = "cron 0 /system.slice/cron.service";
        let job = "sh 33 /system.slice/cron.service";
        let tool = "curl 33 /system.slice/cron.service";
        check(&["init 0 /", cron, job, tool], "sh 3 1");
        let shim = "containerd-shim 0 /system.slice/containerd.service";
        let main = format!("node 0 /docker/{ID}");
        let child = format!("python3 0 /docker/{ID}");
        check(&["init 0 /", shim, &main, &child], "node 3 1");
    }

    #[test]
    fn what_a_user_s_manager_starts_is_not_its_work() {
        let manager = "systemd 1000 /user.slice/user-1000.slice/user@1000.service/init.scope";
        let app = "editor 1000 /user.slice/user-1000.slice/user@1000.service/app.slice/a.scope";
        check(&["init 0 /", manager, app], "editor 3 0");
    }

    #[test]
    fn a_long_chain_is_cut_in_its_middle() {
        let bot = seen("bot", 5, SERVICE);
        let mut link = Link::new(7, &bot, None, None);
        for pid in 8..1000 {
            link = Link::new(pid, &seen("sh", 5, SERVICE), None, Some(&link));
        }
        let agent = link.agent();
        assert_eq!((agent.name.as_str(), agent.pid, agent.depth), ("bot", 7, 992));
        let mut links = 0;
        let mut next = Some(&link);
        while let Some(link) = next {
            (links, next) = (links + 1, link.parent());
        }
        assert_eq!(links, usize::from(KEPT) + 1);
    }

    #[test]
    fn agents_that_run_agents_are_told() {
        let mut link: Option<Arc<Link>> = None;
        let mut told = Vec::new();
        for (pid, program) in (1000..).zip(["claude", "bash", "codex", "bash", "claude", "python3"])
        {
            let next = Link::new(pid, &seen(program, 5, SERVICE), None, link.as_ref());
            if program != "bash" {
                next.has_called();
            }
            let Agent { name, through, recursive, .. } = next.agent();
            told.push(format!("{name} {through:?} {recursive}"));
            link = Some(next);
        }
        assert_eq!(
            told,
            [
                "claude [] false",
                "claude [] false",
                "claude [] false",
                r#"claude ["codex"] false"#,
                r#"claude ["codex"] true"#,
                r#"claude ["codex", "claude"] false"#,
            ]
        );
    }

    #[test]
    fn whose_user_nobody_saw_is_no_boundary() {
        let link = Link::new(7, &seen("bot", 5, SERVICE), None, None);
        let gone = Snapshot { standing: Standing::default(), ..seen("curl", 5, SERVICE) };
        assert_eq!(Link::new(8, &gone, None, Some(&link)).agent().name, "bot");
    }

    #[test]
    fn an_interpreter_is_called_what_it_runs() {
        let python = seen("python3.13", 5, SERVICE);
        let name = |script| Link::new(7, &python, script, None).agent().name;
        assert_eq!(name(Some("/srv/agent/app.py")), "app.py");
        assert_eq!(name(Some("agent.cli")), "agent.cli");
        assert_eq!(name(None), "python3.13");
    }

    #[test]
    fn names_are_bounded() {
        let link = Link::new(7, &seen(&"ä".repeat(100), 5, SERVICE), None, None);
        assert_eq!(link.agent().name.len(), NAME_MAX);
    }
}
