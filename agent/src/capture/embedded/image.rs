//! A program's segments, as they will be in memory, read from its file in parts: it may be larger
//! than what we may use, and a file that is mapped could be cut short beneath us.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use object::Endianness;
use object::elf::{FileHeader64, PF_X, PT_GNU_EH_FRAME, PT_LOAD};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// How much is read at a time, in bytes.
const PART: usize = 1 << 20;
/// The code of BoringSSL alone is larger than this, in bytes: no time is spent on smaller programs.
const CODE_MIN: u64 = 512 << 10;
/// Larger programs are not searched, in bytes; nor are those of which more would be in memory, because the
/// same part of the file is there many times.
pub(super) const FILE_MAX: u64 = 1 << 30;
/// The longest index of functions that is read, in bytes: two million of them.
const INDEX_MAX: u64 = 16 << 20;

pub(super) struct Image<'a> {
    file: &'a File,
    segments: Vec<Segment>,
    index: Option<Segment>,
}

/// Part of the file, and where it is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) address: u64,
    offset: u64,
    length: u64,
    pub(super) executable: bool,
}

/// Why a file is not searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoImage {
    /// It can't have what is searched for.
    Unfit,
    /// It would take too long.
    TooLarge,
}

impl<'a> Image<'a> {
    /// What `file` is made of, if it is a program of this machine's kind and of a size to be searched.
    pub(super) fn of(file: &'a File) -> Result<Self, NoImage> {
        let (image, size) = Self::parse(file).ok_or(NoImage::Unfit)?;
        if size <= FILE_MAX { Ok(image) } else { Err(NoImage::TooLarge) }
    }

    /// The same of any size, and how much there is to be read.
    fn parse(file: &'a File) -> Option<(Self, u64)> {
        if !cfg!(target_arch = "x86_64") {
            return None;
        }
        let size = file.metadata().ok()?.len();
        let cache = ReadCache::new(file);
        let header = FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok()?;
        if header.e_machine(endian) != object::elf::EM_X86_64 || header.e_phnum(endian) == 0 {
            return None;
        }
        let (mut segments, mut index) = (Vec::new(), None);
        for part in header.program_headers(endian, &cache).ok()? {
            let segment = Segment {
                address: part.p_vaddr(endian),
                offset: part.p_offset(endian),
                length: part.p_filesz(endian),
                executable: part.p_flags(endian).contains(PF_X),
            };
            let fits = segment.offset.checked_add(segment.length).is_some_and(|end| end <= size)
                && segment.address.checked_add(segment.length).is_some();
            match part.p_type(endian) {
                PT_LOAD if fits => segments.push(segment),
                PT_GNU_EH_FRAME if fits && segment.length <= INDEX_MAX => index = Some(segment),
                _ => {}
            }
        }
        let total = |wanted: &dyn Fn(&Segment) -> bool| {
            let wanted = segments.iter().filter(|segment| wanted(segment));
            wanted.map(|segment| segment.length).fold(0, u64::saturating_add)
        };
        let is_worth_it = total(&|segment| segment.executable) >= CODE_MIN;
        let all = size.max(total(&|_segment| true));
        is_worth_it.then_some((Self { file, segments, index }, all))
    }

    /// Hands the segments that are wanted to `visit`, part by part, each with its address. A part begins
    /// with the last `overlap` bytes of the one before.
    pub(super) fn scan(
        &self,
        wanted: impl Fn(&Segment) -> bool,
        overlap: usize,
        mut visit: impl FnMut(u64, &[u8]),
    ) {
        let mut buffer = Vec::new();
        for segment in self.segments.iter().filter(|segment| wanted(segment)) {
            let mut from = 0;
            while from < segment.length {
                let length = usize::try_from(segment.length - from).map_or(PART, |l| l.min(PART));
                buffer.resize(length, 0);
                if self.file.read_exact_at(&mut buffer, segment.offset + from).is_err() {
                    break;
                }
                visit(segment.address + from, &buffer);
                if length < PART {
                    break;
                }
                from += (PART - overlap) as u64;
            }
        }
    }

    /// The code around `address`, and the address of its first byte. Less of it where its segment ends.
    pub(super) fn around(&self, address: u64, before: u64, after: u64) -> (u64, Vec<u8>) {
        let from = self
            .code_at(address)
            .map_or(address, |segment| address.saturating_sub(before).max(segment.address));
        (from, self.at(from, address.saturating_add(after) - from))
    }

    /// The code from `address` on, at most so much of it.
    pub(super) fn at(&self, address: u64, length: u64) -> Vec<u8> {
        let Some(segment) = self.code_at(address) else { return Vec::new() };
        let into = address - segment.address;
        let length = length.min(segment.length - into).min(PART as u64);
        let mut code = vec![0; usize::try_from(length).unwrap_or(0)];
        match self.file.read_exact_at(&mut code, segment.offset + into) {
            Ok(()) => code,
            Err(_cut_short) => Vec::new(),
        }
    }

    /// The linker's index of functions, and its address.
    pub(super) fn index(&self) -> Option<(u64, Vec<u8>)> {
        let segment = self.index?;
        let mut index = vec![0; usize::try_from(segment.length).ok()?];
        self.file.read_exact_at(&mut index, segment.offset).ok()?;
        Some((segment.address, index))
    }

    /// Where in the file the code at `address` is.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        self.code_at(address).map(|segment| segment.offset + (address - segment.address))
    }

    fn code_at(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            let into = address.checked_sub(segment.address);
            segment.executable && into.is_some_and(|into| into < segment.length)
        })
    }
}
