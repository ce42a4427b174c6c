//! OpenSMTPD. That of Debian 12 cannot shake hands: the process that faces the net has no key, asks another one for each
//! signature, and does not find it with OpenSSL 3. Thus it shows what the doctor says of a server that offers TLS and fails.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, play};

fn plan(listen: &str) -> Plan {
    Plan {
        root: "opensmtpd",
        doors: &["submissions", "submission"],
        papers: Papers::Good,
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
            Case::new("as it should be configured", plan(&good.concat())),
            Case::new("without TLS", plan(&clear.concat())),
        ],
    );
}
