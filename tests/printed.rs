//! Commands whose reader has seen enough.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::process::executable;

const SIGPIPE: i32 = 13;

#[test]
fn given_a_reader_that_is_gone_when_a_command_prints_then_it_ends_as_other_programs_do_and_says_nothing() {
    let data = TempDir::new().unwrap();
    let data = data.path().to_str().unwrap();
    for command in [
        &["openapi"][..],
        &["procedure", "show"],
        &["token", "--subject", "rosa", "--role", "viewer", "--data", data],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(executable()).args(command).stdout(writer).stderr(Stdio::piped()).spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.signal(), errors.as_str()), (Some(SIGPIPE), ""), "{command:?}");
    }
}
