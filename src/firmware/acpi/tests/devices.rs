//! Timers and serial ports.

use super::*;

#[test]
fn timers_that_are_not_where_they_can_be_read_are_left_out() {
    let with = |fadt, hpet| Tables::new(vec![madt(&[cpu(0, 1)]), fadt, hpet]).read();
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut fadt = fadt();
        change(&mut fadt);
        seal(&mut fadt, 9);
        fadt
    };
    for (hpet_table, place) in [
        (hpet(1, 0xfed0_0000), (1, 0xfed0_0000)),
        (hpet(0, 0), (0, 0)),
        (hpet(0, 0xfed0_0001), (0, 0xfed0_0001)),
    ] {
        let firmware = with(fadt(), hpet_table);
        assert_eq!((firmware.hpet, firmware.pm_timer), (None, Some(0x608)));
        let (space, address) = (Some(place.0), place.1);
        assert_eq!(
            faults(&firmware),
            [TableFault::Hpet(Location { space, address })]
        );
    }
    let cut = table(&HPET, 1, &[0; 15]);
    assert_eq!(faults(&with(fadt(), cut)), [TableFault::Short(51)]);

    // The wide field of the PM timer counts where it is not 0.
    let wide = |space, address: u64| {
        change(&|fadt| {
            fadt[208..212].copy_from_slice(&[space, 32, 0, 3]);
            fadt[212..220].copy_from_slice(&address.to_le_bytes());
        })
    };
    let good = hpet(0, 0xfed0_0000);
    assert_eq!(with(wide(1, 0x1808), good.clone()).pm_timer, Some(0x1808));
    assert_eq!(with(wide(1, 0), good.clone()).pm_timer, Some(0x608));
    for (space, address) in [(0, 0xfe00_0608), (1, 0x1_0608), (1, 0xfffd)] {
        let firmware = with(wide(space, address), good.clone());
        assert_eq!(firmware.pm_timer, None);
        let place = Location {
            space: Some(space),
            address,
        };
        assert_eq!(faults(&firmware), [TableFault::PmTimer(place)]);
    }
    assert_eq!(with(wide(0x55, 0x608), good.clone()).pm_timer, None);
    // No timer is no fault.
    let none = change(&|fadt| fadt[91] = 0);
    let firmware = with(none, good.clone());
    assert_eq!(
        (firmware.pm_timer, firmware.complaints.kept()),
        (None, &[][..])
    );
    // Revision 1 ends before the wide fields, and a FADT may end anywhere.
    for length in 36..276u32 {
        let mut short = fadt();
        short.truncate(length as usize);
        short[4..8].copy_from_slice(&length.to_le_bytes());
        seal(&mut short, 9);
        let firmware = with(short, good.clone());
        assert_eq!(
            firmware.pm_timer,
            (length > 91).then_some(0x608),
            "{length}"
        );
        assert_eq!(
            faults(&firmware).len(),
            usize::from(length < 116),
            "{length}"
        );
        assert_eq!(firmware.hpet, Some(PhysAddr(0xfed0_0000)));
    }
}

#[test]
fn serial_ports_are_named_once_and_their_faults_said() {
    let serial = |tables| {
        let firmware = Tables::new(tables).read();
        let ports: Vec<_> = firmware.serial.iter().map(|hint| hint.address).collect();
        (ports, faults(&firmware))
    };
    assert_eq!(serial(vec![spcr(1, 0)]), (vec![], vec![]));
    let space = TableFault::Serial(SerialFault::Space(7));
    assert_eq!(serial(vec![spcr(7, 0x3f8)]), (vec![], vec![space]));
    let device = |port: u16| {
        let [low, high] = port.to_le_bytes();
        let head = vec![
            0, 34, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 22, 0, 0, 0,
        ];
        [head, vec![1, 8, 0, 1, low, high, 0, 0, 0, 0, 0, 0]].concat()
    };
    let ports = |ports: &[u16]| {
        let head = [44, ports.len() as u32].map(u32::to_le_bytes).concat();
        let devices: Vec<_> = ports.iter().flat_map(|&port| device(port)).collect();
        table(&DBG2, 0, &[head, devices].concat())
    };
    let both = serial(vec![ports(&[0x2f8, 0x3f8, 0x3e8]), spcr(1, 0x3f8)]);
    assert_eq!(both, (vec![0x3f8, 0x2f8, 0x3e8], vec![]));
    let many: Vec<u16> = (0..HINTS as u16 + 2)
        .map(|number| 0x1000 + 8 * number)
        .collect();
    let too_many = TableFault::Serial(SerialFault::TooMany);
    assert_eq!(serial(vec![ports(&many)]).1, [too_many; 2]);
}
