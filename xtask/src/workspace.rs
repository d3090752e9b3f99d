//! Where things are, and how other programs are run.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

/// The folders of the workspace.
pub(crate) struct Workspace {
    /// The folder of the repository.
    pub(crate) root: PathBuf,
    /// Where cargo leaves what it builds.
    pub(crate) target: PathBuf,
    /// Where the tools are installed. Always `target/tools` of the repository, wherever cargo
    /// builds: `agent/build.rs` looks there, too.
    pub(crate) tools: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask is not in a workspace")?.to_owned();
        let metadata = output(
            Command::new(cargo())
                .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
                .current_dir(&root),
        )?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
        let target = metadata["target_directory"].as_str().context("no target directory")?;
        Ok(Self { target: target.into(), tools: root.join("target/tools"), root })
    }

    /// A command in the folder of the repository.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo in the folder of the repository.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = self.command(cargo());
        command.args(arguments);
        command
    }

    /// The daemon's release binary.
    pub(crate) fn weir(&self) -> PathBuf {
        self.target.join("release/weir")
    }

    /// The program that `cargo test` builds.
    pub(crate) fn checked_weir(&self) -> PathBuf {
        self.target.join("debug/weir")
    }
}

/// The cargo that runs us.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command that speaks for itself, under a heading, and says how long it took.
pub(crate) fn step(title: &str, command: &mut Command) -> anyhow::Result<()> {
    eprintln!("==> {title}");
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("can't run {}", shown(command)))?;
    anyhow::ensure!(status.success(), "{title} failed ({status}): {}", shown(command));
    eprintln!("    {title}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Like [`step`], and hands each whole line of its standard output to `seen` as well.
pub(crate) fn step_watched(
    title: &str,
    command: &mut Command,
    mut seen: impl FnMut(&str),
) -> anyhow::Result<()> {
    eprintln!("==> {title}");
    let begin = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't run {}", shown(command)))?;
    let mut stdout = child.stdout.take().context("no standard output")?;
    let (mut chunk, mut line) = ([0; 4096], Vec::new());
    loop {
        // Passed on as it comes: a test runner says what it runs before it ends the line.
        let length = stdout.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        let mut own = io::stdout();
        own.write_all(&chunk[..length])?;
        own.flush()?;
        for &byte in &chunk[..length] {
            if byte == b'\n' {
                seen(&String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{title} failed ({status}): {}", shown(command));
    eprintln!("    {title}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// What a command says, if it succeeds.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("can't run {}", shown(command)))?;
    anyhow::ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a command can be run and succeeds. What it says is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

/// A command that runs as root, by sudo if we are not.
pub(crate) fn as_root(program: &str) -> anyhow::Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    anyhow::ensure!(
        succeeds(Command::new("which").arg("sudo")),
        "running {program} needs root or sudo"
    );
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}
