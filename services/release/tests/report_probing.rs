//! For how long nobody looked at an environment.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use release::event::Interval;
use release::report::population::probing::{BlindGap, Look, Looks, MAX_GAPS, Probing, Since, probing};

fn minute(minute: i64) -> Timestamp {
    "2026-07-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

/// Recorded when they were made.
struct Seen(Vec<Look>);

impl Looks for Seen {
    type Error = Infallible;

    fn last(&self, within: Interval, interval_s: u32) -> Result<Option<Timestamp>, Infallible> {
        let told = self.0.iter().filter(|look| look.in_time(interval_s));
        Ok(told.map(|look| look.at).filter(|at| (within.from..within.to).contains(at)).max())
    }

    fn each(&self, within: Interval, take: &mut dyn FnMut(Look)) -> Result<(), Infallible> {
        self.0.iter().filter(|look| (within.from..within.to).contains(&look.at)).for_each(|look| take(*look));
        Ok(())
    }
}

fn looks(minutes: impl IntoIterator<Item = i64>) -> Seen {
    Seen(minutes.into_iter().map(|at| Look { at: minute(at), recorded_at: minute(at) }).collect())
}

/// From minute 0 to minute 100.
fn over(since: &[(i64, Option<u32>)], looks: &Seen) -> Option<Probing> {
    let since: Vec<Since> =
        since.iter().map(|(at, interval_s)| Since { at: minute(*at), interval_s: *interval_s }).collect();
    let period = Interval { from: minute(0), to: minute(100) };
    probing(&since, period, looks).unwrap_or_else(|never| match never {})
}

fn gap(from: i64, to: i64, interval_s: u32) -> BlindGap {
    let seconds = u64::try_from(to - from).unwrap() * 60;
    BlindGap { from: minute(from), to: minute(to), seconds, interval_s }
}

const TEN: Option<u32> = Some(600);

#[test]
fn given_no_interval_then_nothing_is_said_of_gaps() {
    assert_eq!(over(&[], &looks([5])), None);
    assert_eq!(over(&[(-50, None)], &looks([5])), None);
    assert_eq!(over(&[(-50, TEN), (-10, None)], &looks([5])), None, "it ended before the period");
    assert_eq!(over(&[(100, TEN)], &looks([5])), None, "it came when the period was over");
}

#[test]
fn given_a_look_every_interval_then_there_is_no_gap() {
    let found = over(&[(-50, TEN)], &looks((-50..=100).step_by(10))).unwrap();
    assert_eq!((found.looks, found.gaps.as_slice(), found.more_gaps), (10, &[][..], 0));
    let [only] = found.intervals.as_slice() else { unreachable!("one interval was in force") };
    assert_eq!((only.from, only.to, only.interval_s), (minute(0), minute(100), 600));
}

#[test]
fn given_looks_that_stay_away_then_every_longer_gap_is_told_with_where_it_began_and_ended() {
    let seen = looks([-15, 3, 13, 24, 30, 40, 50, 60, 70, 80]);
    let found = over(&[(-50, TEN)], &seen).unwrap();
    // The first began before the period, and the last has not ended with it.
    assert_eq!(found.gaps, [gap(-15, 3, 600), gap(13, 24, 600), gap(80, 100, 600)]);
    let nobody = over(&[(-50, TEN)], &looks([])).unwrap();
    assert_eq!((nobody.looks, nobody.gaps), (0, vec![gap(-50, 100, 600)]));
}

#[test]
fn given_an_interval_that_changes_then_each_is_judged_for_the_time_it_was_in_force() {
    let since = [(-50, None), (10, Some(3600)), (20, Some(3600)), (50, TEN), (80, None)];
    let found = over(&since, &looks([15, 55, 90])).unwrap();
    let told: Vec<_> = found.intervals.iter().map(|one| (one.from, one.to, one.interval_s)).collect();
    assert_eq!(told, [(minute(10), minute(50), 3600), (minute(50), minute(80), 600)]);
    assert_eq!(found.gaps, [gap(55, 80, 600)]);
    assert_eq!(found.looks, 2, "where nobody asks for a look, none is counted");
}

#[test]
fn given_new_settings_while_nobody_looks_then_they_close_no_gap() {
    // Published again and again, so that none is in force for as long as it is.
    let since: Vec<_> = (-6..20).map(|time| (time * 5, Some(600 + u32::from(time % 2 == 0)))).collect();
    let found = over(&since, &looks([-20, 70])).unwrap();
    assert_eq!(found.gaps, [gap(-20, 70, 601), gap(70, 100, 601)]);
    assert_eq!(found.intervals.len(), 20);
    let nobody = over(&since, &looks([])).unwrap();
    assert_eq!(nobody.gaps, [gap(-30, 100, 601)], "since looks were asked for");
    // Somebody who had an hour had it, and from then on ten minutes.
    let hour = [(-50, Some(3600)), (10, TEN)];
    assert_eq!(over(&hour, &looks((-30..0).chain(15..100))).unwrap().gaps, []);
    assert_eq!(over(&hour, &looks((-30..0).chain(25..100))).unwrap().gaps, [gap(10, 25, 600)]);
    assert_eq!(over(&hour, &looks((-50..=-40).chain(25..100))).unwrap().gaps, [gap(-40, 25, 3600)]);
    // Ten minutes that were over before an hour was enough.
    assert_eq!(
        over(&[(-50, TEN), (20, Some(3600))], &looks([-5, 0, 8, 25, 80])).unwrap().gaps,
        [gap(8, 20, 600)]
    );
    // What was over before the period is none of it.
    assert_eq!(over(&[(-50, TEN), (-10, Some(3600))], &looks([-30, 5, 60])).unwrap().gaps, []);
}

#[test]
fn given_a_time_in_which_nobody_asked_for_looks_then_it_is_no_gap() {
    let since = [(-50, TEN), (20, None), (70, TEN)];
    let found = over(&since, &looks([-5, 5, 13, 40, 75, 84, 93])).unwrap();
    assert_eq!((found.gaps.as_slice(), found.looks), (&[][..], 5));
    assert_eq!(over(&since, &looks([-5, 5, 13, 40, 93])).unwrap().gaps, [gap(70, 93, 600)]);
}

#[test]
fn given_looks_that_are_told_an_interval_later_then_they_close_no_gap() {
    let told_late = Look { at: minute(50), recorded_at: minute(61) };
    let in_time = Look { at: minute(90), recorded_at: minute(100) };
    let found = over(&[(0, TEN)], &Seen(vec![told_late, in_time])).unwrap();
    assert_eq!((found.looks, found.told_late), (1, 1));
    assert_eq!(found.gaps, [gap(0, 90, 600)]);
}

#[test]
fn given_more_gaps_than_are_listed_then_the_longest_are_in_the_order_of_time_and_the_rest_counted() {
    let every_half_minute = (0..200).map(|half| minute(0) + SignedDuration::from_secs(half * 30));
    let seen = Seen(every_half_minute.map(|at| Look { at, recorded_at: at }).collect());
    let found = over(&[(-1, Some(10))], &seen).unwrap();
    assert_eq!((found.gaps.len(), found.more_gaps), (MAX_GAPS, 201 - MAX_GAPS as u64));
    assert_eq!(found.gaps[0].seconds, 60, "the first is the longest");
    assert!(found.gaps.is_sorted_by_key(|gap| gap.from));
}
