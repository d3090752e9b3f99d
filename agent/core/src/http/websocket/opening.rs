//! Finds where a message begins on a connection whose beginning was not seen.
//!
//! Only a message that is a JSON object, neither compressed nor in several frames, can be told from
//! anything else: by its header and the name that the object begins with. One that is compressed
//! can't be read anyhow without the ones before it.

use zeroize::Zeroizing;

use super::header::{Header, Opcode};
use crate::http::Side;

/// How many bytes are looked at: the longest header, and a name or what is left of one.
const LOOKED_AT: usize = 32;

/// One direction, before the first message that was found in it.
#[derive(Debug, Default)]
pub struct Opening {
    /// The beginning of a segment that is too short to tell.
    held: Zeroizing<[u8; LOOKED_AT]>,
    /// 0 <= have < `LOOKED_AT`
    have: usize,
}

/// A message that was found.
#[derive(Debug)]
pub struct Found<'a> {
    /// Who says it: a client's frames are masked.
    pub side: Side,
    /// The bytes that it begins with and that were held back.
    pub(in crate::http) held: Zeroizing<Vec<u8>>,
    /// Those that follow them.
    pub(in crate::http) rest: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Begins(Side),
    /// More is needed to tell.
    Unsure,
    Other,
}

impl Opening {
    /// Takes a segment, and says if a message begins with it or with what came before.
    pub fn feed<'a>(&mut self, segment: &'a [u8]) -> Option<Found<'a>> {
        if self.have > 0 {
            let (more, rest) = segment.split_at(segment.len().min(LOOKED_AT - self.have));
            let have = self.have + more.len();
            self.held[self.have..have].copy_from_slice(more);
            match verdict(&self.held[..have]) {
                Verdict::Begins(side) => {
                    let held = self.held[..have].to_vec().into();
                    self.forget();
                    return Some(Found { side, held, rest });
                }
                Verdict::Unsure => {
                    self.have = have;
                    return None;
                }
                Verdict::Other => self.forget(),
            }
        }
        match verdict(&segment[..segment.len().min(LOOKED_AT)]) {
            Verdict::Begins(side) => {
                return Some(Found { side, held: Zeroizing::default(), rest: segment });
            }
            Verdict::Unsure => {
                self.held[..segment.len()].copy_from_slice(segment);
                self.have = segment.len();
            }
            Verdict::Other => {}
        }
        None
    }

    /// What was held back is not gone on with.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// What `bytes`, [`LOOKED_AT`] at most, are the beginning of. Never unsure of so many.
fn verdict(mut bytes: &[u8]) -> Verdict {
    let is_short = bytes.len() < LOOKED_AT;
    let unsure = if is_short { Verdict::Unsure } else { Verdict::Other };
    if bytes.first().is_some_and(|&flags| !matches!(flags, 0x81 | 0x82)) {
        return Verdict::Other;
    }
    let frame = match Header::default().take(&mut bytes) {
        None => return unsure,
        Some(Ok(frame)) if frame.opcode == Opcode::Message => frame,
        Some(_) => return Verdict::Other,
    };
    let side = if frame.mask.is_some() { Side::Request } else { Side::Response };
    let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
    let is_whole = bytes.len() >= length;
    let mut text = Zeroizing::new([0; LOOKED_AT]);
    let text = &mut text[..bytes.len().min(length)];
    text.copy_from_slice(&bytes[..text.len()]);
    if let Some(mask) = frame.mask {
        text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    match begins_with_name(text) {
        Some(true) => Verdict::Begins(side),
        Some(false) => Verdict::Other,
        None if is_whole => Verdict::Other,
        // All that there is room for looks like the beginning of one.
        None if !is_short => Verdict::Begins(side),
        None => unsure,
    }
}

/// Whether a JSON object that begins with a name begins here; `None` if it may.
fn begins_with_name(text: &[u8]) -> Option<bool> {
    let (first, text) = text.split_first()?;
    if *first != b'{' {
        return Some(false);
    }
    let (quote, name) = text.trim_ascii_start().split_first()?;
    if *quote != b'"' {
        return Some(false);
    }
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().position(|byte| !is_of_name(byte)).map(|end| end > 0 && name[end] == b'"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The side of the message that is found, and its bytes, if `segments` are given in turn.
    fn found(segments: &[&[u8]]) -> Option<(Side, Vec<u8>)> {
        let mut opening = Opening::default();
        let mut segments = segments.iter();
        let Found { side, held, rest } = segments.find_map(|segment| opening.feed(segment))?;
        let after = segments.flat_map(|segment| *segment);
        Some((side, held.iter().chain(rest).chain(after).copied().collect()))
    }

    const SERVER: &[u8] = b"\x81\x12{\"type\":\"x.y\",\"z\"}";
    /// The same, masked.
    const CLIENT: &[u8] = b"\x81\x92\x01\x02\x03\x04z w}qg!>#z-}#.!~#\x7f";

    #[test]
    fn objects_begin_messages() {
        for (bytes, side) in [
            (SERVER, Side::Response),
            (CLIENT, Side::Request),
            (b"\x82\x18{\n  \"setupComplete\": {}\n}", Side::Response),
            (b"\x81\x7e\x10\x00{\"type\":", Side::Response),
            (b"\x81\x7f\0\0\0\0\0\x10\0\0{\"type\":", Side::Response),
            (b"\x81\x7e\x10\x00{\"a_name_that_goes_on_and_on_and", Side::Response),
        ] {
            assert_eq!(found(&[bytes]), Some((side, bytes.to_vec())), "{bytes:x?}");
        }
    }

    #[test]
    fn nothing_else_does() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"\0\0\x12\x04\0\0\0\0\0",
            b"\xc1\x12{\"type\":",
            b"\x01\x12{\"type\":",
            b"\x89\x12{\"type\":",
            b"\x81\x02{}",
            b"\x81\x12[\"type\":",
            b"\x81\x12{\"\":",
            b"\x81\x12{\"a b\":",
            b"\x81\x04{\"typ\":",
            b"\x81",
            b"",
        ] {
            assert_eq!(found(&[bytes]), None, "{bytes:x?}");
        }
    }

    #[test]
    fn what_turns_out_to_be_none_is_passed_over() {
        let expected = Some((Side::Response, SERVER.to_vec()));
        assert_eq!(found(&[b"\x81", b"no", b"\x81\x12{", SERVER]), expected);
        assert_eq!(found(&[b"in the middle of something \x81", SERVER]), expected);
    }

    proptest! {
        #[test]
        fn a_message_is_found_however_it_is_cut(
            client: bool,
            cuts in prop::collection::vec(0..CLIENT.len(), 0..6),
        ) {
            let (bytes, side) =
                if client { (CLIENT, Side::Request) } else { (SERVER, Side::Response) };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([bytes.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let parts: Vec<&[u8]> = starts.zip(ends).map(|(from, to)| &bytes[from..to]).collect();
            prop_assert_eq!(found(&parts), Some((side, bytes.to_vec())));
        }

        #[test]
        fn no_bytes_are_too_much(segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let segments: Vec<&[u8]> = segments.iter().map(Vec::as_slice).collect();
            found(&segments);
        }
    }
}
