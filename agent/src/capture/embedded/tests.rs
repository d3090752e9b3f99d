pub(super) mod aead;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;

use super::*;

/// Where the one segment is, in the file and in memory.
pub(super) const OFFSET: usize = 0x1000;
pub(super) const ADDRESS: u64 = 0x40_0000;
/// Where in it the names of the source files are, and where the code begins.
const NAME: usize = 0x100;
const OTHER_NAME: usize = 0x200;
pub(super) const CODE: usize = 0x1000;
pub(super) const LENGTH: usize = 600 << 10;
/// Whoever is told of errors.
pub(super) const RAISE: usize = CODE;

/// How a compiler passes an error.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// `lea` and five arguments.
    Relative,
    /// `mov` of an address, and the argument that isn't used dropped.
    Fixed,
    /// `lea`, and numbers by way of the stack.
    Small,
}

/// Whose error it is: the number of the library, and where the name of the source file is.
#[derive(Clone, Copy)]
struct Source(u32, usize);

const TLS: Source = Source(LIBRARY as u32, NAME);

/// A program that is written function by function.
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    form: Form,
    /// Calls of the functions, without which nobody knows where they begin.
    calls: Vec<usize>,
}

impl Program {
    pub(super) fn new(form: Form) -> Self {
        let mut bytes = vec![0xcc; CODE + 16];
        let name = b"../../third_party/boringssl/src/ssl/ssl_lib.cc\0";
        bytes[NAME - 1] = 0;
        bytes[NAME..NAME + name.len()].copy_from_slice(name);
        let name = b"/aws-lc/crypto/fipsmodule/cipher/aead.c\0";
        bytes[OTHER_NAME - 1] = 0;
        bytes[OTHER_NAME..OTHER_NAME + name.len()].copy_from_slice(name);
        Self { bytes, form, calls: Vec::new() }
    }

    /// Begins a function.
    pub(super) fn function(&mut self) -> usize {
        // What is between functions is never run.
        let padding = 16 - self.bytes.len() % 16;
        self.bytes.extend(vec![0xcc; padding]);
        self.calls.push(self.bytes.len());
        // push rbp; mov rbp, rsp
        self.bytes.extend([0x55, 0x48, 0x89, 0xe5]);
        self.bytes.len() - 4
    }

    /// A call, and what it is given as an error.
    fn error(&mut self, Source(library, name): Source, reason: u32) {
        let library = library.to_le_bytes();
        let (reason, line) = (reason.to_le_bytes(), 931u32.to_le_bytes());
        match self.form {
            Form::Relative => {
                // lea rcx, name; mov edi, 16; xor esi, esi; mov edx, reason; mov r8d, line
                self.lea(name);
                self.bytes.push(0xbf);
                self.bytes.extend(library);
                self.bytes.extend([0x31, 0xf6, 0xba]);
                self.bytes.extend(reason);
                self.bytes.extend([0x41, 0xb8]);
                self.bytes.extend(line);
            }
            Form::Fixed => {
                // mov esi, reason; mov edi, 16; mov edx, name; mov ecx, line
                self.bytes.push(0xbe);
                self.bytes.extend(reason);
                self.bytes.push(0xbf);
                self.bytes.extend(library);
                self.bytes.push(0xba);
                self.bytes.extend((ADDRESS as u32 + name as u32).to_le_bytes());
                self.bytes.push(0xb9);
                self.bytes.extend(line);
            }
            Form::Small => {
                // lea rcx, name; push library; pop rdi; push reason; pop rdx; xor esi, esi; mov r8d, line
                self.lea(name);
                self.bytes.extend([0x6a, library[0], 0x5f, 0x68]);
                self.bytes.extend(reason);
                self.bytes.extend([0x5a, 0x31, 0xf6]);
                self.bytes.extend([0x41, 0xb8]);
                self.bytes.extend(line);
            }
        }
        self.call(RAISE);
    }

    /// lea rcx, name
    fn lea(&mut self, name: usize) {
        let distance = name as i32 - (self.bytes.len() as i32 + 7);
        self.bytes.extend([0x48, 0x8d, 0x0d]);
        self.bytes.extend(distance.to_le_bytes());
    }

    pub(super) fn call(&mut self, function: usize) {
        let distance = function as i32 - (self.bytes.len() as i32 + 5);
        self.bytes.push(0xe8);
        self.bytes.extend(distance.to_le_bytes());
    }

    /// Ends a function.
    pub(super) fn ret(&mut self) {
        self.bytes.extend([0x5d, 0xc3]);
    }

    fn giving(&mut self, reasons: &[u32]) -> usize {
        self.giving_of(TLS, reasons)
    }

    fn giving_of(&mut self, source: Source, reasons: &[u32]) -> usize {
        let start = self.function();
        reasons.iter().for_each(|reason| self.error(source, *reason));
        self.ret();
        start
    }

    fn peek(&mut self, fill: usize, takes: bool) -> usize {
        let start = self.function();
        self.error(TLS, 66);
        self.call(fill);
        if takes {
            // add [rax + 0x80], rbx
            self.bytes.extend([0x48, 0x01, 0x98, 0x80, 0, 0, 0]);
        }
        self.ret();
        start
    }

    /// The file.
    pub(super) fn file(mut self) -> Vec<u8> {
        for start in std::mem::take(&mut self.calls) {
            self.call(start);
        }
        self.bytes.resize(LENGTH, 0xcc);
        let mut file = vec![0; OFFSET];
        file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0");
        let mut word = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        word(20, &1u32.to_le_bytes());
        // The program headers, right behind this one: one of them.
        word(32, &64u64.to_le_bytes());
        word(52, &64u16.to_le_bytes());
        word(54, &56u16.to_le_bytes());
        word(56, &1u16.to_le_bytes());
        // To be loaded, readable and executable.
        word(64, &1u32.to_le_bytes());
        word(68, &5u32.to_le_bytes());
        word(72, &(OFFSET as u64).to_le_bytes());
        word(80, &ADDRESS.to_le_bytes());
        word(96, &(LENGTH as u64).to_le_bytes());
        word(104, &(LENGTH as u64).to_le_bytes());
        file.extend(self.bytes);
        file
    }
}

/// A program with all of it, and where things are.
fn whole(form: Form) -> (Program, Functions) {
    let mut program = Program::new(form);
    let new = program.giving(&[185]);
    let fill = program.giving(&[226, 215, 110]);
    program.peek(fill, false);
    let read = program.peek(fill, true);
    let write = program.giving(&[66, 226, 215, 111]);
    program.giving(&[66]);
    program.giving(&[226, 291]);
    let offset = |at: usize| (OFFSET + at) as u64;
    (program, Functions { read: offset(read), write: offset(write), new: offset(new) })
}

pub(super) fn search_in(bytes: &[u8]) -> Search {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    search(&file)
}

#[test]
fn functions_are_known_by_the_errors_they_raise() {
    for form in [Form::Relative, Form::Fixed, Form::Small] {
        let (program, functions) = whole(form);
        assert_eq!(search_in(&program.file()), Search::Found(functions));
    }
}

#[test]
fn what_is_there_twice_or_not_at_all_is_not_probed() {
    for form in [Form::Relative, Form::Fixed, Form::Small] {
        for reasons in [&[66, 226, 215, 111][..], &[185], &[226, 215]] {
            let (mut program, _) = whole(form);
            program.giving(reasons);
            assert_eq!(
                search_in(&program.file()),
                Search::Unclear { library: "BoringSSL" },
                "{reasons:?} twice"
            );
        }
        let mut program = Program::new(form);
        program.giving(&[185]);
        program.giving(&[66, 226, 215, 111]);
        let fill = program.giving(&[226, 215]);
        program.peek(fill, false);
        assert_eq!(
            search_in(&program.file()),
            Search::Unclear { library: "BoringSSL" },
            "only SSL_peek"
        );
    }
}

#[test]
fn who_has_the_name_and_raises_no_error_has_none() {
    let mut program = Program::new(Form::Relative);
    program.giving(&[]);
    assert_eq!(search_in(&program.file()), Search::Absent);
}

#[test]
fn what_would_take_too_long_is_said_not_to_be_searched() {
    let (program, functions) = whole(Form::Relative);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&program.file()).unwrap();
    for (size, expected) in
        [(image::FILE_MAX, Search::Found(functions)), (image::FILE_MAX + 1, Search::TooLarge)]
    {
        // What is added takes no room.
        file.set_len(size).unwrap();
        assert_eq!(search(&file), expected);
    }
}

#[test]
fn a_program_that_has_one_part_many_times_is_too_large() {
    const HEADERS: u16 = 64;
    let (program, functions) = whole(Form::Relative);
    let mut bytes = program.file();
    let length = image::FILE_MAX / u64::from(HEADERS) + 1;
    bytes[96..104].copy_from_slice(&length.to_le_bytes());
    for header in 1..usize::from(HEADERS) {
        bytes.copy_within(64..120, 64 + 56 * header);
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.set_len(2 * length).unwrap();
    assert_eq!(search(&file), Search::Found(functions));
    file.write_all_at(&HEADERS.to_le_bytes(), 56).unwrap();
    assert_eq!(search(&file), Search::TooLarge);
}

#[test]
fn other_files_have_none() {
    let (program, _) = whole(Form::Relative);
    let file = program.file();
    let mut renamed = file.clone();
    renamed[OFFSET + NAME + 20..][..30].fill(b'x');
    assert_eq!(search_in(&renamed), Search::Absent);
    for length in [0, 63, 64, 119, OFFSET, OFFSET + LENGTH - 1] {
        assert_eq!(search_in(&file[..length]), Search::Absent, "{length}");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_of_the_file_as_it_is() {
    let mut searches = Searches::new();
    let (program, functions) = whole(Form::Relative);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&program.file()).unwrap();
    assert_eq!(searches.search(&file), Search::Found(functions));
    file.set_len(100).unwrap();
    assert_eq!(searches.search(&file), Search::Absent);
    let folder = tempfile::tempdir().unwrap();
    for number in 0..REMEMBERED.get() + 10 {
        let other = File::create_new(folder.path().join(number.to_string())).unwrap();
        assert_eq!(searches.search(&other), Search::Absent);
    }
    assert_eq!(searches.0.len(), REMEMBERED.get());
}

/// The reference of `SSL_write` in a build of Bun to its first error, and what is around it.
#[test]
fn arguments_are_found_on_both_sides_of_the_name() {
    // je …; mov ecx, name; mov edi, 16; xor esi, esi; mov edx, 66; mov r8d, 953; call …
    let code = b"\x74\x30\xb9\x9d\xe5\x29\0\xbf\x10\0\0\0\x31\xf6\xba\x42\0\0\0\x41\xb8\xb9\x03\0\0\xe8\0\0\0\0";
    let reference = Reference { at: 0x1002, name: 0x29_e59d };
    assert_eq!(calls::reason(code, 0x1000, reference, LIBRARY), Some(66));
    // mov r8d, 953; mov edx, 66; lea rcx, name; xor esi, esi; mov edi, 16; jmp …
    let code = b"\x41\xb8\xb9\x03\0\0\xba\x42\0\0\0\x48\x8d\x0d\x10\0\0\0\x31\xf6\xbf\x10\0\0\0\xe9\0\0\0\0";
    let reference = Reference { at: 0x100b, name: 0x1022 };
    assert_eq!(calls::reason(code, 0x1000, reference, LIBRARY), Some(66));
    // Of another library.
    let code = b"\xba\x42\0\0\0\x48\x8d\x0d\x10\0\0\0\xbf\x1e\0\0\0\xe8\0\0\0\0";
    assert_eq!(calls::reason(code, 0x1000, Reference { at: 0x1005, name: 0x101c }, LIBRARY), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_panics_or_is_taken_for_more_than_it_is(
        flips in prop::collection::vec((0usize..OFFSET + CODE + 1024, any::<u8>()), 1..24),
        length in prop::option::of(0..OFFSET + LENGTH),
    ) {
        let (program, functions) = whole(Form::Relative);
        let mut file = program.file();
        for (at, byte) in flips {
            file[at] = byte;
        }
        file.truncate(length.unwrap_or(file.len()));
        if let Search::Found(found) = search_in(&file) {
            let places = [found.read, found.write, found.new];
            let size = file.len() as u64;
            prop_assert!(places.iter().all(|place| *place < size), "{:?} {:?}", found, functions);
        }
    }

    #[test]
    fn no_code_panics(code in prop::collection::vec(any::<u8>(), 0..256), address: u64, name: u64) {
        calls::references(&code, address, &BTreeSet::from([name]), |_reference| {});
        calls::targets(&code, address, |_target| {});
        calls::reason(&code, address, Reference { at: address.saturating_add(20), name }, LIBRARY);
        calls::leads_to(&code, address, address.saturating_add(100));
        calls::tests(&code, address, name);
        calls::names_function(&code, address, Reference { at: address.saturating_add(20), name });
        calls::is_error(&code, address, Reference { at: address.saturating_add(20), name });
        calls::takes(&code, address, iced_x86::Register::R8);
    }
}
