//! Starts the program as a user would, and runs other programs against it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running service, read from the description that it wrote.
#[derive(Debug)]
pub struct Server {
    pub host: String,
    pub ca: String,
    pub ports: BTreeMap<String, u16>,
    pub users: Vec<User>,
    next: AtomicUsize,
}

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct User {
    pub address: String,
    pub password: String,
}

impl Server {
    /// The port of a listener.
    pub fn port(&self, name: &str) -> u16 {
        *self.ports.get(name).unwrap_or_else(|| panic!("no listener {name} in {:?}", self.ports))
    }

    /// A user that no other test uses; the first is kept for tests that only try to log in. When the
    /// demo's are used up, the operator adds one.
    pub fn user(&self) -> User {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(user) = self.users.get(n) {
            return user.clone();
        }
        let data = Path::new(&self.ca).ancestors().nth(2).expect("the CA lies in the data directory");
        let settings = data.with_file_name("operator.toml");
        let text = format!(
            "host = \"mail.example.test\"\ndata = \"{}\"\n\n[[tls.certificates]]\nchain = \"x\"\nkey = \"x\"\n",
            data.display()
        );
        std::fs::write(&settings, text).expect("settings");
        let user = User { address: format!("extra{n}@example.test"), password: "secret of extra".to_owned() };
        let settings = settings.display().to_string();
        let arguments = ["--config", &settings, "account", "add", &user.address];
        let output = run_with(env!("CARGO_BIN_EXE_sealpost"), &arguments, b"secret of extra\n", &[]);
        said(&output).success();
        user
    }

    /// Reads a description.
    pub fn from_description(text: &str) -> Server {
        let value: toml::Table = text.parse().expect("description is TOML");
        let string = |v: &toml::Value| v.as_str().expect("string").to_owned();
        let ports = value["ports"].as_table().expect("ports");
        let ports = ports
            .iter()
            .map(|(k, v)| (k.clone(), u16::try_from(v.as_integer().expect("port")).expect("port")))
            .collect();
        let users = value["user"].as_array().expect("users");
        let users = users
            .iter()
            .map(|u| User { address: string(&u["address"]), password: string(&u["password"]) })
            .collect();
        Server {
            host: string(&value["host"]),
            ca: string(&value["ca"]),
            ports,
            users,
            next: AtomicUsize::new(1),
        }
    }

    /// What a demo of the harness has logged so far.
    pub fn log(&self) -> String {
        let dir = Path::new(&self.ca).ancestors().nth(3).expect("the data directory lies in the demo's own");
        std::fs::read_to_string(dir.join("log")).expect("log")
    }

    /// Sends a message over SMTP with curl, the client that tests trust for it.
    pub fn send(&self, from: &User, to: &str, message: &[u8]) {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("m.eml");
        std::fs::write(&file, message).expect("write");
        let url = format!("smtps://{}:{}", self.host, self.port("submissions"));
        let login = format!("{}:{}", from.address, from.password);
        run(
            "curl",
            &[
                "-sS",
                "--cacert",
                &self.ca,
                "-u",
                &login,
                &url,
                "--mail-from",
                &from.address,
                "--mail-rcpt",
                to,
                "-T",
                &file.display().to_string(),
            ],
        )
        .success();
    }

    /// All messages of a maildrop, by curl over POP3S.
    pub fn fetch_all(&self, user: &User) -> Vec<Vec<u8>> {
        let login = format!("{}:{}", user.address, user.password);
        let url = format!("pop3s://{}:{}/", self.host, self.port("pop3s"));
        let list = run("curl", &["-sS", "--cacert", &self.ca, "-u", &login, &url]).success();
        let numbers: Vec<&str> = list.split_whitespace().step_by(2).collect();
        let fetch = |n: &&str| {
            let output = command("curl", &["-sS", "--cacert", &self.ca, "-u", &login, &format!("{url}{n}")]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        numbers.iter().map(fetch).collect()
    }
}

/// The demo that all tests of this binary share.
pub fn demo() -> &'static Server {
    static DEMO: OnceLock<Server> = OnceLock::new();
    DEMO.get_or_init(|| demo_of("compatible"))
}

/// A demo of that preset, which runs until the test binary ends.
pub fn demo_of(preset: &'static str) -> Server {
    demo_with(preset, "info")
}

/// The same, logging at this level.
pub fn demo_with(preset: &'static str, level: &'static str) -> Server {
    let dir = tempfile::tempdir().expect("tempdir").keep();
    let file = dir.join("server.toml");
    let describe = file.display().to_string();
    let data = dir.join("data").display().to_string();
    // setpriv ends the service when the thread that started it ends: this thread never does,
    // so that is when the test binary ends.
    std::thread::spawn(move || {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_sealpost"), "demo", "--preset", preset])
            .args(["--describe", &describe, "--data", &data, "--log", level])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).expect("log"))
            .spawn()
            .expect("sealpost demo starts");
        let status = child.wait();
        panic!("the demo ended: {status:?}");
    });
    let text = wait_for("the demo's description", || {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with("pq_group = true\n"))
    });
    Server::from_description(&text)
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Said {
    /// Its output, if it succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }

    /// Its output, if it failed.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_ne!(self.code, 0, "{}", self.text);
        self.text
    }
}

/// Runs a program without input.
pub fn run(program: &str, arguments: &[&str]) -> Said {
    said(&command(program, arguments))
}

/// Runs a program without input, keeping its output's bytes.
pub fn command(program: &str, arguments: &[&str]) -> Output {
    run_with(program, arguments, b"", &[])
}

/// Runs a program with input and environment.
pub fn run_with(program: &str, arguments: &[&str], input: &[u8], env: &[(&str, &str)]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} is not installed ({e}); make test installs it"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that ends early leaves its input unread; its exit code tells.
        let _ = stdin.write_all(&input);
    });
    let output = finish(child, program);
    writer.join().expect("writer");
    output
}

/// Waits for a child under a limit.
fn finish(mut child: Child, program: &str) -> Output {
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes)
    });
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().expect("kill");
            let text = out.join().expect("reader").expect("read");
            panic!("{program} does not end; it said: {}", String::from_utf8_lossy(&text));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: out.join().expect("reader").expect("read"),
        stderr: err.join().expect("reader").expect("read"),
    }
}

/// Exit code and everything that was written.
pub fn said(output: &Output) -> Said {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Said { code: output.status.code().unwrap_or(-1), text }
}

/// A service of its own with a settings file, for tests that stop, kill or starve it.
#[derive(Debug)]
pub struct Own {
    pub dir: PathBuf,
    child: Option<Child>,
    _keep: Option<tempfile::TempDir>,
}

impl Own {
    /// Prepares data directory, certificates, settings on free ports, the domain `example.test` and one account.
    pub fn prepare(extra: &str) -> Own {
        let keep = tempfile::tempdir().expect("tempdir");
        let dir = keep.path().to_owned();
        Own::prepare_in(dir, Some(keep), extra)
    }

    /// As [`Own::prepare`], in a directory that is there already.
    pub fn prepare_in(dir: PathBuf, keep: Option<tempfile::TempDir>, extra: &str) -> Own {
        let authority = net::authority::Authority::open(&dir.join("ca")).expect("authority");
        let leaf = authority
            .server(net::authority::KeyKind::Ecdsa, &["localhost", "127.0.0.1"])
            .expect("certificate");
        let pair = leaf.write(&dir.join("ca"), "server").expect("certificate");
        let mut settings =
            format!("host = \"mail.example.test\"\ndata = \"{}\"\n", dir.join("data").display());
        for (protocol, security, name) in [
            ("imap", "implicit", "imaps"),
            ("pop3", "implicit", "pop3s"),
            ("submission", "implicit", "submissions"),
            ("smtp", "starttls", "smtp"),
            ("lmtp", "starttls", "lmtp"),
        ] {
            let port = free_port();
            settings.push_str(&format!(
                "\n[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nsecurity = \"{security}\"\n\
                 addresses = [\"127.0.0.1\"]\nport = {port}\n"
            ));
        }
        settings.push_str(&format!(
            "\n[[tls.certificates]]\nchain = \"{}\"\nkey = \"{}\"\n",
            pair.chain.display(),
            pair.key.display()
        ));
        settings.push_str(extra);
        std::fs::write(dir.join("sealpost.toml"), settings).expect("settings");
        let own = Own { dir, child: None, _keep: keep };
        own.sealpost(&["domain", "add", "example.test"], b"").success();
        own.sealpost(&["account", "add", "a@example.test"], b"secret of a\n").success();
        own
    }

    /// As [`Own::prepare`], with a web listener that serves mail too.
    pub fn prepare_on_web() -> Own {
        let web = format!(
            "\n[[listener]]\nname = \"https\"\nprotocol = \"web\"\nsecurity = \"implicit\"\n\
             addresses = [\"127.0.0.1\"]\nport = {}\n\n[listen]\nmail_on_web = true\n",
            free_port()
        );
        Own::prepare(&web)
    }

    /// With settings made for its directory, and nothing else prepared.
    pub fn with_settings(settings: impl FnOnce(&Path) -> String) -> Own {
        let keep = tempfile::tempdir().expect("tempdir");
        let dir = keep.path().to_owned();
        std::fs::write(dir.join("sealpost.toml"), settings(&dir)).expect("settings");
        Own { dir, child: None, _keep: Some(keep) }
    }

    /// Runs `sealpost` with this service's settings.
    pub fn sealpost(&self, arguments: &[&str], input: &[u8]) -> Said {
        let config = self.dir.join("sealpost.toml").display().to_string();
        let mut all = vec!["--config", &config];
        all.extend_from_slice(arguments);
        said(&run_with(env!("CARGO_BIN_EXE_sealpost"), &all, input, &[]))
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).expect("log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .arg("--config")
            .arg(self.dir.join("sealpost.toml"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sealpost serve starts");
        let mut said = Vec::new();
        let mut out = child.stdout.take().expect("piped");
        let mut byte = [0];
        while !said.ends_with(b"ready.\n") {
            let n = out.read(&mut byte).expect("read");
            assert_ne!(n, 0, "serve ended; log: {}", self.log());
            said.push(byte[0]);
        }
        self.child = Some(child);
    }

    /// Asks it to stop (SIGTERM) and waits; true if it ended well.
    pub fn stop(&mut self) -> bool {
        let mut child = self.child.take().expect("running");
        signal(&child, rustix::process::Signal::TERM);
        child.wait().expect("wait").success()
    }

    /// SIGTERM without waiting.
    pub fn begin_stop(&self) {
        signal(self.child.as_ref().expect("running"), rustix::process::Signal::TERM);
    }

    /// True once it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().expect("wait").is_some())
    }

    /// Waits until it has nothing to do any more: what it does in the background after a start (words of new messages) takes memory too.
    pub fn settle(&self) {
        let pid = self.child.as_ref().expect("running").id();
        let ticks = || -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
            // Behind the name, which may hold anything: utime and stime are the twelfth and thirteenth.
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
        };
        let mut before = ticks();
        wait_for("rest", || {
            std::thread::sleep(Duration::from_secs(2));
            let now = ticks();
            // Two seconds have two hundred.
            (now - std::mem::replace(&mut before, now) < 10).then_some(())
        });
    }

    /// The most resident memory so far, KiB.
    pub fn peak_kib(&self) -> u64 {
        let pid = self.child.as_ref().expect("running").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("VmHWM");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("number")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// How to reach it.
    pub fn server(&self) -> Server {
        let text = std::fs::read_to_string(self.dir.join("sealpost.toml")).expect("settings");
        let value: toml::Table = text.parse().expect("TOML");
        let ports = value["listener"].as_array().expect("listeners");
        let ports = ports
            .iter()
            .map(|l| {
                let port = u16::try_from(l["port"].as_integer().expect("port")).expect("port");
                (l["name"].as_str().expect("name").to_owned(), port)
            })
            .collect();
        Server {
            host: "localhost".to_owned(),
            ca: self.dir.join("ca/ca.pem").display().to_string(),
            ports,
            users: vec![User { address: "a@example.test".to_owned(), password: "secret of a".to_owned() }],
            next: AtomicUsize::new(0),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The test is over, well or not; nobody reads the outcome.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("signal");
}

/// A port that nobody has now, and that nobody is given again: neither by this function nor by a kernel that looks for
/// one, since it is below those that kernels choose themselves (32768 and up).
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs of several processes begin at different places.
    let start = std::process::id().wrapping_mul(101);
    for _ in PORTS {
        let turn = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + turn % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("a port");
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// A message with things that transports get wrong: dots, long lines, eight bits.
pub fn message(subject: &str, from: &str, to: &str, bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .a dot first\r\n..two dots\r\n.\u{e9}\r\n. \r\n"
    );
    let mut line = 0;
    while text.len() < bytes {
        text.push_str(&format!("{line:06} the quick brown fox jumps over the lazy dog, ψ\r\n"));
        line += 1;
    }
    text.into_bytes()
}

/// The body, independent of line ends and of what transports add at the end.
pub fn body(message: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = message.iter().copied().filter(|b| *b != b'\r').collect();
    let start = text.windows(2).position(|w| w == b"\n\n").map_or(0, |p| p + 2);
    let mut body = text[start..].to_vec();
    while body.last() == Some(&b'\n') {
        body.pop();
    }
    body
}

/// The files of a folder.
pub fn files(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.map(|e| std::fs::read(e.expect("entry").path()).expect("file")).collect()
}
