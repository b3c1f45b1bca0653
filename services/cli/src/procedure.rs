//! `shiplog procedure lint|show`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use release::Procedure;
use release::procedures::{built_in, lint};
use server::yaml::{self, Document};

use crate::Outcome;

/// Look at procedures without a server.
#[derive(Args)]
pub struct ProcedureArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Check a procedure in YAML or JSON; every finding names its line.
    Lint {
        /// The file.
        file: PathBuf,
    },
    /// Print a procedure as a checklist: a file, or a built-in version.
    Show {
        /// The file; the built-in `product-release` that new releases pin when absent.
        file: Option<PathBuf>,
    },
}

impl ProcedureArgs {
    pub fn run(self) -> Outcome {
        match self.action {
            Action::Lint { file } => check(&file),
            Action::Show { file: Some(file) } => show(&read(&file)?.0),
            Action::Show { file: None } => {
                let newest = built_in(release::procedures::BUILT_IN_FORCE);
                show(&serde_json::from_slice(newest.unwrap_or_default())?)
            }
        }
    }
}

fn check(file: &Path) -> Outcome {
    let (procedure, document) = read(file)?;
    let findings = lint(&procedure);
    for finding in &findings {
        println!("{}: {} ({})", at(file, &document, &finding.pointer), finding.detail, finding.code.as_str());
    }
    if !findings.is_empty() {
        return Err(format!("findings: {}", findings.len()).into());
    }
    let items = procedure.items().count();
    println!(
        "{} version {}: {} steps, {items} items, no findings",
        procedure.name,
        procedure.version,
        procedure.steps.len()
    );
    Ok(())
}

fn read(file: &Path) -> Result<(Procedure, Document), Box<dyn std::error::Error + Send + Sync>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let document = yaml::parse(&text)
        .map_err(|error| format!("{name}:{}:{}: {}", error.place.line, error.place.column, error.what))?;
    let procedure = serde_path_to_error::deserialize(document.value.clone()).map_err(|error| {
        let pointer = server::http::call::json_pointer(error.path());
        format!("{}: {}", at(file, &document, &pointer), error.into_inner())
    })?;
    Ok((procedure, document))
}

/// `file:line:column` of a value.
fn at(file: &Path, document: &Document, pointer: &str) -> String {
    match document.place(pointer) {
        Some(place) => format!("{}:{}:{}", file.display(), place.line, place.column),
        None => file.display().to_string(),
    }
}

fn show(procedure: &Procedure) -> Outcome {
    let mut text = format!(
        "{} ({} version {})\n{}\n\n",
        procedure.title, procedure.name, procedure.version, procedure.purpose
    );
    for step in &procedure.steps {
        writeln!(text, "{}. {}", step.number, step.name)?;
        for item in &step.items {
            let roles = item.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            writeln!(text, "   {:<5}{} [{roles}]", item.number.to_string(), item.name)?;
        }
        writeln!(text, "   => {}\n", step.expected_output)?;
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough: `shiplog procedure show | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
