//! curl: the web of the started program, both versions of HTTP, and each address at which clients look for settings.

use crate::harness::{command, demo, run};

/// curl for a name of the demo's domain: the status, HTTP's version and Location in one line, then the body.
fn ask(name: &str, scheme: &str, path: &str, more: &[&str]) -> String {
    let server = demo();
    let port = server.port(scheme);
    let url = format!("{scheme}://{name}:{port}{path}");
    let there = format!("{name}:{port}:{}:{port}", server.host);
    let told = "%{stderr}%{http_code} %{http_version} %{redirect_url}\n";
    let mut arguments = vec!["-sS", "--cacert", &server.ca, "--connect-to", &there, "-w", told];
    arguments.extend_from_slice(more);
    arguments.push(&url);
    let output = command("curl", &arguments);
    let text = [output.stderr, output.stdout].concat();
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn both_versions_of_http() {
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2"), ("--http2-prior-knowledge", "2")] {
        let said = ask("mail.example.test", "https", "/", &[option]);
        assert!(said.starts_with(&format!("200 {version} \n")), "{said}");
        assert!(said.contains("<h1>"), "{said}");
    }
    let said = ask("mail.example.test", "https", "/guide", &["--http2", "-I"]);
    assert!(said.starts_with("200 2 "), "{said}");
    assert!(said.contains("content-security-policy: default-src 'none'"), "{said}");
}

#[test]
fn every_address_of_discovery() {
    let address = &demo().users[0].address;
    let encoded = address.replace('@', "%40");
    let autoconfig = format!("/mail/config-v1.1.xml?emailaddress={encoded}");
    let json = format!("/autodiscover/autodiscover.json?Email={encoded}&Protocol=AutodiscoverV1");
    let older = format!("/autodiscover/autodiscover.json/v1.0/{address}?Protocol=AutodiscoverV1");
    let pox = format!(
        "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
         <Request><EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
    );
    let sent = ["-H", "Content-Type: text/xml", "--data-raw", &pox];
    for (name, scheme, path, more, has) in [
        ("autoconfig.example.test", "https", autoconfig.as_str(), &[][..], address.as_str()),
        ("autoconfig.example.test", "http", &autoconfig, &[], "%EMAILADDRESS%"),
        ("example.test", "https", "/.well-known/autoconfig/mail/config-v1.1.xml", &[], "%EMAILADDRESS%"),
        ("example.test", "http", "/.well-known/autoconfig/mail/config-v1.1.xml", &[], "<clientConfig"),
        ("autodiscover.example.test", "https", "/AutoDiscover/AutoDiscover.xml", &sent, "<SPA>off</SPA>"),
        ("autodiscover.example.test", "https", &json, &[], "autodiscover/autodiscover.xml"),
        ("autodiscover.example.test", "https", &older, &[], "autodiscover/autodiscover.xml"),
        ("mta-sts.example.test", "https", "/.well-known/mta-sts.txt", &[], "version: STSv1"),
    ] {
        let said = ask(name, scheme, path, more);
        assert!(said.starts_with("200 ") && said.contains(has), "{scheme}://{name}{path}: {said}");
    }
}

#[test]
fn in_clear_everything_else_is_elsewhere() {
    let server = demo();
    let said = ask("mail.example.test", "http", "/guide?lang=de", &[]);
    let to = format!("301 1.1 https://mail.example.test:{}/guide?lang=de\n", server.port("https"));
    assert!(said.starts_with(&to), "{said}");
    // HTTP where HTTPS is spoken, and too old a TLS.
    let url = format!("http://{}:{}/", server.host, server.port("https"));
    assert!(run("curl", &["-sS", &url]).success().contains("https://"));
    let url = format!("https://{}:{}/", server.host, server.port("https"));
    let old =
        ["-sS", "--cacert", &server.ca, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let said = run("curl", &[&old[..], &[url.as_str()]].concat());
    assert!(said.code == 35 && said.text.contains("protocol version"), "{}", said.text);
}
