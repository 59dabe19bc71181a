//! Checks numeric parameters, and values of the attribute type `Number`.

use std::time::Duration;

use towpath_types::queue::MAX_VISIBILITY;

use crate::error::ApiError;

/// Checks the bounds of a parameter; `None` if it was not given.
pub(crate) fn number(
    name: &str,
    given: Option<i64>,
    least: i64,
    most: i64,
    reason: &str,
) -> Result<Option<u64>, ApiError> {
    match given {
        Some(number) if number < least || number > most => Err(ApiError::value(name, number, reason)),
        given => Ok(given.and_then(|number| u64::try_from(number).ok())),
    }
}

pub(crate) fn seconds(
    name: &str,
    given: Option<i64>,
    most: Duration,
    reason: &str,
) -> Result<Option<Duration>, ApiError> {
    let most = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
    Ok(number(name, given, 0, most, reason)?.map(Duration::from_secs))
}

/// Checks a visibility timeout; `None` if it was not given.
pub(crate) fn visibility(given: Option<i64>) -> Result<Option<Duration>, ApiError> {
    seconds("VisibilityTimeout", given, MAX_VISIBILITY, "Must be >= 0 and <= 43200, if provided.")
}

/// The most digits of a `Number`, and its smallest and largest power of ten. Source: "Amazon SQS message attributes" in the
/// developer guide of SQS.
const MAX_DIGITS: usize = 38;
const LEAST_POWER: i64 = -128;
const LARGEST_POWER: i64 = 126;

/// Whether a text is a valid `Number`: decimal, with up to 38 digits besides leading and trailing zeros, from 10^-128 to
/// 10^126.
pub(crate) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (decimal, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((decimal, exponent)) => (decimal, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{whole}{fraction}");
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(&digits) || !exponent.is_none_or(|text| are_digits(text.strip_prefix(['+', '-']).unwrap_or(text))) {
        return false;
    }
    let significant = digits.trim_start_matches('0');
    let zeros_in_front = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return true;
    }
    // An exponent that does not fit into 64 bits is out of bounds for any digits.
    let Ok(exponent) = exponent.unwrap_or("0").parse::<i64>() else { return false };
    let place = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let power = exponent.saturating_add(place(whole.len())).saturating_sub(place(zeros_in_front)).saturating_sub(1);
    let is_largest = power == LARGEST_POWER && significant == "1";
    significant.len() <= MAX_DIGITS && ((LEAST_POWER..LARGEST_POWER).contains(&power) || is_largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_38_digits_and_is_between_its_bounds() {
        let digits = "1".repeat(38);
        let more = "1".repeat(39);
        let zeros = format!("{}1{}", "0".repeat(40), "0".repeat(40));
        for text in [
            "0", "-0", "0e999", "00.00", "1", "+1", "-1.5", "1.", ".5", "1e5", "1E+5", "-1e-128", "1e126", "10e125",
            "0.1e127", "9.9e125", &digits, &zeros,
        ] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "",
            " ",
            " 1",
            "1 ",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "--1",
            "1.2.3",
            "1e1.5",
            "0x10",
            "1_000",
            "NaN",
            "inf",
            "-inf",
            "infinity",
            "1e999",
            "1e127",
            "1.1e126",
            "-2e126",
            "9.9e-129",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "١",
            &more,
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
