//! A text in few bytes: a [`Model`] says how likely each bit is, and an arithmetic coder makes that short (Witten, Neal, Cleary,
//! "Arithmetic Coding for Data Compression", 1987, in the carry-less form of lpaq). It is meant for texts of some KiB to some MiB.

use crate::model::Model;

/// What a log looks like. The model reads it before the text, so that it knows the keys of records from the start. A change of it is
/// a change of the format: [`Packing::Modelled`] is then another number.
pub const PRIMER: &[u8] = include_bytes!("primer.txt");

/// How a text is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Packing {
    /// As it is.
    Stored = 0,
    /// By the model of this module, primed.
    Modelled = 1,
}

impl Packing {
    /// The packing of this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Packing::Stored),
            1 => Some(Packing::Modelled),
            _ => None,
        }
    }
}

/// The packed text has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Packs what stands behind [`PRIMER`] in `text` into `out`, and returns how many bytes that takes. `memory` is
/// [`MODEL_WORDS`](crate::MODEL_WORDS) words.
///
/// # Errors
///
/// It has no room there, or `text` does not begin with the primer.
pub fn pack(text: &[u8], memory: &mut [u32], out: &mut [u8]) -> Result<usize, Full> {
    if !text.starts_with(PRIMER) {
        return Err(Full);
    }
    let mut model = primed(text, memory);
    let (mut low, mut high) = (0u32, u32::MAX);
    let mut used = 0;
    let mut put = |byte| {
        *out.get_mut(used).ok_or(Full)? = byte;
        used += 1;
        Ok(())
    };
    for at in PRIMER.len()..text.len() {
        for bit in (0..8).rev().map(|place| text[at] >> place & 1 != 0) {
            let middle = split(low, high, &model);
            if bit {
                high = middle;
            } else {
                low = middle + 1;
            }
            model.learn(bit);
            while low >> 24 == high >> 24 {
                put((high >> 24) as u8)?;
                low <<= 8;
                high = high << 8 | 0xff;
            }
        }
        model.end_byte(&text[..=at]);
    }
    // Any number between the bounds ends it; what is missing behind the last byte is read as zeros.
    put((low >> 24) as u8 + 1)?;
    Ok(used)
}

/// Unpacks a text into `text` behind [`PRIMER`], up to its end, whatever `packed` is. `memory` is as for [`pack`].
pub fn unpack(packed: &[u8], memory: &mut [u32], text: &mut [u8]) {
    if text.len() < PRIMER.len() {
        return;
    }
    text[..PRIMER.len()].copy_from_slice(PRIMER);
    let mut model = primed(text, memory);
    let (mut low, mut high) = (0u32, u32::MAX);
    let mut bytes = packed.iter().copied().chain(core::iter::repeat(0));
    let mut next = || u32::from(bytes.next().unwrap_or(0));
    let mut value = (0..4).fold(0, |value, _| value << 8 | next());
    for at in PRIMER.len()..text.len() {
        loop {
            let middle = split(low, high, &model);
            let bit = value <= middle;
            if bit {
                high = middle;
            } else {
                low = middle + 1;
            }
            let byte = model.learn(bit);
            while low >> 24 == high >> 24 {
                low <<= 8;
                high = high << 8 | 0xff;
                value = value << 8 | next();
            }
            if let Some(byte) = byte {
                text[at] = byte;
                break;
            }
        }
        model.end_byte(&text[..=at]);
    }
}

/// Where the range is split: below and at it are the ones.
fn split(low: u32, high: u32, model: &Model<'_>) -> u32 {
    low + ((u64::from(high - low) * u64::from(model.probability())) >> 16) as u32
}

/// A model that has read the primer, with which `text` begins.
fn primed<'m>(text: &[u8], memory: &'m mut [u32]) -> Model<'m> {
    let mut model = Model::new(memory);
    for at in 0..PRIMER.len() {
        for place in (0..8).rev() {
            model.learn(text[at] >> place & 1 != 0);
        }
        model.end_byte(&text[..=at]);
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WORDS;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn memory() -> Vec<u32> {
        vec![0x1234_5678; WORDS]
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let text = [PRIMER, text].concat();
        let mut out = vec![0; 2 * text.len() + 16];
        let used = pack(&text, &mut memory(), &mut out).unwrap();
        out.truncate(used);
        out
    }

    fn unpacked(packed: &[u8], length: usize) -> Vec<u8> {
        let mut text = vec![0; PRIMER.len() + length];
        unpack(packed, &mut memory(), &mut text);
        text.split_off(PRIMER.len())
    }

    fn comes_back(text: &[u8]) {
        assert_eq!(unpacked(&packed(text), text.len()), text);
    }

    #[test]
    fn texts_come_back() {
        comes_back(b"");
        comes_back(b"\n");
        comes_back(&[0; 5000]);
        comes_back(&[0xff; 5000]);
        comes_back(PRIMER);
        let all: Vec<u8> = (0..=255).collect();
        comes_back(&all);
    }

    #[test]
    fn records_take_a_sixth_and_less() {
        let line = |number: u64| {
            let ticks = number * 7919 % 1000;
            std::format!(
                "@pagemark {{\"record\":\"result\",\"case\":\"pt/map/pages={number}\",\"unit\":\"ticks\",\"samples\":31,\"min\":{ticks}}}\n"
            )
        };
        let text: std::string::String = (0..100).map(line).collect();
        let packed = packed(text.as_bytes());
        assert!(
            packed.len() * 15 < text.len(),
            "{} of {}",
            packed.len(),
            text.len()
        );
    }

    #[test]
    fn too_little_room_is_an_error() {
        let text = [PRIMER, b"abc"].concat();
        assert_eq!(pack(&text, &mut memory(), &mut []), Err(Full));
        assert_eq!(pack(b"abc", &mut memory(), &mut [0; 100]), Err(Full));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn any_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            comes_back(&text);
        }

        #[test]
        fn anything_unpacks_to_something(packed in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(unpacked(&packed, 300).len(), 300);
        }
    }
}
