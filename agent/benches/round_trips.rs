//! What probing costs a program: TLS round trips in one process, with the probes and without.
//!
//! Each round trip writes 2,000 bytes one way and 4,000 back, over memory, so there are two writes and
//! two reads and nothing to wait for. `quiet` isn't HTTP and costs the breakpoints alone; `http` is
//! copied too. `plain` are `SSL_read` and `SSL_write`, `ex` the functions that CPython calls. What
//! counts are the ratios: the calls come from Python, and its own time is in all the numbers.
//!
//! `empty` is what others begin with: a probe at the first instruction and a return probe on each of
//! the functions, with programs that do nothing. The last column is what ours cost, as a share of that.
//!
//! Needs the privilege to load probes, and says so without it.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use anyhow::Context as _;
use aya::Ebpf;
use aya::programs::UProbe;
use aya::programs::uprobe::UProbeScope;
use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use weir::capture::{Capture, CaptureError, Options};

/// Round trips of a run.
const ROUND_TRIPS: u32 = 5_000;

/// Runs of each kind, of which the quickest counts: the others were disturbed.
const RUNS: u32 = 5;

const KINDS: [&str; 4] = ["quiet_plain", "quiet_ex", "http_plain", "http_ex"];

/// The functions that the round trips call.
const FUNCTIONS: [&str; 4] = ["SSL_read", "SSL_write", "SSL_read_ex", "SSL_write_ex"];

/// Microseconds per round trip of each of [`KINDS`].
type Times = [f64; KINDS.len()];

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut client = Client::start(folder.path())?;
    let mut best = [[f64::INFINITY; KINDS.len()]; 3];
    let (mut read, mut lost) = (0, 0);
    for _ in 0..RUNS {
        let without = client.measure()?;
        let with = match with_ours(&mut client)? {
            Ok((with, more_read, more_lost)) => {
                (read, lost) = (read + more_read, lost + more_lost);
                with
            }
            Err(error) => {
                println!("round trips: skipped: {error}");
                return Ok(());
            }
        };
        let empty = with_empty(&mut client)?;
        for (best, now) in best.iter_mut().zip([without, empty, with]) {
            for (best, now) in best.iter_mut().zip(now) {
                *best = best.min(now);
            }
        }
    }
    println!(
        "µs per round trip   without    empty     ours  ours/without  (ours-without)/(empty-without)"
    );
    let [without, empty, with] = best;
    for (((kind, without), empty), with) in KINDS.into_iter().zip(without).zip(empty).zip(with) {
        let (ratio, share) = (with / without, (with - without) / (empty - without));
        println!(
            "{kind:<18} {without:>8.1} {empty:>8.1} {with:>8.1}  {ratio:>12.2}  {share:>31.2}"
        );
    }
    // What is lost isn't copied and costs less: with many losses the numbers of `http` are too low.
    println!("{read} records were read, {lost} lost");
    Ok(())
}

/// With the daemon's probes and a reader of what they copy: also how many records were read and lost.
fn with_ours(client: &mut Client) -> anyhow::Result<Result<(Times, u64, u64), CaptureError>> {
    let (capture, mut drain) = match Capture::start(&Options::default()) {
        Ok(started) => started,
        Err(error) => return Ok(Err(error)),
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || -> std::io::Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                drain.wait(Some(Duration::from_millis(20)))?;
                drain.drain(|_event| {});
            }
            Ok(())
        }
    });
    let times = client.measure();
    is_over.store(true, Ordering::Relaxed);
    let ended = reader.join();
    let status = capture.status();
    anyhow::ensure!(matches!(ended, Ok(Ok(()))), "the ring could not be read: {ended:?}");
    let lost = status.losses.iter().map(|loss| loss.records).sum();
    Ok(Ok((times?, status.records, lost)))
}

/// With a conventional pair of probes on each function.
fn with_empty(client: &mut Client) -> anyhow::Result<Times> {
    let library = client.library()?;
    let mut ebpf = Ebpf::load(&empty_programs()?)?;
    for name in ["enter", "leave"] {
        let program: &mut UProbe = ebpf.program_mut(name).context("it was written")?.try_into()?;
        program.load()?;
        for function in FUNCTIONS {
            program.attach(function, &library, UProbeScope::AllProcesses)?;
        }
    }
    client.measure()
}

/// An object with two programs that return 0 and do nothing.
fn empty_programs() -> anyhow::Result<Vec<u8>> {
    const RETURN_0: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    for (section, name) in [("uprobe", "enter"), ("uretprobe", "leave")] {
        let (segment, section) = (Vec::new(), section.as_bytes().to_vec());
        let section = object.add_section(segment, section, SectionKind::Text);
        object.append_section_data(section, &RETURN_0, 8);
        object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: RETURN_0.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    Ok(object.write()?)
}

/// The process that makes the round trips.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .stderr(Stdio::null())
            .status()?;
        anyhow::ensure!(made.success(), "openssl made no certificate");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/round_trips.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args([&cert, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("/usr/bin/python3 is needed, on the system's OpenSSL")?;
        let input = child.stdin.take().context("its input is piped")?;
        let output = BufReader::new(child.stdout.take().context("its output is piped")?);
        Ok(Self { child, input, output })
    }

    /// The TLS library that it has mapped.
    fn library(&self) -> anyhow::Result<PathBuf> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.child.id()))?;
        let mut paths = maps.lines().filter_map(|line| line.split_whitespace().last());
        let path = paths.find(|path| path.contains("libssl.so.3"));
        path.map(PathBuf::from).context("it has no libssl.so.3")
    }

    fn measure(&mut self) -> anyhow::Result<Times> {
        let mut times = [0.0; KINDS.len()];
        for (time, kind) in times.iter_mut().zip(KINDS) {
            writeln!(self.input, "{kind} {ROUND_TRIPS}")?;
            let mut answer = String::new();
            self.output.read_line(&mut answer)?;
            *time = answer.trim().parse().with_context(|| format!("it said {answer:?}"))?;
        }
        Ok(times)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
