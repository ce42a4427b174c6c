//! Pages of every preset, client, way, protocol and language.

use super::*;
use crate::service::policy::DomainPolicy;
use crate::service::preset::Preset;
use crate::service::publish::{Authentication, Endpoint, UserForm};
use crate::service::{Model, Protection, ports as port};
use std::net::{IpAddr, Ipv4Addr};

fn model(preset: Preset) -> Model {
    preset.model("mail.example.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)])
}

/// What a preset publishes to a domain.
fn published(preset: Preset) -> Published {
    Published::new(&model(preset), "example.test", &DomainPolicy::default())
}

fn shown(page: &Page) -> String {
    text(page, 100)
}

/// No key that is missing, no placeholder that was not filled, no empty block.
fn complete(page: &Page, what: &str) {
    let shown = shown(page);
    for sign in ["\u{27e8}", "{", "}", "  ,", " ,", "()"] {
        assert!(!shown.contains(sign), "{what}: {sign:?} in\n{shown}");
    }
    let empty = |spans: &Vec<Span>| {
        spans.is_empty()
            || spans.iter().any(|span| match span {
                Span::Text(words) | Span::Label(words) | Span::Value(words) => words.is_empty(),
                Span::Link(words, to) => words.is_empty() || to.is_empty(),
            })
    };
    assert!(!page.title.is_empty());
    for block in &page.blocks {
        let bad = match block {
            Block::Heading(level, words) => words.is_empty() || !(2..=3).contains(level),
            Block::Paragraph(spans) | Block::Note(spans) => empty(spans),
            Block::Steps(items) | Block::List(items) => items.is_empty() || items.iter().any(empty),
            Block::Values(values) => values.iter().any(|(name, value)| name.is_empty() || value.is_empty()),
            Block::Table(head, rows) => {
                rows.is_empty()
                    || rows.iter().any(|r| r.len() != head.len() || r.iter().any(String::is_empty))
            }
        };
        assert!(!bad, "{what}: {block:?}");
    }
}

#[test]
fn every_page_of_every_preset_is_complete() {
    let mut pages = 0;
    for preset in Preset::ALL {
        let published = published(preset);
        for lang in Lang::ALL {
            for client in clients(lang) {
                for way in [Way::New, Way::Switch] {
                    for incoming in [Protocol::Imap, Protocol::Pop3] {
                        let what = format!("{} {way:?} {incoming:?} {lang:?} {preset:?}", client.id);
                        let page =
                            page(&published, &client.id, way, incoming, Some("anna@example.test"), lang)
                                .unwrap_or_else(|| panic!("{what}"));
                        complete(&page, &what);
                        pages += 1;
                        let is_there =
                            |spans: &[Span]| spans.contains(&Span::Value("anna@example.test".into()));
                        let steps = page.blocks.iter().find_map(|block| match block {
                            Block::Steps(steps) => Some(steps),
                            _ => None,
                        });
                        let Some(steps) = steps else {
                            // Only a client without POP3 has no steps, and says so.
                            assert!(incoming == Protocol::Pop3, "{what}");
                            let imap = path(&client.id, way, Protocol::Imap);
                            let leads = |s: &Span| matches!(s, Span::Link(_, to) if *to == imap);
                            let mut links = page.blocks.iter().filter_map(|b| match b {
                                Block::Paragraph(spans) => Some(spans),
                                _ => None,
                            });
                            assert!(links.any(|spans| spans.iter().any(leads)), "{what}");
                            continue;
                        };
                        assert!(steps.len() > 2, "{what}");
                        assert!(steps.iter().any(|step| is_there(step)), "{what}: nobody's address");
                        let (port_in, port_out) = (
                            published.first(incoming).map(|r| r.port),
                            published.outgoing.first().map(|r| r.port),
                        );
                        for number in [port_in, port_out].into_iter().flatten() {
                            let value = Span::Value(number.to_string());
                            assert!(
                                steps.iter().any(|step| step.contains(&value)),
                                "{what}: {number} in no step"
                            );
                        }
                        let host = Span::Value("mail.example.test".into());
                        assert!(steps.iter().any(|step| step.contains(&host)), "{what}: no host");
                    }
                }
            }
        }
    }
    assert_eq!(pages, 4 * 5 * 2 * 2 * clients(Lang::En).len());
}

#[test]
fn words_and_paths_lead_to_clients() {
    for client in clients(Lang::De) {
        assert_eq!(find(&client.id).map(|c| c.id), Some(client.id.clone()));
        for way in [Way::New, Way::Switch] {
            for incoming in [Protocol::Imap, Protocol::Pop3] {
                let path = path(&client.id, way, incoming);
                assert_eq!(place(&path), Some((client.id.as_str(), way, incoming)), "{path}");
            }
        }
    }
    assert_eq!(find(" Thunderbird ").map(|c| c.id), Some("thunderbird".into()));
    assert_eq!(find("pine-tree"), None);
    for path in
        ["", "pop3", "thunderbird/", "thunderbird/pop3/switch", "switch", "x/switch", "thunderbird/pop3/pop3"]
    {
        assert_eq!(place(path), None, "{path}");
    }
}

#[test]
fn pages_beside_the_clients_are_complete() {
    for preset in Preset::ALL {
        let published = published(preset);
        for lang in Lang::ALL {
            let pages = [
                index(&published, lang),
                ports(&published, lang),
                systems(&published, lang),
                failures(&published, lang),
            ];
            for page in pages {
                complete(&page, &format!("{preset:?} {lang:?} {}", page.title));
                assert_eq!(page.lang, lang);
            }
            let index = index(&published, lang);
            for client in clients(lang) {
                for way in [Way::New, Way::Switch] {
                    let to = path(&client.id, way, Protocol::Imap);
                    let leads = |s: &Span| matches!(s, Span::Link(_, t) if *t == to);
                    let there = index.blocks.iter().any(|block| match block {
                        Block::List(items) => items.iter().any(|item| item.iter().any(leads)),
                        _ => false,
                    });
                    assert!(there, "{to}");
                }
            }
        }
    }
}

/// Rows of the page on ports: the number, and the cells that say what happens there.
fn port_rows(page: &Page) -> Vec<(u16, String, String)> {
    let rows = page.blocks.iter().find_map(|block| match block {
        Block::Table(_, rows) => Some(rows),
        _ => None,
    });
    let rows = rows.expect("the page has a table").iter();
    rows.map(|row| (row[0].parse().expect("a port"), row[2].clone(), row[3].clone())).collect()
}

#[test]
fn each_port_says_what_the_service_does() {
    let here = |preset, number| {
        let rows = port_rows(&ports(&published(preset), Lang::En));
        rows.into_iter()
            .find(|(port, ..)| *port == number)
            .map(|(_, here, _)| here)
            .expect("every port is there")
    };
    for preset in Preset::ALL {
        let numbers: Vec<u16> = port_rows(&ports(&published(preset), Lang::En)).iter().map(|r| r.0).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        for listener in &model(preset).listeners {
            let said = here(preset, listener.port);
            assert!(!said.starts_with("Closed"), "{preset:?} {}: {said}", listener.port);
        }
        assert!(here(preset, port::SIEVE).starts_with("Closed"));
        assert!(here(preset, port::IMAPS).contains("choose SSL/TLS"));
    }
    assert!(here(Preset::Modern, port::IMAP).starts_with("Closed"));
    assert!(here(Preset::Modern, port::SUBMISSION).starts_with("Closed"));
    assert!(here(Preset::Modern, port::SUBMISSION_26).starts_with("Closed"));
    assert!(here(Preset::Modern, port::SMTP).starts_with("Open for other mail servers only"));
    assert!(here(Preset::SubmissionFirst, port::SMTP).contains("port 587 with STARTTLS"));
    assert!(here(Preset::SubmissionFirst, port::SUBMISSION).contains("choose STARTTLS"));
    assert!(here(Preset::Compatible, port::SMTP).contains("mail programs can send here too"));
    assert!(here(Preset::Compatible, port::POP3).contains("choose STARTTLS"));
}

#[test]
fn own_ports_and_those_that_mend_are_told() {
    let demo = Model::demo("mail.example.test", Preset::Modern, &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    let own = Published::new(&demo, "example.test", &DomainPolicy::default());
    let imap = own.first(Protocol::Imap).expect("the demo has it").port;
    let rows = port_rows(&ports(&own, Lang::En));
    let said = |port| rows.iter().find(|row| row.0 == port).map(|row| row.1.as_str());
    assert_eq!(said(imap), Some("Open: choose SSL/TLS."));
    assert_eq!(said(port::IMAPS), Some("Closed."));
    let mended = port_rows(&ports_mended(&published(Preset::Compatible), &[port::POP3S], Lang::En));
    let wrong = |port| mended.iter().find(|row| row.0 == port).map(|row| row.2.contains("takes both"));
    assert_eq!((wrong(port::POP3S), wrong(port::IMAPS)), (Some(true), Some(false)));
}

/// One client of each preset, word for word, in different languages and ways.
#[test]
fn golden() {
    let anna = Some("anna@example.test");
    let cases = [
        (Preset::Modern, "outlook", Way::New, Protocol::Imap, anna, Lang::En),
        (Preset::SubmissionFirst, "apple-mail-ios", Way::New, Protocol::Imap, anna, Lang::De),
        (Preset::Compatible, "android", Way::Switch, Protocol::Pop3, None, Lang::Fr),
        (Preset::ChallengeOnly, "thunderbird", Way::Switch, Protocol::Imap, anna, Lang::El),
        (Preset::ChallengeOnly, "outlook-new", Way::New, Protocol::Imap, anna, Lang::Es),
    ];
    for (preset, client, way, incoming, address, lang) in cases {
        let page = page(&published(preset), client, way, incoming, address, lang).expect("the page is there");
        insta::assert_snapshot!(format!("{}_{client}_{}", preset.name(), lang.code()), text(&page, 78));
    }
    insta::assert_snapshot!("index", text(&index(&published(Preset::Modern), Lang::En), 78));
    insta::assert_snapshot!("ports", text(&ports(&published(Preset::SubmissionFirst), Lang::En), 78));
}

#[test]
fn what_is_not_offered_has_no_page() {
    let mut published = published(Preset::Modern);
    let ask = |published: &Published, client: &str, incoming| {
        page(published, client, Way::New, incoming, None, Lang::En).is_some()
    };
    assert!(ask(&published, "outlook", Protocol::Pop3));
    assert!(!ask(&published, "nothing", Protocol::Imap));
    assert!(!ask(&published, "outlook", Protocol::Submission));
    published.incoming.retain(|row| row.protocol == Protocol::Imap);
    assert!(!ask(&published, "outlook", Protocol::Pop3));
    assert!(ask(&published, "outlook", Protocol::Imap));
}

/// Other providers have other rows: no sending at all, local parts as user names, OAuth2, clear rows first.
#[test]
fn other_peoples_services() {
    let row = |protection, port, authentication, user| Endpoint {
        protocol: Protocol::Imap,
        host: "imap.other.test".into(),
        port,
        protection,
        authentication: vec![authentication],
        user,
    };
    let mut other = published(Preset::Modern);
    other.outgoing.clear();
    other.web = None;
    other.incoming = vec![
        row(Protection::Clear, port::IMAP, Authentication::Password, UserForm::Address),
        row(Protection::Implicit, port::IMAPS, Authentication::Password, UserForm::LocalPart),
    ];
    let ask = |published: &Published, client: &str| {
        let page = page(published, client, Way::Switch, Protocol::Imap, Some("anna@other.test"), Lang::En);
        let page = page.expect("IMAP is offered");
        complete(&page, client);
        shown(&page)
    };
    for client in clients(Lang::En) {
        let shown = ask(&other, &client.id);
        assert!(shown.contains(&format!("{}", port::IMAPS)), "{shown}");
        assert!(!shown.contains("Outgoing mail (SMTP)"), "{shown}");
    }
    assert!(ask(&other, "thunderbird").contains("User Name:              anna\n"));
    other.incoming[1].user = UserForm::Other("x-%EMAILLOCALPART%-%EMAILDOMAIN%".into());
    assert!(ask(&other, "thunderbird").contains("x-anna-other.test\n"));
    other.incoming[1].authentication = vec![Authentication::OAuth2];
    other.incoming.remove(0);
    let shown = ask(&other, "thunderbird");
    assert!(shown.contains("OAuth2") && shown.contains("in the browser"), "{shown}");
}

#[test]
fn only_clients_that_can_answer_a_challenge_are_sent_there() {
    let published = published(Preset::ChallengeOnly);
    for (client, can) in
        [("outlook", false), ("gmail-android", false), ("thunderbird", true), ("other", true)]
    {
        let page = page(&published, client, Way::New, Protocol::Imap, None, Lang::En).expect("it is offered");
        assert_eq!(shown(&page).contains("cannot do that"), !can, "{client}");
        let told = |block: &Block| matches!(block, Block::Values(v) if v.iter().any(|(_, value)| value.to_lowercase().contains("encrypted password")));
        assert!(page.blocks.iter().any(told), "{client}");
    }
}

#[test]
fn an_address_that_is_none_is_not_shown() {
    let published = published(Preset::Modern);
    for address in
        ["anna", "@example.test", "anna@", "a b@c", "a@b\r\nX: y", "a\u{1b}[2J@b", &"a".repeat(400)]
    {
        let page = page(&published, "other", Way::New, Protocol::Imap, Some(address), Lang::De);
        let page = page.expect("it is offered");
        assert!(shown(&page).contains("ihr.name@example.test"), "{address:?}");
        let typed = |span: &Span| *span == Span::Value(address.to_owned());
        let seen = page.blocks.iter().any(|block| match block {
            Block::Steps(steps) => steps.iter().flatten().any(typed),
            Block::Values(values) => values.iter().any(|(_, value)| value == address),
            _ => false,
        });
        assert!(!seen, "{address:?}");
    }
}
