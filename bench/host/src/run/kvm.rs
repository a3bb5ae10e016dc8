//! What QEMU says when KVM cannot start a guest, or gives one up in the middle.
//!
//! After it gave a guest up, QEMU stops the guest's CPUs and waits for ever, so a run has to be ended from outside. The texts are those
//! of QEMU's `accel/kvm/kvm-all.c` and `target/i386/kvm/kvm.c`.

/// What QEMU writes when a guest cannot go on.
const GAVE_UP: [&str; 3] = [
    "KVM internal error",
    "KVM: entry failed",
    "error: kvm run failed",
];
/// What it writes when KVM is not there, before it ends.
const ABSENT: [&str; 2] = [
    "Could not access KVM kernel module",
    "failed to initialize kvm",
];
/// What it writes, too, when KVM interprets the guest and met an instruction that it does not know.
const EMULATION_FAILURE: &str = "emulation failure";

/// Whether QEMU says that KVM gave the guest up.
pub fn gave_up(stderr: &str) -> bool {
    GAVE_UP.iter().any(|text| stderr.contains(text))
}

/// Why KVM is no use on this host and what to use instead, in one sentence; `None` if QEMU says nothing of KVM.
pub fn complaint(stderr: &str) -> Option<String> {
    let what = if stderr.contains(EMULATION_FAILURE) {
        "this host's KVM interprets the guest's instructions, and gave up at one that it does not know"
    } else if gave_up(stderr) {
        "this host's KVM cannot run the guest"
    } else if ABSENT.iter().any(|text| stderr.contains(text)) {
        "QEMU cannot use KVM on this host"
    } else {
        return None;
    };
    Some(format!(
        "{what}: take --accel auto, which uses KVM only where it is worth having, or --icount"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_in_which_kvm_fails_has_its_sentence() {
        for (stderr, given_up, start) in [
            (
                "KVM internal error. Suberror: 1\nextra data[0]: 0x1\nemulation failure\nRAX=0\n",
                true,
                "this host's KVM interprets",
            ),
            (
                "KVM internal error. Suberror: 3\n",
                true,
                "this host's KVM cannot run",
            ),
            (
                "KVM: entry failed, hardware error 0x80000021\n",
                true,
                "this host's KVM cannot run",
            ),
            (
                "error: kvm run failed Bad address\n",
                true,
                "this host's KVM cannot run",
            ),
            (
                "Could not access KVM kernel module: No such file or directory\n",
                false,
                "QEMU cannot use KVM",
            ),
        ] {
            assert_eq!(gave_up(stderr), given_up, "{stderr}");
            let message = complaint(stderr).expect(stderr);
            assert!(message.starts_with(start), "{message}");
            assert!(message.contains("--accel auto") && message.contains("--icount"));
        }
        let other = "qemu: warning: host doesn't support requested feature\n";
        assert!(!gave_up(other) && complaint(other).is_none());
    }
}
