//! PDF (PDF/A-2b), set by Typst as a library: no network, no files, no clock, so that the same report gives the same
//! bytes. What it sets comes as data and is never read as markup.

use std::sync::LazyLock;

use serde_json::{Value, json};
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Smart, Value as TypstValue};
use typst::syntax::{FileId, Source, VirtualPath};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use crate::RenderError;
use crate::document::{Cell, Document, Fact, Table};

const TEMPLATE: &str = include_str!("../templates/report.typ");

static SOURCE: LazyLock<Source> = LazyLock::new(|| Source::detached(TEMPLATE));
static FONTS: LazyLock<Vec<Font>> =
    LazyLock::new(|| typst_assets::fonts().flat_map(|bytes| Font::iter(Bytes::new(bytes))).collect());
static BOOK: LazyLock<LazyHash<FontBook>> =
    LazyLock::new(|| LazyHash::new(FontBook::from_fonts(FONTS.iter())));

/// Where a long word may be broken. No text of a report has it: `printable` leaves no control character.
const MARK: char = '\u{1}';
/// Behind what a long word is broken rather than elsewhere.
const BETWEEN: [char; 10] = ['/', '.', ',', ':', ';', '#', '@', '_', '-', '='];
/// How many letters stand on a line of a fact.
const FACT_LINE: usize = 66;

/// A report's data and the template: all there is.
struct Paper {
    library: LazyHash<Library>,
}

impl World for Paper {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &BOOK
    }

    fn main(&self) -> FileId {
        SOURCE.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == SOURCE.id() { Ok(SOURCE.clone()) } else { Err(nothing(id)) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        Err(nothing(id))
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn nothing(id: FileId) -> FileError {
    let path: &VirtualPath = id.get().vpath();
    FileError::NotFound(path.get_with_slash().into())
}

pub fn render(document: &Document) -> Result<Vec<u8>, RenderError> {
    let inputs = Dict::from_iter([("report".into(), TypstValue::Str(told(document).to_string().into()))]);
    let paper = Paper { library: LazyHash::new(Library::builder().with_inputs(inputs).build()) };
    let set = typst::compile::<PagedDocument>(&paper).output.map_err(|errors| failed(&errors))?;
    let standards = PdfStandards::new(&[PdfStandard::A_2b])
        .map_err(|error| RenderError::Pdf(error.message().to_string()))?;
    let options = PdfOptions {
        ident: Smart::Custom(document.sha256.clone()),
        creator: Smart::Custom(Some("Shiplog".to_owned())),
        standards,
        ..PdfOptions::default()
    };
    let pdf = typst_pdf::pdf(&set, &options).map_err(|errors| failed(&errors));
    // What it remembers of this report helps no other.
    comemo::evict(0);
    pdf
}

fn failed(errors: &[SourceDiagnostic]) -> RenderError {
    let said: Vec<_> = errors.iter().map(|error| error.message.to_string()).collect();
    RenderError::Pdf(said.join("; "))
}

/// What no font of the page can show is named by its code point, rather than left out.
fn printable(text: &str) -> String {
    let known = |c: char| match c {
        '\n' => true,
        c if c.is_control() => false,
        c => c.is_ascii() || FONTS.iter().any(|font| font.info().coverage.contains(c.into())),
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if known(c) {
            shown.push(c);
        } else {
            shown.push_str(&format!("[U+{:04X}]", u32::from(c)));
        }
        shown
    })
}

/// How many letters stand on a line of a column: it has a share of the page's 24, and a letter about a sixth of one.
fn letters(share: u8) -> usize {
    (usize::from(share) * 210 - 40) / 36
}

/// Words that are longer than their line are marked where they may be broken, and shorter ones are left whole. The
/// mark is not in the text of the page, so that what is copied from it is what was recorded.
fn breakable(text: &str, line: usize) -> String {
    let mut marked = String::with_capacity(text.len());
    for word in printable(text).split_inclusive([' ', '\n']) {
        if word.trim_end().chars().count() <= line {
            marked.push_str(word);
        } else if let Some((day, time)) = word.split_once('T').filter(|_| is_time(word)) {
            marked.extend([day, "T", &MARK.to_string(), time]);
        } else {
            pieces(word, line, &mut marked);
        }
    }
    marked
}

fn is_time(word: &str) -> bool {
    let word = word.trim_end();
    word.len() < 40 && word.ends_with('Z') && word.chars().all(|c| c.is_ascii_digit() || "TZ:-.".contains(c))
}

/// Between its parts, and within a part only where it has no line of its own.
fn pieces(word: &str, line: usize, marked: &mut String) {
    for (number, part) in word.split_inclusive(BETWEEN).enumerate() {
        if number > 0 {
            marked.push(MARK);
        }
        let long = part.trim_end().chars().count() > line;
        for (place, c) in part.chars().enumerate() {
            if long && place > 0 && place % line.clamp(1, 5) == 0 && !c.is_whitespace() {
                marked.push(MARK);
            }
            marked.push(c);
        }
    }
}

fn told(document: &Document) -> Value {
    let parts = document.parts.iter().map(|part| {
        json!({
            "title": part.title,
            "note": part.note,
            "facts": facts(&part.facts),
            "tables": part.tables.iter().map(table).collect::<Value>(),
        })
    });
    json!({
        "title": document.title,
        "subject": breakable(&document.subject, 32),
        "name": printable(&document.subject),
        "verdict": document.verdict,
        "good": document.good,
        "as_of": as_of(&document.as_of),
        "sha256": document.sha256,
        "identity": facts(&document.identity),
        "envelope": facts(&document.envelope),
        "parts": parts.collect::<Value>(),
    })
}

/// Year, month, day, hour, minute, second: an archived document has a date, and this one has no other.
fn as_of(time: &str) -> Vec<u32> {
    time.split(|c: char| !c.is_ascii_digit()).take(6).filter_map(|part| part.parse().ok()).collect()
}

fn facts(facts: &[Fact]) -> Value {
    facts
        .iter()
        .map(|fact| json!({"name": fact.name, "value": cell(&fact.value, FACT_LINE), "good": fact.good}))
        .collect()
}

fn table(table: &Table) -> Value {
    let columns = table.columns.iter().map(|column| json!({"name": column.name, "width": column.width}));
    let lines: Vec<_> = table.columns.iter().map(|column| letters(column.width)).collect();
    let row =
        |row: &Vec<Cell>| row.iter().zip(&lines).map(|(value, line)| cell(value, *line)).collect::<Value>();
    json!({
        "title": table.title,
        "columns": columns.collect::<Value>(),
        "rows": table.rows.iter().map(row).collect::<Value>(),
    })
}

fn cell(cell: &Cell, line: usize) -> Value {
    match cell {
        Cell::Unknown => Value::Null,
        Cell::Number(text) | Cell::Text(text) => Value::String(breakable(text, line)),
        Cell::Revisions(all) => Value::String(all.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{breakable, printable};

    #[test]
    fn words_longer_than_their_line_may_be_broken_and_others_not() {
        for (text, line, expected) in [
            ("satisfied", 10, "satisfied"),
            ("0123456789abcdef", 10, "01234|56789|abcde|f"),
            ("a 0123456789abcdef b", 10, "a 01234|56789|abcde|f b"),
            ("branch_protected", 10, "branch_|protected"),
            ("2026-06-01T08:01:00Z", 16, "2026-06-01T|08:01:00Z"),
            ("two\nlines", 5, "two\nlines"),
        ] {
            assert_eq!(breakable(text, line).replace(super::MARK, "|"), expected);
        }
    }

    #[test]
    fn what_cannot_be_printed_is_named() {
        assert_eq!(printable("Zoë\u{202e}\u{1} 发布"), "Zoë[U+202E][U+0001] [U+53D1][U+5E03]");
    }
}
