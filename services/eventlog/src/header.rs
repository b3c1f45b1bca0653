//! `H` of a leaf: what is known of an event apart from its data, as JSON whose exact bytes are
//! stored and hashed. Position is not in it: it is bound by being the leaf index.
//!
//! Headers are read strictly, because two readers that understand the same hashed bytes differently
//! would both have a valid proof: see [`Header::parse`].

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Revision, StreamId};

/// The domain separator of a leaf; the leaf of an event is this, then the header's length as a
/// big-endian `u32`, then the header's bytes.
pub const LEAF_PREFIX: &[u8] = b"shiplog.leaf.v1\n";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    #[serde(deserialize_with = "strict::as_written")]
    pub id: Uuid,
    pub stream: StreamId,
    pub revision: Revision,
    /// Subject, dot, past verb: `item.attested`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Shape number of the event type's data.
    pub schema: u32,
    /// When the server recorded it: never earlier than the stream's event before it.
    #[serde(deserialize_with = "strict::as_written")]
    pub recorded_at: Timestamp,
    /// When it happened, as its source says.
    #[serde(deserialize_with = "strict::as_written")]
    pub occurred_at: Timestamp,
    #[serde(deserialize_with = "strict::object")]
    pub actor: Actor,
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present_object")]
    pub auth: Option<Auth>,
    #[serde(deserialize_with = "strict::object")]
    pub request: Request,
    /// The event that made this one necessary, in this or another stream.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "strict::present_as_written"
    )]
    pub causation: Option<Uuid>,
    /// Shared by everything one outside request caused.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub correlation: Option<String>,
    /// W3C trace id, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub trace: Option<String>,
    #[serde(deserialize_with = "strict::object")]
    pub data: DataRef,
}

/// The bytes are not a header that [`Header::to_bytes`] could have meant.
#[derive(Debug, thiserror::Error)]
#[error("not a valid event header: {0}")]
pub struct InvalidHeader(#[from] serde_json::Error);

impl Header {
    /// Reads stored header bytes. Refuses what a lenient reader could understand in another way: a
    /// duplicate key, an unknown field, a float where an integer belongs, `null` for an absent field,
    /// an array in place of an object, and anything after the closing brace.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidHeader> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let header = strict::object(&mut json)?;
        json.end()?;
        Ok(header)
    }

    /// The bytes to store and hash. They are made once, when the event is created; what is stored is
    /// never written again from a parsed header.
    #[expect(clippy::expect_used, reason = "strings, integers and lists of them always have a JSON form")]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(1024);
        serde_json::to_writer(&mut bytes, self).expect("a header is plain JSON");
        bytes.into()
    }
}

/// The event type in stored header bytes, for whoever reads every event and needs few of them; `None` for one
/// that JSON has to escape. Nothing that stands before the type can hold a quotation mark, so the first match
/// is the member itself.
pub fn event_type(header: &[u8]) -> Option<&str> {
    const MEMBER: &[u8] = b",\"type\":\"";
    let begin = header.windows(MEMBER.len()).position(|window| window == MEMBER)? + MEMBER.len();
    let rest = header.get(begin..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    (!text.contains('\\')).then_some(text)
}

/// The schema number in stored header bytes, as [`event_type`] reads the type.
pub fn event_schema(header: &[u8]) -> Option<u32> {
    const MEMBER: &[u8] = b"\",\"schema\":";
    let begin = header.windows(MEMBER.len()).position(|window| window == MEMBER)? + MEMBER.len();
    let digits = header.get(begin..)?.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Who did it: issuer and subject as one id, never a name or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// `{issuer}#{subject}`.
    pub id: String,
    /// `person`, `machine` or `system`.
    pub kind: String,
    pub roles: Vec<String>,
    /// The principal that acted on the actor's behalf, when a token was delegated.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub via: Option<String>,
}

/// How the actor was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub issuer: String,
    pub kid: String,
    /// SHA-256 of the token's `jti`, so that a credential can be recognised but not reused.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub jti_sha256: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub amr: Vec<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "strict::present_as_written"
    )]
    pub auth_time: Option<Timestamp>,
}

/// The request that caused the event; all events of one command carry the same, but for `index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The OpenAPI operation id, or the reactor's rule.
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub idempotency_key: Option<String>,
    /// SHA-256 over operation, path and parsed command.
    pub fingerprint: String,
    /// Which of the command's events this is, from 0.
    pub index: u32,
    /// How many events the command appended.
    pub count: u32,
    /// Which command of a batch decided it, from 0; absent when the request was one command.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "strict::present")]
    pub entry: Option<u32>,
}

/// Binds the data bytes that stand beside the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRef {
    pub length: u64,
    /// SHA-256 of the exact stored data bytes, lower-case hex.
    pub sha256: String,
}

impl DataRef {
    pub fn of(data: &[u8]) -> Self {
        Self { length: data.len() as u64, sha256: hex(&Sha256::digest(data)) }
    }
}

/// The bytes that are hashed into the tree for an event with this header.
pub fn leaf(header: &[u8]) -> Vec<u8> {
    let mut leaf = Vec::with_capacity(LEAF_PREFIX.len() + 4 + header.len());
    leaf.extend_from_slice(LEAF_PREFIX);
    leaf.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes());
    leaf.extend_from_slice(header);
    leaf
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    let mut text = Vec::with_capacity(bytes.len() * 2);
    text.extend(digits);
    // Digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// What serde's derived readers let pass and a header must not contain.
pub(crate) mod strict {
    use std::fmt::{self, Display, Write};
    use std::marker::PhantomData;
    use std::str::FromStr;

    use serde::de::Error;

    use super::{Deserialize, Deserializer, Visitor};

    /// A value that must be there when its key is: `null` is not another way to leave a field out.
    pub(super) fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        T::deserialize(from).map(Some)
    }

    /// An id or a time, which its type reads in several spellings, in the one that it is written in.
    pub(super) fn as_written<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display> + Display,
    {
        from.deserialize_str(Written(PhantomData))
    }

    pub(super) fn present_as_written<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display> + Display,
    {
        as_written(from).map(Some)
    }

    struct Written<T>(PhantomData<T>);

    impl<T: FromStr<Err: Display> + Display> Visitor<'_> for Written<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            let value: T = text.parse().map_err(E::custom)?;
            let mut rest = Rest(text);
            let same = write!(rest, "{value}").is_ok() && rest.0.is_empty();
            if same {
                Ok(value)
            } else {
                Err(E::custom(format_args!("`{text}` is another spelling of {value}")))
            }
        }
    }

    /// What is left of a text after what was written to it; an error when that is something else.
    struct Rest<'a>(&'a str);

    impl Write for Rest<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    /// A struct that must be written as a JSON object.
    pub(crate) fn object<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        T::deserialize(ObjectOnly(from))
    }

    pub(super) fn present_object<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        object(from).map(Some)
    }

    /// Asks for a map where a derived reader asks for a struct, because a struct may also be read
    /// from an array of its fields.
    struct ObjectOnly<D>(D);

    impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
        type Error = D::Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.deserialize_map(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
            unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    /// The one header whose bytes are fixed for ever: if this test fails, old logs no longer verify.
    const GOLDEN: &str = concat!(
        r#"{"id":"0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01","stream":"release-default.checkout-2.4.0","#,
        r#""revision":7,"type":"item.attested","schema":1,"recorded_at":"2026-03-01T09:30:00.123456789Z","#,
        r#""occurred_at":"2026-03-01T09:29:58Z","actor":{"id":"https://id.example#4711","kind":"person","#,
        r#""roles":["release_manager","dba"]},"auth":{"issuer":"https://id.example","kid":"k1","#,
        r#""jti_sha256":"00ff","amr":["mfa"],"auth_time":"2026-03-01T09:00:00Z"},"#,
        r#""request":{"operation":"attest_item","idempotency_key":"a-1","fingerprint":"ab12","index":0,"#,
        r#""count":2},"causation":"0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f00","correlation":"c-9","#,
        r#""trace":"4bf92f3577b34da6a3ce929d0e0e4736","data":{"length":2,"#,
        r#""sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}"#
    );

    fn golden() -> Header {
        Header {
            id: "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01".parse().unwrap(),
            stream: StreamId::new("release-default.checkout-2.4.0").unwrap(),
            revision: Revision(7),
            event_type: "item.attested".into(),
            schema: 1,
            recorded_at: "2026-03-01T09:30:00.123456789Z".parse().unwrap(),
            occurred_at: "2026-03-01T09:29:58Z".parse().unwrap(),
            actor: Actor {
                id: "https://id.example#4711".into(),
                kind: "person".into(),
                roles: vec!["release_manager".into(), "dba".into()],
                via: None,
            },
            auth: Some(Auth {
                issuer: "https://id.example".into(),
                kid: "k1".into(),
                jti_sha256: Some("00ff".into()),
                amr: vec!["mfa".into()],
                auth_time: Some("2026-03-01T09:00:00Z".parse().unwrap()),
            }),
            request: Request {
                operation: "attest_item".into(),
                idempotency_key: Some("a-1".into()),
                fingerprint: "ab12".into(),
                index: 0,
                count: 2,
                entry: None,
            },
            causation: Some("0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f00".parse().unwrap()),
            correlation: Some("c-9".into()),
            trace: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            data: DataRef::of(b"{}"),
        }
    }

    /// The single place that says how a refused document is checked.
    fn refused(document: &str, because: &str) {
        assert!(Header::parse(GOLDEN.as_bytes()).is_ok(), "the document it is derived from is valid");
        assert_ne!(document, GOLDEN, "the document was changed");
        let error = Header::parse(document.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(because), "expected {because:?} in {error:?}");
    }

    #[test]
    fn the_golden_header_is_written_byte_for_byte() {
        assert_eq!(golden().to_bytes(), GOLDEN.as_bytes());
    }

    #[test]
    fn the_golden_header_is_read() {
        assert_eq!(Header::parse(GOLDEN.as_bytes()).unwrap(), golden());
    }

    #[test]
    fn the_golden_leaf_is_prefix_length_and_header() {
        let leaf = leaf(GOLDEN.as_bytes());
        let mut expected = b"shiplog.leaf.v1\n".to_vec();
        expected.extend_from_slice(&[0, 0, 2, 0xe5]);
        expected.extend_from_slice(GOLDEN.as_bytes());
        assert_eq!(leaf, expected);
        assert_eq!(
            hex(&Sha256::digest(&leaf)),
            "cd851a3a4fc431dad3be6011773f7424d93ea17651af23b08afa383efedfce0d"
        );
    }

    #[test]
    fn an_event_of_a_batch_says_which_command_decided_it_after_everything_else() {
        let mut header = golden();
        header.request.entry = Some(3);
        let written = GOLDEN.replacen(r#""count":2}"#, r#""count":2,"entry":3}"#, 1);
        assert_eq!(header.to_bytes(), written.as_bytes());
        assert_eq!(Header::parse(written.as_bytes()).unwrap(), header);
        refused(&written.replacen(r#""entry":3"#, r#""entry":null"#, 1), "null");
    }

    #[test]
    fn absent_fields_are_left_out() {
        let mut header = golden();
        (header.auth, header.causation, header.correlation, header.trace) = (None, None, None, None);
        header.request.idempotency_key = None;
        let written = String::from_utf8(header.to_bytes().to_vec()).unwrap();
        assert!(!written.contains("null"), "{written}");
        assert_eq!(Header::parse(written.as_bytes()).unwrap(), header);
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        refused(&GOLDEN.replacen(r#""schema":1"#, r#""schema":1,"schema":1"#, 1), "duplicate field `schema`");
    }

    #[test]
    fn a_duplicate_key_in_an_inner_object_is_refused() {
        refused(&GOLDEN.replacen(r#""kid":"k1""#, r#""kid":"k1","kid":"k2""#, 1), "duplicate field `kid`");
    }

    #[test]
    fn a_duplicate_key_written_with_an_escape_is_refused() {
        let escaped = GOLDEN.replacen(r#""schema":1"#, r#""schema":1,"sch\u0065ma":2"#, 1);
        refused(&escaped, "duplicate field `schema`");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        refused(&GOLDEN.replacen('{', r#"{"note":"x","#, 1), "unknown field `note`");
    }

    #[test]
    fn an_unknown_field_in_an_inner_object_is_refused() {
        let changed = GOLDEN.replacen(r#""data":{"#, r#""data":{"md5":"x","#, 1);
        refused(&changed, "unknown field `md5`");
    }

    #[test]
    fn a_missing_field_is_refused() {
        refused(&GOLDEN.replacen(r#""schema":1,"#, "", 1), "missing field `schema`");
    }

    #[test]
    fn floats_are_refused() {
        refused(&GOLDEN.replacen(r#""revision":7"#, r#""revision":7.0"#, 1), "floating point");
        refused(&GOLDEN.replacen(r#""revision":7"#, r#""revision":7e0"#, 1), "floating point");
        refused(&GOLDEN.replacen(r#""length":2"#, r#""length":2.0"#, 1), "floating point");
        refused(&GOLDEN.replacen(r#""count":2"#, r#""count":18446744073709551616"#, 1), "floating point");
    }

    #[test]
    fn a_negative_number_is_refused() {
        refused(&GOLDEN.replacen(r#""revision":7"#, r#""revision":-7"#, 1), "integer `-7`");
    }

    #[test]
    fn null_is_not_another_way_to_leave_a_field_out() {
        refused(&GOLDEN.replacen(r#""correlation":"c-9""#, r#""correlation":null"#, 1), "null");
        let start = GOLDEN.find(r#""auth":{"#).unwrap();
        let end = start + GOLDEN[start..].find('}').unwrap() + 1;
        refused(&format!(r#"{}"auth":null{}"#, &GOLDEN[..start], &GOLDEN[end..]), "null");
    }

    #[test]
    fn another_spelling_of_an_id_or_a_time_is_refused() {
        let id = "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01";
        for other in [id.to_uppercase(), id.replace('-', ""), format!("urn:uuid:{id}"), format!("{{{id}}}")] {
            refused(&GOLDEN.replacen(id, &other, 1), "another spelling");
        }
        refused(&GOLDEN.replacen("5b6c7d8e9f00", "5B6C7D8E9F00", 1), "another spelling");
        let time = "2026-03-01T09:29:58Z";
        for other in [
            "2026-03-01t09:29:58z",
            "2026-03-01 09:29:58Z",
            "2026-03-01T10:29:58+01:00",
            "2026-03-01T09:29:58.0Z",
        ] {
            refused(&GOLDEN.replacen(time, other, 1), "another spelling");
        }
        refused(&GOLDEN.replacen("T09:00:00Z", "T09:00:00+00:00", 1), "another spelling");
    }

    #[test]
    fn an_array_in_place_of_an_object_is_refused() {
        refused(r#"["0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01","a",0]"#, "invalid type: sequence");
        let start = GOLDEN.find(r#"{"length""#).unwrap();
        refused(&format!(r#"{}[2,"44"]}}"#, &GOLDEN[..start]), "invalid type: sequence");
        let start = GOLDEN.find(r#"{"issuer""#).unwrap();
        let end = start + GOLDEN[start..].find('}').unwrap() + 1;
        refused(&format!(r#"{}["i","k"]{}"#, &GOLDEN[..start], &GOLDEN[end..]), "invalid type: sequence");
    }

    #[test]
    fn trailing_data_is_refused() {
        refused(&format!("{GOLDEN}{{}}"), "trailing characters");
        refused(&format!("{GOLDEN}\0"), "trailing characters");
        refused(&GOLDEN[..GOLDEN.len() - 1], "EOF");
    }

    #[test]
    fn an_invalid_stream_name_is_refused() {
        refused(&GOLDEN.replacen("release-default", "Release-default", 1), "stream name");
    }

    fn timestamps() -> impl Strategy<Value = Timestamp> {
        (-60_000_000_000i64..250_000_000_000, 0..1_000_000_000i32)
            .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
    }

    fn ids() -> impl Strategy<Value = Uuid> {
        any::<u128>().prop_map(Uuid::from_u128)
    }

    prop_compose! {
        fn auths()(
            issuer in ".{0,20}",
            kid in ".{0,8}",
            jti_sha256 in option::of("[0-9a-f]{64}"),
            amr in vec("[a-z]{1,5}", 0..3),
            auth_time in option::of(timestamps()),
        ) -> Auth {
            Auth { issuer, kid, jti_sha256, amr, auth_time }
        }
    }

    prop_compose! {
        fn headers()(
            (id, revision, schema) in (ids(), any::<u64>(), any::<u32>()),
            stream in "[a-z][a-z0-9.-]{0,60}",
            event_type in ".{0,20}",
            (recorded_at, occurred_at) in (timestamps(), timestamps()),
            (actor, kind, roles, via) in (".{0,30}", "[a-z]{1,8}", vec(".{0,8}", 0..4), option::of(".{0,20}")),
            auth in option::of(auths()),
            (operation, key) in (".{0,20}", option::of(".{0,20}")),
            (index, count, entry) in any::<(u32, u32, Option<u32>)>(),
            (causation, correlation) in (option::of(ids()), option::of(".{0,20}")),
            trace in option::of("[0-9a-f]{32}"),
            data in vec(any::<u8>(), 0..64),
        ) -> Header {
            Header {
                id,
                stream: StreamId::new(&stream).unwrap(),
                revision: Revision(revision),
                event_type,
                schema,
                recorded_at,
                occurred_at,
                actor: Actor { id: actor, kind, roles, via },
                auth,
                request: Request {
                    operation,
                    idempotency_key: key,
                    fingerprint: hex(&data),
                    index,
                    count,
                    entry,
                },
                causation,
                correlation,
                trace,
                data: DataRef::of(&data),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(header in headers()) {
            let bytes = header.to_bytes();
            let read = Header::parse(&bytes).unwrap();
            prop_assert_eq!(&read, &header);
            let escaped = header.event_type.contains(|c: char| c == '"' || c == '\\' || c.is_control());
            let plain = Some(header.event_type.as_str()).filter(|_| !escaped);
            prop_assert!(event_type(&bytes) == plain || event_type(&bytes) == Some(header.event_type.as_str()));
            prop_assert_eq!(read.to_bytes(), bytes);
        }

        #[test]
        fn a_header_cut_short_is_refused(header in headers(), cut in any::<prop::sample::Index>()) {
            let bytes = header.to_bytes();
            prop_assert!(Header::parse(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in vec(any::<u8>(), 0..200)) {
            prop_assert!(Header::parse(&bytes).is_err());
        }
    }
}
