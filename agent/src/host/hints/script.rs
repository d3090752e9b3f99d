//! What an interpreter runs, by its arguments.
//!
//! Nothing of the arguments is kept but the name of a script, module, class or archive: anything else
//! may be a secret. Where an option isn't known, it isn't known either whether what follows is its value,
//! so that counts only if it looks like a file.

use super::language::{LANGUAGES, Language};

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 256;
/// How many programs may start one another in one list of arguments: `env`, `uv run`, `python`.
const LAUNCHERS_MAX: usize = 4;
/// A single word as long as this that has digits may be a key.
const KEY_LIKE: usize = 20;

/// The script or module that the program `exe` runs with these arguments, the first of which is its
/// name; `None` if it is no interpreter, or runs code that has no name.
pub(super) fn script_of(exe: Option<&str>, arguments: &[&str]) -> Option<String> {
    let (own_name, rest) = arguments.split_first()?;
    let program = match exe.map(file_name) {
        // Is what it is called.
        None | Some("busybox") => file_name(own_name.trim_start_matches('-')),
        Some(name) => name,
    };
    let (mut language, mut rest) = (language_of(program)?, rest);
    for _ in 0..LAUNCHERS_MAX {
        match language.run(rest)? {
            Run::Named(name) => return plain(name),
            Run::Program(name, after) => match language_of(file_name(name)) {
                Some(next) => (language, rest) = (next, after),
                None => return plain(name),
            },
        }
    }
    None
}

/// What the arguments say that is run.
enum Run<'a> {
    Named(&'a str),
    /// A program, and its arguments.
    Program(&'a str, &'a [&'a str]),
}

/// What an argument that begins with a dash is.
enum Flag<'a> {
    /// Nothing is run that has a name.
    Nameless,
    /// Names what is run, here or in the next argument.
    Names(Option<&'a str>),
    /// The next argument is its value.
    TakesNext,
    /// Stands alone, as far as known.
    Alone,
    /// Stands alone for sure.
    Complete,
}

impl Language {
    fn run<'a>(&self, arguments: &'a [&'a str]) -> Option<Run<'a>> {
        let mut at = 0;
        let mut after_command = false;
        let mut doubtful = false;
        while let Some(&argument) = arguments.get(at) {
            at += 1;
            let was_doubtful = std::mem::take(&mut doubtful);
            if argument == "--" {
                return Some(self.target(arguments.get(at)?, arguments.get(at + 1..)?));
            }
            if is_flag(argument) {
                match self.flag(argument) {
                    Flag::Nameless => return None,
                    Flag::Names(here) => {
                        return Some(Run::Named(here.or_else(|| arguments.get(at).copied())?));
                    }
                    Flag::TakesNext => at += 1,
                    Flag::Alone => doubtful = true,
                    Flag::Complete => {}
                }
                continue;
            }
            if argument == "-" || argument.is_empty() {
                return None;
            }
            if !after_command && self.nameless.contains(&argument) {
                return None;
            }
            if !after_command && self.commands.contains(&argument) {
                after_command = true;
                continue;
            }
            // `env NAME=value program`, and files of further arguments for `java`.
            if (self.launches && argument.contains('=')) || argument.starts_with('@') {
                continue;
            }
            if was_doubtful && !argument.contains(['/', '.']) {
                return None;
            }
            return Some(self.target(argument, arguments.get(at..)?));
        }
        None
    }

    fn target<'a>(&self, name: &'a str, after: &'a [&'a str]) -> Run<'a> {
        if self.launches { Run::Program(name, after) } else { Run::Named(name) }
    }

    fn flag<'a>(&self, argument: &'a str) -> Flag<'a> {
        let kind = |name: &str, value: Option<&'a str>| {
            if self.nameless.contains(&name) {
                Some(Flag::Nameless)
            } else if self.named.contains(&name) {
                Some(Flag::Names(value))
            } else if self.valued.contains(&name) {
                Some(if value.is_some() { Flag::Complete } else { Flag::TakesNext })
            } else {
                None
            }
        };
        if let Some((name, value)) = argument.split_once('=')
            && (argument.starts_with("--") || !self.clusters)
        {
            return kind(name, Some(value)).unwrap_or(Flag::Complete);
        }
        if let Some(known) = kind(argument, None) {
            return known;
        }
        if !self.clusters || argument.starts_with("--") {
            return Flag::Alone;
        }
        let sign = &argument[..1];
        for (place, letter) in argument.char_indices().skip(1) {
            let rest = &argument[place + letter.len_utf8()..];
            let rest = (!rest.is_empty()).then_some(rest);
            if let Some(known) = kind(&format!("{sign}{letter}"), rest) {
                return known;
            }
        }
        Flag::Complete
    }
}

fn is_flag(argument: &str) -> bool {
    argument.len() > 1 && argument.starts_with(['-', '+'])
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn language_of(program: &str) -> Option<&'static Language> {
    let family = program.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    LANGUAGES.iter().find(|language| language.names.contains(&family))
}

/// The name as it is kept. Of an address, what may be a secret is left out: user, password, query.
fn plain(name: &str) -> Option<String> {
    let name = match name.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split(['?', '#']).next()?;
            let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
            format!("{scheme}://{}{path}", host.rsplit('@').next()?)
        }
        None => name.to_owned(),
    };
    let is_word = !name.contains(['/', '.', ':']);
    let is_key_like = is_word && name.len() >= KEY_LIKE && name.bytes().any(|b| b.is_ascii_digit());
    let is_kept = (1..=NAME_MAX).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || c == '\u{fffd}')
        && !is_key_like;
    is_kept.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks what is run by a command line whose words have blanks between them; the program is what
    /// its first word names.
    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(script_of(Some(arguments[0]), &arguments).as_deref(), expected, "{line}");
    }

    #[test]
    fn scripts_and_modules() {
        for (line, script) in [
            ("/usr/bin/python3.11 app.py --key sk-1", "app.py"),
            ("/usr/bin/python3.11 -u -X dev /srv/app.py", "/srv/app.py"),
            ("python -m uvicorn app:main --port 80", "uvicorn"),
            ("python3 -Im agent.worker", "agent.worker"),
            ("python3 -magent", "agent"),
            ("python3 -Wignore -W error app.py", "app.py"),
            ("python3 -- app.py", "app.py"),
            ("/venv/bin/python3 /venv/bin/uvicorn app:main", "/venv/bin/uvicorn"),
            ("pypy3 app.py", "app.py"),
            ("node app.js", "app.js"),
            ("node server", "server"),
            ("nodejs -r dotenv/config --max-old-space-size=4096 dist/main.js", "dist/main.js"),
            ("node --enable-source-maps dist/main.js", "dist/main.js"),
            ("node --require=x inspect app.js", "app.js"),
            (
                "/usr/bin/node /usr/lib/node_modules/tool/cli.js -p hello",
                "/usr/lib/node_modules/tool/cli.js",
            ),
            ("bun run index.ts", "index.ts"),
            ("bun --hot index.ts", "index.ts"),
            ("bun run start", "start"),
            ("deno run --allow-net -c deno.json main.ts", "main.ts"),
            ("deno run https://u:p@x.example/a.ts?token=s#f", "https://x.example/a.ts"),
            ("deno run npm:tool@1", "npm:tool@1"),
            ("ruby -Ilib -rset bin/agent.rb", "bin/agent.rb"),
            ("perl -w -MData::Dumper agent.pl", "agent.pl"),
            ("php -d memory_limit=1G artisan queue:work", "artisan"),
            ("php -f job.php", "job.php"),
            ("/bin/bash -eu -o pipefail ./run.sh", "./run.sh"),
            ("sh run.sh -c x", "run.sh"),
            ("busybox", ""),
            ("java -Xmx1g -jar app.jar --key k", "app.jar"),
            ("java -cp a.jar:b.jar -Dk=v com.example.Main", "com.example.Main"),
            ("java -XX:+UseZGC com.example.Main", "com.example.Main"),
            ("java @options com.example.Main", "com.example.Main"),
            ("java --module app/com.example.Main", "app/com.example.Main"),
            ("dotnet app.dll", "app.dll"),
            ("dotnet exec --depsfile d.json app.dll", "app.dll"),
            ("pwsh -NoProfile -File job.ps1", "job.ps1"),
            ("Rscript --vanilla model.R", "model.R"),
            ("lua5.4 -l x bot.lua", "bot.lua"),
            ("julia -t 4 run.jl", "run.jl"),
            ("uv run app.py", "app.py"),
            ("uv run --with openai -p 3.12 python -u app.py", "app.py"),
            ("uv run -m agent", "agent"),
            ("uv run pytest -k x", "pytest"),
            ("uvx aider --key x", "aider"),
            ("env A=b python3 -m agent", "agent"),
            ("/usr/bin/env -u X uv run python app.py", "app.py"),
            ("pypy3.10 -c1", ""),
        ] {
            check(line, (!script.is_empty()).then_some(script));
        }
    }

    #[test]
    fn what_has_no_name_or_may_be_a_secret_is_left_out() {
        for line in [
            "python3",
            "python3 -",
            "python3 -c print(1) app.py",
            "python3 -uc print(1)",
            "python3 -m",
            "node -e 1",
            "node --eval=1",
            "node --token sk-proj-abc app",
            "node sk0proj0abcdefghij0123456789",
            "bun -e 1",
            "deno eval 1",
            "ruby -ne x",
            "perl -lane x f",
            "php -r x",
            "php -S localhost:80",
            "bash -lc x",
            "bash -c x",
            "bash",
            "-bash",
            "java -version",
            "uv pip install x",
            "env A=b",
            "env env env env env python app.py",
            "/usr/bin/curl -H x app.py",
            "pythonic app.py",
            "",
        ] {
            check(line, None);
        }
        assert_eq!(script_of(Some("/usr/bin/python3"), &[]), None);
        for name in ["a\u{1b}[2J.py", "a\n.py", &"a/".repeat(200)] {
            assert_eq!(script_of(Some("python"), &["python", name]), None, "{name:?}");
        }
    }

    #[test]
    fn the_program_counts_and_not_what_it_calls_itself() {
        assert_eq!(script_of(Some("/usr/bin/curl"), &["python3", "app.py"]), None);
        assert_eq!(script_of(Some("/bin/python3"), &["curl", "a.py"]).as_deref(), Some("a.py"));
        assert_eq!(script_of(Some("/bin/busybox"), &["sh", "a.sh"]).as_deref(), Some("a.sh"));
        assert_eq!(script_of(None, &["/bin/python3", "app.py"]).as_deref(), Some("app.py"));
    }

    proptest! {
        #[test]
        fn no_arguments_break_it(
            exe in prop::option::of("(/bin/)?(python3|node|java|uv|env|sh|perl|[a-z]{1,5})"),
            arguments in prop::collection::vec(
                prop_oneof!["[-+=@a-zé./:?#]{0,6}", any::<String>(), Just("run".to_owned())],
                0..8,
            ),
        ) {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            if let Some(script) = script_of(exe.as_deref(), &arguments) {
                prop_assert!((1..=NAME_MAX).contains(&script.len()));
                prop_assert!(!script.contains(char::is_control));
            }
        }
    }
}
