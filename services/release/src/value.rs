//! Values with their bounds: what parses is valid, so nothing behind the edge checks again. Text is shared,
//! because an event and every state that copies it hold the same.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value that is text with a rule of its own, counted in characters. The pattern says the same rule to
/// readers of the OpenAPI document.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr, $pattern:expr, $what:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub const MIN_LEN: usize = $min;
            pub const MAX_LEN: usize = $max;
            pub const PATTERN: &'static str = $pattern;

            pub fn new(text: &str) -> Result<Self, InvalidValue> {
                let valid: fn(&str) -> bool = $valid;
                if (Self::MIN_LEN..=Self::MAX_LEN).contains(&text.chars().count()) && valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidValue($what))
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text(deserializer, Self::new)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::__dev::ComposeSchema for $name {
            fn compose(_: Vec<openapi::AnySchema>) -> openapi::AnySchema {
                openapi::text($what, Self::MIN_LEN, Self::MAX_LEN, Self::PATTERN)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

/// Reads a string without a copy of its own on the way to the value.
fn text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    new: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Reader<T, E>(fn(&str) -> Result<T, E>);

    impl<T, E: fmt::Display> de::Visitor<'_> for Reader<T, E> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<F: de::Error>(self, text: &str) -> Result<T, F> {
            (self.0)(text).map_err(F::custom)
        }
    }

    deserializer.deserialize_str(Reader(new))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub &'static str);

text_type!(
    /// The name of a product, an environment, a procedure or a target.
    Name, 1, 63, "^[a-z0-9][a-z0-9-]{0,62}$",
    "1 to 63 characters of a-z, 0-9 and -, not starting with -",
    |t| is_name(t)
);
text_type!(
    /// SHA-256 as 64 lower-case hexadecimal digits.
    Sha256Hex, 64, 64, "^[0-9a-f]{64}$",
    "64 lower-case hexadecimal digits (SHA-256)",
    |t| is_hex(t)
);
text_type!(
    /// What kind of content it is, without parameters.
    MediaType, 3, 127, "^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$",
    "a media type such as application/pdf, in lower case and without parameters",
    |t| t.split_once('/').is_some_and(|(of, sub)| is_media_name(of) && is_media_name(sub))
);
text_type!(
    /// What a file is called, without a path.
    FileName, 1, 255, "^[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+$",
    "1 to 255 characters without /, \\ and control characters",
    |t| !t.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'))
);
text_type!(
    /// A person's name as it is printed: no control characters, and none that turn the direction of the text.
    PersonName, 1, 200, "^[^ \\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]([^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*[^ \\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069])?$",
    "1 to 200 characters, no space first or last, and none that are control characters or turn the text",
    |t| !t.starts_with(' ') && !t.ends_with(' ')
        && !t.chars().any(|c| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
);
text_type!(
    /// A Git object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    GitSha, 40, 64, "^([0-9a-f]{40}|[0-9a-f]{64})$",
    "40 or 64 lower-case hexadecimal digits (Git object id)",
    |t| (t.len() == 40 || t.len() == 64) && is_hex(t)
);
text_type!(
    /// A digest with its algorithm, as registries write it.
    Digest, 71, 71, "^sha256:[0-9a-f]{64}$",
    "sha256: and 64 lower-case hexadecimal digits",
    |t| t.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_hex(hex))
);
text_type!(
    /// An absolute http or https URL.
    Link, 8, 2048, "^https?://[^/\\s\\u0000-\\u0020\\u007f][^\\s\\u0000-\\u0020\\u007f]*$",
    "an http or https URL of at most 2048 characters without spaces",
    |t| {
        let rest = t.strip_prefix("https://").or_else(|| t.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && t.bytes().all(|b| b > b' ' && b != 127)
    }
);
text_type!(
    /// A semantic version without pre-release or build part.
    Version, 5, 32, "^(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})$",
    "a version X.Y.Z without pre-release or build part",
    |t| semver::Version::parse(t).is_ok_and(|v| {
        v.pre.is_empty() && v.build.is_empty() && v.major.max(v.minor).max(v.patch) < 1_000_000_000
    })
);
text_type!(
    /// The tag of a release candidate.
    CandidateTag, 11, 48, "^v(0|[1-9][0-9]{0,8})(\\.(0|[1-9][0-9]{0,8})){2}-rc\\.[1-9][0-9]{0,5}$",
    "a release candidate tag vX.Y.Z-rc.N with N from 1",
    |t| candidate_number(t).is_some()
);
text_type!(
    /// A person or machine: issuer and subject as one id.
    ActorId, 3, 600, "^[^#\\u0000-\\u001f\\u007f-\\u009f]+#[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    "issuer, # and subject, at most 600 characters",
    |t| t.split_once('#').is_some_and(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
        && !t.chars().any(char::is_control)
);

text_type!(
    /// A release, named by what makes it unique: product, hyphen, version.
    ReleaseId, 7, 96, "^[a-z0-9][a-z0-9-]{0,62}-(0|[1-9][0-9]{0,8})(\\.(0|[1-9][0-9]{0,8})){2}$",
    "a product's name, - and a version X.Y.Z",
    |t| t.rsplit_once('-').is_some_and(|(product, version)| {
        Name::new(product).is_ok() && Version::new(version).is_ok()
    })
);
text_type!(
    /// What a provider knows a commit author by: an account id, or the keyed hash of an e-mail address.
    /// Neither a name nor an address fits in.
    AuthorKey, 3, 97, "^([a-z][a-z0-9-]{0,31}:[0-9a-f][0-9a-f-]{0,63})$",
    "a provider, : and an account id or a keyed hash in digits, a-f and -",
    |t| t.split_once(':').is_some_and(|(provider, id)| {
        provider.starts_with(|c: char| c.is_ascii_lowercase()) && provider.len() <= 32 && is_name(provider)
            && (1..=64).contains(&id.len()) && !id.starts_with('-')
            && id.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
);

text_type!(
    /// A public key of the log, as C2SP signed notes write verifier keys.
    VerifierKey, 55, 309, "^[^+]{1,255}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/=]{44}$",
    "a verifier key: name, + and 8 digits of a-f and 0-9, + and 44 characters of base64",
    |t| t.split_once('+').and_then(|(_, rest)| rest.split_once('+')).is_some_and(|(id, key)| {
        KeyId::new(id).is_ok() && key.len() == 44
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    })
);

text_type!(
    /// The name of a log in its checkpoints and keys: a URL without its scheme.
    Origin, 1, 255, "^[^+\\s\\u0000-\\u001f\\u007f-\\u009f]{1,255}$",
    "1 to 255 bytes without spaces, control characters and plus",
    |t| t.len() <= 255 && !t.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
);

text_type!(
    /// What tells the keys of a log apart: the id in a verifier key.
    KeyId, 8, 8, "^[0-9a-f]{8}$",
    "8 digits of a-f and 0-9",
    |t| t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

impl VerifierKey {
    pub fn id(&self) -> Option<KeyId> {
        KeyId::new(self.as_str().split('+').nth(1)?).ok()
    }
}

impl Version {
    pub fn semver(&self) -> semver::Version {
        // What `new` accepted parses; the fallback only keeps this free of a panic.
        semver::Version::parse(&self.0).unwrap_or(semver::Version::new(0, 0, 0))
    }
}

impl ReleaseId {
    pub fn of(product: &Name, version: &Version) -> Self {
        Self(format!("{product}-{version}").into())
    }

    pub fn product(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(product, _)| product)
    }

    pub fn version(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(_, version)| version)
    }
}

impl CandidateTag {
    pub fn of(version: &Version, number: u32) -> Self {
        Self(format!("v{version}-rc.{number}").into())
    }

    pub fn number(&self) -> u32 {
        candidate_number(&self.0).unwrap_or(0)
    }

    pub fn version(&self) -> &str {
        self.0.trim_start_matches('v').split('-').next().unwrap_or_default()
    }
}

/// The number of a checklist item: step, dot, place in the step; ordered as people read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemNumber {
    step: u16,
    place: u16,
}

impl ItemNumber {
    pub const PATTERN: &'static str = "^[1-9][0-9]{0,2}\\.[1-9][0-9]{0,2}$";

    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        let part = |digits: &str| {
            let plain = (1..=3).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(step, place)| Some(Self { step: part(step)?, place: part(place)? }))
            .ok_or(InvalidValue("an item number such as 2.2"))
    }

    pub fn step(self) -> u32 {
        self.step.into()
    }

    pub fn place(self) -> u32 {
        self.place.into()
    }
}

impl FromStr for ItemNumber {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl fmt::Display for ItemNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step, self.place)
    }
}

impl fmt::Debug for ItemNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ItemNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, Self::new)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::__dev::ComposeSchema for ItemNumber {
    fn compose(_: Vec<openapi::AnySchema>) -> openapi::AnySchema {
        openapi::text("The number of a checklist item, such as 2.2", 3, 7, Self::PATTERN)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ItemNumber {}

impl Name {
    pub fn default_target() -> Self {
        Self("default".into())
    }

    pub fn staging() -> Self {
        Self("staging".into())
    }

    pub fn production() -> Self {
        Self("production".into())
    }

    /// The built-in procedure.
    pub fn product_release() -> Self {
        Self("product-release".into())
    }

    /// The built-in control mapping.
    pub fn common_frameworks() -> Self {
        Self("common-frameworks".into())
    }
}

/// Free text a person wrote: trimmed, not empty, no control characters but newline and tab. It is
/// recorded for ever.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(Arc<str>);

/// One line: a title, a key, a label.
pub type Line = Text<200>;
/// A reason, a statement, a comment.
pub type Prose = Text<4000>;

impl<const MAX: usize> Text<MAX> {
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        let forbidden = |c: char| c.is_control() && c != '\n' && c != '\t';
        let length = text.chars().count();
        if length == 0 || length > MAX || text.contains(forbidden) {
            return Err(InvalidText(MAX));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to {0} characters, without control characters other than newline and tab")]
pub struct InvalidText(pub usize);

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, Self::new)
    }
}

/// Something to see in it, and no control character but newline and tab.
#[cfg(feature = "openapi")]
const TEXT_PATTERN: &str = "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$";

#[cfg(feature = "openapi")]
impl<const MAX: usize> utoipa::__dev::ComposeSchema for Text<MAX> {
    fn compose(_: Vec<openapi::AnySchema>) -> openapi::AnySchema {
        let what = format!("1 to {MAX} characters, without control characters other than newline and tab");
        openapi::text(&what, 1, MAX, TEXT_PATTERN)
    }
}

#[cfg(feature = "openapi")]
impl<const MAX: usize> utoipa::ToSchema for Text<MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        match MAX {
            200 => "Line".into(),
            4000 => "Prose".into(),
            other => format!("Text{other}").into(),
        }
    }
}

/// A list of at most `MAX` entries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    pub fn new(entries: Vec<T>) -> Result<Self, InvalidList> {
        if entries.len() > MAX { Err(InvalidList(MAX)) } else { Ok(Self(entries)) }
    }

    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {0} entries")]
pub struct InvalidList(pub usize);

impl<T, const MAX: usize> std::ops::Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded<T, const MAX: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> de::Visitor<'de> for Bounded<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} entries")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    if entries.len() == MAX {
                        return Err(de::Error::custom(InvalidList(MAX)));
                    }
                    entries.push(entry);
                }
                Ok(List(entries))
            }
        }
        deserializer.deserialize_seq(Bounded(std::marker::PhantomData))
    }
}

#[cfg(feature = "openapi")]
impl<T: utoipa::ToSchema, const MAX: usize> utoipa::__dev::ComposeSchema for List<T, MAX> {
    fn compose(_: Vec<openapi::AnySchema>) -> openapi::AnySchema {
        let entry = utoipa::openapi::Ref::from_schema_name(T::name());
        utoipa::openapi::ArrayBuilder::new().items(entry).max_items(Some(MAX)).build().into()
    }
}

/// Lists of types that have a schema of their own; a list of UUIDs says so where it is used.
#[cfg(feature = "openapi")]
impl<T: utoipa::ToSchema, const MAX: usize> utoipa::ToSchema for List<T, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}List{MAX}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, openapi::AnySchema)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[cfg(feature = "openapi")]
pub mod openapi {
    use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

    pub type AnySchema = RefOr<Schema>;

    pub fn text(what: &str, min: usize, max: usize, pattern: &str) -> AnySchema {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(what))
            .min_length(Some(min))
            .max_length(Some(max))
            .pattern(Some(pattern))
            .build()
            .into()
    }
}

fn is_name(text: &str) -> bool {
    !text.starts_with('-') && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// One of the two names in a media type (RFC 6838, 4.2).
fn is_media_name(text: &str) -> bool {
    let more = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&^_.+-".contains(&b);
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(more)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn candidate_number(tag: &str) -> Option<u32> {
    let (version, number) = tag.strip_prefix('v')?.split_once("-rc.")?;
    Version::new(version).ok()?;
    let plain = !number.starts_with('0') && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| number.parse().ok()).flatten().filter(|n| *n >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_tag_names_its_version_and_number() {
        let tag = CandidateTag::new("v2.4.0-rc.12").unwrap();
        assert_eq!((tag.version(), tag.number()), ("2.4.0", 12));
        for wrong in ["2.4.0-rc.1", "v2.4-rc.1", "v2.4.0-rc.0", "v2.4.0-rc.01", "v2.4.0-rc.", "v02.4.0-rc.1"]
        {
            assert!(CandidateTag::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_release_is_named_by_product_and_version() {
        let id = ReleaseId::of(&Name::new("check-out").unwrap(), &Version::new("2.4.0").unwrap());
        assert_eq!((id.as_str(), id.product(), id.version()), ("check-out-2.4.0", "check-out", "2.4.0"));
        for wrong in ["checkout", "checkout-2.4", "-2.4.0", "checkout-2.4.0-rc.1", "Checkout-2.4.0"] {
            assert!(ReleaseId::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_author_key_has_no_room_for_a_name_or_an_address() {
        let hash = format!("hmac-sha256:{}", "a".repeat(64));
        let uuid = "azure:0b2f3c5e-94d2-4c1a-8c43-0f6b3cf2a001";
        for right in ["github:583231", uuid, hash.as_str()] {
            assert!(AuthorKey::new(right).is_ok(), "{right}");
        }
        for wrong in ["583231", "github:octocat", "mailto:eve@example.org", "github:", ":1", "GitHub:1"] {
            assert!(AuthorKey::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_verifier_key_has_a_name_an_id_and_a_key() {
        let right = "shiplog.example/log+aec90c73+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
        assert_eq!(VerifierKey::new(right).unwrap().id().unwrap().as_str(), "aec90c73");
        for wrong in [&right[1..right.len() - 1], "log", &right.replace("+a", "+G"), &right.replace('/', "")]
        {
            assert!(VerifierKey::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_item_number_has_a_step_and_a_place() {
        let number = ItemNumber::new("2.10").unwrap();
        assert_eq!((number.step(), number.place()), (2, 10));
        for wrong in ["2", "2.", ".2", "0.1", "1.0", "02.1", "1.2.3", "a.b"] {
            assert!(ItemNumber::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_is_trimmed_bounded_and_free_of_control_characters() {
        assert_eq!(Line::new("  late fix \n").unwrap().as_str(), "late fix");
        assert!(Line::new(" \t ").is_err());
        assert!(Line::new("a\u{0}b").is_err());
        assert!(Line::new(&"x".repeat(201)).is_err());
        assert!(Line::new(&"é".repeat(200)).is_ok());
    }

    #[test]
    fn a_list_refuses_one_entry_too_many() {
        assert!(serde_json::from_str::<List<u32, 2>>("[1,2]").is_ok());
        let refused = serde_json::from_str::<List<u32, 2>>("[1,2,3]").unwrap_err().to_string();
        assert!(refused.starts_with("at most 2 entries at line 1"), "{refused}");
    }

    #[test]
    fn names_links_versions_and_digests_keep_their_rules() {
        assert!(Name::new("checkout-api").is_ok());
        for wrong in ["", "-x", "Checkout", "a.b", "a_b"] {
            assert!(Name::new(wrong).is_err(), "{wrong}");
        }
        assert!(Link::new("https://ci.example/run/1?x=y").is_ok());
        for wrong in ["ftp://x", "https://", "https:///x", "http://a b", "javascript:alert(1)"] {
            assert!(Link::new(wrong).is_err(), "{wrong}");
        }
        assert!(Version::new("2.4.0").is_ok());
        for wrong in ["2.4", "2.4.0-rc.1", "2.4.0+b", "02.4.0", "1.2.9999999999"] {
            assert!(Version::new(wrong).is_err(), "{wrong}");
        }
        assert!(GitSha::new(&"a".repeat(40)).is_ok() && GitSha::new(&"a".repeat(41)).is_err());
        assert!(Digest::new(&format!("sha256:{}", "0".repeat(64))).is_ok());
    }
}
