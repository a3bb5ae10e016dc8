//! The host's side of pagemark: boots the image in QEMU, reads the logs it leaves, and sets them out for people and pipelines.
//!
//! - [`log`] reads a log, whole or not at all;
//! - [`checkout`] finds the checkout to work on, [`image`] builds the image, packs it into an ISO, resolves its symbols;
//! - [`run`] boots it under a watchdog and judges how that went;
//! - [`show`] and [`compare`] are the tables, [`style`] how they look on a terminal and off it;
//! - [`figures`] leave their log for other tools: [`export`] writes their formats, [`import`] reads them;
//! - [`history`] finds where figures changed over many logs; [`fleet`] sets machines side by side; [`pack`] makes logs one file;
//! - [`plot`] draws plots, [`web`] is what pages have in common;
//! - [`glob`] are patterns of case names;
//! - [`ab`] boots two images in turns; [`gate`] judges new runs against a base, for pipelines;
//! - [`lab`] boots on the places of a labgrid lab;
//! - [`blame`] names the functions behind a changed instruction count;
//! - [`scan`] reads a log back from pictures of a screen;
//! - [`cli`] is the command line of the binary `pagemark`.

pub mod ab;
pub mod alignment;
pub mod blame;
pub mod checkout;
pub mod cli;
pub mod compare;
pub mod export;
pub mod figures;
pub mod fleet;
pub mod gate;
pub mod glob;
pub mod history;
pub mod image;
pub mod import;
pub mod lab;
pub mod list;
pub mod log;
pub mod pack;
pub mod plot;
pub mod run;
pub mod scan;
pub mod show;
pub mod style;
pub mod web;
