use release::event::{NoteText, ReportQuery};
use release::refusal::RefusalCode as No;
use release::report::controls::{COMMON_FRAMEWORKS_V1, PinnedMapping};
use release::report::generated::{GenerateReport, GeneratedReport, ReportCommand, ReportMade};
use release::spec::release::sha256;
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

fn made() -> Option<ReportMade> {
    let control_mapping = PinnedMapping::parse(COMMON_FRAMEWORKS_V1).unwrap().reference;
    Some(ReportMade {
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
    })
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
