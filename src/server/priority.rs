//! Which threads go first where there are fewer processors than work.

/// How far behind the thread that starts it: a tenth of the time that the others get, where all of
/// them want it.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// Puts the thread that calls this behind those that carry what people say: it does what can wait, or
/// what strangers want. Where a system knows no priority of a single thread, all stay equal.
pub(super) fn behind_talk() {
    // On Linux what is said of "this process" holds for the thread alone (setpriority(2)).
    #[cfg(target_os = "linux")]
    if let Ok(niceness) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, niceness + NICER_BY);
    }
}
