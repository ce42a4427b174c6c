//! Dovecot: IMAP and POP3 as most providers of the world serve them.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, PASSWORD, play};

/// As an administrator of today configures it.
const GOOD: &str = "
protocols = imap pop3
log_path = /dev/stderr
listen = @address@
ssl = required
ssl_cert = <@dir@/chain.pem
ssl_key = <@dir@/key.pem
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:/run/mail
mail_uid = keeper
mail_gid = keeper
passdb {
  driver = passwd-file
  args = scheme=plain username_format=%u @dir@/users
}
userdb {
  driver = static
  args = home=/run/mail
}
service imap-login {
  inet_listener imap {
    port = @imap@
  }
  inet_listener imaps {
    port = @imaps@
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @pop3@
  }
  inet_listener pop3s {
    port = @pop3s@
    ssl = yes
  }
}
";
const RUN: &str = "
mkdir -p /run/mail /var/lib/dovecot
chown keeper:keeper /run/mail
dovecot -F -c @dir@/dovecot.conf
";

/// A configuration: the good one and what is said after it.
fn plan(papers: Papers, more: &str) -> Plan {
    Plan {
        root: "dovecot",
        doors: &["imaps", "imap", "pop3s", "pop3"],
        papers,
        files: vec![
            ("dovecot.conf", format!("{GOOD}{more}")),
            ("users", format!("ann@example.test:{{PLAIN}}{PASSWORD}\n")),
        ],
        run: RUN.to_owned(),
    }
}

/// OpenSSL as it was when TLS 1.0 was young.
const OLD: &str = "
ssl_min_protocol = TLSv1
ssl_cipher_list = ALL:@SECLEVEL=0
";

/// A listener that is told to be otherwise.
fn listener(service: &str, name: &str, setting: &str) -> String {
    format!("service {service}-login {{\n inet_listener {name} {{\n {setting}\n }}\n}}\n")
}

#[test]
fn configurations() {
    let good = |more: &str| plan(Papers::Good, more);
    let mut clear = good("ssl = no\ndisable_plaintext_auth = no\n");
    clear.doors = &["imap", "pop3"];
    clear.files[0].1 = clear.files[0].1.replace("@imaps@", "0").replace("@pop3s@", "0");
    let mut cases = vec![
        Case::new("good", good("")),
        Case::new("a password is taken in clear", good("ssl = yes\ndisable_plaintext_auth = no\n")),
        Case::new("no TLS at all", clear),
        Case::new("TLS 1.0 is taken", plan(Papers::Rsa, OLD)),
        Case::new("TLS on 143", good(&listener("imap", "imap", "ssl = yes"))),
        Case::new("clear on 995", good(&listener("pop3", "pop3s", "ssl = no"))),
        Case::new("CRAM-MD5 only", good("auth_mechanisms = cram-md5\n")),
        Case::new(
            "OAuth 2 only",
            good("auth_mechanisms = xoauth2 oauthbearer\ndisable_plaintext_auth = yes\n"),
        ),
        Case::new("client certificates only", good("auth_mechanisms = external\n")),
    ];
    for papers in [Papers::Expired, Papers::WrongName, Papers::SelfSigned, Papers::Stranger] {
        cases.push(Case::new(&format!("certificate: {papers:?}"), plan(papers, "")));
    }
    play("dovecot", cases);
}

/// Each mechanism that the doctor speaks, with the right and a wrong password, over IMAP and over POP3.
#[test]
fn signing_in() {
    let mut cases = Vec::new();
    for mechanism in ["scram-sha-256", "scram-sha-1", "plain", "login", "cram-md5"] {
        for (door, other) in [("imaps", "pop3s"), ("pop3s", "imaps")] {
            let mut plan = plan(Papers::Good, &format!("auth_mechanisms = {mechanism}\n"));
            plan.doors = if door == "imaps" { &["imaps"] } else { &["pop3s"] };
            for unused in [other, "imap", "pop3"] {
                plan.files[0].1 = plan.files[0].1.replace(&format!("@{unused}@"), "0");
            }
            cases.extend(Case::sign_ins(&format!("{mechanism} on {door}"), &plan));
        }
    }
    // The local part alone, and the two seconds that Dovecot waits before it refuses.
    let mut local = plan(Papers::Good, "auth_failure_delay = 2s\n");
    local.files[1].1 = format!("ann:{{PLAIN}}{PASSWORD}\n");
    cases.extend(Case::sign_ins("the local part as user name", &local));
    play("dovecot-signing-in", cases);
}
