//! The only part that knows a terminal: takes it over, reads its bytes, runs the loop.
//!
//! - [`decode`] (pure): decodes bytes into keys.
//! - [`terminal`]: takes the terminal over and gives it back.
//! - `diff` (pure), `backend`: write a screen to it.
//! - `jobs`: job control.
//! - [`frame_limiter`] (pure): how often the screen is drawn.
//! - [`environment`]: the terminal's size, and what the environment variables say about it.

mod backend;
pub mod decode;
mod diff;
pub mod environment;
mod frame_limiter;
mod jobs;
pub mod terminal;

use std::{
    collections::VecDeque,
    io::Write,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::Instant as Deadline,
};

use self::{
    decode::{Decoder, Input},
    frame_limiter::FrameLimiter,
    terminal::Screen,
};
use super::{
    AtJoin, Launch,
    app::{Effect, HostChoice, Model, Msg, Start, keys::escape_leaves, update},
    exit_summary::ExitSummary,
    local_time::Zone,
    serve::HostControl,
    signals::{Signals, Stopped},
    view::{
        self,
        palette::{Depth, Ground, Palette},
    },
};
use crate::{
    client::event::{Command, Event},
    time::Now,
};

/// The most messages that are taken before the screen is drawn again.
const TAKEN_MAX: usize = 1_000;
/// How often we check whether we are in the foreground again; no signal tells.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The most reads that wait; then reading waits.
const INPUT_QUEUE: usize = 64;

/// Shows the screen until the user leaves or the session ends. Also returns the signal that asked
/// it to end, if any.
pub async fn run(launch: Launch) -> (anyhow::Result<ExitSummary>, Option<Stopped>) {
    let mut launch = launch;
    let host = launch.host.take();
    let shown = show(launch, host.is_some()).await;
    if let Some(host) = host {
        // If nothing could be shown, nobody has joined yet.
        let choice = shown
            .as_ref()
            .map_or(Some(HostChoice::Stop), |shown| shown.1);
        leave_host(host, choice).await;
    }
    match shown {
        Ok((summary, _, stopped)) => (summary, stopped),
        Err(error) => (Err(error), None),
    }
}

/// Returns the summary, the choice about the hosted server, and the signal that ended it. `Err`: it
/// could not start.
async fn show(
    launch: Launch,
    hosting: bool,
) -> anyhow::Result<(
    anyhow::Result<ExitSummary>,
    Option<HostChoice>,
    Option<Stopped>,
)> {
    let terminal_signals = TerminalSignals::new()?;
    let screen = Screen::take().context("The terminal can't be used")?;
    let mut shell = Shell::new(launch, hosting, screen, terminal_signals);
    // The first frame waits for nothing: no network, no answer of the terminal.
    shell.draw()?;
    if environment::answers_queries() {
        shell.screen.ask()?;
    }
    let mut input = read_input();
    let ended = shell.run(&mut input).await;
    shell.screen.give_back();
    let summary = ended.map(|()| shell.model.exit_summary());
    Ok((summary, shell.host_choice, shell.stopped))
}

/// Carries out the choice about the hosted server. Without a choice it runs on: others may need it.
async fn leave_host(host: HostControl, choice: Option<HostChoice>) {
    if choice == Some(HostChoice::Stop) {
        host.stop().await;
        return;
    }
    let how = host.stop_command();
    host.go_on();
    // If the terminal was closed, nobody reads it.
    let _ = writeln!(std::io::stdout(), "The server goes on; `{how}` stops it.");
}

/// The bytes of one read, and its time: their meaning depends on which came together, and the loop
/// may be busy.
struct TerminalRead {
    at: Instant,
    bytes: Vec<u8>,
}

struct Shell {
    model: Model,
    zone: Zone,
    palette: Palette,
    depth: Depth,
    asks_ground: bool,
    screen: Screen,
    decoder: Decoder,
    started: Instant,
    commands: mpsc::Sender<Command>,
    /// Commands that the session has not taken yet. Waiting for it could deadlock, because it may
    /// wait for its events to be taken.
    outgoing: VecDeque<Command>,
    events: mpsc::Receiver<Event>,
    signals: Signals,
    terminal_signals: TerminalSignals,
    host_choice: Option<HostChoice>,
    at_join: Option<AtJoin>,
    /// The last signal that asked the program to end.
    stopped: Option<Stopped>,
    frame_limiter: FrameLimiter,
    stale: bool,
}

/// The signals for resizing, suspending and continuing.
struct TerminalSignals {
    resized: Signal,
    stop: Signal,
    continued: Signal,
}

impl TerminalSignals {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("Signals can't be listened to");
        Ok(Self {
            resized: on(SignalKind::window_change())?,
            stop: on(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            continued: on(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

impl Shell {
    fn new(
        launch: Launch,
        hosting: bool,
        screen: Screen,
        terminal_signals: TerminalSignals,
    ) -> Self {
        let started = Instant::now();
        let (width, height) = environment::size();
        let depth = environment::depth(launch.no_color);
        let ground = environment::ground(launch.theme);
        let zone = Zone::new(Timestamp::now());
        let mut model = Model::new(Start {
            now: Now {
                wall: Timestamp::now(),
                mono: Duration::ZERO,
            },
            zone: zone.get(),
            width,
            height,
            host: launch.host_label,
            nickname: launch.nickname,
            room: launch.room,
            hosting,
            key: launch.key,
            restored: launch.restored,
        });
        if let Some(place) = launch.place {
            // Nothing was typed or read yet that would have to be saved.
            model.go_to(place, &mut Vec::new());
        }
        Self {
            model,
            zone,
            palette: Palette::new(depth, ground),
            depth,
            asks_ground: ground == Ground::Unknown,
            screen,
            decoder: Decoder::default(),
            started,
            commands: launch.commands,
            outgoing: VecDeque::new(),
            events: launch.events,
            at_join: Some(launch.at_join),
            signals: launch.signals,
            terminal_signals,
            host_choice: None,
            stopped: None,
            frame_limiter: FrameLimiter::default(),
            stale: true,
        }
    }

    /// Runs the loop: waits for something, takes all that waits, then draws; until the end.
    async fn run(&mut self, input: &mut mpsc::Receiver<TerminalRead>) -> anyhow::Result<()> {
        let mut input_open = true;
        let commands = self.commands.clone();
        loop {
            let wake = self.next_wake();
            let mut messages = Vec::new();
            let mut suspend = false;
            tokio::select! {
                biased;
                () = terminal::panicked() => {
                    anyhow::bail!("A part of the program has failed; its message is above");
                }
                by = self.signals.next() => {
                    self.stopped = Some(by);
                    messages.push(Msg::Terminate);
                }
                _ = self.terminal_signals.stop.recv() => suspend = true,
                _ = self.terminal_signals.continued.recv() => self.screen.continued(),
                _ = self.terminal_signals.resized.recv() => {}
                typed = input.recv(), if input_open => {
                    if let Some(typed) = typed {
                        self.decode(&typed, &mut messages)?;
                    } else {
                        // The terminal is gone.
                        input_open = false;
                        messages.push(Msg::Terminate);
                    }
                }
                permit = commands.reserve(), if !self.outgoing.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(command) = self.outgoing.pop_front() {
                            permit.send(command);
                        }
                        continue;
                    }
                    // The session ends only after it has sent its last event.
                    Err(_) => self.outgoing.clear(),
                },
                event = self.events.recv() => {
                    let event = event.context("The session has ended unexpectedly")?;
                    messages.push(Msg::Session(event));
                }
                () = tokio::time::sleep_until(wake) => {
                    let found = self.decoder.pass(self.started.elapsed());
                    self.take(found, &mut messages)?;
                }
            }
            while let Ok(typed) = input.try_recv() {
                self.decode(&typed, &mut messages)?;
            }
            while messages.len() < TAKEN_MAX
                && let Ok(event) = self.events.try_recv()
            {
                messages.push(Msg::Session(event));
            }
            if suspend {
                self.suspend()?;
            }
            if self.screen.come_back()? {
                self.zone.doubt();
            }
            if self.update_all(messages)? {
                return Ok(());
            }
            if self.stale && self.frame_limiter.wait(self.started.elapsed()).is_zero() {
                self.draw()?;
            }
        }
    }

    /// The time to wake up if nothing happens.
    fn next_wake(&self) -> Deadline {
        let now = Deadline::now();
        let draw = self
            .stale
            .then(|| now + self.frame_limiter.wait(self.started.elapsed()));
        let change = self.model.wakes_in().map(|after| now + after);
        let look = self.screen.is_away().then(|| now + LOOK_EVERY);
        let decoder = self.decoder.deadline();
        let decoder = decoder.map(|at| Deadline::from_std(self.started + at));
        // The time zone is checked once a minute, and shown times follow it.
        let a_minute = now + Duration::from_mins(1);
        [draw, change, look, decoder]
            .into_iter()
            .flatten()
            .fold(a_minute, Deadline::min)
    }

    fn decode(&mut self, typed: &TerminalRead, messages: &mut Vec<Msg>) -> anyhow::Result<()> {
        let at = typed.at.saturating_duration_since(self.started);
        let found = self.decoder.feed(at, &typed.bytes);
        self.take(found, messages)
    }

    /// Turns inputs into messages; handles at once those that concern only the shell.
    fn take(&mut self, found: Vec<Input>, messages: &mut Vec<Msg>) -> anyhow::Result<()> {
        for input in found {
            messages.push(match input {
                Input::Key(key) => Msg::Key(key),
                Input::Paste(text) => Msg::Pasted(text),
                Input::Lines(text) => Msg::CameAtOnce(text),
                Input::Focus(focused) => Msg::Focus(focused),
                Input::Wheel(notches) => Msg::Wheel(notches),
                Input::Click { column, row } => Msg::Clicked { column, row },
                Input::Background { light } => {
                    self.screen.answered();
                    if self.asks_ground {
                        let ground = if light { Ground::Light } else { Ground::Dark };
                        self.palette = Palette::new(self.depth, ground);
                        self.stale = true;
                    }
                    continue;
                }
                Input::KeyboardProtocol => {
                    self.screen.report_keys()?;
                    continue;
                }
            });
        }
        Ok(())
    }

    /// Updates the model with all messages; returns whether to end.
    fn update_all(&mut self, messages: Vec<Msg>) -> anyhow::Result<bool> {
        let now = Now {
            wall: Timestamp::now(),
            mono: self.started.elapsed(),
        };
        let (width, height) = environment::size();
        let resized = (width, height) != (self.model.width, self.model.height);
        let resized = resized.then_some(Msg::Resized { width, height });
        let zone = self.zone.look(now.wall).map(Msg::Zone);
        let first = [Msg::Now(now)].into_iter().chain(zone).chain(resized);
        let messages = first.chain(messages);
        for message in messages {
            for effect in update(&mut self.model, message) {
                if self.perform(effect)? {
                    return Ok(true);
                }
            }
        }
        if self.model.server.entered.is_some()
            && let Some(AtJoin(keep)) = self.at_join.take()
        {
            let room = self.model.pane().key.room;
            std::thread::spawn(move || keep(room));
        }
        self.decoder.escape_leaves(escape_leaves(&self.model));
        self.stale = true;
        Ok(false)
    }

    /// Carries out an effect; returns whether to end.
    fn perform(&mut self, effect: Effect) -> anyhow::Result<bool> {
        match effect {
            Effect::Command(command) => self.outgoing.push_back(command),
            Effect::Host(choice) => self.host_choice = Some(choice),
            Effect::Quit => {
                // Commands that the session does not take at once would be late anyway.
                for command in self.outgoing.drain(..) {
                    let _ = self.commands.try_send(command);
                }
                return Ok(true);
            }
            Effect::Suspend => self.suspend()?,
            Effect::Redraw => self.screen.redraw()?,
            Effect::Wheel(on) => self.screen.report_wheel(on)?,
            Effect::Copy(text) => self.screen.copy(&text)?,
        }
        Ok(false)
    }

    /// Suspends the program, if a shell can continue it.
    fn suspend(&mut self) -> anyhow::Result<()> {
        if jobs::can_stop() {
            self.screen.suspend()?;
        } else {
            // The only effect is a remark.
            update(&mut self.model, Msg::CannotSuspend);
        }
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        self.screen.set_title(&self.model.window_title())?;
        let (model, palette) = (&self.model, &self.palette);
        self.screen
            .draw(|buffer| view::draw(model, palette, buffer))?;
        self.frame_limiter.drawn(self.started.elapsed());
        self.stale = false;
        Ok(())
    }
}

/// Reads the terminal's bytes in a thread of its own, because such reads block on some systems. It
/// ends with the process, or with the terminal.
fn read_input() -> mpsc::Receiver<TerminalRead> {
    let (sender, receiver) = mpsc::channel(INPUT_QUEUE);
    std::thread::spawn(move || {
        let stdin = std::io::stdin();
        let mut bytes = [0; 4096];
        loop {
            // If the process were stopped during the read, the read could take bytes typed into the
            // shell; during the poll it can't. (Where terminals can't be polled, the read waits.)
            let mut waits = [PollFd::new(&stdin, PollFlags::IN)];
            if poll(&mut waits, None) == Err(Errno::INTR) {
                continue;
            }
            // In the background, typed text belongs to the shell; reading would stop us, perhaps
            // only when we are in the foreground again.
            if !jobs::in_foreground() {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) => return,
                Ok(count) => {
                    let typed = TerminalRead {
                        at: Instant::now(),
                        bytes: bytes[..count].to_vec(),
                    };
                    if sender.blocking_send(typed).is_err() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
    receiver
}
