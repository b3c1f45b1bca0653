//! The arithmetic of the judgement against values that R computed: `statistics/reference.R` makes
//! `statistics/reference.json`, and says how.

use release::canary::statistics::{Errors, detectable_ratio, more_errors, share_interval, shift};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    made_by: String,
    fisher: Vec<Comparison>,
    z: Vec<Comparison>,
    share: Vec<Share>,
    shift: Vec<Groups>,
    detectable: Vec<Detectable>,
    table: Vec<Cell>,
}

#[derive(Deserialize)]
struct Comparison {
    canary: [u64; 2],
    control: [u64; 2],
    p: f64,
}

#[derive(Deserialize)]
struct Share {
    part: u64,
    whole: u64,
    confidence: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Groups {
    canary: Vec<f64>,
    control: Vec<f64>,
    confidence: f64,
    low: f64,
    high: f64,
    estimate: f64,
}

#[derive(Deserialize)]
struct Detectable {
    rate: f64,
    canary: u64,
    control: u64,
    ratio: f64,
}

#[derive(Deserialize)]
struct Cell {
    rate: f64,
    ratio: f64,
    share: f64,
    rps: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("statistics/reference.json")).unwrap()
}

#[track_caller]
fn near(ours: f64, theirs: f64, relative: f64) {
    let allowed = relative * theirs.abs().max(1e-12);
    assert!((ours - theirs).abs() <= allowed, "{ours} where R says {theirs}");
}

fn of([errors, requests]: [u64; 2]) -> Errors {
    Errors { errors, requests }
}

#[test]
fn given_error_counts_the_probability_is_the_one_that_r_gives() {
    let reference = reference();
    assert!(reference.made_by.starts_with("R version"));
    for case in reference.fisher.iter().chain(&reference.z) {
        near(more_errors(of(case.canary), of(case.control)), case.p, 1e-6);
    }
    assert_eq!(more_errors(of([0, 0]), of([3, 100])), 1.0);
}

#[test]
fn given_a_share_its_interval_is_the_one_that_r_gives() {
    for case in reference().share {
        let (low, high) = share_interval(case.part, case.whole, case.confidence).unwrap();
        assert!((low - case.low).abs() < 1e-9 && (high - case.high).abs() < 1e-9, "{low} to {high}");
    }
    assert_eq!(share_interval(0, 0, 0.95), None);
}

#[test]
fn given_two_groups_the_mann_whitney_interval_is_the_one_that_r_gives() {
    for case in reference().shift {
        let ours = shift(&case.canary, &case.control, case.confidence).unwrap();
        for (one, other) in [(ours.low, case.low), (ours.high, case.high), (ours.estimate, case.estimate)] {
            assert!((one - other).abs() < 1e-6, "{one} where R says {other}");
        }
    }
    assert_eq!(shift(&[], &[1.0], 0.98), None);
}

#[test]
fn given_requests_the_detectable_ratio_is_the_one_that_r_gives() {
    for case in reference().detectable {
        near(detectable_ratio(case.rate, case.canary, case.control, 0.05, 0.8).unwrap(), case.ratio, 1e-6);
    }
    assert_eq!(detectable_ratio(0.001, 1, 1, 0.05, 0.8), None);
    assert_eq!(detectable_ratio(0.0, 5_000, 5_000, 0.05, 0.8), None);
}

/// The table of the procedure, as it is printed: baseline rate, ratio, and the total requests a second
/// that a share of 1 % and of 5 % needs over 15 minutes.
const PUBLISHED: [(f64, f64, f64, f64); 12] = [
    (0.001, 2.0, 904.0, 191.0),
    (0.001, 3.0, 272.0, 58.0),
    (0.001, 5.0, 88.0, 19.0),
    (0.001, 10.0, 26.0, 6.0),
    (0.005, 2.0, 180.0, 38.0),
    (0.005, 3.0, 54.0, 12.0),
    (0.005, 5.0, 17.0, 4.0),
    (0.005, 10.0, 5.0, 1.2),
    (0.01, 2.0, 89.0, 19.0),
    (0.01, 3.0, 27.0, 6.0),
    (0.01, 5.0, 9.0, 1.9),
    (0.01, 10.0, 2.5, 0.6),
];

#[test]
fn given_the_requests_of_the_procedures_table_its_ratios_are_detectable_and_with_fewer_they_are_not() {
    let cells = reference().table;
    assert_eq!(cells.len(), 24);
    for cell in cells {
        let total = cell.rps * 900.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
        let requests = |factor: f64, share: f64| (total * factor * share).round() as u64;
        let ratio = |factor: f64| {
            let (canary, control) = (requests(factor, cell.share), requests(factor, 1.0 - cell.share));
            detectable_ratio(cell.rate, canary, control, 0.05, 0.8).unwrap()
        };
        near(ratio(1.0), cell.ratio, 0.02);
        assert!(ratio(1.1) < cell.ratio && ratio(0.9) > cell.ratio, "{} {}", cell.rate, cell.ratio);

        let row = PUBLISHED.iter().find(|row| (row.0, row.1) == (cell.rate, cell.ratio)).unwrap();
        let printed = if cell.share < 0.02 { row.2 } else { row.3 };
        let digits = if printed.fract() == 0.0 { 0.5 } else { 0.05 };
        assert!((cell.rps - printed).abs() <= digits + 1e-9, "{} is printed as {printed}", cell.rps);
    }
}
