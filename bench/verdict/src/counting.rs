//! Counting the time-stamp counter against a timer whose rate is known.
//!
//! Neither may be trusted to be there: ports that nobody decodes read as all ones, and the clock of an 8254 can be gated. A timer that
//! stands still is given up within [`STANDS_STILL`] ticks, and everything within [`LONGEST`], whatever the rate is.

use core::fmt;

/// One reading of a timer between two of the TSC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    /// The TSC before.
    before: u64,
    /// The TSC after.
    after: u64,
    /// The timer.
    timer: u64,
}

impl Stamp {
    /// Ticks that reading the timer took: how uncertain its moment is.
    const fn uncertainty(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    const fn moment(&self) -> u64 {
        self.before + self.uncertainty() / 2
    }
}

/// What the count needs of a machine.
pub trait Clocks {
    /// Reads the time-stamp counter.
    fn tsc(&mut self) -> u64;

    /// Reads the timer, which counts upwards and wraps.
    fn timer(&mut self) -> u64;
}

/// How a timer counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    /// Its counts in a second.
    pub hertz: u64,
    /// The bits that count.
    pub mask: u64,
}

/// What the time-stamp counter was counted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Ticks in a second.
    pub hertz: u64,
    /// What the count resolves, in hertz: twice what it can be off by, rounded up to 1, 2 or 5 times a power of ten. Two counts of one
    /// rate, rounded to it, are equal where that rate is a multiple of it.
    pub resolution: u64,
}

impl Counted {
    /// `ticks` ticks passed, give or take `uncertain`, while a timer of `hertz` advanced by `passed`, give or take one.
    fn of(ticks: u64, uncertain: u64, passed: u64, hertz: u64) -> Option<Self> {
        let part = |whole: u64, of: u64, all: u64| {
            u128::from(whole) * u128::from(of) / u128::from(all.max(1))
        };
        let hertz = u64::try_from(part(ticks, hertz, passed)).ok()?;
        let off = part(hertz, uncertain, ticks) + part(hertz, 1, passed) + 1;
        let mut resolution = 1u128;
        for factor in [2, 5, 10].iter().cycle() {
            if resolution >= 2 * off {
                break;
            }
            resolution = match factor {
                // From 2 on to 5.
                5 => resolution / 2 * 5,
                _ => resolution * 2,
            };
        }
        Some(Counted {
            hertz,
            resolution: resolution.try_into().ok()?,
        })
    }
}

/// Why a timer gave no rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotCounted {
    /// It does not move: nothing decodes its port, or its clock is off.
    StandsStill,
    /// It moves, and takes too long over a part of a second.
    TooSlow,
    /// Reading it takes too large a part of what can be waited for, or was held up for so long that the timer may have wrapped unseen.
    TooUncertain,
}

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotCounted::StandsStill => "it stands still: it is absent, or its clock is off",
            NotCounted::TooSlow => "it moves too slowly for any rate of the TSC",
            NotCounted::TooUncertain => "reading it takes too long for a figure",
        })
    }
}

/// Ticks without a change after which a timer stands still. The slowest counts every 838 ns, which is 6,700 ticks at 8 GHz.
pub const STANDS_STILL: u64 = 300_000;
/// Equal readings that it takes beside that, as each may take as long where every access is an exit to a hypervisor.
const EQUAL_READINGS: u32 = 8;
/// Ticks after which a count is given up: 0.1 s at 8 GHz, 0.8 s at 1 GHz.
pub const LONGEST: u64 = 800_000_000;
/// The uncertainty of a good count, and of one that will do, as parts of what passed.
const GOOD: u64 = 1000;
const WILL_DO: u64 = 250;
/// A count is extended, up to this number of windows, until its uncertainty is low enough.
const WINDOWS: u64 = 10;
/// Readings for a stamp, of which the one that took the least time serves: what strikes from outside strikes few of them.
const TRIES: u32 = 5;

/// Counts that are tried where something held one up.
const COUNTS: u32 = 3;

/// Counts over a window of `1 / parts` of a second; longer where reading the timer takes long.
///
/// # Errors
///
/// Why there is no figure.
pub fn count(clocks: &mut dyn Clocks, timer: Timer, parts: u64) -> Result<Counted, NotCounted> {
    let mut counted = Err(NotCounted::TooUncertain);
    for _ in 0..COUNTS {
        counted = count_once(clocks, timer, parts);
        if counted != Err(NotCounted::TooUncertain) {
            break;
        }
    }
    counted
}

fn count_once(clocks: &mut dyn Clocks, timer: Timer, parts: u64) -> Result<Counted, NotCounted> {
    // The PIT wraps within 55 ms, for which a hypervisor on a busy host can hold a CPU up.
    let wraps_soon = timer.mask / timer.hertz.max(1) == 0;
    let mut longest = 0;
    let window = (timer.hertz / parts).max(1);
    let mut last = stamp(clocks);
    let begin = last;
    let mut moved_at = begin.after;
    let mut equal = 0;
    let mut passed: u64 = 0;
    let mut ready = window;
    // Readings pass by at the timer's pace, so that no wrap is missed.
    loop {
        let next = if passed >= ready {
            stamp(clocks)
        } else {
            read(clocks)
        };
        let step = next.timer.wrapping_sub(last.timer) & timer.mask;
        passed = passed.saturating_add(step);
        let ticks = next.moment().saturating_sub(begin.moment());
        longest = longest.max(next.after.saturating_sub(last.after));
        if passed >= ready {
            let uncertain = begin.uncertainty() + next.uncertainty();
            let full = passed >= window.saturating_mul(WINDOWS);
            if wraps_soon && longest > ticks / 4 {
                return Err(NotCounted::TooUncertain);
            }
            if uncertain <= ticks / GOOD || full && uncertain <= ticks / WILL_DO {
                return Counted::of(ticks, uncertain, passed, timer.hertz)
                    .ok_or(NotCounted::TooSlow);
            }
            if full {
                return Err(NotCounted::TooUncertain);
            }
            // Stamps take five readings each: not after every one.
            ready = passed.saturating_add(window);
        }
        if step == 0 {
            equal += 1;
            if equal >= EQUAL_READINGS && next.after.saturating_sub(moved_at) > STANDS_STILL {
                return Err(NotCounted::StandsStill);
            }
        } else {
            (equal, moved_at) = (0, next.after);
        }
        if ticks > LONGEST {
            return Err(NotCounted::TooSlow);
        }
        last = next;
        core::hint::spin_loop();
    }
}

fn read(clocks: &mut dyn Clocks) -> Stamp {
    let before = clocks.tsc();
    let timer = clocks.timer();
    Stamp {
        before,
        after: clocks.tsc(),
        timer,
    }
}

/// A reading of the timer, the most certain of a few.
fn stamp(clocks: &mut dyn Clocks) -> Stamp {
    (1..TRIES).fold(read(clocks), |best, _| {
        let next = read(clocks);
        if next.uncertainty() < best.uncertainty() {
            next
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TSC, and a timer that may stand still.
    struct Machine {
        now: u64,
        tsc_hertz: u64,
        timer: Timer,
        /// Ticks that reading the timer takes, and the interval in readings.
        access: u64,
        struck: Option<(u64, u64)>,
        readings: u64,
        /// The tick from which on the timer stands still.
        stops_at: u64,
    }

    impl Clocks for Machine {
        fn tsc(&mut self) -> u64 {
            self.now += 20;
            self.now
        }

        fn timer(&mut self) -> u64 {
            self.readings += 1;
            let strike = self
                .struck
                .filter(|(every, _)| self.readings.is_multiple_of(*every));
            let took = self.access + strike.map_or(0, |(_, ticks)| ticks);
            let at = (self.now + took / 2).min(self.stops_at);
            self.now += took;
            let counts = u128::from(at) * u128::from(self.timer.hertz) / u128::from(self.tsc_hertz);
            counts as u64 & self.timer.mask
        }
    }

    const PM_TIMER: Timer = Timer {
        hertz: 3_579_545,
        mask: 0xff_ffff,
    };
    const PIT: Timer = Timer {
        hertz: 1_193_182,
        mask: 0xffff,
    };
    const HPET: Timer = Timer {
        hertz: 14_318_180,
        mask: 0xffff_ffff,
    };

    fn machine(tsc_hertz: u64, timer: Timer) -> Machine {
        Machine {
            // Shortly before each of the timers wraps.
            now: tsc_hertz / PIT.hertz * 0xfff0,
            tsc_hertz,
            timer,
            access: 2000,
            struck: None,
            readings: 0,
            stops_at: u64::MAX,
        }
    }

    fn off_ppm(counted: u64, is: u64) -> u64 {
        counted.abs_diff(is) * 1_000_000 / is
    }

    #[test]
    fn every_timer_at_every_rate() {
        for timer in [PM_TIMER, PIT, HPET] {
            for hertz in [200_000_000, 806_400_000, 2_200_000_000, 6_000_000_000] {
                let mut machine = machine(hertz, timer);
                machine.access = hertz / 1_000_000;
                let counted = count(&mut machine, timer, 100).unwrap().hertz;
                assert!(
                    off_ppm(counted, hertz) < 400,
                    "{timer:?} {hertz}: {counted}"
                );
            }
        }
    }

    /// Wherever the counts begin, those of one rate say the same of it.
    #[test]
    fn rounded_to_what_they_resolve_all_counts_are_equal() {
        for timer in [PM_TIMER, PIT, HPET] {
            for access in [20, 100, 1000] {
                for parts in [100, 1000] {
                    let rounded = (0..30).map(|begin| {
                        let mut machine = machine(1_000_000_000, timer);
                        (machine.now, machine.access) = (machine.now + 97 * begin, access);
                        let counted = count(&mut machine, timer, parts).unwrap();
                        let steps = (2 * counted.hertz + counted.resolution) / counted.resolution;
                        assert!(counted.resolution < 20_000_000, "{counted:?}");
                        steps / 2 * counted.resolution
                    });
                    rounded.for_each(|hertz| assert_eq!(hertz, 1_000_000_000));
                }
            }
        }
    }

    #[test]
    fn a_resolution_is_a_round_number_that_covers_the_error() {
        let of = |ticks, uncertain, passed| {
            Counted::of(ticks, uncertain, passed, 1_000_000).map(|counted| counted.resolution)
        };
        // A count of 10,000 is good to 100 ppm.
        assert_eq!(of(10_000_000, 0, 10_000), Some(500_000));
        // As much again of the clock's own uncertainty.
        assert_eq!(of(10_000_000, 1000, 10_000), Some(500_000));
        assert_eq!(of(10_000_000, 2000, 10_000), Some(1_000_000));
        assert_eq!(of(100, 0, 100), Some(50_000));
        assert_eq!(of(u64::MAX, u64::MAX, 1), None);
    }

    /// A hypervisor's exit to its user program takes 0.1 ms where it is itself emulated: that made every count worthless once.
    #[test]
    fn a_timer_that_is_slow_to_read_is_counted_for_longer() {
        for timer in [PM_TIMER, PIT, HPET] {
            let mut machine = machine(2_600_000_000, timer);
            machine.access = 260_000;
            let counted = count(&mut machine, timer, 100).unwrap().hertz;
            assert!(
                off_ppm(counted, 2_600_000_000) < 4000,
                "{timer:?}: {counted}"
            );
            machine.access = 5_000_000;
            assert_eq!(
                count(&mut machine, timer, 100),
                Err(NotCounted::TooUncertain)
            );
        }
    }

    #[test]
    fn what_stands_still_is_given_up_at_once() {
        for (access, longest) in [(2000, 310_000), (260_000, 13 * 260_200)] {
            for timer in [PM_TIMER, PIT, HPET] {
                let mut machine = machine(2_000_000_000, timer);
                (machine.stops_at, machine.access) = (0, access);
                let begin = machine.now;
                assert_eq!(
                    count(&mut machine, timer, 100),
                    Err(NotCounted::StandsStill)
                );
                assert!(machine.now - begin < longest, "{}", machine.now - begin);
            }
        }
    }

    #[test]
    fn one_that_stops_on_the_way_and_one_that_crawls_are_given_up() {
        let mut stops = machine(2_000_000_000, PIT);
        stops.stops_at = stops.now + 5_000_000;
        assert_eq!(count(&mut stops, PIT, 100), Err(NotCounted::StandsStill));
        // A hundredth of the rate that it should have.
        let mut crawls = machine(2_000_000_000, HPET);
        crawls.timer.hertz /= 100;
        let begin = crawls.now;
        assert_eq!(count(&mut crawls, HPET, 100), Err(NotCounted::TooSlow));
        assert!(crawls.now - begin < LONGEST + 10_000);
    }

    /// A CPU that is held up for 60 ms, in which the PIT wraps: no wrap is left out.
    #[test]
    fn a_wrap_that_nobody_saw_makes_no_figure() {
        for every in [400, 1500, 3000] {
            let mut machine = machine(2_000_000_000, PIT);
            machine.struck = Some((every, 120_000_000));
            match count(&mut machine, PIT, 100) {
                Ok(Counted { hertz, .. }) => {
                    assert!(off_ppm(hertz, 2_000_000_000) < 400, "{hertz}")
                }
                Err(error) => assert_eq!(error, NotCounted::TooUncertain),
            }
        }
        // A timer that does not wrap meanwhile is none the worse for it.
        let mut machine = machine(2_000_000_000, PM_TIMER);
        machine.struck = Some((400, 120_000_000));
        let counted = count(&mut machine, PM_TIMER, 100).unwrap().hertz;
        assert!(off_ppm(counted, 2_000_000_000) < 400, "{counted}");
    }

    /// A system-management interrupt of 200 µs in every third reading is in none of the stamps.
    #[test]
    fn what_strikes_some_readings_does_not_show() {
        let mut machine = machine(2_000_000_000, PM_TIMER);
        machine.struck = Some((3, 400_000));
        let counted = count(&mut machine, PM_TIMER, 100).unwrap().hertz;
        assert!(off_ppm(counted, 2_000_000_000) < 400, "{counted}");
    }
}
