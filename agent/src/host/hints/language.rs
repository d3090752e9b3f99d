//! What each interpreter makes of its arguments, as its manual page says.

/// An interpreter, or a program that starts one.
pub(super) struct Language {
    /// File names, without the version behind them.
    pub(super) names: &'static [&'static str],
    /// Words before what is run, such as `run`.
    pub(super) commands: &'static [&'static str],
    /// Options and words after which nothing is run that has a name: code in the arguments or on
    /// standard input.
    pub(super) nameless: &'static [&'static str],
    /// Options whose value names what is run.
    pub(super) named: &'static [&'static str],
    /// Other options with a value of their own in the next argument.
    pub(super) valued: &'static [&'static str],
    /// Single letters can stand together behind one dash.
    pub(super) clusters: bool,
    /// What it is given is a program, which may be an interpreter.
    pub(super) launches: bool,
}

const PLAIN: Language = Language {
    names: &[],
    commands: &[],
    nameless: &[],
    named: &[],
    valued: &[],
    clusters: false,
    launches: false,
};

pub(super) const LANGUAGES: [Language; 17] = [
    Language {
        names: &["python", "pypy", "graalpy"],
        nameless: &["-c"],
        named: &["-m"],
        valued: &["-W", "-X", "--check-hash-based-pycs"],
        clusters: true,
        ..PLAIN
    },
    Language {
        names: &["node", "nodejs", "electron"],
        commands: &["inspect"],
        nameless: &["-e", "--eval", "-p", "--print", "-pe", "-i", "--interactive", "--run"],
        valued: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--input-type",
            "--env-file",
            "--title",
            "--icu-data-dir",
            "--redirect-warnings",
            "--openssl-config",
            "--stack-trace-limit",
        ],
        ..PLAIN
    },
    Language {
        names: &["bun", "bunx"],
        commands: &["run", "x"],
        nameless: &["-e", "--eval", "-p", "--print", "repl", "install", "add", "build", "test"],
        valued: &[
            "-r",
            "--preload",
            "--cwd",
            "-c",
            "--config",
            "--port",
            "--env-file",
            "--loader",
            "-l",
            "--define",
            "-d",
            "--tsconfig-override",
            "--filter",
            "-F",
        ],
        ..PLAIN
    },
    Language {
        names: &["deno"],
        commands: &["run", "serve"],
        nameless: &["eval", "repl", "task", "test", "bench", "install", "compile", "lsp", "cache"],
        valued: &[
            "-c",
            "--config",
            "--import-map",
            "--lock",
            "--cert",
            "--location",
            "-L",
            "--log-level",
            "--seed",
            "--host",
            "--port",
            "--preload",
            "--ext",
        ],
        ..PLAIN
    },
    Language {
        names: &["ruby", "jruby", "truffleruby"],
        nameless: &["-e"],
        valued: &["-r", "-I", "-C", "-E", "--encoding"],
        clusters: true,
        ..PLAIN
    },
    Language {
        names: &["perl"],
        nameless: &["-e", "-E"],
        valued: &["-I", "-M", "-m"],
        clusters: true,
        ..PLAIN
    },
    Language {
        names: &["php", "php-cgi", "php-fpm"],
        nameless: &["-r", "-S", "-B", "-R", "-E", "-a"],
        named: &["-f", "--file", "-F"],
        valued: &["-d", "--define", "-c", "--php-ini", "-z", "-t"],
        ..PLAIN
    },
    Language {
        names: &["sh", "bash", "dash", "zsh", "ksh", "ash"],
        nameless: &["-c", "-s"],
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        clusters: true,
        ..PLAIN
    },
    Language {
        names: &["java"],
        named: &["-jar", "-m", "--module"],
        valued: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--upgrade-module-path",
            "--limit-modules",
            "--patch-module",
            "--enable-native-access",
            "--source",
        ],
        ..PLAIN
    },
    Language {
        names: &["dotnet"],
        commands: &["exec"],
        nameless: &["run", "build", "test", "watch", "publish", "restore"],
        valued: &[
            "--runtimeconfig",
            "--depsfile",
            "--additionalprobingpath",
            "--fx-version",
            "--roll-forward",
        ],
        ..PLAIN
    },
    Language {
        names: &["pwsh"],
        nameless: &["-Command", "-c", "-EncodedCommand", "-e", "-ec"],
        named: &["-File", "-f"],
        valued: &["-ExecutionPolicy", "-ep", "-WorkingDirectory", "-wd", "-InputFormat", "-if"],
        ..PLAIN
    },
    Language { names: &["Rscript", "R"], nameless: &["-e"], named: &["-f"], ..PLAIN },
    Language { names: &["lua", "luajit"], nameless: &["-e", "-i"], valued: &["-l"], ..PLAIN },
    Language {
        names: &["julia"],
        nameless: &["-e", "--eval", "-E", "--print"],
        valued: &["-L", "--load", "-t", "--threads", "-p", "-J", "--sysimage", "-m"],
        ..PLAIN
    },
    Language {
        names: &["uv"],
        commands: &["run"],
        nameless: &["pip", "sync", "lock", "add", "venv", "python", "tool", "build", "cache"],
        named: &["-m", "--module", "-s", "--script", "--gui-script"],
        valued: &[
            "-p",
            "--python",
            "--with",
            "--with-editable",
            "--with-requirements",
            "--env-file",
            "--project",
            "--directory",
            "--package",
            "--extra",
            "--group",
            "--only-group",
            "--index",
            "--default-index",
            "--cache-dir",
            "--config-file",
        ],
        launches: true,
        ..PLAIN
    },
    Language {
        names: &["uvx", "npx", "pipx"],
        commands: &["run"],
        nameless: &["-c", "--call", "install", "list"],
        valued: &["-p", "--python", "--from", "--with", "--package", "--index-url", "--spec"],
        launches: true,
        ..PLAIN
    },
    Language {
        names: &["env"],
        nameless: &["-S", "--split-string"],
        valued: &["-u", "--unset", "-C", "--chdir"],
        launches: true,
        ..PLAIN
    },
];
