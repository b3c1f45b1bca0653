//! Renderings of the golden reports of releases: with `SHIPLOG_RENDERED=DIR` they are written to that directory, to
//! be looked at.

use rendering::{Format, document, render};

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
