//! Job control: whether we are in the foreground, and suspending as Ctrl-Z does.

use std::io;

use rustix::{
    process::{Signal, getpgid, getpgrp, getppid, getsid, kill_current_process_group},
    termios::tcgetpgrp,
};

/// Whether we are in the foreground. In the background the terminal belongs to a shell or another
/// program. A terminal without job control is always ours.
pub(super) fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether a shell can continue us after we are stopped: one that started our process group as a
/// job.
///
/// A group without one is orphaned (POSIX); the kernel does not let Ctrl-Z stop it, because nobody
/// could continue it. That is so if its leader leads the session: `ssh -t host chat-tui`, the
/// command of a new window, `exec chat-tui`, a container. Otherwise our parent decides: in a group
/// of its own it must be of our session; in ours it is a wrapper that the shell has started.
pub(super) fn can_stop() -> bool {
    let ours = getpgrp();
    let session = getsid(None);
    if session == Ok(ours) {
        return false;
    }
    let Some(parent) = getppid() else {
        return false;
    };
    match (getpgid(Some(parent)), getsid(Some(parent))) {
        (Ok(group), _) if group == ours => true,
        (Ok(_), Ok(of_parent)) => session == Ok(of_parent),
        _ => false,
    }
}

/// Stops our whole process group, as the terminal would: a wrapper script that waits for us has to
/// be stopped too, or its shell waits on. Returns when we are continued.
///
/// Uses SIGSTOP, because we handle SIGTSTP ourselves to restore the terminal first. Stops all
/// processes at once, so that no shell can continue the others before we are stopped.
pub(super) fn stop() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::STOP)?)
}
