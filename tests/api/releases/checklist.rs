use serde_json::Value;

use crate::harness::{World, bodies};

fn rows(checklist: &Value) -> Vec<&Value> {
    checklist["steps"].as_array().unwrap().iter().flat_map(|step| step["items"].as_array().unwrap()).collect()
}

#[tokio::test]
async fn given_a_fresh_release_when_its_checklist_is_read_then_seven_steps_and_49_open_rows() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let checklist = world.viewer().get(&opened.under("checklist")).await.ok().json();
    let steps = checklist["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 7);
    assert_eq!((checklist["total"].as_u64(), checklist["closed"].as_u64()), (Some(49), Some(0)));
    assert_eq!(rows(&checklist).len(), 49);
    assert!(rows(&checklist).iter().all(|row| row["status"] == "pending"));
    let open: Vec<_> = steps.iter().map(|step| step["open"].as_bool().unwrap()).collect();
    assert_eq!(open, [true, false, false, false, false, false, false]);
    // What may be signed early is not blocked by the steps before it.
    let blocked = |number: &str| {
        rows(&checklist).iter().find(|row| row["number"] == number).unwrap()["blocked"].clone()
    };
    assert_eq!((blocked("2.1"), blocked("4.6")), (true.into(), false.into()));
}

#[tokio::test]
async fn given_an_attested_item_when_the_checklist_is_read_then_its_row_is_satisfied() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).await.ok();
    let checklist = world.viewer().get(&opened.under("checklist")).await.ok().json();
    let row = rows(&checklist)[0];
    assert_eq!((row["number"].as_str(), row["status"].as_str()), (Some("1.1"), Some("satisfied")));
    assert_eq!(row["assurance"], "attested");
    assert_eq!((row["signatures"].as_u64(), row["evidence_count"].as_u64()), (Some(1), Some(1)));
    assert_eq!((checklist["closed"].as_u64(), checklist["steps"][0]["closed"].as_u64()), (Some(1), Some(1)));
}
