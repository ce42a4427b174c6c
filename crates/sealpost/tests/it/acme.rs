//! Certificates from a real authority: Debian's pebble, which asks a DNS server of its own for every name, so that all
//! names are this machine's.

use crate::harness::{Own, free_port, run, run_with, said, wait_for};
use net::authority::{Authority, KeyKind};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use testkit::openssl_ca::OpensslCa;

const HOST: &str = "mail.example.test";
/// What openssl offers to be shown a certificate with each kind of key.
const ECDSA: &str = "ECDSA+SHA256";
const RSA: &str = "RSA-PSS+SHA256:RSA+SHA256";

/// An authority with its DNS server. It forgets everything when it ends.
struct Pebble {
    directory: String,
    ca: PathBuf,
    config: PathBuf,
    management: u16,
    dns: u16,
    children: Vec<Child>,
    /// Where it asks for HTTP-01 and TLS-ALPN-01.
    http: u16,
    tls: u16,
    dir: tempfile::TempDir,
}

impl Pebble {
    /// One that signs for so many seconds.
    fn prepare(validity_seconds: u32) -> Pebble {
        Pebble::with_responder(validity_seconds, "")
    }

    /// Its certificates name this OCSP responder, which is not its own.
    fn with_responder(validity_seconds: u32, responder: &str) -> Pebble {
        let dir = tempfile::tempdir().expect("tempdir");
        let authority = Authority::open(&dir.path().join("ca")).expect("authority");
        let leaf = authority.server(KeyKind::Ecdsa, &["localhost", "127.0.0.1"]).expect("certificate");
        let pair = leaf.write(dir.path(), "pebble").expect("certificate");
        let (port, management, http, tls, dns) =
            (free_port(), free_port(), free_port(), free_port(), free_port());
        let config = dir.path().join("pebble.json");
        let text = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{port}", "managementListenAddress": "127.0.0.1:{management}",
                "certificate": "{}", "privateKey": "{}", "httpPort": {http}, "tlsPort": {tls}, "ocspResponderURL": "{responder}",
                "externalAccountBindingRequired": false, "certificateValidityPeriod": {validity_seconds}}}}}"#,
            pair.chain.display(),
            pair.key.display()
        );
        std::fs::write(&config, text).expect("config");
        Pebble {
            directory: format!("https://localhost:{port}/dir"),
            ca: authority.certificate_file().to_owned(),
            config,
            management,
            dns,
            children: Vec::new(),
            http,
            tls,
            dir,
        }
    }

    fn started(validity_seconds: u32) -> Pebble {
        let mut pebble = Pebble::prepare(validity_seconds);
        pebble.start();
        pebble
    }

    fn start(&mut self) {
        let dns = format!("127.0.0.1:{}", self.dns);
        let management = format!("127.0.0.1:{}", free_port());
        // It answers for names alone; the challenges are the service's.
        let known = [
            ["-dns01", &dns],
            ["-management", &management],
            ["-defaultIPv4", "127.0.0.1"],
            ["-defaultIPv6", ""],
            ["-http01", ""],
            ["-https01", ""],
            ["-tlsalpn01", ""],
        ];
        self.spawn("pebble-challtestsrv", known.as_flattened());
        let config = self.config.display().to_string();
        self.spawn("pebble", &["-config", &config, "-dnsserver", &dns]);
        let (directory, ca) = (self.directory.clone(), self.ca.display().to_string());
        wait_for("pebble", || (run("curl", &["-sS", "--cacert", &ca, &directory]).code == 0).then_some(()));
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let log = File::create(self.dir.path().join(format!("{program}.log"))).expect("log");
        let child = Command::new(program)
            .args(arguments)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{program} is not installed ({e}); make test installs it"));
        self.children.push(child);
    }

    /// An authority with the key that it signs with, for what it cannot do itself.
    fn signer(&self, dir: &Path) -> OpensslCa {
        let ca = self.ca.display().to_string();
        let [certificate, key] = ["intermediates", "intermediate-keys"].map(|what| {
            let url = format!("https://localhost:{}/{what}/0", self.management);
            run("curl", &["-sS", "--cacert", &ca, &url]).success()
        });
        OpensslCa::adopted(dir, &certificate, &key)
    }

    fn stop(&mut self) {
        for mut child in self.children.drain(..) {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("pebble.log")).unwrap_or_default()
    }

    /// Settings of a service that orders here. `more` stands in `[acme]`.
    fn settings(&self, dir: &Path, imaps: u16, more: &str) -> String {
        let listener = |name: &str, protocol: &str, security: &str, port: u16| {
            format!(
                "\n[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nsecurity = \"{security}\"\n\
                 addresses = [\"127.0.0.1\"]\nport = {port}\n"
            )
        };
        format!(
            "host = \"{HOST}\"\ndata = \"{}\"\n[acme]\ndirectory = \"{}\"\nca = \"{}\"\nterms_agreed = true\n\
             contact = \"postmaster@example.test\"\n{more}\n{}{}{}",
            dir.join("data").display(),
            self.directory,
            self.ca.display(),
            listener("imaps", "imap", "implicit", imaps),
            listener("http", "web", "none", self.http),
            listener("https", "web", "implicit", self.tls),
        )
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A service that gets its certificates from there.
struct Service {
    own: Own,
    imaps: u16,
}

impl Service {
    fn prepare(pebble: &Pebble, more: &str) -> Service {
        let imaps = free_port();
        let own = Own::with_settings(|dir| pebble.settings(dir, imaps, more));
        own.sealpost(&["domain", "add", "example.test"], b"").success();
        Service { own, imaps }
    }

    fn started(pebble: &Pebble, more: &str) -> Service {
        let mut service = Service::prepare(pebble, more);
        service.own.start();
        service
    }

    /// The certificate that a client is shown for this name: its issuer, serial number and names.
    fn shown(&self, name: &str, algorithms: &str) -> String {
        let at = format!("127.0.0.1:{}", self.imaps);
        let hello = ["s_client", "-connect", &at, "-servername", name, "-sigalgs", algorithms];
        let said_by = run_with("openssl", &hello, b"", &[]);
        let read = ["x509", "-noout", "-issuer", "-serial", "-ext", "subjectAltName"];
        said(&run_with("openssl", &read, &said_by.stdout, &[])).text
    }

    /// SHA-256 of the public key that a client is shown, as TLSA records with `3 1 1` have it.
    fn key_digest(&self, name: &str, algorithms: &str) -> String {
        let at = format!("127.0.0.1:{}", self.imaps);
        let hello = ["s_client", "-connect", &at, "-servername", name, "-sigalgs", algorithms];
        let said_by = run_with("openssl", &hello, b"", &[]);
        let key = run_with("openssl", &["x509", "-noout", "-pubkey"], &said_by.stdout, &[]);
        let der = run_with("openssl", &["pkey", "-pubin", "-outform", "DER"], &key.stdout, &[]);
        let digest = said(&run_with("openssl", &["dgst", "-sha256", "-r"], &der.stdout, &[])).success();
        digest.split(' ').next().expect("a digest").to_owned()
    }

    /// Waits until another certificate is shown than this one.
    fn wait_for_other(&self, old: &str, algorithms: &str) -> String {
        wait_for("another certificate", || {
            let shown = self.shown(HOST, algorithms);
            (serial(&shown) != serial(old)).then_some(shown)
        })
    }

    /// Waits until the authority's certificate for this name is shown.
    fn wait_for(&self, pebble: &Pebble, name: &str, algorithms: &str) -> String {
        let begin = std::time::Instant::now();
        loop {
            let shown = self.shown(name, algorithms);
            if shown.contains("Pebble") && shown.contains(&format!("DNS:{name}")) {
                return shown;
            }
            let late = begin.elapsed() > std::time::Duration::from_secs(60);
            assert!(!late, "{name}: {shown}\n{}\n{}", self.own.log(), pebble.log());
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn serial(shown: &str) -> &str {
    shown.lines().find(|line| line.starts_with("serial=")).expect("a serial number")
}

#[test]
fn both_kinds_come_by_http_and_survive_a_restart() {
    let pebble = Pebble::started(86_400);
    let mut service = Service::started(&pebble, "challenge = \"http-01\"\n[dns]\nca = \"pebble.test\"");
    let ecdsa = service.wait_for(&pebble, HOST, ECDSA);
    let rsa = service.wait_for(&pebble, HOST, RSA);
    assert_ne!(serial(&ecdsa), serial(&rsa));
    let list = service.own.sealpost(&["certificate", "list"], b"").success();
    assert_eq!(list.matches(HOST).count(), 2, "{list}");
    assert_eq!(list.matches("authority").count(), 2, "{list}");
    let check = service.own.sealpost(&["certificate", "check"], b"").success();
    assert_eq!(check, "2 certificates, all of them good.\n");
    assert!(service.own.stop());
    let none = service.own.sealpost(&["certificate", "renew"], b"").failure();
    assert!(none.contains("none runs"), "{none}");
    service.own.start();
    // What was kept is served at once, and nothing is ordered again.
    assert_eq!(service.shown(HOST, ECDSA), ecdsa);
    assert_eq!(service.shown(HOST, RSA), rsa);
    let log = service.own.log();
    assert_eq!(log.matches("an account was made").count(), 1, "{log}");
    assert_eq!(log.matches("a certificate is ordered").count(), 2, "{log}");
    // The operator's word is enough to renew them at once. The keys stay, so that records of them stay right.
    let keys = [ECDSA, RSA].map(|algorithms| service.key_digest(HOST, algorithms));
    let records = service.own.sealpost(&["dns", "records", "example.test"], b"").success();
    // Only our account may order, and only by the way of proof that is in use (RFC 8657).
    let (_, uri) = records.split_once("pebble.test; accounturi=https://localhost:").expect("the account");
    assert!(
        uri.lines().next().is_some_and(|line| line.contains("; validationmethods=http-01\"")),
        "{records}"
    );
    for key in &keys {
        assert!(records.contains(&format!("3 1 1 {key}")), "{key}: {records}");
    }
    service.own.sealpost(&["certificate", "renew", HOST], b"").success();
    let ecdsa = service.wait_for_other(&ecdsa, ECDSA);
    let rsa = service.wait_for_other(&rsa, RSA);
    assert_eq!([ECDSA, RSA].map(|algorithms| service.key_digest(HOST, algorithms)), keys);
    new_keys_are_told_before_they_are_used(&mut service, &ecdsa, &rsa);
}

/// RFC 7671 8.1. `ecdsa` and `rsa` are what is shown.
fn new_keys_are_told_before_they_are_used(service: &mut Service, ecdsa: &str, rsa: &str) {
    let digests = |text: &str| -> BTreeSet<String> {
        text.lines()
            .filter_map(|line| line.split_once("3 1 1 "))
            .map(|(_, digest)| digest.split_whitespace().next().expect("a digest").to_owned())
            .collect()
    };
    let shown = |service: &Service| BTreeSet::from([ECDSA, RSA].map(|kind| service.key_digest(HOST, kind)));
    let records = |service: &Service| {
        digests(&service.own.sealpost(&["dns", "records", "example.test"], b"").success())
    };
    let renew = |service: &Service, more: &[&str]| {
        let line = [&["certificate", "renew", HOST], more].concat();
        service.own.sealpost(&line, b"").success()
    };
    let present = shown(service);
    let told = renew(service, &["--new-key"]);
    let coming = digests(&told);
    assert_eq!(coming.len(), 2, "{told}");
    assert!(told.contains("._tcp.mail.example.test."), "{told}");
    assert!(coming.is_disjoint(&present), "{told}");
    assert_eq!(records(service), present.union(&coming).cloned().collect());
    // Asked for again it is the same keys, whose records may stand in DNS already; and an ordinary renewal does not
    // bring them forward.
    assert_eq!(renew(service, &["--new-key"]), told);
    renew(service, &[]);
    let ecdsa = service.wait_for_other(ecdsa, ECDSA);
    let rsa = service.wait_for_other(rsa, RSA);
    assert_eq!(shown(service), present);
    // Their time comes, in the way that asks no resolver: there is none here.
    assert!(service.own.stop());
    let mut waiting = 0;
    for folder in std::fs::read_dir(service.own.dir.join("data/acme")).expect("folder") {
        for entry in std::fs::read_dir(folder.expect("entry").path()).expect("folder") {
            let file = entry.expect("entry").path();
            if file.extension().is_some_and(|extension| extension == "next") {
                let text = std::fs::read_to_string(&file).expect("a key");
                let (_, rest) = text.split_once(',').expect("its time");
                std::fs::write(&file, format!("{{\"from\":0,{rest}")).expect("a key");
                waiting += 1;
            }
        }
    }
    assert_eq!(waiting, 2);
    service.own.start();
    let ecdsa = service.wait_for_other(&ecdsa, ECDSA);
    let rsa = service.wait_for_other(&rsa, RSA);
    assert_eq!(shown(service), coming, "{}", service.own.log());
    assert_eq!(records(service), coming);
    // Somebody who cannot wait need not.
    let told = renew(service, &["--new-key", "--now"]);
    assert!(told.contains("must be replaced"), "{told}");
    service.wait_for_other(&ecdsa, ECDSA);
    service.wait_for_other(&rsa, RSA);
    assert!(shown(service).is_disjoint(&coming), "{}", service.own.log());
    assert_eq!(records(service), shown(service));
}

/// The serial number as it stands behind `serial=`.
fn number(shown: &str) -> &str {
    serial(shown).trim_start_matches("serial=")
}

#[test]
fn what_the_authority_revokes_is_replaced_once_with_a_new_key() {
    let (dir, responder) = (tempfile::tempdir().expect("tempdir"), free_port());
    let mut pebble = Pebble::with_responder(86_400, &format!("http://127.0.0.1:{responder}"));
    pebble.start();
    let mut service = Service::started(&pebble, "challenge = \"http-01\"");
    let (ecdsa, rsa) = (service.wait_for(&pebble, HOST, ECDSA), service.wait_for(&pebble, HOST, RSA));
    let key = service.key_digest(HOST, ECDSA);
    let ordered = |service: &Service| service.own.log().matches("a certificate is ordered").count();
    assert_eq!(ordered(&service), 2);
    assert!(service.own.stop());
    // Pebble answers no questions: openssl does, with its key.
    let mut signer = pebble.signer(dir.path());
    signer.knows("ecdsa", number(&ecdsa));
    signer.knows("rsa", number(&rsa));
    signer.revoke("ecdsa");
    let running = signer.serve(responder, "ca", 60);
    service.own.start();
    let next = service.wait_for_other(&ecdsa, ECDSA);
    assert!(next.contains("Pebble"), "{next}\n{}", service.own.log());
    assert_ne!(service.key_digest(HOST, ECDSA), key, "the old key may be why");
    assert_eq!(service.shown(HOST, RSA), rsa, "the other one holds");
    let log = service.own.log();
    assert!(log.contains("ERROR") && log.contains("the authority has revoked a certificate"), "{log}");
    assert_eq!(ordered(&service), 3, "{log}");
    // An authority that revokes this one too is not asked for another every minute, not after a restart either.
    assert!(service.own.stop());
    drop(running);
    signer.knows("next", number(&next));
    signer.revoke("next");
    let _running = signer.serve(responder, "ca", 60);
    for _ in 0..2 {
        service.own.start();
        let list = wait_for("the list", || {
            let list = service.own.sealpost(&["certificate", "check"], b"").text;
            list.contains("the authority has revoked").then_some(list)
        });
        assert!(list.lines().any(|line| line.ends_with("revoked")), "{list}");
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(service.shown(HOST, ECDSA), next);
        service.own.kill();
    }
    assert_eq!(ordered(&service), 3, "{}", service.own.log());
    // The operator's word counts at once.
    service.own.start();
    service.own.sealpost(&["certificate", "renew", HOST], b"").success();
    let last = service.wait_for_other(&next, ECDSA);
    assert!(last.contains("Pebble"), "{last}");
}

#[test]
fn names_of_the_settings_and_a_domains_own_host_have_certificates() {
    let pebble = Pebble::started(86_400);
    let mut service = Service::prepare(&pebble, "names = [\"imap.example.test\"]\nkeep_key = false");
    service.own.sealpost(&["domain", "add", "customer.test"], b"").success();
    service.own.sealpost(&["domain", "policy", "customer.test", "--host", "mx.customer.test"], b"").success();
    service.own.start();
    for name in [HOST, "imap.example.test", "mx.customer.test"] {
        for algorithms in [ECDSA, RSA] {
            service.wait_for(&pebble, name, algorithms);
        }
    }
    let check = service.own.sealpost(&["certificate", "check"], b"").success();
    assert_eq!(check, "6 certificates, all of them good.\n");
    // Where keys do not stay, no record says that they do.
    let records = service.own.sealpost(&["dns", "records", "example.test"], b"").success();
    assert!(!records.contains("TLSA"), "{records}");
    // This authority has no name for CAA, and said so.
    assert!(!records.contains("CAA"), "{records}");
    let ecdsa = service.shown(HOST, ECDSA);
    let key = service.key_digest(HOST, ECDSA);
    service.own.sealpost(&["certificate", "renew", HOST], b"").success();
    service.wait_for_other(&ecdsa, ECDSA);
    assert_ne!(service.key_digest(HOST, ECDSA), key);
}

#[test]
fn a_restart_is_no_way_round_a_wait() {
    let mut pebble = Pebble::started(86_400);
    let right = pebble.http;
    pebble.http = free_port();
    let mut service = Service::prepare(&pebble, "challenge = \"http-01\"");
    service.own.start();
    let begun = |service: &Service| service.own.log().matches("a certificate is ordered").count();
    wait_for("the failure", || service.own.log().contains("there is no new certificate").then_some(()));
    let count = begun(&service);
    // Killed and not stopped: what was to be kept is kept already.
    std::thread::sleep(std::time::Duration::from_millis(500));
    service.own.kill();
    for _ in 0..3 {
        service.own.start();
        std::thread::sleep(std::time::Duration::from_millis(700));
        service.own.kill();
    }
    assert_eq!(begun(&service), count, "{}", service.own.log());
    // What hindered it is mended, and the operator says so.
    let settings = service.own.dir.join("sealpost.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    let mended = text.replace(&format!("port = {}", pebble.http), &format!("port = {right}"));
    assert_ne!(text, mended);
    std::fs::write(&settings, mended).expect("settings");
    service.own.start();
    service.own.sealpost(&["certificate", "renew", HOST], b"").success();
    service.wait_for(&pebble, HOST, ECDSA);
}

#[test]
fn killed_at_any_moment_the_certificates_that_were_there_are_there() {
    let pebble = Pebble::started(86_400);
    let mut service = Service::started(&pebble, "");
    service.wait_for(&pebble, HOST, ECDSA);
    service.wait_for(&pebble, HOST, RSA);
    for round in 0..8 {
        service.own.sealpost(&["certificate", "renew", HOST], b"").success();
        std::thread::sleep(std::time::Duration::from_millis(150 * round));
        service.own.kill();
        let check = service.own.sealpost(&["certificate", "check"], b"").success();
        assert_eq!(check, "2 certificates, all of them good.\n");
        service.own.start();
        for algorithms in [ECDSA, RSA] {
            assert!(service.shown(HOST, algorithms).contains("Pebble"), "{}", service.own.log());
        }
    }
}

#[test]
fn by_handshake_on_demand_and_for_our_own_names_alone() {
    let pebble = Pebble::started(86_400);
    let service = Service::started(&pebble, "challenge = \"tls-alpn-01\"");
    service.wait_for(&pebble, HOST, ECDSA);
    service.wait_for(&pebble, HOST, RSA);
    // Nobody waits for a certificate that is not there yet.
    let first = service.shown("autoconfig.example.test", ECDSA);
    assert!(first.contains(&format!("DNS:{HOST}")), "{first}");
    let foreign = ["autoconfig.foreign.test", "www.example.test", "foreign.test"];
    for name in foreign {
        let shown = service.shown(name, ECDSA);
        assert!(shown.contains(&format!("DNS:{HOST}")), "{shown}");
    }
    service.wait_for(&pebble, "autoconfig.example.test", ECDSA);
    service.wait_for(&pebble, "autoconfig.example.test", RSA);
    // Asked for later than the foreign ones, so that those had their turn.
    assert!(!service.shown("mta-sts.example.test", RSA).contains("mta-sts"));
    service.wait_for(&pebble, "mta-sts.example.test", RSA);
    let log = service.own.log();
    for name in foreign {
        assert!(!log.contains(name) && !pebble.log().contains(name), "{name}: {log}");
    }
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_served_until_then() {
    let mut pebble = Pebble::started(36);
    let service = Service::started(&pebble, "");
    let first = service.wait_for(&pebble, HOST, ECDSA);
    service.wait_for(&pebble, HOST, RSA);
    // The authority forgets us meanwhile: a new account is made without anybody's help.
    pebble.stop();
    pebble.start();
    let second = wait_for("the renewed certificate", || {
        let shown = service.shown(HOST, ECDSA);
        assert!(shown.contains("Pebble"), "{shown}\n{}", service.own.log());
        (serial(&shown) != serial(&first)).then_some(shown)
    });
    assert!(second.contains(&format!("DNS:{HOST}")), "{second}");
    let log = service.own.log();
    assert!(log.contains("does not know our account"), "{log}");
}

#[test]
fn without_the_authority_the_service_starts_and_says_so() {
    let mut pebble = Pebble::prepare(86_400);
    let service = Service::started(&pebble, "");
    let stand_in = service.shown(HOST, ECDSA);
    assert!(!stand_in.contains("Pebble") && stand_in.contains(&format!("DNS:{HOST}")), "{stand_in}");
    let log = wait_for("the words", || {
        Some(service.own.log()).filter(|log| log.contains("the authority cannot be asked"))
    });
    assert!(log.contains("a self-signed certificate stands in"), "{log}");
    let check = service.own.sealpost(&["certificate", "check"], b"");
    assert_eq!(check.code, 2, "{}", check.text);
    assert!(check.text.contains(HOST) && check.text.contains("missing"), "{}", check.text);
    pebble.start();
    service.wait_for(&pebble, HOST, ECDSA);
}

#[test]
fn a_port_that_does_not_lead_here_is_named() {
    let mut pebble = Pebble::started(86_400);
    pebble.http = free_port();
    let service = Service::started(&pebble, "challenge = \"http-01\"");
    let log = wait_for("the words", || {
        Some(service.own.log()).filter(|log| log.contains("there is no new certificate"))
    });
    assert!(log.contains(&format!("could not reach http://{HOST}/.well-known/acme-challenge/")), "{log}");
    assert!(log.contains("must lead here"), "{log}");
}
