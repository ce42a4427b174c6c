//! SCRAM (RFC 5802) with SHA-1 and SHA-256 (RFC 7677), with and without channel
//! binding (`tls-exporter`, RFC 9266; `tls-server-end-point`, RFC 5929).
//!
//! The server keeps keys, never the password, and proves in its last message
//! that it knows them. An account may have several credentials; they share salt
//! and iteration count, because those are sent before it is known which one the
//! client uses.
//!
//! Where the exchange fails the server says why with `e=` (section 7), in words
//! that are the same for an unknown user and a wrong password.

use super::{Failure, ScramHash, ScramKeys, prep};
use crate::proof::{Secret, Security};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets of a message at most; ours and everybody's are far shorter.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Octets of the peer's nonce at most.
const NONCE_BYTES_MAX: usize = 512;
/// What a client accepts as iteration count: below is no protection (RFC 5802
/// section 5.1), above is a way to keep it busy.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

impl ScramHash {
    /// Octets of a digest and of each key.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
        }
    }

    fn hash(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            ScramHash::Sha1 => Sha1::digest(data).to_vec(),
            ScramHash::Sha256 => Sha256::digest(data).to_vec(),
        })
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        const ANY: &str = "HMAC takes keys of every length (RFC 2104 section 2)";
        Zeroizing::new(match self {
            ScramHash::Sha1 => Hmac::<Sha1>::new_from_slice(key)
                .expect(ANY)
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
            ScramHash::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .expect(ANY)
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
        })
    }

    /// `SaltedPassword` (section 3).
    fn salted(self, password: &Secret, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![0; self.bytes()]);
        match self {
            ScramHash::Sha1 => {
                pbkdf2::pbkdf2_hmac::<Sha1>(password.expose(), salt, iterations, &mut out);
            }
            ScramHash::Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password.expose(), salt, iterations, &mut out);
            }
        }
        out
    }
}

impl ScramKeys {
    /// The keys of a password, which is prepared here (RFC 4013); `None` if it is
    /// empty or too long. Costs `iterations` rounds of HMAC.
    #[must_use]
    pub fn derive(hash: ScramHash, password: &Secret, salt: &[u8], iterations: u32) -> Option<ScramKeys> {
        let password = prep::password(password.expose())?;
        let salted = hash.salted(&password, salt, iterations.max(1));
        let client_key = hash.hmac(&salted, b"Client Key");
        Some(ScramKeys {
            stored: hash.hash(&client_key).to_vec(),
            server: hash.hmac(&salted, b"Server Key").to_vec(),
        })
    }
}

/// An exchange that ends here: the word for `e=` and the reason for the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) error: &'static str,
    pub(super) failure: Failure,
}

const fn refused(error: &'static str, failure: Failure) -> Refused {
    Refused { error, failure }
}

const SYNTAX: Refused = refused("other-error", Failure::Malformed);
const ENCODING: Refused = refused("invalid-encoding", Failure::Malformed);
const USERNAME_ENCODING: Refused = refused("invalid-username-encoding", Failure::Malformed);
const EXTENSIONS: Refused = refused("extensions-not-supported", Failure::Malformed);
const NOT_SUPPORTED: Refused = refused("channel-binding-not-supported", Failure::Malformed);
const BINDING_TYPE: Refused = refused("unsupported-channel-binding-type", Failure::Malformed);
const DOWNGRADED: Refused = refused("server-does-support-channel-binding", Failure::ChannelBinding);
const BINDING_DIFFERS: Refused = refused("channel-bindings-dont-match", Failure::ChannelBinding);
const PROOF: Refused = refused("invalid-proof", Failure::Credentials);

/// The server's side of one exchange.
pub(super) struct Server {
    hash: ScramHash,
    plus: bool,
    plus_offered: bool,
    exporter: Option<[u8; 32]>,
    end_point: Vec<u8>,
    nonce: String,
    user: String,
    /// gs2 header and binding data: what `c=` must hold.
    bound: Vec<u8>,
    /// client-first-message-bare, then also server-first-message: the start of AuthMessage.
    auth_message: String,
    keys: Vec<ScramKeys>,
}

impl Server {
    pub(super) fn new(
        hash: ScramHash,
        plus: bool,
        plus_offered: bool,
        security: &Security,
        nonce: String,
    ) -> Server {
        let tls = security.tls();
        Server {
            hash,
            plus,
            plus_offered,
            exporter: tls.and_then(|tls| tls.exporter),
            end_point: tls.map(|tls| tls.end_point.clone()).unwrap_or_default(),
            nonce,
            user: String::new(),
            bound: Vec::new(),
            auth_message: String::new(),
            keys: Vec::new(),
        }
    }

    pub(super) fn hash(&self) -> ScramHash {
        self.hash
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// client-first-message. The user whose keys are needed is then in [`Server::user`].
    pub(super) fn first(&mut self, message: &[u8]) -> Result<(), Refused> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(SYNTAX)?;
        let (authzid, bare) = rest.split_once(',').ok_or(SYNTAX)?;
        let data = self.binding(flag)?;
        let mut attributes = bare.split(',');
        let name = attributes.next().unwrap_or_default();
        if name.starts_with("m=") {
            return Err(EXTENSIONS);
        }
        let name = name.strip_prefix("n=").ok_or(SYNTAX)?;
        let user = decode_name(name).ok_or(USERNAME_ENCODING)?;
        match authzid.strip_prefix("a=") {
            // RFC 5802 section 7 wants a character behind `a=`; GNU SASL's client writes none
            // when its user gave no authorization id, and means that there is none.
            Some("") => {}
            Some(other) => {
                if decode_name(other).ok_or(USERNAME_ENCODING)? != user {
                    return Err(refused("other-error", Failure::Credentials));
                }
            }
            None if authzid.is_empty() => {}
            None => return Err(SYNTAX),
        }
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(SYNTAX)?;
        check_nonce(nonce)?;
        check_extensions(attributes)?;
        let header = message.len() - bare.len();
        self.bound = [&message.as_bytes()[..header], &data].concat();
        self.nonce.insert_str(0, nonce);
        self.user = user;
        bare.clone_into(&mut self.auth_message);
        Ok(())
    }

    /// The data of the binding that the gs2 flag names; empty without one.
    fn binding(&self, flag: &str) -> Result<Vec<u8>, Refused> {
        match flag {
            "n" | "y" if self.plus => Err(SYNTAX),
            // The client could bind and believes that we cannot, although we said
            // that we can: somebody in between took -PLUS out of the list (section 6).
            "y" if self.plus_offered => Err(DOWNGRADED),
            "n" | "y" => Ok(Vec::new()),
            _ => {
                let name = flag.strip_prefix("p=").ok_or(SYNTAX)?;
                if !self.plus {
                    return Err(NOT_SUPPORTED);
                }
                match name {
                    "tls-exporter" => self.exporter.map(Vec::from).ok_or(BINDING_TYPE),
                    "tls-server-end-point" if !self.end_point.is_empty() => Ok(self.end_point.clone()),
                    _ => Err(BINDING_TYPE),
                }
            }
        }
    }

    /// server-first-message.
    pub(super) fn challenge(&mut self, salt: &[u8], iterations: u32, keys: Vec<ScramKeys>) -> Vec<u8> {
        let message = format!("r={},s={},i={iterations}", self.nonce, STANDARD.encode(salt));
        self.keys = keys;
        if self.keys.is_empty() {
            // No digest is all zeroes, so nothing fits; the work is that of one credential.
            let zero = vec![0; self.hash.bytes()];
            self.keys.push(ScramKeys { stored: zero.clone(), server: zero });
        }
        self.auth_message.push(',');
        self.auth_message.push_str(&message);
        message.into_bytes()
    }

    /// client-final-message; the result is server-final-message.
    pub(super) fn last(&mut self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let message = text(message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(SYNTAX)?;
        let mut attributes = without_proof.split(',');
        let bound = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or(SYNTAX)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(SYNTAX)?;
        check_extensions(attributes)?;
        let bound = STANDARD.decode(bound).map_err(|_| ENCODING)?;
        let proof = Zeroizing::new(STANDARD.decode(proof).map_err(|_| ENCODING)?);
        if bound != self.bound {
            return Err(BINDING_DIFFERS);
        }
        if nonce != self.nonce {
            return Err(SYNTAX);
        }
        if proof.len() != self.hash.bytes() {
            return Err(PROOF);
        }
        self.auth_message.push(',');
        self.auth_message.push_str(without_proof);
        let server_key = self.matching(&proof).ok_or(PROOF)?;
        let signature = self.hash.hmac(&server_key, self.auth_message.as_bytes());
        Ok(format!("v={}", STANDARD.encode(&*signature)).into_bytes())
    }

    /// ServerKey of the credential that the proof fits. All are tried, whichever fits.
    fn matching(&self, proof: &[u8]) -> Option<Vec<u8>> {
        let mut found = None;
        for keys in &self.keys {
            let signature = self.hash.hmac(&keys.stored, self.auth_message.as_bytes());
            let client_key = xor(proof, &signature);
            if bool::from(self.hash.hash(&client_key).ct_eq(&keys.stored)) {
                found = Some(keys.server.clone());
            }
        }
        found
    }
}

/// What a client binds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The client has no channel binding (`n`).
    None,
    /// The client has, the server offered no -PLUS (`y`).
    Unoffered,
    /// RFC 9266.
    Exporter([u8; 32]),
    /// RFC 5929 section 4.
    EndPoint(Vec<u8>),
}

/// The client's side of one exchange.
pub(super) struct Client {
    hash: ScramHash,
    password: Secret,
    header: String,
    data: Vec<u8>,
    nonce: String,
    bare: String,
    server_signature: Zeroizing<Vec<u8>>,
}

impl Client {
    /// Begins; the second value is client-first-message. `user` and `password` are prepared.
    pub(super) fn start(
        hash: ScramHash,
        user: &str,
        password: Secret,
        authzid: &str,
        nonce: String,
        binding: Binding,
    ) -> (Client, Vec<u8>) {
        let (flag, data) = match binding {
            Binding::None => ("n", Vec::new()),
            Binding::Unoffered => ("y", Vec::new()),
            Binding::Exporter(data) => ("p=tls-exporter", data.to_vec()),
            Binding::EndPoint(data) => ("p=tls-server-end-point", data),
        };
        let header = match authzid {
            "" => format!("{flag},,"),
            _ => format!("{flag},a={},", encode_name(authzid)),
        };
        let bare = format!("n={},r={nonce}", encode_name(user));
        let first = format!("{header}{bare}").into_bytes();
        let server_signature = Zeroizing::default();
        (Client { hash, password, header, data, nonce, bare, server_signature }, first)
    }

    /// server-first-message in, client-final-message out; `None` if the server breaks the rules.
    pub(super) fn respond(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let message = text(message).ok()?;
        let mut attributes = message.split(',');
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations: u32 = attributes.next()?.strip_prefix("i=")?.parse().ok()?;
        check_extensions(attributes).ok()?;
        // Ours, and something of the server's own behind it: else it is a replay.
        if nonce.len() <= self.nonce.len()
            || !nonce.starts_with(&self.nonce)
            || !ITERATIONS.contains(&iterations)
        {
            return None;
        }
        let bound = STANDARD.encode([self.header.as_bytes(), &self.data].concat());
        let without_proof = format!("c={bound},r={nonce}");
        let auth_message = format!("{},{message},{without_proof}", self.bare);
        let salted = self.hash.salted(&self.password, &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let signature = self.hash.hmac(&self.hash.hash(&client_key), auth_message.as_bytes());
        let server_key = self.hash.hmac(&salted, b"Server Key");
        self.server_signature = self.hash.hmac(&server_key, auth_message.as_bytes());
        let proof = STANDARD.encode(&*xor(&client_key, &signature));
        Some(format!("{without_proof},p={proof}").into_bytes())
    }

    /// server-final-message: the server knows the keys, or `Err` with its `e=` word.
    pub(super) fn verify(&self, message: &[u8]) -> Result<(), String> {
        let message = text(message).map_err(|_| String::new())?;
        let first = message.split(',').next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Err(error.to_owned());
        }
        let signature = first.strip_prefix("v=").and_then(|v| STANDARD.decode(v).ok()).unwrap_or_default();
        if self.server_signature.is_empty() || !bool::from(signature.ct_eq(&self.server_signature)) {
            return Err(String::new());
        }
        Ok(())
    }
}

fn text(message: &[u8]) -> Result<&str, Refused> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(SYNTAX);
    }
    std::str::from_utf8(message).map_err(|_| ENCODING)
}

/// Printable ASCII without the comma (section 7, `c-nonce`).
fn check_nonce(nonce: &str) -> Result<(), Refused> {
    let printable = nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX || !printable { Err(SYNTAX) } else { Ok(()) }
}

/// Optional extensions are ignored (section 5.1); `m=` demands to be understood.
fn check_extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
    attributes.try_for_each(|attribute| match attribute.as_bytes() {
        [b'm', b'=', ..] => Err(EXTENSIONS),
        [letter, b'=', _, ..] if letter.is_ascii_alphabetic() => Ok(()),
        _ => Err(SYNTAX),
    })
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, no other escape exists.
fn decode_name(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('=') {
        out.push_str(&rest[..at]);
        out.push(match rest.get(at..at + 3)? {
            "=2C" => ',',
            "=3D" => '=',
            _ => return None,
        });
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    prep::user(out.as_bytes())
}

fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn xor(left: &[u8], right: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(left.iter().zip(right).map(|(a, b)| a ^ b).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::tests::encrypted;

    fn keys(hash: ScramHash, password: &str, salt: &[u8]) -> ScramKeys {
        ScramKeys::derive(hash, &Secret::new(password), salt, 4096).unwrap()
    }

    fn server(hash: ScramHash, nonce: &str) -> Server {
        Server::new(hash, false, false, &Security::clear(), nonce.to_owned())
    }

    fn example(hash: ScramHash, nonces: [&str; 2], salt: &str, proof: &str, signature: &str) {
        let raw = STANDARD.decode(salt).unwrap();
        let first = format!("n,,n=user,r={}", nonces[0]);
        let challenge = format!("r={}{},s={salt},i=4096", nonces[0], nonces[1]);
        let last = format!("c=biws,r={}{},p={proof}", nonces[0], nonces[1]);
        let signature = format!("v={signature}");

        let mut server = server(hash, nonces[1]);
        server.first(first.as_bytes()).unwrap();
        assert_eq!(server.user(), "user");
        let app = keys(hash, "another", &raw);
        assert_eq!(server.challenge(&raw, 4096, vec![app, keys(hash, "pencil", &raw)]), challenge.as_bytes());
        assert_eq!(server.last(last.as_bytes()).unwrap(), signature.as_bytes());

        let password = Secret::new("pencil");
        let (mut client, sent) =
            Client::start(hash, "user", password, "", nonces[0].to_owned(), Binding::None);
        assert_eq!(sent, first.as_bytes());
        assert_eq!(client.respond(challenge.as_bytes()).unwrap(), last.as_bytes());
        assert_eq!(client.verify(signature.as_bytes()), Ok(()));
        assert_eq!(client.verify(b"e=invalid-proof"), Err("invalid-proof".to_owned()));
        assert_eq!(client.verify(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ8"), Err(String::new()));
    }

    #[test]
    fn example_of_rfc_5802_section_5() {
        example(
            ScramHash::Sha1,
            ["fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j"],
            "QSXCR+Q6sek8bf92",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn example_of_rfc_7677_section_3() {
        example(
            ScramHash::Sha256,
            ["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"],
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
    }

    fn first(message: &str) -> Result<String, Refused> {
        let mut server = server(ScramHash::Sha256, "server");
        server.first(message.as_bytes()).map(|()| server.user().to_owned())
    }

    #[test]
    fn first_message_is_parsed_strictly() {
        assert_eq!(first("n,,n=a=2Cb=3Dc,r=x"), Ok("a,b=c".to_owned()));
        assert_eq!(first("y,,n=ann,r=x"), Ok("ann".to_owned()));
        assert_eq!(first("n,a=ann,n=ann,r=x"), Ok("ann".to_owned()));
        assert_eq!(first("n,a=bob,n=ann,r=x").unwrap_err().failure, Failure::Credentials);
        assert_eq!(first("n,,n=ann,r=x,z=new"), Ok("ann".to_owned()), "unknown extensions are ignored");
        assert_eq!(first("n,,m=must,n=ann,r=x"), Err(EXTENSIONS));
        assert_eq!(first("n,,n=ann,r=x,m=must"), Err(EXTENSIONS));
        for bad in ["n=a=2cb", "n=a=", "n=a=2", "n=", "n=a\u{0}", "n=a=\u{e4}"] {
            assert_eq!(first(&format!("n,,{bad},r=x")), Err(USERNAME_ENCODING), "{bad}");
        }
        assert_eq!(first("p=tls-exporter,,n=ann,r=x"), Err(NOT_SUPPORTED));
        for bad in
            ["", "n", "n,", "n,,", "n,,n=ann", "n,,n=ann,r=", "n,,r=x,n=ann", "x,,n=ann,r=x", "n,b,n=ann,r=x"]
        {
            assert_eq!(first(bad), Err(SYNTAX), "{bad}");
        }
        assert_eq!(first("n,,n=ann,r=x,"), Err(SYNTAX));
        assert_eq!(first("n,,n=ann,r=\u{e4}"), Err(SYNTAX));
        assert_eq!(first(&format!("n,,n=ann,r={}", "x".repeat(NONCE_BYTES_MAX + 1))), Err(SYNTAX));
        assert_eq!(server(ScramHash::Sha1, "s").first(b"n,,n=\xff,r=x"), Err(ENCODING));
    }

    /// As GNU SASL's client begins; the empty id stands in `c=` as it came.
    #[test]
    fn an_empty_authorization_id_is_none() {
        let mut server = server(ScramHash::Sha256, "srv");
        server.first(b"n,a=,n=ann,r=cli").unwrap();
        assert_eq!(server.user(), "ann");
        assert_eq!(server.bound, b"n,a=,");
        assert_eq!(first("n,a=,n=,r=x"), Err(USERNAME_ENCODING));
    }

    /// Client and server over one connection whose ends see these bindings.
    fn run(security: &Security, plus: bool, binding: Binding, sent: &str, kept: &str) -> Result<(), Refused> {
        let mut server = Server::new(ScramHash::Sha256, plus, true, security, "server".to_owned());
        let (mut client, first) =
            Client::start(ScramHash::Sha256, "ann", Secret::new(sent), "", "client".to_owned(), binding);
        server.first(&first)?;
        let challenge = server.challenge(b"salt", 4096, vec![keys(ScramHash::Sha256, kept, b"salt")]);
        let last = server.last(&client.respond(&challenge).unwrap())?;
        client.verify(&last).unwrap();
        Ok(())
    }

    #[test]
    fn channel_bindings() {
        let security = encrypted(Some([7; 32]), &[]);
        assert_eq!(run(&security, true, Binding::Exporter([7; 32]), "pw", "pw"), Ok(()));
        assert_eq!(run(&security, true, Binding::Exporter([8; 32]), "pw", "pw"), Err(BINDING_DIFFERS));
        assert_eq!(run(&security, true, Binding::EndPoint(vec![1]), "pw", "pw"), Err(BINDING_TYPE));
        assert_eq!(run(&security, true, Binding::None, "pw", "pw"), Err(SYNTAX));
        assert_eq!(run(&security, false, Binding::None, "pw", "pw"), Ok(()));
        assert_eq!(run(&security, false, Binding::Unoffered, "pw", "pw"), Err(DOWNGRADED));
        assert_eq!(run(&security, false, Binding::Exporter([7; 32]), "pw", "pw"), Err(NOT_SUPPORTED));
        assert_eq!(run(&security, true, Binding::Exporter([7; 32]), "pw", "other"), Err(PROOF));
    }

    #[test]
    fn end_point_binding() {
        let mut tls = encrypted(None, &[]).tls().unwrap().clone();
        tls.end_point = vec![3; 32];
        let security = Security::established(crate::proof::How::StartTls, tls);
        assert_eq!(run(&security, true, Binding::EndPoint(vec![3; 32]), "pw", "pw"), Ok(()));
        assert_eq!(run(&security, true, Binding::EndPoint(vec![4; 32]), "pw", "pw"), Err(BINDING_DIFFERS));
        assert_eq!(run(&security, true, Binding::Exporter([3; 32]), "pw", "pw"), Err(BINDING_TYPE));
    }

    #[test]
    fn last_message_is_checked() {
        let proof = STANDARD.encode([0; 32]);
        let last = |message: String| {
            let mut server = server(ScramHash::Sha256, "srv");
            server.first(b"n,,n=ann,r=cli").unwrap();
            server.challenge(b"salt", 4096, Vec::new());
            server.last(message.as_bytes())
        };
        assert_eq!(last(format!("c=biws,r=clisrv,p={proof}")), Err(PROOF), "no credential, same answer");
        assert_eq!(last(format!("c=biws,r=cli,p={proof}")), Err(SYNTAX));
        assert_eq!(last(format!("c=biws,r=clisrv2,p={proof}")), Err(SYNTAX));
        assert_eq!(last(format!("c=eSws,r=clisrv,p={proof}")), Err(BINDING_DIFFERS));
        assert_eq!(last(format!("c=biws,r=clisrv,m=x,p={proof}")), Err(EXTENSIONS));
        assert_eq!(last(format!("c=biws,p={proof}")), Err(SYNTAX));
        assert_eq!(last("c=biws,r=clisrv,p=AA==".to_owned()), Err(PROOF));
        assert_eq!(last("c=biws,r=clisrv,p=!".to_owned()), Err(ENCODING));
        assert_eq!(last("c=biws,r=clisrv".to_owned()), Err(SYNTAX));
    }

    #[test]
    fn client_refuses_a_server_that_cheats() {
        let respond = |challenge: &str| {
            let password = Secret::new("pw");
            let (mut client, _) =
                Client::start(ScramHash::Sha1, "ann", password, "", "abc".to_owned(), Binding::None);
            client.respond(challenge.as_bytes())
        };
        assert!(respond("r=abcd,s=c2FsdA==,i=4096").is_some());
        assert!(respond("r=abc,s=c2FsdA==,i=4096").is_none(), "no nonce of its own");
        assert!(respond("r=xbcd,s=c2FsdA==,i=4096").is_none());
        assert!(respond("r=abcd,s=c2FsdA==,i=1").is_none());
        assert!(respond("r=abcd,s=c2FsdA==,i=4000000000").is_none());
        assert!(respond("r=abcd,s=c2FsdA==,i=4096,m=x").is_none());
    }
}
