//! Undoes content codings (RFC 9110, section 8.4) as a body arrives.

mod zstd;

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use self::zstd::Zstd;

/// Output up to here is never held against a body, in bytes.
const FREE_OUTPUT: u64 = 8 * 1024 * 1024;
/// Beyond [`FREE_OUTPUT`], the most bytes that one byte of input may become.
const MAX_RATIO: u64 = 100;

/// Stands for a `Content-Encoding` of which nobody knows whether the message has one. No coding can
/// have this name.
pub(super) const UNSAID: &str = "?";

/// Decodes one body.
pub struct Decoder {
    coding: Coding,
    taken: u64,
}

enum Coding {
    Identity,
    /// Nobody knows whether there is one ([`UNSAID`]): the first byte tells.
    Unsaid,
    Gzip(Box<MultiGzDecoder<Sink>>),
    /// `deflate` is zlib by the standard and bare deflate by some servers: the first byte tells.
    DeflateUnknown,
    Zlib(Box<ZlibDecoder<Sink>>),
    Deflate(Box<DeflateDecoder<Sink>>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
    /// What comes can't be decoded.
    Broken,
}

/// The body can't be decoded from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body can't be decoded")]
pub struct Undecodable;

impl Decoder {
    /// A decoder for a `Content-Encoding`. A coding that isn't known, or several at once, are
    /// undecodable from the first byte.
    #[must_use]
    pub fn new(coding: &str) -> Self {
        let coding = match coding {
            "" | "identity" => Coding::Identity,
            UNSAID => Coding::Unsaid,
            "gzip" | "x-gzip" => Coding::gzip(),
            "deflate" => Coding::DeflateUnknown,
            "br" => Coding::brotli(false),
            "zstd" => Coding::Zstd(Box::default()),
            _ => Coding::Broken,
        };
        Self { coding, taken: 0 }
    }

    /// Takes part of the body and hands what it becomes to `emit`.
    ///
    /// # Errors
    /// If the body can't be decoded or grows beyond its bound, now or before.
    pub fn feed(&mut self, data: &[u8], mut emit: impl FnMut(&[u8])) -> Result<(), Undecodable> {
        self.taken = self.taken.saturating_add(data.len() as u64);
        if let (Coding::DeflateUnknown, Some(&first)) = (&self.coding, data.first()) {
            // The low half of a zlib stream's first byte is its method, always 8.
            self.coding = if first & 0x0f == 8 {
                Coding::Zlib(Box::new(ZlibDecoder::new(Sink::default())))
            } else {
                Coding::Deflate(Box::new(DeflateDecoder::new(Sink::default())))
            };
        }
        if let (Coding::Unsaid, Some(&first)) = (&self.coding, data.first()) {
            self.coding = Coding::by_first(first);
        }
        let limit = FREE_OUTPUT.max(self.taken.saturating_mul(MAX_RATIO));
        let result = match &mut self.coding {
            Coding::Identity => {
                emit(data);
                Ok(())
            }
            Coding::Gzip(decoder) => {
                pump(decoder.as_mut(), MultiGzDecoder::get_mut, data, limit, &mut emit)
            }
            Coding::DeflateUnknown | Coding::Unsaid => Ok(()),
            Coding::Zlib(decoder) => {
                pump(decoder.as_mut(), ZlibDecoder::get_mut, data, limit, &mut emit)
            }
            Coding::Deflate(decoder) => {
                pump(decoder.as_mut(), DeflateDecoder::get_mut, data, limit, &mut emit)
            }
            Coding::Brotli(decoder) => {
                let (mut unsure, mut is_other) = (decoder.unsure, false);
                let result = pump(
                    decoder.as_mut(),
                    |decoder| decoder.writer.get_mut(),
                    data,
                    limit,
                    &mut |plain| {
                        let begins = plain.first().is_some_and(|&first| may_begin(first));
                        is_other |= std::mem::take(&mut unsure) && !begins;
                        if !is_other {
                            emit(plain);
                        }
                    },
                );
                decoder.unsure = unsure;
                result.and(if is_other { Err(Undecodable) } else { Ok(()) })
            }
            Coding::Zstd(decoder) => decoder.feed(data, limit, &mut emit),
            Coding::Broken => Err(Undecodable),
        };
        if result.is_err() {
            self.coding = Coding::Broken;
        }
        result
    }

    /// The body has ended.
    ///
    /// # Errors
    /// If nothing came out of it that tells how it was coded.
    pub fn end(&self) -> Result<(), Undecodable> {
        match &self.coding {
            Coding::Brotli(decoder) if decoder.unsure => Err(Undecodable),
            _ => Ok(()),
        }
    }

    /// Whether what comes out is what goes in.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// Says that bytes are missing here: a compressed body can't be decoded any further.
    pub fn lose(&mut self) {
        if !matches!(self.coding, Coding::Identity) {
            self.coding = Coding::Broken;
        }
    }
}

impl Coding {
    fn gzip() -> Self {
        Self::Gzip(Box::new(MultiGzDecoder::new(Sink::default())))
    }

    fn brotli(unsure: bool) -> Self {
        let writer = DecompressorWriter::new(Sink::default(), STEP);
        Self::Brotli(Box::new(Brotli { writer, unsure }))
    }

    /// The coding of a body of JSON or of events that begins with `first`. Brotli has no mark of its
    /// own: it is what remains, and what comes out of it has to confirm it.
    fn by_first(first: u8) -> Self {
        match first {
            0x1f => Self::gzip(),
            0x28 => Self::Zstd(Box::default()),
            // What every implementation of zlib begins with, unless it is told to save memory.
            0x78 => Self::Zlib(Box::new(ZlibDecoder::new(Sink::default()))),
            first if may_begin(first) => Self::Identity,
            _ => Self::brotli(true),
        }
    }
}

/// Whether a body that is read here may begin so: JSON; the events of an event stream and their
/// fields; Amazon's binary messages.
const fn may_begin(first: u8) -> bool {
    matches!(first, b'{' | b'[' | b':' | b'd' | b'e' | b'i' | b'r' | b' ' | b'\r' | b'\n' | 0)
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} bytes taken)", self.taken)
    }
}

/// Decodes `br`. The crate's own flush leaves inside what does not fit its buffer of the output that
/// the input so far has become, until there is more input.
struct Brotli {
    writer: DecompressorWriter<Sink>,
    /// It may be something else: nothing has come out yet.
    unsure: bool,
}

impl Write for Brotli {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writer.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let given = self.writer.get_mut().total;
            self.writer.write(&[])?;
            if self.writer.get_mut().total == given {
                return Ok(());
            }
        }
    }
}

/// How much of the input is decoded at a time, so that little output is held at once.
const STEP: usize = 4096;

fn pump<D: Write>(
    decoder: &mut D,
    sink: impl Fn(&mut D) -> &mut Sink,
    data: &[u8],
    limit: u64,
    emit: &mut impl FnMut(&[u8]),
) -> Result<(), Undecodable> {
    for part in data.chunks(STEP) {
        sink(decoder).limit = limit;
        decoder.write_all(part).and_then(|()| decoder.flush()).map_err(|_error| Undecodable)?;
        let sink = sink(decoder);
        if !sink.bytes.is_empty() {
            emit(&sink.bytes);
            sink.bytes.clear();
        }
    }
    Ok(())
}

/// Where a decoder writes to. Refuses to take more than `limit` bytes in all.
#[derive(Default)]
struct Sink {
    bytes: Vec<u8>,
    total: u64,
    limit: u64,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.total = self.total.saturating_add(data.len() as u64);
        if self.total > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn decode(coding: &str, parts: &[&[u8]]) -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::new(coding);
        let mut out = Vec::new();
        for part in parts {
            decoder.feed(part, |bytes| out.extend_from_slice(bytes))?;
        }
        Ok(out)
    }

    fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
        use flate2::Compression;
        let mut out = Vec::new();
        match coding {
            "gzip" => {
                flate2::read::GzEncoder::new(plain, Compression::fast()).read_to_end(&mut out)
            }
            "deflate" => {
                flate2::read::ZlibEncoder::new(plain, Compression::fast()).read_to_end(&mut out)
            }
            "zstd" => {
                out = ruzstd::encoding::compress_to_vec(
                    plain,
                    ruzstd::encoding::CompressionLevel::Fastest,
                );
                Ok(0)
            }
            _ => {
                out = plain.to_vec();
                Ok(0)
            }
        }
        .unwrap();
        out
    }

    /// A block that is stored as it is (RFC 7932, section 9.2), and the empty last one.
    const BROTLI: &[u8] = b"\x0b\x09\x80weir weir weir weir\x03";

    #[test]
    fn brotli_is_decoded_byte_by_byte() {
        let parts: Vec<&[u8]> = BROTLI.chunks(1).collect();
        assert_eq!(decode("br", &parts).unwrap(), b"weir weir weir weir");
    }

    #[test]
    fn brotli_holds_no_output_back() {
        // Found by the fuzzer: bytes that become more than the decoder's buffer holds.
        let bytes = unhex(
            "0100fc002f762e0080002200000000000000ff000bffffffff8f000010ffffff\
             ffffffffffff22ffffffff22ff22ffffffffffffffff22ffffffff22",
        );
        let whole = decode("br", &[&bytes]).unwrap();
        let parts: Vec<&[u8]> = bytes.chunks(1).collect();
        assert!(whole.len() > STEP && whole == decode("br", &parts).unwrap());
    }

    fn unhex(digits: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn bare_deflate_is_told_from_zlib() {
        let mut bare = Vec::new();
        flate2::read::DeflateEncoder::new(&b"bare"[..], flate2::Compression::fast())
            .read_to_end(&mut bare)
            .unwrap();
        assert_eq!(decode("deflate", &[&bare]).unwrap(), b"bare");
    }

    #[test]
    fn a_bomb_is_stopped() {
        let zeros = vec![0; 64 * 1024 * 1024];
        for coding in ["gzip", "deflate", "zstd"] {
            let bomb = encode(coding, &zeros);
            assert_eq!(decode(coding, &[&bomb]), Err(Undecodable), "{coding}");
        }
    }

    #[test]
    fn a_hole_ends_a_compressed_body_and_no_other() {
        for (coding, result) in [("gzip", Err(Undecodable)), ("", Ok(()))] {
            let mut decoder = Decoder::new(coding);
            decoder.lose();
            assert_eq!(decoder.feed(b"more", |_| {}), result, "{coding:?}");
        }
    }

    #[test]
    fn a_coding_that_nobody_knows_is_told_by_the_first_byte() {
        for plain in [&br#"{"a":1}"#[..], b"[1]", b"data: {}\n\n", b": hi\n", b"event: x\n"] {
            assert_eq!(decode(UNSAID, &[b"", plain]).unwrap(), plain);
            assert_eq!(decode(UNSAID, &[&encode("gzip", plain)]).unwrap(), plain);
            assert_eq!(decode(UNSAID, &[&encode("zstd", plain)]).unwrap(), plain);
            assert_eq!(decode(UNSAID, &[&encode("deflate", plain)]).unwrap(), plain);
        }
        let json = br#"{"a":"weir weir w"}"#;
        let brotli = [&BROTLI[..3], json, &BROTLI[3 + json.len()..]].concat();
        assert_eq!(decode(UNSAID, &[&brotli[..1], &brotli[1..]]).unwrap(), json);
        for other in [BROTLI, b"\x1b\x03\0", b"<html>", b"hello"] {
            let mut decoder = Decoder::new(UNSAID);
            let fed = decoder.feed(other, |plain| panic!("{plain:?}"));
            assert_eq!(fed.and_then(|()| decoder.end()), Err(Undecodable), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            plain in prop::collection::vec(0u8..8, 0..5000),
            coding in prop::sample::select(vec!["", "gzip", "deflate", "zstd"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let coded = encode(coding, &plain);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(coded.len() + 1)).collect();
            cuts.extend([0, coded.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &coded[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(coding, &parts).unwrap(), plain);
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..500),
            coding in prop::sample::select(vec!["gzip", "deflate", "zstd", "br", "gzip, br"]),
        ) {
            let _ = decode(coding, &[&bytes]);
            let with_magic = [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat();
            let _ = decode(coding, &[&with_magic]);
        }
    }
}
