//! Law of the operator's frames: whatever comes, reading ends without a panic, and
//! what was read is written as it was.

#![no_main]
// The target uses one part of the module.
#![allow(dead_code)]

#[path = "../../../crates/server/src/control/frame.rs"]
mod frame;

use frame::Frame;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

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
                let Ok(value) = serde_json::from_slice::<serde_json::Value>(content) else { return };
                frame::write_json(&mut again, &value).await.expect("memory can be written");
                let mut written =
                    &again[again.len() - 5 - serde_json::to_vec(&value).map_or(0, |v| v.len())..];
                let read: Option<serde_json::Value> =
                    frame::read_json(&mut written).await.expect("it was written just now");
                assert_eq!(read, Some(value));
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
