//! Law of discovery documents: any octets are read in bounds, and what was read is rendered so that it reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::discovery::{Document, ENDPOINTS_MAX, apple, autoconfig, autodiscover, pacc};
use proto::service::Protection;
use proto::service::publish::{Authentication, Endpoint, Published, UserForm};

fuzz_target!(|input: &[u8]| {
    let address = "ann@example.test";
    let read = [
        autoconfig::parse(input, None),
        autoconfig::parse(input, Some(address)),
        autodiscover::parse(input, address),
        autodiscover::parse_json(input),
        pacc::parse(input),
        apple::parse(input),
    ];
    for document in read.into_iter().flatten() {
        law(&document, address);
    }
    if let Ok(request) = autodiscover::request(input) {
        assert!(proto::address::Address::parse(&request.address).is_ok());
    }
});

fn law(document: &Document, address: &str) {
    assert!(document.incoming.len() + document.outgoing.len() <= ENDPOINTS_MAX);
    // What a service of ours could be: encrypted, the address as user name, words that have a meaning.
    let ours = |rows: &[Endpoint]| -> Vec<Endpoint> {
        rows.iter()
            .filter(|row| row.protection != Protection::Clear && !row.authentication.contains(&Authentication::Other))
            .map(|row| Endpoint { user: UserForm::Address, ..row.clone() })
            .collect()
    };
    let published = Published {
        domain: document.domains.first().cloned().unwrap_or_default(),
        provider: document.provider.clone().unwrap_or_default(),
        host: "mail.example.test".into(),
        incoming: ours(&document.incoming),
        outgoing: ours(&document.outgoing),
        web: document.documentation.first().cloned(),
        receives: true,
    };
    let again = autoconfig::parse(autoconfig::render(&published, Some(address)).as_bytes(), Some(address));
    let again = again.expect("our own document is one");
    assert_eq!((again.incoming, again.outgoing), (published.incoming, published.outgoing));
}
