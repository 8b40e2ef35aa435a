//! A listener that is served on a thread of its own until it is told to end.

use std::{future::Future, io};

use tokio::sync::oneshot;

use crate::server::{priority, supervisor::Supervisor};

/// A running service.
pub(super) struct Service {
    shut: oneshot::Sender<()>,
    /// Closed when the service has ended.
    ended: oneshot::Receiver<()>,
}

impl Service {
    /// Starts one. `listen` makes its listener, within its runtime but on this thread, so that the
    /// caller gets the error; `serve` runs on the thread.
    pub(super) fn start<L, F>(
        name: &'static str,
        supervisor: &Supervisor,
        listen: impl FnOnce() -> io::Result<L>,
        serve: impl FnOnce(L) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        L: Send + 'static,
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            listen()?
        };
        let (shut, end) = oneshot::channel();
        let (ending, ended) = oneshot::channel::<()>();
        supervisor.start(name, move || {
            priority::behind_talk();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener) => {}
                    _ = end => {}
                }
            });
            drop(runtime);
            drop(ending);
            Ok(())
        })?;
        Ok(Self { shut, ended })
    }

    /// Ends it. When this returns, the listener is closed.
    pub(super) async fn end(self) {
        drop(self.shut);
        let _ = self.ended.await;
    }
}
