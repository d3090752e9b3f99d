//! Which functions are probed, and by which programs.

use weir_ebpf::name;

use super::elf::Place;
use super::probes::Planned;
use super::site::Asked;
use super::{embedded, go};

/// A function and its probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    /// As libraries export it.
    pub(super) symbol: &'static str,
    /// Runs at its entry.
    pub(super) enter: Option<&'static str>,
    /// Run when it returns.
    pub(super) leave: Option<&'static Leave>,
    /// The arguments that the program at its entry reads, by number.
    arguments: &'static [usize],
}

/// The two programs for a function's return. They do the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    /// A return probe.
    pub(super) returned: &'static str,
    /// At an instruction just before the return.
    pub(super) exit: &'static str,
}

const READ: Leave = Leave { returned: name::READ_RETURN, exit: name::READ_EXIT };
const OPEN: Leave = Leave { returned: name::OPEN_RETURN, exit: name::OPEN_EXIT };
const OPENED_RECORD: Leave = Leave { returned: name::RECORD_RETURN, exit: name::RECORD_EXIT };
const SEALED: Leave =
    Leave { returned: name::RING_COPY_SEAL_RETURN, exit: name::RING_COPY_SEAL_EXIT };
const WRITE: Leave = Leave { returned: name::WRITE_RETURN, exit: name::WRITE_EXIT };

impl Function {
    /// What its probes are to learn of a call.
    pub(super) fn asked(&self) -> Asked {
        Asked { arguments: self.arguments, returns: self.leave.is_some() }
    }
}

/// The functions of one library, whatever its file is called.
struct Family {
    kind: Kind,
    /// As many of the first functions as a file must have to be one of these.
    required: usize,
    /// Not all of them are probed, but the first that is there: they are names for one thing.
    any: bool,
    functions: &'static [Function],
}

const FAMILIES: [Family; 5] = [
    // OpenSSL, LibreSSL, quictls, and BoringSSL where it exports its functions.
    Family {
        kind: Kind::Tls,
        required: 2,
        any: false,
        functions: &[
            function("SSL_read", name::READ_ENTER, &[0, 1], Some(&READ)),
            function("SSL_write", name::WRITE_ENTER, &[0, 1], Some(&WRITE)),
            function("SSL_read_ex", name::READ_EX_ENTER, &[0, 1, 3], Some(&READ)),
            function("SSL_write_ex", name::WRITE_EX_ENTER, &[0, 1, 3], Some(&WRITE)),
            function("SSL_write_ex2", name::WRITE_EX2_ENTER, &[0, 1, 4], Some(&WRITE)),
            function("SSL_sendfile", name::WRITE_FILE_ENTER, &[0], Some(&WRITE)),
            function("SSL_free", name::CLOSE_ENTER, &[0], None),
            function("SSL_clear", name::CLOSE_ENTER, &[0], None),
        ],
    },
    // GnuTLS. `_send` ends in a jump to `_send2`, where there is one, so both are one call.
    Family {
        kind: Kind::Tls,
        required: 2,
        any: false,
        functions: &[
            function("gnutls_record_recv", name::READ_ENTER, &[0, 1], Some(&READ)),
            function("gnutls_record_send", name::WRITE_ENTER, &[0, 1], Some(&WRITE)),
            function("gnutls_record_recv_seq", name::READ_ENTER, &[0, 1], Some(&READ)),
            function("gnutls_record_send2", name::WRITE_ENTER, &[0, 1], Some(&WRITE)),
            function("gnutls_record_uncork", name::WRITE_HELD_ENTER, &[0], Some(&WRITE)),
            function("gnutls_deinit", name::CLOSE_ENTER, &[0], None),
        ],
    },
    // NSPR, for NSS is a layer over its descriptors. Only descriptors with a layer are looked at.
    Family {
        kind: Kind::Tls,
        required: 4,
        any: false,
        functions: &[
            function("PR_Read", name::LAYER_READ_ENTER, &[0, 1], Some(&READ)),
            function("PR_Write", name::LAYER_WRITE_ENTER, &[0, 1], Some(&WRITE)),
            function("PR_Recv", name::LAYER_RECV_ENTER, &[0, 1, 3], Some(&READ)),
            function("PR_Send", name::LAYER_WRITE_ENTER, &[0, 1], Some(&WRITE)),
            function("PR_Writev", name::LAYER_WRITEV_ENTER, &[0], Some(&WRITE)),
            function("PR_Close", name::CLOSE_ENTER, &[0], None),
        ],
    },
    // NSS itself. What was said on a descriptor before, such as to a proxy, is another connection.
    Family {
        kind: Kind::Tls,
        required: 1,
        any: false,
        functions: &[function("SSL_ResetHandshake", name::CLOSE_ENTER, &[0], None)],
    },
    // glibc's and musl's dynamic loaders. musl exports both names for one function.
    Family {
        kind: Kind::Loader,
        required: 0,
        any: true,
        functions: &[
            function("_dl_debug_state", name::LOADER_ENTER, &[], None),
            function("dl_debug_state", name::LOADER_ENTER, &[], None),
        ],
    },
];

const fn function(
    symbol: &'static str,
    enter: &'static str,
    arguments: &'static [usize],
    leave: Option<&'static Leave>,
) -> Function {
    Function { symbol, enter: Some(enter), leave, arguments }
}

/// What a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads and writes TLS.
    Tls,
    /// It loads libraries.
    Loader,
}

/// The functions to probe in a program that has BoringSSL inside. Where connections end is not known
/// there, but where one begins, any that was at its address before has ended.
pub(super) fn inside(found: embedded::Functions) -> Vec<(Function, Place)> {
    let new = Function { symbol: "SSL_new", enter: None, leave: Some(&OPEN), arguments: &[] };
    let read = function("SSL_read", name::READ_ENTER, &[0, 1], Some(&READ));
    let write = function("SSL_write", name::WRITE_ENTER, &[0, 1], Some(&WRITE));
    vec![
        (read, Place::bare(found.read)),
        (write, Place::bare(found.write)),
        (new, Place::bare(found.new)),
    ]
}

/// The same in one that has OpenSSL inside.
pub(super) fn inside_openssl(found: embedded::OpenSslFunctions) -> Vec<(Function, Place)> {
    let new = Function { symbol: "SSL_new", enter: None, leave: Some(&OPEN), arguments: &[] };
    let read = function("SSL_read", name::READ_ENTER, &[0, 1], Some(&READ));
    let write = function("SSL_write", name::WRITE_ENTER, &[0, 1], Some(&WRITE));
    let read_ex = function("ssl_read_internal", name::READ_EX_ENTER, &[0, 1, 3], Some(&READ));
    let write_ex = |flags| {
        let (enter, arguments) = match flags {
            embedded::Flags::Absent => (name::WRITE_EX_ENTER, &[0, 1, 3]),
            embedded::Flags::Present => (name::WRITE_EX2_ENTER, &[0, 1, 4]),
        };
        function("ssl_write_internal", enter, arguments, Some(&WRITE))
    };
    let reads = found.reads.into_iter().flatten().map(|read| (read_ex, read));
    let writes = found.writes.into_iter().flatten().map(|(write, flags)| (write_ex(flags), write));
    let public = [(read, found.read), (write, found.write)].into_iter();
    let public = public.filter_map(|(function, place)| Some((function, place?)));
    let all = public.chain(reads).chain(writes).chain([(new, found.new)]);
    all.map(|(function, offset)| (function, Place::bare(offset))).collect()
}

/// What is probed in a program that has Go's TLS inside. A read has probes only where it returns
/// ([`super::site::Sites::go_returns`]), and never a return probe.
pub(super) fn in_go(found: go::Functions) -> Vec<Planned> {
    const READ: Leave = Leave { returned: name::GO_READ_EXIT, exit: name::GO_READ_EXIT };
    let read = function(go::READ, name::GO_READ_EXIT, &[], Some(&READ));
    let write = function(go::WRITE, name::GO_WRITE_ENTER, &[], None);
    let close = |symbol| function(symbol, name::GO_CLOSE_ENTER, &[], None);
    let all = [
        (read, Some(found.read)),
        (write, Some(found.write)),
        (close(go::CLOSE), Some(found.close)),
        (close(go::CLIENT), Some(found.client)),
        (close(go::SERVER), found.server),
    ];
    let present = all.into_iter().filter_map(|(function, place)| Some((function, place?)));
    present.map(|(function, place)| Planned::new(function, place.offset, place.sites)).collect()
}

/// The functions to probe in a program that has AWS-LC's ciphers inside, and TLS from elsewhere. Their
/// later arguments are on the stack, where they stay.
pub(super) fn records(found: embedded::AeadFunctions) -> Vec<(Function, Place)> {
    const OPENED: Option<&Leave> = Some(&OPENED_RECORD);
    let seal = |symbol, enter| function(symbol, enter, &[0, 1, 4, 5], None);
    let open = |symbol, enter, arguments| function(symbol, enter, arguments, OPENED);
    vec![
        (
            open("EVP_AEAD_CTX_open", name::OPEN_RECORD_ENTER, &[0, 1, 4, 5]),
            Place::bare(found.open),
        ),
        (
            open("EVP_AEAD_CTX_open_gather", name::GATHER_RECORD_ENTER, &[0, 1, 2, 3, 4, 5]),
            Place::bare(found.open_gather),
        ),
        (seal("EVP_AEAD_CTX_seal", name::SEAL_RECORD_ENTER), Place::bare(found.seal)),
        (
            seal("EVP_AEAD_CTX_seal_scatter", name::SCATTER_RECORD_ENTER),
            Place::bare(found.seal_scatter),
        ),
    ]
}

/// The same in one that has them from ring. Where records are copied after they were sealed, the tags are
/// needed that they have by then.
pub(super) fn records_by_ring(found: embedded::RingFunctions) -> Vec<(Function, Place)> {
    const ALL: &[usize] = &[0, 1, 2, 3, 4, 5];
    let (seals, leaves, opens) = match found.copies {
        true => (name::RING_COPY_SEAL_ENTER, Some(&SEALED), name::RING_COPY_OPEN_ENTER),
        false => (name::RING_SEAL_ENTER, None, name::RING_OPEN_ENTER),
    };
    let seal = function("ring::aead::seal", seals, ALL, leaves);
    let open = function("ring::aead::open", opens, ALL, Some(&OPENED_RECORD));
    let seals = found.seals.into_iter().flatten().map(|place| (seal, place));
    let opens = found.opens.into_iter().flatten().map(|place| (open, place));
    opens.chain(seals).collect()
}

/// The names to look up in a file.
pub(super) fn symbols() -> Vec<&'static str> {
    let functions = FAMILIES.iter().flat_map(|family| family.functions);
    functions.map(|function| function.symbol).collect()
}

/// The functions to probe in a file that has those of [`symbols`] that have a place.
pub(super) fn wanted(places: &[Option<Place>]) -> Option<(Kind, Vec<(Function, Place)>)> {
    let mut rest = places;
    let mut found: Option<(Kind, Vec<(Function, Place)>)> = None;
    for family in &FAMILIES {
        let (here, after) = rest.split_at_checked(family.functions.len())?;
        rest = after;
        if here.iter().take(family.required).any(Option::is_none) {
            continue;
        }
        let present = family.functions.iter().zip(here);
        let present = present.filter_map(|(function, place)| Some((*function, (*place)?)));
        let most = if family.any { 1 } else { family.functions.len() };
        let mut present: Vec<_> = present.take(most).collect();
        match &mut found {
            _ if present.is_empty() => {}
            // A program may have more than one library in it.
            Some((kind, functions)) if *kind == family.kind => functions.append(&mut present),
            Some(_) => {}
            None => found = Some((family.kind, present)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(exported: &[&str], expected: Option<(Kind, &[&str])>) {
        let place = Place { length: 1, is_whole: true, ..Place::bare(1) };
        let places: Vec<Option<Place>> =
            symbols().iter().map(|symbol| exported.contains(symbol).then_some(place)).collect();
        let found = wanted(&places);
        let found = found.map(|(kind, functions)| {
            (kind, functions.iter().map(|(function, _)| function.symbol).collect::<Vec<_>>())
        });
        assert_eq!(found, expected.map(|(kind, functions)| (kind, functions.to_vec())));
    }

    #[test]
    fn both_directions_make_a_tls_library() {
        check(&["SSL_read"], None);
        check(&["SSL_read", "gnutls_record_send"], None);
        let both = ["SSL_read", "SSL_write"];
        check(&both, Some((Kind::Tls, &both)));
        let gnutls = ["gnutls_record_recv", "gnutls_record_send", "gnutls_deinit"];
        check(&gnutls, Some((Kind::Tls, &gnutls)));
    }

    #[test]
    fn nss_is_probed_in_both_its_libraries() {
        check(&["PR_Read", "PR_Write"], None);
        let nspr = ["PR_Read", "PR_Write", "PR_Recv", "PR_Send", "PR_Close"];
        check(&nspr, Some((Kind::Tls, &nspr)));
        check(&["SSL_ResetHandshake"], Some((Kind::Tls, &["SSL_ResetHandshake"])));
    }

    #[test]
    fn a_file_with_two_libraries_has_both_probed() {
        let all = ["SSL_read", "SSL_write", "gnutls_record_recv", "gnutls_record_send"];
        check(&all, Some((Kind::Tls, &all)));
    }

    #[test]
    fn a_loader_is_probed_once() {
        let both = ["_dl_debug_state", "dl_debug_state"];
        check(&both, Some((Kind::Loader, &both[..1])));
        check(
            &["dl_debug_state", "SSL_read", "SSL_write"],
            Some((Kind::Tls, &["SSL_read", "SSL_write"])),
        );
    }
}
