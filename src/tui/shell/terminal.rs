//! Takes the terminal over, and gives it back in every case.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    Command, cursor,
    event::{
        DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
        KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
    },
    execute, queue,
    style::Print,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, SetTitle,
    },
};
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::Notify;

use super::{
    backend::{CUT_AT_EDGE, Careful, WRAP_AT_EDGE},
    environment, jobs,
};

/// The bytes of a frame are collected before they are written, so that it goes out in one piece.
const FRAME_BYTES: usize = 64 * 1024;

/// Whether we have taken the terminal and not given it back; independent of the foreground.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The terminal's mode before we took it.
static MODE: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether unambiguous key reports are on.
static KEYBOARD: AtomicBool = AtomicBool::new(false);
/// Whether mouse reports are on.
static WHEEL: AtomicBool = AtomicBool::new(false);
/// Whether a thread has panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);
/// Wakes the loop after a panic.
static PANIC: Notify = Notify::const_new();

/// Saves the window's title, to be restored at the end.
const PUSH_TITLE: &str = "\x1b[22;2t";
const POP_TITLE: &str = "\x1b[23;2t";
/// Turns mouse reports on, in the newer format.
const WHEEL_ON: &str = "\x1b[?1000h\x1b[?1006h";
const WHEEL_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// Many terminals turn the wheel into arrow keys on a full screen; here those would walk through
/// the input's history.
const NO_ARROWS_BY_WHEEL: &str = "\x1b[?1007l";
const ARROWS_BY_WHEEL: &str = "\x1b[?1007h";
/// Turns unambiguous key reports on again, if they may have been turned off.
const KEYBOARD_AGAIN: &str = "\x1b[=1;1u";
/// Asks for the background's colour, and whether keys can be reported unambiguously.
const QUERIES: &str = "\x1b]11;?\x1b\\\x1b[?u";

/// The terminal while we have it. Dropping it gives it back.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Screen {
    out: Careful<Frames>,
    /// The screen that the terminal shows.
    shown: Buffer,
    /// The next screen; empty between two frames.
    next: Buffer,
    title: String,
    /// Whether an answer of the terminal may still come.
    asked: bool,
    /// Whether keys are to be reported unambiguously.
    keyboard: bool,
    /// Whether the mouse is to be reported.
    wheel: bool,
    /// Whether we were stopped, and have not taken the terminal again.
    away: bool,
}

/// Collects bytes until they are flushed: a frame goes out in one piece. A frame that a panic has
/// left unfinished is never written, because the terminal is given back by then; nor is anything
/// written while we are in the background.
struct Frames(Vec<u8>);

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::replace(&mut self.0, Vec::with_capacity(FRAME_BYTES));
        if !TAKEN.load(Ordering::SeqCst) || !jobs::in_foreground() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    }
}

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Self> {
        install_hook();
        enter(true)?;
        Ok(Self {
            out: Careful::new(Frames(Vec::with_capacity(FRAME_BYTES))),
            shown: Buffer::default(),
            next: Buffer::default(),
            title: String::new(),
            asked: false,
            keyboard: false,
            wheel: false,
            away: false,
        })
    }

    /// Asks the terminal about its background and abilities; the answers come as input.
    pub fn ask(&mut self) -> io::Result<()> {
        self.asked = true;
        self.write(Print(QUERIES))
    }

    /// Notes that the terminal has answered.
    pub fn answered(&mut self) {
        self.asked = false;
    }

    /// Turns mouse reports on or off; while they are on, selecting text takes Shift.
    pub fn report_wheel(&mut self, on: bool) -> io::Result<()> {
        self.wheel = on;
        WHEEL.store(on, Ordering::SeqCst);
        self.write(Print(if on { WHEEL_ON } else { WHEEL_OFF }))
    }

    /// Turns unambiguous key reports on, once the terminal has said that it supports them.
    pub fn report_keys(&mut self) -> io::Result<()> {
        self.keyboard = true;
        if KEYBOARD.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.write(PushKeyboardEnhancementFlags(
            KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES,
        ))
    }

    /// Sets the window's title, if it has changed. The text must be inert.
    pub fn set_title(&mut self, title: &str) -> io::Result<()> {
        if self.title == title {
            return Ok(());
        }
        title.clone_into(&mut self.title);
        self.write(SetTitle(title))
    }

    /// Asks the terminal to copy a text into the clipboard (OSC 52). There is no answer; many
    /// terminals do it, some only if their user allows it.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let encoded = data_encoding::BASE64.encode(text.as_bytes());
        self.write(Print(format!("\x1b]52;c;{encoded}\x1b\\")))
    }

    fn write(&mut self, command: impl Command) -> io::Result<()> {
        execute!(self.out, command)
    }

    /// Draws a screen in one piece; nothing while we are stopped or in the background.
    pub fn draw(&mut self, view: impl FnOnce(&mut Buffer) -> Option<Position>) -> io::Result<()> {
        self.away |= !jobs::in_foreground();
        if self.away {
            return Ok(());
        }
        queue!(self.out, BeginSynchronizedUpdate)?;
        let (width, height) = environment::size();
        let area = Rect::new(0, 0, width, height);
        if area != self.shown.area {
            self.shown = Buffer::empty(area);
            self.next = Buffer::empty(area);
            queue!(self.out, Clear(ClearType::All))?;
        }
        let cursor = view(&mut self.next);
        self.out.draw(&self.shown, &self.next, cursor)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        self.next.reset();
        execute!(self.out, EndSynchronizedUpdate)
    }

    /// Makes the next frame draw every cell.
    pub fn redraw(&mut self) -> io::Result<()> {
        self.shown.reset();
        self.write(Clear(ClearType::All))
    }

    /// Gives the terminal back and stops until we are continued.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.away = true;
        restore();
        jobs::stop()
    }

    /// Notes that we were stopped and continued: the state of the terminal, and whether we are in
    /// the foreground, are unknown.
    pub fn continued(&mut self) {
        self.away = true;
    }

    /// Whether the terminal is to be taken again once we are in the foreground.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Takes the terminal again after we were stopped, if we are in the foreground; returns whether
    /// it did.
    pub fn come_back(&mut self) -> io::Result<bool> {
        if !self.away || !jobs::in_foreground() {
            return Ok(false);
        }
        // After SIGSTOP the modes are still on unless another program has turned them off; those
        // that terminals count must not be turned on twice.
        let given_back = !TAKEN.load(Ordering::SeqCst);
        enter(given_back)?;
        if self.keyboard && given_back {
            self.report_keys()?;
        } else if self.keyboard {
            self.write(Print(KEYBOARD_AGAIN))?;
        }
        if self.wheel {
            self.report_wheel(true)?;
        }
        self.away = false;
        self.title.clear();
        self.redraw()?;
        Ok(true)
    }
}

impl Screen {
    /// Gives the terminal back.
    pub fn give_back(&mut self) {
        // An answer that is still on its way would be typed into the next shell. Keys typed ahead
        // are lost with it, but only on a terminal that never answers.
        #[cfg(unix)]
        if self.asked && jobs::in_foreground() {
            let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        }
        restore();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Waits until a thread or task has panicked: the terminal has been given back then, and must not
/// be drawn on any more.
pub async fn panicked() {
    while !PANICKED.load(Ordering::SeqCst) {
        PANIC.notified().await;
    }
}

/// Takes the terminal. `anew`: no mode is set yet.
fn enter(anew: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    raw_mode().inspect_err(|_| restore())?;
    let mut out = io::stdout();
    if anew {
        queue!(out, Print(PUSH_TITLE)).inspect_err(|_| restore())?;
    }
    execute!(
        out,
        EnterAlternateScreen,
        Print(NO_ARROWS_BY_WHEEL),
        Print(CUT_AT_EDGE),
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide,
    )
    .inspect_err(|_| restore())
}

/// Turns raw mode on. A shell turns line editing on again while we are stopped, and its user may
/// have changed the mode: the mode found then is restored at the end. Not crossterm's raw mode,
/// which assumes that the mode stays as it set it.
fn raw_mode() -> io::Result<()> {
    let now = tcgetattr(io::stdin())?;
    let mut raw = now.clone();
    raw.make_raw();
    tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
    let mut mode = MODE.lock().unwrap_or_else(PoisonError::into_inner);
    // Some shells restore for a job the mode that it had when it was stopped.
    if mode.is_none() || now.local_modes.contains(LocalModes::ICANON) {
        *mode = Some(now);
    }
    Ok(())
}

/// Gives the terminal back as it was. May be called at any time, from any thread, and repeatedly.
pub fn restore() {
    // In the background it is not ours to give back; setting its mode would stop us.
    if !TAKEN.swap(false, Ordering::SeqCst) || !jobs::in_foreground() {
        return;
    }
    let mut out = io::stdout();
    if KEYBOARD.swap(false, Ordering::SeqCst) {
        let _ = queue!(out, PopKeyboardEnhancementFlags);
    }
    if WHEEL.swap(false, Ordering::SeqCst) {
        let _ = queue!(out, Print(WHEEL_OFF));
    }
    let _ = execute!(
        out,
        EndSynchronizedUpdate,
        Print(ARROWS_BY_WHEEL),
        DisableFocusChange,
        DisableBracketedPaste,
        Print(WRAP_AT_EDGE),
        LeaveAlternateScreen,
        cursor::Show,
        Print(POP_TITLE),
    );
    let mode = MODE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mode) = mode {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &mode);
    }
}

/// Installs a hook that gives the terminal back before a panic's message is written, so that it can
/// be read. It calls the previous hook; it runs in the panicking thread.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, Ordering::SeqCst);
            restore();
            before(info);
            PANIC.notify_one();
        }));
    });
}
