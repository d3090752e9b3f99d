//! Which functions are probed, and by which programs.

use weir_ebpf::name;

/// A function and its probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    /// As libraries export it.
    pub(super) symbol: &'static str,
    /// Runs at its entry.
    pub(super) enter: &'static str,
    /// Runs at its return.
    pub(super) leave: Option<&'static str>,
}

/// What is probed. The first two are what makes a file a TLS library to us; a file that has only
/// the last two is a dynamic loader (glibc's and musl's names for one thing).
pub(super) const FUNCTIONS: [Function; 8] = [
    function("SSL_read", name::READ_ENTER, Some(name::READ_RETURN)),
    function("SSL_write", name::WRITE_ENTER, Some(name::WRITE_RETURN)),
    function("SSL_read_ex", name::READ_EX_ENTER, Some(name::READ_RETURN)),
    function("SSL_write_ex", name::WRITE_EX_ENTER, Some(name::WRITE_RETURN)),
    function("SSL_free", name::CLOSE_ENTER, None),
    function("SSL_clear", name::CLOSE_ENTER, None),
    function("_dl_debug_state", name::LOADER_ENTER, None),
    function("dl_debug_state", name::LOADER_ENTER, None),
];

const fn function(
    symbol: &'static str,
    enter: &'static str,
    leave: Option<&'static str>,
) -> Function {
    Function { symbol, enter, leave }
}

/// What a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads and writes TLS.
    Tls,
    /// It loads libraries.
    Loader,
}

/// The functions of [`FUNCTIONS`] to probe in a file that exports those that have an offset.
pub(super) fn wanted(offsets: &[Option<u64>]) -> Option<(Kind, Vec<(Function, u64)>)> {
    let (tls, loader) = FUNCTIONS.split_at(6);
    let (tls_offsets, loader_offsets) = offsets.split_at_checked(tls.len())?;
    let present = |functions: &[Function], offsets: &[Option<u64>]| -> Vec<_> {
        functions.iter().zip(offsets).filter_map(|(f, at)| Some((*f, (*at)?))).collect()
    };
    if let [Some(_), Some(_), ..] = tls_offsets {
        return Some((Kind::Tls, present(tls, tls_offsets)));
    }
    // musl exports both names for one function: one probe is enough.
    let mut found = present(loader, loader_offsets);
    found.truncate(1);
    (!found.is_empty()).then_some((Kind::Loader, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_make_a_tls_library() {
        let mut offsets = [None; FUNCTIONS.len()];
        offsets[0] = Some(1);
        assert!(wanted(&offsets).is_none());
        offsets[1] = Some(2);
        offsets[7] = Some(3);
        let (kind, functions) = wanted(&offsets).unwrap();
        assert_eq!((kind, functions.len()), (Kind::Tls, 2));
    }

    #[test]
    fn a_loader_is_probed_once() {
        let mut offsets = [None; FUNCTIONS.len()];
        offsets[6] = Some(1);
        offsets[7] = Some(1);
        let (kind, functions) = wanted(&offsets).unwrap();
        assert_eq!((kind, functions.len()), (Kind::Loader, 1));
    }
}
