//! The functions that seal and open records.

use super::*;

const AEAD: Source = Source(super::super::aead::LIBRARY as u32, OTHER_NAME);
const SEAL: [u32; 3] = [117, 103, 115];
const SCATTER: [u32; 2] = [115, 112];
const OPEN: [u32; 3] = [115, 101, 103];
const GATHER: [u32; 2] = [115, 104];

/// A program with all of it, and where things are.
pub(in crate::capture::embedded) fn ciphers(form: Form) -> (Program, AeadFunctions) {
    let mut program = Program::new(form);
    program.giving_of(AEAD, &[124]);
    program.giving_of(AEAD, &[120]);
    let [seal, seal_scatter, open, open_gather] =
        [&SEAL[..], &SCATTER, &OPEN, &GATHER].map(|reasons| program.giving_of(AEAD, reasons));
    let offset = |at: usize| (OFFSET + at) as u64;
    let functions = AeadFunctions {
        seal: offset(seal),
        seal_scatter: offset(seal_scatter),
        open: offset(open),
        open_gather: offset(open_gather),
    };
    (program, functions)
}

#[test]
fn functions_are_known_by_the_errors_they_raise() {
    for form in [Form::Relative, Form::Fixed, Form::Small] {
        let (program, functions) = ciphers(form);
        assert_eq!(search_in(&program.file()), Search::FoundAead(functions, None));
    }
}

#[test]
fn one_may_have_another_in_it() {
    let mut program = Program::new(Form::Small);
    program.giving_of(AEAD, &SEAL);
    program.giving_of(AEAD, &SCATTER);
    program.giving_of(AEAD, &[115, 101, 103, 115, 104]);
    program.giving_of(AEAD, &GATHER);
    assert!(matches!(search_in(&program.file()), Search::FoundAead(_, None)));
}

#[test]
fn what_is_there_twice_or_not_at_all_is_not_probed() {
    let unclear = Search::Unclear { library: "AWS-LC" };
    for reasons in [&SEAL[..], &SCATTER, &OPEN, &GATHER] {
        let (mut program, _) = ciphers(Form::Relative);
        program.giving_of(AEAD, reasons);
        assert_eq!(search_in(&program.file()), unclear, "{reasons:?} twice");

        let mut program = Program::new(Form::Relative);
        let others = [&SEAL[..], &SCATTER, &OPEN, &GATHER];
        for other in others.into_iter().filter(|other| *other != reasons) {
            program.giving_of(AEAD, other);
        }
        assert_eq!(search_in(&program.file()), unclear, "{reasons:?} not at all");
    }
}

#[test]
fn where_tls_is_inside_its_ciphers_are_not_probed() {
    let (mut program, tls) = whole(Form::Relative);
    for reasons in [&SEAL[..], &SCATTER, &OPEN, &GATHER] {
        program.giving_of(AEAD, reasons);
    }
    assert_eq!(search_in(&program.file()), Search::Found(tls));
    // Not even where it can't be told for certain.
    let (mut program, _) = ciphers(Form::Relative);
    program.giving(&[66]);
    assert_eq!(search_in(&program.file()), Search::Unclear { library: "BoringSSL" });
}

/// Calls through a table leave no trace in the code.
#[test]
fn what_is_called_through_a_table_is_a_function() {
    const TABLE: usize = OFFSET + 0x300;
    let (program, functions) = ciphers(Form::Relative);
    let all = [functions.seal, functions.seal_scatter, functions.open, functions.open_gather];
    let all = all.map(|offset| ADDRESS + offset - OFFSET as u64);
    let are_called = |file: &[u8]| {
        let mut opened = tempfile::tempfile().unwrap();
        opened.write_all(file).unwrap();
        let image = Image::of(&opened).ok().unwrap();
        super::super::aead::are_called(&image, BTreeSet::from(all))
    };
    let mut file = program.file();
    assert!(are_called(&file));
    for byte in file.iter_mut().skip(OFFSET + CODE).filter(|byte| **byte == 0xe8) {
        *byte = 0x90;
    }
    assert!(!are_called(&file), "by nothing");
    for (index, address) in all.iter().enumerate() {
        file[TABLE + index * 24..][..8].copy_from_slice(&address.to_le_bytes());
    }
    assert!(are_called(&file), "by the table alone");
    file[TABLE] ^= 1;
    assert!(!are_called(&file), "all but one");
}

#[test]
fn rustls_on_ring_is_told_of() {
    let (rustls, ring) =
        (&b"/r/rustls-0.23.46/src/conn.rs"[..], &b"/r/ring-0.17.14/src/aead.rs"[..]);
    for (names, expected) in [
        (&[rustls, ring][..], Search::Unclear { library: "rustls on ring" }),
        (&[rustls], Search::Absent),
        (&[ring], Search::Absent),
        (&[b"/rustls-0.", b"/ring-0./src/"], Search::Absent),
        (&[b"/rustls-0.23.46/tests/", b"/ring-0.17.14/src/"], Search::Absent),
    ] {
        let mut program = Program::new(Form::Relative);
        for (index, name) in names.iter().enumerate() {
            program.bytes[0x400 + index * 0x40..][..name.len()].copy_from_slice(name);
        }
        assert_eq!(search_in(&program.file()), expected, "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_panics_or_is_taken_for_more_than_it_is(
        flips in prop::collection::vec((0usize..OFFSET + CODE + 1024, any::<u8>()), 1..24),
        length in prop::option::of(0..OFFSET + LENGTH),
    ) {
        let (program, functions) = ciphers(Form::Relative);
        let mut file = program.file();
        for (at, byte) in flips {
            file[at] = byte;
        }
        file.truncate(length.unwrap_or(file.len()));
        if let Search::FoundAead(found, None) = search_in(&file) {
            let places = [found.seal, found.seal_scatter, found.open, found.open_gather];
            let size = file.len() as u64;
            prop_assert!(places.iter().all(|place| *place < size), "{found:?} {functions:?}");
        }
    }
}
