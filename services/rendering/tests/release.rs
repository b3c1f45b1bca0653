//! Renderings of the golden reports of releases, byte for byte: `SHIPLOG_WRITE_GOLDEN=1` writes them anew.

use rendering::{Cell, Format, RenderError, document, render};

mod hostile;

const GOLDEN: [(&str, &[u8]); 4] = [
    ("clean", include_bytes!("../../release/tests/golden-reports/clean.json")),
    ("waivers", include_bytes!("../../release/tests/golden-reports/waivers.json")),
    ("rolled-back", include_bytes!("../../release/tests/golden-reports/rolled-back.json")),
    ("emergency", include_bytes!("../../release/tests/golden-reports/emergency.json")),
];

#[test]
fn given_golden_reports_when_they_are_rendered_then_they_are_these_bytes_and_say_the_hash_of_the_canonical_ones()
 {
    for (name, canonical) in GOLDEN {
        let told = document(canonical, None).expect("a report is rendered");
        for format in Format::ALL {
            let rendered = render(format, canonical, None).expect("a report is rendered");
            let file = format!("{}/tests/golden/{name}.{}", env!("CARGO_MANIFEST_DIR"), format.as_str());
            if std::env::var_os("SHIPLOG_WRITE_GOLDEN").is_some() {
                std::fs::write(&file, &rendered).expect("it is written");
            }
            let same = std::fs::read(&file).expect("a golden rendering") == rendered;
            assert!(same, "{name} is rendered otherwise now; look at it, then write {file} anew");
            let text = String::from_utf8(rendered).expect("text");
            assert!(text.contains(&told.sha256), "{name} {format:?}");
        }
    }
}

#[test]
fn given_a_report_when_it_is_laid_out_then_every_table_has_the_width_of_the_page_and_ids_are_unique() {
    for (name, canonical) in GOLDEN {
        let told = document(canonical, None).expect("a report is rendered");
        let mut ids = std::collections::BTreeSet::new();
        for table in told.parts.iter().flat_map(|part| &part.tables) {
            let width: u32 = table.columns.iter().map(|column| u32::from(column.width)).sum();
            assert_eq!(width, 24, "{name} {}", table.id);
            assert!(ids.insert(table.id), "{}", table.id);
        }
        assert_eq!(told.parts[2].tables[0].rows.len(), 49);
    }
}

#[test]
fn given_hostile_words_everywhere_when_a_report_is_a_page_then_none_of_them_is_markup() {
    let page = render(Format::Html, &hostile::report(), None).expect("it is rendered");
    let page = String::from_utf8(page).expect("text");
    for markup in ["<script", "<img", "<iframe", "javascript:fetch('"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&#60;script&#62;"));
}

#[test]
fn given_hostile_words_everywhere_when_a_report_is_a_sheet_then_no_cell_begins_a_formula() {
    let sheet = render(Format::Csv, &hostile::report(), None).expect("it is rendered");
    let text = std::str::from_utf8(&sheet).expect("text");
    // However a reader separates cells: one that begins a formula has an apostrophe before it.
    for cell in text.split([',', ';', '\n', '\r', '\t']) {
        let cell = cell.trim_start_matches(['"', ' ']);
        // What the log has as a number is one: seconds before a start.
        let number = cell.trim_end_matches('"').parse::<f64>().is_ok();
        assert!(number || !cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert!(text.contains("'=HYPERLINK"));
}

#[test]
fn given_an_envelope_when_a_report_is_rendered_then_it_says_the_hash_of_both() {
    let sha256 = document(GOLDEN[0].1, None).expect("it is rendered").sha256;
    let envelope = format!(
        r#"{{"report":"r","sha256":"{sha256}","generated_by":"https://id.example#audrey","simulated_clock":true}}"#
    );
    let envelope = Some(envelope.as_bytes());
    let told = document(GOLDEN[0].1, envelope).expect("it is rendered");
    let page = render(Format::Html, GOLDEN[0].1, envelope).expect("it is rendered");
    let page = String::from_utf8(page).expect("text");
    let Some(Cell::Text(sha256)) = told.envelope.last().map(|fact| &fact.value) else {
        unreachable!("the envelope ends with its hash")
    };
    assert!(page.contains(sha256) && page.contains(&told.sha256) && page.contains("simulated"));
    assert!(matches!(render(Format::Csv, GOLDEN[1].1, envelope), Err(RenderError::Envelope)));
}

#[test]
fn given_what_is_no_report_of_a_release_when_it_is_rendered_then_it_is_refused() {
    assert!(render(Format::Html, b"{", None).is_err());
    assert!(render(Format::Html, br#"{"report":{"kind":"weather"}}"#, None).is_err());
}
