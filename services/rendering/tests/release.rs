//! Renderings of the golden reports of releases: with `SHIPLOG_RENDERED=DIR` they are written to that directory, to
//! be looked at.

use rendering::{Cell, Format, document, render};

const GOLDEN: [(&str, &[u8]); 4] = [
    ("clean", include_bytes!("../../release/tests/golden-reports/clean.json")),
    ("waivers", include_bytes!("../../release/tests/golden-reports/waivers.json")),
    ("rolled-back", include_bytes!("../../release/tests/golden-reports/rolled-back.json")),
    ("emergency", include_bytes!("../../release/tests/golden-reports/emergency.json")),
];

#[test]
fn given_golden_reports_when_they_are_rendered_then_each_says_the_hash_of_the_canonical_bytes() {
    for (name, canonical) in GOLDEN {
        let told = document(canonical, None).expect("a report is rendered");
        for format in Format::ALL {
            let rendered = render(format, canonical, None).expect("a report is rendered");
            if format == Format::Html || format == Format::Csv {
                let text = String::from_utf8(rendered.clone()).expect("text");
                assert!(text.contains(&told.sha256), "{name} {format:?}");
            }
            if let Ok(to) = std::env::var("SHIPLOG_RENDERED") {
                let file = format!("{to}/{name}.{}", format.as_str());
                std::fs::write(file, rendered).expect("it is written");
            }
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
fn given_a_hostile_product_name_when_a_report_is_rendered_then_nothing_of_it_runs() {
    let (_, canonical) = GOLDEN[0];
    let mut report: serde_json::Value = serde_json::from_slice(canonical).expect("JSON");
    report["header"]["product"] = "</title><script>alert(1)</script>".into();
    report["header"]["reason"] = "=HYPERLINK(\"https://evil.example\")".into();
    let bytes = serde_json::to_vec(&report).expect("JSON");
    let page = String::from_utf8(render(Format::Html, &bytes, None).expect("it is rendered")).expect("text");
    assert!(!page.contains("<script") && page.contains("&#60;script&#62;"));
    let sheet = String::from_utf8(render(Format::Csv, &bytes, None).expect("it is rendered")).expect("text");
    assert!(sheet.contains("\"'=HYPERLINK(") && !sheet.contains(",\"=") && !sheet.contains(",="));
}

#[test]
fn given_an_envelope_when_a_report_is_rendered_then_it_says_the_hash_of_both() {
    let envelope = br#"{"report":"r","generated_by":"https://id.example#audrey","simulated_clock":true}"#;
    let told = document(GOLDEN[0].1, Some(envelope)).expect("it is rendered");
    let page = render(Format::Html, GOLDEN[0].1, Some(envelope)).expect("it is rendered");
    let page = String::from_utf8(page).expect("text");
    let Some(Cell::Text(sha256)) = told.envelope.last().map(|fact| &fact.value) else {
        unreachable!("the envelope ends with its hash")
    };
    assert!(page.contains(sha256) && page.contains(&told.sha256) && page.contains("simulated"));
}

#[test]
fn given_what_is_no_report_of_a_release_when_it_is_rendered_then_it_is_refused() {
    assert!(render(Format::Html, b"{", None).is_err());
    assert!(render(Format::Html, br#"{"report":{"kind":"weather"}}"#, None).is_err());
}
