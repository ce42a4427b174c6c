//! Domains, accounts, aliases, and where mail goes.

use crate::help::*;
use proto::proof::AccountId;
use proto::sasl::{CramKey, Mechanism, ScramKeys};
use proto::service::policy::{DomainPolicy, Exception};
use store::Store;
use store::system::directory::{Credential, CredentialKind, Credentials, Directory, DirectoryError, Route};

/// The ids of the accounts and the remote addresses; or what else it is.
fn route(store: &Store, address: &str) -> Result<(Vec<u64>, Vec<String>), Route> {
    let (local, domain) = address.rsplit_once('@').unwrap();
    match store.directory().route(local, domain).unwrap() {
        Route::To { accounts, remote } => Ok((accounts.into_iter().map(|a| a.id.0).collect(), remote)),
        other => Err(other),
    }
}

fn to(ids: &[AccountId]) -> Result<(Vec<u64>, Vec<String>), Route> {
    Ok((ids.iter().map(|id| id.0).collect(), Vec::new()))
}

#[test]
fn where_mail_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    runtime().block_on(async {
        let directory = store.directory();
        directory.put_domain(domain("Bücher.test"), false).await.unwrap();
        let ids = people(&store, 2).await;
        let (ann, bob) = (ids[0], ids[1]);
        let own = |address: &str| vec![address.to_owned()];
        directory.put_alias("team@x.test", &own("USER0@X.TEST"), false).await.unwrap();
        let all = ["team@x.test".to_owned(), "user1@x.test".to_owned(), "far@else.test".to_owned()];
        directory.put_alias("all@xn--bcher-kva.test", &all, false).await.unwrap();
        directory.put_alias("a@x.test", &own("b@x.test"), false).await.unwrap();
        directory.put_alias("b@x.test", &own("a@x.test"), false).await.unwrap();
        directory.put_alias("dead@x.test", &own("nobody@x.test"), false).await.unwrap();

        assert_eq!(route(&store, "User0@x.test."), to(&[ann]));
        assert_eq!(route(&store, "user0+list@X.test"), to(&[ann]));
        assert_eq!(route(&store, "team+list@x.test"), to(&[ann]));
        assert_eq!(
            route(&store, "all@bücher.test"),
            Ok((vec![ann.0, bob.0], vec!["far@else.test".to_owned()]))
        );
        assert_eq!(route(&store, "a@x.test"), Err(Route::Loop));
        assert_eq!(route(&store, "dead@x.test"), Err(Route::NoSuchUser));
        assert_eq!(route(&store, "nobody@x.test"), Err(Route::NoSuchUser));
        assert_eq!(route(&store, "+x@x.test"), Err(Route::NoSuchUser));
        assert_eq!(route(&store, "user0@else.test"), Err(Route::NotOurs));
        assert_eq!(route(&store, "PostMaster@x.test"), to(&[ann]), "the first account");
        assert_eq!(route(&store, "postmaster@bücher.test"), Err(Route::NoSuchUser));

        let mut caught = domain("x.test");
        caught.catch_all = Some("user1@x.test".to_owned());
        directory.put_domain(caught, true).await.unwrap();
        assert_eq!(route(&store, "nobody@x.test"), to(&[bob]));
        assert_eq!(route(&store, "postmaster@x.test"), to(&[bob]));

        let may = |id, local| directory.may_send_as(id, local, "X.test").unwrap();
        assert!(may(ann, "user0") && may(ann, "USER0+a") && may(ann, "team"));
        assert!(!may(bob, "user0") && !may(bob, "nobody") && !may(ann, "a"));
        assert!(directory.may_send_as(bob, "all", "bücher.test").unwrap());
        assert!(!directory.may_send_as(ann, "user0", "else.test").unwrap());
    });
    clean(&store);
}

#[test]
fn changes_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    runtime().block_on(async {
        let directory = store.directory();
        let ids = people(&store, 1).await;
        let add = |address: &str| directory.add_account(record(address), credentials());
        assert!(matches!(add("USER0@x.test").await, Err(DirectoryError::Exists)));
        assert!(matches!(add("ann@y.test").await, Err(DirectoryError::Missing)));
        assert!(matches!(add("x.test").await, Err(DirectoryError::Malformed(_))));
        assert!(matches!(directory.put_domain(domain("X.TEST"), false).await, Err(DirectoryError::Exists)));
        assert!(matches!(directory.put_domain(domain("y.test"), true).await, Err(DirectoryError::Missing)));
        assert!(matches!(
            directory.put_domain(domain("a b"), false).await,
            Err(DirectoryError::Malformed(_))
        ));
        let target = ["user0@x.test".to_owned()];
        assert!(matches!(
            directory.put_alias("user0@x.test", &target, true).await,
            Err(DirectoryError::Exists)
        ));
        directory.put_alias("info@x.test", &target, false).await.unwrap();
        assert!(matches!(add("Info@x.test").await, Err(DirectoryError::Exists)));
        assert_eq!(directory.alias("INFO@x.test").unwrap(), Some(target.to_vec()));
        assert!(matches!(directory.remove_domain("x.test").await, Err(DirectoryError::Occupied(_))));

        // Letter case begins to matter, and ceases to.
        let mut exact = domain("x.test");
        exact.case_sensitive = true;
        directory.put_domain(exact, true).await.unwrap();
        assert_eq!(route(&store, "User0@x.test"), Err(Route::NoSuchUser));
        let upper = add("User0@x.test").await.unwrap();
        assert_eq!(route(&store, "User0@x.test"), to(&[upper]));
        let back = directory.put_domain(domain("x.test"), true).await;
        assert!(matches!(back, Err(DirectoryError::Occupied(_))), "{back:?}");
        directory.remove_account(upper).await.unwrap();
        directory.put_domain(domain("x.test"), true).await.unwrap();
        assert_eq!(directory.account_by_address("USER0@x.test").unwrap().unwrap().id, ids[0]);

        let keys = ScramKeys { stored: vec![1; 20], server: vec![2; 20] };
        let mut held = credentials();
        held.list.push(Credential {
            id: 1,
            kind: CredentialKind::Main,
            argon2: "$argon2id$".to_owned(),
            scram_sha1: keys.clone(),
            scram_sha256: keys,
            cram_md5: Some(CramKey([3; 32])),
            created: 1,
            expires: None,
        });
        directory.put_credentials(ids[0], held.clone()).await.unwrap();
        assert_eq!(directory.credentials(ids[0]).unwrap(), Some(held.clone()));
        assert!(matches!(directory.put_credentials(upper, held.clone()).await, Err(DirectoryError::Missing)));
        // Verifiers go with the domain's wish for them, and nothing else goes.
        let mut wants = domain("x.test");
        wants.policy.cram_md5 = true;
        directory.put_domain(wants, true).await.unwrap();
        assert_eq!(directory.credentials(ids[0]).unwrap(), Some(held.clone()));
        directory.put_domain(domain("x.test"), true).await.unwrap();
        held.list[0].cram_md5 = None;
        assert_eq!(directory.credentials(ids[0]).unwrap(), Some(held.clone()));
        exceptions(directory, ids[0], held).await;

        directory.remove_alias("info@x.test").await.unwrap();
        assert!(matches!(directory.remove_alias("info@x.test").await, Err(DirectoryError::Missing)));
        directory.remove_account(ids[0]).await.unwrap();
        directory.remove_domain("x.test").await.unwrap();
        assert_eq!(directory.domains().unwrap(), []);
        assert_eq!(directory.accounts(None).unwrap(), []);
    });
    clean(&store);
}

/// An exception keeps a verifier that the domain does not want, and takes it along when it goes.
async fn exceptions(directory: &Directory, id: AccountId, mut held: Credentials) {
    let scanner = Exception {
        reason: "scanner".to_owned(),
        until: 5,
        ways: Vec::new(),
        mechanisms: vec![Mechanism::CramMd5],
        clear: false,
    };
    held.list[0].cram_md5 = Some(CramKey([3; 32]));
    let cram = DomainPolicy { cram_md5: true, ..DomainPolicy::default() };
    directory.put_policy("X.test", cram).await.unwrap();
    directory.put_credentials(id, held.clone()).await.unwrap();
    directory.put_exception(id, Some(scanner.clone())).await.unwrap();
    directory.put_policy("x.test", DomainPolicy::default()).await.unwrap();
    assert_eq!(directory.credentials(id).unwrap(), Some(held.clone()));
    assert_eq!(directory.exception(id).unwrap(), Some(scanner.clone()));
    assert_eq!(directory.exceptions().unwrap(), [(id, scanner.clone())]);
    directory.put_exception(id, None).await.unwrap();
    held.list[0].cram_md5 = None;
    assert_eq!(directory.credentials(id).unwrap(), Some(held));
    assert_eq!(directory.exceptions().unwrap(), []);
    let nobody = directory.put_exception(AccountId(77), Some(scanner.clone())).await;
    assert!(matches!(nobody, Err(DirectoryError::Missing)), "{nobody:?}");
    let hosted = |host: &str| DomainPolicy { host: Some(host.to_owned()), ..DomainPolicy::default() };
    directory.put_policy("x.test", hosted("Mail.Bücher.test.")).await.unwrap();
    let kept = directory.domain("x.test").unwrap().unwrap().policy;
    assert_eq!(kept, hosted("mail.xn--bcher-kva.test"));
    let odd = directory.put_policy("x.test", hosted("a b")).await;
    assert!(matches!(odd, Err(DirectoryError::Malformed(_))), "{odd:?}");
    let missing = directory.put_policy("nowhere.test", DomainPolicy::default()).await;
    assert!(matches!(missing, Err(DirectoryError::Missing)), "{missing:?}");
    // What is left goes with the account.
    directory.put_exception(id, Some(scanner)).await.unwrap();
}
