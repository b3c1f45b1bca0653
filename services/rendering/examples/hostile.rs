//! Writes the renderings of a hostile report into a directory, for `tests/rendering/check`.

use std::error::Error;
use std::path::PathBuf;

use rendering::{Format, render};

#[path = "../tests/hostile/mod.rs"]
mod hostile;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("which directory?")?);
    let canonical = hostile::report();
    for format in Format::ALL {
        let file = directory.join(format!("hostile.{}", format.as_str()));
        std::fs::write(file, render(format, &canonical, None)?)?;
    }
    // What an answer's header says, beside the page.
    std::fs::write(directory.join("policy"), rendering::content_security_policy())?;
    Ok(())
}
