//! Somebody who has mail.

use crate::Failure;
use proto::proof::AccountId;
use store::Store;
use store::system::directory::{AccountRecord, Credentials};

/// Adds an account that nobody can log in to, without quota. Its domain is there.
pub async fn add(store: &Store, address: &str) -> Result<AccountId, Failure> {
    let record = AccountRecord {
        id: AccountId(0),
        address: address.to_owned(),
        name: String::new(),
        enabled: true,
        quota_bytes: None,
        quota_messages: None,
        created: 0,
    };
    let nothing = Credentials { salt: vec![0; 16], iterations: 4096, generation: 0, list: Vec::new() };
    Ok(store.directory().add_account(record, nothing).await?)
}
