//! The pages in Chromium: axe finds nothing to complain about, on each kind of page in each language, in
//! light and dark and on a narrow screen; nothing is blocked by our own policy, and no page needs a script.

use crate::harness::{Server, User, demo, run_with, said};

/// Visits what it is told on standard input, one URL a line, and prints a line for each violation.
const VISITOR: &str = r#"
const { createRequire } = require('module');
const fs = require('fs');
const load = createRequire(process.argv[2] + '/x.js');
const { chromium } = load('playwright-core');
const axe = fs.readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');
(async () => {
  const urls = fs.readFileSync(0, 'utf8').trim().split('\n');
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  let pages = 0, links = 0;
  // A page that is wrong, so that silence means something.
  const wrong = await browser.newPage();
  await wrong.setContent('<p style="color:#ddd;background:#fff">pale<img src="x">');
  await wrong.evaluate(axe);
  const seen = await wrong.evaluate(() => axe.run(document));
  console.log('AWAKE ' + seen.violations.map(v => v.id).sort().join(' '));
  for (const [name, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark', viewport: { width: 360, height: 640 } }],
  ]) {
    const httpCredentials = { username: process.argv[3], password: process.argv[4] };
    const context = await browser.newContext({ ignoreHTTPSErrors: true, httpCredentials, ...options });
    const page = await context.newPage();
    let blocked = [];
    page.on('console', m => { if (m.type() === 'error' && !/404|400|401/.test(m.text())) blocked.push(m.text()); });
    for (const url of urls) {
      const answer = await page.goto(url);
      pages++;
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      for (const v of found.violations)
        console.log(`VIOLATION ${name} ${url} ${v.id}: ${v.help}: ${v.nodes.map(n => n.html).slice(0, 3).join(' | ')}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) console.log(`WIDE ${name} ${url} by ${wide}`);
      for (const text of blocked) console.log(`BLOCKED ${url} ${text}`);
      blocked = [];
      if (name === 'light' && url.includes('lang=en')) {
        // Every link of the page leads somewhere.
        const targets = await page.$$eval('a[href]', all => all.map(a => a.href.split('#')[0]));
        for (const target of new Set(targets)) {
          // Elsewhere, or this page in another language.
          if (new URL(target).origin !== new URL(url).origin || new URL(target).pathname === new URL(url).pathname) continue;
          const there = await context.request.get(target);
          links++;
          if (there.status() !== 200) console.log(`DEAD ${url} -> ${target} ${there.status()}`);
        }
      }
    }
    await context.close();
  }
  // The way to a profile without a script: a form, a link, a download.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(urls[0].replace(/\/(\?.*)?$/, '/guide/apple?lang=en'));
  await page.getByLabel('Your mail address').fill(process.argv[3]);
  await page.getByRole('button').click();
  await page.getByRole('img').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download the profile' }).click()]);
  console.log(`DOWNLOAD ${download.suggestedFilename()}`);
  console.log(`LINK ${page.url()}`);
  await browser.close();
  console.log(`DONE ${pages} pages ${links} links`);
})().catch(error => { console.log('FAILED ' + error.stack); process.exit(1); });
"#;

#[test]
fn axe_finds_nothing() {
    let server = demo();
    // One browser a language: on a busy machine all pages at once would take as long as anything may.
    for lang in ["en", "de", "el", "es", "fr"] {
        visit(server, lang);
    }
}

fn visit(server: &Server, lang: &str) {
    let start = format!("https://{}:{}", server.host, server.port("https"));
    let User { address: user, password } = &server.users[0];
    let mut urls: Vec<String> = [
        "/",
        "/guide",
        "/guide/ports",
        "/guide/systems",
        "/guide/failures",
        "/guide/apple",
        "/guide/thunderbird",
        "/guide/outlook/switch",
        "/guide/apple-mail-ios/pop3",
        "/doctor",
        "/nothing",
        "/apple/00000000000000000000000000000000",
    ]
    .iter()
    .map(|page| format!("{start}{page}?lang={lang}"))
    .collect();
    urls.push(format!("{start}/guide/thunderbird/switch?lang={lang}&address={user}"));
    urls.push(format!("{start}/guide?lang={lang}&address=none"));
    let dir = tempfile::tempdir().expect("tempdir");
    let script = dir.path().join("visit.js").display().to_string();
    std::fs::write(&script, VISITOR).expect("script");
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients/node_modules");
    let home = dir.path().display().to_string();
    let input = urls.join("\n");
    let output = run_with("node", &[&script, modules, user, password], input.as_bytes(), &[("HOME", &home)]);
    let text = said(&output).success();
    for line in text.lines() {
        let bad =
            ["VIOLATION", "WIDE", "BLOCKED", "DEAD", "FAILED"].iter().any(|word| line.starts_with(word));
        assert!(!bad, "{text}");
    }
    let awake = text.lines().find(|line| line.starts_with("AWAKE")).unwrap_or_default();
    assert!(awake.contains("image-alt") && awake.contains("color-contrast"), "{text}");
    assert!(text.contains("DOWNLOAD mail.mobileconfig"), "{text}");
    assert!(text.contains(&format!("DONE {} pages", urls.len() * 2)), "{text}");
}
