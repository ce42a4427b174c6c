//! The table of settings: every key once, as data.
//!
//! Reading, the commented example and `docs/settings.md` are all rendered from
//! [`KEYS`]. A key that is not here does not exist; a default that is not here
//! is nowhere else (a test holds the protocol crates' own defaults against it).
//! No port number stands here: presets and registered ports come from the
//! service model.

use proto::service::preset::Preset;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text without control characters.
    Text,
    /// A host name.
    Host,
    /// A file or directory; relative ones start at the settings file's directory.
    Path,
    /// A time such as `"5m"`, in seconds.
    Duration {
        /// Fewest seconds.
        min: u64,
        /// Most seconds.
        max: u64,
    },
    /// A short time such as `"300ms"`, in milliseconds.
    Millis {
        /// Fewest milliseconds.
        min: u64,
        /// Most milliseconds.
        max: u64,
    },
    /// A size such as `"50 MiB"`, in octets.
    Size {
        /// Fewest octets.
        min: u64,
        /// Most octets.
        max: u64,
    },
    /// A whole number.
    Count {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of IP addresses.
    Addresses,
    /// A list of host names.
    Hosts,
}

/// What holds when a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It cannot be left out.
    Required,
    /// This value, as it would be written in the file.
    Value(&'static str),
    /// Nothing is set; the text says what follows.
    Unset(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Full path; `[]` stands behind a table that may be repeated.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it.
    pub fallback: Fallback,
    /// What it does, a paragraph.
    pub doc: &'static str,
    /// A value as it would be written in the file.
    pub example: &'static str,
}

/// A group of keys with its own heading.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Path as in [`Key::path`]; empty for the keys at the top.
    pub path: &'static str,
    /// What it is about.
    pub doc: &'static str,
}

/// The sections in the order of the example; each key belongs to the longest that it starts with.
pub const SECTIONS: &[Section] = &[
    Section { path: "", doc: "Who we are and where things are kept." },
    Section { path: "tls", doc: "Certificates. They are read again when the files change." },
    Section {
        path: "tls.certificates[]",
        doc: "A certificate with its key, once for each. Put the ECDSA certificate first; an RSA one beside it serves \
              older clients. The certificate is chosen by the name that the client asks for, else the first is taken.",
    },
    Section {
        path: "acme",
        doc: "Certificates that are ordered and renewed by themselves from an authority that speaks ACME (RFC 8555), \
              such as Let's Encrypt. The authority must reach this machine by the names: at the web's port without TLS \
              or, where that is closed, at the one with TLS.",
    },
    Section { path: "listen", doc: "Where to listen, ready-made." },
    Section {
        path: "listener[]",
        doc: "A listener, once for each. If there is one, the preset's listeners are not used.",
    },
    Section { path: "limits", doc: "Limits on connections and messages." },
    Section { path: "limits.smtp", doc: "Limits of one SMTP, submission or LMTP connection." },
    Section { path: "limits.pop3", doc: "Limits of one POP3 connection." },
    Section { path: "limits.imap", doc: "Limits of one IMAP connection." },
    Section { path: "limits.web", doc: "Limits of one HTTP connection." },
    Section { path: "smtp", doc: "Mail coming in." },
    Section {
        path: "dns",
        doc: "What \"sealpost dns records\" proposes for the domains' zones, beside what follows from the rest.",
    },
    Section { path: "pop3", doc: "What POP3 clients are told." },
    Section { path: "web", doc: "The web pages." },
    Section { path: "password", doc: "How passwords are kept and proven." },
    Section { path: "store", doc: "How message bodies are laid out on the disk." },
    Section { path: "log", doc: "The log, on standard error. It never holds secrets or content." },
    Section { path: "shutdown", doc: "How the service stops." },
];

const PRESETS: &[&str] = &[
    Preset::Modern.name(),
    Preset::SubmissionFirst.name(),
    Preset::Compatible.name(),
    Preset::ChallengeOnly.name(),
];

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: u64 = 86_400;

const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Duration { min, max }
}

const fn octets(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

const fn key(
    path: &'static str,
    kind: Kind,
    fallback: Fallback,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, fallback, doc, example }
}

use Fallback::{Required, Unset, Value};

/// Every key, in the order of the example.
#[rustfmt::skip] // One key reads as one paragraph.
pub const KEYS: &[Key] = &[
    key("host", Kind::Host, Required, "\"mail.example.org\"",
        "The name that clients connect to and that the certificate covers. It is also the name in greetings and in \
         Received fields, so it should resolve to this machine and back."),
    key("provider", Kind::Text, Unset("each domain's own name"), "\"Example Mail\"",
        "What people know the service as; it stands in their mail programs and in the guide."),
    key("data", Kind::Path, Value("\"/var/lib/sealpost\""), "\"/var/lib/sealpost\"",
        "The directory that keeps everything: accounts, mailboxes, message bodies. One running service at a time uses \
         it. Only the service's own user should be able to read it."),
    key("tls.client_ca", Kind::Path, Unset("client certificates are not asked for"), "\"client-ca.pem\"",
        "A PEM file of authorities whose client certificates are accepted. A client that shows one may log in with \
         EXTERNAL as the mail address in the certificate."),
    key("tls.staple", Kind::Switch, Value("true"), "false",
        "Ask the OCSP responder that a certificate names, in clear HTTP as is usual, whether the certificate still holds, \
         and hand clients the answer with it, so that they need not ask. Of \"sealpost certificate list\" the column \
         \"staple\" says how that stands."),
    key("tls.certificates[].chain", Kind::Path, Required, "\"mail.example.org.pem\"",
        "PEM file with the certificate and the intermediate ones behind it."),
    key("tls.certificates[].key", Kind::Path, Required, "\"mail.example.org.key\"",
        "PEM file with the private key of that certificate."),
    key("acme.directory", Kind::Text, Unset("no certificate is ordered"),
        "\"https://acme-v02.api.letsencrypt.org/directory\"",
        "The URL of the authority's directory. The service orders one certificate with an ECDSA key and one with an RSA \
         key, for older clients, for its host, for each domain's own host, and for the names below."),
    key("acme.terms_agreed", Kind::Switch, Unset("nothing is ordered"), "true",
        "Whether you have read the authority's terms and agree to them. Nothing is ordered without."),
    key("acme.contact", Kind::Text, Unset("the authority knows no address"), "\"postmaster@example.org\"",
        "A mail address at which the authority may tell you of trouble."),
    key("acme.names", Kind::Hosts, Unset("no further names"), "[\"imap.example.org\", \"smtp.example.org\"]",
        "Further names of this machine that clients connect to."),
    key("acme.on_demand", Kind::Switch, Value("true"), "false",
        "Order certificates for the names by which mail programs look for the settings of our own domains \
         (autoconfig, autodiscover, mta-sts, ua-auto-config, mail), each when a client first asks for it."),
    key("acme.challenge", Kind::Choice(&["http-01", "tls-alpn-01"]), Unset("what the listeners can answer, \"http-01\" first"),
        "\"tls-alpn-01\"",
        "How the authority verifies a name: \"http-01\" at the web's port without TLS, \"tls-alpn-01\" at the one with it."),
    key("acme.renew_before", seconds(3600, 90 * DAY), Unset("a third of its life before its end, or when the authority says"),
        "\"30d\"",
        "How long before its end a certificate is renewed at the latest. The authority may ask for earlier; one that lives \
         less than twice as long as this is renewed at half of its life."),
    key("acme.keep_key", Kind::Switch, Value("true"), "false",
        "A renewed certificate has the key of the one before, so that the TLSA records of \"sealpost dns records\" \
         stay right. With false each has a new key, and no TLSA records are proposed. \"sealpost certificate renew \
         --new-key\" changes keys once, and says beforehand which records to enter. The authority's own key is not proposed in its place: authorities \
         sign with several intermediate certificates by turns and change them unannounced, and mail would stop with that."),
    key("acme.ca", Kind::Path, Unset("the authorities that the system trusts"), "\"acme-ca.pem\"",
        "A PEM file of authorities that vouch for the directory's own host, if it is a private one."),
    key("listen.preset", Kind::Choice(PRESETS), Value("\"modern\""), "\"modern\"",
        "The listeners, ready-made; the rows of each preset are listed below the keys. \"challenge-only\" also turns \
         off every mechanism that sends the password, inside TLS too."),
    key("listen.addresses", Kind::Addresses, Value("[\"0.0.0.0\", \"::\"]"), "[\"192.0.2.25\", \"2001:db8::25\"]",
        "The addresses of the preset's listeners, and of each listener of your own that names none."),
    key("listen.web", Kind::Switch, Value("true"), "false",
        "Whether the preset has the ports of the web, by which mail programs find their settings and people the guide."),
    key("listen.mail_on_web", Kind::Switch, Value("false"), "true",
        "Serve IMAP and submission on the web's TLS port, too, to clients that ask for them in the handshake (ALPN \
         \"imap\" and \"submissions\"): for networks that let nothing else through."),
    key("listen.greeting_wait", Kind::Millis { min: 0, max: 10_000 }, Value("\"300ms\""), "\"500ms\"",
        "How long a listener that serves both ways waits for a client to begin TLS before it greets it in clear. A \
         client that begins at once is never kept waiting."),
    key("listener[].name", Kind::Text, Unset("the protocol and security, such as \"pop3-implicit\""), "\"pop3s\"",
        "Its name in the log and in session facts."),
    key("listener[].protocol", Kind::Choice(&["smtp", "submission", "lmtp", "imap", "pop3", "web"]), Required, "\"pop3\"",
        "What is spoken: \"smtp\" with other servers, \"submission\" with people's mail programs, \"lmtp\" with a mail \
         server in front of this one, \"imap\" and \"pop3\" to read mail, \"web\" for pages and for the settings of \
         mail programs."),
    key("listener[].security", Kind::Choice(&["implicit", "starttls", "none"]), Required, "\"implicit\"",
        "\"implicit\" is TLS from the first byte. \"starttls\" begins in clear and is upgraded; submission, IMAP and \
         POP3 demand the upgrade before a login. \"none\" is for the web alone, which then answers little more than \
         where its encrypted port is."),
    key("listener[].either_way", Kind::Switch, Value("false"), "true",
        "Serve the other kind of security on this port too: a client that begins TLS gets TLS, one that waits is \
         greeted in clear and offered STARTTLS. It mends the commonest mistake in the settings of mail programs."),
    key("listener[].addresses", Kind::Addresses,
        Unset("the addresses of [listen]; for LMTP those of this machine alone (loopback)"), "[\"127.0.0.1\"]",
        "The addresses to listen on."),
    key("listener[].port", count(0, 65_535), Unset("the registered port of that protocol and security"), "0",
        "The port; 0 lets the system choose a free one."),
    key("limits.connections", count(1, 1_000_000), Value("10000"), "10000",
        "Connections in all. Further ones are told to come back later."),
    key("limits.connections_per_network", count(1, 1_000_000), Value("200"), "200",
        "Connections from one network (/24 of IPv4, /48 of IPv6). This machine itself is exempt."),
    key("limits.handshake", seconds(1, 600), Value("\"30s\""), "\"30s\"", "Time for a TLS handshake."),
    key("limits.stall", seconds(5, 3600), Value("\"2m\""), "\"2m\"",
        "A peer that takes none of our bytes for this long is disconnected."),
    key("limits.message_header", octets(4096, 16 * MIB), Value("\"256 KiB\""), "\"256 KiB\"",
        "The header of one message. A message with a larger one is refused."),
    key("limits.received_fields", count(10, 1000), Value("50"), "50",
        "A message with more Received fields than this is going in circles and is refused (RFC 5321 6.3)."),
    key("limits.smtp.line", octets(512, MIB), Value("\"4 KiB\""), "\"4 KiB\"",
        "One command line with its line end (RFC 5321 4.5.3.1.4 asks for 512 octets and more with extensions)."),
    key("limits.smtp.auth_line", octets(12_288, MIB), Value("\"12 KiB\""), "\"12 KiB\"",
        "One line of a login exchange (RFC 4954 4 asks for 12288 octets)."),
    key("limits.smtp.message", octets(64 << 10, 64 * GIB), Value("\"50 MiB\""), "\"50 MiB\"",
        "One message. Clients learn it in advance by SIZE (RFC 1870)."),
    key("limits.smtp.recipients", count(100, 100_000), Value("1000"), "1000",
        "Recipients of one message (RFC 5321 4.5.3.1.8 asks for 100)."),
    key("limits.smtp.messages", count(1, 1_000_000), Value("1000"), "1000", "Messages in one connection."),
    key("limits.smtp.errors", count(1, 10_000), Value("20"), "20",
        "Errors of the client before its connection is closed."),
    key("limits.smtp.failed_logins", count(1, 100), Value("5"), "5",
        "Failed logins before the connection is closed."),
    key("limits.smtp.command_silence", seconds(10, DAY), Value("\"5m\""), "\"5m\"",
        "Silence between commands before the connection is closed (RFC 5321 4.5.3.2.7 asks for 5 minutes)."),
    key("limits.smtp.message_silence", seconds(10, DAY), Value("\"5m\""), "\"5m\"",
        "Silence within a message before the connection is closed."),
    key("limits.smtp.idle_commands", count(10, 1_000_000), Value("500"), "500",
        "NOOP, RSET, HELP, VRFY and further greetings between two messages before the connection is closed."),
    key("limits.smtp.message_rate", count(1, 1_000_000), Value("100"), "100",
        "Octets a second that a message must come with on average, once message_silence has passed."),
    key("limits.pop3.line", octets(255, MIB), Value("\"255 B\""), "\"255 B\"",
        "One command line with its line end (RFC 2449 4: 255 octets)."),
    key("limits.pop3.auth_line", octets(12_288, MIB), Value("\"12 KiB\""), "\"12 KiB\"",
        "One line of a login exchange."),
    key("limits.pop3.errors", count(1, 10_000), Value("20"), "20",
        "Errors of the client before its connection is closed."),
    key("limits.pop3.failed_logins", count(1, 100), Value("5"), "5",
        "Failed logins before the connection is closed."),
    key("limits.pop3.silence", seconds(600, DAY), Value("\"10m\""), "\"10m\"",
        "Silence before the connection is closed and nothing is deleted (RFC 1939 3 asks for 10 minutes at least)."),
    key("limits.pop3.login_silence", seconds(10, 3600), Value("\"1m\""), "\"1m\"",
        "Silence before login."),
    key("limits.pop3.idle_commands", count(10, 1_000_000), Value("50"), "50",
        "CAPA, LANG, UTF8 and names without a password before login until the connection is closed."),
    key("limits.imap.line", octets(8 << 10, 16 * MIB), Value("\"128 KiB\""), "\"128 KiB\"",
        "One command without its literals. Clients that work on many messages write long sets of numbers."),
    key("limits.imap.command", octets(16 << 10, 64 * MIB), Value("\"256 KiB\""), "\"256 KiB\"",
        "One command with its literals; the texts of messages are not counted."),
    key("limits.imap.literals", count(4, 10_000), Value("64"), "64",
        "Literals in one command; the texts of messages are not counted."),
    key("limits.imap.append_messages", count(1, 100_000), Value("1000"), "1000",
        "Messages that one APPEND brings."),
    key("limits.imap.login_literal", octets(4096, MIB), Value("\"4 KiB\""), "\"4 KiB\"",
        "One literal before login (RFC 7888 5)."),
    key("limits.imap.login_discard", octets(4096, 64 * MIB), Value("\"64 KiB\""), "\"64 KiB\"",
        "What is read away of a refused literal before login; beyond that the connection is closed."),
    key("limits.imap.auth_line", octets(12_288, MIB), Value("\"12 KiB\""), "\"12 KiB\"",
        "One line of a login exchange."),
    key("limits.imap.discard", octets(64 << 10, 64 * GIB), Value("\"128 MiB\""), "\"128 MiB\"",
        "What is read away of a refused literal that the client cannot stop sending, before its connection is closed."),
    key("limits.imap.errors", count(1, 10_000), Value("20"), "20",
        "Errors of the client in a row before its connection is closed."),
    key("limits.imap.failed_logins", count(1, 100), Value("5"), "5",
        "Failed logins before the connection is closed."),
    key("limits.imap.silence", seconds(1800, DAY), Value("\"30m\""), "\"1h\"",
        "Silence before the connection is closed, in IDLE too (RFC 9051 5.4 asks for 30 minutes at least)."),
    key("limits.imap.login_silence", seconds(10, 3600), Value("\"1m\""), "\"1m\"",
        "Silence before login."),
    key("limits.imap.progress", seconds(1, 3600), Value("\"10s\""), "\"30s\"",
        "A search that takes longer tells its client, again and again, that it goes on (RFC 9585)."),
    key("limits.web.header", octets(4096, MIB), Value("\"16 KiB\""), "\"16 KiB\"",
        "The header of one request."),
    key("limits.web.body", octets(4096, 64 * MIB), Value("\"64 KiB\""), "\"64 KiB\"",
        "The body of one request."),
    key("limits.web.header_time", seconds(1, 600), Value("\"10s\""), "\"10s\"",
        "Time from the first octet of a request to the end of its header."),
    key("limits.web.body_time", seconds(1, 3600), Value("\"20s\""), "\"20s\"",
        "Time from the end of a request's header to the end of its body."),
    key("limits.web.answer_time", seconds(1, 3600), Value("\"1m\""), "\"1m\"",
        "Time from the end of a request to the beginning of its answer."),
    key("limits.web.silence", seconds(1, 3600), Value("\"30s\""), "\"30s\"",
        "Silence between two requests before the connection is closed."),
    key("limits.web.streams", count(1, 1000), Value("32"), "32",
        "Requests at a time on one HTTP/2 connection."),
    key("smtp.normalise_newlines", Kind::Switch, Value("false"), "false",
        "What to do with a message that holds a lone CR or LF: false refuses it, true makes each a proper line end. \
         Neither ever takes one for the end of the message, so nothing can be smuggled."),
    key("smtp.require_from_match", Kind::Switch, Value("false"), "true",
        "The From field of a submitted message, too, must name an address of the account; the envelope always must. \
         Off, because programs that send for others (a list, a shop) put another name there."),
    key("smtp.clients", Kind::Switch, Unset("as the preset says, also beside listeners of your own"), "false",
        "People may submit mail where other servers deliver, after STARTTLS and login."),
    key("smtp.mta_sts", Kind::Choice(&["enforce", "testing", "none"]),
        Unset("\"enforce\" as soon as a certificate covers the domain's host, \"testing\" until then"), "\"testing\"",
        "What other servers are told to do where they cannot verify this one (MTA-STS, RFC 8461): \"enforce\" to bring no \
         mail, \"testing\" to bring it and report, \"none\" that there is no policy any more. Those who hold an older policy \
         ask again when the id in DNS changes: enter what \"sealpost dns records\" then prints. To do without MTA-STS \
         set \"none\", and take the records out two weeks later. \"enforce\" is \"testing\" where no certificate covers \
         the host."),
    key("dns.ca", Kind::Host, Unset("what the authority of acme.directory calls itself, where no certificate comes from a file"),
        "\"letsencrypt.org\"",
        "The only authority that may make certificates for the host, as its documentation names it for CAA records (RFC \
         8659). With ACME the record also names our account there and the ways of proof in use (RFC 8657)."),
    key("dns.dmarc_reports", Kind::Text, Unset("no reports are asked for"), "\"dmarc@example.org\"",
        "The mail address to which receivers send reports on mail that pretends to be of a domain (DMARC)."),
    key("dns.tls_reports", Kind::Text, Unset("no reports are asked for"), "\"tls-reports@example.org\"",
        "The mail address to which other servers report where encryption failed on the way here (TLS-RPT, RFC 8460)."),
    key("pop3.login_delay", seconds(0, DAY), Value("\"0s\""), "\"0s\"",
        "Least time between two logins of one account (RFC 2449 6.5); \"0s\" sets none."),
    key("web.doctor", Kind::Choice(&["off", "accounts", "everyone"]), Value("\"accounts\""), "\"everyone\"",
        "Who may have the connection to their mail, at any provider, examined on the page /doctor, as \"sealpost doctor\" \
         does it: \"accounts\" is people who have a mailbox here, signed in with their address and password (the rules of \
         their domain hold: where it names ports, the web's must be among them, and where no password may be sent there is \
         no page). This machine then connects to public mail servers that they name, or with \"everyone\" strangers, at mail's \
         ports alone, never to addresses inside, and only so often for one account, one network and all together."),
    key("password.argon2_memory", octets(8 * MIB, 4 * GIB), Value("\"19 MiB\""), "\"19 MiB\"",
        "Memory for one password hash (Argon2id). More makes stolen hashes costlier to guess. Holds for passwords \
         that are set from now on."),
    key("password.argon2_passes", count(1, 100), Value("2"), "2", "Passes over that memory."),
    key("password.scram_iterations", count(4096, 10_000_000), Value("10000"), "10000",
        "Rounds of PBKDF2 for the SCRAM keys (RFC 7677 4 asks for 4096 at least). The client computes them at each \
         login. Holds for passwords that are set from now on."),
    key("password.challenge_only", Kind::Switch, Unset("as the preset says, also beside listeners of your own"), "false",
        "Offer only mechanisms that never send the password: SCRAM and, where a domain asks for it, CRAM-MD5."),
    key("password.remember_for", seconds(0, 7 * DAY), Value("\"1h\""), "\"1h\"",
        "How long a proven password is remembered in memory, under a key of this process alone, so that each further \
         login costs no slow hash. A change of password forgets it at once. \"0s\" remembers none."),
    key("password.remember_count", count(0, 10_000_000), Value("10000"), "10000",
        "How many proven passwords are remembered at most."),
    key("store.body_memory", octets(4096, 64 * MIB), Value("\"128 KiB\""), "\"128 KiB\"",
        "A message up to this size stays in memory until it is durable; a larger one is written as it arrives."),
    key("store.body_own_segment", octets(MIB, 4 * GIB), Value("\"2 MiB\""), "\"2 MiB\"",
        "A message from this size on gets a file of its own."),
    key("store.segment", octets(16 * MIB, 64 * GIB), Value("\"256 MiB\""), "\"256 MiB\"",
        "A shared file of messages is closed at this size and never changes again, so that a backup copies it once."),
    key("store.view_cache", octets(MIB, 64 * GIB), Value("\"256 MiB\""), "\"256 MiB\"",
        "How much memory mailboxes keep that no session has open any more, so that they open at once; about 40 octets a \
         message. Those that are open come on top."),
    key("store.columns_cache", octets(MIB, 64 * GIB), Value("\"256 MiB\""), "\"256 MiB\"",
        "How much memory subjects, addresses and dates take, once a mailbox was sorted, threaded or searched by them."),
    key("store.term_cache", octets(MIB, 64 * GIB), Value("\"256 MiB\""), "\"256 MiB\"",
        "How much memory the words of the search index take that were looked up last."),
    key("log.format", Kind::Choice(&["text", "json"]), Value("\"text\""), "\"text\"",
        "Lines for people, or one JSON object a line for collectors."),
    key("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), Value("\"info\""), "\"info\"",
        "The least important kind of line that is written."),
    key("shutdown.grace", seconds(0, 3600), Value("\"10s\""), "\"10s\"",
        "How long commands that are under way may take to finish when the service stops."),
];
