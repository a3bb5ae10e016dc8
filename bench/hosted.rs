//! The application as a Linux process: the cases, the harness and the bracket of the image, on the machine of `pagemark::hosted`.
//!
//! `pagemark run --hosted` builds and starts it. It ends with the statuses of `pagemark run`.

#[cfg(hosted)]
#[path = "hosted/addresses.rs"]
mod addresses;
mod application;
mod cases;
mod checks;
#[path = "hosted/environment/mod.rs"]
mod environment;
mod harness;
#[cfg(hosted)]
#[path = "hosted/placement.rs"]
mod placement;
#[cfg(hosted)]
#[path = "hosted/process.rs"]
mod process;
mod provoke;
mod vmallocinfo;

use process as platform;

fn main() -> std::process::ExitCode {
    process::main()
}
