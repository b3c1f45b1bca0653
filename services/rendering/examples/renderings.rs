//! Writes the renderings of a hostile report, and the pages of the golden ones, into a directory, for
//! `tests/rendering/check`.

use std::error::Error;
use std::path::PathBuf;

use rendering::{Format, Names, RenderError};

#[path = "../tests/hostile/mod.rs"]
mod hostile;
#[path = "../tests/signed/mod.rs"]
mod signed;

fn render(format: Format, canonical: &[u8], envelope: Option<&[u8]>) -> Result<Vec<u8>, RenderError> {
    rendering::render(format, canonical, envelope, &Names::not_at_hand())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("which directory?")?);
    let canonical = hostile::report();
    for format in Format::ALL {
        let file = directory.join(format!("hostile.{}", format.as_str()));
        std::fs::write(file, render(format, &canonical, None)?)?;
    }
    for name in ["clean", "waivers", "rolled-back", "emergency"] {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../release/tests/golden-reports");
        let canonical = std::fs::read(format!("{golden}/{name}.json"))?;
        std::fs::write(directory.join(format!("{name}.pdf")), render(Format::Pdf, &canonical, None)?)?;
    }
    for (name, period) in [
        ("period", &include_bytes!("../tests/golden/period.json")[..]),
        ("probed", include_bytes!("../tests/golden/probed.json")),
    ] {
        std::fs::write(directory.join(format!("{name}.pdf")), render(Format::Pdf, period, None)?)?;
    }
    let names = signed::names(signed::without_carol);
    let pages = rendering::render(Format::Pdf, signed::SIGNED, Some(&signed::envelope()), &names)?;
    std::fs::write(directory.join("signed.pdf"), pages)?;
    // What an answer's header says, beside the page.
    std::fs::write(directory.join("policy"), rendering::content_security_policy())?;
    Ok(())
}
