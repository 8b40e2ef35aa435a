#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chat_tui_fuzz::legacy(data));
