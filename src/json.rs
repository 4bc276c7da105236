//! Reading JSON of strangers. Derived readers take an array for a struct, its elements for the members in order, and
//! skip over members that are not even text; other parsers do neither, so both are refused here.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Reads a whole text that must be an object.
pub fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
    let text = std::str::from_utf8(text).map_err(serde_json::Error::custom)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = member(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a member that must be an object; for `deserialize_with`.
pub fn member<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    reader.deserialize_map(Object(PhantomData))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        x: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        #[serde(deserialize_with = "member")]
        inner: Inner,
    }

    #[test]
    fn only_objects_of_text_are_taken() {
        assert_eq!(object::<Outer>(br#"{"inner":{"x":1},"more":[1]}"#).unwrap(), Outer { inner: Inner { x: 1 } });
        for wrong in [
            &br#"[{"x":1}]"#[..],
            br#"{"inner":[1]}"#,
            br#"{"inner":{"x":1}} x"#,
            br#"{"inner":{"x":1},"inner":{"x":1}}"#,
            b"{\"inner\":{\"x\":1},\"more\":\"\xff\"}",
            b"",
            b"null",
            b"1",
        ] {
            assert!(object::<Outer>(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
