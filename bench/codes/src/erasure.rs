//! Parity blocks, so that blocks which were missed can be computed: a systematic Reed-Solomon code over GF(256) by a Cauchy matrix
//! (Blömer et al., "An XOR-Based Erasure-Resilient Coding Scheme", 1995). Of `data + parity` blocks any `data` suffice.

/// x^8 + x^4 + x^3 + x^2 + 1, as QR codes use it.
const POLYNOMIAL: u16 = 0x11d;

/// The product in GF(256).
pub fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut a) = (0, u16::from(a));
    for bit in 0..8 {
        if b >> bit & 1 != 0 {
            product ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= POLYNOMIAL;
        }
    }
    product as u8
}

/// The inverse in GF(256) of what is not 0: a^254.
pub fn inverse(a: u8) -> u8 {
    let mut square = a;
    let mut product = 1;
    for _ in 0..7 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

/// What parity block number `parity`, from 0, has of data block number `data`. As long as both numbers together are below 256, every
/// square part of the matrix has an inverse.
pub fn coefficient(parity: u8, data: u8) -> u8 {
    inverse((255 - parity) ^ data)
}

/// Adds `factor` times `block` to `sum`.
pub fn add(sum: &mut [u8], factor: u8, block: &[u8]) {
    for (sum, &byte) in sum.iter_mut().zip(block) {
        *sum ^= multiply(factor, byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_but_zero_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1);
        }
        assert_eq!((multiply(0, 7), multiply(7, 0)), (0, 0));
        // x^7 times x is the polynomial less x^8.
        assert_eq!(multiply(0x80, 2), 0x1d);
    }
}
