//! Binary frames, from what they mean: AWS event streams and WebSocket.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::Problem;
use super::encode::Payload;
use super::words::Words;
use crate::units::Direction;

/// One message of an AWS event stream: `total length | headers length | CRC of both | headers |
/// payload | CRC of all`. Each header line is `name: value`; values are strings (type 7).
pub(super) fn event_stream_message(lines: &[&str], payload: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut headers = Vec::new();
    for line in lines {
        let malformed =
            || Problem::Malformed { text: (*line).to_owned(), wanted: "header `name: value`" };
        // Names may begin with a colon.
        let (colon, rest) = line.split_at(usize::from(line.starts_with(':')));
        let (name, value) = rest.split_once(": ").ok_or_else(malformed)?;
        let name = format!("{colon}{name}");
        headers.push(u8::try_from(name.len()).map_err(|_| malformed())?);
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).map_err(|_| malformed())?.to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut message = length(16 + headers.len() + payload.len()).to_vec();
    message.extend(length(headers.len()));
    message.extend(crc32(&message));
    message.extend(headers);
    message.extend_from_slice(payload);
    message.extend(crc32(&message));
    Ok(message)
}

fn crc32(data: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum().to_be_bytes()
}

/// The number of an opcode.
fn opcode(word: &str) -> Option<u8> {
    Some(match word {
        "continuation" => 0,
        "text" => 1,
        "binary" => 2,
        "close" => 8,
        "ping" => 9,
        "pong" => 10,
        _ => return None,
    })
}

/// The key that clients mask with here. Real ones are random.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Writes the WebSocket frames of one direction (RFC 6455, section 5.2).
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What it compresses messages with that refer to each other.
    deflate: Option<Deflate>,
}

impl Frames {
    /// A frame and its block: `OPCODE [more] [deflate | deflate-context] [FORM]`.
    pub(super) fn frame(
        &mut self,
        direction: Direction,
        mut words: Words<'_>,
        block: &[&str],
    ) -> Result<Vec<u8>, Problem> {
        let word = words.need("an opcode")?;
        let opcode = opcode(word).ok_or_else(|| Problem::Unknown(word.to_owned()))?;
        let more = words.take("more");
        let (afresh, onwards) = (words.take("deflate"), words.take("deflate-context"));
        let (payload, block) = Payload::of(words, block)?;
        let mut data = payload.encode(&block)?;
        if afresh {
            data = Deflate::new().message(&data)?;
        } else if onwards {
            data = self.deflate.get_or_insert_with(Deflate::new).message(&data)?;
        }
        let flags = u8::from(!more) << 7 | u8::from(afresh || onwards) << 6;
        Ok(encode(direction, flags | opcode, &data))
    }
}

/// A frame's bytes. What a client writes is masked.
fn encode(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_flag = match direction {
        Direction::Write => 0x80,
        Direction::Read => 0,
    };
    let mut out = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.push(mask_flag | short),
        (_, Ok(medium)) => {
            out.push(mask_flag | 126);
            out.extend(medium.to_be_bytes());
        }
        _ => {
            out.push(mask_flag | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    match direction {
        Direction::Write => {
            out.extend(MASK);
            out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
        Direction::Read => out.extend_from_slice(payload),
    }
    out
}

/// Compresses the messages of one direction of a WebSocket (RFC 7692, section 7.2.1).
#[derive(Debug)]
struct Deflate(Compress);

impl Deflate {
    fn new() -> Self {
        Self(Compress::new(Compression::default(), false))
    }

    /// Compresses one message, with what came before as context.
    fn message(&mut self, data: &[u8]) -> Result<Vec<u8>, Problem> {
        let failed = |_never| Problem::Coding("deflate".to_owned());
        let start = self.0.total_in();
        let mut out = Vec::with_capacity(data.len() + 64);
        loop {
            let done = usize::try_from(self.0.total_in() - start).unwrap_or(data.len());
            let rest = data.get(done..).unwrap_or_default();
            self.0.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(failed)?;
            let taken = usize::try_from(self.0.total_in() - start).unwrap_or(data.len());
            if taken >= data.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.len().max(64));
        }
        // The empty block at the end of every message is left out.
        let end = out.strip_suffix(&[0, 0, 0xff, 0xff]).map_or(out.len(), <[u8]>::len);
        out.truncate(end);
        Ok(out)
    }
}
