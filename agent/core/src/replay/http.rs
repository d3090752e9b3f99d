//! HTTP/1.1 messages whose lengths and codings nobody has to work out by hand.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::Problem;
use super::encode::{LAST_CHUNK, Payload, chunk, split_at_blank};

/// A head, with a line break after each line and the blank line that ends it.
pub(super) fn head(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.bytes().chain(*b"\r\n")).chain(*b"\r\n").collect()
}

/// A whole message, as its head and its body. What the head says of the body is done to it; what
/// it doesn't say of the body's length is added, unless the body goes on `until_close`.
pub(super) fn message(
    lines: &[&str],
    payload: Payload,
    until_close: bool,
) -> Result<(Vec<u8>, Vec<u8>), Problem> {
    let (head_lines, body_lines) = split_at_blank(lines);
    let mut body = if body_lines.is_empty() { Vec::new() } else { payload.encode(body_lines)? };
    if payload != Payload::Hex
        && let Some(coding) = field(head_lines, "content-encoding")
        && !body.is_empty()
    {
        body = compress(&body, coding)?;
    }
    let chunked = field(head_lines, "transfer-encoding").is_some();
    if chunked {
        body = if body.is_empty() { Vec::new() } else { chunk(&body) };
        body.extend_from_slice(LAST_CHUNK);
    }
    let mut head_lines = head_lines.to_vec();
    let length = format!("Content-Length: {}", body.len());
    let is_said = chunked || until_close || field(&head_lines, "content-length").is_some();
    if !is_said && (has_body(head_lines.first()) || !body.is_empty()) {
        head_lines.push(&length);
    }
    Ok((head(&head_lines), body))
}

/// The value of a header field.
fn field<'t>(lines: &[&'t str], name: &str) -> Option<&'t str> {
    lines.iter().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Whether a message with this first line has a body, be it an empty one (RFC 9110, section 6.4.1).
fn has_body(first: Option<&&str>) -> bool {
    let status = first.and_then(|first| first.strip_prefix("HTTP/1."));
    let status = status.and_then(|rest| rest.split_ascii_whitespace().nth(1));
    status.is_some_and(|status| !status.starts_with('1') && !matches!(status, "204" | "304"))
}

fn compress(body: &[u8], coding: &str) -> Result<Vec<u8>, Problem> {
    let failed = |_never| Problem::Coding(coding.to_owned());
    match coding {
        "identity" => Ok(body.to_vec()),
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).map_err(failed)?;
            encoder.finish().map_err(failed)
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).map_err(failed)?;
            encoder.finish().map_err(failed)
        }
        other => Err(Problem::Coding(other.to_owned())),
    }
}
