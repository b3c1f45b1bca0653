//! CSV (RFC 4180): one file, every table of the report below the other, named in the first column. Row 0 of a table
//! has its headings, so that a filter on the first column gives one table with its headings. It begins with a mark
//! (U+FEFF) by which spreadsheets know UTF-8.

use std::io::Write;

use csv::{Terminator, Writer, WriterBuilder};

use crate::RenderError;
use crate::document::{Cell, Document, Fact};

pub fn render(document: &Document) -> Result<Vec<u8>, RenderError> {
    let mut bytes = Vec::new();
    write(document, &mut bytes, |_, _| Ok(()))?;
    Ok(bytes)
}

/// The same, with more rows behind those that the document has: `more` is asked for those of each table.
pub fn write(
    document: &Document,
    mut out: impl Write,
    mut more: impl FnMut(&str, &mut dyn FnMut(&[Cell]) -> Result<(), RenderError>) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    out.write_all("\u{feff}".as_bytes()).map_err(csv::Error::from)?;
    let tables = document.parts.iter().flat_map(|part| &part.tables);
    // A name of the table and a number stand before every row; facts have two columns.
    let width = 2 + tables.map(|table| table.columns.len()).max().unwrap_or_default().max(2);
    let mut sheet = Sheet { rows: WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out), width };
    let sha256 = [Fact { name: "sha256", value: Cell::text(document.sha256.as_str()), good: None }];
    sheet.facts("report", sha256.iter().chain(&document.identity))?;
    sheet.facts("envelope", document.envelope.iter())?;
    for part in &document.parts {
        sheet.facts(part.id, part.facts.iter())?;
        for table in &part.tables {
            let headings = table.columns.iter().map(|column| column.name.to_owned());
            sheet.push(table.id, 0, headings)?;
            let mut number = 0;
            let mut row = |cells: &[Cell]| {
                number += 1;
                sheet.push(table.id, number, cells.iter().map(written))
            };
            table.rows.iter().try_for_each(|cells| row(cells))?;
            more(table.id, &mut row)?;
        }
    }
    Ok(sheet.rows.flush().map_err(csv::Error::from)?)
}

struct Sheet<W: Write> {
    rows: Writer<W>,
    width: usize,
}

impl<W: Write> Sheet<W> {
    fn push(
        &mut self,
        table: &str,
        row: usize,
        cells: impl Iterator<Item = String>,
    ) -> Result<(), RenderError> {
        let row = [table.to_owned(), row.to_string()].into_iter().chain(cells);
        let row = row.chain(std::iter::repeat_with(String::new)).take(self.width);
        Ok(self.rows.write_record(row.collect::<Vec<_>>())?)
    }

    fn facts<'a>(&mut self, id: &str, facts: impl Iterator<Item = &'a Fact>) -> Result<(), RenderError> {
        let mut facts = facts.enumerate().peekable();
        if facts.peek().is_some() {
            self.push(id, 0, ["what".to_owned(), "value".to_owned()].into_iter())?;
        }
        for (number, fact) in facts {
            self.push(id, number + 1, [fact.name.to_owned(), written(&fact.value)].into_iter())?;
        }
        Ok(())
    }
}

/// What the log does not say is left empty.
fn written(cell: &Cell) -> String {
    match cell {
        Cell::Unknown => String::new(),
        Cell::Number(number) => number.clone(),
        Cell::Text(text) => inert(text),
        Cell::Revisions(all) => all.iter().map(u64::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// A spreadsheet takes what begins like a formula for one, and 11.50 for a number or a date; with an apostrophe
/// before it, it is the text that it was. So that this holds for readers who separate cells by something else, it
/// goes for what follows a separator, too.
fn inert(text: &str) -> String {
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let reads_as_number =
        text.parse::<f64>().is_ok() || text.chars().all(|c| c.is_ascii_digit() || ". ,:/-%".contains(c));
    if digits && reads_as_number {
        return format!("'{text}");
    }
    text.split_inclusive([',', ';', '\t', '\r', '\n']).map(quoted).collect()
}

fn quoted(piece: &str) -> String {
    let begins = piece.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
    let formula = begins.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let begins_with_tab = piece.starts_with(['\t', '\r', '\n']);
    if formula || begins_with_tab { format!("'{piece}") } else { piece.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn what_a_spreadsheet_would_read_as_something_else_is_text() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
            ("\t=1", "'\t'=1"),
            ("  =1", "'  =1"),
            ("\"=1", "'\"=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("-", "'-"),
            ("a;=1", "a;'=1"),
            ("a, \"-b\"", "a,' \"-b\""),
            ("a\n@b", "a\n'@b"),
            ("-600", "'-600"),
            ("11.50", "'11.50"),
            ("1.5", "'1.5"),
            ("2026-06-01", "'2026-06-01"),
            ("100 %", "'100 %"),
            ("00123e45", "'00123e45"),
            ("2026-06-01T08:01:00Z", "2026-06-01T08:01:00Z"),
            ("2.4.0-rc.1", "2.4.0-rc.1"),
            ("checkout", "checkout"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(inert(cell), expected, "{cell:?}");
        }
    }
}
