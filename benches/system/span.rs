//! Measurements between two moments.

use std::time::Instant;

use crate::{
    figures::{machine_cpu, own_cpu},
    load::Load,
    server::Server,
};

/// The start of a measurement.
pub(crate) struct Span {
    begin: Instant,
    cpu: f64,
    own: f64,
    machine: f64,
    deliveries: u64,
}

/// The difference between the two moments.
pub(crate) struct Taken {
    pub(crate) seconds: f64,
    /// Processor time of the server, in seconds.
    pub(crate) cpu: f64,
    /// Processors used by the generator, and by everything else.
    pub(crate) own: f64,
    pub(crate) others: f64,
    pub(crate) deliveries: f64,
}

impl Span {
    pub(crate) fn begin(server: &Server, load: &Load) -> Self {
        Self {
            begin: Instant::now(),
            cpu: server.cpu(),
            own: own_cpu(),
            machine: machine_cpu(),
            deliveries: load.counts.deliveries,
        }
    }

    pub(crate) fn end(&self, server: &Server, load: &Load) -> Taken {
        let seconds = self.begin.elapsed().as_secs_f64();
        let (cpu, own) = (server.cpu() - self.cpu, own_cpu() - self.own);
        Taken {
            seconds,
            cpu,
            own: own / seconds,
            others: ((machine_cpu() - self.machine - cpu - own) / seconds).max(0.0),
            deliveries: (load.counts.deliveries - self.deliveries) as f64,
        }
    }
}

impl Taken {
    /// Microseconds of the server's processor time for each delivery.
    pub(crate) fn per_delivery(&self) -> f64 {
        self.cpu * 1e6 / self.deliveries
    }

    /// The same for a message to this many members.
    pub(crate) fn per_message(&self, members: usize) -> f64 {
        self.per_delivery() * members as f64
    }

    /// Messages a second, by deliveries to this many members each.
    pub(crate) fn messages_per_second(&self, members: usize) -> f64 {
        self.deliveries / members as f64 / self.seconds
    }

    /// Formats the use of the processors.
    pub(crate) fn cores(&self) -> String {
        format!(
            "server {:.2}, generator {:.2}, others {:.2} cores",
            self.cpu / self.seconds,
            self.own,
            self.others
        )
    }
}
