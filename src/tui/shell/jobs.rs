//! Job control: whether the terminal is ours to write to, and stopping as Ctrl-Z does.

use std::io;

use rustix::{
    process::{Signal, getpgid, getpgrp, getppid, getsid, kill_current_process_group},
    termios::tcgetpgrp,
};

/// Whether we are in the foreground. In the background the terminal is somebody else's: a shell's,
/// or another program's. A terminal that knows no jobs is always ours.
pub(super) fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether somebody is there who continues us once we are stopped: a shell that started our process
/// group as a job.
///
/// A group without one is orphaned (POSIX); the kernel does not let Ctrl-Z stop it, as nobody could
/// let it go on. That is so as soon as its leader leads the session: `ssh -t host chat-tui`, the
/// command of a new window, `exec chat-tui`, a container. Else our parent decides: in a group of its
/// own it must be of our session; in ours it is a wrapper, which the shell has started.
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
/// be stopped, too, or its shell waits on. Returns once we go on.
///
/// By SIGSTOP, since SIGTSTP is ours to handle: to restore the terminal and come here. All at once,
/// so that no shell can continue the others before we are stopped ourselves.
pub(super) fn stop() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::STOP)?)
}
