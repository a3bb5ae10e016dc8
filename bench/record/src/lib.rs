//! The wire format of the serial log.
#![no_std]
