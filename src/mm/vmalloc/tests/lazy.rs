//! How much may wait for a flush, and that no more does.

use super::*;

#[test]
fn the_limit_is_linux_s_32_mib_for_each_bit_of_the_number_of_cpus() {
    for (cpus, mib) in [
        (1, 32),
        (2, 64),
        (3, 64),
        (4, 96),
        (7, 96),
        (8, 128),
        (15, 128),
        (16, 160),
        (31, 160),
        (64, 224),
        (127, 224),
    ] {
        let pages = Lazy::default_max_pages(cpus);
        assert_eq!((pages * PAGE_SIZE) >> 20, mib, "{cpus} CPUs");
        assert_eq!(Lazy::new(pages).max_pages(), pages);
    }
}

/// Up to the limit every CPU may keep the translations of what was freed; the area that goes beyond it takes all with it. Guard
/// pages, which were never mapped, do not count.
#[test]
fn the_area_that_goes_beyond_the_limit_flushes_all() {
    const LIMIT: u64 = 12;
    const PAGES: u64 = 3;
    let mut parts = Parts::new(2);
    let (mut kernel, _, tlb) = parts.kernel();
    let (mut slots, mut nodes) = (slots(16), nodes(16));
    let areas = GapTree::new(region(64), &mut slots, &mut nodes);
    let mut vmalloc = Vmalloc::new(owned(&kernel, 64), areas, Lazy::new(LIMIT));
    for round in 0..2 {
        for number in 1..=LIMIT / PAGES + 1 {
            let area = vmalloc.vmalloc(PAGES * PAGE_SIZE, &mut kernel).unwrap();
            let start = area.start();
            assert_eq!(start, page((number - 1) * (PAGES + 1)), "round {round}");
            tlb.access_on(1, &kernel.table, start).unwrap();
            vmalloc.vfree(area, &mut kernel).unwrap();
            let expected = match number * PAGES {
                pages @ ..=LIMIT => Waiting {
                    areas: number as usize,
                    pages,
                },
                _ => Waiting::default(),
            };
            assert_eq!(vmalloc.waiting(), expected);
            for old in 0..number {
                let held = tlb.holds(|address, _| address == page(old * (PAGES + 1)));
                assert_eq!(held, expected.areas > 0, "area {old} of {number}");
            }
        }
    }
}

#[test]
fn with_a_limit_of_0_nothing_waits() {
    let mut parts = Parts::new(2);
    let (mut kernel, _, tlb) = parts.kernel();
    let (mut slots, mut nodes) = (slots(16), nodes(16));
    let areas = GapTree::new(region(64), &mut slots, &mut nodes);
    let mut vmalloc = Vmalloc::new(owned(&kernel, 64), areas, Lazy::new(0));
    let area = vmalloc.vmalloc(1, &mut kernel).unwrap();
    tlb.access(&kernel.table, area.start()).unwrap();
    vmalloc.vfree(area, &mut kernel).unwrap();
    assert_eq!(vmalloc.waiting(), Waiting::default());
    assert!(!tlb.holds(|_, _| true));
}

/// After a flush the addresses go back a few with each call, whatever else happens, and a new flush waits for that.
#[test]
fn no_call_gives_all_addresses_back() {
    const LIMIT: usize = 100;
    let mut parts = Parts::new(1);
    let (mut kernel, ..) = parts.kernel();
    let (mut slots, mut nodes) = (slots(2 * LIMIT), nodes(2 * LIMIT));
    let areas = GapTree::new(region(4 * LIMIT as u64), &mut slots, &mut nodes);
    let mut vmalloc = Vmalloc::new(
        owned(&kernel, 4 * LIMIT as u64),
        areas,
        Lazy::new(LIMIT as u64),
    );
    let map = |vmalloc: &mut Vmalloc<_, _, _>, kernel: &mut _| {
        vmalloc.vmap(&[Pfn(1)], Protection::READ, kernel).unwrap()
    };
    let areas: Vec<_> = (0..=LIMIT)
        .map(|_| map(&mut vmalloc, &mut kernel))
        .collect();
    let more: Vec<_> = (0..5).map(|_| map(&mut vmalloc, &mut kernel)).collect();
    let mut most = 0;
    let mut waiting = 0;
    let mut left = Vec::new();
    for area in areas.into_iter().chain(more) {
        vmalloc.vunmap(area, &mut kernel).unwrap();
        let now = vmalloc.waiting().areas;
        most = most.max((waiting + 1_usize).saturating_sub(now));
        if waiting == LIMIT || !left.is_empty() {
            left.push(now);
        }
        waiting = now;
    }
    // What is no place any more went back in a portion of 64 at most, and the first portion is not all.
    assert!((1..=64).contains(&most), "{most} in one call");
    assert!(left[0] > 0, "{left:?}");
    assert!(left.is_sorted_by(|before, after| *after <= before + 1));
    let waiting = vmalloc.waiting().areas;
    assert_eq!(vmalloc.purge(&kernel).areas, waiting);
    assert_eq!((vmalloc.waiting(), vmalloc.live()), (Waiting::default(), 0));
}
