//! The compact form taken apart: base64url, strict JSON, typed access to header and claims.
//!
//! Nothing in here decides who is believed; it only makes sure that there is one reading of the bytes.

use std::cell::Cell;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::AuthError;

/// The largest token that is looked at.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest subject, key id and other identifier that is accepted.
const MAX_IDENTIFIER_CHARS: usize = 255;

/// A token whose signature has not been checked.
#[derive(Debug)]
pub(super) struct Unverified<'t> {
    /// What the signature covers: header and claims as they were sent.
    pub message: &'t str,
    pub signature: &'t str,
    pub header: Object,
    pub claims: Object,
}

/// Refuses what cannot be a token before any work is spent on it.
pub(super) fn check_size(token: &str) -> Result<(), AuthError> {
    match token.len() {
        0 => Err(AuthError::TokenMissing),
        length if length > MAX_TOKEN_BYTES => Err(AuthError::TokenTooLarge),
        _ => Ok(()),
    }
}

pub(super) fn parse(token: &str) -> Result<Unverified<'_>, AuthError> {
    check_size(token)?;
    let (message, signature) = token.rsplit_once('.').ok_or(AuthError::Malformed)?;
    // A further dot, as in an encrypted token's five parts, is no base64url and is refused when the claims are decoded.
    let (header, claims) = message.split_once('.').ok_or(AuthError::Malformed)?;
    Ok(Unverified { message, signature, header: Object::decode(header)?, claims: Object::decode(claims)? })
}

/// A JSON object in which every member, at any depth, is named once.
#[derive(Debug)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    fn decode(part: &str) -> Result<Self, AuthError> {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed)?;
        match parse_strictly(&bytes)? {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(AuthError::Malformed),
        }
    }

    /// A member by name, or by JSON pointer when the name begins with `/` (`/realm_access/roles`).
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else { return self.0.get(name) };
        let mut segments = path.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~"));
        let first = self.0.get(&segments.next()?)?;
        segments.try_fold(first, |value, segment| value.get(&segment))
    }

    pub fn required(&self, name: &str) -> Result<&Value, AuthError> {
        self.get(name).ok_or_else(|| AuthError::missing(name))
    }

    pub fn text(&self, name: &str) -> Result<&str, AuthError> {
        self.required(name)?.as_str().ok_or_else(|| AuthError::invalid(name))
    }

    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, AuthError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| AuthError::invalid(name))).transpose()
    }

    /// A text that may become part of an identity or of a log line: 1 to 255 printable ASCII characters.
    pub fn identifier(&self, name: &str) -> Result<&str, AuthError> {
        Some(self.text(name)?).filter(|text| is_identifier(text)).ok_or_else(|| AuthError::invalid(name))
    }

    pub fn optional_identifier(&self, name: &str) -> Result<Option<&str>, AuthError> {
        self.get(name).map(|_| self.identifier(name)).transpose()
    }

    pub fn time(&self, name: &str) -> Result<Timestamp, AuthError> {
        seconds(self.required(name)?).ok_or_else(|| AuthError::invalid(name))
    }

    pub fn optional_time(&self, name: &str) -> Result<Option<Timestamp>, AuthError> {
        self.get(name).map(|_| self.time(name)).transpose()
    }

    /// An array of strings; a missing one is empty.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, AuthError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                values.iter().map(|value| value.as_str().ok_or_else(|| AuthError::invalid(name))).collect()
            }
            Some(_) => Err(AuthError::invalid(name)),
        }
    }
}

pub(super) fn is_identifier(text: &str) -> bool {
    (1..=MAX_IDENTIFIER_CHARS).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// A NumericDate: seconds since the epoch, whose fraction is dropped.
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = match value.as_i64() {
        Some(whole) => whole,
        // A float beyond i64 saturates and is then refused as outside the calendar.
        None => value.as_f64()?.floor() as i64,
    };
    Timestamp::from_second(whole).ok().filter(|time| *time >= Timestamp::UNIX_EPOCH)
}

/// Parsers differ in which of two equal names they keep, so an object that has two has no meaning here.
fn parse_strictly(bytes: &[u8]) -> Result<Value, AuthError> {
    let duplicate = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = UniqueMembers { duplicate: &duplicate }.deserialize(&mut deserializer);
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(_) if duplicate.get() => Err(AuthError::DuplicateMember),
        Err(_) => Err(AuthError::Malformed),
    }
}

#[derive(Clone, Copy)]
struct UniqueMembers<'a> {
    /// Set when a second member of one name ended the parse, so that it can be told from bad syntax.
    duplicate: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for UniqueMembers<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated member names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                self.duplicate.set(true);
                return Err(A::Error::custom("a member is named twice"));
            }
            members.insert(name, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Result<Object, AuthError> {
        Object::decode(&URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn given_every_kind_of_json_value_when_parsed_then_it_equals_the_plain_reading() {
        let json = r#"{"a":[1,-2,3.5,true,null,"é\n",{"b":{}}],"c":18446744073709551615}"#;
        assert_eq!(parse_strictly(json.as_bytes()), Ok(serde_json::from_str(json).unwrap()));
    }

    #[test]
    fn given_a_repeated_member_when_parsed_then_it_is_refused_at_any_depth() {
        let repeated = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"b":1,"b":2}]}"#,
            r#"{"x":{"y":{"b":1,"b":2}}}"#,
        ];
        for json in repeated {
            assert_eq!(object(json).unwrap_err(), AuthError::DuplicateMember, "{json}");
        }
        assert!(object(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn given_what_is_not_one_json_object_when_parsed_then_it_is_malformed() {
        for json in ["", "1", "[]", "null", "{}{}", "{} x", "{\"a\":}", "{\"a\":1,}", "\u{feff}{}"] {
            assert_eq!(object(json).unwrap_err(), AuthError::Malformed, "{json}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000));
        assert_eq!(object(&deep).unwrap_err(), AuthError::Malformed);
    }

    #[test]
    fn given_base64_of_another_alphabet_or_with_padding_or_spare_bits_when_decoded_then_it_is_malformed() {
        assert!(Object::decode("e30").is_ok());
        for part in ["e30=", "e31", "e3 0", "e3+0", "", "é"] {
            assert_eq!(Object::decode(part).unwrap_err(), AuthError::Malformed, "{part}");
        }
    }

    #[test]
    fn given_other_than_three_parts_when_parsed_then_it_is_malformed() {
        for token in ["e30", "e30.e30", "e30.e30.e30.e30", "a.b.c.d.e", ".", "..", "..."] {
            assert_eq!(parse(token).unwrap_err(), AuthError::Malformed, "{token}");
        }
        let parsed = parse("e30.e30.c2ln").unwrap();
        assert_eq!((parsed.message, parsed.signature), ("e30.e30", "c2ln"));
    }

    #[test]
    fn given_sizes_around_the_limit_when_checked_then_only_8_kib_and_less_pass() {
        assert_eq!(check_size(""), Err(AuthError::TokenMissing));
        assert_eq!(check_size(&"a".repeat(MAX_TOKEN_BYTES)), Ok(()));
        assert_eq!(check_size(&"a".repeat(MAX_TOKEN_BYTES + 1)), Err(AuthError::TokenTooLarge));
    }

    #[test]
    fn given_a_pointer_when_read_then_the_nested_member_is_found_and_dots_are_part_of_a_name() {
        let claims =
            object(r#"{"realm_access":{"roles":["qa"]},"https://a.b/roles":["dba"],"x/y":{"z~":1}}"#)
                .unwrap();
        assert_eq!(claims.texts("/realm_access/roles"), Ok(vec!["qa"]));
        assert_eq!(claims.texts("https://a.b/roles"), Ok(vec!["dba"]));
        assert_eq!(claims.get("/x~1y/z~0"), Some(&Value::from(1)));
        assert_eq!(claims.get("/realm_access/groups"), None);
    }

    #[test]
    fn given_numbers_when_read_as_times_then_only_instants_since_the_epoch_are_accepted() {
        let claims = object(
            r#"{"i":1000,"f":1000.9,"n":-1,"big":1e300,"max":9223372036854775807,"s":"1000","b":true,"z":null}"#,
        )
        .unwrap();
        let thousand = Timestamp::from_second(1_000).unwrap();
        assert_eq!((claims.time("i"), claims.time("f")), (Ok(thousand), Ok(thousand)));
        for name in ["n", "big", "max", "s", "b", "z"] {
            assert_eq!(claims.time(name), Err(AuthError::invalid(name)), "{name}");
        }
        assert_eq!(claims.time("none"), Err(AuthError::missing("none")));
    }

    #[test]
    fn given_texts_when_read_as_identifiers_then_only_printable_ascii_up_to_255_is_accepted() {
        assert!(is_identifier("a b") && is_identifier(&"x".repeat(255)));
        assert!(!is_identifier("") && !is_identifier(&"x".repeat(256)));
        assert!(!is_identifier("a\nb") && !is_identifier("a\u{7f}") && !is_identifier("аdmin"));
    }
}
