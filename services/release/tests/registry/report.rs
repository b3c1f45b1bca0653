use jiff::SignedDuration;
use release::event::{NoteText, ReportQuery};
use release::refusal::RefusalCode as No;
use release::report::controls::{COMMON_FRAMEWORKS_V1, PinnedMapping};
use release::report::generated::{
    Compared, Done, DrawSample, GenerateReport, GeneratedReport, ReconcileReport, ReportCommand, ReportMade,
};
use release::report::population::PeriodQuery;
use release::report::sample::{Drawn, DrawnRow, Included, SampleMethod};
use release::spec::release::{list, sha256};
use release::spec::{Spec, alice, bob, id, judy, monday, nothing, peggy, robot};

use crate::registry::{line, release, replays};

fn asked() -> ReportCommand {
    ReportCommand::Generate(GenerateReport::Release {
        release: release("2.4.0"),
        at_position: None,
        control_mapping: None,
        control_mapping_version: None,
    })
}

fn made() -> Option<Done> {
    Some(Done::Made(of_release()))
}

fn of_release() -> ReportMade {
    let control_mapping = PinnedMapping::parse(COMMON_FRAMEWORKS_V1).unwrap().reference;
    ReportMade {
        report: id(7),
        query: ReportQuery::Release { release: release("2.4.0"), control_mapping, retention_months: 84 },
        position: 1_042,
        root: sha256('c'),
        schema: 1,
        sha256: sha256('d'),
        size: 4_096,
        build: line("0.1.0"),
        checkpoint: NoteText::new(
            "shiplog.example/log\n1043\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        )
        .unwrap(),
        names: Vec::new(),
    }
}

/// The report of a week.
fn of_week() -> Spec<GeneratedReport> {
    let (from, to) = (monday(), monday() + SignedDuration::from_hours(7 * 24));
    let query = PeriodQuery { from, to, products: None };
    let made = Done::Made(ReportMade { query: ReportQuery::Period(query), ..of_release() });
    let asked = GenerateReport::Period { from, to, product: None, at_position: None };
    nothing::<GeneratedReport>().when(judy(), ReportCommand::Generate(asked), &Some(made)).accepted()
}

fn draw(method: SampleMethod, size: u32) -> ReportCommand {
    let include = list(vec![Included::Orphans]);
    ReportCommand::Sample(DrawSample { method, size, seed: line("4711"), include })
}

fn drawn(changes: Vec<u64>) -> Option<Done> {
    let row = |change: &u64| DrawnRow {
        change: *change,
        stratum: "normal/checkout".into(),
        draw: release::wire::hex(&change.to_be_bytes()),
        included: false,
    };
    let numbers: String = changes.iter().map(|change| format!("{change}\n")).collect();
    let sha256 = release::wire::sha256_hex(numbers.as_bytes());
    let (drawn, sample) = (changes.len() as u64, changes.iter().map(row).collect());
    Some(Done::Drawn(Drawn { rows: 40, drawn, sha256, sample }))
}

fn compare() -> ReportCommand {
    ReportCommand::Reconcile(ReconcileReport {
        supplier: line("Cluster audit log"),
        tolerance_s: None,
        sha256: None,
        deployments: None,
        csv: Some("product,environment,digest,at\n".into()),
    })
}

fn compared() -> Option<Done> {
    Some(Done::Compared(Compared {
        list_sha256: sha256('a'),
        tolerance_s: 900,
        listed: 3,
        changes: 2,
        matched: 2,
        only_there: 1,
        only_here: 0,
        complete: false,
        result_sha256: sha256('b'),
        result_size: 512,
    }))
}

#[test]
fn given_the_report_of_a_period_then_samples_and_comparisons_are_on_its_stream() {
    let story = of_week();
    assert_eq!(story.state.generated.as_ref().unwrap().query.product(), None);
    let story =
        story.when(judy(), draw(SampleMethod::Random, 2), &drawn(vec![7, 3])).then_types(&["report.sampled"]);
    let sampled = &story.state.samples[0];
    assert_eq!((sampled.sampled.drawn, &sampled.sampled.changes[..]), (2, &[7, 3][..]));
    assert_eq!(sampled.sampled.drawn_sha256, release::wire::sha256_hex(b"7\n3\n"));
    assert_eq!(sampled.drawn_by, judy().id);
    let story = story.when(alice(), compare(), &compared()).then_types(&["report.reconciled"]);
    assert!(!story.state.reconciliations[0].reconciled.complete);
    replays(&story);
    story.clone().when(bob(), compare(), &compared()).then_refused(No::RoleMissing);
    story.clone().when(judy(), draw(SampleMethod::Random, 0), &drawn(vec![])).then_refused(No::SampleInvalid);
    story
        .when(judy(), draw(SampleMethod::Random, 9), &drawn(vec![1; 10_001]))
        .then_refused(No::SampleInvalid);
}

#[test]
fn given_the_report_of_a_release_then_it_has_no_rows_to_draw_from() {
    let story = nothing::<GeneratedReport>().when(judy(), asked(), &made()).accepted();
    story
        .clone()
        .when(judy(), draw(SampleMethod::Random, 2), &drawn(vec![]))
        .then_refused(No::ReportHasNoPopulation);
    story.when(judy(), compare(), &compared()).then_refused(No::ReportHasNoPopulation);
}

#[test]
fn given_a_report_that_was_made_then_who_when_and_which_bytes_is_recorded_once() {
    for who in [judy(), alice()] {
        let story = nothing::<GeneratedReport>()
            .when(who.clone(), asked(), &made())
            .then_types(&["report.generated"]);
        let generated = story.state.generated.as_ref().unwrap();
        assert_eq!((generated.position, generated.size, &generated.generated_by), (1_042, 4_096, &who.id));
        assert_eq!((generated.generated_at, generated.query.product()), (monday(), Some("checkout")));
        assert!(generated.checkpoint.ends_with("=\n"), "a signed note ends with its newline");
        replays(&story);
        story.when(who, asked(), &made()).then_types(&[]);
    }
}

#[test]
fn given_anybody_else_no_report_is_recorded() {
    for who in [bob(), peggy(), robot()] {
        nothing::<GeneratedReport>().when(who, asked(), &made()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_a_report_that_nobody_made_nothing_is_recorded() {
    let story: Spec<GeneratedReport> = nothing().when(judy(), asked(), &None).then_types(&[]);
    assert_eq!(story.state.generated, None);
}
