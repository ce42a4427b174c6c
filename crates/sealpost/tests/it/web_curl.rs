//! curl: the web of the started program, both versions of HTTP, and each address at which clients look for settings.

use crate::harness::{Own, Server, command, demo, demo_of, run};

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

/// The status, and for 200 whether it is the doctor's page; `who` as curl's `-u` wants it.
fn doctor(server: &Server, who: &str, more: &[&str]) -> String {
    let url = format!("https://{}:{}/doctor?lang=en", server.host, server.port("https"));
    let mut arguments = vec!["-sS", "--cacert", &server.ca, "-w", "\n%{http_code} %header{www-authenticate}"];
    if !who.is_empty() {
        arguments.extend(["-u", who]);
    }
    arguments.extend_from_slice(more);
    arguments.push(&url);
    let text = run("curl", &arguments).success();
    let (page, status) = text.rsplit_once('\n').expect("curl writes a line behind the page");
    assert_eq!(
        page.contains("<form method=\"get\" action=\"/doctor\">"),
        status.starts_with("200"),
        "{text}"
    );
    status.trim_end().to_owned()
}

#[test]
fn the_doctors_page_is_for_people_who_sign_in() {
    let server = demo();
    let user = server.user();
    let right = format!("{}:{}", user.address, user.password);
    let asked = "401 Basic realm=\"localhost\", charset=\"UTF-8\"";
    // With --anyauth curl asks without the password first, as browsers do.
    for more in [&["--http1.1"][..], &["--http2"], &["--anyauth"]] {
        assert_eq!(doctor(server, &right, more), "200", "{more:?}");
    }
    for who in [
        "",
        &format!("{}:wrong", user.address),
        "nobody@example.test:wrong",
        "nobody@elsewhere.test:x",
        "x:x",
    ] {
        assert_eq!(doctor(server, who, &[]), asked, "{who}");
    }
    let elsewhere = ["-d", "address=me@127.0.0.1", "-H", "Origin: https://evil.test"];
    let url = format!("https://{}:{}/doctor?lang=en", server.host, server.port("https"));
    let base = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &server.ca, "-u", &right, &url];
    assert_eq!(run("curl", &[&base[..], &elsewhere].concat()).success(), "403");
    let fetched = ["-d", "address=me@127.0.0.1", "-H", "Sec-Fetch-Site: cross-site"];
    assert_eq!(run("curl", &[&base[..], &fetched].concat()).success(), "403");
    // In clear it is elsewhere, and nobody is asked for a password there.
    let clear = format!("http://{}:{}/doctor", server.host, server.port("http"));
    let head = run("curl", &["-sS", "-i", "-u", &right, &clear]).success();
    assert!(head.starts_with("HTTP/1.1 301") && !head.to_lowercase().contains("www-authenticate"), "{head}");
    assert!(!server.log().contains(&user.password), "a password is in the log");
}

#[test]
fn accounts_and_rules_hold_on_the_doctors_page_too() {
    let mut own = Own::prepare_on_web();
    own.start();
    let server = own.server();
    let right = format!("a@example.test:{}", server.users[0].password);
    let policy = |options: &[&str]| {
        own.sealpost(&[&["domain", "policy", "example.test"][..], options].concat(), b"").success()
    };
    let status = || doctor(&server, &right, &[])[..3].to_owned();
    assert_eq!(status(), "200");
    own.sealpost(&["account", "disable", "a@example.test"], b"").success();
    assert_eq!(status(), "401");
    own.sealpost(&["account", "disable", "a@example.test", "--undo"], b"").success();
    policy(&["--ports", &server.port("imaps").to_string()]);
    assert_eq!(status(), "403");
    policy(&["--ports", &server.port("https").to_string()]);
    assert_eq!(status(), "200");
    policy(&["--ports", "all", "--mechanisms", "SCRAM-SHA-256"]);
    assert_eq!(status(), "403");
    policy(&["--mechanisms", "all", "--tls-min", "1.3"]);
    assert_eq!(doctor(&server, &right, &["--tls-max", "1.2"]), "403");
    assert_eq!(status(), "200");
    assert!(own.stop());
    assert!(!own.log().contains("secret of a"), "a password is in the log");
}

#[test]
fn where_no_password_may_be_sent_there_is_no_doctors_page() {
    let server = demo_of("challenge-only");
    let user = &server.users[0];
    assert_eq!(doctor(&server, &format!("{}:{}", user.address, user.password), &[]), "404");
}
