//! Starts every thread of the server, and ends the server when one breaks down.
//!
//! A server that goes on without one of its parts is worse than one that ends: it looks alive and
//! answers nobody. So nothing else here starts a thread ([`Supervisor`] has a test for that), and
//! there are two rules:
//!
//! | what | when it panics, or gives up |
//! |---|---|
//! | a part ([`Supervisor::start`], [`Supervisor::alarm`]): the store, a worker, the index… | [`Supervisor::fallen`] is ready: the server tells everybody that it stops, ends with the [`Breakdown`] as its error, and whoever runs it starts it again |
//! | a piece of work for one request ([`Supervisor::guard`], [`Supervisor::blocking`]): a page, a search, a password | that request is answered with an error, and the thread goes on. After [`PANICS_IN_A_ROW_MAX`] pieces in a row, the part counts as broken down |
//!
//! A single piece of work does not end the server, so that nobody who finds a request that breaks
//! down can send all others away with it; and that it breaks down each time is no state to go on in.
//!
//! A connection that breaks down in its worker ends alone, see `net::worker`. What a panic says goes
//! to stderr, by the standard hook.

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

/// Pieces of work that may panic one after the other, with none between that does not.
const PANICS_IN_A_ROW_MAX: u32 = 32;

/// The part of the server that broke down first, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    part: String,
    /// `None`: it panicked. Otherwise what it can't do any more.
    gave_up: Option<String>,
    /// What the panic said.
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
                "A part of the server ({part}) broke down (a defect, please report it)"
            ),
            (None, Some(panic)) => write!(
                out,
                "A part of the server ({part}) broke down (a defect, please report it): {panic}"
            ),
        }?;
        out.write_str("; the server stopped")
    }
}

/// See the module's docs. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    fallen: CancellationToken,
    first: Mutex<Option<Breakdown>>,
    /// Pieces of work that have panicked since one last did not.
    in_a_row: AtomicU32,
}

/// A piece of work panicked. Whoever asked for it gets an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

impl Supervisor {
    /// Starts a part on a thread of its own. It returns `Ok` when it was told to end, and otherwise
    /// why it can't go on.
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

    /// A part can't go on.
    pub(super) fn give_up(&self, name: &str, why: String) {
        self.fall(name, Some(why), None);
    }

    /// For a part that is a task among others: to be held while it runs.
    pub(super) fn alarm(&self, name: &'static str) -> Alarm {
        Alarm {
            supervisor: self.clone(),
            name,
        }
    }

    /// Does a piece of work for one request.
    pub(super) fn guard<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let done = catch_unwind(AssertUnwindSafe(work));
        self.count(name, done.map_err(|panic| said(&*panic)))
    }

    /// Does a piece of work that takes long, on a thread of the runtime's.
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
                // Written only where it changes something: all readers share it.
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
        // The others' are consequences.
        first.get_or_insert_with(|| Breakdown {
            part: part.to_owned(),
            gave_up,
            panic,
        });
        drop(first);
        self.0.fallen.cancel();
    }

    /// Ready once a part has broken down.
    pub(super) async fn fallen(&self) {
        self.0.fallen.cancelled().await;
    }

    /// What broke down first, if something has.
    pub fn breakdown(&self) -> Option<Breakdown> {
        let first = self.0.first.lock();
        first.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See [`Supervisor::alarm`].
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

/// What a panic said, if it did so in words.
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
        // What comes of it is not told.
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
            "A part of the server (index) broke down (a defect, please report it): number 7; the \
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

    /// Tests of the server's may: nobody waits for their threads.
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
