//! How long messages are as POP3 sends them to clients without UTF8: a surrogate is longer than its message, and LIST should
//! say so (RFC 6856 section 2.1).
//!
//! What was learnt of a message at its delivery tells whether its header, or that of a part, has octets beyond ASCII; only of such
//! a message anything is read, and no more than the headers need. That is done when a size is first asked for, within
//! limits, and remembered: a message never changes, so that the next session looks at what came since. What is beyond
//! the limits is told as it is kept, until a later session comes to it; so are fields beside those of the envelope and the
//! structure, of which nothing was learnt.

use proto::message::gist::Gist;
use proto::message::surrogate::Surrogate;
use store::account::{Account, DetailRef, View};
use store::blob::Bodies;

/// Messages whose details are read together.
const BATCH: usize = 256;

/// Every limit, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Messages that one session looks at (default 20,000).
    messages_max: usize,
    /// Octets of bodies that one session reads (default 32 MiB).
    read_bytes_max: u64,
    /// Messages of one maildrop that are remembered to differ (default 4096).
    different_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { messages_max: 20_000, read_bytes_max: 32 << 20, different_max: 4096 }
    }
}

/// What is known of a maildrop. Cheap to keep: messages that are as long as they are kept are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Of the mailbox that it is about.
    uid_validity: u32,
    /// All up to this UID have been looked at.
    upto: u32,
    /// Those that differ, in ascending order of UIDs.
    different: Vec<(u32, u64)>,
}

impl Sizes {
    /// How long the message is, which is kept with `size` octets.
    pub(crate) fn of(&self, uid: u32, size: u64) -> u64 {
        match self.different.binary_search_by_key(&uid, |(uid, _)| *uid) {
            Ok(at) => self.different[at].1,
            Err(_) => size,
        }
    }

    /// Looks at what came since.
    ///
    /// # Errors
    /// The store failed; what was found before stays.
    pub(crate) async fn learn(
        &mut self,
        account: &Account,
        view: &View,
        bodies: &Bodies,
        limits: Limits,
    ) -> Result<(), store::Error> {
        if self.uid_validity != view.mailbox.uid_validity {
            *self = Sizes { uid_validity: view.mailbox.uid_validity, ..Sizes::default() };
        }
        let new = view.rows(view.seqs(self.upto.saturating_add(1), u32::MAX));
        let uids: Vec<u32> = new.map(|(_, row)| row.uid).take(limits.messages_max).collect();
        let mut left = limits.read_bytes_max;
        for batch in uids.chunks(BATCH) {
            let details = account.details(view.mailbox.id, batch.to_vec()).await?;
            for detail in details.iter() {
                let detail = detail?;
                if let Some(end) = end_of_headers(&detail) {
                    if end > left || self.different.len() >= limits.different_max {
                        return Ok(());
                    }
                    left -= end;
                    let size = measure(&detail, end, bodies).await?;
                    if size != detail.prefix.len() as u64 + detail.body.len {
                        self.different.push((detail.uid, size));
                    }
                }
                self.upto = detail.uid;
            }
            // Those that were removed meanwhile are done with as well.
            self.upto = batch.last().copied().unwrap_or(self.upto);
        }
        Ok(())
    }
}

/// Up to where a body has to be read for its headers; `None`: they are ASCII as far as is known.
fn end_of_headers(detail: &DetailRef<'_>) -> Option<u64> {
    let Some(gist) = Gist::read(detail.gist) else { return Some(detail.body.len) };
    if !gist.body_structure().is_ascii() {
        return Some(detail.body.len);
    }
    let ascii = gist.envelope().is_ascii() && detail.prefix.is_ascii();
    (!ascii).then(|| gist.header().end.min(detail.body.len))
}

/// The length of the surrogate of which `end` octets of the body have to be looked at.
async fn measure(detail: &DetailRef<'_>, end: u64, bodies: &Bodies) -> Result<u64, store::Error> {
    let mut surrogate = Surrogate::default();
    let mut size = detail.body.len - end;
    let mut count = |piece: &[u8]| {
        size += piece.len() as u64;
        true
    };
    surrogate.push(detail.prefix, &mut count);
    let mut reader = bodies.read(&detail.body, 0..end);
    while let Some(piece) = reader.next().await? {
        surrogate.push(&piece, &mut count);
    }
    surrogate.end(&mut count);
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::proof::AccountId;
    use store::account::{Delivery, Flags, INBOX};
    use store::system::directory::{AccountRecord, Credentials, Domain};
    use store::{Options, Store};

    const LETTER: &str = "Subject: Gr\u{fc}\u{df}e\r\n\r\nText.\r\n";
    const SENT: u64 = "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\r\nText.\r\n".len() as u64;

    /// Three messages with a header in UTF-8.
    async fn filled(store: &Store) -> Account {
        let record = AccountRecord {
            id: AccountId(0),
            address: "ann@example.test".to_owned(),
            name: String::new(),
            enabled: true,
            quota_bytes: None,
            quota_messages: None,
            created: 0,
        };
        let directory = store.directory();
        directory.put_domain(Domain::named("example.test"), false).await.unwrap();
        let nobody = Credentials { salt: Vec::new(), iterations: 4096, generation: 0, list: Vec::new() };
        let id = directory.add_account(record, nobody).await.unwrap();
        let account = store.account(id);
        let mut writer = store.bodies().writer();
        writer.write(LETTER.as_bytes()).await.unwrap();
        let body = writer.finish().await.unwrap();
        for _ in 0..3 {
            let delivery = Delivery {
                mailbox: INBOX.to_owned(),
                prefix: Vec::new(),
                body: body.clone(),
                header_bytes: 0,
                flags: Flags::default(),
                keywords: Vec::new(),
                gist: Vec::new(),
                received: 1,
                saved: 1,
                token: None,
                quota: false,
            };
            account.deliver(delivery).await.unwrap();
        }
        account
    }

    #[tokio::test]
    async fn what_is_beyond_a_limit_is_left_to_a_later_session() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let account = filled(&store).await;
        let view = account.view(INBOX).unwrap().unwrap();
        let len = LETTER.len() as u64;
        let all = Limits::default();
        for limits in [
            Limits { messages_max: 2, ..all },
            Limits { read_bytes_max: 2 * len + 1, ..all },
            Limits { different_max: 2, ..all },
        ] {
            let mut sizes = Sizes::default();
            sizes.learn(&account, &view, store.bodies(), limits).await.unwrap();
            let told = |sizes: &Sizes| [1, 2, 3].map(|uid| sizes.of(uid, len));
            assert_eq!(told(&sizes), [SENT, SENT, len], "{limits:?}");
            sizes.learn(&account, &view, store.bodies(), all).await.unwrap();
            assert_eq!(told(&sizes), [SENT, SENT, SENT], "{limits:?}");
            let before = sizes.clone();
            // Nothing is read again.
            sizes.learn(&account, &view, store.bodies(), Limits { read_bytes_max: 0, ..all }).await.unwrap();
            assert_eq!(sizes, before);
        }
        store.close().unwrap();
    }
}
