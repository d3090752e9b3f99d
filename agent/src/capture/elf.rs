//! Finds functions in ELF files by their names. The files belong to the observed
//! processes, so nothing in them is believed and no size in them is allocated unchecked.

use std::io::{Read, Seek};

use object::elf::{
    FileHeader64, PF_X, PT_LOAD, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, SectionType, Sym64,
};
use object::pod::slice_from_all_bytes;
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, StringTable};

/// The longest symbol or string table that is read. Node's are about 3 MiB.
const TABLE_MAX: u64 = 64 << 20;

#[cfg(target_arch = "x86_64")]
const MACHINE: object::elf::Machine = object::elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: object::elf::Machine = object::elf::EM_AARCH64;

/// What an executable file is to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exports {
    /// Each function that was asked for, in the order asked.
    pub(super) functions: Vec<Option<Place>>,
    /// The linker's build id, in hexadecimal.
    pub(super) build_id: Option<String>,
}

/// Where in a file a function's code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset of its first instruction.
    pub(super) offset: u64,
    /// Bytes that no other function claims: as its symbol says, or up to the next function.
    pub(super) length: u64,
    /// That is all of it.
    pub(super) is_whole: bool,
    /// Where the segment that it is in begins and ends: what is in that is as far apart in the file as it
    /// is in memory.
    pub(super) segment: (u64, u64),
}

impl Place {
    /// Where a function begins of which no more is known.
    pub(super) const fn bare(offset: u64) -> Self {
        Self { offset, length: u64::MAX, is_whole: false, segment: (offset, offset) }
    }

    /// Where the function begins that is `distance` bytes behind this one.
    pub(super) fn other(self, distance: i64) -> Option<Self> {
        let offset = self.offset.checked_add_signed(distance)?;
        let (start, end) = self.segment;
        let segment = self.segment;
        (start..end).contains(&offset).then_some(Self { segment, ..Self::bare(offset) })
    }
}

/// Why a file could not be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ElfError {
    /// Not an ELF file of this machine's kind: a script, a 32-bit library, a font…
    #[error("not a 64-bit ELF file for this machine")]
    Foreign,
    /// It contradicts itself or is cut short.
    #[error("the ELF file is damaged")]
    Damaged,
    /// One of its tables is longer than we are willing to read.
    #[error("the ELF file's symbol table is too large")]
    TooLarge,
}

/// Looks the functions `names` up among the exported symbols of `file`.
pub(super) fn exports<R: Read + Seek>(file: R, names: &[&str]) -> Result<Exports, ElfError> {
    let cache = ReadCache::new(file);
    let program = Program::of(&cache)?;
    let mut found = Exports { functions: vec![None; names.len()], build_id: None };
    found.build_id = build_id(program.header, program.endian, &cache);
    let Some(symbols) = program.symbols(SHT_DYNSYM)? else { return Ok(found) };
    let mut addresses = vec![0; names.len()];
    for (name, symbol) in symbols.functions() {
        let Some(index) = names.iter().position(|wanted| wanted.as_bytes() == name) else {
            continue;
        };
        addresses[index] = symbol.st_value(program.endian);
        found.functions[index] = program.place_of(symbol);
    }
    symbols.keep_apart(&mut found.functions, &addresses);
    Ok(found)
}

/// Looks for functions among all symbols of `file`, which nothing needs in order to run: those of which
/// `wanted` makes something by their names, and no more than `most`. None if there are no such symbols.
pub(super) fn internals<R: Read + Seek, T>(
    file: R,
    most: usize,
    wanted: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<(T, Place)>, ElfError> {
    let cache = ReadCache::new(file);
    let program = Program::of(&cache)?;
    let Some(symbols) = program.symbols(SHT_SYMTAB)? else { return Ok(Vec::new()) };
    let named = symbols.functions().filter_map(|(name, symbol)| Some((wanted(name)?, symbol)));
    let (mut kinds, mut places, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, symbol) in named.take(most) {
        kinds.push(kind);
        places.push(program.place_of(symbol));
        addresses.push(symbol.st_value(program.endian));
    }
    symbols.keep_apart(&mut places, &addresses);
    let found = kinds.into_iter().zip(places);
    Ok(found.filter_map(|(kind, place)| Some((kind, place?))).collect())
}

/// A file that has sections.
struct Program<'data, R: Read + Seek> {
    header: &'data FileHeader64<Endianness>,
    endian: Endianness,
    data: &'data ReadCache<R>,
}

/// One of its tables of symbols.
struct Symbols<'data> {
    all: &'data [Sym64<Endianness>],
    names: StringTable<'data>,
    endian: Endianness,
}

impl<'data, R: Read + Seek> Program<'data, R> {
    fn of(data: &'data ReadCache<R>) -> Result<Self, ElfError> {
        let header = FileHeader64::parse(data).map_err(|_not_elf| ElfError::Foreign)?;
        let endian = header.endian().map_err(|_not_elf| ElfError::Foreign)?;
        // A count of 0 would mean that the real one, up to 2³², is elsewhere: no library needs that.
        if header.e_machine(endian) != MACHINE || header.e_shnum(endian) == 0 {
            return Err(ElfError::Foreign);
        }
        Ok(Self { header, endian, data })
    }

    /// The table of this type, if there is one.
    fn symbols(&self, kind: SectionType) -> Result<Option<Symbols<'data>>, ElfError> {
        let (endian, data) = (self.endian, self.data);
        let sections = self.header.sections(endian, data).map_err(|_damaged| ElfError::Damaged)?;
        let Some(table) = sections.iter().find(|section| section.sh_type(endian) == kind) else {
            return Ok(None);
        };
        let names = sections.section(table.link(endian)).map_err(|_damaged| ElfError::Damaged)?;
        if table.sh_size(endian) > TABLE_MAX || names.sh_size(endian) > TABLE_MAX {
            return Err(ElfError::TooLarge);
        }
        let all = table.data(endian, data).map_err(|_damaged| ElfError::Damaged)?;
        let all = slice_from_all_bytes(all).map_err(|()| ElfError::Damaged)?;
        let names = names.data(endian, data).map_err(|_damaged| ElfError::Damaged)?;
        let names = StringTable::new(names, 0, names.len() as u64);
        Ok(Some(Symbols { all, names, endian }))
    }

    /// Where a function is; `None` if it isn't in executable code.
    fn place_of(&self, symbol: &Sym64<Endianness>) -> Option<Place> {
        let place = place(self.header, self.endian, self.data, symbol.st_value(self.endian))?;
        Some(match symbol.st_size(self.endian) {
            0 => place,
            length => Place { length, is_whole: true, ..place },
        })
    }
}

impl<'data> Symbols<'data> {
    /// The functions that are in the file itself, with their names.
    fn functions(&self) -> impl Iterator<Item = (&'data [u8], &'data Sym64<Endianness>)> + '_ {
        let functions = self.all.iter().filter(|symbol| is_function(symbol, self.endian));
        functions.filter_map(|symbol| Some((symbol.name(self.endian, self.names).ok()?, symbol)))
    }

    /// Ends each function where another begins.
    fn keep_apart(&self, functions: &mut [Option<Place>], addresses: &[u64]) {
        if functions.iter().any(Option::is_some) {
            for symbol in self.all.iter().filter(|symbol| is_function(symbol, self.endian)) {
                keep_apart(functions, addresses, symbol.st_value(self.endian));
            }
        }
    }
}

fn is_function(symbol: &Sym64<Endianness>, endian: Endianness) -> bool {
    symbol.st_shndx(endian) != SHN_UNDEF && symbol.st_type() == STT_FUNC
}

/// Ends every function that the function at `address` begins in.
fn keep_apart(functions: &mut [Option<Place>], addresses: &[u64], address: u64) {
    for (place, start) in functions.iter_mut().zip(addresses) {
        if let Some(place) = place
            && let Some(into) = address.checked_sub(*start)
            && (1..place.length).contains(&into)
        {
            *place = Place { length: into, is_whole: false, ..*place };
        }
    }
}

/// Where in the file the code at `address` is; `None` if it isn't in executable code.
fn place<'data>(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    data: impl ReadRef<'data>,
    address: u64,
) -> Option<Place> {
    header.program_headers(endian, data).ok()?.iter().find_map(|segment| {
        if segment.p_type(endian) != PT_LOAD || !segment.p_flags(endian).contains(PF_X) {
            return None;
        }
        let into = address.checked_sub(segment.p_vaddr(endian))?;
        (into < segment.p_filesz(endian)).then_some(())?;
        let start = segment.p_offset(endian);
        let end = start.checked_add(segment.p_filesz(endian))?;
        Some(Place { segment: (start, end), ..Place::bare(start.checked_add(into)?) })
    })
}

fn build_id<'data>(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    data: impl ReadRef<'data>,
) -> Option<String> {
    for segment in header.program_headers(endian, data).ok()? {
        if segment.p_filesz(endian) > TABLE_MAX {
            continue;
        }
        let Ok(Some(mut notes)) = segment.notes(endian, data) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == object::elf::ELF_NOTE_GNU
                && note.n_type(endian) == object::elf::NT_GNU_BUILD_ID
            {
                let id = note.desc().iter().take(32);
                return Some(id.map(|byte| format!("{byte:02x}")).collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::{self, File};
    use std::io::Cursor;

    /// The C library that this test itself runs on.
    fn libc() -> Vec<u8> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.split_whitespace().find(|word| word.contains("libc.so")).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn exported_functions_are_found_and_others_are_not() {
        let found = exports(Cursor::new(libc()), &["malloc", "no_such_function"]).unwrap();
        assert!(found.functions[0].is_some_and(|place| place.offset > 0 && place.is_whole));
        assert_eq!(found.functions[1], None);
        assert!(found.build_id.is_some_and(|id| id.len() == 40));
    }

    #[test]
    fn functions_that_are_not_exported_are_found_by_all_symbols() {
        let own = || File::open("/proc/self/exe").unwrap();
        let name: &[u8] = b"functions_that_are_not_exported_are_found_by_all_symbols";
        let is_it = |symbol: &[u8]| memchr::memmem::find(symbol, name).map(|at| at > 0);
        let found = internals(own(), 1, is_it).unwrap();
        assert!(matches!(&found[..], [(true, place)] if place.offset > 0 && place.length > 0));
        assert_eq!(internals(own(), 1, |_name| None::<()>), Ok(vec![]));
        assert!(internals(Cursor::new(b"#!/bin/sh\n"), 1, |_name| Some(())).is_err());
    }

    #[test]
    fn a_function_ends_where_another_begins() {
        let whole = Place { length: 64, is_whole: true, ..Place::bare(0x400) };
        let cut = Place { length: 32, is_whole: false, ..whole };
        for (other, expected) in [(0x1000, whole), (0x1020, cut), (0x1040, whole), (0xfff, whole)] {
            let mut functions = [None, Some(whole)];
            keep_apart(&mut functions, &[0, 0x1000], other);
            assert_eq!(functions, [None, Some(expected)], "{other:#x}");
        }
    }

    #[test]
    fn what_is_in_another_segment_is_out_of_reach() {
        let place = Place { segment: (0x400, 0x800), ..Place::bare(0x500) };
        let offset = |distance| place.other(distance).map(|other| other.offset);
        assert_eq!([-0x100, 0x2ff].map(offset), [Some(0x400), Some(0x7ff)]);
        assert_eq!([-0x101, 0x300, i64::MIN, i64::MAX].map(offset), [None; 4]);
        assert_eq!(Place::bare(0x500).other(0), None);
    }

    #[test]
    fn what_is_not_elf_is_foreign() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0; 4096]] {
            assert_eq!(exports(Cursor::new(bytes), &["malloc"]), Err(ElfError::Foreign));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_damage_panics(
            cut in 0usize..4096,
            flips in prop::collection::vec((0usize..4096, any::<u8>()), 0..16),
            keep_end in any::<bool>(),
        ) {
            let mut bytes = libc();
            for (at, value) in flips {
                bytes[at] = value;
            }
            if !keep_end {
                bytes.truncate(cut * 64);
            }
            let _any = exports(Cursor::new(&bytes), &["malloc"]);
            let _any = internals(Cursor::new(&bytes), 4, |name| (name.len() > 8).then_some(()));
        }
    }
}
