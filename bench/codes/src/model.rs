//! What the next bit of a text is likely to be, by what stood behind the same contexts before: the last one to six bytes, the word,
//! the key of a record, and the longest repetition.
//!
//! The design is that of lpaq (Mahoney, "Data Compression Explained", 4.3.2): each context predicts, a small network mixes the
//! predictions by how good they were, and all learn from the bit. All arithmetic is in integers, so that image and host compute the same.

/// Contexts that predict.
const CONTEXTS: usize = 8;
/// Predictions: one of each context, one of the repetition, one constant.
const INPUTS: usize = CONTEXTS + 2;
/// Counters of each context.
const COUNTER_BITS: u32 = 16;
const COUNTERS: usize = 1 << COUNTER_BITS;
/// Places where repetitions are looked up.
const PLACE_BITS: u32 = 14;
const PLACES: usize = 1 << PLACE_BITS;
/// Bytes that a repetition is looked up by.
const REPETITION: usize = 6;
/// Repetitions count as equally sure from this length on.
const LONG: usize = 32;
/// Sets of weights: by whether there is a repetition and how long it is, and by the bits of the byte so far.
const SETS: usize = 8 * 8;
/// How fast the weights learn: the higher, the slower. By trial on logs.
const RATE: u32 = 16;
/// Bits that a counter goes by at most: the lower, the sooner it forgets. By trial on logs.
const MEMORY: u32 = 20;

/// Words of memory that a model needs: 2.2 MiB.
pub const WORDS: usize = CONTEXTS * COUNTERS + REPETITIONS + PLACES + SETS * INPUTS + STRETCHED;
const REPETITIONS: usize = LONG + 1;
const STRETCHED: usize = 4096;

/// The memory of a model, cleared.
struct Memory<'m> {
    /// Upper 22 bits: how likely a one is; lower 10: how often it was looked at. By context, each [`COUNTERS`], and the bits of the
    /// byte so far.
    counters: &'m mut [u32],
    /// The same for a repetition, by its length.
    repetitions: &'m mut [u32],
    /// Where the same bytes stood last, by their hash.
    places: &'m mut [u32],
    /// [`INPUTS`] of each set; signed.
    weights: &'m mut [u32],
    /// [`stretch`](squash) of every probability; signed.
    stretched: &'m mut [u32],
}

impl<'m> Memory<'m> {
    fn new(words: &'m mut [u32]) -> Self {
        let (counters, rest) = words.split_at_mut(CONTEXTS * COUNTERS);
        let (repetitions, rest) = rest.split_at_mut(REPETITIONS);
        let (places, rest) = rest.split_at_mut(PLACES);
        let (weights, rest) = rest.split_at_mut(SETS * INPUTS);
        let (stretched, _) = rest.split_at_mut(STRETCHED);
        counters.fill(1 << 31);
        repetitions.fill(3 << 30);
        places.fill(0);
        weights.fill(1 << 14);
        // The inverse of `squash`.
        let mut next = 0;
        for x in -2047..=2047 {
            let probability = squash(x) as usize;
            while next <= probability {
                stretched[next] = x as u32;
                next += 1;
            }
        }
        stretched[next..].fill(2047);
        Memory {
            counters,
            repetitions,
            places,
            weights,
            stretched,
        }
    }
}

/// 4096 / (1 + e^-x) of x in 1/256, by steps of a half.
fn squash(x: i32) -> i32 {
    const TABLE: [i32; 33] = [
        1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994,
        3348, 3607, 3785, 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
    ];
    if x >= 2047 {
        return 4095;
    }
    let x = x.max(-2047);
    let (part, place) = (x & 127, ((x >> 7) + 16) as usize);
    (TABLE[place] * (128 - part) + TABLE[place + 1] * part + 64) >> 7
}

/// The model of a text.
pub struct Model<'m> {
    memory: Memory<'m>,
    /// A hash of each context.
    hashes: [u32; CONTEXTS],
    /// Bits of the current byte behind a leading one.
    partial: u32,
    /// Where the repetition goes on, and how long it is; 0 for none.
    place: usize,
    length: usize,
    /// What the repetition expects, with a leading one above its eight bits.
    expected: u32,
    /// The word that is being written, and the key of the value that is.
    word: u32,
    key: u32,
    slots: [usize; CONTEXTS],
    inputs: [i32; INPUTS],
    set: usize,
    /// Of a one, in 1/65,536.
    probability: i32,
}

impl<'m> Model<'m> {
    /// The model of a text that has not begun, in [`WORDS`] words.
    ///
    /// # Panics
    ///
    /// They are fewer.
    pub fn new(words: &'m mut [u32]) -> Self {
        let mut model = Model {
            memory: Memory::new(words),
            hashes: [0; CONTEXTS],
            partial: 1,
            place: 0,
            length: 0,
            expected: 0,
            word: 0,
            key: 0,
            slots: [0; CONTEXTS],
            inputs: [0; INPUTS],
            set: 0,
            probability: 0,
        };
        model.predict();
        model
    }

    /// How likely the next bit is a one, in 1/65,536: from 1 to 65,535.
    pub fn probability(&self) -> u32 {
        self.probability as u32
    }

    /// Learns the bit. `text` is all that came before the byte that it belongs to; it has room for that byte, which is not looked at.
    /// Returns the byte if the bit was its last.
    pub fn learn(&mut self, bit: bool) -> Option<u8> {
        let target = if bit { 65535 } else { 0 };
        let error = target - self.probability;
        let weights = &mut self.memory.weights[self.set * INPUTS..][..INPUTS];
        for (weight, input) in weights.iter_mut().zip(self.inputs) {
            let step = (input * error + (1 << (RATE - 1))) >> RATE;
            *weight = weight.wrapping_add(step as u32);
        }
        for slot in self.slots {
            adapt(&mut self.memory.counters[slot], bit, MEMORY);
        }
        if self.length > 0 {
            let expects = self.expects();
            adapt(
                &mut self.memory.repetitions[self.length.min(LONG)],
                expects == bit,
                1023,
            );
            if expects != bit {
                self.length = 0;
            }
        }
        self.partial = self.partial << 1 | u32::from(bit);
        let byte = (self.partial >= 256).then_some(self.partial as u8);
        if byte.is_none() {
            self.predict();
        }
        byte
    }

    /// The bit that the repetition expects.
    fn expects(&self) -> bool {
        let bits = 31 - self.partial.leading_zeros();
        self.expected >> (7 - bits) & 1 != 0
    }

    /// Goes on to the next byte; `text` is all that stands before it.
    pub fn end_byte(&mut self, text: &[u8]) {
        self.partial = 1;
        let back = |count: usize| {
            text.len()
                .checked_sub(count)
                .map_or(0, |at| u32::from(text[at]))
        };
        let last = back(1) as u8;
        if last.is_ascii_alphabetic() || last == b'_' {
            self.word = (self.word ^ u32::from(last)).wrapping_mul(0x2f0b_4c47);
        } else if last.is_ascii_digit() || last == b'.' {
            // The number of digits.
            self.word = self.word.wrapping_add(0x1000_0001);
        } else {
            if last == b':' || last == b'\n' || last == b' ' {
                self.key = self.key_before(text);
            }
            self.word = u32::from(last);
        }
        let mut hash = 0u32;
        let mut of_order = [0; 7];
        for (order, place) in of_order.iter_mut().enumerate().skip(1) {
            hash = (hash ^ back(order))
                .wrapping_mul(0x9e37_79b1)
                .rotate_left(11);
            *place = hash;
        }
        self.hashes = [
            of_order[1],
            of_order[2],
            of_order[3],
            of_order[4],
            of_order[6],
            self.word ^ back(1) << 24,
            self.key ^ self.word.rotate_left(7),
            self.key ^ of_order[2],
        ];
        for (number, hash) in self.hashes.iter_mut().enumerate() {
            *hash = (*hash ^ (number as u32 + 1)).wrapping_mul(0x85eb_ca6b);
        }
        // The repetition goes on, or another one begins.
        if self.length > 0 {
            self.place += 1;
            self.length += 1;
        }
        let hash = (of_order[6] >> (32 - PLACE_BITS)) as usize;
        if self.length == 0 && text.len() >= REPETITION {
            self.place = self.memory.places[hash] as usize;
            let same = |length: &usize| {
                *length < self.place
                    && text[self.place - 1 - length] == text[text.len() - 1 - length]
            };
            self.length = (0..LONG).take_while(same).count();
        }
        self.memory.places[hash] = text.len() as u32;
        self.expected = if self.length > 0 {
            u32::from(text[self.place])
        } else {
            0
        };
        self.predict();
    }

    /// A hash of the word before the last byte.
    fn key_before(&self, text: &[u8]) -> u32 {
        let end = text.len() - 1;
        let word = text[..end]
            .iter()
            .rev()
            .take_while(|byte| !matches!(byte, b',' | b'{' | b'\n' | b' '))
            .take(24);
        word.fold(1u32, |hash, &byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }

    fn predict(&mut self) {
        let memory = &self.memory;
        let stretch = |counter: u32| memory.stretched[(counter >> 20) as usize] as i32;
        for (number, hash) in self.hashes.iter().enumerate() {
            let slot = (hash ^ self.partial.wrapping_mul(0x2545_f491)).wrapping_mul(0x9e37_79b1);
            let slot = number * COUNTERS + (slot >> (32 - COUNTER_BITS)) as usize;
            self.slots[number] = slot;
            self.inputs[number] = stretch(memory.counters[slot]);
        }
        self.inputs[CONTEXTS] = 0;
        if self.length > 0 {
            let sure = stretch(memory.repetitions[self.length.min(LONG)]);
            self.inputs[CONTEXTS] = if self.expects() { sure } else { -sure };
        }
        self.inputs[CONTEXTS + 1] = 256;
        let repetition = match self.length {
            0 => 0,
            length => 1 + length.min(LONG - 1) / 5,
        };
        let bits = 31 - self.partial.leading_zeros();
        self.set = repetition + 8 * bits as usize;
        let weights = &memory.weights[self.set * INPUTS..][..INPUTS];
        let products = self.inputs.iter().zip(weights);
        let sum: i64 = products
            .map(|(&input, &weight)| i64::from(input) * i64::from(weight as i32))
            .sum();
        self.probability = fine_squash((sum >> 16) as i32).clamp(24, 65535 - 24);
    }
}

/// [`squash`] in 1/65,536.
fn fine_squash(x: i32) -> i32 {
    squash(x.clamp(-2047, 2047)) * 16 + 8
}

fn adapt(counter: &mut u32, bit: bool, limit: u32) {
    let (count, probability) = (*counter & 1023, *counter >> 10);
    let target = if bit { (1 << 22) - 1 } else { 0 };
    let step = i64::from(target - probability as i32) * 2 / (2 * i64::from(count) + 3);
    let next = (probability as i32 + step as i32) as u32;
    *counter = next << 10 | (count + 1).min(limit);
}
