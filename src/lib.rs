//! chat-tui: private group chat that lives in the terminal.
//!
//! # The map, in reading order
//!
//! | module | what it owns | what it must not know |
//! |---|---|---|
//! | [`text`] | which characters a text may hold; its width; where it wraps | its sender |
//! | [`search`] | what a query means, and which texts match it | where texts are stored |
//! | [`time`] | one moment on both clocks | clocks |
//! | [`protocol`] | ids, names, frames, limits, the codec | sockets, the state of rooms |
//! | [`pipe`] | a connection within one process | the bytes' meaning |
//! | [`stderr`] | how the programs write to the terminal that started them | the sentences' meaning |
//! | [`server`] | `core` (pure: hub, accounts, moderation, cursors), `front` (pure: dialects), `log`, `store`, `net` | the client |
//! | [`client`] | `session` (pure: join, resume, outbox), `store` (SQLite), `transport` (connection, clock) | terminals, the server |
//! | [`tui`] | `app` (pure: panes, layers, update), `view`, `shell`, the line mode | SQL, sockets |
//!
//! `docs/ARCHITECTURE.md` has the picture, the flows, the words, and recipes.
//!
//! # The layers
//!
//! From the ground up: a module imports only those of its own row and of the rows above it.
//! `tests/layers.rs` reads the imports and this table, and allows no circle of more than three files.
//!
//! | modules | what the layer is |
//! |---|---|
//! | `text`, `time` | texts from people, moments |
//! | `protocol::limits`, `protocol::nickname` | limits, nicknames |
//! | `search` | queries and tokens |
//! | `protocol` | ids, frames, limits, the codec, the older programs' format |
//! | `stderr`, `pipe`, `server::network`, `server::supervisor`, `server::event_log`, `server::priority` | addresses, threads, reports |
//! | `server::log` | what a log is: batches and outcomes, segments, the store's traits, the store in memory |
//! | `server::store` | SQLite, and the index of its texts |
//! | `server::files`, `server::keys`, `server::secrets` | what the operator keeps beside the log |
//! | `server::core` | pure: the hub, accounts, moderation, subscribers, connections |
//! | `server::front` | dialects, and the first bytes by which each is known |
//! | `server::config` | settings |
//! | `server::net` | sockets, TLS, handshakes, workers |
//! | `server` | the command line, commands, the program |
//! | `client::host`, `client::event` | what a front end and the client tell each other |
//! | `client::session` | pure: join, resume, outbox |
//! | `client` | what is kept, trust, identity, the transport |
//! | `tui` | pure: model and update; and around it view, the terminal, the line mode, the program |
//!
//! # Invariants
//!
//! 1. `protocol`, `text`, `search`, `server::core`, `server::front`, `client::session` and `tui::app` do no I/O and read
//!    no clock or randomness: inputs, `now` and ids come in; effects come out as data. Clippy
//!    keeps this promise (`.clippy.toml`).
//! 2. `server` and `client`/`tui` meet only in `protocol`, `search`, `text`, `stderr` and `pipe`: each builds
//!    without the other.
//! 3. `tui::view` is a function of the model and an area; only `tui::shell` names crossterm.
//! 4. One task owns the hub; there are no locks around chat state. A message is acknowledged,
//!    and shown to others, after its commit, never before.
//! 5. Every queue, frame, name and page has a limit in [`protocol::limits`] or the module that
//!    owns it, a defined behaviour when full, and tests at the limit and one past it. A slow
//!    reader costs only itself.
//! 6. Bytes from a peer may produce an error, never a panic. Our own broken invariants may assert.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "net")]
pub mod pipe;
pub mod protocol;
pub mod search;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "net")]
pub mod stderr;
pub mod text;
pub mod time;
#[cfg(feature = "tui")]
pub mod tui;
