use super::{super::clock::Clock, *};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A retainer with its two clocks, which run together unless a test moves one.
struct Run {
    retainer: Retainer,
    clock: Clock,
    /// The corrections seen.
    jumps: Vec<i64>,
    now: Now,
    extent: Extent,
}

impl Run {
    fn new(days: u64, messages: u64) -> Self {
        Self::since(days, messages, None)
    }

    /// A retainer whose clock is ahead of the log by this much.
    fn since(days: u64, messages: u64, ahead: Option<SignedDuration>) -> Self {
        let now = Now {
            wall: "2026-11-22T09:00:00Z".parse().unwrap(),
            mono: Duration::from_secs(1_000),
        };
        let keep = Keep {
            days: NonZeroU64::new(days),
            messages: NonZeroU64::new(messages),
            bytes: None,
        };
        Self {
            retainer: Retainer::new(keep, ahead.map(|by| now.wall - by), now),
            clock: Clock::new(now),
            jumps: Vec::new(),
            now,
            extent: Extent::new(1, 100),
        }
    }

    /// Checks for a step, and reports it as done, with nothing more to erase.
    fn look(&mut self) -> Due {
        self.read_clock();
        let due = self.retainer.look(self.now, std::iter::once(self.extent));
        if due.step.is_some() {
            self.retainer.done(false);
        }
        due
    }

    /// Checks for a step, and reports it as done; `more`: with more to erase.
    fn look_as(&mut self, more: bool) -> bool {
        self.read_clock();
        let due = self.retainer.look(self.now, std::iter::once(self.extent));
        if due.step.is_some() {
            self.retainer.done(more);
        }
        due.step.is_some()
    }

    fn read_clock(&mut self) {
        if let Some(by) = self.clock.read(self.now) {
            self.retainer.clock_corrected(self.now.mono);
            self.jumps.push(by.as_secs());
        }
    }

    /// Lets time pass; returns the number of steps by age, and the jumps seen.
    fn pass(&mut self, time: Duration) -> (usize, Vec<i64>) {
        let mut steps = 0;
        let end = self.now.mono + time;
        while self.now.mono < end {
            self.now.mono += Duration::from_secs(10);
            self.now.wall += Duration::from_secs(10);
            let due = self.look();
            steps += usize::from(due.step.is_some_and(|step| step.keep_since.is_some()));
        }
        (steps, std::mem::take(&mut self.jumps))
    }

    fn jump(&mut self, seconds: i64) {
        self.now.wall += SignedDuration::from_secs(seconds);
    }
}

#[test]
fn everything_is_kept_unless_the_operator_says_otherwise() {
    let mut run = Run::new(0, 0);
    assert_eq!(run.retainer.wakes_at(), None);
    assert_eq!(run.look(), Due::default());
    run.jump(1_000_000);
    assert_eq!(run.pass(24 * HOUR), (0, vec![1_000_000]));
}

#[test]
fn by_age_every_hour_once_the_clock_was_seen_to_be_steady() {
    let mut run = Run::new(30, 0);
    assert_eq!(run.pass(Duration::from_mins(4)), (0, vec![]));
    assert_eq!(run.pass(2 * MINUTE), (1, vec![]));
    assert_eq!(run.pass(Duration::from_mins(58)), (0, vec![]));
    assert_eq!(run.pass(3 * MINUTE), (1, vec![]));
    assert_eq!(run.pass(24 * HOUR).0, 24);
}

#[test]
fn messages_as_old_as_the_limit_are_kept() {
    let mut run = Run::new(2, 0);
    run.pass(Duration::from_secs(290));
    run.now.mono += MINUTE;
    run.now.wall += MINUTE;
    let since = run.look().step.unwrap().keep_since.unwrap();
    assert_eq!(
        run.now.wall.duration_since(since),
        SignedDuration::from_hours(48)
    );
    // More days than the calendar has.
    let mut run = Run::new(u64::MAX, 0);
    assert_eq!(run.pass(24 * HOUR), (0, vec![]));
    let mut run = Run::new(100_000_000, 0);
    assert_eq!(run.pass(24 * HOUR), (0, vec![]));
}

#[test]
fn by_number_at_once_whatever_the_clock_says() {
    let mut run = Run::new(0, 100);
    assert_eq!(run.look(), Due::default());
    run.extent.head = 101;
    assert_eq!(
        run.look(),
        Due::default(),
        "not looked at before a minute is over"
    );
    run.jump(1_000_000);
    run.now.mono += MINUTE;
    let step = Retention {
        keep_since: None,
        messages_max: Some(100),
        bytes_max: None,
    };
    assert_eq!(
        run.look(),
        Due {
            step: Some(step),
            ..Due::default()
        }
    );
    run.extent.first = 2;
    run.now.mono += MINUTE;
    assert_eq!(run.look(), Due::default());
}

#[test]
fn while_there_is_more_to_go_a_step_follows_on_the_other() {
    let mut run = Run::new(0, 50);
    for _ in 0..5 {
        assert!(run.look_as(true));
        assert_eq!(run.retainer.wakes_at(), Some(Duration::ZERO));
    }
    assert!(run.look_as(false));
    assert!(!run.look_as(false));
}

#[test]
fn a_step_that_failed_comes_again() {
    let mut run = Run::new(0, 50);
    let due = run.retainer.look(run.now, std::iter::once(run.extent));
    assert!(due.step.is_some());
    run.retainer.failed();
    assert_eq!(run.look().step, None, "not before a minute is over");
    run.now.mono += MINUTE;
    assert!(run.look().step.is_some());
}

#[test]
fn after_a_jump_nothing_goes_by_age_until_the_clock_was_steady_for_an_hour() {
    let minute = i64::try_from(CORRECTION_MIN.as_secs()).unwrap();
    for by in [minute + 1, -minute - 1, 1_000_000_000, -1_000_000_000] {
        let mut run = Run::new(30, 0);
        run.pass(2 * HOUR);
        run.jump(by);
        let (steps, jumps) = run.pass(Duration::from_mins(59));
        assert_eq!((steps, &jumps[..]), (0, &[by][..]));
        assert_eq!(run.pass(3 * MINUTE), (1, vec![]));
    }
    for by in [minute, -minute, 1] {
        let mut run = Run::new(30, 0);
        run.pass(2 * HOUR);
        run.jump(by);
        assert_eq!(run.pass(HOUR), (1, vec![]), "by {by}");
    }
}

#[test]
fn each_jump_counts_anew_and_a_jump_back_is_one_too() {
    let mut run = Run::new(30, 0);
    run.pass(2 * HOUR);
    run.jump(100_000);
    assert_eq!(run.pass(HOUR / 2), (0, vec![100_000]));
    run.jump(-100_000);
    assert_eq!(run.pass(Duration::from_mins(59)), (0, vec![-100_000]));
    assert_eq!(run.pass(3 * MINUTE), (1, vec![]));
}

#[test]
fn a_jump_between_two_steps_ends_them() {
    let mut run = Run::new(30, 0);
    run.pass(2 * HOUR);
    run.now.mono += HOUR;
    run.now.wall += HOUR;
    let due = run.retainer.look(run.now, std::iter::once(run.extent));
    assert!(due.step.is_some());
    run.retainer.done(true);
    run.jump(1_000_000);
    assert_eq!(run.look().step, None);
    assert_eq!(run.pass(Duration::from_mins(59)).0, 0);
}

#[test]
fn a_machine_that_slept_waits_an_hour_too() {
    let mut run = Run::new(30, 0);
    run.pass(2 * HOUR);
    // The monotonic clock stood still.
    run.now.wall += 8 * HOUR;
    let (steps, jumps) = run.pass(Duration::from_mins(59));
    assert_eq!((steps, jumps.len()), (0, 1));
}

#[test]
fn a_clock_that_the_log_does_not_bear_out_is_not_believed_for_a_day() {
    let week = SignedDuration::try_from(AHEAD_MAX).unwrap();
    let minute = SignedDuration::try_from(CORRECTION_MIN).unwrap();
    let second = SignedDuration::from_secs(1);
    for by in [
        week + second,
        SignedDuration::from_hours(24 * 3_650),
        -minute - second,
        -week,
    ] {
        let mut run = Run::since(30, 0, Some(by));
        assert_eq!(run.look().doubt, Some(by));
        assert_eq!(
            run.pass(STEADY_IN_DOUBT.saturating_sub(MINUTE)),
            (0, vec![]),
            "by {by}"
        );
        assert_eq!(run.pass(3 * MINUTE), (1, vec![]), "by {by}");
        assert_eq!(run.look().doubt, None, "told once");
    }
    for by in [week, -minute, SignedDuration::ZERO] {
        let mut run = Run::since(30, 0, Some(by));
        assert_eq!(run.look().doubt, None);
        assert_eq!(
            run.pass(STEADY_AFTER_START + MINUTE),
            (1, vec![]),
            "by {by}"
        );
    }
    // Without a limit on age the clock does not matter.
    let mut run = Run::since(0, 50, Some(2 * week));
    let due = run.look();
    assert!(due.step.is_some() && due.doubt.is_none());
}

#[test]
fn a_jump_while_the_clock_is_in_doubt_begins_the_day_anew() {
    let mut run = Run::since(30, 0, Some(SignedDuration::from_hours(1_000)));
    assert_eq!(run.pass(23 * HOUR), (0, vec![]));
    run.jump(-3_600_000);
    assert_eq!(run.pass(23 * HOUR), (0, vec![-3_600_000]));
    assert_eq!(run.pass(2 * HOUR).0, 1);
}

#[test]
fn one_run_by_age_takes_a_tenth_and_the_next_goes_on() {
    let mut run = Run::new(30, 0);
    run.extent.head = 100_000;
    run.pass(Duration::from_mins(4));
    let mut firsts = Vec::new();
    for _ in 0..3 * 360 {
        run.now.mono += Duration::from_secs(10);
        run.now.wall += Duration::from_secs(10);
        while run.look_as(true) {
            run.extent.first += 1_000;
        }
        if firsts.last() != Some(&run.extent.first) {
            firsts.push(run.extent.first);
        }
    }
    assert_eq!(firsts, [1, 10_001, 19_001, 28_001]);
}

#[test]
fn the_size_of_the_log_is_checked_each_minute_whatever_the_clock_says() {
    let start = Now {
        wall: "2026-11-22T09:00:00Z".parse().unwrap(),
        mono: Duration::from_secs(1_000),
    };
    let keep = Keep {
        bytes: NonZeroU64::new(1 << 30),
        ..Keep::default()
    };
    let mut retainer = Retainer::new(keep, None, start);
    let step = Retention {
        bytes_max: Some(1 << 30),
        ..Retention::default()
    };
    let mut now = start;
    for _ in 0..3 {
        assert_eq!(retainer.wakes_at(), Some(now.mono));
        assert_eq!(retainer.look(now, [].into_iter()).step, Some(step));
        retainer.done(false);
        now.mono += LOOK_EVERY;
        // Whatever the clock shows.
        now.wall = start.wall - SignedDuration::from_hours(9);
    }
    assert_eq!(retainer.look(start, [].into_iter()).step, None);
}
