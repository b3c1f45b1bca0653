//! Signed notes of C2SP: text, and under it the signatures of named keys. What checkpoints are made of.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Largest note: 16 signatures of 5,000 bytes have room in it, more than the largest kind that is standardised.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;
/// Most signatures of one note; the specification asks for 16 at least.
pub const MAX_SIGNATURES: usize = 64;
/// Longest name of a key, and longest origin.
pub const MAX_NAME_BYTES: usize = 255;

const ED25519_BYTES: usize = 64;

/// What a key's signatures mean; its number is in the key's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 over the note's text.
    Ed25519,
    /// Ed25519 over the text and the time of a witness; C2SP tlog-cosignature.
    CosignatureV1,
}

impl Algorithm {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureV1].into_iter().find(|algorithm| algorithm.byte() == byte)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("a note has at most {MAX_NOTE_BYTES} bytes")]
    TooLong,
    #[error("a note is UTF-8 without control characters")]
    Characters,
    #[error("a note is text, an empty line, and lines of signatures")]
    Shape,
    #[error("signature {0} is not `— name base64`")]
    Signature(usize),
    #[error("a note has at most {MAX_SIGNATURES} signatures")]
    Signatures,
    #[error("a known key's signature does not hold")]
    Forged,
    #[error("no known key signed the note")]
    Unsigned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key's name is 1 to {MAX_NAME_BYTES} bytes without spaces, control characters and plus")]
    Name,
    #[error("a public key is written `name+id+base64`")]
    Public,
    #[error("a private key is written `PRIVATE+KEY+name+id+base64`")]
    Private,
    #[error("the key's id is not what its name and bytes give")]
    Id,
    #[error("the key's algorithm is not known")]
    Algorithm,
    #[error("no key could be made")]
    Generate,
}

pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(allowed)
}

fn key_id(name: &str, algorithm: Algorithm, public: &[u8]) -> u32 {
    let mut sha256 = Sha256::new();
    sha256.update(name);
    sha256.update([b'\n', algorithm.byte()]);
    sha256.update(public);
    let hash: [u8; 32] = sha256.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// A public key under its name: `example.com/log+1a2b3c4d+AQ…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verifier {
    name: String,
    id: u32,
    algorithm: Algorithm,
    public: [u8; 32],
}

impl Verifier {
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, algorithm, &public), algorithm, public })
    }

    /// The same key under the same name, for signatures of another kind.
    #[must_use]
    pub fn with(&self, algorithm: Algorithm) -> Self {
        let id = key_id(&self.name, algorithm, &self.public);
        Self { id, algorithm, ..self.clone() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// The same key, whatever its name and what it signs.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it holds, and when it was made where the signature says so.
    fn holds(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let (time, message, bytes) = match self.algorithm {
            Algorithm::Ed25519 => (None, text.as_bytes().to_vec(), signature),
            Algorithm::CosignatureV1 => {
                let (time, bytes) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                if time > i64::MAX as u64 {
                    return None;
                }
                (Some(time), cosigned(time, text), bytes)
            }
        };
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        (bytes.len() == ED25519_BYTES && key.verify(&message, bytes).is_ok()).then_some(time)
    }
}

/// What a witness signs; C2SP tlog-cosignature.
fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.byte()];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, algorithm, public) = key_parts(text).ok_or(KeyError::Public)??;
        let verifier = Self::new(name, algorithm, public)?;
        if verifier.id == id { Ok(verifier) } else { Err(KeyError::Id) }
    }
}

type KeyParts<'a> = (&'a str, u32, Algorithm, [u8; 32]);

fn key_parts(text: &str) -> Option<Result<KeyParts<'_>, KeyError>> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let plain = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| plain)?;
    let key = STANDARD.decode(key).ok()?;
    let (algorithm, bytes) = key.split_first()?;
    let bytes: [u8; 32] = bytes.try_into().ok()?;
    Some(Algorithm::of(*algorithm).ok_or(KeyError::Algorithm).map(|algorithm| (name, id, algorithm, bytes)))
}

/// A private key under its name. It is written only where [`Signer::to_private`] is asked for.
pub struct Signer {
    verifier: Verifier,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    pub fn generate(name: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| KeyError::Generate)?;
        Self::from_seed(name, algorithm, seed)
    }

    /// The same 32 bytes give the same key for ever.
    pub fn from_seed(name: &str, algorithm: Algorithm, seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Private)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private)?;
        Ok(Self { verifier: Verifier::new(name, algorithm, public)?, seed, pair })
    }

    /// `PRIVATE+KEY+name+id+base64`, as [`Signer::to_private`] writes it.
    pub fn from_private(text: &str) -> Result<Self, KeyError> {
        let key = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or(KeyError::Private)?;
        let (name, id, algorithm, seed) = key_parts(key).ok_or(KeyError::Private)??;
        let signer = Self::from_seed(name, algorithm, seed)?;
        if signer.verifier.id == id { Ok(signer) } else { Err(KeyError::Id) }
    }

    /// The secret itself, to be stored where only its owner reads.
    pub fn to_private(&self) -> String {
        let mut key = vec![self.verifier.algorithm.byte()];
        key.extend_from_slice(&self.seed);
        format!("PRIVATE+KEY+{}+{:08x}+{}", self.verifier.name, self.verifier.id, STANDARD.encode(key))
    }

    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The same key under the same name, for signatures of another kind.
    pub fn with(&self, algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::from_seed(&self.verifier.name, algorithm, self.seed)
    }

    /// `time` is in seconds since the epoch, and part of a witness's signature only.
    pub fn sign(&self, text: &str, time: u64) -> Signature {
        let bytes = match self.verifier.algorithm {
            Algorithm::Ed25519 => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            Algorithm::CosignatureV1 => {
                let signed = self.pair.sign(&cosigned(time, text));
                [&time.to_be_bytes()[..], signed.as_ref()].concat()
            }
        };
        Signature { name: self.verifier.name.clone(), key_id: self.verifier.id, bytes }
    }
}

/// One line under a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub key_id: u32,
    pub bytes: Vec<u8>,
}

impl Signature {
    /// One line of a note.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(bytes).ok()?;
        let (key_id, bytes) = bytes.split_first_chunk::<4>()?;
        let told = is_name(name) && !bytes.is_empty();
        told.then(|| Self {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*key_id),
            bytes: bytes.to_vec(),
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes()[..], &self.bytes].concat();
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<'k> {
    pub by: &'k Verifier,
    /// Seconds since the epoch, where the signature says when it was made.
    pub time: Option<u64>,
}

impl Note {
    /// A note that nobody signed yet; its text ends in a newline.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        if text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Characters);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Shape);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        // The text itself may hold empty lines; signatures do not.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let mut note = Self::new(format!("{text}\n"))?;
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::Shape)?;
        for (index, line) in lines.split('\n').enumerate() {
            if index == MAX_SIGNATURES {
                return Err(NoteError::Signatures);
            }
            note.signatures.push(Signature::parse(line).ok_or(NoteError::Signature(index))?);
        }
        Ok(note)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// One key signs a note once: its newer signature takes the place of the older one.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        let same = |known: &&mut Signature| known.name == signature.name && known.key_id == signature.key_id;
        if let Some(known) = self.signatures.iter_mut().find(same) {
            *known = signature;
        } else if self.signatures.len() < MAX_SIGNATURES {
            self.signatures.push(signature);
        } else {
            return Err(NoteError::Signatures);
        }
        Ok(())
    }

    /// The signatures of these keys. A signature of any other key says nothing; one of these that does not
    /// hold condemns the note, and so does having none.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Verifier>,
    ) -> Result<Vec<Signed<'k>>, NoteError> {
        let mut held = Vec::new();
        for key in keys {
            let by_key = |signature: &&Signature| signature.name == key.name && signature.key_id == key.id;
            let times = self.signatures.iter().filter(by_key).map(|made| key.holds(&self.text, &made.bytes));
            let times: Vec<_> = times.collect::<Option<_>>().ok_or(NoteError::Forged)?;
            // A key that signed twice still is one that signed.
            held.extend(times.first().map(|time| Signed { by: key, time: *time }));
        }
        if held.is_empty() { Err(NoteError::Unsigned) } else { Ok(held) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
