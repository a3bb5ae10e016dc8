//! The events that the counters are set to, by model.
//!
//! Cycles and instructions are architectural events on Intel's CPUs (SDM volume 3, 20.2.1.2), and have had the same numbers on AMD's since
//! family 10H (APM volume 2, 13.2; the PPRs' "PMCx076" and "PMCx0C0"). Page walks are not: their numbers are those of Intel's event lists
//! (github.com/intel/perfmon, DTLB_LOAD_MISSES.WALK_COMPLETED and the like) and of AMD's PPRs ("PMCx045", misses of the L1 data TLB that the
//! L2 misses, too), as Linux 6.19 has them in tools/perf/pmu-events/arch/x86. A model that is not here has no counts of walks.

/// An event: what an event select takes in its bits 0 to 15, and AMD's further ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The event.
    pub number: u8,
    /// Which of its kinds.
    pub mask: u8,
}

const fn event(number: u8, mask: u8) -> Event {
    Event { number, mask }
}

/// Intel's core cycles and instructions, in a programmable counter.
pub const INTEL: [Event; 2] = [event(0x3c, 0), event(0xc0, 0)];
/// AMD's.
pub const AMD: [Event; 2] = [event(0x76, 0), event(0xc0, 0)];

/// What a model counts of page walks for data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walks {
    /// Completed walks, for loads and for stores; the cycles of each, summed up over the walks under way.
    Apart {
        /// Completed for loads.
        load: Event,
        /// Completed for stores.
        store: Event,
        /// Cycles of walks for loads and for stores.
        cycles: Option<[Event; 2]>,
    },
    /// Walks for loads and stores together.
    Together(Event),
}

/// Intel's numbers, of the two events for data; completed walks of all page sizes are mask 0EH, the cycles 10H.
const fn apart(load: u8, store: u8, has_cycles: bool) -> Walks {
    Walks::Apart {
        load: event(load, 0x0e),
        store: event(store, 0x0e),
        cycles: match has_cycles {
            true => Some([event(load, 0x10), event(store, 0x10)]),
            false => None,
        },
    }
}

/// The kind of core in CPUs that have two (CPUID 1AH, EAX bits 24 to 31).
const ATOM: u32 = 0x20;

/// What an Intel CPU of family 6 counts; `kind` is that of CPUID 1AH, or 0.
#[must_use]
pub const fn of_intel(model: u32, kind: u32) -> Option<Walks> {
    match (model, kind) {
        // Haswell, Broadwell; Skylake to Comet Lake, Cascade Lake; Ice, Tiger and Rocket Lake.
        (
            0x3c | 0x3f | 0x45 | 0x46 | 0x3d | 0x47 | 0x4f | 0x56 | 0x4e | 0x5e | 0x8e | 0x9e
            | 0xa5 | 0xa6 | 0x55 | 0x7d | 0x7e | 0x6a | 0x6c | 0x8c | 0x8d | 0xa7,
            _,
        ) => Some(apart(0x08, 0x49, true)),
        // Gracemont beside Golden Cove, and alone.
        (0x97 | 0x9a | 0xb7 | 0xba | 0xbf, ATOM) | (0xbe, _) => Some(apart(0x08, 0x49, false)),
        // Crestmont and Skymont beside other cores, and alone.
        (0xaa | 0xac | 0xb5 | 0xbd | 0xc5 | 0xc6 | 0xcc, ATOM) | (0xaf | 0xb6, _) => {
            Some(apart(0x08, 0x49, true))
        }
        // Darkmont.
        (0xdd, _) => Some(apart(0x08, 0x49, false)),
        // Golden, Raptor, Redwood and Lion Cove.
        (
            0x8f | 0xcf | 0xad | 0xae | 0x97 | 0x9a | 0xb7 | 0xba | 0xbf | 0xaa | 0xac | 0xb5
            | 0xbd | 0xc5 | 0xc6 | 0xcc,
            _,
        ) => Some(apart(0x12, 0x13, true)),
        _ => None,
    }
}

/// What an AMD CPU counts: Zen to Zen 5.
#[must_use]
pub const fn of_amd(family: u32) -> Option<Walks> {
    match family {
        0x17 | 0x19 | 0x1a => Some(Walks::Together(event(0x45, 0xf0))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_two_kinds_of_cores_have_their_own_events() {
        assert_eq!(of_intel(0x97, ATOM), Some(apart(0x08, 0x49, false)));
        assert_eq!(of_intel(0x97, 0x40), Some(apart(0x12, 0x13, true)));
        assert_eq!(of_intel(0x55, 0), Some(apart(0x08, 0x49, true)));
        // Sandy Bridge, and one to come.
        assert_eq!([of_intel(0x2a, 0), of_intel(0xff, 0)], [None, None]);
        assert_eq!(of_amd(0x1a), Some(Walks::Together(event(0x45, 0xf0))));
        assert_eq!(of_amd(0x15), None);
    }
}
