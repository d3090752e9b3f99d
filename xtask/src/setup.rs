//! `cargo xtask setup`: installs what building and testing need, where it is missing.
//!
//! Rust components come from rustup, programs from Debian's packages, everything else goes into
//! `target/tools`: `bin` has bpf-linker, `python` the Python SDKs and a Go toolchain, `node` the Node
//! SDK, Bun and Deno, `go` and `rust` the clients that are written in those, `openssl` the one in C, `mbedtls`
//! and `java` clients that weir can't read. Podman keeps the image of the clients that run in a container
//! (`container.rs`). Takes no time where everything is there.

mod unread;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::Context as _;

use crate::container;
use crate::workspace::{Workspace, as_root, output, step, succeeds};

const BPF_LINKER: &str = "0.13.0";

/// Programs that the build and the tests call, and the Debian package that has each.
const PROGRAMS: [(&str, &str); 10] = [
    ("cc", "build-essential"),
    ("curl", "curl"),
    ("debootstrap", "debootstrap"),
    ("javac", "default-jdk-headless"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("setpriv", "util-linux"),
    ("systemd-analyze", "systemd"),
];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    fs::create_dir_all(&workspace.tools)?;
    packages()?;
    components(workspace)?;
    // What is waited for, downloads above all, goes beside what is computed.
    thread::scope(|scope| {
        let others = scope.spawn(|| others(workspace));
        bpf_linker(workspace)?;
        rust(workspace)?;
        others.join().map_err(|_panic| anyhow::anyhow!("the set-up has panicked"))?
    })
}

/// What isn't built by cargo.
fn others(workspace: &Workspace) -> anyhow::Result<()> {
    python(workspace)?;
    node(workspace)?;
    container::image(workspace)?;
    go(workspace)?;
    openssl(workspace)?;
    unread::run(workspace)
}

fn packages() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !succeeds(Command::new("which").arg(program)))
        .map(|&(_, package)| package)
        .collect();
    if !succeeds(Command::new(PYTHON).args(["-c", "import ensurepip, venv"])) {
        missing.push("python3-venv");
    }
    if !succeeds(Command::new(PYTHON).args(["-c", "import pycurl"])) {
        missing.push("python3-pycurl");
    }
    if !succeeds(
        Command::new(PYTHON).args(["-c", "import ctypes; ctypes.CDLL('libcurl-nss.so.4')"]),
    ) {
        missing.extend(["libcurl3-nss", "nss-plugin-pem"]);
    }
    if !Path::new("/usr/include/openssl/ssl.h").exists() {
        missing.push("libssl-dev");
    }
    if !Path::new("/usr/include/mbedtls/ssl.h").exists() {
        missing.push("libmbedtls-dev");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = missing.join(" ");
    anyhow::ensure!(
        succeeds(Command::new("which").arg("apt-get")),
        "these are missing, and only on Debian and its kin can they be installed for you: {wanted}"
    );
    step("package lists", apt()?.arg("update"))?;
    let install = ["install", "--yes", "--no-install-recommends"];
    step(&format!("packages {wanted}"), apt()?.args(install).args(missing))
}

/// The distribution's own: it is where every user can run it, and links the system's OpenSSL.
const PYTHON: &str = "/usr/bin/python3";

fn apt() -> anyhow::Result<Command> {
    let mut command = as_root("env").context("Debian packages are missing")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    Ok(command)
}

fn components(workspace: &Workspace) -> anyhow::Result<()> {
    let source = sysroot(workspace)?.join("lib/rustlib/src/rust/library/Cargo.lock");
    let there = source.exists()
        && succeeds(&mut workspace.cargo(["clippy", "--version"]))
        && succeeds(&mut workspace.cargo(["fmt", "--version"]));
    if there {
        return Ok(());
    }
    let add = ["component", "add", "clippy", "rust-src", "rustfmt"];
    step("components of the toolchain", workspace.command("rustup").args(add))
}

/// bpf-linker against the LLVM that the toolchain itself comes with: nothing else fits as surely,
/// and no LLVM needs to be installed.
fn bpf_linker(workspace: &Workspace) -> anyhow::Result<()> {
    let program = workspace.tools.join("bin/bpf-linker");
    let version = output(Command::new(&program).arg("--version")).unwrap_or_default();
    if version.trim().ends_with(BPF_LINKER) {
        return Ok(());
    }
    let libraries = sysroot(workspace)?.join("lib");
    let Llvm { file, major } = Llvm::find(&libraries)?;
    let scratch = workspace.tools.join("bpf-linker-build");
    let flags = format!(
        "-C link-arg={} -C link-arg=-Wl,-rpath,{}",
        libraries.join(file).display(),
        libraries.display()
    );
    let mut install = workspace.cargo(["install", "bpf-linker", "--locked", "--force"]);
    install.args(["--version", BPF_LINKER, "--no-default-features"]);
    install.args(["--features", &format!("llvm-{major},no-llvm-linking")]);
    install.arg("--root").arg(&workspace.tools);
    install.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", &scratch);
    install.env_remove("CARGO_ENCODED_RUSTFLAGS");
    step(&format!("bpf-linker {BPF_LINKER} (about a minute)"), &mut install)?;
    fs::remove_dir_all(scratch).context("can't remove what bpf-linker was built in")
}

/// The LLVM library of a toolchain.
#[derive(Debug, PartialEq, Eq)]
struct Llvm {
    file: String,
    major: u32,
}

impl Llvm {
    fn find(libraries: &Path) -> anyhow::Result<Self> {
        fs::read_dir(libraries)?
            .filter_map(Result::ok)
            .find_map(|entry| Self::named(&entry.file_name().to_string_lossy()))
            .with_context(|| format!("the toolchain has no LLVM in {}", libraries.display()))
    }

    /// From a name such as `libLLVM.so.22.1-rust-1.95.0-stable`.
    fn named(file: &str) -> Option<Self> {
        let version = file.strip_prefix("libLLVM.so.")?;
        let major = version.split(['.', '-']).next()?.parse().ok()?;
        Some(Self { file: file.to_owned(), major })
    }
}

fn sysroot(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let path = output(workspace.command("rustc").args(["--print", "sysroot"]))?;
    Ok(path.trim().into())
}

/// The Python SDKs in an environment of their own.
fn python(workspace: &Workspace) -> anyhow::Result<()> {
    let wanted = workspace.root.join("tests/clients/requirements.txt");
    let folder = workspace.tools.join("python");
    let stamp = Stamp::of(&folder, &[&wanted])?;
    if stamp.is_current() {
        return Ok(());
    }
    // `--clear`: an environment made for another version of Python is of no use.
    let venv = ["-m", "venv", "--clear"];
    step("Python environment", Command::new(PYTHON).args(venv).arg(&folder))?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--no-deps", "--requirement"]).arg(&wanted);
    step("Python SDKs and Go", &mut install)?;
    stamp.write()
}

/// The Node SDK in a folder of its own.
fn node(workspace: &Workspace) -> anyhow::Result<()> {
    let clients = workspace.root.join("tests/clients");
    let (wanted, folder) = (clients.join("package-lock.json"), workspace.tools.join("node"));
    let stamp = Stamp::of(&folder, &[&wanted])?;
    if stamp.is_current() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(clients.join(file), folder.join(file))?;
    }
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    step("Node SDK", Command::new("npm").args(install).current_dir(&folder))?;
    stamp.write()
}

/// What the client that is written in Go is built as: with OpenSSL by cgo, and twice with Go's own TLS,
/// the second time as programs are shipped that are to be small and loaded anywhere.
const GO_CLIENTS: [(&str, &str, &[&str]); 3] = [
    ("client", "1", &[]),
    ("client-static", "0", &[]),
    ("client-stripped", "0", &["-buildmode=pie", "-ldflags=-s -w"]),
];

/// The clients that are written in Go, by the toolchain among the Python packages.
fn go(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.root.join("tests/clients/go");
    let folder = workspace.tools.join("go");
    let files = ["go.mod", "main.go", "native.go", "openssl.go"].map(|file| source.join(file));
    let stamp = Stamp::of(&folder, &files)?;
    if stamp.is_current() {
        return Ok(());
    }
    for (name, cgo, options) in GO_CLIENTS {
        let mut build = Command::new(workspace.tools.join("python/bin/go"));
        build.args(["build", "-trimpath"]).args(options);
        build.arg("-o").arg(folder.join(name)).current_dir(&source);
        build.env("GOCACHE", folder.join("cache")).env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
        build.env("CGO_ENABLED", cgo);
        step(&format!("Go {name} (about half a minute)"), &mut build)?;
    }
    stamp.write()
}

/// How the client that is written in Rust is built: the name of what comes of it, how the program itself is
/// linked, and cargo's arguments.
type RustClient = (&'static str, &'static [&'static str], &'static [&'static str]);

/// With rustls on AWS-LC, with the system's C library and with its own; with rustls on ring; and with
/// rustls 0.21. What they are made of is compiled once where it is the same, so a flag is for the program alone.
const RUST_CLIENTS: [RustClient; 4] = [
    ("client", &[], &[]),
    ("client-static", &["-C", "target-feature=+crt-static"], &[]),
    ("client-ring", &[], &["--no-default-features", "--features", "ring"]),
    ("client-old", &[], &["--no-default-features", "--features", "old"]),
];

/// What these are called without their symbols.
const RUST_STRIPPED: [(&str, &str); 2] =
    [("client-static", "client-stripped"), ("client-ring", "client-ring-stripped")];

/// The clients that are written in Rust.
fn rust(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.root.join("tests/clients/rust");
    let folder = workspace.tools.join("rust");
    let files =
        ["Cargo.toml", "Cargo.lock", "src/answer.rs", "src/main.rs"].map(|file| source.join(file));
    let stamp = Stamp::of(&folder, &files)?;
    if stamp.is_current() {
        return Ok(());
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    for (name, flags, features) in RUST_CLIENTS {
        let mut build = workspace.cargo(["rustc", "--release", "--locked", "--target", &target]);
        build.args(features).arg("--").args(flags).current_dir(&source);
        build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        build.env("CARGO_PROFILE_RELEASE_STRIP", "none");
        build.env("CARGO_TARGET_DIR", folder.join("build"));
        step(&format!("Rust {name} (a minute or two)"), &mut build)?;
        let built = folder.join("build").join(&target).join("release/rust-client");
        fs::copy(&built, folder.join(name))
            .with_context(|| format!("can't copy {}", built.display()))?;
    }
    for (name, stripped) in RUST_STRIPPED {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(folder.join(stripped)).arg(folder.join(name));
        step(&format!("Rust {stripped}"), &mut strip)?;
    }
    fs::remove_dir_all(folder.join("build"))
        .context("can't remove what the clients were built in")?;
    stamp.write()
}

/// The client that has OpenSSL inside, without a symbol of it.
fn openssl(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.root.join("tests/clients/openssl/client.c");
    let folder = workspace.tools.join("openssl");
    let stamp = Stamp::of(&folder, &[&source])?;
    if stamp.is_current() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]);
    compile.arg("-o").arg(folder.join("client")).arg(source);
    compile.args(["-Wl,--exclude-libs,ALL,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-s"]);
    step("client with OpenSSL inside", &mut compile)?;
    stamp.write()
}

/// A copy of the files that a folder was filled from, left in it when that was done.
struct Stamp {
    file: PathBuf,
    wanted: String,
}

impl Stamp {
    fn of(folder: &Path, sources: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut wanted = String::new();
        for source in sources.iter().map(AsRef::as_ref) {
            let text = fs::read_to_string(source);
            wanted += &text.with_context(|| format!("can't read {}", source.display()))?;
        }
        Ok(Self { file: folder.join("installed"), wanted })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|installed| installed == self.wanted)
    }

    fn write(&self) -> anyhow::Result<()> {
        Ok(fs::write(&self.file, &self.wanted)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_known_by_its_name() {
        let file = "libLLVM.so.22.1-rust-1.95.0-stable";
        assert_eq!(Llvm::named(file), Some(Llvm { file: file.to_owned(), major: 22 }));
        for other in ["libLLVM-22-rust-1.95.0-stable.so", "librustc_driver.so", "libLLVM.so.x"] {
            assert_eq!(Llvm::named(other), None, "{other}");
        }
    }
}
