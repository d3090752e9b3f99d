//! Builds the probes from source and leaves the object for `include_bytes_aligned!`.
//!
//! The probes need a target that the stable compiler has no `core` for, so `core` is built too:
//! `RUSTC_BOOTSTRAP=1` and `-Z build-std=core`, with the compiler that `rust-toolchain.toml` pins.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// The package, and the binary in it.
const PACKAGE: &str = "weir-ebpf";
const BINARY: &str = "weir-probes";

fn main() -> Result<()> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.parent().context("the package lies in a workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for path in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo:rerun-if-changed=build.rs");

    let linker = find_linker(workspace)?;
    println!("cargo:rerun-if-changed={}", linker.display());
    let object = build(workspace, &out, &linker)?;
    std::fs::copy(&object, out.join(BINARY))
        .with_context(|| format!("cannot copy {}", object.display()))?;
    Ok(())
}

/// `bpf-linker` as `cargo xtask setup` leaves it, else any in the `PATH`.
fn find_linker(workspace: &Path) -> Result<PathBuf> {
    let ours = workspace.join("target/tools/bin/bpf-linker");
    println!("cargo:rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).map(|folder| folder.join("bpf-linker"));
    match std::iter::once(ours).chain(others).find(|candidate| candidate.is_file()) {
        Some(linker) => Ok(linker),
        None => bail!("bpf-linker is missing: run `cargo xtask setup` (it takes about a minute)"),
    }
}

/// Runs cargo for the BPF target and says where the object is.
fn build(workspace: &Path, out: &Path, linker: &Path) -> Result<PathBuf> {
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    ensure!(
        matches!(architecture.as_str(), "x86_64" | "aarch64"),
        "the probes know the registers of x86_64 and aarch64, not those of {architecture}"
    );
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "little" => "bpfel-unknown-none",
        _ => "bpfeb-unknown-none",
    };
    let target_dir = out.join("bpf");
    let rustflags = [
        format!("--cfg=bpf_target_arch=\"{architecture}\""),
        "--check-cfg=cfg(bpf_target_arch, values(\"x86_64\", \"aarch64\"))".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
    ];
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(workspace)
        .args(["build", "--locked", "--release", "-Z", "build-std=core", "--target", target])
        .args(["--package", PACKAGE, "--bin", BINARY, "--features", "programs", "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}"))
        // The workspace's release profile strips what BTF is made of.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        // What wraps the compiler of this build (clippy, a cache) is not for that one.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS");
    let output = cargo.output().context("cannot run cargo for the probes")?;
    ensure!(
        output.status.success(),
        "the probes did not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(target_dir.join(target).join("release").join(BINARY))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo sets {name} for build scripts"))
}
