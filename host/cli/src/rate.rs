//! A rate on the command line: `10/s`, `600/m`, `5000/h`.

use std::fmt;
use std::str::FromStr;

/// A count per second, minute or hour, above 0.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    count: f64,
    unit: char,
}

impl Rate {
    /// The rate per second.
    pub fn per_second(self) -> f64 {
        self.count
            / match self.unit {
                'm' => 60.0,
                'h' => 3600.0,
                _ => 1.0,
            }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || format!("{text:?} is not a rate such as 10/s, 600/m or 5000/h");
        let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
        let count: f64 = count.trim().parse().map_err(|_| wrong())?;
        let unit = match unit.trim() {
            "s" => 's',
            "m" => 'm',
            "h" => 'h',
            _ => return Err(wrong()),
        };
        if count.is_finite() && count > 0.0 { Ok(Rate { count, unit }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for (text, per_second) in [("10/s", 10.0), ("10", 10.0), ("600/m", 10.0), ("1800/h", 0.5), ("0.5/s", 0.5)] {
            assert_eq!(text.parse::<Rate>().expect(text).per_second(), per_second);
        }
        for wrong in ["", "fast", "0/s", "-1/s", "10/d", "inf/s", "NaN", "10/month", "10/", "10/s/m"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
