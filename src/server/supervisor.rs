//! Starts every thread of the server, and ends the server when one panics.
//!
//! A server that goes on without one of its parts is worse than one that ends: it looks alive but
//! does not answer. So no other module starts a thread (a test of [`Supervisor`] checks that), and
//! there are two rules:
//!
//! | work | when it panics, or gives up |
//! |---|---|
//! | a part ([`Supervisor::start`], [`Supervisor::alarm`]): the store, a worker, the index… | [`Supervisor::fallen`] completes: the server notifies all clients, and ends with the [`Breakdown`] as its error; a service manager restarts it |
//! | a piece of work for one request ([`Supervisor::guard`], [`Supervisor::blocking`]): a page, a search, a password | that request is answered with an error, and the thread continues. After [`PANICS_IN_A_ROW_MAX`] panics in a row, the part counts as failed |
//!
//! A single panic in the work for a request does not end the server, so that a client who finds
//! such a request can't disconnect all others. But if it panics every time, the server can't go on.
//!
//! A connection that panics in its worker ends alone, see `net::worker`. Panic messages go to
//! stderr, by the standard hook.

use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio_util::sync::CancellationToken;

use crate::text::Line;

/// Pieces of work that may panic in a row before the server ends.
const PANICS_IN_A_ROW_MAX: u32 = 32;

/// The first part of the server that failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    part: String,
    /// Why it gave up; `None` if it panicked.
    gave_up: Option<String>,
    /// The message of the panic.
    panic: Option<Line>,
}

impl fmt::Display for Breakdown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            gave_up,
            panic,
        } = self;
        match (gave_up, panic) {
            (Some(why), _) => write!(out, "A part of the server ({part}) gave up: {why}"),
            (None, None) => write!(
                out,
                "A part of the server ({part}) crashed (a bug, please report it)"
            ),
            (None, Some(panic)) => write!(
                out,
                "A part of the server ({part}) crashed (a bug, please report it): {panic}"
            ),
        }?;
        out.write_str("; the server stopped")
    }
}

/// Starts and watches threads. Cheap to clone; all clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    fallen: CancellationToken,
    first: Mutex<Option<Breakdown>>,
    /// Pieces of work that panicked since the last one that did not.
    in_a_row: AtomicU32,
}

/// A piece of work panicked. Its caller gets an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

impl Supervisor {
    /// Starts a part on a thread of its own. `work` returns `Ok` when it was told to end, and
    /// otherwise why it can't go on.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        &self,
        name: impl Into<String>,
        work: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (supervisor, name) = (self.clone(), name.into());
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || supervisor.watch(&name, work))
    }

    /// Runs a part on this thread; `None` if it panicked.
    pub(super) fn run<T>(&self, name: &str, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work));
        done.map_err(|panic| self.fall(name, None, said(&*panic)))
            .ok()
    }

    fn watch(&self, name: &str, work: impl FnOnce() -> Result<(), String>) {
        if let Some(Err(why)) = self.run(name, work) {
            self.give_up(name, why);
        }
    }

    /// Reports that a part can't go on.
    pub(super) fn give_up(&self, name: &str, why: String) {
        self.fall(name, Some(why), None);
    }

    /// A guard for a part that is one task among others; held while it runs.
    pub(super) fn alarm(&self, name: &'static str) -> Alarm {
        Alarm {
            supervisor: self.clone(),
            name,
        }
    }

    /// Runs a piece of work for one request.
    pub(super) fn guard<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let done = catch_unwind(AssertUnwindSafe(work));
        self.count(name, done.map_err(|panic| said(&*panic)))
    }

    /// Runs a long piece of work on one of the runtime's threads.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let done = tokio::task::spawn_blocking(work).await;
        let said = |error: tokio::task::JoinError| said(&*error.try_into_panic().ok()?);
        self.count(name, done.map_err(said))
    }

    fn count<T>(&self, name: &str, done: Result<T, Option<Line>>) -> Result<T, Panicked> {
        let in_a_row = &self.0.in_a_row;
        match done {
            Ok(done) => {
                // Written only if it changes: all readers share the cache line.
                if in_a_row.load(Ordering::Relaxed) > 0 {
                    in_a_row.store(0, Ordering::Relaxed);
                }
                Ok(done)
            }
            Err(said) => {
                if in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= PANICS_IN_A_ROW_MAX {
                    self.fall(name, None, said);
                }
                Err(Panicked)
            }
        }
    }

    fn fall(&self, part: &str, gave_up: Option<String>, panic: Option<Line>) {
        let mut first = self.0.first.lock().unwrap_or_else(PoisonError::into_inner);
        // Later failures are consequences.
        first.get_or_insert_with(|| Breakdown {
            part: part.to_owned(),
            gave_up,
            panic,
        });
        drop(first);
        self.0.fallen.cancel();
    }

    /// Completes once a part has failed.
    pub(super) async fn fallen(&self) {
        self.0.fallen.cancelled().await;
    }

    /// The first failure, if any.
    pub fn breakdown(&self) -> Option<Breakdown> {
        let first = self.0.first.lock();
        first.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reports a panic when it is dropped by one; see [`Supervisor::alarm`].
#[derive(Debug)]
pub(super) struct Alarm {
    supervisor: Supervisor,
    name: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.supervisor.fall(self.name, None, None);
        }
    }
}

/// The message of a panic, if it is text.
fn said(panic: &(dyn Any + Send)) -> Option<Line> {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    words.map(Line::inert)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, pin::pin, task::Poll};

    use super::*;

    fn has_fallen(supervisor: &Supervisor) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        pin!(supervisor.fallen()).poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn a_part_that_panics_or_gives_up_ends_the_server_and_one_that_was_told_to_end_does_not() {
        let supervisor = Supervisor::default();
        let start = |name: &str, work: fn() -> Result<(), String>| {
            let part = supervisor.start(name, work).unwrap();
            part.join().unwrap();
        };
        start("told", || Ok(()));
        assert!(!has_fallen(&supervisor) && supervisor.breakdown().is_none());
        start("reader", || Err("the poll is gone".to_owned()));
        assert!(has_fallen(&supervisor));
        // Later failures are consequences, and not reported.
        start("store", || panic!("number {}", 7));
        assert_eq!(
            supervisor.breakdown().unwrap().to_string(),
            "A part of the server (reader) gave up: the poll is gone; the server stopped"
        );
        let supervisor = Supervisor::default();
        let part = supervisor.start("index", || panic!("number {}", 7));
        part.unwrap().join().unwrap();
        assert!(has_fallen(&supervisor));
        assert_eq!(
            supervisor.breakdown().unwrap().to_string(),
            "A part of the server (index) crashed (a bug, please report it): number 7; the \
             server stopped"
        );
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_server_and_one_that_is_dropped_does_not() {
        let supervisor = Supervisor::default();
        for panics in [false, true] {
            let alarm = supervisor.alarm("page");
            let task = tokio::spawn(async move {
                let _alarm = alarm;
                tokio::task::yield_now().await;
                assert!(!panics, "a test");
            });
            assert_eq!(task.await.is_err(), panics);
            assert_eq!(has_fallen(&supervisor), panics);
        }
    }

    #[tokio::test]
    async fn work_for_one_request_may_panic_and_only_many_in_a_row_end_the_server() {
        let supervisor = Supervisor::default();
        for _ in 0..3 {
            for _ in 1..PANICS_IN_A_ROW_MAX {
                let done = supervisor.guard("reader", || panic!("a test"));
                assert_eq!(done, Err::<(), _>(Panicked));
            }
            assert_eq!(supervisor.blocking("password", || 7).await, Ok(7));
        }
        assert!(!has_fallen(&supervisor));
        for _ in 0..PANICS_IN_A_ROW_MAX {
            assert!(!has_fallen(&supervisor));
            let done = supervisor.blocking("password", || panic!("a test"));
            assert_eq!(done.await, Err::<(), _>(Panicked));
        }
        assert!(has_fallen(&supervisor));
    }

    /// Tests of the server may start some: they wait for no thread.
    #[test]
    fn no_thread_of_the_server_is_started_elsewhere() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
        let mut folders = vec![home.clone()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let is_own = path == home.join("supervisor.rs");
                if is_own || path.file_name().is_some_and(|name| name == "tests.rs") {
                    continue;
                }
                files += 1;
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for start in [
                    "thread::Builder",
                    "thread::spawn",
                    "thread::scope",
                    "spawn_blocking",
                ] {
                    assert!(!code.contains(start), "{}: {start}", path.display());
                }
            }
        }
        assert!(files > 50, "{files}");
    }
}
