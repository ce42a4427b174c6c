//! What becomes a staple and what does not: openssl is the authority and the responder.

use net::dns::Resolver;
use net::ocsp::{Demand, NoStaple, Question, Staple};
use net::tls::{CertificateDer, chain};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::openssl_ca::OpensslCa;
use tokio::net::TcpListener;

const DAY: i64 = 86_400;
const AWAY: &str = "authorityInfoAccess=OCSP;URI:http://127.0.0.1:1/";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An authority, a certificate of it, and a delegate that may answer for it.
fn with_delegate(dir: &Path) -> OpensslCa {
    let mut ca = OpensslCa::new(dir);
    ca.issue("mail.test", AWAY);
    ca.issue("delegate.test", "extendedKeyUsage=OCSPSigning");
    ca
}

fn chain_of(ca: &OpensslCa, file: &str) -> Vec<CertificateDer<'static>> {
    chain(Path::new(file), &std::fs::read(ca.file(file)).unwrap()).unwrap()
}

fn question(ca: &OpensslCa, name: &str) -> Question {
    let chain = chain_of(ca, &format!("{name}.chain.pem"));
    Question::about(chain.iter().map(AsRef::as_ref)).unwrap().expect("it names a responder")
}

fn why(outcome: Result<Staple, NoStaple>) -> String {
    outcome.expect_err("no proof").to_string()
}

#[test]
fn a_certificate_says_what_it_demands() {
    let dir = tempfile::tempdir().unwrap();
    let mut ca = OpensslCa::new(dir.path());
    ca.issue("plain.test", "");
    ca.issue("named.test", AWAY);
    ca.issue("must.test", &format!("{AWAY}\ntlsfeature=status_request"));
    ca.issue("ftp.test", "authorityInfoAccess=OCSP;URI:ftp://127.0.0.1/,caIssuers;URI:http://127.0.0.1/ca");
    let demand = |name: &str| Demand::of(&chain_of(&ca, &format!("{name}.pem"))[0]);
    let responder = Some("http://127.0.0.1:1/".to_owned());
    assert_eq!(demand("plain.test"), Demand::default());
    assert_eq!(demand("named.test"), Demand { responder: responder.clone(), must_staple: false });
    assert_eq!(demand("must.test"), Demand { responder, must_staple: true });
    assert_eq!(demand("ftp.test"), Demand::default());
    assert_eq!(Demand::of(b"nothing"), Demand::default());
    // Without its issuer behind it nothing can be asked, and the operator is told.
    let alone = chain_of(&ca, "named.test.pem");
    let error = Question::about(alone.iter().map(AsRef::as_ref)).unwrap_err().to_string();
    assert!(error.contains("must add the intermediate certificate"), "{error}");
    let plain = chain_of(&ca, "plain.test.chain.pem");
    assert!(Question::about(plain.iter().map(AsRef::as_ref)).unwrap().is_none());
}

#[test]
fn what_the_issuer_or_its_delegate_signed_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let ca = with_delegate(dir.path());
    let question = question(&ca, "mail.test");
    for signer in ["ca", "delegate.test"] {
        let answer = ca.answer("mail.test", signer);
        let staple = question.judge(&answer, now()).unwrap();
        assert_eq!(staple.der, answer);
        assert_eq!(staple.next_update - staple.this_update, DAY, "{signer}");
        // Of its time and no other.
        assert!(why(question.judge(&answer, staple.next_update)).contains("out of date"));
        question.judge(&answer, staple.next_update - 1).unwrap();
        if signer == "ca" {
            // The delegate was not charged yet then.
            assert!(why(question.judge(&answer, staple.this_update - 301)).contains("of the future"));
            question.judge(&answer, staple.this_update - 300).unwrap();
        }
    }
}

#[test]
fn what_proves_nothing_is_no_staple() {
    let dir = tempfile::tempdir().unwrap();
    let mut ca = OpensslCa::new(&dir.path().join("a"));
    ca.issue("mail.test", AWAY);
    ca.issue("other.test", AWAY);
    ca.issue("server.test", "extendedKeyUsage=serverAuth");
    let question = question(&ca, "mail.test");
    let about = |name: &str, signer: &str| why(question.judge(&ca.answer(name, signer), now()));
    assert!(about("other.test", "ca").contains("about another certificate"));
    // Any server of the same authority could else vouch for itself.
    assert!(about("mail.test", "server.test").contains("not signed by the authority"));
    // A stranger with the same serial number and the same words.
    let foreign = with_delegate(&dir.path().join("b"));
    for signer in ["ca", "delegate.test"] {
        let answer = foreign.answer("mail.test", signer);
        assert!(why(question.judge(&answer, now())).contains("not signed by the authority"), "{signer}");
    }
    // Refusals, and what is no answer at all.
    assert!(why(question.judge(b"\x30\x03\x0a\x01\x03", now())).contains("later"));
    assert!(why(question.judge(b"\x30\x03\x0a\x01\x06", now())).contains("does not answer for"));
    assert!(why(question.judge(b"<html>", now())).contains("damaged"));
    assert!(why(question.judge(&vec![0x30; 40 << 10], now())).contains("too long"));
    ca.revoke("mail.test");
    let revoked = question.judge(&ca.answer("mail.test", "ca"), now());
    assert_eq!(revoked.unwrap_err(), NoStaple::Revoked);
}

/// An octet of it changed, or its end missing, an answer is refused, or says the same (certificates in it that nobody
/// needs are not signed with it).
#[test]
fn a_changed_answer_says_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let ca = with_delegate(dir.path());
    let question = question(&ca, "mail.test");
    for signer in ["ca", "delegate.test"] {
        let answer = ca.answer("mail.test", signer);
        let whole = question.judge(&answer, now()).unwrap();
        for cut in 0..answer.len() {
            assert!(question.judge(&answer[..cut], now()).is_err(), "{signer}: cut at {cut}");
        }
        let mut taken = 0;
        for at in 0..answer.len() {
            let mut changed = answer.clone();
            changed[at] ^= 1 << (at % 8);
            if let Ok(staple) = question.judge(&changed, now()) {
                taken += 1;
                assert_eq!(
                    (staple.this_update, staple.next_update),
                    (whole.this_update, whole.next_update),
                    "{signer}: octet {at}"
                );
            }
        }
        // The authority's own certificate stands in its answer for nothing.
        assert!(signer == "ca" || taken < answer.len() / 20, "{signer}: {taken}");
    }
}

#[tokio::test]
async fn openssls_responder_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut ca = OpensslCa::new(dir.path());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    ca.issue("mail.test", &format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}"));
    let question = question(&ca, "mail.test");
    let resolver = Resolver::fixed(Vec::new(), Vec::new());
    let away = why(question.ask(&resolver, now()).await);
    assert!(away.contains("cannot be asked: nobody listens there"), "{away}");
    let _responder = ca.serve(port, "ca", 60);
    let mut said = question.ask(&resolver, now()).await;
    for _ in 0..200 {
        if said.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        said = question.ask(&resolver, now()).await;
    }
    let log = std::fs::read_to_string(ca.file("responder.log")).unwrap_or_default();
    let staple = said.unwrap_or_else(|error| panic!("{error}\n{log}"));
    assert_eq!(staple.next_update - staple.this_update, 3600);
}
