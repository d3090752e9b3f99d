//! Amounts of dollars in other people's JSON.

use serde_json::Value;

use crate::units::PicoUsd;

/// `value` times ten to the power of `shift`, a half of a pico-dollar rounded up. `None` if it is no
/// decimal number, negative or too large.
///
/// A JSON number is read as a `double` and taken for the shortest decimal that stands for that, which
/// is the one that somebody wrote.
pub(super) fn amount(value: &Value, shift: u32) -> Option<PicoUsd> {
    const LONGEST: usize = 36;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => whole.to_string(),
            // `Display` of a float has no exponent.
            None => number.as_f64()?.to_string(),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{decimals}");
    let digits = digits.trim_start_matches('0');
    let is_number = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > LONGEST {
        return None;
    }
    let number: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let places = u32::try_from(decimals.len()).ok()?;
    let exponent = 12 + shift;
    if exponent >= places {
        return number.checked_mul(10_i128.checked_pow(exponent - places)?).map(PicoUsd);
    }
    let Some(divisor) = 10_i128.checked_pow(places - exponent) else { return Some(PicoUsd::ZERO) };
    Some(PicoUsd((number + divisor / 2) / divisor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_price_keeps_every_digit() {
        for (token, million) in [
            (json!("0.00000015"), Some("0.15")),
            (json!(1.5e-7), Some("0.15")),
            (json!(0.0006), Some("600.00")),
            (json!(2), Some("2000000.00")),
            // What is left of a calculation with `double`s.
            (json!(2.499_999_999_999_999_8e-6), Some("2.50")),
            (json!(0), Some("0.00")),
            (json!(-1), None),
            (json!("1e3"), None),
            (json!("."), None),
            (json!(true), None),
        ] {
            let read = amount(&token, 6).map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), million, "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_hostile(text in any::<String>(), digits in "[0-9]{0,60}[.]?[0-9]{0,60}") {
            let _read_or_not = amount(&Value::String(text), 6);
            let _read_or_not = amount(&Value::String(digits), 6);
        }
    }
}
