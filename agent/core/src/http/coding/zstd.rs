//! zstd as it arrives. The decoder takes whole blocks only, so this finds where they end
//! (RFC 8878, section 3.1.1) and feeds it one at a time: a block of four bytes may become 128 KiB.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Undecodable;

/// Largest window a body may ask for, in bytes (RFC 9659).
const MAX_WINDOW: u64 = 8 * 1024 * 1024;
/// Largest block (RFC 8878, section 3.1.1.2.4), in bytes.
const MAX_BLOCK: usize = 128 * 1024;

pub(super) struct Zstd {
    decoder: FrameDecoder,
    held: Vec<u8>,
    frame: Option<Frame>,
    total: u64,
}

/// The frame being read.
#[derive(Clone, Copy)]
struct Frame {
    checksum: bool,
}

impl Default for Zstd {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { decoder, held: Vec::new(), frame: None, total: 0 }
    }
}

impl Zstd {
    /// Takes part of a body; refuses to put out more than `limit` bytes in all.
    pub(super) fn feed(
        &mut self,
        data: &[u8],
        limit: u64,
        emit: &mut impl FnMut(&[u8]),
    ) -> Result<(), Undecodable> {
        self.held.extend_from_slice(data);
        let mut taken = 0;
        while let Some(length) = self.next_unit(&self.held[taken..])? {
            let unit = &self.held[taken..taken + length];
            taken += length;
            match self.frame {
                None => {
                    self.decoder.reset(unit).map_err(|_error| Undecodable)?;
                    self.frame = Some(Frame { checksum: unit[4] >> 2 & 1 == 1 });
                }
                Some(_) => {
                    self.decoder
                        .decode_blocks(unit, BlockDecodingStrategy::UptoBlocks(1))
                        .map_err(|_error| Undecodable)?;
                    self.put_out(limit, emit)?;
                    if self.decoder.is_finished() {
                        self.frame = None;
                    }
                }
            }
        }
        self.held.drain(..taken);
        Ok(())
    }

    fn put_out(&mut self, limit: u64, emit: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        if let Some(bytes) = self.decoder.collect()
            && !bytes.is_empty()
        {
            self.total = self.total.saturating_add(bytes.len() as u64);
            if self.total > limit {
                return Err(Undecodable);
            }
            emit(&bytes);
        }
        Ok(())
    }

    /// The length of the frame header or block at the front of `bytes`, once it is all there.
    fn next_unit(&self, bytes: &[u8]) -> Result<Option<usize>, Undecodable> {
        let length = match self.frame {
            None => frame_header_length(bytes),
            Some(frame) => block_length(bytes, frame)?,
        };
        Ok(length.filter(|&length| length <= bytes.len()))
    }
}

/// Magic number, descriptor, window, dictionary id, content size.
fn frame_header_length(bytes: &[u8]) -> Option<usize> {
    let descriptor = *bytes.get(4)?;
    let single_segment = descriptor >> 5 & 1 == 1;
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    Some(5 + window + dictionary + content_size)
}

/// Header, content and, after the last block, the checksum.
fn block_length(bytes: &[u8], frame: Frame) -> Result<Option<usize>, Undecodable> {
    let &[low, middle, high, ..] = bytes else { return Ok(None) };
    let header = u32::from_le_bytes([low, middle, high, 0]);
    let last = header & 1 == 1;
    let size = (header >> 3) as usize;
    if size > MAX_BLOCK {
        return Err(Undecodable);
    }
    const RLE: u32 = 1;
    let content = if header >> 1 & 3 == RLE { 1 } else { size };
    let checksum = if last && frame.checksum { 4 } else { 0 };
    Ok(Some(3 + content + checksum))
}
