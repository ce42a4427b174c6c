//! OpenSSL's client, which knows what rustls does not: old versions, old suites, odd names.

use crate::talk::{Keys, Plan, Running};
use net::drive::End;
use net::tls::Failure;
use proto::service::{Protection, Protocol};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs `openssl s_client` with `input`; returns all that it printed.
async fn s_client(service: &Running, ca: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-CAfile"])
        .arg(ca)
        .args(["-connect", &service.address.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().unwrap();
    // It may have given up before it reads.
    let _ = stdin.write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output());
    let output = output.await.expect("openssl ends").unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn current_versions_and_odd_names_are_served() {
    let keys = Keys::both();
    let service = keys.run(Plan::new(Protection::Implicit));
    let ca = keys.authority_file();
    for (arguments, expected) in [
        (&["-tls1_3", "-servername", "mail.example.test"][..], "implicit TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (&["-tls1_2"][..], "implicit TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"][..],
            "implicit TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (&["-servername", "mail.example.test."][..], "implicit TLSv1.3"),
        (&["-servername", "127.0.0.1"][..], "implicit TLSv1.3"),
        (&["-servername", "under_score.test"][..], "implicit TLSv1.3"),
        (&["-noservername", "-alpn", "imap,h2"][..], "implicit TLSv1.3"),
        (&["-groups", "P-384"][..], "group=secp384r1"),
    ] {
        let said = s_client(&service, &ca, arguments, "SECURITY\r\nQUIT\r\n").await;
        assert!(said.contains(expected) && said.contains("221 bye"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn too_old_clients_get_the_alert_that_they_understand() {
    let keys = Keys::both();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let ca = keys.authority_file();
    for (version, name) in [("-tls1_1", "TLSv1.1"), ("-tls1", "TLSv1.0")] {
        let said = s_client(&service, &ca, &[version, "-cipher", "DEFAULT@SECLEVEL=0"], "").await;
        assert!(said.contains("alert protocol version"), "{said}");
        assert_eq!(service.failed().await, Failure::TooOld(name));
    }
}

#[tokio::test]
async fn cbc_only_clients_are_told_and_named() {
    let keys = Keys::both();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let ca = keys.authority_file();
    for suites in ["ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA", "AES256-GCM-SHA384"] {
        let said = s_client(&service, &ca, &["-tls1_2", "-cipher", suites], "").await;
        assert!(said.contains("alert handshake failure"), "{said}");
        assert_eq!(service.failed().await, Failure::CbcOnly);
    }
}

#[tokio::test]
async fn starttls_with_a_foreign_client() {
    let keys = Keys::both();
    let mut service = keys.run(Plan { protocol: Protocol::Smtp, ..Plan::new(Protection::StartTls) });
    let ca = keys.authority_file();
    let said = s_client(
        &service,
        &ca,
        &["-starttls", "smtp", "-alpn", "smtp", "-verify_return_error"],
        "SECURITY\r\nQUIT\r\n",
    )
    .await;
    assert!(said.contains("starttls TLSv1.3") && said.contains("221 bye"), "{said}");
    assert!(said.contains("ALPN protocol: smtp"), "{said}");
    assert!(matches!(service.ended().await, End::Finished));
    let old = ["-starttls", "smtp", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let said = s_client(&service, &ca, &old, "").await;
    assert!(said.contains("alert protocol version"), "{said}");
    assert!(matches!(service.ended().await, End::TlsFailed(Failure::TooOld("TLSv1.1"))));
}

/// The exporter by OpenSSL's own arithmetic (under TLS 1.3, where an absent context and an empty one are the same).
#[tokio::test]
async fn a_foreign_client_derives_the_same_channel_binding() {
    let keys = Keys::both();
    let service = keys.run(Plan::new(Protection::Implicit));
    let exporting = ["-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"];
    let said = s_client(&service, &keys.authority_file(), &exporting, "SECURITY\r\nQUIT\r\n").await;
    let theirs =
        said.lines().find_map(|line| line.trim().strip_prefix("Keying material: ")).expect("printed");
    assert!(said.contains(&format!("exporter={}", theirs.to_lowercase())), "{said}");
}

/// A client that does not trust us hangs up with the alert for it.
#[tokio::test]
async fn a_foreign_client_that_distrusts_us() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let other = Keys::ecdsa();
    for version in ["-tls1_3", "-tls1_2"] {
        let arguments = [version, "-verify_return_error"];
        let said = s_client(&service, &other.authority_file(), &arguments, "").await;
        assert!(said.contains("verify error"), "{said}");
        assert_eq!(service.failed().await, Failure::Alert("unknown_ca".to_owned()), "{version}");
    }
}
