//! Looking up: what is asked, what is sent, and that nobody can make it take long or lead it astray.

use crate::web::{Reply, Table, Web, xml};
use doctor::lookup::{Endpoints, look_up};
use doctor::seen::{Looked, Lookup, Outcome, Source};
use doctor::{Question, Scope, Sources};
use net::dns::Resolver;
use proto::discovery::dns::{Data, Record};
use proto::discovery::{Document, pacc};
use proto::service::Protocol;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const DOMAIN: &str = "example.org";
const ADDRESS: &str = "me+x@example.org";
/// The names of one domain that settings are looked for at.
const NAMES: [&str; 9] = [
    "example.org",
    "autoconfig.example.org",
    "autodiscover.example.org",
    "ua-auto-config.example.org",
    "other.example.org",
    "autodiscover.other.example.org",
    "ispdb.test",
    "second.test",
    "autoconfig.hoster.co.uk",
];

fn autoconfig(host: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><clientConfig version=\"1.1\"><emailProvider id=\"{DOMAIN}\">\
         <domain>{DOMAIN}</domain><displayName>E</displayName>\
         <incomingServer type=\"imap\"><hostname>{host}</hostname><port>993</port><socketType>SSL</socketType>\
         <authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></incomingServer>\
         <outgoingServer type=\"smtp\"><hostname>{host}</hostname><port>465</port><socketType>SSL</socketType>\
         <authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></outgoingServer>\
         </emailProvider></clientConfig>"
    )
}

fn pox(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\
         <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\
         <Account>{inside}</Account></Response></Autodiscover>"
    )
}

fn pox_imap(host: &str) -> String {
    pox(&format!(
        "<AccountType>email</AccountType><Action>settings</Action><Protocol><Type>IMAP</Type><Server>{host}</Server>\
         <Port>993</Port><SSL>on</SSL><AuthRequired>on</AuthRequired></Protocol>"
    ))
}

fn record(name: &str, data: Data) -> Record {
    Record { name: name.to_owned(), data }
}

fn local(name: &str) -> Record {
    record(name, Data::Address("127.0.0.1".parse().unwrap()))
}

/// Everything that a test needs: servers behind the usual names.
struct House {
    web: Web,
    records: Vec<Record>,
    silent: Vec<String>,
    question: Question,
    progress: Mutex<Vec<String>>,
}

impl House {
    async fn new(table: Table) -> House {
        let web = Web::run(&NAMES, table).await;
        let endpoints = Endpoints {
            isp_databases: vec![
                format!("https://ispdb.test:{}/", web.https_port),
                format!("https://second.test:{}/v1.1/", web.https_port),
            ],
            autodiscover_json: Vec::new(),
            https_port: web.https_port,
            http_port: web.http_port,
        };
        let question = Question {
            address: Some(ADDRESS.to_owned()),
            extra_roots: vec![web.root.clone()],
            endpoints,
            ..Question::about(DOMAIN)
        };
        let records = NAMES.iter().map(|name| local(name)).collect();
        House { web, records, silent: Vec::new(), question, progress: Mutex::new(Vec::new()) }
    }

    async fn look_up(&self) -> Lookup {
        let resolver = Resolver::fixed(self.records.clone(), self.silent.clone());
        let told = |progress| self.progress.lock().unwrap().push(format!("{progress:?}"));
        look_up(&self.question, &resolver, &told).await
    }

    fn mx(&mut self, preference: u16, host: &str) {
        self.records.push(record(DOMAIN, Data::Mx { preference, host: host.to_owned() }));
    }

    /// Octets of any request, address included, that hold the local part.
    fn requests_with_address(&self) -> Vec<String> {
        let asked = self.web.asked();
        let with = asked.iter().filter(|(url, body)| url.contains("me%2Bx") || body.contains("me+x"));
        with.map(|(url, _)| url.clone()).collect()
    }
}

fn rows(lookup: &Lookup, source: Source) -> Vec<&Looked> {
    lookup.looked.iter().filter(|row| row.source == source).collect()
}

fn found(lookup: &Lookup, source: Source) -> &Document {
    let all = rows(lookup, source);
    let document = all.iter().find_map(|row| match &row.outcome {
        Outcome::Found(document) => Some(document),
        _ => None,
    });
    document.unwrap_or_else(|| panic!("nothing found: {all:#?}"))
}

/// The words of the only row of a source, with the kind of its outcome in front.
fn said(lookup: &Lookup, source: Source) -> Vec<String> {
    let words = |row: &&Looked| match &row.outcome {
        Outcome::NotAsked(why) | Outcome::Nothing(why) | Outcome::Broken(why) => {
            format!("{}: {why}", row.outcome.word())
        }
        Outcome::Found(document) => format!("found: {:?}", document.remarks),
    };
    rows(lookup, source).iter().map(words).collect()
}

#[tokio::test]
async fn autoconfig_is_found_without_sending_the_address() {
    let house = House::new(Table::from([
        ("https://autoconfig.example.org/mail/config-v1.1.xml", xml(autoconfig("imap.example.org"))),
        (
            "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml",
            xml(autoconfig("old.example.org")),
        ),
        ("https://second.test/v1.1/example.org", xml(autoconfig("db.example.org"))),
    ]))
    .await;
    let lookup = house.look_up().await;
    assert_eq!(found(&lookup, Source::Autoconfig).incoming[0].host, "imap.example.org");
    assert_eq!(found(&lookup, Source::WellKnown).incoming[0].host, "old.example.org");
    assert_eq!(found(&lookup, Source::IspDb).outgoing[0].host, "db.example.org");
    assert_eq!(rows(&lookup, Source::IspDb).len(), 2, "the first database does not know the domain");
    let sent: Vec<Source> =
        lookup.looked.iter().filter(|row| row.sent_address).map(|row| row.source).collect();
    assert!(sent.iter().all(|source| *source == Source::Autodiscover), "{sent:?}");
    assert!(house.requests_with_address().iter().all(|url| url.ends_with("autodiscover.xml")));
    // The order is that of the sources, and each was told of.
    let mut sorted = lookup.looked.clone();
    sorted.sort_by_key(|row| row.source);
    let order = |rows: &[Looked]| rows.iter().map(|row| row.asked.clone()).collect::<Vec<_>>();
    assert_eq!(order(&sorted), order(&lookup.looked));
    assert_eq!(house.progress.lock().unwrap().len(), lookup.looked.len());
}

#[tokio::test]
async fn a_server_that_wants_the_address_gets_it_and_that_is_said() {
    let path = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=me%2Bx%40example.org";
    let mut house = House::new(Table::from([
        ("https://autoconfig.example.org/mail/config-v1.1.xml", Reply::Say(400, "text/plain", "no".into())),
        (path, xml(autoconfig("imap.example.org"))),
    ]))
    .await;
    house.question.sources.autodiscover = false;
    let lookup = house.look_up().await;
    assert_eq!(found(&lookup, Source::Autoconfig).incoming.len(), 1);
    assert!(rows(&lookup, Source::Autoconfig)[0].sent_address);
    assert_eq!(house.requests_with_address(), [path]);
    // Without an address there is nothing to send.
    house.question.address = None;
    let lookup = house.look_up().await;
    assert!(lookup.looked.iter().all(|row| !row.sent_address));
    assert_eq!(said(&lookup, Source::Autoconfig)[0], "nothing: The web server refuses (400).");
}

#[tokio::test]
async fn http_is_the_last_way_and_gets_a_remark() {
    let mut house = House::new(Table::from([
        ("http://autoconfig.example.org/mail/config-v1.1.xml", xml(autoconfig("imap.example.org"))),
        (
            "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml",
            Reply::Say(200, "text/html; charset=utf-8", "<html>welcome</html>".into()),
        ),
    ]))
    .await;
    house.question.sources.autodiscover = false;
    let lookup = house.look_up().await;
    let document = found(&lookup, Source::Autoconfig);
    assert!(document.remarks[0].contains("not encrypted"), "{:?}", document.remarks);
    assert_eq!(said(&lookup, Source::WellKnown), ["nothing: There is a web page in place of settings."]);
    let in_clear: Vec<_> =
        house.web.asked().into_iter().filter(|(url, _)| url.starts_with("http://")).collect();
    assert_eq!(in_clear.len(), 1);
    assert!(!in_clear[0].0.contains("me%2Bx"));
}

#[tokio::test]
async fn the_domain_of_the_mx_is_asked_and_never_gets_the_address() {
    let mut house = House::new(Table::from([(
        "https://autoconfig.hoster.co.uk/mail/config-v1.1.xml",
        xml(autoconfig("imap.hoster.co.uk")),
    )]))
    .await;
    house.question.sources.autodiscover = false;
    house.mx(20, "mx2.hoster.co.uk");
    house.mx(10, "mx1.hoster.co.uk");
    let lookup = house.look_up().await;
    assert_eq!(lookup.mx, ["mx1.hoster.co.uk", "mx2.hoster.co.uk"]);
    assert_eq!(found(&lookup, Source::AutoconfigMx).incoming[0].host, "imap.hoster.co.uk");
    let asked: Vec<&str> = rows(&lookup, Source::AutoconfigMx).iter().map(|row| row.asked.as_str()).collect();
    assert!(asked.iter().any(|url| url.starts_with("https://ispdb.test") && url.ends_with("/hoster.co.uk")));
    assert!(
        asked.iter().all(|url| !url.ends_with("/co.uk") && !url.contains("autoconfig.co.uk")),
        "{asked:?}"
    );
    assert_eq!(house.requests_with_address(), [] as [String; 0]);
}

#[tokio::test]
async fn redirects_are_followed_but_not_in_circles_nor_out_of_encryption() {
    let well_known = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml";
    let to = |at: &str| Reply::To(302, at.to_owned());
    for (replies, expected) in [
        (
            vec![
                (well_known, to("https://other.example.org:{https}/a")),
                ("https://other.example.org/a", to("b")),
            ],
            "found: ",
        ),
        (
            vec![(well_known, to("/.well-known/autoconfig/mail/config-v1.1.xml"))],
            "broken: It redirects in a circle.",
        ),
        (
            vec![
                (well_known, to("/a")),
                ("https://example.org/a", to("/b")),
                ("https://example.org/b", to("/a")),
            ],
            "broken: It redirects in a circle.",
        ),
        (
            vec![(well_known, to("http://example.org:{http}/a"))],
            "broken: It redirects to an address that is not encrypted.",
        ),
        (
            vec![(well_known, to("gopher://example.org/a"))],
            "broken: It redirects to an address that is not encrypted.",
        ),
        (
            vec![
                (well_known, to("/1")),
                ("https://example.org/1", to("/2")),
                ("https://example.org/2", to("/3")),
                ("https://example.org/3", to("/4")),
                ("https://example.org/4", to("/5")),
                ("https://example.org/5", to("/6")),
            ],
            "broken: It redirects more often than clients follow.",
        ),
    ] {
        let mut table = Table::from_iter(replies);
        table.insert("https://other.example.org/b", xml(autoconfig("imap.example.org")));
        let mut house = House::new(table).await;
        house.question.sources.autodiscover = false;
        let lookup = house.look_up().await;
        let words = said(&lookup, Source::WellKnown);
        assert!(words[0].starts_with(expected), "{words:?} and not {expected}");
    }
}

#[tokio::test]
async fn autodiscover_follows_its_redirects_and_never_speaks_in_clear() {
    let house = House::new(Table::from([
        (
            "https://autodiscover.example.org/autodiscover/autodiscover.xml",
            xml(pox("<Action>redirectAddr</Action><RedirectAddr>you@other.example.org</RedirectAddr>")),
        ),
        (
            "https://autodiscover.other.example.org/autodiscover/autodiscover.xml",
            xml(pox(
                "<Action>redirectUrl</Action><RedirectUrl>https://other.example.org:{https}/x</RedirectUrl>",
            )),
        ),
        ("https://other.example.org/x", xml(pox_imap("imap.example.org"))),
    ]))
    .await;
    let lookup = house.look_up().await;
    assert_eq!(found(&lookup, Source::Autodiscover).incoming[0].host, "imap.example.org");
    let asked = house.web.asked();
    let body =
        |at: &str| asked.iter().find(|(url, _)| url == at).map(|(_, body)| body.clone()).unwrap_or_default();
    assert!(body("https://autodiscover.example.org/autodiscover/autodiscover.xml").contains(ADDRESS));
    // Who was redirected to gets the address that the redirect names.
    assert!(body("https://other.example.org/x").contains("you@other.example.org"));
    assert!(house.requests_with_address().iter().all(|url| url.starts_with("https://")));
}

#[tokio::test]
async fn autodiscover_is_led_on_over_http_and_by_srv() {
    let mut house = House::new(Table::from([
        (
            "http://autodiscover.example.org/autodiscover/autodiscover.xml",
            Reply::To(302, "https://other.example.org:{https}/by-http".into()),
        ),
        ("https://other.example.org/by-http", xml(pox_imap("http.example.org"))),
        ("https://other.example.org/autodiscover/autodiscover.xml", xml(pox_imap("srv.example.org"))),
    ]))
    .await;
    let (port, target) = (house.web.https_port, "other.example.org".to_owned());
    let srv = Data::Srv { priority: 0, weight: 0, port, target };
    house.records.push(record("_autodiscover._tcp.example.org", srv));
    let lookup = house.look_up().await;
    let hosts: Vec<String> = rows(&lookup, Source::Autodiscover)
        .iter()
        .filter_map(|row| match &row.outcome {
            Outcome::Found(document) => Some(document.incoming[0].host.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(hosts, ["http.example.org", "srv.example.org"]);
    assert!(house.requests_with_address().iter().all(|url| url.starts_with("https://")));
}

#[tokio::test]
async fn autodiscover_that_runs_in_circles_or_wants_a_login_is_named() {
    let circle = "<Action>redirectUrl</Action><RedirectUrl>https://example.org:{https}/autodiscover/autodiscover.xml</RedirectUrl>";
    let mut house = House::new(Table::from([
        ("https://example.org/autodiscover/autodiscover.xml", xml(pox(circle))),
        (
            "https://autodiscover.example.org/autodiscover/autodiscover.xml",
            Reply::Say(401, "text/plain", "who are you".into()),
        ),
        (
            "http://autodiscover.example.org/autodiscover/autodiscover.xml",
            Reply::To(302, "http://example.org/".into()),
        ),
    ]))
    .await;
    let lookup = house.look_up().await;
    let words = said(&lookup, Source::Autodiscover);
    assert_eq!(words[0], "broken: It redirects in a circle.");
    assert!(words[1].starts_with("nothing: It answers only after a login"), "{words:?}");
    assert_eq!(words[2], "broken: It redirects to an address that is not encrypted.");
    // Without an address the postmaster's does.
    house.question.address = None;
    let lookup = house.look_up().await;
    assert!(lookup.looked.iter().all(|row| !row.sent_address));
    assert!(house.web.asked().iter().any(|(_, body)| body.contains("postmaster@example.org")));
}

#[tokio::test]
async fn json_leads_to_the_xml_and_gets_no_address() {
    let house = House::new(Table::from([
        (
            "https://autodiscover.example.org/autodiscover/autodiscover.json",
            Reply::Say(
                200,
                "application/json",
                "{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"https://other.example.org:{https}/x\"}".into(),
            ),
        ),
        ("https://other.example.org/x", xml(pox_imap("imap.example.org"))),
    ]))
    .await;
    let lookup = house.look_up().await;
    assert_eq!(found(&lookup, Source::AutodiscoverJson).incoming[0].host, "imap.example.org");
    let json: Vec<String> =
        house.web.asked().into_iter().map(|(url, _)| url).filter(|url| url.contains(".json")).collect();
    assert!(json.iter().any(|url| url.contains("Email=postmaster%40example.org")), "{json:?}");
    assert!(json.iter().all(|url| !url.contains("me%2Bx")), "{json:?}");
}

#[tokio::test]
async fn pacc_is_checked_against_its_digest() {
    let document = "{\"protocols\":{\"imap\":{\"host\":\"imap.example.org\"}},\"authentication\":{\"password\":true},\
                    \"info\":{\"provider\":{\"name\":\"E\",\"shortName\":\"E\"}}}";
    let at = "https://ua-auto-config.example.org/.well-known/user-agent-configuration.json";
    let mut house =
        House::new(Table::from([(at, Reply::Say(200, "application/json", document.to_owned()))])).await;
    let digest =
        |octets: &[u8]| record("_ua-auto-config.example.org", Data::Txt(pacc::digest_record(octets)));
    house.records.push(digest(document.as_bytes()));
    let lookup = house.look_up().await;
    let good = found(&lookup, Source::Pacc);
    assert_eq!(good.incoming[0].protocol, Protocol::Imap);
    assert!(!good.remarks.iter().any(|remark| remark.contains("digest")), "{:?}", good.remarks);
    house.records.pop();
    house.records.push(digest(b"something else"));
    let words = said(&house.look_up().await, Source::Pacc);
    assert!(words[0].starts_with("broken: The document is not the one whose digest"), "{words:?}");
}

#[tokio::test]
async fn guesses_and_srv_come_from_dns() {
    let mut house = House::new(Table::new()).await;
    house.records.push(local("mail.example.org"));
    house.records.push(local("smtp.example.org"));
    let srv = Data::Srv { priority: 0, weight: 0, port: 993, target: "mail.example.org".into() };
    house.records.push(record("_imaps._tcp.example.org", srv));
    let lookup = house.look_up().await;
    assert_eq!(lookup.guessed, ["mail.example.org", "smtp.example.org", "example.org"]);
    assert_eq!(found(&lookup, Source::Srv).incoming[0].host, "mail.example.org");
    assert_eq!(
        said(&lookup, Source::Mx),
        ["nothing: The domain has no MX record; mail for it goes to the host of the same name."]
    );
}

#[tokio::test]
async fn nobody_makes_it_take_long() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;&x;&x;\">\
                <!ENTITY z \"&y;&y;&y;&y;&y;&y;\">]><clientConfig version=\"1.1\">&z;&z;&z;</clientConfig>";
    let mut house = House::new(Table::from([
        ("https://autoconfig.example.org/mail/config-v1.1.xml", xml(bomb)),
        ("https://example.org/.well-known/autoconfig/mail/config-v1.1.xml", Reply::Long(100 << 20)),
        ("https://ispdb.test/example.org", Reply::Silence),
        ("https://second.test/v1.1/example.org", xml(autoconfig("db.example.org"))),
        ("https://example.org/autodiscover/autodiscover.xml", Reply::Silence),
        ("https://autodiscover.example.org/autodiscover/autodiscover.xml", Reply::Silence),
    ]))
    .await;
    house.silent = vec!["_imaps._tcp.example.org".into(), "ua-auto-config.example.org".into()];
    house.question.limits.lookup = Duration::from_millis(1500);
    let begun = Instant::now();
    let lookup = house.look_up().await;
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert!(said(&lookup, Source::Autoconfig)[0].starts_with("broken: "));
    assert_eq!(said(&lookup, Source::WellKnown), ["broken: The answer is too long."]);
    // One silent database does not take the other's time.
    assert_eq!(said(&lookup, Source::IspDb)[0], "broken: No answer in time.");
    assert_eq!(found(&lookup, Source::IspDb).incoming[0].host, "db.example.org");
    assert_eq!(said(&lookup, Source::Autodiscover)[0], "broken: No answer in time.");
    assert!(said(&lookup, Source::Srv)[0].starts_with("broken: "));
}

#[tokio::test]
async fn a_stranger_leads_it_nowhere_inside() {
    let mut house = House::new(Table::new()).await;
    house.question.scope = Scope::Public;
    let port = house.web.https_port;
    house.records.push(record(
        "_autodiscover._tcp.example.org",
        Data::Srv { priority: 0, weight: 0, port: 22, target: "example.org".into() },
    ));
    let lookup = house.look_up().await;
    assert_eq!(house.web.asked(), []);
    for row in lookup.looked.iter().filter(|row| row.asked.starts_with("http")) {
        assert!(!row.sent_address && !matches!(row.outcome, Outcome::Found(_)), "{row:?}");
    }
    assert_eq!(
        said(&lookup, Source::WellKnown),
        ["not asked: Its address is none that may be asked."],
        "port {port}"
    );
}

#[tokio::test]
async fn what_is_switched_off_is_not_asked() {
    let mut house = House::new(Table::new()).await;
    house.question.sources = Sources {
        autoconfig: false,
        ispdb: false,
        autodiscover: false,
        pacc: false,
        srv: false,
        mx: false,
        guess: false,
    };
    house.mx(10, "mx.hoster.co.uk");
    let lookup = house.look_up().await;
    assert_eq!(house.web.asked(), []);
    assert!(lookup.mx.is_empty() && lookup.guessed.is_empty());
    assert_eq!(lookup.looked.len(), 10, "{:?}", lookup.looked);
    for row in &lookup.looked {
        assert!(matches!(&row.outcome, Outcome::NotAsked(why) if why == "It was switched off."), "{row:?}");
    }
    // A host is probed and not looked up.
    house.question.sources = Sources::default();
    house.question.is_host = true;
    assert!(house.look_up().await.looked.is_empty());
    assert_eq!(house.web.asked(), []);
}
