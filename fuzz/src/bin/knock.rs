//! Laws of the tolerant reader: whatever a server says, in whichever language, is bounded and told as it came.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| proto::knock::law(input));
