//! JSON, schema version 1 (`docs/doctor.md`). Fields are added, never renamed or given another meaning, without another number.

use crate::seen::{First, Line, LoginSeen, Looked, Offer, Outcome, Probe, Reach, StartTls, TlsSeen};
use crate::{Answer, Exit, Finding};
use proto::guide::Page;
use proto::service::publish::{Authentication, Endpoint, UserForm};
use proto::service::{Protection, Protocol};
use serde::Serialize;

/// The number in each document.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    sentence: &'a str,
    exit: Exit,
    exit_code: u8,
    settings: Vec<Setting<'a>>,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Steps<'a>>,
    address_sent_to: &'a [String],
    mx: &'a [String],
    lookups: Vec<Lookup<'a>>,
    probes: Vec<Knock<'a>>,
    took_millis: u64,
}

#[derive(Serialize)]
struct Setting<'a> {
    protocol: &'static str,
    host: &'a str,
    port: u16,
    security: &'static str,
    authentication: Vec<&'static str>,
    user: &'a str,
}

#[derive(Serialize)]
struct Steps<'a> {
    title: &'a str,
    lang: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Lookup<'a> {
    source: crate::seen::Source,
    asked: &'a str,
    sent_address: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    settings: Vec<Setting<'a>>,
    remarks: &'a [String],
}

#[derive(Serialize)]
struct Knock<'a> {
    host: &'a str,
    port: u16,
    expected_protocol: &'static str,
    expected_security: &'static str,
    sources: &'a [crate::seen::Source],
    address: Option<std::net::IpAddr>,
    ipv6: bool,
    reach: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach_why: Option<&'a str>,
    first: First,
    protocol: Option<&'static str>,
    greeting: Option<&'a str>,
    clear: Option<&'a Offer>,
    starttls: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    starttls_why: Option<&'a str>,
    tls: Option<&'a TlsSeen>,
    encrypted: Option<&'a Offer>,
    login: Option<&'a LoginSeen>,
    transcript: &'a [Line],
}

/// Columns of the steps' text.
const STEPS_WIDTH: usize = 80;

/// Renders.
pub fn render(answer: &Answer) -> String {
    let document = Document {
        schema: SCHEMA,
        sentence: &answer.sentence,
        exit: answer.exit,
        exit_code: answer.exit.code(),
        settings: answer.settings.iter().map(setting).collect(),
        findings: &answer.findings,
        steps: answer.steps.as_ref().map(steps),
        address_sent_to: &answer.address_sent_to,
        mx: &answer.lookup.mx,
        lookups: answer.lookup.looked.iter().map(lookup).collect(),
        probes: answer.probes.iter().map(knock).collect(),
        took_millis: answer.took_millis,
    };
    // Strings, numbers and lists only: nothing in it can fail to be written.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop3",
        Protocol::Submission => "submission",
        Protocol::Smtp => "smtp",
        Protocol::Lmtp => "lmtp",
        Protocol::Web => "web",
    }
}

fn security(protection: Protection) -> &'static str {
    match protection {
        Protection::Implicit => "ssl",
        Protection::StartTls => "starttls",
        Protection::Clear => "none",
    }
}

fn authentication(kind: &Authentication) -> &'static str {
    match kind {
        Authentication::Password => "password",
        Authentication::Challenge => "challenge",
        Authentication::Certificate => "certificate",
        Authentication::OAuth2 => "oauth2",
        Authentication::None => "none",
        Authentication::Other => "other",
    }
}

fn setting(row: &Endpoint) -> Setting<'_> {
    Setting {
        protocol: protocol(row.protocol),
        host: &row.host,
        port: row.port,
        security: security(row.protection),
        authentication: row.authentication.iter().map(authentication).collect(),
        user: match &row.user {
            UserForm::Address => "address",
            UserForm::LocalPart => "local-part",
            UserForm::Other(text) => text,
        },
    }
}

fn steps(page: &Page) -> Steps<'_> {
    Steps { title: &page.title, lang: page.lang.code(), text: proto::guide::text(page, STEPS_WIDTH) }
}

fn lookup(looked: &Looked) -> Lookup<'_> {
    let (outcome, why, document) = match &looked.outcome {
        Outcome::NotAsked(why) => ("not-asked", Some(why.as_str()), None),
        Outcome::Nothing(why) => ("nothing", Some(why.as_str()), None),
        Outcome::Broken(why) => ("broken", Some(why.as_str()), None),
        Outcome::Found(document) => ("found", None, Some(document)),
    };
    Lookup {
        source: looked.source,
        asked: &looked.asked,
        sent_address: looked.sent_address,
        outcome,
        why,
        settings: document
            .map(|d| d.incoming.iter().chain(&d.outgoing).map(setting).collect())
            .unwrap_or_default(),
        remarks: document.map_or(&[], |d| &d.remarks),
    }
}

fn knock(probe: &Probe) -> Knock<'_> {
    let (reach, reach_why) = match &probe.reach {
        Reach::Open => ("open", None),
        Reach::Refused => ("refused", None),
        Reach::Silent => ("silent", None),
        Reach::Unreachable(how) => ("unreachable", Some(how.as_str())),
        Reach::NoAddress => ("no-address", None),
        Reach::Forbidden => ("forbidden", None),
        Reach::NotTried => ("not-tried", None),
    };
    let (starttls, starttls_why) = match &probe.starttls {
        StartTls::NotTried => ("not-tried", None),
        StartTls::NotOffered => ("not-offered", None),
        StartTls::Stripped(how) => ("stripped", Some(how.as_str())),
        StartTls::Works { injectable: false } => ("works", None),
        StartTls::Works { injectable: true } => ("injectable", None),
        StartTls::Fails(how) => ("fails", Some(how.as_str())),
    };
    Knock {
        host: &probe.place.host,
        port: probe.place.port.number,
        expected_protocol: protocol(probe.place.port.protocol),
        expected_security: security(probe.place.port.protection),
        sources: &probe.place.sources,
        address: probe.address,
        ipv6: probe.ipv6,
        reach,
        reach_why,
        first: probe.first,
        protocol: probe.protocol.map(protocol),
        greeting: probe.greeting.as_deref(),
        clear: probe.clear.as_ref(),
        starttls,
        starttls_why,
        tls: probe.tls.as_ref(),
        encrypted: probe.encrypted.as_ref(),
        login: probe.login.as_ref(),
        transcript: &probe.transcript,
    }
}
