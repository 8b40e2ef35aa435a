//! The terminal: taken over, and given back whatever happens.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Once,
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
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate,
        EnterAlternateScreen, LeaveAlternateScreen, SetTitle,
    },
};
use ratatui::{Terminal, buffer::Buffer, layout::Position};
use tokio::sync::Notify;

use super::backend::Careful;

/// Bytes that are collected before they are written: a whole frame goes out in one piece.
const FRAME_BYTES: usize = 64 * 1024;

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the unambiguous reporting of keys is on.
static KEYBOARD: AtomicBool = AtomicBool::new(false);
/// Whether the wheel is told to us.
static WHEEL: AtomicBool = AtomicBool::new(false);
/// Whether something has panicked, in whatever thread.
static PANICKED: AtomicBool = AtomicBool::new(false);
/// Wakes the loop after a panic.
static PANIC: Notify = Notify::const_new();

/// Keeps the window's title, to be put back at the end.
const PUSH_TITLE: &str = "\x1b[22;2t";
const POP_TITLE: &str = "\x1b[23;2t";
/// The wheel's notches are told, in the newer form.
const WHEEL_ON: &str = "\x1b[?1000h\x1b[?1006h";
const WHEEL_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// Many terminals make arrow keys of the wheel on a full screen; here those would leaf through
/// what was sent before.
const NO_ARROWS_BY_WHEEL: &str = "\x1b[?1007l";
const ARROWS_BY_WHEEL: &str = "\x1b[?1007h";
/// Asks for the background's colour, and whether keys can be reported unambiguously.
const QUERIES: &str = "\x1b]11;?\x1b\\\x1b[?u";

/// The terminal while it is ours. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<Careful<Frames>>,
    title: String,
    /// Whether an answer of the terminal's may still come.
    asked: bool,
}

/// Collects what is to be written until it is flushed: a frame goes out in one piece, and what a
/// panic has left half written never does, for by then the terminal is no longer ours.
struct Frames(Vec<u8>);

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::replace(&mut self.0, Vec::with_capacity(FRAME_BYTES));
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    }
}

impl Screen {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        install_hook();
        enter()?;
        let terminal = on_frames().inspect_err(|_| restore())?;
        Ok(Self {
            terminal,
            title: String::new(),
            asked: false,
        })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        terminal::size().unwrap_or((80, 24))
    }

    /// Asks the terminal what it can do and looks like; the answers come as input.
    pub fn ask(&mut self) -> io::Result<()> {
        self.asked = true;
        self.write(Print(QUERIES))
    }

    /// The terminal has answered.
    pub fn answered(&mut self) {
        self.asked = false;
    }

    /// Has the wheel told to us; selecting text then takes Shift. Or leaves it to the terminal.
    pub fn report_wheel(&mut self, on: bool) -> io::Result<()> {
        WHEEL.store(on, Ordering::SeqCst);
        self.write(Print(if on { WHEEL_ON } else { WHEEL_OFF }))
    }

    /// Has keys reported unambiguously, once the terminal has said that it can.
    pub fn report_keys(&mut self) -> io::Result<()> {
        if KEYBOARD.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.write(PushKeyboardEnhancementFlags(
            KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES,
        ))
    }

    /// Sets the window's title, if it is another. The text must be inert.
    pub fn set_title(&mut self, title: &str) -> io::Result<()> {
        if self.title == title {
            return Ok(());
        }
        title.clone_into(&mut self.title);
        self.write(SetTitle(title))
    }

    /// Asks the terminal to put a text into the clipboard (OSC 52). Nobody answers; many terminals
    /// do it, some only where their user allows it.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let encoded = data_encoding::BASE64.encode(text.as_bytes());
        self.write(Print(format!("\x1b]52;c;{encoded}\x1b\\")))
    }

    fn write(&mut self, command: impl Command) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), command)
    }

    /// Draws a screen, in one piece.
    pub fn draw(&mut self, view: impl FnOnce(&mut Buffer) -> Option<Position>) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| {
            if let Some(cursor) = view(frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// The next drawing draws every cell. Not by ratatui's `clear`: that one asks the terminal
    /// where its cursor is, and our own reading of the input would take the answer.
    pub fn redraw(&mut self) -> io::Result<()> {
        self.terminal = on_frames()?;
        self.write(Clear(ClearType::All))
    }

    /// Gives the terminal back, stops this process until it is continued, takes it over again.
    pub fn suspend(&mut self) -> io::Result<()> {
        let unambiguous = KEYBOARD.load(Ordering::SeqCst);
        let wheel = WHEEL.load(Ordering::SeqCst);
        restore();
        #[cfg(unix)]
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        enter()?;
        if unambiguous {
            self.report_keys()?;
        }
        if wheel {
            self.report_wheel(true)?;
        }
        self.title.clear();
        self.redraw()
    }
}

impl Screen {
    /// Gives the terminal back.
    pub fn give_back(&mut self) {
        // An answer that is still on its way would be typed into the shell that comes next. What
        // the user has typed ahead goes with it, but only on a terminal that never answers.
        #[cfg(unix)]
        if self.asked {
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

fn on_frames() -> io::Result<Terminal<Careful<Frames>>> {
    let frames = Frames(Vec::with_capacity(FRAME_BYTES));
    Terminal::new(Careful::new(frames))
}

/// Comes back when something has panicked, in whatever thread or task: the terminal has been
/// given back then, and must not be drawn on any more.
pub async fn panicked() {
    while !PANICKED.load(Ordering::SeqCst) {
        PANIC.notified().await;
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    terminal::enable_raw_mode().inspect_err(|_| restore())?;
    execute!(
        io::stdout(),
        Print(PUSH_TITLE),
        EnterAlternateScreen,
        Print(NO_ARROWS_BY_WHEEL),
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide,
    )
    .inspect_err(|_| restore())
}

/// Gives the terminal back as it was. Can be called at any time, from any thread, and again.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
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
        LeaveAlternateScreen,
        cursor::Show,
        Print(POP_TITLE),
    );
    let _ = terminal::disable_raw_mode();
}

/// Before a panic's message is written, the terminal is given back, so that it can be read. The
/// hook is called in whatever thread panics; nobody else's hook is lost.
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
