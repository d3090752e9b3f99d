//! A program's segments, as they will be in memory, read from its file in parts: the file may be
//! larger than what we may use, and could be cut short beneath us.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use memchr::memmem::Finder;
use object::Endianness;
use object::elf::{EM_X86_64, FileHeader64, PF_W, PF_X, PT_LOAD};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// How much is read at a time, in bytes.
const PART: usize = 256 << 10;
/// Larger files are not searched, in bytes.
const FILE_MAX: u64 = 1 << 30;
/// A file with more segments is not a program; those have about a dozen.
const SEGMENTS_MAX: usize = 1024;

pub(super) struct Segments<'a> {
    file: &'a File,
    segments: Vec<Segment>,
}

/// Part of the file, and where it is in memory. Neither of its ends is beyond 2⁶⁴.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) addresses: Range<u64>,
    offset: u64,
    pub(super) writable: bool,
    executable: bool,
}

impl<'a> Segments<'a> {
    /// Those of `file`, if it is a program or a library for x86-64 and of a size to be searched.
    pub(super) fn of(file: &'a File) -> Option<Self> {
        let size = file.metadata().ok().map(|it| it.len()).filter(|size| *size <= FILE_MAX)?;
        let cache = ReadCache::new(file);
        let header = FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok()?;
        let count = usize::from(header.e_phnum(endian));
        if header.e_machine(endian) != EM_X86_64 || !(1..=SEGMENTS_MAX).contains(&count) {
            return None;
        }
        let parts = header.program_headers(endian, &cache).ok()?.iter();
        let parts = parts.filter(|part| part.p_type(endian) == PT_LOAD);
        let segments = parts.filter_map(|part| {
            let (address, length) = (part.p_vaddr(endian), part.p_filesz(endian));
            let offset = part.p_offset(endian);
            offset.checked_add(length)?;
            Some(Segment {
                addresses: address..address.checked_add(length)?,
                offset,
                writable: part.p_flags(endian).contains(PF_W),
                executable: part.p_flags(endian).contains(PF_X),
            })
        });
        let segments: Vec<Segment> = segments.collect();
        // Neighbours may share a page. What has more in common would be read many times over.
        let lengths = segments.iter().map(|it| it.addresses.end - it.addresses.start);
        let is_read_once = lengths.fold(0, u64::saturating_add) <= 2 * size;
        is_read_once.then_some(Self { file, segments })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The segment that the byte at `address` is in.
    pub(super) fn at(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.addresses.contains(&address))
    }

    /// Where in the file the code at `address` is.
    pub(super) fn code_offset(&self, address: u64) -> Option<u64> {
        self.at(address).filter(|segment| segment.executable)?.offset_of(address)
    }

    /// Exactly so many bytes.
    pub(super) fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(address, &mut bytes)?;
        Some(bytes)
    }

    /// The word at `address`.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }

    /// The bytes of a range that lies in one segment, if they are no more than `most`.
    pub(super) fn range(&self, addresses: Range<u64>, most: usize) -> Option<Vec<u8>> {
        let length = usize::try_from(addresses.end.checked_sub(addresses.start)?).ok()?;
        let mut bytes = vec![0; (length <= most).then_some(length)?];
        self.fill(addresses.start, &mut bytes)?;
        Some(bytes)
    }

    /// Hands `visit` the address of each `needle` in `addresses`, which lie in one segment, until it
    /// wants no more.
    pub(super) fn find(
        &self,
        addresses: &Range<u64>,
        needle: &[u8],
        mut visit: impl FnMut(u64) -> bool,
    ) {
        let finder = Finder::new(needle);
        let overlap = needle.len().saturating_sub(1) as u64;
        let mut from = addresses.start;
        while addresses.end.saturating_sub(from) > overlap {
            let to = addresses.end.min(from.saturating_add(PART as u64));
            let Some(bytes) = self.range(from..to, PART) else { return };
            if finder.find_iter(&bytes).any(|at| !visit(from + at as u64)) || to == addresses.end {
                return;
            }
            from = to - overlap;
        }
    }

    fn fill(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        let segment = self.at(address)?;
        let room = segment.addresses.end - address;
        ((bytes.len() as u64) <= room).then_some(())?;
        self.file.read_exact_at(bytes, segment.offset_of(address)?).ok()
    }
}

impl Segment {
    fn offset_of(&self, address: u64) -> Option<u64> {
        self.offset.checked_add(address.checked_sub(self.addresses.start)?)
    }
}

/// Reads a table from its beginning to its end. Whoever asks for addresses that only rise has each
/// part read once.
pub(super) struct Forwards<'a> {
    segments: &'a Segments<'a>,
    /// Where the part begins.
    address: u64,
    part: Vec<u8>,
}

impl<'a> Forwards<'a> {
    pub(super) fn new(segments: &'a Segments<'a>) -> Self {
        Self { segments, address: 0, part: Vec::new() }
    }

    pub(super) fn bytes<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        if self.there::<N>(address).is_none() {
            let end = self.segments.at(address)?.addresses.end;
            let end = end.min(address.saturating_add(PART as u64));
            self.part = self.segments.range(address..end, PART)?;
            self.address = address;
        }
        self.there(address)
    }

    fn there<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let into = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.part.get(into..)?.first_chunk().copied()
    }
}
