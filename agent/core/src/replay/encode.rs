//! From the lines of a block to the bytes that they stand for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Problem;
use super::frames::event_stream_message;
use super::words::Words;

/// How a block stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// As it is: lines with a line feed between them.
    Raw,
    /// Strings in quotation marks, with escapes, joined.
    Quoted,
    /// Hexadecimal digits.
    Hex,
    /// Events of an event stream, with a blank line after each.
    Sse,
    /// Lines, each with a line feed after it.
    Lines,
    /// One message of an AWS event stream: headers, a blank line, payload.
    EventStream,
    /// The same with the payload as the Base64 text `bytes` of a JSON object.
    EventStreamBytes,
}

impl Payload {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "raw" => Self::Raw,
            "quoted" => Self::Quoted,
            "hex" => Self::Hex,
            "sse" => Self::Sse,
            "lines" => Self::Lines,
            "eventstream" => Self::EventStream,
            "eventstream-bytes" => Self::EventStreamBytes,
            _ => return None,
        })
    }

    /// How the rest of a line and its block are to be read. Only hexadecimal bytes may stand on the
    /// line itself.
    pub(super) fn of<'t>(
        mut words: Words<'t>,
        block: &[&'t str],
    ) -> Result<(Self, Vec<&'t str>), Problem> {
        let Some(word) = words.next() else { return Ok((Self::Raw, block.to_vec())) };
        let payload = Self::named(word).ok_or_else(|| Problem::Unknown(word.to_owned()))?;
        if payload == Self::Hex && words.peek().is_some() {
            unhex(words.rest())?;
            return if block.is_empty() {
                Ok((payload, vec![words.rest()]))
            } else {
                Err(Problem::Block)
            };
        }
        words.end()?;
        Ok((payload, block.to_vec()))
    }

    pub(super) fn encode(self, lines: &[&str]) -> Result<Vec<u8>, Problem> {
        Ok(match self {
            Self::Raw => lines.join("\n").into_bytes(),
            Self::Quoted => {
                let mut bytes = Vec::new();
                for line in lines {
                    unquote(line.trim(), &mut bytes)?;
                }
                bytes
            }
            Self::Hex => unhex(&lines.concat())?,
            Self::Sse => after_each(lines.iter().copied().chain([""])),
            Self::Lines => after_each(lines.iter().copied()),
            Self::EventStream => {
                let (headers, payload) = split_at_blank(lines);
                event_stream_message(headers, payload.join("\n").as_bytes())?
            }
            Self::EventStreamBytes => {
                let (headers, payload) = split_at_blank(lines);
                let payload = STANDARD.encode(payload.join("\n"));
                event_stream_message(headers, format!(r#"{{"bytes":"{payload}"}}"#).as_bytes())?
            }
        })
    }
}

/// What is before the first blank line and what is after it.
pub(super) fn split_at_blank<'a, 't>(lines: &'a [&'t str]) -> (&'a [&'t str], &'a [&'t str]) {
    let blank = lines.iter().position(|line| line.is_empty());
    blank.map_or((lines, &[]), |blank| (&lines[..blank], &lines[blank + 1..]))
}

/// A chunk of the chunked transfer coding.
pub(super) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}

/// The chunk that ends a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn after_each<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<u8> {
    lines.flat_map(|line| line.bytes().chain([b'\n'])).collect()
}

pub(super) fn unhex(text: &str) -> Result<Vec<u8>, Problem> {
    let malformed = || Problem::Malformed { text: shortened(text), wanted: "hexadecimal bytes" };
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> =
        text.chars().filter(|c| !c.is_ascii_whitespace()).map(digit).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(malformed)?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Appends what a string in quotation marks stands for: `\r`, `\n`, `\t`, `\0`, `\"`, `\\` and `\xHH`
/// are escapes, everything else is itself.
pub(super) fn unquote(text: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    let malformed = || Problem::Malformed { text: shortened(text), wanted: "string in quotes" };
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut chars = inner.ok_or_else(malformed)?.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err(malformed()),
            '\\' => match chars.next().ok_or_else(malformed)? {
                'r' => out.push(b'\r'),
                'n' => out.push(b'\n'),
                't' => out.push(b'\t'),
                '0' => out.push(0),
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    if digits.len() != 2 {
                        return Err(malformed());
                    }
                    out.extend(unhex(&digits)?);
                }
                same @ ('"' | '\\') => out.push(same as u8),
                _ => return Err(malformed()),
            },
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(())
}

/// Enough of a text to find it by.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
