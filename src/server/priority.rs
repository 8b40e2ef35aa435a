//! Lowers the priority of threads that can wait.

/// How much niceness is added to that of the starting thread: it gets about a tenth of the others'
/// time when all processors are busy.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// Lowers the calling thread's priority below that of the threads that deliver messages. Without
/// effect on systems that know no priority of a single thread.
pub(super) fn behind_talk() {
    // On Linux this affects only the calling thread (setpriority(2)).
    #[cfg(target_os = "linux")]
    if let Ok(niceness) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, niceness + NICER_BY);
    }
}
