//! Starts a server that was unpacked below `target/servers`, in namespaces of its own, and ends it with all its children.
//!
//! The server sees its files where Debian puts them, and users of its own making; nobody else sees any of it, nothing
//! outside a temporary directory is written. That takes root (to mount, to bind users), so elsewhere these tests
//! are skipped with the reason of `skips`.

use super::papers::{self, Papers};
use crate::harness::free_port;
use crate::skips::SERVERS_NEED_ROOT;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Users of all servers: name and number, which is also that of their group.
const USERS: &[(&str, u32)] = &[
    ("root", 0),
    ("dovecot", 64101),
    ("dovenull", 64102),
    ("postfix", 64103),
    ("Debian-exim", 64104),
    ("opensmtpd", 64105),
    ("opensmtpq", 64106),
    ("cyrus", 64107),
    ("keeper", 64108),
    ("nobody", 65534),
];
/// Groups beside those of the users.
const GROUPS: &[(&str, u32)] = &[("mail", 64110), ("postdrop", 64111), ("sasl", 64112)];

/// Where servers listen. Not where we come from: Dovecot takes a client with its own address for one on the same
/// machine, and offers it everything in clear.
pub const ADDRESS_OF_HOUSES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How long a server may take until its ports are open.
const START_MAX: Duration = Duration::from_secs(30);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The folder below `target/servers`.
    pub root: &'static str,
    /// The ports that it listens at, by name.
    pub doors: &'static [&'static str],
    /// Its certificate.
    pub papers: Papers,
    /// Files below its directory; `etc/…` is laid over `/etc`. In all texts `@dir@` is the directory, `@address@` where to
    /// listen, `@imaps@` the port of that door.
    pub files: Vec<(&'static str, String)>,
    /// Shell commands; the last one is the server, in the foreground.
    pub run: String,
}

/// A running server, until it is dropped.
pub struct House {
    /// Port of each door.
    pub doors: Vec<(&'static str, u16)>,
    /// The authority to trust, DER.
    pub authority: Vec<u8>,
    dir: tempfile::TempDir,
    child: Child,
}

/// Why no server can be started here, if so.
pub fn missing() -> Option<&'static str> {
    // What within.sh does; a container may allow the one and not the other.
    let overlay = "mount -t overlay overlay -o lowerdir=/etc:/usr /etc";
    let may_mount =
        || Command::new("unshare").args(["--mount", "--pid", "--fork", "sh", "-c", overlay]).status();
    let able = rustix::process::geteuid().is_root() && may_mount().is_ok_and(|status| status.success());
    (!able).then_some(SERVERS_NEED_ROOT)
}

impl House {
    /// Starts it and waits until all its ports answer.
    pub fn start(plan: Plan) -> House {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/servers/within.sh");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers").join(plan.root);
        let root = root.canonicalize().unwrap_or(root);
        assert!(
            root.join("complete").exists(),
            "{} is not unpacked: tools/install-servers.sh does it",
            plan.root
        );
        let dir = tempfile::tempdir().expect("tempdir");
        // The servers' own users look into it.
        open_to_all(dir.path(), 0o755);
        let doors: Vec<(&'static str, u16)> = plan.doors.iter().map(|name| (*name, free_port())).collect();
        let authority = papers::write(plan.papers, dir.path());
        let fill = |text: &str| {
            let filled = text.replace("@dir@", &dir.path().display().to_string());
            let filled = filled.replace("@address@", &ADDRESS_OF_HOUSES.to_string());
            doors
                .iter()
                .fold(filled, |text, (name, port)| text.replace(&format!("@{name}@"), &port.to_string()))
        };
        write(dir.path(), "etc/passwd", &passwd());
        write(dir.path(), "etc/group", &group());
        for (name, text) in &plan.files {
            write(dir.path(), name, &fill(text));
        }
        write(dir.path(), "run", &format!("set -eu\n{}\n", fill(&plan.run)));
        let log = std::fs::File::create(dir.path().join("log")).expect("log");
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .arg(tools)
            .args([&root, dir.path()])
            .arg("sh")
            .arg(dir.path().join("run"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("unshare starts");
        let mut house = House { doors, authority, dir, child };
        house.wait(plan.root);
        house
    }

    fn wait(&mut self, name: &str) {
        let begun = Instant::now();
        for (door, port) in self.doors.clone() {
            while TcpStream::connect((ADDRESS_OF_HOUSES, port)).is_err() {
                if let Some(status) = self.child.try_wait().expect("wait") {
                    panic!("{name} ended with {status}: {}", self.log());
                }
                assert!(begun.elapsed() < START_MAX, "{name} does not open {door}: {}", self.log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // With the first process of the namespace all the others end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    let file: PathBuf = dir.join(name);
    if let Some(above) = file.parent() {
        std::fs::create_dir_all(above).expect("directory");
    }
    std::fs::write(&file, text).expect("write");
    open_to_all(&file, 0o644);
}

fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

fn passwd() -> String {
    let line = |(name, id): &(&str, u32)| format!("{name}:x:{id}:{id}::/var/lib/{name}:/bin/sh\n");
    USERS.iter().map(line).collect()
}

fn group() -> String {
    USERS.iter().chain(GROUPS).map(|(name, id)| format!("{name}:x:{id}:\n")).collect()
}
