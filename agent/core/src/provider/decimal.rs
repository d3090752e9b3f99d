//! Decimal numbers of JSON texts, without a detour by floating point.

use super::json::Token;

/// Longest number that is read, in bytes: what a `double` is written as is shorter.
const MAX_LENGTH: usize = 64;

/// `token` times ten to the power of `shift`, a half rounded up. `None` if it is no number, negative
/// or too large.
pub(super) fn scaled(token: Token<'_>, shift: i64) -> Option<u128> {
    match token {
        Token::Count(count) => whole(count.to_string().as_bytes(), shift),
        Token::Number(text) if text.len() <= MAX_LENGTH => {
            let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
            let exponent: i64 = exponent.parse().ok()?;
            let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let digits = [before.as_bytes(), behind.as_bytes()].concat();
            let behind = i64::try_from(behind.len()).ok()?;
            whole(&digits, shift.checked_add(exponent)?.checked_sub(behind)?)
        }
        Token::Begin | Token::Text(_) | Token::Flag(_) | Token::Number(_) | Token::Other => None,
    }
}

/// The number of these digits, times ten to the power of `shift`.
fn whole(digits: &[u8], shift: i64) -> Option<u128> {
    let value = |digits: &[u8]| {
        digits.iter().try_fold(0_u128, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| u128::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        })
    };
    let Ok(zeros) = u32::try_from(shift) else {
        let dropped = usize::try_from(shift.unsigned_abs()).ok()?;
        let Some(kept) = digits.len().checked_sub(dropped) else { return value(digits).map(|_| 0) };
        let (kept, dropped) = digits.split_at(kept);
        value(dropped)?;
        let up = dropped.first().is_some_and(|digit| *digit >= b'5');
        return value(kept)?.checked_add(u128::from(up));
    };
    match value(digits)? {
        0 => Some(0),
        number => number.checked_mul(10_u128.checked_pow(zeros)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact_or_rounded_once() {
        for (token, shift, number) in [
            (Token::Count(7), 12, Some(7_000_000_000_000)),
            (Token::Count(0), i64::MAX, Some(0)),
            (Token::Count(15), -1, Some(2)),
            (Token::Count(15), -3, Some(0)),
            (Token::Number("0.00014250000000000002"), 12, Some(142_500_000)),
            (Token::Number("1.5e-05"), 12, Some(15_000_000)),
            (Token::Number("1.5E+2"), 0, Some(150)),
            (Token::Number("4e-13"), 12, Some(0)),
            (Token::Number("5e-13"), 12, Some(1)),
            (Token::Number("8.4700"), 3, Some(8470)),
            (Token::Number("-1"), 12, None),
            (Token::Number("-0.5"), 0, None),
            (Token::Number("-0.5"), -9, None),
            (Token::Number("1e99"), 12, None),
            (Token::Number("1e99999999999999999999"), 12, None),
            (Token::Number("0e-9223372036854775808"), -9, None),
            (Token::Text("1"), 12, None),
        ] {
            assert_eq!(scaled(token, shift), number, "{token:?} {shift}");
        }
    }

    proptest! {
        #[test]
        fn no_number_makes_it_panic(text in "-?[0-9]{1,60}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,20})?", shift: i64) {
            let _number_or_none = scaled(Token::Number(&text), shift);
        }

        #[test]
        fn cents_are_exact(cents in 0..u64::MAX) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(scaled(Token::Number(&text), 2), Some(u128::from(cents)));
        }
    }
}
