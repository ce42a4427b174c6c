//! Postfix with Cyrus SASL: sending mail as most providers of the world take it.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, PASSWORD, play};

/// What is the same in all configurations.
const MAIN: &str = "
compatibility_level = 3.6
myhostname = mail.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = /dev/stdout
smtpd_tls_chain_files = @dir@/key.pem @dir@/chain.pem
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = example.test
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
";
const MASTER: &str = "
@address@:@submissions@ inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
@address@:@submission@ inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
@address@:@smtp@ inet n - n - - smtpd -o smtpd_sasl_auth_enable=no
";
const MASTER_REST: &str = "
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
pickup unix n - n 60 1 pickup
";
const SASL: &str = "
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: @dir@/sasldb2
mech_list: ";

/// A configuration: what is said after the common part, the services, the mechanisms.
fn plan(papers: Papers, main: &str, services: &str, mechanisms: &str) -> Plan {
    let run = format!(
        "
mkdir -p /var/lib/postfix /var/spool/postfix
chown postfix /var/lib/postfix
printf %s '{PASSWORD}' | saslpasswd2 -p -c -f @dir@/sasldb2 -u example.test ann
chmod 644 @dir@/sasldb2
postfix start-fg
"
    );
    Plan {
        root: "postfix",
        doors: &["submissions", "submission", "smtp"],
        papers,
        files: vec![
            ("etc/postfix/main.cf", format!("{MAIN}{main}")),
            ("etc/postfix/master.cf", format!("{services}{MASTER_REST}")),
            ("etc/postfix/sasl/smtpd.conf", format!("{SASL}{mechanisms}\n")),
        ],
        run,
    }
}

#[test]
fn configurations() {
    let with = |main: &str, services: &str| plan(Papers::Good, main, services, "PLAIN LOGIN");
    let unwrapped = MASTER.replace("smtpd_tls_wrappermode=yes", "syslog_name=x");
    let wrapped = MASTER.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_wrappermode=yes");
    let clear = MASTER.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=none");
    let old = "smtpd_tls_protocols = >=TLSv1\nsmtpd_tls_mandatory_protocols = >=TLSv1\n\
               tls_medium_cipherlist = ALL:@SECLEVEL=0\nsmtpd_tls_mandatory_ciphers = medium\n";
    let mut cases = vec![
        Case::new("good", with("", MASTER)),
        Case::new(
            "a password is taken in clear",
            with("smtpd_tls_auth_only = no\n", &MASTER.replace("=encrypt", "=may")),
        ),
        Case::new("587 without TLS", with("smtpd_tls_auth_only = no\n", &clear)),
        Case::new("465 begins in clear", with("", &unwrapped)),
        Case::new("587 begins with TLS", with("", &wrapped)),
        Case::new("nobody may sign in", with("smtpd_sasl_auth_enable = no\n", MASTER)),
        Case::new(
            "nobody may sign in where servers deliver",
            with("", &MASTER.replace("smtpd_sasl_auth_enable=no", "syslog_name=x")),
        ),
        Case::new("CRAM-MD5 only", plan(Papers::Good, "", MASTER, "CRAM-MD5")),
        Case::new("TLS 1.0 is taken", plan(Papers::Rsa, old, MASTER, "PLAIN")),
    ];
    let ancient = "smtpd_tls_protocols = >=TLSv1, <=TLSv1.1\nsmtpd_tls_mandatory_protocols = >=TLSv1, <=TLSv1.1\n\
                   tls_medium_cipherlist = DEFAULT:@SECLEVEL=0\nsmtpd_tls_mandatory_ciphers = medium\n";
    cases.push(Case::new("TLS 1.1 at most, expired", plan(Papers::Expired, ancient, MASTER, "PLAIN")));
    for papers in [Papers::Expired, Papers::WrongName, Papers::SelfSigned, Papers::Stranger] {
        cases.push(Case::new(&format!("certificate: {papers:?}"), plan(papers, "", MASTER, "PLAIN")));
    }
    play("postfix", cases);
}

/// Each mechanism that the doctor speaks, as Cyrus SASL has it.
#[test]
fn signing_in() {
    let mut cases = Vec::new();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"] {
        cases.extend(Case::sign_ins(mechanism, &plan(Papers::Good, "", MASTER, mechanism)));
    }
    play("postfix-signing-in", cases);
}
