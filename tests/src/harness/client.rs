//! A real client: a process that makes calls with a real SDK, or curl.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, thread};

use anyhow::Context as _;
use serde_json::Value;

use super::container::{self, Container};
use super::{Kind, Scene, Who};
use crate::play::Play;

/// How long a client may take.
const LIMIT: Duration = Duration::from_secs(240);

/// Which answers are to be streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// None.
    No,
    /// All.
    Yes,
    /// Every other.
    Mixed,
}

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct Load {
    /// The API, by the clients' own names.
    pub api: &'static str,
    /// How many calls.
    pub count: u32,
    /// How many at a time.
    pub concurrency: u32,
    /// Which are streams.
    pub stream: Stream,
    /// What the server is to do.
    pub play: Play,
    /// Whether streams are asked for their usage, where that is a choice.
    pub ask_usage: bool,
    /// What to say, if not the usual.
    pub prompt: Option<String>,
    /// At least how long the prompt is to be, in bytes.
    pub prompt_bytes: u64,
    /// Leave a stream after this many events; 0 for never.
    pub leave_after: u32,
    /// Make one call at once and the others when told to.
    pub wait: bool,
    /// The model to ask for, if not the usual of the API.
    pub model: Option<&'static str>,
    /// The host to ask, if not the scene's server.
    pub host: Option<String>,
    /// The end of the API key, if not the label.
    pub key: Option<String>,
    /// The W3C trace that its calls belong to (`traceparent`), where a client can say that.
    pub trace: Option<&'static str>,
}

impl Load {
    /// `count` calls of `api`, one at a time, not streamed.
    #[must_use]
    pub fn new(api: &'static str, count: u32) -> Self {
        Self {
            api,
            count,
            concurrency: 1,
            stream: Stream::No,
            play: Play::default(),
            ask_usage: true,
            prompt: None,
            prompt_bytes: 0,
            leave_after: 0,
            wait: false,
            model: None,
            host: None,
            key: None,
            trace: None,
        }
    }

    fn model(&self) -> &'static str {
        self.model.unwrap_or(match self.api {
            "responses" => "gpt-5.6-luna",
            "embeddings" => "text-embedding-3-small",
            "messages" => "claude-sonnet-4-5",
            _ => "gpt-4o",
        })
    }

    fn arguments(&self, kind: Kind) -> Vec<String> {
        let concurrency = if kind.is_sequential() { 0 } else { self.concurrency };
        let stream = match self.stream {
            Stream::No => "no",
            Stream::Yes => "yes",
            Stream::Mixed => "mixed",
        };
        let mut arguments: Vec<String> = [
            ("--api", self.api.to_owned()),
            ("--model", self.model().to_owned()),
            ("--count", self.count.to_string()),
            ("--concurrency", concurrency.to_string()),
            ("--stream", stream.to_owned()),
            ("--play", self.play.header_value()),
            ("--prompt-bytes", self.prompt_bytes.to_string()),
            ("--leave-after", self.leave_after.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        if let Some(prompt) = &self.prompt {
            arguments.extend(["--prompt".to_owned(), prompt.clone()]);
        }
        if !self.ask_usage {
            arguments.push("--no-usage".to_owned());
        }
        if self.wait {
            arguments.push("--wait".to_owned());
        }
        if kind.asks_for_http2() {
            arguments.push("--http2".to_owned());
        }
        if kind.asks_for_tls12() {
            arguments.push("--tls12".to_owned());
        }
        arguments
    }
}

/// Who a client was: what its calls have to be attributed to.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its name in the truth.
    pub label: String,
    /// Its process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its program.
    pub exe: PathBuf,
    /// Its identity, if it isn't in a container.
    pub who: Who,
    /// Its container.
    pub container: Option<Container>,
    /// Its header fields may refer to some that were sent before anybody watched: that of the host
    /// and that of the credential may be unknown.
    pub joined_late: bool,
}

/// A running client. It is killed if this is dropped before it has ended.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    /// Taken when it has ended.
    stderr: Option<JoinHandle<String>>,
}

impl Client {
    /// Starts one. With [`Load::wait`], returns when its first call is done.
    ///
    /// # Errors
    /// If it can't be started, or ends before its first call.
    pub fn start(scene: &Scene, kind: Kind, who: Who, load: &Load) -> anyhow::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let label =
            load.key.clone().unwrap_or_else(|| format!("{}.{}.{number}", kind.name(), who.name()));
        let place = scene.place();
        let (program, script) = match kind {
            Kind::OpenAiSync | Kind::OpenAiAsync | Kind::OpenAiHttp2 => {
                (place.python.clone(), Some("openai_calls.py"))
            }
            Kind::AnthropicSync | Kind::AnthropicAsync => {
                (place.python.clone(), Some("anthropic_calls.py"))
            }
            Kind::OpenAiWebSocket => (place.python.clone(), Some("openai_session.py")),
            Kind::Node | Kind::NodeHttp2 => (place.node.clone(), Some("openai_calls.mjs")),
            Kind::Bun => (place.bun.clone(), Some("openai_calls.mjs")),
            Kind::Curl | Kind::CurlHttp2 => (PathBuf::from("/bin/bash"), Some("curl_calls.sh")),
            Kind::Deno => (place.deno.clone(), Some("openai_calls.mjs")),
            Kind::GoHttp2 => (place.go_client.clone(), None),
            Kind::Go | Kind::GoTlsHttp2 => (place.go_static.clone(), None),
            Kind::GoStripped | Kind::ContainerGo => (place.go_stripped.clone(), None),
            Kind::Reqwest | Kind::ReqwestTls12 => (place.rust_client.clone(), None),
            Kind::ReqwestHttp2 | Kind::ContainerReqwestHttp2 => {
                (place.rust_client_stripped.clone(), None)
            }
            Kind::RingReqwest | Kind::RingReqwestTls12 | Kind::RingReqwestHttp2 => {
                (place.rust_client_on_ring.clone(), None)
            }
            Kind::OldReqwest | Kind::OldReqwestTls12 | Kind::OldReqwestHttp2 => {
                (place.rust_client_old.clone(), None)
            }
            Kind::GnuTls | Kind::GnuTlsHttp2 | Kind::Nss | Kind::NssHttp2 => {
                (place.system_python.clone(), Some("pycurl_calls.py"))
            }
            Kind::NssPeeking => (place.system_python.clone(), Some("nss_peeking.py")),
            Kind::ContainerCurl | Kind::ContainerCurlHttp2 => {
                (PathBuf::from("/bin/bash"), Some("curl_calls.sh"))
            }
            Kind::ContainerPython => (PathBuf::from(container::PYTHON), Some("stdlib_calls.py")),
            Kind::ContainerGnuTlsHttp2 => {
                (PathBuf::from(container::PYTHON), Some("pycurl_calls.py"))
            }
            Kind::WheelCurl | Kind::WheelCurlHttp2 => {
                (place.python.clone(), Some("pycurl_calls.py"))
            }
            Kind::PyOpenSsl => (place.python.clone(), Some("pyopenssl_calls.py")),
            Kind::StaticOpenSsl => (place.openssl_client.clone(), None),
            Kind::OldNode => (place.old_node.clone(), Some("openai_calls.mjs")),
            Kind::GnuTlsCorked => (place.system_python.clone(), Some("gnutls_corked.py")),
        };
        let exe = if kind.is_curl() { PathBuf::from("/usr/bin/curl") } else { program.clone() };

        let (container, mut command) = if kind.is_in_container() {
            let (container, command) =
                Container::of(&label, who, place, scene.directory(), &program)?;
            (Some(container), command)
        } else {
            (None, who.command(&program)?)
        };
        if kind == Kind::Deno {
            command.args(["run", "--allow-all", "--no-config", "--quiet"]);
        }
        command.args(script.map(|script| place.clients.join(script)));
        command.args(load.arguments(kind));
        let host = load.host.clone().unwrap_or_else(|| scene.server.host());
        let authority = scene.directory().join("authority.pem");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("TMPDIR", scene.directory())
            .env("SSL_CERT_FILE", &authority)
            .env("NODE_EXTRA_CA_CERTS", &authority)
            .env("DENO_CERT", &authority)
            .env("DENO_DIR", scene.directory().join("deno"))
            .env("DENO_NO_UPDATE_CHECK", "1")
            .env("OPENAI_BASE_URL", format!("https://{host}/v1"))
            .env("ANTHROPIC_BASE_URL", format!("https://{host}"))
            .env("OPENAI_API_KEY", format!("sk-weir-{label}"))
            .env("ANTHROPIC_API_KEY", format!("sk-ant-weir-{label}"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("WEIR_NODE_FOLDER", &place.node_folder);
        match kind {
            // What is called PycURL there is over NSS.
            Kind::Nss | Kind::NssHttp2 => {
                command.env("PYTHONPATH", place.clients.join("nss"));
            }
            // Without this it has no `fetch`.
            Kind::OldNode => {
                command.env("NODE_OPTIONS", "--experimental-fetch --no-warnings");
            }
            _other => {}
        }
        if let Some(trace) = load.trace {
            command.env("TRACEPARENT", trace);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("can't start {label}"))?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        // As many lines as there are calls, and one more for being ready.
        let (sender, lines) = sync_channel(load.count as usize + 2);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let stderr = Some(thread::spawn(move || {
            let mut text = String::new();
            // What can't be read is no help in explaining a failure.
            drop(BufReader::new(stderr).read_to_string(&mut text));
            text
        }));
        let caller = Caller {
            label,
            pid: container.as_ref().map_or_else(|| Ok(child.id()), Container::pid)?,
            uid: who.uid()?,
            exe: if container.is_some() { exe } else { fs::canonicalize(exe)? },
            who,
            container,
            joined_late: load.wait && kind.builds_on_its_past(),
        };
        let client = Self { caller, child, stdin, lines, stderr };
        if load.wait { client.until_ready(scene, kind, load) } else { Ok(client) }
    }

    /// Who it is.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Tells a client that waits to go on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn go(&mut self, scene: &Scene) -> anyhow::Result<()> {
        scene.server.open_gate();
        writeln!(self.stdin, "go").with_context(|| format!("{} is gone", self.caller.label))
    }

    /// Waits for its end and returns what it reported of each call.
    ///
    /// # Errors
    /// If it takes too long or fails.
    pub fn finish(mut self) -> anyhow::Result<(Caller, Vec<Value>)> {
        let mut status = None;
        let ended = super::wait_until(&format!("{} to end", self.caller.label), LIMIT, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        });
        if let Err(error) = ended {
            self.kill();
            return Err(error);
        }
        let reports = self.lines.iter().filter(|line| line.get("ready").is_none()).collect();
        let complaint = self.stderr.take().map(JoinHandle::join);
        let complaint = complaint.and_then(Result::ok).unwrap_or_default();
        // Curl's status is that of its last transfer, which may be meant to fail.
        let failed = status.is_none_or(|status| !status.success());
        anyhow::ensure!(
            !failed || self.caller.exe.ends_with("curl"),
            "{} failed:\n{complaint}",
            self.caller.label
        );
        Ok((self.caller.clone(), reports))
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    /// If that can't be found out.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // Podman's end is not that of what it runs.
        if self.is_running().unwrap_or(true)
            && let Some(container) = &self.caller.container
        {
            container.remove();
        }
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn until_ready(self, scene: &Scene, kind: Kind, load: &Load) -> anyhow::Result<Self> {
        let first = self.lines.recv_timeout(Duration::from_secs(60));
        if kind.is_curl() {
            let label = &self.caller.label;
            let done = || scene.server.journal().calls().iter().any(|call| call.label == *label);
            super::wait_until("curl's first call", Duration::from_secs(20), || Ok(done()))?;
        } else {
            first.with_context(|| format!("{} made no first call of {}", kind.name(), load.api))?;
            self.lines.recv_timeout(Duration::from_secs(60)).context("it is not ready")?;
        }
        Ok(self)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.kill();
    }
}
