//! Renderings of the golden reports of releases, byte for byte: `SHIPLOG_WRITE_GOLDEN=1` writes them anew.

use rendering::{Cell, Document, Format, Names, Printed, RenderError};
use sha2::{Digest, Sha256};

mod hostile;
mod signed;

/// Where no directory is at hand.
fn render(format: Format, canonical: &[u8], envelope: Option<&[u8]>) -> Result<Vec<u8>, RenderError> {
    rendering::render(format, canonical, envelope, &Names::not_at_hand())
}

fn document(canonical: &[u8], envelope: Option<&[u8]>) -> Result<Document, RenderError> {
    rendering::document(canonical, envelope, &Names::not_at_hand())
}

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
        for format in [Format::Html, Format::Csv] {
            let rendered = render(format, canonical, None).expect("a report is rendered");
            is_golden(&format!("{name}.{}", format.as_str()), &rendered);
            let text = String::from_utf8(rendered).expect("text");
            assert!(text.contains(&told.sha256), "{name} {format:?}");
        }
        assert_eq!(told.parts[2].tables[0].rows.len(), 49);
        let outcome = if name == "rolled-back" { "rolled back" } else { "completed" };
        assert!(told.verdict.starts_with(outcome), "{}", told.verdict);
    }
}

// The images beside the golden files show what the pages look like; `tests/rendering/check` draws them.
#[test]
fn given_a_clean_release_its_pages_are_these_bytes() {
    pages_are_golden(GOLDEN[0]);
}

#[test]
fn given_waivers_its_pages_are_these_bytes() {
    pages_are_golden(GOLDEN[1]);
}

#[test]
fn given_a_rollback_its_pages_are_these_bytes_and_the_same_again() {
    pages_are_golden(GOLDEN[2]);
    pages_are_golden(GOLDEN[2]);
}

#[test]
fn given_an_emergency_its_pages_are_these_bytes() {
    pages_are_golden(GOLDEN[3]);
}

fn pages_are_golden((name, canonical): (&str, &[u8])) {
    // No pages at all have another hash.
    let pages = render(Format::Pdf, canonical, None).unwrap_or_default();
    let sha256: String = Sha256::digest(&pages).iter().map(|byte| format!("{byte:02x}")).collect();
    is_golden(&format!("{name}.pdf.sha256"), format!("{sha256}\n").as_bytes());
}

fn is_golden(file: &str, rendered: &[u8]) {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SHIPLOG_WRITE_GOLDEN").is_some() {
        assert!(std::fs::write(&path, rendered).is_ok(), "{path}");
    }
    let same = std::fs::read(&path).is_ok_and(|golden| golden == rendered);
    assert!(same, "{file} is another now: look at it, then write it anew");
}

#[test]
fn given_a_report_that_would_fill_a_shelf_when_pages_are_asked_for_then_that_is_refused_and_other_forms_are_not()
 {
    let mut report: serde_json::Value = serde_json::from_slice(GOLDEN[2].1).expect("JSON");
    let row = report["timeline"][0].clone();
    report["timeline"] = vec![row; 10_000].into();
    let bytes = serde_json::to_vec(&report).expect("JSON");
    assert!(matches!(render(Format::Pdf, &bytes, None), Err(RenderError::TooLong)));
    assert!(render(Format::Html, &bytes, None).is_ok());
}

/// As the demo's log has it: a deployment, its rollback, and the deployment of the mended candidate.
const PERIOD: &[u8] = include_bytes!("golden/period.json");

#[test]
fn given_the_report_of_a_period_when_it_is_rendered_then_the_five_questions_come_first() {
    for format in [Format::Html, Format::Csv] {
        let rendered = render(format, PERIOD, None).expect("a report is rendered");
        is_golden(&format!("period.{}", format.as_str()), &rendered);
    }
    pages_are_golden(("period", PERIOD));
    let told = document(PERIOD, None).expect("a report is rendered");
    let sheet = &told.parts[0].tables[0];
    assert_eq!((sheet.id, sheet.rows.len()), ("sheet", 3));
    assert_eq!(sheet.columns.last().map(|column| column.name), Some("Deployed as approved"));
}

/// A month in which settings asked for looks at three environments of four.
const PROBED: &[u8] = include_bytes!("golden/probed.json");

#[test]
fn given_gaps_between_looks_when_the_report_of_a_period_is_rendered_then_they_stand_with_completeness() {
    for format in [Format::Html, Format::Csv] {
        let rendered = render(format, PROBED, None).expect("a report is rendered");
        is_golden(&format!("probed.{}", format.as_str()), &rendered);
    }
    pages_are_golden(("probed", PROBED));
    let told = document(PROBED, None).expect("a report is rendered");
    let completeness = &told.parts[1];
    let tables: Vec<_> = completeness.tables.iter().map(|table| (table.id, table.rows.len())).collect();
    let expected = [("excluded", 1), ("environments", 4), ("probing", 4), ("looks", 3), ("blind-gaps", 6)];
    assert_eq!((completeness.id, tables.as_slice()), ("completeness", &expected[..]));
    let fact = |name: &str| completeness.facts.iter().find(|fact| fact.name == name).map(|fact| fact.good);
    assert_eq!(fact("Gaps in which nobody looked"), Some(Some(false)));
    // Where no settings ask for looks, there is nothing to say of gaps.
    let without = document(PERIOD, None).expect("a report is rendered");
    let ids: Vec<_> = without.parts.iter().flat_map(|part| &part.tables).map(|table| table.id).collect();
    assert!(ids.contains(&"environments") && !ids.contains(&"looks") && !ids.contains(&"blind-gaps"));
}

#[test]
fn given_a_report_when_it_is_laid_out_then_every_table_has_the_width_of_the_page_and_ids_are_unique() {
    for (name, canonical) in
        GOLDEN.into_iter().chain([("period", PERIOD), ("probed", PROBED), ("signed", signed::SIGNED)])
    {
        let told = document(canonical, None).expect("a report is rendered");
        let mut ids = std::collections::BTreeSet::new();
        for table in told.parts.iter().flat_map(|part| &part.tables) {
            let width: u32 = table.columns.iter().map(|column| u32::from(column.width)).sum();
            assert_eq!(width, 24, "{name} {}", table.id);
            assert!(ids.insert(table.id), "{}", table.id);
        }
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

fn of_signed(format: Format, names: &Names) -> String {
    let rendered = rendering::render(format, signed::SIGNED, Some(&signed::envelope()), names);
    String::from_utf8_lossy(&rendered.unwrap_or_default()).into_owned()
}

#[test]
fn given_signatures_with_names_when_a_report_is_rendered_then_the_names_of_then_stand_beside_the_ids() {
    let names = signed::names(signed::without_carol);
    for format in [Format::Html, Format::Csv] {
        let text = of_signed(format, &names);
        is_golden(&format!("signed.{}", format.as_str()), text.as_bytes());
        assert!(text.contains("Alice Recoque (https://id.example#alice)"));
        assert!(text.contains("Grace Murray Hopper (https://id.example#grace, name changed since)"));
        assert!(text.contains("Grace Brewster Hopper"));
        assert!(text.contains("erased (https://id.example#carol)") && !text.contains("Carol Shaw"));
    }
    let pages = rendering::render(Format::Pdf, signed::SIGNED, Some(&signed::envelope()), &names);
    let sha256: String =
        Sha256::digest(pages.unwrap_or_default()).iter().map(|byte| format!("{byte:02x}")).collect();
    is_golden("signed.pdf.sha256", format!("{sha256}\n").as_bytes());
}

#[test]
fn given_a_person_when_they_are_erased_then_only_their_name_is_another_in_a_rendering() {
    let before = of_signed(Format::Csv, &signed::names(signed::everybody));
    let after = of_signed(Format::Csv, &signed::names(signed::without_carol));
    assert_eq!(before.replace("Carol Shaw", "erased"), after);
    assert!(before.contains("Carol Shaw (https://id.example#carol)"));
    // Both say the hashes of the same report and of the same envelope.
    let hashes = |names: &Names| {
        let told = rendering::document(signed::SIGNED, Some(&signed::envelope()), names);
        let told = told.expect("a report is rendered");
        (told.sha256, told.envelope.last().map(|fact| fact.value.clone()))
    };
    assert_eq!(hashes(&signed::names(signed::everybody)), hashes(&signed::names(signed::without_carol)));
}

#[test]
fn given_what_is_not_the_name_that_was_signed_with_when_a_report_is_rendered_then_it_says_so() {
    let forged = |who: &str| if who == "grace" { Printed::Forged } else { signed::everybody(who) };
    let text = of_signed(Format::Csv, &signed::names(forged));
    assert!(text.contains("not the name that was signed with (https://id.example#grace"));
    assert!(!text.contains("Grace Murray Hopper"));
}

#[test]
fn given_no_directory_when_a_report_is_rendered_then_people_are_named_by_id_and_it_says_so() {
    let text = of_signed(Format::Html, &Names::not_at_hand());
    assert!(text.contains("without their names, which are not in a bundle"));
    assert!(!text.contains("Alice Recoque") && !text.contains("(https://id.example#alice)"));
}

#[test]
fn given_a_hostile_name_when_a_report_is_rendered_then_it_is_text() {
    let hostile = |who: &str| match who {
        "grace" => signed::name("=HYPERLINK(\"http://evil.example\")<script>alert(1)</script>"),
        who => signed::everybody(who),
    };
    let names = signed::names(hostile);
    assert!(!of_signed(Format::Html, &names).contains("<script"));
    let sheet = of_signed(Format::Csv, &names);
    assert!(
        sheet.contains("'=HYPERLINK") && !sheet.contains(",=HYPERLINK") && !sheet.contains("\"=HYPERLINK")
    );
}

fn envelope_of_period() -> Vec<u8> {
    let sha256: String = Sha256::digest(PERIOD).iter().map(|byte| format!("{byte:02x}")).collect();
    let told = serde_json::json!({
        "report": "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f02",
        "query": {"kind": "period", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
        "position": 1042,
        "sha256": sha256,
        "size": PERIOD.len(),
        "generated_by": "https://id.example#audrey",
        "generated_at": "2027-01-04T09:00:00Z",
        "build": "0.1.0",
        "simulated_clock": false,
    });
    told.to_string().into_bytes()
}

#[test]
fn given_a_period_when_its_changes_are_read_one_by_one_then_the_sheet_has_the_same_bytes() {
    let mut rest: serde_json::Value = serde_json::from_slice(PERIOD).expect("JSON");
    let changes = rest.as_object_mut().and_then(|rest| rest.remove("changes")).unwrap_or_default();
    let envelope = envelope_of_period();
    let sha256 = document(PERIOD, None).expect("a report is rendered").sha256;
    let mut written = Vec::new();
    rendering::write_period(&rest, sha256, Some(&envelope), &mut written, |take| {
        changes.as_array().into_iter().flatten().cloned().try_for_each(take)
    })
    .expect("a report is written");
    assert_eq!(changes.as_array().map(Vec::len), Some(3));
    assert!(written == render(Format::Csv, PERIOD, Some(&envelope)).expect("a report is rendered"));
}

#[test]
fn given_a_sample_when_it_is_rendered_then_the_five_questions_come_first() {
    let report: serde_json::Value = serde_json::from_slice(PERIOD).expect("JSON");
    let sample = serde_json::json!({
        "sample": "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f03", "method": "random", "size": 2, "seed": "ACME 2026 Q4",
        "include": ["orphans"], "generator": "shiplog.sample.v1", "rows": 3, "drawn": 2,
        "drawn_sha256": "7b".repeat(32), "changes": [report["changes"][2]["change"], report["changes"][0]["change"]],
        "drawn_at": "2027-01-05T09:00:00Z", "drawn_by": "https://id.example#audrey",
        "rows_drawn": [report["changes"][2], report["changes"][0]],
    });
    let sample = sample.to_string();
    let sha256: String = Sha256::digest(&sample).iter().map(|byte| format!("{byte:02x}")).collect();
    for format in [Format::Html, Format::Csv] {
        let rendered = rendering::render_sample(format, sample.as_bytes(), &envelope_of_period());
        let rendered = rendered.expect("a sample is rendered");
        is_golden(&format!("sample.{}", format.as_str()), &rendered);
        let text = String::from_utf8(rendered).expect("text");
        assert!(text.contains(&sha256) && text.contains("ACME 2026 Q4"));
        let (sheet, answers) = (text.find("The changes that were drawn"), text.find("answers-part"));
        assert!(format == Format::Csv || sheet < answers);
    }
    let pages = rendering::render_sample(Format::Pdf, sample.as_bytes(), &envelope_of_period());
    assert!(pages.is_ok_and(|pages| pages.starts_with(b"%PDF")));
}

#[test]
fn given_a_comparison_when_it_is_rendered_then_what_the_record_does_not_know_comes_first() {
    let compared = serde_json::json!({
        "tolerance_s": 900, "listed": 2, "changes": 3, "complete": false, "only_here": 2, "only_here_changes": [7, 9],
        "matched": [{"entry": 0, "change": 5, "apart_s": -12, "by_digest": true}],
        "only_there": [{"product": "checkout", "environment": "production", "digest": format!("sha256:{}", "e".repeat(64)),
            "at": "2026-11-02T03:04:05Z", "reference": "=cmd|' /C calc'!A0"}],
    });
    let record = serde_json::json!({
        "reconciliation": "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f04", "supplier": "Registry of ACME", "list_sha256": "4c".repeat(32),
        "tolerance_s": 900, "listed": 2, "changes": 3, "matched": 1, "only_there": 1, "only_here": 2, "complete": false,
        "compared_at": "2027-01-05T09:00:00Z", "compared_by": "https://id.example#audrey",
    });
    let (compared, record) = (compared.to_string(), record.to_string());
    let sha256: String = Sha256::digest(&compared).iter().map(|byte| format!("{byte:02x}")).collect();
    for format in [Format::Html, Format::Csv] {
        let envelope = envelope_of_period();
        let rendered =
            rendering::render_reconciliation(format, compared.as_bytes(), record.as_bytes(), &envelope);
        let rendered = rendered.expect("a comparison is rendered");
        is_golden(&format!("reconciliation.{}", format.as_str()), &rendered);
        let text = String::from_utf8(rendered).expect("text");
        assert!(text.contains(&sha256) && text.contains("Registry of ACME"));
        assert!(!text.contains(",=cmd"));
    }
}
