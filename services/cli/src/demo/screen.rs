//! What a terminal shows: one line per act, steps as headings. Colour only where somebody watches.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use jiff::Timestamp;

use super::cast::{MEMBERS, Who};

/// Width of the longest of the cast, so that items stand below each other.
const WHO: usize = 16;
/// Width of the longest item, number and name.
const ITEM: usize = 54;
/// Where long lists wrap.
const LINE: usize = 96;
/// Where the second line of an act begins: below what was done.
const INDENT: usize = 2 + 9 + 2 + WHO + 2;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

#[derive(Debug, Clone, Copy)]
pub struct Screen {
    colour: bool,
    pub verbose: bool,
}

impl Screen {
    pub fn on_stdout(verbose: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, verbose }
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub fn title(self, base: &str, data: &Path) -> io::Result<()> {
        self.plain(&self.paint(BOLD, "Shiplog demo: the release of checkout 2.4.0"))?;
        self.say(&format!("{base}, data in {} (removed at the end), simulated clock", data.display()))?;
        self.blank()?;
        for member in &MEMBERS {
            self.say(&format!("{:<12}{:<12}{}", member.name, member.subject, member.roles.join(", ")))?;
        }
        Ok(())
    }

    pub fn heading(self, text: &str) -> io::Result<()> {
        self.blank()?;
        self.plain(&self.paint(BOLD, text))
    }

    /// Somebody did something to an item.
    pub fn item(self, at: Timestamp, who: Who, item: &str, name: &str, outcome: &str) -> io::Result<()> {
        let what = format!("{item} {name}");
        self.act(at, who, &format!("{what:<ITEM$}  {}", self.paint(GREEN, outcome)))
    }

    /// Somebody did something else.
    pub fn act(self, at: Timestamp, who: Who, what: &str) -> io::Result<()> {
        let who = who.to_string();
        self.plain(&format!(
            "  {}  {who:<WHO$}  {what}",
            self.paint(DIM, &at.strftime("%a %H:%M").to_string())
        ))
    }

    pub fn refused(self, at: Timestamp, who: Who, what: &str, refusal: &str, why: &str) -> io::Result<()> {
        self.act(at, who, &format!("{what}  {}", self.paint(YELLOW, &format!("refused: {refusal}"))))?;
        self.more(why)
    }

    /// What belongs to the act above, wrapped below it.
    pub fn more(self, text: &str) -> io::Result<()> {
        for line in wrapped(text, LINE - INDENT) {
            self.plain(&self.paint(DIM, &format!("{:INDENT$}{line}", "")))?;
        }
        Ok(())
    }

    pub fn good(self, text: &str) -> io::Result<()> {
        self.say(&self.paint(GREEN, text))
    }

    pub fn bad(self, text: &str) -> io::Result<()> {
        self.say(&self.paint(RED, text))
    }

    pub fn wrapped(self, text: &str) -> io::Result<()> {
        wrapped(text, LINE).iter().try_for_each(|line| self.say(line))
    }

    /// A request and its answer, for whoever asked to see them.
    pub fn trace(self, line: &str) -> io::Result<()> {
        if self.verbose { self.plain(&self.paint(DIM, &format!("      {line}"))) } else { Ok(()) }
    }

    pub fn say(self, text: &str) -> io::Result<()> {
        self.plain(&format!("  {text}"))
    }

    pub fn blank(self) -> io::Result<()> {
        self.plain("")
    }

    /// A reader that goes away ends the demo with an error, not with a panic.
    pub fn plain(self, line: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{line}")
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    // Not at every white space: what a no-break space joins stays together.
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_long_text_when_wrapped_then_no_line_is_longer_and_no_word_is_lost() {
        let text = "seven steps and forty-nine items from the branch to the closing";
        let lines = wrapped(text, 20);
        assert!(lines.iter().all(|line| line.chars().count() <= 20), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn given_no_terminal_when_painted_then_the_text_is_plain() {
        let screen = Screen { colour: false, verbose: false };
        assert_eq!(screen.paint(GREEN, "attested"), "attested");
    }
}
