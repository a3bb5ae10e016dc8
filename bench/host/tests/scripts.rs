//! The scripts: what they install for which command, and which checkout they work on. Stand-ins take the places of apt-get, rustup
//! and cargo.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use pagemark_host::checkout;
use tempfile::TempDir;

/// Programs that the scripts use, and no test replaces.
const TOOLS: [&str; 9] = [
    "bash", "cat", "dirname", "env", "grep", "mkdir", "sed", "sh", "tr",
];
/// apt-get, which would install a package that another conflicts with.
const CONFLICT: &str =
    "case $* in *--simulate*) echo 'Inst qemu-system-x86 (1)'; echo 'Remv qemu-utils [1]';; esac";

/// A folder of programs that is the whole PATH: a machine with nothing installed but [`TOOLS`], apt-get and rustup.
struct Machine {
    programs: TempDir,
}

impl Machine {
    /// `apt_get` is what apt-get does, as a script, beside noting how it was called.
    fn new(apt_get: &str) -> Self {
        let programs = tempfile::tempdir().unwrap();
        for tool in TOOLS {
            let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            let found = found.iter().find(|path| path.is_file()).unwrap();
            symlink(found, programs.path().join(tool)).unwrap();
        }
        let machine = Self { programs };
        machine.program(
            "apt-get",
            &format!("echo \"apt-get $*\" >>\"$CALLS\"\n{apt_get}"),
        );
        // Every target and component is installed.
        machine.program(
            "rustup",
            "case $1 in target) echo x86_64-unknown-none;; *) echo rustfmt; echo clippy;; esac",
        );
        machine.program("cc", "");
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.programs.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn script(&self, script: &Path, words: &[&str]) -> Output {
        Command::new(script)
            .args(words)
            .env_clear()
            .env("PATH", self.programs.path())
            .env("CALLS", self.programs.path().join("calls"))
            .output()
            .unwrap()
    }

    fn setup(&self, words: &[&str]) -> Output {
        let script = checkout::root().unwrap().join("scripts/setup.sh");
        self.script(&script, words)
    }

    /// How apt-get was called.
    fn calls(&self) -> String {
        fs::read_to_string(self.programs.path().join("calls")).unwrap_or_default()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
#[ignore = "builds the image twice; takes two minutes"]
fn the_image_is_reproducible() {
    let script = checkout::root()
        .unwrap()
        .join("scripts/check-reproducible.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Without root the line to type is printed, with root it is what apt-get is called with.
#[test]
fn a_command_gets_what_it_needs_and_no_more() {
    let machine = Machine::new("");
    let message = machine.setup(&["run"]);
    let line = "install -y --no-install-recommends --no-remove qemu-system-x86\n";
    if is_root() {
        assert!(message.status.success(), "{}", stderr(&message));
        let line = line.replace("-y ", "-y -qq ");
        assert!(machine.calls().ends_with(&line), "{}", machine.calls());
    } else {
        assert!(stderr(&message).ends_with(line), "{}", stderr(&message));
    }
    // Modules of GRUB and firmware are looked for in their places, and may be there.
    let message = machine.setup(&["iso"]);
    let all = stderr(&message) + &machine.calls();
    for (package, is_needed) in [
        ("grub-common", true),
        ("xorriso", true),
        ("mtools", true),
        ("bochs", false),
    ] {
        assert_eq!(all.contains(package), is_needed, "{package} in {all}");
    }
    let message = machine.setup(&["test"]);
    let all = stderr(&message) + &machine.calls();
    assert!(all.contains("bochs bochs-term"), "{all}");
    assert!(stderr(&message).contains("GTK"), "{all}");
}

#[test]
fn another_qemu_needs_no_package() {
    let machine = Machine::new("");
    machine.program("my-qemu", "");
    let script = checkout::root().unwrap().join("scripts/setup.sh");
    let message = Command::new(script)
        .arg("run")
        .env_clear()
        .env("PATH", machine.programs.path())
        .env("PAGEMARK_QEMU", "my-qemu")
        .output()
        .unwrap();
    assert!(message.status.success(), "{}", stderr(&message));
    assert_eq!(stderr(&message), "");
}

#[test]
fn nothing_is_removed() {
    if !is_root() {
        return;
    }
    let machine = Machine::new(CONFLICT);
    let message = machine.setup(&["run"]);
    assert_eq!(message.status.code(), Some(1));
    let text = "apt would remove qemu-utils to install qemu-system-x86";
    assert!(stderr(&message).contains(text), "{}", stderr(&message));
    assert!(
        !machine.calls().contains("install -y"),
        "{}",
        machine.calls()
    );
}

/// A script works on the checkout that it lies in, from whatever folder it is called.
#[test]
fn a_script_names_its_own_checkout() {
    let copied = tempfile::tempdir().unwrap();
    let root = checkout::root().unwrap();
    fs::create_dir(copied.path().join("scripts")).unwrap();
    for file in [
        "rust-toolchain.toml",
        "scripts/run.sh",
        "scripts/setup.sh",
        "scripts/pagemark.sh",
    ] {
        fs::copy(root.join(file), copied.path().join(file)).unwrap();
    }
    let machine = Machine::new("");
    machine.program("cargo", "echo \"$PAGEMARK_ROOT $*\"");
    machine.program("qemu-system-x86_64", "");
    let called = machine.script(&copied.path().join("scripts/run.sh"), &["--mem", "64M"]);
    assert!(called.status.success(), "{}", stderr(&called));
    let called = String::from_utf8(called.stdout).unwrap();
    let copied = copied.path().canonicalize().unwrap();
    let root = copied.display();
    assert!(called.starts_with(&format!("{root} ")), "{called}");
    assert!(
        called.contains(&format!("--manifest-path {root}/Cargo.toml ")),
        "{called}"
    );
    assert!(called.ends_with(" run --mem 64M\n"), "{called}");
}

/// A build that takes minutes is announced, and only then.
#[test]
fn a_tool_that_has_to_be_built_is_reported() {
    let checkout_of = checkout::root().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // A space in the name: Cargo escapes it in its list.
    let root = folder.path().join("a checkout");
    let built = root.join("target/debug/pagemark");
    for part in ["scripts", "target/debug"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    for file in ["rust-toolchain.toml", "scripts/pagemark.sh"] {
        fs::copy(checkout_of.join(file), root.join(file)).unwrap();
    }
    let machine = Machine::new("");
    machine.program("cargo", "");
    let message = || {
        let called = machine.script(&root.join("scripts/pagemark.sh"), &["list"]);
        assert!(called.status.success(), "{}", stderr(&called));
        let message = stderr(&called);
        assert!(
            message.is_empty()
                || message.starts_with("building the host tool") && message.lines().count() == 1,
            "{message}"
        );
        !message.is_empty()
    };
    assert!(message(), "there is no tool");

    let source = root.join("main.rs");
    let escaped = |path: &Path| path.to_str().unwrap().replace(' ', "\\ ");
    let list = format!("{}: {}\n", escaped(&built), escaped(&source));
    fs::write(built.with_extension("d"), list).unwrap();
    fs::write(&built, "").unwrap();
    let age = |path: &Path, seconds: u64| {
        let file = fs::File::options().append(true).create(true).open(path);
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        file.and_then(|file| file.set_modified(time)).unwrap();
    };
    for name in ["Cargo.toml", "Cargo.lock", "main.rs"] {
        age(&root.join(name), 100);
    }
    age(&built, 50);
    assert!(!message(), "all is older than the tool");
    for name in ["Cargo.lock", "main.rs"] {
        age(&root.join(name), 10);
        assert!(message(), "{name} is newer");
        age(&root.join(name), 100);
    }
    fs::remove_file(&source).unwrap();
    assert!(message(), "a source is gone");
}

/// The action's steps: what is run, what is written, and the status that the workflow sees.
#[test]
fn the_action_gates_an_image_or_logs() {
    let script = checkout::root().unwrap().join("scripts/action.sh");
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("tool");
    // Notes its words; a run leaves a log, an update a baseline.
    let stand_in = r#"#!/bin/bash
echo "$*" >>calls
case $1 in
run) touch out/pagemark.log; exit "${RUN:-0}";;
gate) [[ $2 != --update ]] || touch "$4"; exit "${GATE:-0}";;
esac
"#;
    fs::write(&tool, stand_in).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let call = |variables: &[(&str, &str)]| {
        let calls = folder.path().join("calls");
        let _ = fs::remove_file(&calls);
        let status = Command::new(&script)
            .current_dir(folder.path())
            .envs([
                ("BASELINE", "counts.txt"),
                ("OUTPUT", "out"),
                ("GITHUB_STEP_SUMMARY", "summary"),
            ])
            .env("PAGEMARK", &tool)
            .envs(variables.iter().copied())
            .output()
            .unwrap()
            .status;
        (
            status.code().unwrap(),
            fs::read_to_string(calls).unwrap_or_default(),
        )
    };
    assert_eq!(call(&[]).0, 2, "neither image nor logs");
    let image = ("IMAGE", "image.elf");
    let (status, calls) = call(&[image, ("APPEND", "only=tlb/*")]);
    assert_eq!(status, 0);
    assert!(
        calls.starts_with(
            "run --icount --image image.elf --append only=tlb/* --log out/pagemark.log\n"
        ),
        "{calls}"
    );
    assert!(
        calls.contains("gate --update --base counts.txt out/pagemark.log\n"),
        "{calls}"
    );
    // Once it is there, it is held against, and not written.
    let (status, calls) = call(&[image, ("GATE", "1")]);
    assert!(
        status == 1
            && !calls.contains("--update")
            && calls.ends_with("gate --base counts.txt out/pagemark.log\n"),
        "{calls}"
    );
    assert!(
        calls.contains("--base counts.txt --format junit"),
        "{calls}"
    );
    // A run that fails keeps its status, and is reported.
    let (status, calls) = call(&[image, ("RUN", "3")]);
    assert!(
        status == 3 && calls.contains("--format html") && !calls.contains("gate"),
        "{calls}"
    );
    let (status, calls) = call(&[("LOGS", "new.txt more.txt"), ("GATE", "3")]);
    assert_eq!(
        (status, calls.as_str()),
        (3, "gate --base counts.txt new.txt more.txt\n")
    );
}
