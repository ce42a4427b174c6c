//! What an idle connection costs.

use crate::talk::{Keys, Plan, ask, client, connect_tls, line};
use proto::service::Protection;
use std::sync::Arc;

const CONNECTIONS: usize = 1000;
/// Both ends live in this process; the client's half (tokio-rustls) is in the figure too.
const BYTES_EACH_MAX: usize = 48 * 1024;

/// Prints the figure, and fails only when it is far from what it should be.
#[tokio::test]
async fn a_thousand_idle_connections() {
    let _alone = crate::SCALES.lock().await;
    let files = net::listen::raise_file_limit().unwrap();
    assert!(files >= 2 * CONNECTIONS as u64 + 500, "the hard limit of open files is only {files}");
    let keys = Keys::ecdsa();
    let service = keys.run(Plan { idle_millis: 600_000, ..Plan::new(Protection::Implicit) });
    let config = Arc::new(client(&keys.authority_file()));
    let open = |count: usize| {
        let config = config.clone();
        async move {
            let mut all = Vec::with_capacity(count);
            for _ in 0..count {
                let mut tls = connect_tls(service.address, config.clone()).await;
                line(&mut tls).await;
                assert_eq!(ask(&mut tls, "ECHO x").await, "x");
                all.push(tls);
            }
            all
        }
    };
    let _warm = open(20).await;
    let before = resident_bytes();
    let _all = open(CONNECTIONS).await;
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    eprintln!("one idle TLS connection, both ends: {each} bytes");
    assert!(each < BYTES_EACH_MAX, "{each} bytes for one idle connection");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
