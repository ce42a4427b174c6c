//! Cyrus IMAP with Cyrus SASL: IMAP and POP3 as universities serve them.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, PASSWORD, play};

const SERVICES: &str = "
START {
  recover cmd=\"/usr/sbin/cyrus ctl_cyrusdb -r\"
}
SERVICES {
  imaps cmd=\"imapd -s -U 30\" listen=\"@address@:@imaps@\" prefork=0
  imap cmd=\"imapd -U 30\" listen=\"@address@:@imap@\" prefork=0
  pop3s cmd=\"pop3d -s -U 30\" listen=\"@address@:@pop3s@\" prefork=0
  pop3 cmd=\"pop3d -U 30\" listen=\"@address@:@pop3@\" prefork=0
}
EVENTS {
}
";
const GOOD: &str = "
configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus
admins: cyrus
virtdomains: userid
unixhierarchysep: yes
autocreate_quota: 0
servername: mail.example.test
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /var/lib/cyrus/sasldb2
tls_server_cert: @dir@/chain.pem
tls_server_key: @dir@/key.pem
";

fn plan(papers: Papers, more: &str) -> Plan {
    Plan {
        root: "cyrus",
        doors: &["imaps", "imap", "pop3s", "pop3"],
        papers,
        files: vec![("cyrus.conf", SERVICES.to_owned()), ("etc/imapd.conf", format!("{GOOD}{more}"))],
        run: format!(
            "
for each in backup db proc log msg quota socket user; do mkdir -p /var/lib/cyrus/$each; done
mkdir -p /var/spool/cyrus /run/cyrus/socket /run/cyrus/proc /run/cyrus/lock
printf %s '{PASSWORD}' | saslpasswd2 -p -c -f /var/lib/cyrus/sasldb2 -u example.test ann
chown -R cyrus:mail /var/lib/cyrus /var/spool/cyrus /run/cyrus
cyrmaster -D -M @dir@/cyrus.conf
"
        ),
    }
}

const MODERN: &str = "allowplaintext: no\ntls_versions: tls1_2 tls1_3\n";

#[test]
fn configurations() {
    let plain = "sasl_mech_list: PLAIN LOGIN\n";
    let old = "allowplaintext: no\ntls_versions: tls1_0 tls1_1 tls1_2\ntls_ciphers: ALL:@SECLEVEL=0\n";
    let mut cases = vec![
        Case::new("good", plan(Papers::Good, &format!("{MODERN}{plain}"))),
        Case::new(
            "a password is taken in clear",
            plan(Papers::Good, &format!("allowplaintext: yes\n{plain}")),
        ),
        Case::new("TLS 1.0 is taken, 1.3 is not", plan(Papers::Rsa, &format!("{old}{plain}"))),
        Case::new("CRAM-MD5 only", plan(Papers::Good, &format!("{MODERN}sasl_mech_list: CRAM-MD5\n"))),
    ];
    // What it shows can be read although our library does not speak with it.
    let ancient = "allowplaintext: no\ntls_versions: tls1_0 tls1_1\ntls_ciphers: DEFAULT:@SECLEVEL=0\n";
    for papers in [Papers::Rsa, Papers::Expired, Papers::WrongName] {
        let plan = plan(papers, &format!("{ancient}{plain}"));
        cases.push(Case::new(&format!("TLS 1.1 at most, certificate: {papers:?}"), plan));
    }
    for papers in [Papers::Expired, Papers::WrongName] {
        cases.push(Case::new(&format!("certificate: {papers:?}"), plan(papers, &format!("{MODERN}{plain}"))));
    }
    play("cyrus", cases);
}

/// Each mechanism that the doctor speaks.
#[test]
fn signing_in() {
    let mut cases = Vec::new();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"] {
        let plan = plan(Papers::Good, &format!("{MODERN}sasl_mech_list: {mechanism}\n"));
        cases.extend(Case::sign_ins(mechanism, &plan));
    }
    play("cyrus-signing-in", cases);
}
