use proptest::prelude::*;

use super::world::{DAY, MOST_OFF, SECOND, World};
use super::*;

/// A relay's clock in a world of its own.
struct Bench {
    world: Arc<World>,
    clock: Clock,
}

impl Bench {
    fn new(regions: &[&str]) -> Self {
        let world = World::new(regions);
        Self { clock: world.clock(), world }
    }

    /// One that has run for two hours.
    fn settled(regions: &[&str]) -> Self {
        let bench = Self::new(regions);
        bench.run(2 * 3_600 / 5);
        assert!(bench.clock.is_steady());
        bench
    }

    fn run(&self, steps: u32) {
        self.world.run(&self.clock, steps);
    }

    fn off(&self) -> u64 {
        self.clock.now_us().abs_diff(self.world.truth())
    }
}

#[test]
fn one_clock_that_jumps_is_outvoted_even_without_a_region() {
    for regions in [&[][..], &["eu"], &["eu", "us"]] {
        for who in World::new(regions).clocks() {
            for off_us in [400 * DAY, 9 * DAY, 20 * SECOND, -20 * SECOND, -400 * DAY] {
                let bench = Bench::settled(regions);
                bench.world.set(&who, off_us);
                for _ in 0..40 {
                    bench.run(1);
                    assert!(bench.off() <= MOST_OFF, "{who} by {off_us}: off by {} µs", bench.off());
                }
                assert!(bench.clock.is_agreed());
                assert!(bench.clock.earliest_us() <= bench.world.truth());
                bench.world.set(&who, 0);
                bench.run(1);
                assert_eq!(bench.off(), 0);
                assert!(bench.clock.is_steady());
            }
        }
    }
}

#[test]
fn from_the_moment_that_the_host_s_clock_jumps_nothing_is_written_until_the_next_vote() {
    for off_us in [400 * DAY, -400 * DAY] {
        let bench = Bench::settled(&[]);
        bench.world.set(&ClockId::Host, off_us);
        assert!(!bench.clock.is_agreed());
        bench.run(1);
        assert!(bench.clock.is_agreed());
    }
}

#[test]
fn a_relay_that_starts_while_one_clock_is_off_goes_by_the_others() {
    for who in World::new(&["eu", "us"]).clocks() {
        let bench = Bench::new(&["eu", "us"]);
        bench.world.set(&who, 9 * DAY);
        bench.run(1);
        assert_eq!(bench.off(), 0, "{who}");
        assert!(bench.clock.is_agreed());
    }
    // Where no region answers, the centre's is believed, and not at once.
    let bench = Bench::new(&[]);
    bench.world.set(&ClockId::Host, 9 * DAY);
    bench.run(5);
    assert!(!bench.clock.is_agreed());
    bench.run(1);
    assert_eq!(bench.off(), 0);
    assert!(bench.clock.is_agreed());
}

#[test]
fn all_clocks_together_are_followed_after_a_minute_and_nothing_is_forgotten_for_an_hour() {
    for off_us in [9 * DAY, -9 * DAY] {
        let bench = Bench::settled(&["eu"]);
        bench.world.clocks().iter().for_each(|who| bench.world.set(who, off_us));
        for _ in 0..7 {
            assert!(!bench.clock.is_agreed());
            bench.run(1);
        }
        assert!(bench.off() <= MOST_OFF, "35 seconds change nothing");
        bench.run(5);
        assert_eq!(bench.off(), off_us.unsigned_abs());
        assert!(bench.clock.is_agreed());
        bench.run(3_600 / 5 - 1);
        assert!(!bench.clock.is_steady());
        bench.run(1);
        assert!(bench.clock.is_steady());
    }
}

#[test]
fn nothing_is_forgotten_in_the_first_hour() {
    let bench = Bench::new(&["eu"]);
    bench.run(3_600 / 5);
    assert!(!bench.clock.is_steady());
    bench.run(1);
    assert!(bench.clock.is_steady());
}

#[test]
fn a_time_that_nobody_confirms_stands_still() {
    let bench = Bench::settled(&["eu"]);
    bench.world.pass(Duration::from_secs(600));
    assert_eq!(bench.off(), 570_000_000);
    assert!(!bench.clock.is_steady());
    bench.run(12);
    assert_eq!(bench.off(), 0);
}

#[test]
fn a_monotonic_clock_that_jumps_along_does_not_carry_the_time_far() {
    for off_us in [400 * DAY, -400 * DAY] {
        let bench = Bench::settled(&["eu", "us"]);
        bench.world.set(&ClockId::Host, off_us);
        bench.world.set_monotonic(off_us);
        assert!(bench.off() <= 3 * MOST_OFF, "before anybody answers");
        for _ in 0..12 {
            bench.run(1);
            assert!(bench.off() <= 3 * MOST_OFF, "off by {}", bench.off());
        }
        bench.run(1);
        assert_eq!(bench.off(), 0);
    }
}

#[test]
fn the_log_s_time_goes_back_only_from_a_far_future() {
    let bench = Bench::settled(&["eu"]);
    let now = bench.clock.now_us();
    assert_eq!(bench.clock.following(now - 5), now);
    assert_eq!(bench.clock.following(now + 5), now + 5);
    let hour = votes::micros(MOST_AHEAD);
    assert_eq!(bench.clock.following(now + hour), now + hour, "it is waited for");
    assert_eq!(bench.clock.following(now + hour + 1), now);
    assert_eq!(bench.clock.following(u64::MAX), now);
}

#[test]
fn the_log_s_time_does_not_go_back_because_one_clock_did() {
    for who in World::new(&["eu"]).clocks() {
        let bench = Bench::settled(&["eu"]);
        let before = bench.clock.now_us();
        bench.world.set(&who, -400 * DAY);
        bench.run(40);
        assert!(bench.clock.following(before) >= before, "{who}");
    }
}

proptest! {
    /// One clock at a time is off, by anything, as often as it likes.
    #[test]
    fn whatever_one_clock_does_the_time_is_right(
        faults in prop::collection::vec((0_usize..4, -500 * DAY..500 * DAY, 1_u32..60, 1_u32..20), 1..12),
    ) {
        let bench = Bench::settled(&["eu", "us"]);
        let clocks = bench.world.clocks();
        let mut last = 0;
        for (which, off_us, during, pause) in faults {
            bench.world.set(&clocks[which], off_us);
            for _ in 0..during {
                bench.run(1);
                prop_assert!(bench.off() <= MOST_OFF, "{} by {off_us}: {}", clocks[which], bench.off());
                let next = bench.clock.following(last);
                prop_assert!(next >= last);
                last = next;
            }
            bench.world.set(&clocks[which], 0);
            bench.run(pause);
            prop_assert_eq!(bench.off(), 0);
        }
    }
}
