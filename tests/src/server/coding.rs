//! Content codings that can be flushed after each event, so that a compressed stream still streams.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::play::Coding;

/// Encodes a body part by part.
pub(super) enum Encoder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Coding::Br => {
                Self::Br(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 3, 20)))
            }
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        })
    }

    /// What goes out for `part`: all of it, flushed.
    pub(super) fn push(&mut self, part: &Bytes) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(part.clone()),
            Self::Gzip(encoder) => {
                flushed(encoder, part).map(|()| mem::take(encoder.get_mut()).into())
            }
            Self::Deflate(encoder) => {
                flushed(encoder, part).map(|()| mem::take(encoder.get_mut()).into())
            }
            Self::Br(encoder) => {
                flushed(encoder.as_mut(), part).map(|()| mem::take(encoder.get_mut()).into())
            }
            Self::Zstd(encoder) => {
                flushed(encoder, part).map(|()| mem::take(encoder.get_mut()).into())
            }
        }
    }

    /// What goes out at the end.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity => Bytes::new(),
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Deflate(encoder) => encoder.finish()?.into(),
            Self::Br(encoder) => encoder.into_inner().into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
        })
    }
}

fn flushed(encoder: &mut impl Write, part: &[u8]) -> io::Result<()> {
    encoder.write_all(part)?;
    encoder.flush()
}

/// A coding that `Accept-Encoding` allows, or none.
pub(super) fn choose(accept: &str, rng: &mut fastrand::Rng) -> Coding {
    let accepted = |coding: &Coding| {
        accept.split(',').any(|item| item.split(';').next().unwrap_or("").trim() == coding.name())
    };
    let mut choices: Vec<Coding> = Coding::NAMED.into_iter().filter(accepted).collect();
    choices.push(Coding::Identity);
    choices[rng.usize(..choices.len())]
}
