use super::key::{Fallback, KEYS, SECTIONS};
use super::*;
use proto::service::Protocol;

const CERTIFICATE: &str = "[[tls.certificates]]\nchain = \"c.pem\"\nkey = \"/k.pem\"\n";

fn parse(text: &str) -> Result<Settings, Mistakes> {
    Settings::parse(text, "s.toml", Path::new("/etc/sealpost"))
}

fn mistakes(text: &str) -> Vec<String> {
    let Err(mistakes) = parse(text) else { panic!("this should not parse:\n{text}") };
    mistakes.to_string().lines().map(str::to_owned).collect()
}

/// The mistakes of lines put behind a file that is otherwise sound.
fn mistakes_of(lines: &str) -> Vec<String> {
    mistakes(&format!("host = \"mail.example.test\"\n{CERTIFICATE}{lines}"))
}

#[test]
fn every_literal_in_the_table_reads_and_every_key_has_a_section() {
    for key in KEYS {
        let _ = read::literal(key, key.example);
        if let Fallback::Value(text) = key.fallback {
            let _ = read::literal(key, text);
        }
        let section = key.path.rsplit_once('.').map_or("", |(s, _)| s);
        assert!(SECTIONS.iter().any(|s| s.path == section), "{} has no section", key.path);
        assert!(key.doc.ends_with('.'), "{}: the paragraph ends with a full stop", key.path);
    }
    let mut paths: Vec<_> = KEYS.iter().map(|k| k.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), KEYS.len());
}

#[test]
fn defaults_are_those_of_the_parts() {
    let s = Settings::defaults("mail.example.test", Path::new("d"), Preset::Modern, &[]);
    let show = |x: &dyn std::fmt::Debug| format!("{x:?}");
    assert_eq!(show(&s.smtp.limits), show(&smtp::server::Limits::default()));
    assert_eq!(show(&s.pop3.limits), show(&pop3::server::Limits::default()));
    assert_eq!(show(&s.imap), show(&imap::server::Limits::default()));
    assert_eq!(show(&s.store), show(&store::Options::default()));
    assert_eq!(show(&s.web), show(&net::https::Limits::default()));
    assert_eq!(s.promises, server::app::Promises::default());
    assert_eq!(s.password.argon2_memory_kib, 19 * 1024);
    assert_eq!(s.log, Log { json: false, level: tracing::Level::INFO });
}

#[test]
fn smallest_file() {
    let s = parse(&format!("host = \"Mail.Example.test.\"\n{CERTIFICATE}")).unwrap();
    assert_eq!(s.model.host, "mail.example.test");
    assert_eq!(s.data, Path::new("/var/lib/sealpost"));
    assert_eq!(s.tls.certificates, [("/etc/sealpost/c.pem".into(), "/k.pem".into())]);
    assert_eq!(s.model.listeners.len(), 6);
    assert_eq!(s.model.listeners[0].addresses.len(), 2);
    assert!(s.model.password_sent && !s.model.clients_on_exchange);
}

#[test]
fn everything_set() {
    let s = parse(
        r#"
host = "mail.example.test"
data = "store"
tls = { client_ca = "ca.pem", certificates = [{ chain = "a", key = "b" }, { chain = "c", key = "d" }] }
listen.preset = "challenge-only"
listen.addresses = ["127.0.0.1"]
[limits]
connections = 7
connections_per_network = 3
handshake = "5s"
stall = "1m"
message_header = "8 KiB"
received_fields = 100
[limits.smtp]
message = "1 MB"
recipients = 1_00
command_silence = "1h30m"
[limits.pop3]
silence = "1h"
[limits.imap]
command = "1 MiB"
silence = "2h"
[smtp]
normalise_newlines = true
require_from_match = true
clients = false
[pop3]
login_delay = "1m"
[password]
argon2_memory = "64 MiB"
remember_for = "0s"
[store]
segment = "1 GiB"
view_cache = "64 MiB"
columns_cache = "1 MiB"
term_cache = "2 MiB"
[log]
format = "json"
level = "debug"
[shutdown]
grace = "1s"
"#,
    )
    .unwrap();
    assert_eq!(s.tls.client_ca.as_deref(), Some(Path::new("/etc/sealpost/ca.pem")));
    assert_eq!(s.tls.certificates.len(), 2);
    assert_eq!(s.data, Path::new("/etc/sealpost/store"));
    assert!(!s.model.password_sent && !s.model.clients_on_exchange);
    assert_eq!(s.connections.connections_max, 7);
    assert_eq!(s.smtp.limits.message_bytes_max, 1_000_000);
    assert_eq!(s.smtp.limits.recipients_max, 100);
    assert_eq!(s.smtp.limits.command_seconds_max, 5400);
    assert_eq!(s.pop3.limits.idle_seconds_max, 3600);
    assert_eq!(s.imap.command_bytes_max, 1 << 20);
    assert_eq!(s.imap.idle_seconds_max, 7200);
    assert_eq!(s.password.argon2_memory_kib, 65_536);
    assert_eq!(s.store.segment_bytes_max, 1 << 30);
    assert_eq!(s.store.view_cache_bytes_max, 64 << 20);
    assert_eq!((s.store.columns_cache_bytes_max, s.store.term_cache_bytes_max), (1 << 20, 2 << 20));
    assert_eq!(s.log, Log { json: true, level: tracing::Level::DEBUG });
}

#[test]
fn own_listeners_replace_the_preset() {
    let s = parse(&format!(
        "host = \"mail.example.test\"\n{CERTIFICATE}
[listen]
preset = \"challenge-only\"
addresses = [\"192.0.2.1\"]
[[listener]]
protocol = \"pop3\"
security = \"implicit\"
port = 0
[[listener]]
name = \"in\"
protocol = \"lmtp\"
security = \"starttls\"
"
    ))
    .unwrap();
    let rows: Vec<_> =
        s.model.listeners.iter().map(|l| (l.name.as_str(), l.port, l.addresses.len())).collect();
    assert_eq!(rows, [("pop3-implicit", 0, 1), ("in", proto::service::ports::LMTP, 2)]);
    assert!(s.model.listeners[1].addresses.iter().all(IpAddr::is_loopback));
    assert!(!s.model.password_sent, "the preset's policy holds beside listeners of one's own");
}

#[test]
fn all_mistakes_at_once_with_place_and_remedy() {
    let text = "host = \"localhost\"\nhots = 1\n\n[limits.smtp]\n  message = 50\nrecipients = 1\nlien = \"1 KiB\"\n\
                [log]\nlevel = \"inof\"\nformat = 3\n[pop3]\nlogin_delay = \"5\"\nmessage = \"1 KiB\"\n";
    assert_eq!(
        mistakes(text),
        [
            "s.toml:1:1: there is no certificate, and without one nothing can be served; add [[tls.certificates]] \
             with chain and key, or [acme] to order one",
            "s.toml:1:8: \"host\" needs a full host name, found \"localhost\"; write letters, digits and hyphens \
             with dots between, such as \"mail.example.org\"",
            "s.toml:2:1: there is no \"hots\" at the top; did you mean \"host\"?",
            "s.toml:5:13: \"limits.smtp.message\" needs a size such as \"50 MB\" or \"50 MiB\", found the number 50; \
             write a number with B, KB, KiB, MB, MiB, GB or GiB, in quotes",
            "s.toml:6:14: \"limits.smtp.recipients\" is 1, less than is allowed; choose from 100 to 100000",
            "s.toml:7:1: there is no \"lien\" in [limits.smtp]; did you mean \"line\"?",
            "s.toml:9:9: \"log.level\" does not know \"inof\"; did you mean \"info\"? Possible are \"error\", \
             \"warn\", \"info\", \"debug\", \"trace\"",
            "s.toml:10:10: \"log.format\" needs a word in quotes, found the number 3; choose one of \"text\", \"json\"",
            "s.toml:12:15: \"pop3.login_delay\" needs a duration such as \"5m\", found \"5\"; write a number with s, \
             m, h or d: \"90s\", \"1h30m\"",
            "s.toml:13:1: there is no \"message\" in [pop3]; did you mean \"limits.smtp.message\"?",
        ]
    );
}

#[test]
fn one_mistake_each() {
    for (lines, at, words) in [
        ("[limits]\nconnections = \"many\"", "6:15", "whole number"),
        ("[limits]\nconnections = -1", "6:15", "is -1"),
        ("[limits]\nconnections = 0x1_0000_0000_0000_0000_0000_0000_0000_0000_0", "6:15", "whole number"),
        ("[smtp]\nnormalise_newlines = \"yes\"", "6:22", "true or false"),
        ("[listen]\naddresses = [\"mail.example.test\"]", "6:13", "IP addresses"),
        ("[listen]\naddresses = []", "6:13", "empty list"),
        ("[listen]\npreset = \"modren\"", "6:10", "did you mean \"modern\""),
        ("[[log]]\nlevel = \"info\"", "5:1", "is a section"),
        ("[listener]\nprotocol = \"pop3\"", "5:1", "list of tables"),
        ("[[listener]]\nname = \"a\"", "5:1", "listener number 1 has no \"protocol\""),
        ("[[listener]]\nprotocol = \"smtp\"\nsecurity = \"implicit\"", "7:12", "no registered one"),
        ("[zebra]\nx = 1", "5:2", "known here: host, provider, data"),
        ("[shutdown]\ngrace = 1979-05-27", "6:9", "found a date"),
        ("[log]\nlevel = info", "6:9", "not TOML"),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"", "7:1", "duplicate"),
    ] {
        let found = mistakes_of(lines);
        assert!(
            found.iter().any(|m| m.starts_with(&format!("s.toml:{at}: ")) && m.contains(words)),
            "{lines}\n{found:#?}"
        );
    }
}

#[test]
fn the_service_beside_its_listeners() {
    let file = |lines: &str| parse(&format!("host = \"mail.example.test\"\n{CERTIFICATE}{lines}")).unwrap();
    let plain = file("").model;
    assert_eq!((plain.provider, plain.greeting_wait_millis, plain.mail_on_web), (None, 300, false));
    let said = parse(&format!(
        "host = \"mail.example.test\"\nprovider = \"Example Mail\"\n[listen]\nweb = false\ngreeting_wait = \"1s\"\n{CERTIFICATE}"
    ));
    let said = said.unwrap().model;
    assert_eq!((said.provider.as_deref(), said.greeting_wait_millis), (Some("Example Mail"), 1000));
    assert!(said.listeners.iter().all(|l| l.protocol != Protocol::Web));
    let own = file(
        "[[listener]]\nprotocol = \"web\"\nsecurity = \"none\"\n[[listener]]\nprotocol = \"pop3\"\nsecurity = \"implicit\"\neither_way = true\n",
    );
    let rows: Vec<_> = own.model.listeners.iter().map(|l| (l.name.as_str(), l.port, l.either_way)).collect();
    assert_eq!(rows, [("web-none", 80, false), ("pop3-implicit", 995, true)]);
    assert_eq!(own.warnings.list, []);
}

#[test]
fn what_is_hardly_meant_is_said_and_no_mistake() {
    let text = format!(
        "host = \"mail.example.test\"\n{CERTIFICATE}[listen]\nmail_on_web = true\n[smtp]\nclients = true\n\
         [[listener]]\nprotocol = \"imap\"\nsecurity = \"starttls\"\nport = 993\n"
    );
    let warnings = parse(&text).unwrap().warnings.to_string();
    let lines: Vec<_> = warnings.lines().collect();
    assert_eq!(
        lines,
        [
            "s.toml:6:15: mail is to be served on the web's port, and there is none with TLS; add a listener with \
             protocol \"web\" and security \"implicit\", or take it away",
            "s.toml:8:11: people may submit where other servers deliver, and nothing listens for those; add a \
             listener with protocol \"smtp\", or take it away",
            "s.toml:12:8: listener \"imap-starttls\": at port 993 clients expect imap with TLS from the first byte; \
             choose the security that clients expect there, set either_way = true, or take another port",
        ]
    );
}

#[test]
fn protections_that_do_not_go_together() {
    let listener = |protocol, security| {
        mistakes_of(&format!("[[listener]]\nprotocol = \"{protocol}\"\nsecurity = \"{security}\"\n"))
    };
    assert_eq!(
        listener("imap", "none"),
        [
            "s.toml:7:12: listener \"imap-none\": mail is not served without encryption; write \"implicit\" or \"starttls\""
        ]
    );
    assert_eq!(
        listener("web", "starttls"),
        [
            "s.toml:7:12: listener \"web-starttls\": the web knows no STARTTLS; write \"implicit\" for HTTPS or \"none\" \
          for the redirect to it"
        ]
    );
}

#[test]
fn listeners_that_meet() {
    let listener = |name, port| {
        format!(
            "[[listener]]\nname = \"{name}\"\nprotocol = \"pop3\"\nsecurity = \"implicit\"\nport = {port}\n"
        )
    };
    let found = mistakes_of(&(listener("a", 7) + &listener("b", 7) + &listener("a", 8)));
    assert_eq!(
        found,
        [
            "s.toml:14:8: listeners \"a\" and \"b\" both want 0.0.0.0 port 7; give one of the two another port, or \
             addresses that do not meet",
            "s.toml:16:8: two listeners are named \"a\"; give each listener a name of its own",
        ]
    );
}

#[test]
fn missing_host_is_said_unless_the_syntax_is_broken() {
    assert_eq!(mistakes(CERTIFICATE), ["s.toml:1:1: \"host\" is missing; add host = \"mail.example.org\""]);
    assert!(mistakes("host = \n").iter().all(|m| !m.contains("is missing")));
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    assert!(Settings::load(&path).unwrap_err().to_string().contains("--example"));
    std::fs::write(&path, b"host = \"a.b\"\nx = \"\xff\"\n").unwrap();
    assert!(Settings::load(&path).unwrap_err().to_string().contains(":2:6: this is not UTF-8"));
    std::fs::write(&path, render::example()).unwrap();
    let settings = Settings::load(&path).unwrap();
    assert_eq!(settings.tls.certificates[0].0, dir.path().join("mail.example.org.pem"));
}

#[test]
fn the_example_is_complete_and_true() {
    let example = render::example();
    let plain = parse(&example).unwrap();
    let least = parse(&format!("host = \"mail.example.org\"\n{CERTIFICATE}")).unwrap();
    assert_eq!(format!("{:?}", plain.smtp), format!("{:?}", least.smtp));
    assert_eq!(plain.model, least.model);
    // With every comment sign taken off the keys, each key is there and reads.
    let all: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    // The one listener of the example is POP3's, and an authority needs one of the web.
    let settings = parse(&all.replace("\ndirectory = ", "\n#directory = ")).unwrap();
    assert_eq!(settings.model.listeners.len(), 1);
    assert!(settings.tls.client_ca.is_some());
    for key in KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(all.contains(&format!("\n{name} = ")), "{}", key.path);
    }
}

#[test]
fn what_is_promised_to_others() {
    let text = format!(
        "host = \"mail.example.test\"\n{CERTIFICATE}[dns]\nca = \"letsencrypt.org\"\n\
         dmarc_reports = \"d@a.test\"\ntls_reports = \"t@a.test\"\n[smtp]\nmta_sts = \"none\"\n\
         [limits.web]\nheader = \"8 KiB\"\nstreams = 7\n"
    );
    let s = parse(&text).unwrap();
    let expected = server::app::Promises {
        ca: Some("letsencrypt.org".to_owned()),
        dmarc_reports: Some("d@a.test".to_owned()),
        tls_reports: Some("t@a.test".to_owned()),
        mta_sts: Some(Mode::None),
    };
    assert_eq!(s.promises, expected);
    assert_eq!((s.web.header_bytes_max, s.web.streams_max), (8 << 10, 7));
    // What would end the value of a record, or begin another one, is no address.
    for bad in ["nobody", "a@b.test; p=none", "a@b.test,c@d.test", "a@b.test!10m", "@b.test"] {
        let found = mistakes_of(&format!("[dns]\ntls_reports = \"{bad}\"\n"));
        assert!(found.len() == 1 && found[0].contains("this is no mail address"), "{bad}: {found:?}");
    }
}

#[test]
fn the_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        std::fs::write(path, render::markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == render::markdown(),
        "docs/settings.md is stale: run SEALPOST_REWRITE=1 cargo test -p sealpost settings and commit it"
    );
}

#[test]
fn nothing_panics_on_odd_files() {
    let example = render::example();
    for cut in (0..example.len()).filter(|cut| example.is_char_boundary(*cut)).step_by(7) {
        let _ = parse(&example[..cut]);
        let _ = parse(&example[cut..]);
    }
    for text in [
        "\0",
        "[",
        "[[",
        "a.b.c.d=1",
        "host.x = 1",
        "tls = 1",
        "listener = [1]",
        "listener = [[]]",
        "\u{feff}",
    ] {
        let _ = parse(text);
    }
}

/// An [acme] section behind a host, with listeners of the web or without.
fn acme(lines: &str, web: bool) -> String {
    let listen = if web { "" } else { "[listen]\nweb = false\n" };
    format!("host = \"mail.example.test\"\n{listen}[acme]\n{lines}")
}

const AGREED: &str = "directory = \"https://ca.test/dir\"\nterms_agreed = true\n";

#[test]
fn an_authority_is_enough_of_a_certificate() {
    let s = parse(&acme(
        &format!("{AGREED}contact = \"a@b.test\"\nnames = [\"IMAP.example.test\"]\nca = \"ca.pem\"\n"),
        true,
    ))
    .unwrap();
    let acme_of = s.acme.clone().unwrap();
    assert_eq!(acme_of.directory, "https://ca.test/dir");
    assert_eq!(acme_of.contact.as_deref(), Some("a@b.test"));
    assert_eq!(acme_of.names, ["imap.example.test"]);
    assert_eq!(acme_of.ca.as_deref(), Some(Path::new("/etc/sealpost/ca.pem")));
    assert!(acme_of.on_demand && acme_of.challenge.is_none());
    assert_eq!((acme_of.renew_before_seconds, acme_of.keep_key), (0, true));
    assert!(s.tls.certificates.is_empty() && s.warnings.list.is_empty());
    // Without a directory nothing is ordered, and then a file is needed.
    assert!(mistakes(&acme("terms_agreed = true\n", true))[0].contains("or [acme] to order one"));
}

#[test]
fn mistakes_about_ordering_certificates() {
    for (lines, web, words) in [
        ("directory = \"https://ca.test/dir\"\n".to_owned(), true, "agree to the authority's terms"),
        ("directory = \"http://ca.test/dir\"\nterms_agreed = true\n".to_owned(), true, "over HTTPS"),
        (format!("{AGREED}contact = \"nobody\"\n"), true, "no mail address"),
        (format!("{AGREED}names = \"a.test\"\n"), true, "needs a list of host names"),
        (format!("{AGREED}names = [\"a b\"]\n"), true, "host name"),
        (AGREED.to_owned(), false, "verifies names at a listener of the web, and there is none"),
        (format!("{AGREED}challenge = \"http-01\"\n"), false, "without TLS, and there is none"),
        (format!("{AGREED}challenge = \"tls-alpn-01\"\n"), false, "with TLS, and there is none"),
    ] {
        let found = mistakes(&acme(&lines, web));
        assert!(found.iter().any(|mistake| mistake.contains(words)), "{lines}\n{found:#?}");
    }
}

#[test]
fn a_port_at_which_no_authority_asks_is_a_warning() {
    let listener =
        |port: u16| format!("[[listener]]\nprotocol = \"web\"\nsecurity = \"none\"\nport = {port}\n");
    let warnings = |port, challenge| {
        let text = acme(&format!("{AGREED}{challenge}{}", listener(port)), true);
        parse(&text).unwrap().warnings.to_string()
    };
    assert!(warnings(8080, "").contains("the authority asks at port 80 or 443"));
    assert!(!warnings(80, "").contains("the authority asks"));
}
