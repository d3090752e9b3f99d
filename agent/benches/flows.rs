//! What watching connections costs those that are watched: TCP on loopback, with the watch and
//! without, in turns.
//!
//! `ping` is a byte there and back on a connection that is no TLS, `ping_tls` on one that has sent a TLS
//! greeting and whose bytes are counted, `bulk` 64 KiB one way at a time on the latter, `open` a
//! connection that is opened, used for a byte each way and closed, `open_http` one that begins with a
//! request in plain HTTP, which is handed over, read and found to be of no interest. There is no network in between, so
//! the ratios are the worst there are. On a host that does other things too they vary by more than the
//! watch costs; the kernel's own account of the time that its programs take, which follows, doesn't.
//!
//! The client is a process of its own, for this one, which has the watch, isn't watched. Needs the privilege
//! to load probes, and says so without it.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use weir::capture::{Capture, Drain, FlowEvent, Options};
use weir_core::plain::Request;
use weir_core::secret::FingerprintKey;
use weir_ebpf::name;

/// Rounds with the watch and rounds without, one after the other; of each the quickest counts, for
/// the others were disturbed.
const ROUNDS: usize = 5;

/// How often each thing is done in a round.
const PINGS: u32 = 20_000;
const PIECES: u32 = 4_000;
const OPENED: u32 = 3_000;

const PIECE: usize = 64 << 10;

const KINDS: [&str; 5] = ["ping", "ping_tls", "bulk", "open", "open_http"];

/// The programs of the watch that TCP over IPv4 meets.
const PROGRAMS: [&str; 3] = [name::CONNECT4, name::EGRESS, name::RELEASED];

/// The beginning of a greeting, which is all that is looked at in the kernel.
const GREETING: [u8; 11] = [22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3];

/// What services ask each other all day. Its last byte says what the server is to do.
const REQUEST: &[u8] = b"POST /v2/orders HTTP/1.1\r\nHost: orders.inside.example\r\n\
    User-Agent: python-requests/2.32\r\nAccept: */*\r\nAuthorization: Bearer 0123456789abcdef\r\n\
    Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"order\": 17}p";

/// How often records are drained, as nobody wakes whoever drains them here.
const DRAINED_EVERY: Duration = Duration::from_millis(1);

/// Set for the client: where the server is.
const SERVER: &str = "WEIR_BENCH_SERVER";

fn main() -> anyhow::Result<()> {
    if let Ok(server) = env::var(SERVER) {
        let times = measure(server.parse()?)?;
        println!("{}", times.map(|time| time.to_string()).join(" "));
        return Ok(());
    }
    let server = serve()?;
    let mut best = [[f64::INFINITY; KINDS.len()]; 2];
    for _ in 0..ROUNDS {
        for (watch, best) in [false, true].into_iter().zip(&mut best) {
            let options = Options { watch_connections: watch, ..Options::default() };
            let (capture, mut drain) = match Capture::start(&options) {
                Ok(started) => started,
                Err(error) => {
                    println!("flows: skipped: {error}");
                    return Ok(());
                }
            };
            let watched = capture.status().unwatched.is_none();
            anyhow::ensure!(watched == watch, "{:?}", capture.status().unwatched);
            let (times, records) = client(server, &capture, &mut drain)?;
            for (best, time) in best.iter_mut().zip(times) {
                *best = best.min(time);
            }
            anyhow::ensure!((records > 0) == watch, "{records} records were written");
        }
    }
    println!("µs               without     with    more  ratio");
    let [without, with] = best;
    for ((kind, without), with) in KINDS.into_iter().zip(without).zip(with) {
        let (more, ratio) = (with - without, with / without);
        println!("{kind:<14} {without:>9.2} {with:>8.2} {more:>7.2}  {ratio:>5.3}");
    }
    account(server)
}

/// Says how long each of the watch's programs takes when it runs.
fn account(server: SocketAddr) -> anyhow::Result<()> {
    let _kept = enable_stats(Stats::RunTime)?;
    let (capture, mut drain) = Capture::start(&Options::default())?;
    client(server, &capture, &mut drain)?;
    println!("program        times     ns each");
    for info in loaded_programs() {
        let info = info?;
        let Some(name) = info.name_as_str().filter(|name| PROGRAMS.contains(name)) else {
            continue;
        };
        let times = info.run_count();
        if times > 0 {
            let each = info.run_time().as_nanos() as f64 / times as f64;
            println!("{name:<10} {times:>9} {each:>11.0}");
        }
    }
    Ok(())
}

/// Has the client do all of it, in microseconds for one of each kind; and does with each request what
/// the daemon does. Says how many records there were.
fn client(
    server: SocketAddr,
    capture: &Capture,
    drain: &mut Drain,
) -> anyhow::Result<(Vec<f64>, usize)> {
    let key = FingerprintKey::new([1; 32]);
    let mut command = Command::new(env::current_exe()?);
    let mut client = command.env(SERVER, server.to_string()).stdout(Stdio::piped()).spawn()?;
    let mut records = 0;
    let mut is_over = false;
    while !is_over {
        is_over = client.try_wait()?.is_some();
        records += drain.drain_flows(|event| match event {
            FlowEvent::Plain { flow, data, .. } => {
                if Request::read(data, &key).is_none_or(|request| request.api.is_none()) {
                    capture.forget(flow.id);
                }
            }
            FlowEvent::Greeted { .. } | FlowEvent::Quic { .. } | FlowEvent::Released { .. } => {}
        });
        thread::sleep(DRAINED_EVERY);
    }
    let said = String::from_utf8(client.wait_with_output()?.stdout)?;
    let times: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    anyhow::ensure!(times.len() == KINDS.len(), "the client said {said:?}");
    Ok((times, records))
}

/// Microseconds for one of each kind.
fn measure(server: SocketAddr) -> anyhow::Result<[f64; KINDS.len()]> {
    let ping = pings(connect(server, b'p', &[])?)?;
    let ping_tls = pings(connect(server, b'p', &GREETING)?)?;
    let mut stream = connect(server, b'b', &GREETING)?;
    let piece = vec![0; PIECE];
    let bulk = time(PIECES, || stream.write_all(&piece))?;
    drop(stream);
    let open = opened(server, b"p")?;
    let open_http = opened(server, REQUEST)?;
    Ok([ping, ping_tls, bulk, open, open_http])
}

/// Waiting for the answer keeps the server's backlog short.
fn opened(server: SocketAddr, first: &[u8]) -> io::Result<f64> {
    time(OPENED, || {
        let mut stream = TcpStream::connect(server)?;
        stream.write_all(first)?;
        stream.read_exact(&mut [0])
    })
}

fn pings(mut stream: TcpStream) -> io::Result<f64> {
    let mut byte = [0; 1];
    time(PINGS, || {
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)
    })
}

/// The first segment is the greeting, if there is one; a byte of it says what the server is to do.
fn connect(server: SocketAddr, role: u8, greeting: &[u8]) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server).context("the server is gone")?;
    stream.set_nodelay(true)?;
    stream.write_all(&[greeting, &[role]].concat())?;
    let mut ready = [0; 1];
    stream.read_exact(&mut ready)?;
    Ok(stream)
}

fn time(count: u32, mut once: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let begin = Instant::now();
    for _ in 0..count {
        once()?;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(count))
}

/// Answers each byte with one, or takes in whatever comes.
fn serve() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut buffer = vec![0; PIECE];
    let mut length = stream.read(&mut buffer)?;
    let Some(role) = buffer.get(..length).and_then(<[u8]>::last).copied() else {
        return Ok(());
    };
    stream.write_all(&[0])?;
    while length > 0 {
        length = stream.read(&mut buffer)?;
        if role == b'p' && length > 0 {
            stream.write_all(&[0])?;
        }
    }
    Ok(())
}
