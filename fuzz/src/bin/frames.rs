//! Law of the operator's frames: whatever comes, reading ends without a panic, and
//! what was read is written as it was.

#![no_main]
// The target uses one part of the module.
#![allow(dead_code)]

#[path = "../../../crates/server/src/control/frame.rs"]
mod frame;

use frame::Frame;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::cell::RefCell;
use std::io;

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without sockets")
    );
}

async fn law(input: &[u8]) {
    let mut rest = input;
    let mut again = Vec::new();
    let mut whole = 0;
    while let Ok(Some(frame)) = frame::read(&mut rest).await {
        match &frame {
            Frame::Json(content) => {
                let Ok(value) = serde_json::from_slice::<Value>(content) else { return };
                frame::write_json(&mut again, &value).await.expect("memory can be written");
                // The value itself may differ: a number that no u64 holds is rounded.
                let mut written = &again[whole..];
                let read: io::Result<Option<Value>> = frame::read_json(&mut written).await;
                assert!(matches!(read, Ok(Some(_))) && written.is_empty(), "{value}");
                again.truncate(whole);
                again.extend_from_slice(&input[whole..input.len() - rest.len()]);
            }
            Frame::Piece(content) => {
                frame::write_piece(&mut again, content).await.expect("memory can be written")
            }
            // The content of an end, if there is any, means nothing.
            Frame::End if input[whole + 1..whole + 5] == [0; 4] => {
                frame::write_end(&mut again).await.expect("memory can be written");
            }
            Frame::End => again.extend_from_slice(&input[whole..input.len() - rest.len()]),
        }
        whole = input.len() - rest.len();
        assert_eq!(again, input[..whole]);
    }
}

fuzz_target!(|input: &[u8]| RUNTIME.with(|runtime| runtime.borrow().block_on(law(input))));
