use proptest::prelude::*;

use super::super::tests::{CODE, Form, LENGTH, OFFSET, Program, RAISE, search_in};
use super::*;

/// Names, and where in the segment they are.
const NAMES: [(&[u8], usize); 6] = [
    (READ, 0x200),
    (WRITE, 0x240),
    (PUBLIC_READ, 0x280),
    (PUBLIC_WRITE, 0x2c0),
    (NEW, 0x300),
    (b"\0../ssl/ssl_lib.c\0", 0x340),
];

const SOURCE_AT: usize = 0x341;

fn empty() -> Program {
    let mut program = Program::new(Form::Relative);
    for (name, at) in NAMES {
        program.bytes[at..at + name.len()].copy_from_slice(name);
    }
    program
}

fn at(name: &[u8]) -> usize {
    NAMES.into_iter().find(|(known, _)| *known == name).map_or(0, |(_, at)| at)
}

/// `lea` of what is `at` there, into the register that the middle byte stands for.
fn load(program: &mut Program, register: u8, at: usize) {
    let distance = at as i32 - (program.bytes.len() as i32 + 7);
    program.bytes.extend([0x48, 0x8d, register]);
    program.bytes.extend(distance.to_le_bytes());
}

/// An error that is raised in the function `name`.
fn error(program: &mut Program, name: &[u8]) {
    load(program, 0x15, at(name));
    // mov esi, 2100
    program.bytes.extend([0xbe, 0x34, 0x08, 0, 0]);
    load(program, 0x3d, SOURCE_AT);
    program.call(RAISE);
}

/// A function in which errors are raised in the names of `names`, and which has so many arguments.
fn function(program: &mut Program, arguments: usize, names: &[&[u8]]) -> usize {
    let start = program.function();
    if arguments >= 4 {
        // mov r14, rcx
        program.bytes.extend([0x49, 0x89, 0xce]);
    }
    if arguments >= 5 {
        // mov r15, r8
        program.bytes.extend([0x4d, 0x89, 0xc7]);
    }
    names.iter().for_each(|name| error(program, name));
    program.ret();
    start
}

/// A function that raises an error in its own name and calls another.
fn caller(program: &mut Program, name: &[u8], callee: usize) -> usize {
    let start = program.function();
    error(program, name);
    // xor ecx, ecx
    program.bytes.extend([0x31, 0xc9]);
    program.call(callee);
    program.ret();
    start
}

fn offset(at: usize) -> u64 {
    (OFFSET + at) as u64
}

/// A program as most compilers leave it, of 3.3 or later if writing takes flags.
fn plain(flags: Flags) -> (Program, Functions) {
    let mut program = empty();
    let read = function(&mut program, 4, &[READ]);
    caller(&mut program, PUBLIC_READ, read);
    let arguments = if flags == Flags::Present { 5 } else { 4 };
    let write = function(&mut program, arguments, &[WRITE, WRITE]);
    caller(&mut program, PUBLIC_WRITE, write);
    let new = function(&mut program, 1, &[NEW]);
    let mut functions = Functions { new: offset(new), ..Functions::default() };
    functions.reads[0] = Some(offset(read));
    functions.writes[0] = Some((offset(write), flags));
    (program, functions)
}

/// One whose compiler has copied the inner functions into the public ones.
fn copied() -> (Program, Functions) {
    let mut program = empty();
    let reads = [(); 2].map(|()| function(&mut program, 4, &[READ]));
    let read = function(&mut program, 3, &[READ, PUBLIC_READ]);
    let writes = [4, 5].map(|arguments| function(&mut program, arguments, &[WRITE]));
    let write = function(&mut program, 3, &[PUBLIC_WRITE, WRITE]);
    let new = function(&mut program, 1, &[NEW]);
    let functions = Functions {
        read: Some(offset(read)),
        write: Some(offset(write)),
        reads: [Some(offset(reads[0])), Some(offset(reads[1])), None],
        writes: [
            Some((offset(writes[0]), Flags::Absent)),
            Some((offset(writes[1]), Flags::Present)),
            None,
        ],
        new: offset(new),
    };
    (program, functions)
}

#[test]
fn functions_are_known_by_the_names_they_give() {
    for (program, functions) in [plain(Flags::Absent), plain(Flags::Present), copied()] {
        assert_eq!(search_in(&program.file()), Search::FoundOpenSsl(functions));
    }
}

#[test]
fn what_is_there_too_often_is_not_probed() {
    for name in [READ, WRITE, PUBLIC_READ, PUBLIC_WRITE, NEW] {
        let (mut program, _) = plain(Flags::Absent);
        for _ in 0..COPIES_MAX {
            function(&mut program, 4, &[name]);
        }
        assert_eq!(search_in(&program.file()), UNCLEAR);
    }
}

#[test]
fn what_takes_other_arguments_is_not_probed() {
    for name in [READ, WRITE] {
        let (mut program, _) = plain(Flags::Absent);
        function(&mut program, 3, &[name]);
        assert_eq!(search_in(&program.file()), UNCLEAR);
    }
    let (mut program, _) = plain(Flags::Absent);
    function(&mut program, 5, &[READ]);
    assert_eq!(search_in(&program.file()), UNCLEAR);
}

#[test]
fn a_public_function_that_does_something_else_is_not_believed() {
    let mut program = empty();
    function(&mut program, 4, &[READ]);
    let other = function(&mut program, 4, &[]);
    caller(&mut program, PUBLIC_READ, other);
    assert_eq!(search_in(&program.file()), UNCLEAR);
}

#[test]
fn who_has_the_names_and_raises_no_error_has_none() {
    let mut program = empty();
    let start = program.function();
    load(&mut program, 0x15, at(READ));
    program.call(start);
    program.ret();
    assert_eq!(search_in(&program.file()), Search::Absent);
}

/// Before 3.0 functions have numbers.
#[test]
fn an_old_version_is_said_to_be_there() {
    let mut program = empty();
    program.function();
    // mov r8d, 1835; lea rcx, source; mov edx, 66; mov esi, 523; mov edi, 20
    program.bytes.extend([0x41, 0xb8, 0x2b, 0x07, 0, 0]);
    load(&mut program, 0x0d, SOURCE_AT);
    program.bytes.extend([0xba, 0x42, 0, 0, 0, 0xbe, 0x0b, 0x02, 0, 0, 0xbf, 20, 0, 0, 0]);
    program.call(RAISE);
    program.ret();
    assert_eq!(search_in(&program.file()), UNCLEAR);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_panics_or_is_taken_for_more_than_it_is(
        flips in prop::collection::vec((0usize..OFFSET + CODE + 1024, any::<u8>()), 1..24),
        length in prop::option::of(0..OFFSET + LENGTH),
    ) {
        let mut file = copied().0.file();
        for (at, byte) in flips {
            file[at] = byte;
        }
        file.truncate(length.unwrap_or(file.len()));
        if let Search::FoundOpenSsl(found) = search_in(&file) {
            let writes = found.writes.into_iter().flatten().map(|(write, _)| write);
            let places = found.reads.into_iter().flatten().chain(writes).chain([found.new]);
            let size = file.len() as u64;
            prop_assert!(places.into_iter().all(|place| place < size), "{:?}", found);
        }
    }
}
