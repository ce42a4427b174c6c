//! Every transcript of SMTP and LMTP against the bare machine, whole and cut.

use testkit::script;
use testkit::smtp::{Setup, Talk};

#[test]
fn transcripts_hold_whole_and_in_every_cut() {
    script::hold_all("smtp", 50, |script| Ok(Talk::new(Setup::of(script)?)));
}
