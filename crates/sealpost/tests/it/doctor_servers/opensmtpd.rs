//! OpenSMTPD. That of Debian 12 (6.8.0p2, with OpenSSL 3) cannot shake hands, whatever is configured: the process that faces
//! the net has no key and asks another one for each signature; it says so in a mark on the key, which OpenSSL 3 keeps on a copy
//! only ("missing private key" for ECDSA and RSA, TLS 1.2 and 1.3 alike). OpenSMTPD's issues 1171 and 1239 tell of it, its pull
//! request 1208 mended it for 7.3. Thus it shows what the doctor says of a server that offers TLS and fails; where a later
//! OpenSMTPD is unpacked, the expected answers have to be written anew, and will be good ones.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, play};

fn plan(papers: Papers, listen: &str) -> Plan {
    Plan {
        root: "opensmtpd",
        doors: &["submissions", "submission"],
        papers,
        files: vec![
            (
                "smtpd.conf",
                format!(
                    "pki mail.example.test cert \"@dir@/chain.pem\"\npki mail.example.test key \"@dir@/key.pem\"\n\
                     table users file:@dir@/users\n{listen}\naction out relay\nmatch auth from any for any action out\n"
                ),
            ),
            // It greets when it knows the client's name, and would ask the network for it first.
            ("etc/resolv.conf", "lookup file\n".to_owned()),
        ],
        run: format!(
            "
mkdir -p -m 711 /var/spool/smtpd /var/lib/opensmtpd/empty
chmod 600 @dir@/key.pem
echo \"ann@example.test $(openssl passwd -6 '{}')\" > @dir@/users
smtpd -d -f @dir@/smtpd.conf
",
            super::PASSWORD
        ),
    }
}

#[test]
fn configurations() {
    let one = |door: &str, how: &str| {
        format!("listen on @address@ port @{door}@ {how} hostname mail.example.test\n")
    };
    let tls = "pki mail.example.test auth <users>";
    let good =
        [one("submissions", &format!("smtps {tls}")), one("submission", &format!("tls-require {tls}"))];
    let clear = [one("submissions", ""), one("submission", "")];
    play(
        "opensmtpd",
        vec![
            Case::new("as it should be configured", plan(Papers::Good, &good.concat())),
            Case::new("the same with an RSA key", plan(Papers::Rsa, &good.concat())),
            Case::new("without TLS", plan(Papers::Good, &clear.concat())),
        ],
    );
}
