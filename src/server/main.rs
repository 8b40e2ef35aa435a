//! `chat-server`: hosts a chat.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_tui::server::main_with(std::env::args_os())
}
