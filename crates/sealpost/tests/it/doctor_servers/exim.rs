//! Exim, which has GnuTLS where the others have OpenSSL.

use super::house::Plan;
use super::papers::Papers;
use super::{Case, PASSWORD, play};

const MAIN: &str = "
primary_hostname = mail.example.test
daemon_smtp_ports = @submission@ : @submissions@
local_interfaces = @address@
spool_directory = /var/spool/exim4
log_file_path = @dir@/spool/%slog
keep_environment =
tls_certificate = @dir@/chain.pem
tls_privatekey = @dir@/key.pem
acl_smtp_rcpt = deny
";
/// TLS as it should be.
const TLS: &str = "
tls_on_connect_ports = @submissions@
tls_advertise_hosts = *
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
";

fn authenticators() -> String {
    let (user, password) = (super::ADDRESS, PASSWORD);
    format!(
        "
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
"
    )
}

fn plan(papers: Papers, main: &str, authenticators: &str) -> Plan {
    Plan {
        root: "exim",
        doors: &["submissions", "submission"],
        papers,
        files: vec![("exim.conf", format!("{MAIN}{main}{authenticators}"))],
        run: "
mkdir -p /var/spool/exim4 @dir@/spool
chown Debian-exim /var/spool/exim4 @dir@/spool
exim4 -C @dir@/exim.conf -bdf
"
        .to_owned(),
    }
}

#[test]
fn configurations() {
    let all = authenticators();
    let cram = all.find("cram:").expect("the last one");
    let cram = format!("\nbegin authenticators\n{}", &all[cram..]);
    let clear = "tls_on_connect_ports = @submissions@\ntls_advertise_hosts =\nauth_advertise_hosts = *\n";
    let old = format!("{TLS}tls_require_ciphers = NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:%COMPAT\n");
    let upside_down =
        TLS.replace("tls_on_connect_ports = @submissions@", "tls_on_connect_ports = @submission@");
    let mut keyless = plan(Papers::Good, TLS, &all);
    keyless.files[0].1 = keyless.files[0].1.replace("@dir@/key.pem", "/nowhere/key.pem");
    let mut cases = vec![
        Case::new("good", plan(Papers::Good, TLS, &all)),
        Case::new("587 without TLS", plan(Papers::Good, clear, &all)),
        Case::new("465 and 587 exchanged", plan(Papers::Good, &upside_down, &all)),
        Case::new("TLS 1.0 is taken", plan(Papers::Rsa, &old, &all)),
        Case::new("no key", keyless),
        Case::new("no way to sign in", plan(Papers::Good, TLS, "")),
    ];
    for papers in [Papers::Expired, Papers::WrongName, Papers::SelfSigned] {
        cases.push(Case::new(&format!("certificate: {papers:?}"), plan(papers, TLS, &all)));
    }
    cases.extend(Case::sign_ins("all mechanisms", &plan(Papers::Good, TLS, &all)));
    cases.extend(Case::sign_ins("CRAM-MD5", &plan(Papers::Good, TLS, &cram)));
    play("exim", cases);
}
