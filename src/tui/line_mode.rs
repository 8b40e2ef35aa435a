//! Line mode: the client without a screen. Each line of the input is sent, each message that
//! arrives becomes a line of the output. For pipes, scripts and screen readers; no escape sequence
//! is written.
//!
//! - Lines of the input go to one room: the first `--room`, or the lobby; the command `/go` changes
//!   it. Messages of all rooms that the user is in are printed; those of other rooms say which:
//!   `#build alice: text`, `@bob: text` in a conversation with bob.
//! - Output to a terminal: `09:42 alice: text`, and a line `-- 2026-11-22 --` where the day
//!   changes; otherwise: `2026-11-22T09:42:07+01:00 alice: text`. Further lines of a message are
//!   indented by six spaces. `?alice` had no key when they sent it. Messages of this process are
//!   not repeated; older messages are printed only as `--history` asks for, with their present text.
//! - An edit is a line of its own: `09:45 alice (edited): new text`; so is a deletion:
//!   `-- a message of alice (09:42) was deleted --`. An older message that was deleted is
//!   `-- message deleted --`, and an entry of an unknown kind `--`, its description, `--`.
//! - With `--json`, input and output are objects of the protocol: `docs/BOTS.md`.
//! - Status goes to standard error. A script gets only errors and warnings.
//! - Input from a terminal may contain commands (`/help`) and `q!`. Other input is literal text,
//!   unless `--commands` is given. Empty lines are skipped; a line longer than a message is
//!   refused, and counts as not delivered. In a script, a command waits until the lines before it
//!   are done and it can be carried out, and the lines after it wait for its result. If a script
//!   can't go to a room, or has left it, the lines for it are not sent to another one.
//! - At the end of the input it waits until the server has acknowledged everything, and leaves; or,
//!   with `--follow`, stays and prints. If the output is closed, it ends quietly; if the output
//!   can't be written, it ends with an error.
//! - A script leaves its device's lease to another process that holds it, passes its lines to that
//!   process, and waits for their outcomes; if that process ends, it takes the lease. With
//!   `--follow` it takes the lease at the start, as a second screen does, and stands by when
//!   another process takes it.
//! - It gives up if it has not joined within `--timeout` seconds, or if for so long no more of its
//!   messages are delivered; never while a user sits at a terminal.
//! - Messages that an earlier run with the same server, nickname and client ID could not send go
//!   out first, and are waited for like the rest, but the exit status is that of the run's own
//!   lines. A message that is refused is reported and not stored: nobody is there to change it.
//! - A server that `--serve` started ends with it if nobody else is connected, and runs on
//!   otherwise.

mod admin;
mod history;
mod line_splitter;
mod lists;
mod model;
mod room;
mod seen;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal, Read, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use self::{
    line_splitter::LineSplitter,
    model::{LineModeOptions, LocalUser, Model},
};
use super::{
    args::Args,
    exit_summary,
    serve::HostControl,
    signals::{Signals, Stopped},
};
use crate::{client::transport::ClientHandle, protocol::RoomId, text::Body};

/// Bytes read at once.
const CHUNK_BYTES: usize = 8 * 1024;
/// The most chunks and lines that wait between a thread and the loop.
const QUEUE_MAX: usize = 16;

/// Runs until the input is delivered, the user leaves, or there is no hope. The session must have
/// been started without older messages. Returns the exit status, and the room that was written to
/// at the end, if the user joined.
pub async fn run(
    args: &Args,
    session: ClientHandle,
    host: Option<HostControl>,
    mut signals: Signals,
) -> (ExitCode, Option<RoomId>) {
    let interactive = io::stdin().is_terminal();
    let options = LineModeOptions {
        interactive,
        commands: (interactive || args.options.commands) && !args.options.json,
        follow: args.options.follow,
        stamps: !io::stdout().is_terminal() || args.options.json,
        reader: args.options.reader,
        json: args.options.json,
        history: args.options.history,
    };
    let local_user = LocalUser {
        server: args.server(),
        nickname: args.nickname.clone(),
        room: args.options.room(),
        place: args.place,
        plaintext: args.options.plaintext,
        key: session.key,
    };
    let mut model = Model::new(options, local_user, TimeZone::system());
    model.restored(&session.restored);
    let kept = session.kept;
    let began = Instant::now();
    let limit = Duration::from_secs(args.options.timeout);
    let end = converse(&mut model, session, limit, &mut signals).await;

    let chatted = model.has_entered().then(|| began.elapsed());
    if let Some(summary) = model.ended.filter(|_| model.is_chatty()) {
        complain(&exit_summary::figures(&summary, chatted));
    }
    for words in model.last_words(kept) {
        complain(&words);
    }
    if let Some(host) = host {
        if model.may_be_needed() {
            let how = host.stop_command();
            host.go_on();
            complain(&format!("The server goes on; stop it with: {how}\n"));
        } else {
            host.stop().await;
        }
    }
    let room = model.has_entered().then_some(model.room);
    match end {
        End::Left => (ExitCode::from(model.exit_status() as u8), room),
        End::Stopped(by) => (ExitCode::from(by), room),
    }
}

enum End {
    /// It left by itself.
    Left,
    /// A signal ended it: in order, or, after a second one, at once.
    Stopped(Stopped),
}

async fn converse(
    model: &mut Model,
    mut session: ClientHandle,
    limit: Duration,
    signals: &mut Signals,
) -> End {
    let mut stopped = None;
    let mut splitter = LineSplitter::new(model.line_bytes_max());
    let mut input = Some(read_input());
    let (output, writer, mut failure) = write_output();
    let mut deserted = watch_output();
    let mut progress = model.progress();
    let mut give_up = Instant::now() + limit;
    while model.ended.is_none() {
        for line in model.status.drain(..) {
            complain(&line);
        }
        if model.progress() != progress {
            progress = model.progress();
            give_up = Instant::now() + model.patience(limit);
        }
        let takes_input = model.takes_input();
        tokio::select! {
            event = session.events.recv(), if model.output.is_empty() => match event {
                Some(event) => model.event(event),
                // The session died without its last event.
                None => break,
            },
            permit = session.commands.reserve(), if !model.commands.is_empty() => {
                if let (Ok(permit), Some(command)) = (permit, model.commands.pop_front()) {
                    permit.send(command);
                } else {
                    break;
                }
            },
            permit = output.reserve(), if !model.output.is_empty() => {
                match (permit, model.output.pop_front()) {
                    (Ok(permit), Some(text)) => permit.send(text),
                    _ => output_gone(model, &mut failure).await,
                }
            },
            () = output.closed(), if !model.is_output_closed() => {
                output_gone(model, &mut failure).await;
            }
            Some(()) = deserted.recv() => {
                if model.options.stamps {
                    model.output_closed();
                } else {
                    model.output_broken("the terminal is gone");
                }
            }
            chunk = next_chunk(input.as_mut()), if takes_input => match chunk {
                Some(Ok(chunk)) => {
                    model.now = Timestamp::now();
                    for line in splitter.feed(&chunk) {
                        model.line(line);
                    }
                }
                end => {
                    input = None;
                    if let Some(line) = splitter.end() {
                        model.line(line);
                    }
                    let error = end.and_then(Result::err).map(|error| error.to_string());
                    model.input_ended(error.as_deref());
                }
            },
            by = signals.next() => {
                if stopped.replace(by).is_some() {
                    return End::Stopped(by);
                }
                model.leave();
            },
            () = sleep_until(give_up), if progress.is_some() => model.out_of_time(),
        }
    }
    for line in model.status.drain(..) {
        complain(&line);
    }
    for text in model.output.drain(..) {
        // The output is closed: the rest is of no use.
        if output.send(text).await.is_err() {
            break;
        }
    }
    drop(output);
    // The thread ends after it has written everything.
    let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    if !model.is_output_closed() {
        output_gone(model, &mut failure).await;
    }
    for line in model.status.drain(..) {
        complain(&line);
    }
    stopped.map_or(End::Left, End::Stopped)
}

/// Handles the end of the writing thread: it could not write, or the output was closed.
async fn output_gone(model: &mut Model, failure: &mut oneshot::Receiver<io::Error>) {
    match failure.await {
        Ok(error) => model.output_broken(&error.to_string()),
        Err(_) => model.output_closed(),
    }
}

async fn next_chunk(
    input: Option<&mut mpsc::Receiver<io::Result<Vec<u8>>>>,
) -> Option<io::Result<Vec<u8>>> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads standard input in a thread of its own, because a read may block forever.
fn read_input() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match input.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(chunk)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let over = read.is_err();
            if sender.blocking_send(read).is_err() || over {
                return;
            }
        }
    });
    receiver
}

/// Writes standard output in a thread of its own, and flushes when nothing waits. If the output
/// can't be written, the thread and the channel end; it reports the error, unless the other side
/// has closed.
fn write_output() -> (
    mpsc::Sender<String>,
    thread::JoinHandle<()>,
    oneshot::Receiver<io::Error>,
) {
    let (sender, mut receiver) = mpsc::channel::<String>(QUEUE_MAX);
    let (failed, failure) = oneshot::channel();
    let writer = thread::spawn(move || {
        let mut output = io::BufWriter::new(io::stdout().lock());
        while let Some(text) = receiver.blocking_recv() {
            let mut written = output.write_all(text.as_bytes());
            if written.is_ok() && receiver.is_empty() {
                written = output.flush();
            }
            if let Err(error) = written {
                // The rest of the buffer could only fail again.
                let _ = output.into_parts();
                if error.kind() != io::ErrorKind::BrokenPipe {
                    // An error here means that the receiver is gone.
                    let _ = failed.send(error);
                }
                return;
            }
        }
    });
    (sender, writer, failure)
}

/// Reports when the reader of the output has closed it, even while there is nothing to write. Works
/// for pipes, not for files and terminals.
fn watch_output() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    #[cfg(unix)]
    thread::spawn(move || {
        use rustix::{
            event::{PollFd, PollFlags, poll},
            io::Errno,
        };
        let output = io::stdout();
        // Closing is reported without being asked for.
        let mut watched = [PollFd::new(&output, PollFlags::empty())];
        loop {
            match poll(&mut watched, None) {
                Err(Errno::INTR) => {}
                Err(_) => return,
                Ok(_) => break,
            }
        }
        let _ = sender.blocking_send(());
    });
    receiver
}

/// Writes to standard error; ignores that it may be closed.
fn complain(text: &str) {
    let _ = io::stderr().write_all(Body::inert(text).as_str().as_bytes());
}
