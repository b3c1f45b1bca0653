//! How often somebody looked at an environment from outside, and how long nobody did. A change between two looks that
//! was undone before the second is not seen, so a gap longer than the settings ask for is stated.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::actor::ActorKind;
use crate::event::{
    EnvironmentEvent, EnvironmentPurpose, Fact, Interval, ProductEvent, ReleaseEvent, Sighting,
};
use crate::evidence::Facts;
use crate::observation::Seen;
use crate::product::ProductSettings;
use crate::report::fact::at;
use crate::value::Name;

/// Gaps that are listed of an environment, the longest.
pub const MAX_GAPS: usize = 100;

shapes! {
    /// What was asked for in the period, and where it was not so.
    Probing {
        /// In force in the period, by when they came; none where the settings asked for none.
        #[cfg_attr(feature = "openapi", schema(max_items = 500))]
        intervals: Vec<ProbeInterval>,
        /// Recorded while an interval was in force; where a look told nothing new, one in two fifths of an interval at most.
        looks: u64,
        /// Looks that were told more than an interval after they were made. They close no gap.
        told_late: u64,
        /// In the order of time, the longest where there are more. One may have begun before the period.
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        gaps: Vec<BlindGap>,
        /// Those that are not listed.
        more_gaps: u64,
    };

    ProbeInterval { from: Timestamp, to: Timestamp, interval_s: u32, };

    /// From a look, or from when the interval came into force, to the next look, or to the end of the interval or of
    /// the period.
    BlindGap {
        from: Timestamp,
        to: Timestamp,
        /// Rounded up.
        seconds: u64,
        /// What it is longer than: the longest that was in force meanwhile.
        interval_s: u32,
    };
}

/// The intervals of one version of a product's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub environment: Name,
    pub interval_s: u32,
}

/// From when on, and what the settings ask for of an environment since; absent where nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    pub at: Timestamp,
    pub interval_s: Option<u32>,
}

/// A look, when it says that it was made, and when it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub at: Timestamp,
    pub recorded_at: Timestamp,
}

/// Which environment somebody looked at, and when.
pub fn look_of_release(fact: &Fact<ReleaseEvent>) -> Option<(&Name, Look)> {
    let environment = match &fact.event {
        ReleaseEvent::ObservationRecorded(recorded) => seen_in(&recorded.seen)?,
        ReleaseEvent::EvidenceRecorded(recorded) => match &recorded.facts {
            Facts::VersionProbe(probe) => &probe.environment,
            _ => return None,
        },
        _ => return None,
    };
    Some((environment, Look { at: at(fact), recorded_at: fact.recorded_at }))
}

/// When somebody looked at the environment that the event is of. What the server tells out of a release's own record is
/// no look, what an observation told is counted as that, and a late report says nothing of now.
pub fn look_of_environment(fact: &Fact<EnvironmentEvent>) -> Option<Look> {
    let recorded_at = fact.recorded_at;
    match &fact.event {
        EnvironmentEvent::ObservationRecorded(recorded) => {
            seen_in(&recorded.seen).map(|_| Look { at: at(fact), recorded_at })
        }
        // The time it names may be that at which it began to run.
        EnvironmentEvent::EnvironmentRunningRecorded(recorded) => {
            let seen = fact.by.kind != ActorKind::System
                && recorded.observation.is_none()
                && recorded.sighting != Sighting::Earlier;
            seen.then_some(Look { at: recorded_at, recorded_at })
        }
        _ => None,
    }
}

fn seen_in(seen: &Seen) -> Option<&Name> {
    match seen {
        Seen::Deployment(seen) => Some(&seen.environment),
        _ => None,
    }
}

/// What the settings ask for of production; absent where the event publishes none.
pub fn asked(event: &ProductEvent) -> Option<Vec<Asked>> {
    let of = |settings: &ProductSettings| {
        let production =
            settings.environments.iter().filter(|one| one.purpose == EnvironmentPurpose::Production);
        let asked = production.filter_map(|one| {
            Some(Asked { environment: one.name.clone(), interval_s: one.probe_interval_s? })
        });
        asked.collect()
    };
    match event {
        ProductEvent::ProductRegistered(registered) => Some(of(&registered.settings)),
        ProductEvent::ProductSettingsPublished(published) => Some(of(&published.settings)),
        _ => None,
    }
}

/// The looks at one environment, up to the report's position.
pub trait Looks {
    type Error;
    /// When the last one was made that was told in time.
    fn last(&self, within: Interval, interval_s: u32) -> Result<Option<Timestamp>, Self::Error>;
    /// One by one, in the order in which they were made.
    fn each(&self, within: Interval, take: &mut dyn FnMut(Look)) -> Result<(), Self::Error>;
}

/// What was asked for in the period and where it was not so; absent where nothing was. An interval is judged for the
/// time that it was in force, so what was right then is no gap by a later one; but new settings are no look, and where
/// nobody looked for longer than any interval meanwhile, that is one gap.
pub fn probing<L: Looks>(since: &[Since], period: Interval, looks: &L) -> Result<Option<Probing>, L::Error> {
    let parts = parts(since, period.to);
    let Some(first) = parts.iter().position(|part| period.from < part.to) else { return Ok(None) };
    let mut found = Probing { intervals: Vec::new(), looks: 0, told_late: 0, gaps: Vec::new(), more_gaps: 0 };
    let (mut began, mut last) = before(&parts, first, period.from, looks)?;
    for (place, part) in parts.iter().enumerate().skip(first) {
        if place > first && parts[place - 1].to < part.from {
            (began, last) = (place, part.from);
        }
        let within = Interval { from: part.from.max(period.from), to: part.to };
        looks.each(within, &mut |look| {
            if !look.in_time(part.interval_s) {
                found.told_late += 1;
                return;
            }
            found.looks += 1;
            found.unseen(&parts[began..=place], last, look.at, period.from);
            (began, last) = (place, look.at);
        })?;
        if parts.get(place + 1).is_none_or(|next| part.to < next.from) {
            found.unseen(&parts[began..=place], last, part.to, period.from);
        }
        found.intervals.push(ProbeInterval { from: within.from, ..*part });
    }
    found.keep_longest();
    Ok(Some(found))
}

/// In which part the last look before the period was, and when; else since when looks were asked for without a break.
fn before<L: Looks>(
    parts: &[ProbeInterval],
    first: usize,
    from: Timestamp,
    looks: &L,
) -> Result<(usize, Timestamp), L::Error> {
    let mut asked = (first, parts[first].from);
    for place in (0..=first).rev() {
        let part = &parts[place];
        if part.to < asked.1 {
            break;
        }
        asked = (place, part.from);
        if part.from < from
            && let Some(at) =
                looks.last(Interval { from: part.from, to: part.to.min(from) }, part.interval_s)?
        {
            return Ok((place, at));
        }
    }
    Ok(asked)
}

/// From when to when each interval was in force, up to the period's end.
fn parts(since: &[Since], to: Timestamp) -> Vec<ProbeInterval> {
    let mut parts = Vec::new();
    let mut current: Option<(Timestamp, u32)> = None;
    let mut end = |current: Option<(Timestamp, u32)>, at: Timestamp| {
        let to = at.min(to);
        if let Some((from, interval_s)) = current
            && from < to
        {
            parts.push(ProbeInterval { from, to, interval_s });
        }
    };
    for next in since {
        if current.map(|(_, interval_s)| interval_s) != next.interval_s {
            end(current, next.at);
            current = next.interval_s.map(|interval_s| (next.at, interval_s));
        }
    }
    end(current, to);
    parts
}

impl Look {
    /// What is told later than that closes no gap, or any could be closed afterwards.
    pub fn in_time(&self, interval_s: u32) -> bool {
        self.recorded_at.duration_since(self.at) <= SignedDuration::from_secs(interval_s.into())
    }
}

impl Probing {
    /// Takes in that nobody looked from one time to another, and which intervals were in force then.
    fn unseen(&mut self, parts: &[ProbeInterval], from: Timestamp, to: Timestamp, period_from: Timestamp) {
        let longest = parts.iter().map(|part| part.interval_s).max().unwrap_or_default();
        if self.gap(from, to, longest) {
            return;
        }
        for part in parts.iter().filter(|part| period_from < part.to) {
            self.gap(from.max(part.from), to.min(part.to), part.interval_s);
        }
    }

    /// Whether it was longer than the interval.
    fn gap(&mut self, from: Timestamp, to: Timestamp, interval_s: u32) -> bool {
        let lasted = to.duration_since(from);
        if lasted <= SignedDuration::from_secs(interval_s.into()) {
            return false;
        }
        let seconds = lasted.as_secs().unsigned_abs() + u64::from(lasted.subsec_nanos() > 0);
        self.gaps.push(BlindGap { from, to, seconds, interval_s });
        if self.gaps.len() >= 2 * MAX_GAPS {
            self.keep_longest();
        }
        true
    }

    fn keep_longest(&mut self) {
        self.gaps.sort_by_key(|gap| (Reverse(gap.seconds), gap.from));
        self.more_gaps += self.gaps.len().saturating_sub(MAX_GAPS) as u64;
        self.gaps.truncate(MAX_GAPS);
        self.gaps.sort_by_key(|gap| gap.from);
    }
}
