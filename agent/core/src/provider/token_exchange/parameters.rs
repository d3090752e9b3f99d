//! Parameters of a body of the type `application/x-www-form-urlencoded`, as they arrive.

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

/// Longest parameter, its name included, in bytes as it is sent.
const MAX_PARAMETER: usize = 16 * 1024;

/// Splits the body. What it holds of it is one parameter, in a buffer that never moves: so no copy
/// of a secret is left behind.
#[derive(Default)]
pub(super) struct Parameters {
    current: Zeroizing<Vec<u8>>,
}

/// A parameter is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Parameters {
    /// Takes part of the body and hands each parameter that it completes to `visit`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(&str, &str),
    ) -> Result<(), TooLong> {
        let mut parts = bytes.split(|&byte| byte == b'&').peekable();
        while let Some(part) = parts.next() {
            if self.current.len() + part.len() > MAX_PARAMETER {
                return Err(TooLong);
            }
            if self.current.capacity() == 0 {
                self.current.reserve_exact(MAX_PARAMETER);
            }
            self.current.extend_from_slice(part);
            if parts.peek().is_some() {
                self.end(&mut visit);
            }
        }
        Ok(())
    }

    /// The body has ended, or the current parameter has.
    pub(super) fn end(&mut self, mut visit: impl FnMut(&str, &str)) {
        for byte in self.current.iter_mut().filter(|byte| **byte == b'+') {
            *byte = b' ';
        }
        let mut halves = self.current.splitn(2, |&byte| byte == b'=').map(decoded);
        if let (Some(name), Some(value)) = (halves.next(), halves.next())
            && let (Ok(name), Ok(value)) = (std::str::from_utf8(&name), std::str::from_utf8(&value))
        {
            visit(name, value);
        }
        drop(halves);
        self.current.clear();
    }

    pub(super) fn footprint(&self) -> usize {
        self.current.capacity()
    }
}

fn decoded(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(raw.len()));
    plain.extend(percent_decode(raw));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> Vec<(String, String)> {
        let mut parameters = Parameters::default();
        let mut seen = Vec::new();
        let mut visit = |name: &str, value: &str| seen.push((name.to_owned(), value.to_owned()));
        for part in parts {
            parameters.feed(part, &mut visit).unwrap();
        }
        parameters.end(&mut visit);
        seen
    }

    #[test]
    fn parameters_are_decoded() {
        for (body, expected) in [
            ("a=1&b=x%3Ay+z", vec![("a", "1"), ("b", "x:y z")]),
            ("a=b=c&&novalue&d=", vec![("a", "b=c"), ("d", "")]),
            ("a=%ff&%62=2", vec![("b", "2")]),
            ("a=%2&b=%zz", vec![("a", "%2"), ("b", "%zz")]),
        ] {
            let seen = read(&[body.as_bytes()]);
            let seen: Vec<_> = seen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(seen, expected, "{body}");
        }
    }

    #[test]
    fn a_parameter_has_a_bound() {
        let mut parameters = Parameters::default();
        assert_eq!(parameters.feed(&[b'a'; MAX_PARAMETER], |_, _| {}), Ok(()));
        assert_eq!(parameters.feed(b"b", |_, _| {}), Err(TooLong));
        assert_eq!(parameters.footprint(), MAX_PARAMETER);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            body in prop::collection::vec(
                prop_oneof![prop::sample::select(b"a=&%+41".to_vec()), any::<u8>()], 0..60,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&parts), read(&[&body]));
        }
    }
}
