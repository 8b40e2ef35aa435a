//! What must hold, whatever the network and the server went through.
//!
//! The truth is what the store committed ([`Truth`]); every client's screen is compared with it,
//! event by event ([`Witness`]), and all once more at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_tui::{
    client::event::{Delivery, Event, LocalId, Received, RoomOpened},
    protocol::{Epoch, MessageId, ServerFrame, UserId, wire::parse_server},
    server::store::Committed,
};

/// A rule that was broken, in words.
pub(crate) type Fault = String;

/// One committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) text: String,
}

/// One log: entry `seq` lies at `seq` - 1.
#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    texts: HashMap<String, u64>,
    ids: HashMap<MessageId, u64>,
}

/// Everything that was ever committed.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    logs: HashMap<Epoch, Log>,
}

impl Truth {
    /// Takes in what a commit gave out, and checks the numbers and ids of it.
    pub(crate) fn commit(&mut self, epoch: Epoch, committed: &Committed) -> Result<(), Fault> {
        let log = self.logs.entry(epoch).or_default();
        for run in &committed.runs {
            for seq in run.segment.first()..run.segment.next() {
                let frame = run.segment.frame(seq).ok_or("a run has a hole")?;
                let Ok(ServerFrame::Message(message)) = parse_server(frame) else {
                    return Err(format!("number {seq} of the log is no message"));
                };
                let head = log.entries.len() as u64;
                if message.seq != seq || seq != head + 1 {
                    return Err(format!("number {seq} follows {head} in the log"));
                }
                let text = message.body.as_str().to_owned();
                let same_text = log.texts.insert(text.clone(), seq);
                if let Some(before) = same_text.or(log.ids.insert(message.id, seq)) {
                    return Err(format!("{text:?} is in the log as {before} and as {seq}"));
                }
                log.entries.push(Entry {
                    id: message.id,
                    text,
                });
            }
        }
        Ok(())
    }

    fn entry(&self, epoch: Epoch, seq: u64) -> Option<&Entry> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.logs.get(&epoch)?.entries.get(at)
    }

    fn find(&self, epoch: Epoch, text: &str) -> Option<u64> {
        self.logs.get(&epoch)?.texts.get(text).copied()
    }

    fn head(&self, epoch: Epoch) -> u64 {
        self.logs
            .get(&epoch)
            .map_or(0, |log| log.entries.len() as u64)
    }

    /// One device's messages keep the order of their typing.
    pub(crate) fn check_order(&self) -> Result<(), Fault> {
        for log in self.logs.values() {
            let mut latest: HashMap<_, u64> = HashMap::new();
            for (seq, entry) in (1..).zip(&log.entries) {
                let before = latest
                    .insert(entry.id.device, entry.id.counter)
                    .unwrap_or(0);
                if entry.id.counter <= before {
                    return Err(format!(
                        "number {seq} has the counter {} after {before}",
                        entry.id.counter
                    ));
                }
            }
        }
        Ok(())
    }
}

/// What one client typed and was shown.
#[derive(Debug)]
pub(crate) struct Witness {
    name: String,
    /// The log that its open connection leads to; the last one while it has none.
    epoch: Option<Epoch>,
    /// The log of what it holds, and the last number held of it.
    held: Option<(Epoch, u64)>,
    /// The number that must come next on this connection.
    due: Option<u64>,
    typed: BTreeMap<LocalId, Typed>,
    texts: HashMap<String, LocalId>,
    /// Who the member list says are there.
    members: BTreeSet<UserId>,
    ended: bool,
}

#[derive(Debug)]
struct Typed {
    text: String,
    delivery: Delivery,
    /// The log that the message was acknowledged in.
    settled_in: Option<Epoch>,
    echoed: BTreeSet<Epoch>,
}

impl Witness {
    /// Of a client that has seen nothing.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            epoch: None,
            held: None,
            due: None,
            typed: BTreeMap::new(),
            texts: HashMap::new(),
            members: BTreeSet::new(),
            ended: false,
        }
    }

    /// A connection to a server with this log is open.
    pub(crate) fn opened(&mut self, epoch: Epoch) {
        self.epoch = Some(epoch);
        self.due = None;
    }

    /// The numbers of messages whose outcome the client does not know.
    pub(crate) fn pending(&self) -> Vec<LocalId> {
        let pending = self
            .typed
            .iter()
            .filter(|(_, typed)| typed.delivery == Delivery::Pending);
        pending.map(|(local, _)| *local).collect()
    }

    /// Whether the session is over.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes in what the client's screen is told.
    pub(crate) fn see(&mut self, truth: &Truth, event: &Event) -> Result<(), Fault> {
        self.check(truth, event)
            .map_err(|fault| format!("{}: {fault}", self.name))
    }

    fn check(&mut self, truth: &Truth, event: &Event) -> Result<(), Fault> {
        match event {
            Event::Room(opened) => self.room(opened),
            Event::Message(received) => self.message(truth, received),
            Event::Outbox {
                local,
                body,
                delivery,
                ..
            } => self.outbox(truth, *local, body.as_str(), delivery),
            Event::Members { members, .. } => {
                self.members = members.iter().map(|member| member.user).collect();
                Ok(())
            }
            Event::Joined { member, .. } => {
                self.members.insert(member.user);
                Ok(())
            }
            Event::Left { user, .. } => {
                self.members.remove(user);
                Ok(())
            }
            Event::Notice(line) if line.as_str().contains("broke the protocol") => {
                Err(line.to_string())
            }
            Event::Link(chat_tui::client::event::Link::Waiting { why, .. })
                if why.as_str().contains("broke the protocol") =>
            {
                Err(why.to_string())
            }
            Event::Ended(_) => {
                self.ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn room(&mut self, opened: &RoomOpened) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a room without a connection")?;
        match self.held {
            Some((held, _)) if held != epoch && opened.reset.is_none() => {
                return Err("the log is another one, and nobody said so".into());
            }
            Some((held, seq)) if held == epoch => {
                if opened.reset.is_some() {
                    return Err(format!("a reset without need: {:?}", opened.reset));
                }
                let next = (seq + 1).max(opened.first);
                if opened.next != next {
                    return Err(format!("held {seq}, and goes on with {}", opened.next));
                }
            }
            _ => {}
        }
        if opened.reset.is_some() {
            self.held = None;
        }
        self.due = Some(opened.next);
        Ok(())
    }

    fn message(&mut self, truth: &Truth, received: &Received) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a message without a connection")?;
        let seq = received.seq.ok_or("a message without a number")?;
        let text = received.body.as_str();
        if self.due != Some(seq) {
            return Err(format!("{seq} came where {:?} was due", self.due));
        }
        if let Some((held, last)) = self.held
            && held == epoch
            && seq <= last
        {
            return Err(format!("{seq} was shown before"));
        }
        let entry = truth
            .entry(epoch, seq)
            .ok_or(format!("{seq} was shown before its commit"))?;
        if Some(entry.id) != received.id || entry.text != text {
            return Err(format!(
                "{seq} is {:?} in the log and {text:?} on the screen",
                entry.text
            ));
        }
        self.due = Some(seq + 1);
        self.held = Some((epoch, seq));
        let ours = self.texts.get(text).copied();
        if ours != received.local {
            return Err(format!(
                "{text:?} is {ours:?} of ours, shown as {:?}",
                received.local
            ));
        }
        if let Some(local) = ours
            && let Some(typed) = self.typed.get_mut(&local)
            && !typed.echoed.insert(epoch)
        {
            return Err(format!("{text:?} was shown twice"));
        }
        Ok(())
    }

    fn outbox(
        &mut self,
        truth: &Truth,
        local: LocalId,
        text: &str,
        delivery: &Delivery,
    ) -> Result<(), Fault> {
        let epoch = self.epoch;
        let typed = self.typed.entry(local).or_insert_with(|| Typed {
            text: text.to_owned(),
            delivery: Delivery::Pending,
            settled_in: None,
            echoed: BTreeSet::new(),
        });
        self.texts.insert(text.to_owned(), local);
        if !is_open(&typed.delivery) && typed.delivery != *delivery {
            return Err(format!(
                "{text:?} was {:?} and becomes {delivery:?}",
                typed.delivery
            ));
        }
        typed.delivery = delivery.clone();
        if is_open(delivery) {
            return Ok(());
        }
        typed.settled_in = epoch;
        let stored = epoch.and_then(|epoch| truth.find(epoch, text));
        match delivery {
            Delivery::Sent { seq } if stored.is_none() || seq.is_some() && *seq != stored => Err(
                format!("{text:?} is sent as {seq:?}, and in the log as {stored:?}"),
            ),
            Delivery::Withdrawn | Delivery::Failed { .. } if stored.is_some() => Err(format!(
                "{text:?} is {delivery:?}, and in the log as {stored:?}"
            )),
            _ => Ok(()),
        }
    }

    /// What must hold once all faults are over and all is quiet.
    pub(crate) fn settled(
        &self,
        truth: &Truth,
        epoch: Epoch,
        present: &BTreeSet<UserId>,
    ) -> Result<(), Fault> {
        let fault = |fault: String| Err(format!("{}: {fault}", self.name));
        for typed in self.typed.values() {
            if is_open(&typed.delivery) {
                return fault(format!("{:?} is still {:?}", typed.text, typed.delivery));
            }
            let there = typed
                .settled_in
                .is_some_and(|epoch| truth.find(epoch, &typed.text).is_some());
            let sent = matches!(typed.delivery, Delivery::Sent { .. });
            if sent != there {
                return fault(format!(
                    "{:?} is {:?}, in the log: {there}",
                    typed.text, typed.delivery
                ));
            }
        }
        let head = truth.head(epoch);
        let shown = self
            .held
            .filter(|(held, _)| *held == epoch)
            .map_or(0, |(_, seq)| seq);
        if shown != head {
            return fault(format!("holds {shown} of {head}"));
        }
        if self.members != *present {
            return fault(format!("lists {:?}, present are {present:?}", self.members));
        }
        Ok(())
    }
}

/// Whether the outcome is not known yet. (A slow server may be taken for a basic one, which never
/// confirms; the truth comes out later.)
fn is_open(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Pending | Delivery::Unconfirmed)
}
