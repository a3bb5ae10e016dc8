//! Reads a log back from pictures of the codes that the image shows on its screen: photographs, screenshots, frames of a film.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageReader};
use pagemark_codes::{FrameError, Header, MODEL_WORDS, PRIMER, Packing, crc32, recover, unpack};
use thiserror::Error;

/// Longest log that is believed.
const MAX_LOG: u32 = 64 << 20;

/// Why pictures give no log.
#[derive(Debug, Error)]
pub enum ScanError {
    /// A file is no picture.
    #[error("{} cannot be read as a picture", .0.display())]
    Picture(PathBuf, #[source] image::ImageError),
    /// A file cannot be read at all.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// No code of pagemark's is in any of them.
    #[error("no code of a log is in {pictures} pictures{}", hint(*.other))]
    None {
        /// How many were looked at.
        pictures: usize,
        /// Other codes were there.
        other: usize,
    },
    /// Codes are missing.
    #[error(
        "the log has {needed} codes, of which {found} were found (numbers {numbers}); any {needed} of its codes suffice"
    )]
    Missing {
        /// Codes that suffice.
        needed: u8,
        /// Different ones that were found.
        found: usize,
        /// Their numbers from 1.
        numbers: String,
    },
    /// More than one log is whole.
    #[error("the pictures show {0} logs; give those of one at a time")]
    Several(usize),
    /// The codes are whole, and what comes out is not what was packed: another version's.
    #[error(
        "the codes are of another version of pagemark: read them with that one's `pagemark scan`"
    )]
    Version,
}

fn hint(other: usize) -> String {
    match other {
        0 => String::new(),
        other => format!("; {other} codes of something else are"),
    }
}

/// Codes that were read so far, by the log that they are of and their number.
#[derive(Debug, Default)]
pub struct Scan {
    logs: BTreeMap<Key, BTreeMap<u8, Vec<u8>>>,
    pictures: usize,
    other: usize,
    later: bool,
}

/// What the frames of a log have in common: CRC-32, bytes, bytes packed, frames with data, packing.
type Key = (u32, u32, u32, u8, u8);

impl Scan {
    /// Reads the code of a picture; returns its number, from 1, if it is new.
    ///
    /// # Errors
    ///
    /// The file is no picture.
    pub fn file(&mut self, path: &Path) -> Result<Option<u16>, ScanError> {
        let reader = ImageReader::open(path)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|error| ScanError::File(path.to_owned(), error))?;
        let picture = reader
            .decode()
            .map_err(|error| ScanError::Picture(path.to_owned(), error))?;
        Ok(self.picture(&picture.into_luma8()))
    }

    /// Reads the code of a picture in grey; returns its number, from 1, if it is new.
    pub fn picture(&mut self, picture: &GrayImage) -> Option<u16> {
        self.pictures += 1;
        let mut others = Vec::new();
        // A picture shows one code at a time; that of something else may be beside it.
        for code in pagemark_reader::codes(picture) {
            match Header::read(&code) {
                Ok((header, block)) => return self.frame(header, block),
                Err(error) => {
                    self.later |= matches!(error, FrameError::Format(_));
                    self.other += usize::from(!others.contains(&code));
                    others.push(code);
                }
            }
        }
        None
    }

    /// Takes a frame; returns its number from 1, if it is new.
    fn frame(&mut self, header: Header, block: &[u8]) -> Option<u16> {
        let Header {
            crc32,
            bytes,
            packed,
            data,
            packing,
            number,
        } = header;
        let log = self
            .logs
            .entry((crc32, bytes, packed, data, packing))
            .or_default();
        let new = log.insert(number, block.to_vec()).is_none();
        new.then(|| u16::from(number) + 1)
    }

    /// Whether a log is whole.
    pub fn is_whole(&self) -> bool {
        self.logs
            .iter()
            .any(|((.., data, _), log)| log.len() >= usize::from(*data))
    }

    /// The log. Its lines end in LF; the CR before it that a serial port sends is no part of a log.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn log(&self) -> Result<Vec<u8>, ScanError> {
        let whole =
            |((.., data, _), log): &(&Key, &BTreeMap<u8, Vec<u8>>)| log.len() >= usize::from(*data);
        let mut logs = self.logs.iter().filter(whole);
        let found = logs.clone().count();
        match (logs.next(), found) {
            (Some((key, log)), 1) => unpacked(*key, log),
            (Some(_), several) => Err(ScanError::Several(several)),
            (None, _) if self.later => Err(ScanError::Version),
            (None, _) => {
                let most = self.logs.iter().max_by_key(|(_, log)| log.len());
                Err(most.map_or(
                    ScanError::None {
                        pictures: self.pictures,
                        other: self.other,
                    },
                    |((.., data, _), log)| ScanError::Missing {
                        needed: *data,
                        found: log.len(),
                        numbers: numbers(log.keys()),
                    },
                ))
            }
        }
    }
}

/// Numbers from 1, as a sentence lists them.
fn numbers<'n>(numbers: impl Iterator<Item = &'n u8>) -> String {
    let numbers: Vec<_> = numbers
        .map(|&number| (u16::from(number) + 1).to_string())
        .collect();
    numbers.join(", ")
}

fn unpacked(
    (crc, bytes, packed, data, packing): Key,
    log: &BTreeMap<u8, Vec<u8>>,
) -> Result<Vec<u8>, ScanError> {
    let frames = log.iter().take(usize::from(data));
    let mut blocks: Vec<_> = frames
        .map(|(&number, block)| (number, block.clone()))
        .collect();
    recover(&mut blocks);
    let mut joined: Vec<u8> = blocks.into_iter().flat_map(|(_, block)| block).collect();
    joined.truncate(packed as usize);
    if bytes > MAX_LOG {
        return Err(ScanError::Version);
    }
    let text = match Packing::from_number(packing) {
        Some(Packing::Stored) => joined,
        Some(Packing::Modelled) => {
            let mut text = vec![0; PRIMER.len() + bytes as usize];
            unpack(&joined, &mut vec![0; MODEL_WORDS], &mut text);
            text.split_off(PRIMER.len())
        }
        None => return Err(ScanError::Version),
    };
    if text.len() != bytes as usize || crc32(&text) != crc {
        return Err(ScanError::Version);
    }
    // The image begins a new line first, as the loader may have left one unended.
    Ok(text.strip_prefix(b"\n").map(<[u8]>::to_vec).unwrap_or(text))
}
