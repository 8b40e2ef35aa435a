//! One connection's task: reads, waits for a socket that takes no more, fetches pages, ends. What
//! its client looks up in a log has a task of its own, so that nothing else waits for it.
//!
//! Most connections are idle most of the time, so what an idle one takes is kept small. A future is
//! as large as the largest thing that it may ever wait for: what is seldom waited for (a page of the
//! log, a full queue, a goodbye) is boxed, and the usual wait is one `poll` without state of its own.
//! It also stands where it is polled, and not a second time where it was passed on from. With
//! `select!` over tokio's `ready` and `notified`, and nothing boxed, the task took 2,048 bytes.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Sleep, sleep_until};

use super::{
    accept::Place,
    gate::Pass,
    newcomers::Newcomer,
    readers::Seat,
    stream::{Sink, Stream},
    worker::Worker,
};
use crate::{
    protocol::frame::Departure,
    server::engine::{
        ConnectionId, Moment, RoomIndex,
        endpoint::{CLOSE_WITHIN, Channel, Endpoint, Pulse},
        event::{Event, Request},
        peer::Turn,
    },
};

/// Bytes of one page from the store.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// Writes to one connection before others have their turn.
const WRITES_MAX: usize = 16;
/// Reads from one connection before others have their turn.
const READS_MAX: usize = 4;
/// A look into a log is followed by a pause as long as it took, and this at most, before the same
/// connection's next one begins: nobody has a reader for himself.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(1);

/// See the module's docs.
pub(super) struct Connection {
    id: ConnectionId,
    stream: Stream,
    pub(super) endpoint: RefCell<Endpoint>,
    /// Tells the task that there is something to do.
    wake: Wake,
    /// The socket took no more; the task waits until it does.
    blocked: Cell<bool>,
    /// It is among those that are written to next.
    touched: Cell<bool>,
    /// Where it stands among the readers of each of its rooms.
    pub(super) seats: RefCell<Box<[Seat]>>,
    /// The task does not read at the moment.
    deaf: Cell<bool>,
    /// The next look into a log does not begin before this time.
    next_look: Cell<Duration>,
    /// Why it is to end, if it is.
    end: Cell<Option<Departure>>,
    /// Until it has joined.
    newcomer: Cell<Option<Box<Newcomer>>>,
    _pass: Pass,
    _place: Place,
}

/// What a connection is counted by.
pub(super) struct Tickets {
    pub(super) place: Place,
    pub(super) newcomer: Newcomer,
    pub(super) pass: Pass,
}

/// Where writing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    /// All is written, for now.
    Idle,
    /// More could be, after others had their turn.
    More,
    Blocked,
    Fetch {
        room: RoomIndex,
        from: u64,
    },
    Wait(Duration),
    /// All is written, for good.
    Done,
    Broken,
}

impl Connection {
    /// One that was made at this time, and whose first bytes, where they are not encrypted, were
    /// these.
    pub(super) fn new(
        id: ConnectionId,
        stream: Stream,
        channel: Channel,
        (since, first): (Moment, &[u8]),
        tickets: Tickets,
    ) -> Self {
        let mut endpoint = Endpoint::new(channel, since);
        if !first.is_empty() {
            endpoint.feed(since, first);
        }
        Self {
            id,
            stream,
            endpoint: RefCell::new(endpoint),
            wake: Wake::default(),
            blocked: Cell::new(false),
            touched: Cell::new(false),
            seats: RefCell::default(),
            deaf: Cell::new(false),
            next_look: Cell::new(Duration::ZERO),
            end: Cell::new(None),
            newcomer: Cell::new(Some(Box::new(tickets.newcomer))),
            _pass: tickets.pass,
            _place: tickets.place,
        }
    }

    // What the worker does with it.

    /// Puts it among those that are written to next; false if it is there already.
    pub(super) fn touch(&self) -> bool {
        !self.touched.replace(true)
    }

    /// Its turn has come.
    pub(super) fn untouch(&self) {
        self.touched.set(false);
    }

    /// Writes what there is to write; what can't be done at once is left to the task.
    pub(super) fn flush_or_wake(&self, worker: &Worker, now: Moment) {
        let done = self.blocked.get()
            || catch_unwind(AssertUnwindSafe(|| self.flush(worker, now)))
                .is_ok_and(|flushed| flushed == Flushed::Idle);
        let endpoint = self.endpoint.borrow();
        let may_go_on = self.deaf.get() && endpoint.may_go_on() || endpoint.may_look();
        // One that is to close has a deadline that its task does not know of yet.
        let ends = endpoint.is_closing() || worker.is_stopping() || self.end.get().is_some();
        if !done || may_go_on || ends {
            self.wake.call();
        }
    }

    /// See [`Endpoint::tick`].
    pub(super) fn tick(&self, worker: &Worker, now: Moment) {
        let pulse = self.endpoint.borrow_mut().tick(now);
        match pulse {
            Pulse::Fine => {}
            Pulse::Ping => self.flush_or_wake(worker, now),
            Pulse::Late => self.wake.call(),
            Pulse::Gone => {
                self.end.set(Some(Departure::Timeout));
                self.wake.call();
            }
        }
    }

    /// It has joined: it need not make room for others any more.
    pub(super) fn settle_in(&self) {
        self.newcomer.take();
    }

    /// Others want to join: if it has not, it ends.
    pub(super) fn make_room(&self) {
        if self.newcomer.take().is_some() {
            self.end.set(Some(Departure::Lost));
            self.wake.call();
        }
    }

    fn flush(&self, worker: &Worker, now: Moment) -> Flushed {
        let mut endpoint = self.endpoint.borrow_mut();
        let mut views = worker.views.borrow_mut();
        for _ in 0..WRITES_MAX {
            match self.stream.settle() {
                Ok(true) => {}
                Ok(false) => {
                    self.blocked.set(true);
                    endpoint.drop_page();
                    return Flushed::Blocked;
                }
                Err(_) => return Flushed::Broken,
            }
            let written = match endpoint.turn(now, &mut views) {
                Turn::Write(gather) => self.stream.write(gather.slices()),
                Turn::Fetch { room, from } => return Flushed::Fetch { room, from },
                Turn::Wait(until) => return Flushed::Wait(until),
                Turn::Idle => return Flushed::Idle,
                Turn::Done => return Flushed::Done,
            };
            match written {
                Ok(0) => return Flushed::Broken,
                // Read anew: a basic client's pause counts from when the object has left.
                Ok(count) => endpoint.wrote(worker.clock.now(), &views, count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.set(true);
                    endpoint.drop_page();
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::More
    }

    // The task.

    pub(super) async fn run(self: Rc<Self>, worker: Rc<Worker>) {
        let reason = {
            let mut serving = pin!(self.serve(&worker));
            // One broken connection is one connection lost, not all of its worker's. (The panic
            // itself was reported.)
            poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
                polled.unwrap_or(Poll::Ready(Departure::Lost))
            })
            .await
        };
        let closed = Event::Closed {
            connection: self.id,
            reason,
        };
        // Nobody is there to be told once the hub has ended.
        let _ = worker.tell(closed).await;
        worker.forget(self.id);
    }

    /// Until the connection has ended; says why.
    async fn serve(self: &Rc<Self>, worker: &Rc<Worker>) -> Departure {
        loop {
            if let Some(reason) = self.end.get() {
                return reason;
            }
            let flushed = if self.blocked.get() {
                Flushed::Blocked
            } else {
                self.flush(worker, worker.clock.now())
            };
            self.look(worker);
            let mut alarm = self.endpoint.borrow().deadline();
            if alarm.is_some_and(|deadline| worker.clock.now().mono >= deadline) {
                return Departure::Lost;
            }
            match flushed {
                Flushed::Broken => return Departure::Lost,
                Flushed::Done => {
                    Box::pin(self.stream.close(CLOSE_WITHIN)).await;
                    return Departure::Disconnect;
                }
                Flushed::Fetch { room, from } => {
                    if !Box::pin(self.fetch(worker, room, from)).await {
                        return Departure::Lost;
                    }
                    continue;
                }
                Flushed::More => tokio::task::yield_now().await,
                Flushed::Wait(until) => alarm = Some(alarm.map_or(until, |at| at.min(until))),
                Flushed::Idle | Flushed::Blocked => {}
            }
            // Nobody who has not joined by now will.
            if worker.is_stopping() && !self.endpoint.borrow().is_closing() {
                return Departure::Shutdown;
            }
            // Who sends no more may still want to read what could not be written yet.
            let unwritten = matches!(flushed, Flushed::More | Flushed::Blocked);
            if !unwritten && self.endpoint.borrow().is_over() {
                return Departure::Lost;
            }
            if let Err(reason) = self.hand_over(worker).await {
                return reason;
            }
            // A challenge is an answer that nobody else knows of.
            let more = flushed == Flushed::More
                || flushed == Flushed::Idle && self.endpoint.borrow().is_answering();
            if !more {
                let ready = match self.wait(worker, alarm).await {
                    Ok(ready) => ready,
                    Err(reason) => return reason,
                };
                if ready.writable && self.blocked.replace(false) {
                    self.endpoint.borrow_mut().alive(worker.clock.now());
                }
                if ready.readable
                    && let Err(reason) = self.read(worker).await
                {
                    return reason;
                }
            }
        }
    }

    /// Until there is something to do: to read, to write, or what the worker says.
    async fn wait(&self, worker: &Worker, alarm: Option<Duration>) -> Result<Ready, Departure> {
        let (may_read, is_over) = {
            let endpoint = self.endpoint.borrow();
            (endpoint.may_read(), endpoint.is_over())
        };
        self.deaf.set(!may_read);
        let readable = may_read && self.stream.is_unread();
        if readable || is_over && !self.blocked.get() {
            return Ok(Ready {
                readable,
                writable: false,
            });
        }
        // Few connections need an alarm.
        let mut alarm = alarm.map(|at| Box::pin(sleep_until(worker.clock.instant(at))));
        poll_fn(|context| self.poll_ready(context, may_read, &mut alarm)).await
    }

    /// Ready for whatever comes first: the socket, the worker's word, the alarm.
    fn poll_ready(
        &self,
        context: &mut Context<'_>,
        may_read: bool,
        alarm: &mut Option<Pin<Box<Sleep>>>,
    ) -> Poll<Result<Ready, Departure>> {
        let mut ready = Ready::default();
        if self.blocked.get() {
            ready.writable = is_ready(&self.stream.poll_write_ready(context))?;
        }
        if may_read {
            ready.readable = is_ready(&self.stream.poll_read_ready(context))?;
        }
        let called = self.wake.poll(context).is_ready();
        let rings = alarm
            .as_mut()
            .is_some_and(|alarm| alarm.as_mut().poll(context).is_ready());
        if called || rings || ready.writable || ready.readable {
            Poll::Ready(Ok(ready))
        } else {
            Poll::Pending
        }
    }

    async fn read(&self, worker: &Worker) -> Result<(), Departure> {
        for _ in 0..READS_MAX {
            let read = {
                let mut endpoint = self.endpoint.borrow_mut();
                if !endpoint.may_read() {
                    return Ok(());
                }
                let mut reader = Reader {
                    endpoint: &mut endpoint,
                    worker,
                };
                let mut scratch = worker.scratch.borrow_mut();
                self.stream.read(&mut reader, &mut scratch)
            };
            match read {
                Ok(false) => {
                    self.endpoint.borrow_mut().end_of_input();
                    return Ok(());
                }
                Ok(true) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Also lets the decoder give its empty buffer back.
                    return self.hand_over(worker).await;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Departure::Lost),
            }
            self.hand_over(worker).await?;
        }
        Ok(())
    }

    /// Gives the hub all requests that have arrived, as far as that many may be under way. When
    /// this is done, there is nothing to hand over: what was answered while it waited for the hub
    /// has let others through, and nobody would wake the task for those.
    ///
    /// What can be done at once is done by the call.
    fn hand_over<'a>(
        &'a self,
        worker: &'a Worker,
    ) -> impl Future<Output = Result<(), Departure>> + 'a {
        let handed = self.hand_over_at_once(worker);
        async {
            match handed {
                Ok(done) => done,
                Err(event) => Box::pin(self.hand_over_in_time(worker, event)).await,
            }
        }
    }

    /// `Err`: this has to wait for something, and then for the hub.
    fn hand_over_at_once(&self, worker: &Worker) -> Result<Result<(), Departure>, Box<Event>> {
        while let Some(event) = self.requests() {
            if worker.passwords.is_some() {
                return Err(Box::new(event));
            }
            match worker.try_tell(event) {
                Ok(true) => {}
                // The hub has ended: so do we.
                Ok(false) => return Ok(Err(Departure::Shutdown)),
                Err(event) => return Err(Box::new(event)),
            }
        }
        Ok(Ok(()))
    }

    async fn hand_over_in_time(&self, worker: &Worker, event: Box<Event>) -> Result<(), Departure> {
        let mut next = Some(*event);
        while let Some(mut event) = next {
            if let (Some(passwords), Event::Requests { requests, .. }) =
                (&worker.passwords, &mut event)
            {
                for request in requests {
                    passwords.look_at(worker.clock, request).await;
                }
            }
            if !worker.tell(event).await {
                return Err(Departure::Shutdown);
            }
            next = self.requests();
        }
        Ok(())
    }

    /// All requests that have arrived, as far as that many may be under way.
    fn requests(&self) -> Option<Event> {
        let mut endpoint = self.endpoint.borrow_mut();
        let requests: Vec<Request> = std::iter::from_fn(|| endpoint.request(random)).collect();
        (!requests.is_empty()).then_some(Event::Requests {
            connection: self.id,
            requests,
        })
    }

    /// Fetches a page and writes what the socket takes of it; false if there is none to be had, or
    /// the log has lost what came next.
    /// Few do so at one time, and nobody keeps a page while his socket is full.
    async fn fetch(&self, worker: &Worker, room: RoomIndex, from: u64) -> bool {
        let Ok(_permit) = worker.pages_at_once.acquire().await else {
            return false;
        };
        let Ok(page) = worker.pages.read(room, from, PAGE_BYTES_MAX).await else {
            return false;
        };
        if !self.endpoint.borrow_mut().take_page(room, page) {
            return false;
        }
        while self.endpoint.borrow().has_page() && !self.blocked.get() {
            match self.flush(worker, worker.clock.now()) {
                Flushed::More => {}
                Flushed::Broken => return false,
                _ => break,
            }
        }
        self.endpoint.borrow_mut().drop_page();
        true
    }

    /// Begins the look into a log that its client asked for, if it is time for it.
    fn look(self: &Rc<Self>, worker: &Rc<Worker>) {
        let Some(look) = self.endpoint.borrow_mut().look() else {
            return;
        };
        let due = worker.clock.instant(self.next_look.get());
        let (this, worker) = (Rc::downgrade(self), Rc::clone(worker));
        tokio::task::spawn_local(async move {
            sleep_until(due).await;
            let Ok(_permit) = worker.looks_at_once.acquire().await else {
                return;
            };
            // It may have ended while others had their turn.
            if this.strong_count() == 0 {
                return;
            }
            let begun = worker.clock.now();
            let looked = worker.pages.look(look).await;
            if let Some(connection) = this.upgrade() {
                let now = worker.clock.now();
                let took = now.mono.saturating_sub(begun.mono).min(LOOK_PAUSE_MAX);
                connection.next_look.set(now.mono + took);
                let answer = || connection.endpoint.borrow_mut().looked(&looked);
                if catch_unwind(AssertUnwindSafe(answer)).is_err() {
                    connection.end.set(Some(Departure::Lost));
                }
                connection.flush_or_wake(&worker, now);
            }
        });
    }
}

/// An endpoint that reads.
struct Reader<'a> {
    endpoint: &'a mut Endpoint,
    worker: &'a Worker,
}

impl Sink for Reader<'_> {
    fn is_drained(&self) -> bool {
        self.endpoint.is_drained()
    }

    fn feed(&mut self, bytes: &[u8]) {
        let now = self.worker.clock.now();
        let count = self.endpoint.feed(now, bytes);
        debug_assert_eq!(count, bytes.len(), "there is space for a whole read");
    }

    fn space(&mut self) -> &mut [u8] {
        self.endpoint.space()
    }

    fn filled(&mut self, count: usize) {
        if count > 0 {
            self.endpoint.received(self.worker.clock.now(), count);
        }
    }
}

/// What a socket is ready for.
#[derive(Clone, Copy, Default)]
struct Ready {
    readable: bool,
    writable: bool,
}

fn is_ready(polled: &Poll<io::Result<()>>) -> Result<bool, Departure> {
    match polled {
        Poll::Ready(Ok(())) => Ok(true),
        Poll::Ready(Err(_)) => Err(Departure::Lost),
        Poll::Pending => Ok(false),
    }
}

/// Wakes one task of this thread, now or when it next waits: what [`tokio::sync::Notify`] does for
/// many, without a place in a list of theirs.
#[derive(Default)]
struct Wake {
    called: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Wake {
    fn call(&self) {
        self.called.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.called.take() {
            return Poll::Ready(());
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// For secrets and nonces. Without randomness there are none: the connection ends rather than be
/// given one that can be guessed.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the system gives no random bytes: {error}");
    }
    bytes
}
