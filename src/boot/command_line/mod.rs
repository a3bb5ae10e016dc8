//! The command line as typed options: words of the form `key=value`, separated by spaces.
//!
//! kexec puts the name of the image's file in front, where GRUB's `multiboot2` and QEMU's `-append` put nothing: a first word
//! that cannot be an option is that name ([`file_name`]). Any other word that is no option is an error that names it.
//!
//! A new option is a line of the table below, and a type in `value` for what it takes.

mod error;
mod filter;
mod serial;
mod value;

pub use self::error::OptionError;
pub use self::filter::Filter;
pub use self::serial::Serial;
pub use self::value::*;

/// Makes the options of a table of keys and types. What is not given has its type's default.
macro_rules! options {
    ($($(#[$about:meta])* $key:ident: $value:ty,)+) => {
        /// Everything that the command line can say. What it does not say has its default.
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct Options {
            $($(#[$about])* pub $key: $value,)+
        }

        /// Every key.
        const KEYS: &[&str] = &[$(stringify!($key)),+];

        impl Options {
            /// Gives the option of this key its value.
            fn set<'a>(&mut self, key: &'a str, text: &'a str) -> Result<(), OptionError<'a>> {
                match key {
                    $(stringify!($key) => self.$key = value_of(key, text)?,)+
                    _ => return Err(OptionError::UnknownKey(key)),
                }
                Ok(())
            }
        }
    };
}

options! {
    /// `suite=`
    suite: Suite,
    /// `only=`: run just these cases.
    only: Option<Filter>,
    /// `rounds=`: instead of the suite's number.
    rounds: Option<Rounds>,
    /// `seconds=`: how long the soak suite takes.
    seconds: Option<Seconds>,
    /// `limit=`: how long the run may take.
    limit: Option<Seconds>,
    /// `passes=`: how often the cases are gone through, the rounds spread over the passes.
    passes: Option<Rounds>,
    /// `seed=`: of the order in which a round takes the cases.
    seed: Seed,
    /// `smp=`: how many CPUs to use, instead of all in the full suite and one in any other.
    smp: Option<CpuCount>,
    /// `shootdowns=`: rounds of each check that no CPU reads stale data.
    shootdowns: Option<Shootdowns>,
    /// `align=`: of the code that takes samples.
    align: Align,
    /// `frequency=`: of the core.
    frequency: Frequency,
    /// `layout=`: of the address space.
    layout: LayoutName,
    /// `propagation=`: of entries of the reference table.
    propagation: Propagation,
    /// `ceiling=`: instead of the default flush ceiling.
    ceiling: Option<Ceiling>,
    /// `stale=`: what is known of the TLB's memory.
    stale: Stale,
    /// `lazy_max_pages=`: pages of freed vmalloc areas that may wait for a flush, instead of the default.
    lazy_max_pages: Option<Pages>,
    /// `provoke=`: fail on purpose.
    provoke: Option<Provoke>,
    /// `mutate=`: measure nothing, and put the proofs to the proof.
    mutate: Option<Mutate>,
    /// `rsdp=`: physical address of the ACPI root pointer, instead of what the loader says and what is found.
    rsdp: Option<Address>,
    /// `serial=`: which serial port the log goes to.
    serial: Serial,
    /// `screen=`: what the screen shows.
    screen: ScreenUse,
    /// `signals=`: what the log has for the scheduler of a lab.
    signals: Signals,
    /// `exit=`
    exit: Exit,
    /// `machine=`: a name for the machine, such as QEMU's machine type. The log has the whole command line for its readers.
    machine: Label,
    /// `cpu=`: the CPU model, in the same way.
    cpu: Label,
    /// `boot=`: the number of this boot in a campaign, in the same way.
    boot: Label,
}

impl Options {
    /// Parses a whole command line.
    ///
    /// # Errors
    ///
    /// The first word that cannot be followed.
    pub fn parse(line: &str) -> Result<Self, OptionError<'_>> {
        let mut options = Options::default();
        let mut given = [false; KEYS.len()];
        for word in line.split_whitespace().skip(file_name(line).iter().len()) {
            let (key, text) = word.split_once('=').ok_or(OptionError::NotAnOption(word))?;
            if let Some(place) = KEYS.iter().position(|&known| known == key)
                && core::mem::replace(&mut given[place], true)
            {
                return Err(OptionError::Repeated(key));
            }
            options.set(key, text)?;
        }
        Ok(options)
    }

    /// The options of the valid words, each at its first occurrence, and the defaults of all others. A run that is refused for one
    /// word still knows by these how to end, and where to report the refusal.
    #[must_use]
    pub fn of_good_words(line: &str) -> Self {
        let mut options = Options::default();
        let mut given = [false; KEYS.len()];
        for (key, text) in line
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
        {
            let known = KEYS.iter().position(|&known| known == key);
            if let Some(place) = known.filter(|&place| !given[place]) {
                given[place] = options.set(key, text).is_ok();
            }
        }
        options
    }
}

/// The name of the image's file, if the command line begins with one: a word that has no `=`, or a path.
#[must_use]
pub fn file_name(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let key = word.split_once('=').map(|(key, _)| key);
    key.is_none_or(|key| key.contains('/')).then_some(word)
}

fn value_of<'a, T: Value>(key: &'a str, text: &'a str) -> Result<T, OptionError<'a>> {
    T::parse(text).ok_or(OptionError::BadValue {
        key,
        value: text,
        accepted: T::ACCEPTED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_option_is_understood() {
        let options = Options::parse(
            "  suite=full only=tlb/*,pt/map/?  rounds=7 seed=9 smp=4 align=sweep layout=classic propagation=preallocated ceiling=64 lazy_max_pages=100 provoke=hang exit=reset machine=pc cpu=max,+x2apic=off boot=7 ",
        )
        .unwrap();
        assert_eq!(options.suite, Suite::Full);
        assert_eq!(options.rounds, Some(Rounds(7)));
        assert_eq!(options.seed, Seed(9));
        assert_eq!(options.align, Align::Sweep);
        assert_eq!(options.smp, Some(CpuCount(4)));
        assert_eq!(options.layout, LayoutName::Classic);
        assert_eq!(options.propagation, Propagation::Preallocated);
        assert_eq!(options.ceiling, Some(Ceiling(64)));
        assert_eq!(options.lazy_max_pages, Some(Pages(100)));
        assert_eq!(options.provoke, Some(Provoke::Hang));
        assert_eq!(options.exit, Exit::Reset);
        let only = options.only.unwrap();
        assert!(
            only.matches("tlb/invlpg") && only.matches("pt/map/1") && !only.matches("pt/map/512")
        );
        assert_eq!(Options::parse(""), Ok(Options::default()));
    }

    #[test]
    fn good_words_count_beside_bad_ones() {
        let options = Options::of_good_words(
            "/boot/pm.elf suite=enormous exit=reset colour exit=halt serial=com7 serial=com2 x=y",
        );
        assert_eq!(options.exit, Exit::Reset);
        assert_eq!(Some(options.serial), Serial::parse("com2"));
        assert_eq!(options.suite, Suite::default());
        let line = "suite=full smp=4 exit=halt rounds=3";
        assert_eq!(Ok(Options::of_good_words(line)), Options::parse(line));
    }

    #[test]
    fn each_bad_word_is_named() {
        for (line, message) in [
            (
                "pm.elf quiet",
                "command line: `quiet` is not of the form key=value",
            ),
            (
                "sweet=full",
                "command line: unknown key `sweet`; the keys are ",
            ),
            (
                "suite=full suite=full",
                "command line: `suite` is given twice",
            ),
            (
                "suite=",
                "command line: `suite` cannot be ``; it takes quick, full, soak or probe",
            ),
            (
                "rounds=0",
                "command line: `rounds` cannot be `0`; it takes a number from 1 to 250",
            ),
            (
                "rounds=251",
                "command line: `rounds` cannot be `251`; it takes a number from 1 to 250",
            ),
            (
                "shootdowns=0",
                "command line: `shootdowns` cannot be `0`; it takes a number from 1 to 1000000",
            ),
            (
                "shootdowns=1000001",
                "command line: `shootdowns` cannot be `1000001`; it takes a number from 1 to 1000000",
            ),
            (
                "ceiling=-1",
                "command line: `ceiling` cannot be `-1`; it takes a number of pages",
            ),
            (
                "only=a,,b",
                "command line: `only` cannot be `a,,b`; it takes patterns of case names separated by commas",
            ),
            (
                "layout=narrow",
                "command line: `layout` cannot be `narrow`; it takes wide, classic or wide5",
            ),
            (
                "propagation=eager",
                "command line: `propagation` cannot be `eager`; it takes lazy or preallocated",
            ),
            (
                "lazy_max_pages=32M",
                "command line: `lazy_max_pages` cannot be `32M`; it takes a number of pages",
            ),
            (
                "exit=off",
                "command line: `exit` cannot be `off`; it takes auto, halt or reset",
            ),
            (
                "machine=",
                "command line: `machine` cannot be ``; it takes a name",
            ),
            (
                "rsdp=7fe0000",
                "command line: `rsdp` cannot be `7fe0000`; it takes an address, such as 0xf52c0",
            ),
            ("cpu=max cpu=max", "command line: `cpu` is given twice"),
            (
                "serial=ttyS0",
                "command line: `serial` cannot be `ttyS0`; it takes none, com1 to com4, port:ADDRESS or pci, with ,BAUD behind a port, or mmio:ADDRESS,BITS with the width of a register: 8, 16 or 32",
            ),
            (
                "provoke=joy",
                "command line: `provoke` cannot be `joy`; it takes panic, guard-page, null, hang, bring-up-hang, other-cpu-panic, other-cpu-guard-page or starting-cpu-panic",
            ),
        ] {
            let error = Options::parse(line).unwrap_err().to_string();
            // The list of all keys is checked below.
            let shown = error.split_inclusive("keys are ").next().unwrap();
            assert_eq!(shown, message);
        }
    }

    #[test]
    fn a_first_word_that_is_a_file_is_no_option() {
        for (line, name) in [
            (
                "/boot/pm.elf suite=full rsdp=0x7FE14014",
                Some("/boot/pm.elf"),
            ),
            ("./a=b/pm suite=full rsdp=0x7fe14014", Some("./a=b/pm")),
            (
                "pagemark-image rsdp=0x7fe14014 suite=full",
                Some("pagemark-image"),
            ),
            (" suite=full rsdp=0x7fe14014", None),
        ] {
            assert_eq!(file_name(line), name);
            let options = Options::parse(line).unwrap();
            assert_eq!(options.suite, Suite::Full, "{line}");
            assert_eq!(options.rsdp, Some(Address(0x7fe1_4014)), "{line}");
        }
        assert_eq!(file_name(""), None);
        assert_eq!(Options::parse("/boot/pm.elf"), Ok(Options::default()));
    }

    #[test]
    fn the_error_for_an_unknown_key_lists_all_keys() {
        let message = Options::parse("sweet=full").unwrap_err().to_string();
        let keys = message.split_once("the keys are ").unwrap().1;
        assert!(keys.starts_with("suite, only, rounds, "), "{keys}");
        assert_eq!(keys.matches(" and ").count(), 1, "{keys}");
        for &key in KEYS {
            assert!(keys.contains(key), "{key} in {keys}");
        }
    }
}
