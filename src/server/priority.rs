//! Which threads go first where there are fewer processors than work.

/// How far behind: a tenth of the time that the others get, where all of them want it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Puts the thread that calls this behind those that carry what people say: it does what can wait, or
/// what strangers want. Where a system knows no priority of a single thread, all stay equal.
pub(super) fn behind_talk() {
    // On Linux what is said of "this process" holds for the thread alone (setpriority(2)). A server
    // that was started nicer than that stays so.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
