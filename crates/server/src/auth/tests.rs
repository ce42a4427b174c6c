use super::*;
use password::tests::{CHEAP, app, main};
use proto::proof::{AccountId, How, Tls, TlsVersion};
use proto::sasl::client::Client;
use proto::sasl::scram::Binding;
use proto::sasl::{Failure, Policy, Server, Step, offer};
use std::sync::atomic::AtomicU64;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub(super) struct Hand(AtomicU64);

impl Hand {
    pub(super) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn tick(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
    fn unix(&self) -> i64 {
        (self.0.load(Ordering::Relaxed) / 1000) as i64
    }
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<(AccountRecord, Credentials)>>>, bool);

impl Book {
    fn change(&self, change: impl FnOnce(&mut (AccountRecord, Credentials))) {
        change(&mut self.0.lock().unwrap()[0]);
    }
}

impl Accounts for Book {
    fn find(&self, address: &str) -> Result<Found, store::Error> {
        if self.1 {
            return Err(store::Error::Closed);
        }
        let book = self.0.lock().unwrap();
        Ok(book.iter().find(|(account, _)| account.address.eq_ignore_ascii_case(address)).cloned())
    }
    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }
}

const ANN: &str = "Ann@example.test";

struct House {
    auth: Auth,
    book: Book,
    hand: Arc<Hand>,
}

fn house_with(change: impl FnOnce(&mut Settings)) -> House {
    let mut credentials = password::new(&Secret::new("main"), &main(true), &CHEAP).unwrap();
    password::add(&mut credentials, &Secret::new("phone"), &app("phone", Some(1000)), &CHEAP).unwrap();
    let account = AccountRecord {
        id: AccountId(42),
        address: ANN.to_owned(),
        name: String::new(),
        enabled: true,
        quota_bytes: None,
        quota_messages: None,
        created: 0,
    };
    let book = Book(Arc::new(Mutex::new(vec![(account, credentials)])), false);
    let hand = Arc::new(Hand::default());
    let mut settings = Settings { cost: CHEAP, ..Settings::default() };
    change(&mut settings);
    House { auth: Auth::over(Box::new(book.clone()), settings, hand.clone()).unwrap(), book, hand }
}

fn house() -> House {
    house_with(|settings| settings.throttle.delay_millis_max = 0)
}

fn context(peer: &str) -> Context {
    let tls = Tls {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_256_GCM_SHA384",
        group: None,
        server_name: None,
        exporter: Some([1; 32]),
        end_point: Vec::new(),
        client_addresses: vec!["ann@example.test".to_owned()],
    };
    let security = Security::established(How::Implicit, tls);
    Context::new(peer.parse().unwrap(), Protocol::Pop3, "pop3s".into(), security)
}

/// A whole exchange of our client with the service.
async fn exchange(
    auth: &Auth,
    mechanism: Mechanism,
    user: &str,
    password: &str,
) -> Result<Authenticated, Failure> {
    let context = context("192.0.2.1");
    let offered = offer(&Policy { cram_md5: true, ..Policy::default() }, &context.security);
    let binding = match mechanism {
        Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus => Binding::Exporter([1; 32]),
        _ => Binding::None,
    };
    let (mut client, initial) =
        Client::start(mechanism, user, &Secret::new(password), "", &[3; 18], binding).unwrap();
    let initial = initial.map(|message| message.to_vec());
    let (mut server, mut step) =
        Server::start(mechanism, &offered, &context.security, &[4; 18], 0, "h", initial);
    loop {
        step = match step {
            Step::Challenge(challenge) => match client.receive(&challenge) {
                Ok(reply) => server.receive(&reply),
                Err(_) => return Err(server.cancel()),
            },
            Step::Ask(question) => server.answer(auth.answer(&context, question).await),
            Step::Success { user, .. } => {
                return auth.finish(&context, &user, mechanism).map_err(|_| Failure::Credentials);
            }
            Step::Failure(failure) => return Err(failure),
        }
    }
}

#[tokio::test]
async fn every_mechanism_reaches_the_account() {
    let house = house();
    for mechanism in Mechanism::ALL {
        let proof = exchange(&house.auth, mechanism, "ann@example.test", "main").await.unwrap();
        assert_eq!(proof.account(), AccountId(42));
        assert_eq!(proof.address(), ANN);
        assert_eq!(proof.mechanism(), mechanism.name());
    }
}

#[tokio::test]
async fn app_passwords_work_until_they_expire() {
    let house = house();
    let works = [Mechanism::Plain, Mechanism::ScramSha1, Mechanism::ScramSha256Plus];
    for mechanism in works {
        assert!(exchange(&house.auth, mechanism, ANN, "phone").await.is_ok(), "{mechanism:?}");
    }
    assert!(exchange(&house.auth, Mechanism::CramMd5, ANN, "phone").await.is_err(), "has no such verifier");
    house.hand.pass(1000);
    for mechanism in works {
        assert!(exchange(&house.auth, mechanism, ANN, "phone").await.is_err(), "{mechanism:?}");
    }
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let house = house();
    for mechanism in Mechanism::ALL.into_iter().filter(|m| *m != Mechanism::External) {
        for (user, password) in [(ANN, "wrong"), ("bob@example.test", "main"), ("ann", "main")] {
            let refused = exchange(&house.auth, mechanism, user, password).await;
            assert_eq!(refused.unwrap_err(), Failure::Credentials, "{mechanism:?} {user}");
        }
    }
    let refused = exchange(&house.auth, Mechanism::External, "bob@example.test", "x").await;
    assert_eq!(refused.unwrap_err(), Failure::Credentials);
    house.book.change(|(account, _)| account.enabled = false);
    for mechanism in Mechanism::ALL {
        assert!(exchange(&house.auth, mechanism, "ann@example.test", "main").await.is_err(), "{mechanism:?}");
    }
}

#[tokio::test]
async fn unknown_users_look_like_known_ones() {
    let house = house();
    let context = context("192.0.2.1");
    let ask = async |user: &str, hash| match house
        .auth
        .answer(&context, Question::ScramKeys { user: user.to_owned(), hash })
        .await
    {
        Answer::Scram { salt, iterations, keys } => (salt, iterations, keys),
        other => panic!("{other:?}"),
    };
    let (salt, iterations, _) = ask(ANN, ScramHash::Sha256).await;
    let first = ask("nobody@example.test", ScramHash::Sha256).await;
    assert_eq!((first.0.len(), first.1), (salt.len(), iterations));
    assert_eq!(ask("NOBODY@example.test", ScramHash::Sha256).await, first, "always the same");
    assert_ne!(ask("nobody2@example.test", ScramHash::Sha256).await.0, first.0);
    let sha1 = ask("nobody@example.test", ScramHash::Sha1).await;
    assert_eq!(sha1.0, first.0, "one salt for both hashes, as a real account has");
    assert_eq!((sha1.2[0].stored.len(), first.2[0].stored.len()), (20, 32));
    house.book.change(|(account, _)| account.enabled = false);
    assert_eq!(ask(ANN, ScramHash::Sha256).await.0, salt, "disabling does not show");
}

#[tokio::test]
async fn a_remembered_secret_needs_no_hash_until_the_password_changes() {
    let house = house();
    assert!(house.auth.login(&context("192.0.2.1"), ANN, Secret::new("main")).await.is_ok());
    house.auth.0.hashing.close();
    let proof = house.auth.login(&context("192.0.2.1"), ANN, Secret::new("main")).await.unwrap();
    assert_eq!(proof.mechanism(), "USER");
    let refused = house.auth.login(&context("192.0.2.1"), ANN, Secret::new("other")).await;
    assert_eq!(refused.unwrap_err(), Refused::Temporary, "this one would need a hash");
    house.book.change(|(account, _)| account.enabled = false);
    assert!(house.auth.login(&context("192.0.2.1"), ANN, Secret::new("main")).await.is_err());
    house.book.change(|(account, credentials)| {
        account.enabled = true;
        password::add(credentials, &Secret::new("new"), &main(false), &CHEAP).unwrap();
    });
    let refused = house.auth.login(&context("192.0.2.1"), ANN, Secret::new("main")).await;
    assert_eq!(refused.unwrap_err(), Refused::Temporary, "the old one is not remembered");
}

#[tokio::test]
async fn a_full_queue_defers() {
    let house = house_with(|settings| settings.hashes_waiting_max = 0);
    let refused = house.auth.login(&context("192.0.2.1"), ANN, Secret::new("main")).await;
    assert_eq!(refused.unwrap_err(), Refused::Temporary);
    assert_eq!(house.auth.0.waiting.load(Ordering::Relaxed), 0, "the place is given back");
}

#[tokio::test]
async fn a_store_that_fails_is_temporary() {
    let auth = Auth::over(
        Box::new(Book(Arc::default(), true)),
        Settings { cost: CHEAP, ..Settings::default() },
        Arc::new(Hand::default()),
    )
    .unwrap();
    for mechanism in Mechanism::ALL {
        assert_eq!(
            exchange(&auth, mechanism, "ann@example.test", "main").await.unwrap_err(),
            Failure::Temporary
        );
    }
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_and_the_owner_is_not() {
    let house = house_with(|_| ());
    let login = async |peer: &str, password: &str| {
        let before = tokio::time::Instant::now();
        let proof = house.auth.login(&context(peer), ANN, Secret::new(password)).await;
        (proof.is_ok(), before.elapsed().as_secs())
    };
    assert_eq!(login("192.0.2.1", "main").await, (true, 0));
    let mut delays = Vec::new();
    for _ in 0..6 {
        delays.push(login("198.51.100.1", "guess").await);
    }
    assert_eq!(delays.iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 4]);
    assert_eq!(login("192.0.2.99", "phone").await, (true, 0), "the owner's network, not remembered yet");
    assert_eq!(login("203.0.113.1", "main").await, (true, 0), "a remembered secret is proven at once");
    assert_eq!(login("203.0.114.1", "guess").await, (false, 8), "a stranger's network is");
}

#[tokio::test(start_paused = true)]
async fn challenges_left_half_done_count() {
    let house = house_with(|_| ());
    let ask = async || {
        let context = context("198.51.100.1");
        let before = tokio::time::Instant::now();
        house
            .auth
            .answer(&context, Question::ScramKeys { user: ANN.to_owned(), hash: ScramHash::Sha1 })
            .await;
        before.elapsed().as_secs()
    };
    let mut delays = Vec::new();
    for _ in 0..5 {
        delays.push(ask().await);
    }
    assert_eq!(delays, [0, 0, 0, 1, 2]);
}

#[test]
fn debug_shows_no_secret() {
    let house = house();
    let shown = format!("{:?} {:?}", house.auth, context("192.0.2.1"));
    assert!(!shown.contains("$argon2") && !shown.contains("seed"), "{shown}");
}
