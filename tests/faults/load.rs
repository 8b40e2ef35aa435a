//! Several clients at once, each on a thread of its own.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::client::{Client, Gone};

/// The largest number of messages of one client in one round.
const ROUND_MAX: u32 = 2_000;

pub(crate) struct Load {
    pub(crate) clients: Vec<Client>,
}

impl Load {
    pub(crate) fn new(clients: u8) -> Self {
        Self {
            clients: (1..=clients).map(Client::new).collect(),
        }
    }

    /// All clients send until their connections end (or they have sent a great deal); `meanwhile`
    /// makes the fault.
    pub(crate) fn talk(&mut self, address: SocketAddr, meanwhile: impl FnOnce()) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in &mut self.clients {
                scope.spawn(|| {
                    let _gone: Result<(), Gone> = chatter(client, address, &over);
                    client.hang_up();
                });
            }
            meanwhile();
            over.store(true, Ordering::Relaxed);
        });
    }

    /// All clients resume, send nothing new, and stay until every message has an outcome and all
    /// read the same log; then the acknowledged messages are checked.
    pub(crate) fn settle(&mut self, address: SocketAddr) {
        thread::scope(|scope| {
            for client in &mut self.clients {
                scope.spawn(|| drain(client, address));
            }
        });
        // The last message has reached everybody who joins now.
        let mut reader = Client::new(u8::MAX);
        let head = reader.join(address).unwrap().rooms[0].extent.head;
        for client in self.clients.iter_mut().chain([&mut reader]) {
            client.resume(address).unwrap();
            while (client.log.len() as u64) < head {
                client.read().unwrap();
            }
            client.hang_up();
        }
        for client in &self.clients {
            assert!(client.log == reader.log, "two read different logs");
            client.check(&reader.log);
        }
    }

    /// The number of acknowledged messages.
    pub(crate) fn promised(&self) -> usize {
        self.clients
            .iter()
            .map(|client| client.promised.len())
            .sum()
    }
}

fn chatter(client: &mut Client, address: SocketAddr, over: &AtomicBool) -> Result<(), Gone> {
    client.resume(address)?;
    for _ in 0..ROUND_MAX {
        client.say();
        client.write()?;
        while client.out() >= 16 {
            client.read()?;
        }
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
    while !client.is_quiet() {
        client.read()?;
    }
    Ok(())
}

fn drain(client: &mut Client, address: SocketAddr) {
    client.resume(address).unwrap();
    while !client.is_quiet() {
        client.write().unwrap();
        client.read().unwrap();
    }
    client.hang_up();
}
