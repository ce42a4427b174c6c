//! A message on its way into a mailbox, as a server would bring it.

use crate::Failure;
use proto::message::gist::{Limits, Scanner};
use store::Store;
use store::account::{Delivery, Flags};

/// The delivery of these octets into INBOX; `n` seconds later than the first.
pub async fn delivery(store: &Store, n: u64, octets: &[u8]) -> Result<Delivery, Failure> {
    let mut scanner = Scanner::new(Limits::default());
    scanner.feed(octets);
    let mut writer = store.bodies().writer();
    writer.write(octets).await?;
    let prefix = b"Return-Path: <a@example.test>\r\nDelivered-To: user@example.test\r\n".to_vec();
    let header = octets.windows(4).position(|w| w == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
    Ok(Delivery {
        mailbox: "INBOX".to_owned(),
        header_bytes: (prefix.len() + header) as u64,
        prefix,
        body: writer.place().await?,
        flags: Flags::default(),
        keywords: Vec::new(),
        gist: scanner.finish(),
        received: 1_700_000_000 + n as i64,
        saved: 1_700_000_000,
        token: None,
        quota: true,
    })
}
