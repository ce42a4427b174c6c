//! ACME (RFC 8555): certificates from an authority, by HTTP-01 (RFC 8555 8.3) and TLS-ALPN-01 (RFC 8737).
//!
//! [`Client`] is our account at one authority and carries out one order at a time; [`Challenges`] holds the answers
//! while the authority asks, for the listeners that give them; [`Trouble`] says who must do what when it fails.
//!
//! What must hold: every answer of the authority is bounded in time and size ([`transport`]); no answer to a challenge
//! outlives its order; keys never print. Deliberately not here: which names are asked for, when, and where
//! account and certificates are kept; that is decided above.

mod challenges;
mod directory;
mod order;
mod transport;
mod trouble;

pub use challenges::{ALPN, Challenges};
pub use order::{Issued, Key, Means, RenewalWindow};
pub use trouble::{Trouble, Who};

use crate::tls::CertificateError;
use instant_acme::{Account, AccountCredentials, NewAccount};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::Path;
use transport::Transport;

/// Octets of an account's URI that is passed on.
const URI_BYTES_MAX: usize = 500;

/// An authority, and what it is told of us when the account is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// URL of its directory (RFC 8555 7.1.1).
    pub directory: String,
    /// Mail addresses at which the operator is told of trouble.
    pub contact: Vec<String>,
    /// Authorities (DER) that vouch for the directory's host beside those of the system: for an authority of one's own.
    pub roots: Vec<Vec<u8>>,
}

/// How a name is proven to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A file under clear HTTP.
    Http,
    /// A certificate in a handshake.
    TlsAlpn,
}

/// An account at an authority, ready to order.
pub struct Client {
    account: Account,
    transport: Transport,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("account", &self.account.id()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a new account, whose credentials (with its private key) are to be kept for [`Client::again`].
    /// To call it is to agree to the authority's terms.
    ///
    /// # Errors
    /// The authority cannot be reached or refuses.
    pub async fn new(authority: &Authority) -> Result<(Client, String), Trouble> {
        let transport = Transport::new(authority)?;
        let contact: Vec<String> =
            authority.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let made = Account::builder_with_http(Box::new(transport.clone()))
            .create(&wanted, authority.directory.clone(), None)
            .await;
        let (account, credentials) = made.map_err(|error| transport.trouble(&error))?;
        let kept = serde_json::to_string(&credentials).map_err(|error| Trouble::ours(&error))?;
        Ok((Client { account, transport }, kept))
    }

    /// The account of earlier, from what was kept of it.
    ///
    /// # Errors
    /// The authority cannot be reached, or what was kept is damaged.
    pub async fn again(authority: &Authority, kept: &str) -> Result<Client, Trouble> {
        let transport = Transport::new(authority)?;
        let credentials: AccountCredentials =
            serde_json::from_str(kept).map_err(|error| Trouble::kept(&error))?;
        let account = Account::builder_with_http(Box::new(transport.clone()))
            .from_credentials(credentials)
            .await
            .map_err(|error| transport.trouble(&error))?;
        Ok(Client { account, transport })
    }

    /// The names by which CAA records permit the authority, as its directory says; none where it does not say.
    #[must_use]
    pub fn caa_identities(&self) -> Vec<String> {
        self.transport.caa_identities()
    }
}

/// The URI of the account at the authority (RFC 8555 7.3), from what was kept of it.
#[must_use]
pub fn account_uri(kept: &str) -> Option<String> {
    let kept: serde_json::Value = serde_json::from_str(kept).ok()?;
    let uri = kept.get("id")?.as_str()?;
    // It becomes part of a record: nothing that could end the value there.
    let plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b';' | b'\\' | b'\'');
    (uri.starts_with("https://") && uri.len() <= URI_BYTES_MAX && uri.bytes().all(plain))
        .then(|| uri.to_owned())
}

/// Reads a PEM file of authorities.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn read_roots(path: &Path) -> Result<Vec<Vec<u8>>, CertificateError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let list = read.map_err(|error| CertificateError::file(path, &error))?;
    if list.is_empty() {
        return Err(CertificateError::file(path, &"no certificate in this file"));
    }
    Ok(list.into_iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_uri_is_only_what_can_stand_in_a_record() {
        let of = |id: &str| account_uri(&serde_json::json!({ "id": id, "key_pkcs8": "secret" }).to_string());
        assert_eq!(of("https://ca.test/acct/7").as_deref(), Some("https://ca.test/acct/7"));
        let long = format!("https://ca.test/{}", "a".repeat(URI_BYTES_MAX));
        for bad in
            ["http://ca.test/7", "https://ca.test/7; x", "https://ca.test/\"", "https://ca.test/\n7", &long]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!((account_uri("{}"), account_uri("nothing")), (None, None));
    }
}
