//! Colours: a policy, or an operation where there is no policy, has the same in every plot.

/// Classes of colours in the style sheet.
pub const COLOURS: usize = 8;
/// Kinds of dashes, solid lines among them.
pub const DASHES: usize = 4;

/// Parts of names whose colour is fixed, each group in one plot at a time.
const FIXED: [&[&str]; 8] = [
    &["descriptor", "pair_bit", "batched", "hot_cold"],
    &["", "list", "instant_fit", "", "tree"],
    &["by_page", "whole"],
    &["page by page", "everything"],
    &["no_pcid", "pcid"],
    &["lazy", "preallocated", "eager"],
    &[
        "map",
        "unmap",
        "protect",
        "remap",
        "harvest",
        "translate",
        "collapse",
        "split",
    ],
    &["alloc", "free", "vmap", "vunmap", "purge"],
];

/// The look of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The number of a colour, from 1.
    pub colour: usize,
    /// The number of a dash, from 0, which is solid.
    pub dash: usize,
}

/// The number of the colour of a line of this name: that of its last part that has one.
pub fn colour(name: &str) -> usize {
    let fixed = |part: &str| {
        let part = part.rsplit('=').next().unwrap_or(part);
        FIXED.iter().find_map(|group| {
            group
                .iter()
                .position(|known| !known.is_empty() && *known == part)
        })
    };
    match name.rsplit('/').find_map(fixed) {
        Some(place) => 1 + place,
        // Of the name itself, so that it is the same everywhere.
        None => {
            1 + name
                .bytes()
                .fold(0, |sum, byte| (sum * 31 + usize::from(byte)) % 1009)
                % COLOURS
        }
    }
}

/// The looks of a plot's lines; no two are alike while there are enough.
pub fn looks(names: &[&str]) -> Vec<Look> {
    let mut used: Vec<Look> = Vec::new();
    for name in names {
        let colour = colour(name);
        let dash = used.iter().filter(|look| look.colour == colour).count() % DASHES;
        used.push(Look { colour, dash });
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_one_colour_and_lines_of_one_colour_differ() {
        assert_eq!(
            colour("alloc/zone=aged/pair_bit"),
            colour("free/burst=512/pair_bit")
        );
        assert_ne!(colour("alloc/descriptor"), colour("alloc/pair_bit"));
        assert_ne!(colour("tree"), colour("list"));
        assert_eq!(colour("propagation=lazy"), colour("lazy"));
        let looks = looks(&["alloc/descriptor", "free/descriptor", "alloc/pair_bit"]);
        assert_eq!(looks[0].colour, looks[1].colour);
        assert_ne!(looks[0].dash, looks[1].dash);
        assert_eq!((looks[0].dash, looks[2].dash), (0, 0));
        assert!((1..=COLOURS).contains(&colour("rack7")));
    }
}
