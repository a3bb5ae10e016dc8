//! vmalloc on a machine's MMU: what is checked there in every layout, and that its users in 2.4 work.

use super::{passed, pvh};
use pagemark_host::run::Boot;

/// Every check of areas, with RAM on both sides of 4 GiB, in whichever layout: high memory in one of them.
#[test]
fn areas_hold_in_every_layout() {
    for layout in ["wide", "classic", "wide5"] {
        let log = passed(&Boot {
            memory: "6G".to_owned(),
            ..pvh(&[
                "suite=quick",
                "only=swap_map/*,module/*,kmap/*,fixmap/*",
                &format!("layout={layout}"),
            ])
        });
        for check in [
            "guard_page",
            "not_executable",
            "read_only",
            "ram_is_no_device",
            "zones",
            "device",
            "info",
            "scattered_frames",
            "all_returned",
        ] {
            let name = format!("vmalloc/{check}");
            let done = log.checks.iter().any(|check| check.name == name);
            assert!(done, "{name} in {layout}");
        }
        let mut cases = vec![
            "swap_map/swapon/swap=1GiB",
            "swap_map/duplicate/uses=1000",
            "swap_map/swapoff/swap=1GiB",
            "module/load/size=64KiB",
            "module/unload/size=64KiB",
            "fixmap/set",
        ];
        if layout == "classic" {
            cases.extend(["kmap/map/frame=new", "kmap/unmap", "kmap/atomic"]);
        }
        for case in cases {
            let measured = log.results.iter().any(|result| result.case == case);
            assert!(measured, "{case} in {layout}: {:?}", log.skips);
        }
    }
}
