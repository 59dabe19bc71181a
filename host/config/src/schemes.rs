//! The names of the schemes that a route's `verify` takes.

use serde::de::value::Error;
use serde::de::{Deserialize as _, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use crate::shape::Verify;

/// The schemes of a route's `verify`, in the order of the config's own type: a list by hand would fall behind it.
pub fn verification_schemes() -> &'static [&'static str] {
    let mut names = Names(&[]);
    // Always an error: the names are all that is wanted.
    drop(Verify::deserialize(&mut names));
    names.0
}

/// Keeps the names of the variants that an enum asks for.
struct Names(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Names {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not an enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = variants;
        Err(Error::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemes_are_those_that_an_unknown_one_is_answered_with() {
        let unknown = Verify::deserialize(serde_json::json!({ "nosuch": {} })).expect_err("unknown").to_string();
        let named: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(verification_schemes(), named, "{unknown}");
        assert!(named.contains(&"github"), "{unknown}");
    }
}
