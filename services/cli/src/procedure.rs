//! `shiplog procedure lint|list|show`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use release::Procedure;
use release::procedures::{BUILT_IN, BUILT_IN_FORCE, VARIANTS, built_in, lint, variant};
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
    /// List the built-in procedures: those that releases pin, and variants to publish as your own.
    List,
    /// Print a procedure as a checklist: a built-in one by its name, or a file.
    Show {
        /// A name of the list, or a file; the built-in `product-release` that new releases pin when absent.
        procedure: Option<PathBuf>,
        /// Print it as JSON, as it can be published.
        #[arg(long)]
        json: bool,
    },
}

impl ProcedureArgs {
    pub fn run(self) -> Outcome {
        match self.action {
            Action::Lint { file } => check(&file),
            Action::List => list(),
            Action::Show { procedure, json } => {
                let procedure = named(procedure.as_deref())?;
                if json {
                    print(&format!("{}\n", serde_json::to_string_pretty(&procedure)?))
                } else {
                    show(&procedure)
                }
            }
        }
    }
}

/// By the name of a built-in one, else from a file.
fn named(procedure: Option<&Path>) -> Result<Procedure, Box<dyn std::error::Error + Send + Sync>> {
    let name = procedure.and_then(Path::to_str);
    if name.is_none_or(|name| name == "product-release") {
        return Ok(serde_json::from_slice(built_in(BUILT_IN_FORCE).unwrap_or_default())?);
    }
    match name.and_then(variant) {
        Some(built) => Ok(built?),
        None => Ok(read(procedure.unwrap_or(Path::new("")))?.0),
    }
}

fn list() -> Outcome {
    let mut text = String::new();
    for (version, bytes) in BUILT_IN {
        let procedure: Procedure = serde_json::from_slice(bytes)?;
        let force = if *version == BUILT_IN_FORCE { ", which new releases pin" } else { "" };
        writeln!(text, "{:<24}version {version} of the procedure{force}", procedure.name.to_string())?;
    }
    for (name, _) in VARIANTS {
        let procedure = named(Some(Path::new(name)))?;
        writeln!(text, "{name:<24}{}", procedure.title)?;
    }
    print(&text)
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
    print(&text)
}

fn print(text: &str) -> Outcome {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
