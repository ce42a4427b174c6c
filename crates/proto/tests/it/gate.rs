//! Every word in every phase, security and role: the whole matrix, as golden text.
//!
//! `SEALPOST_REWRITE=1` writes the file anew; read the difference before it is kept.

use proto::smtp::Role;
use proto::smtp::gate::{Phase, Standing, TABLE, admit};
use std::fmt::Write as _;

#[test]
fn the_gate_matrix_is_as_agreed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/smtp-gate.txt");
    let matrix = matrix();
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        std::fs::write(path, &matrix).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    let difference = golden.lines().zip(matrix.lines()).find(|(a, b)| a != b);
    assert_eq!(difference, None, "the gate decides differently");
    assert_eq!(golden.lines().count(), matrix.lines().count());
}

fn matrix() -> String {
    let mut out = String::new();
    for role in [Role::Exchange, Role::Submission, Role::Lmtp] {
        for (security, encrypted, starttls) in
            [("clear", false, false), ("clear+STARTTLS", false, true), ("TLS", true, true)]
        {
            for (login, mechanisms, authenticated) in
                [("no mechanisms", false, false), ("mechanisms", true, false), ("logged in", true, true)]
            {
                let _ = writeln!(out, "{role:?}, {security}, {login}");
                for row in &TABLE {
                    let _ = write!(out, "  {:<8}", row.name);
                    for phase in Phase::ALL {
                        let verdict = |extended, binary| {
                            let standing = Standing {
                                role,
                                phase,
                                extended,
                                encrypted,
                                starttls,
                                mechanisms,
                                authenticated,
                                binary,
                            };
                            match admit(row, &standing) {
                                Ok(()) => "yes".to_owned(),
                                Err(denial) => {
                                    format!("{} {denial:?}", denial.reply(role, "").code)
                                }
                            }
                        };
                        let plain = verdict(true, false);
                        let _ = write!(out, " | {phase:?}: {plain}");
                        // What differs after HELO, and with BINARYMIME.
                        let (old, binary) = (verdict(false, false), verdict(true, true));
                        if old != plain && phase != Phase::Start {
                            let _ = write!(out, " (HELO: {old})");
                        }
                        if binary != plain {
                            let _ = write!(out, " (BINARYMIME: {binary})");
                        }
                    }
                    out.push('\n');
                }
            }
        }
    }
    out
}
