//! House rule: a refusal without a test that meets it is a rule that nobody has seen work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use release::RefusalCode;

/// Named by the edge alone, before a command is made.
const OF_THE_EDGE: [RefusalCode; 4] = [
    RefusalCode::CommentUnknown,
    RefusalCode::PeriodInvalid,
    RefusalCode::ProcedureNotAllowed,
    RefusalCode::SettingsVersionUnknown,
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every name that follows a `::` in a test of this crate.
fn named() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("tests"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let words = text.split("::").skip(1);
        names.extend(words.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>()));
    }
    names
}

#[test]
fn given_every_refusal_some_test_names_it() {
    let named = named();
    let untested: Vec<_> = RefusalCode::ALL
        .iter()
        .filter(|code| !OF_THE_EDGE.contains(code) && !named.contains(&format!("{code:?}")))
        .collect();
    assert!(untested.is_empty(), "write a test that is refused by: {untested:?}");
}

#[test]
fn given_every_refusal_it_is_explained_in_sentences() {
    let mut codes = BTreeSet::new();
    for code in RefusalCode::ALL {
        assert!(codes.insert(code.as_str()), "{code} is used twice");
        assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        assert!(code.explanation().ends_with('.') && code.explanation().len() > 20, "{code}");
        assert!(!code.title().ends_with('.'), "{code}");
    }
}
