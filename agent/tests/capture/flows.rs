//! What is handed over of connections that are watched from outside.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use weir::capture::FlowEvent;
use weir_ebpf::flow::REQUEST_MAX;

use super::Probes;

/// Of each line, which has what a connection begins with and how long that is filled up to be, it makes a
/// connection; and what it sends there after an answer is a request.
const CLIENT: &str = r"
import socket, sys
for line in sys.stdin:
    front, size = line.encode().decode('unicode_escape').rsplit('|', 1)
    with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as one:
        one.sendall(front.encode('latin-1').ljust(int(size), b'x'))
        one.recv(1)
        one.sendall(b'POST /second HTTP/1.1\r\n\r\n')
        one.shutdown(socket.SHUT_WR)
        while one.recv(99):
            pass
";

/// Answers whatever comes with a byte, on a port of its own.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                // The client may have gone.
                let _gone = stream.write_all(b"x");
            }
            let _gone = stream.shutdown(Shutdown::Both);
        }
    });
    port
}

/// A request is handed over where a connection begins with it, and no more of it than has room.
#[test]
fn requests_in_plain_http_are_handed_over_once() {
    let Some(mut probes) = Probes::start() else { return };
    if let Some(reason) = probes.capture.status().unwatched {
        println!("skipped: {reason}");
        return;
    }
    let cases = [
        ("POST /", 9, Some(9)),
        ("POST /", 8, None),
        ("GET / HTTP/1.1", 100, Some(100)),
        ("PUT /", 1023, Some(1023)),
        ("PATCH /", 1024, Some(1024)),
        ("DELETE /", 1025, Some(1025)),
        ("HEAD /", 2047, Some(2047)),
        ("POST /", 2048, Some(2048)),
        ("POST /", 2049, Some(REQUEST_MAX)),
        ("POST /", 30_000, Some(REQUEST_MAX)),
        (r"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 100, Some(100)),
        ("CONNECT a:443 HTTP/1.1", 100, None),
        ("HTTP/1.1 200 OK", 100, None),
        ("get / HTTP/1.1", 100, None),
        ("EHLO a", 100, None),
        (r"\x16\x03\x01\x00\x10\x02", 100, None),
    ];
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", CLIENT, &serve().to_string()]).stdin(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let pid = client.id();
    let mut stdin = client.stdin.take().unwrap();
    for (front, size, _) in cases {
        writeln!(stdin, "{front}|{size}").unwrap();
    }
    drop(stdin);
    assert!(client.wait().unwrap().success());
    probes.drain.wait(Some(Duration::from_millis(200))).unwrap();
    let mut seen = Vec::new();
    let read = |event: FlowEvent<'_>| match event {
        FlowEvent::Plain { flow, carried, data, .. } if flow.process.pid == pid => {
            assert!(carried.written >= data.len() as u64);
            seen.push(data.to_vec());
        }
        FlowEvent::Plain { .. }
        | FlowEvent::Greeted { .. }
        | FlowEvent::Quic { .. }
        | FlowEvent::Released { .. } => {}
    };
    probes.drain.drain_flows(read);
    let expected = cases.iter().filter_map(|(front, _, length)| Some((*front, (*length)?)));
    let expected = expected.map(|(front, length)| {
        let mut data = front.replace(r"\r\n", "\r\n").into_bytes();
        data.resize(length, b'x');
        data
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
}
