//! Servers and clients with one fault each. The checker must find each; otherwise it proves
//! nothing.

use std::{collections::HashMap, sync::Arc};

use chat_tui::{
    protocol::{
        ClientFrame, Content, DeviceId, MessageId, Nickname, ServerFrame,
        frame::{ErrorCode, ErrorFrame, Member},
        wire::{encode_client, parse_client},
    },
    server::{
        core::event::{ConnectionCommand, Joined, PresenceChanges, Publication, Request},
        log::{
            Batch, Operation, Run, StateRecord,
            segment::{Segment, SegmentBuilder},
        },
    },
    text::Body,
};

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A repeated message is stored again.
    NoDeduplication,
    /// A returning client gets the messages from one too late.
    CursorOffByOne,
    /// Two messages of a commit are forwarded in each other's place.
    OutOfOrder,
    /// Messages are acknowledged and forwarded while their commit is still under way.
    AcknowledgesEarly,
    /// After a temporary refusal, the messages behind it are taken all the same.
    HoldsNothingBack,
    /// Messages are acknowledged when they are written, before they would survive a power cut.
    SyncsLater,
    /// A client's disk stores a cursor before the messages up to it.
    CursorFirst,
    /// The owner of a nickname is announced before it is stored, with the next commit.
    OwnershipEarly,
    /// A device is opened to everybody who has its token, whatever their key.
    DeviceOfAnybody,
    /// A page of history leaves a message out.
    PageWithAHole,
    /// A device does not take over a nickname that another device of its user took, and requests
    /// the one that it knows.
    MissesRenames,
    /// A device that reconnects requests the nickname that it was told, as if that were a wish.
    AsksAgain,
    /// No message is of an earlier time than those before it, whatever the clock was.
    TimesStandStill,
    /// Of the messages that one process hands to another the first is lost.
    HandoverLoses,
    /// Messages that one process has taken over from another can be taken over again.
    HandoverDoubles,
    /// Of two texts the one that comes later stays, whichever edit is the later one.
    FoldsAsItComes,
    /// A client's disk is not told of what was changed while the client was away.
    CacheNotTold,
    /// The server's memory keeps the frames of entries that were changed.
    MemoryNotTold,
    /// An edit to the same text is an entry.
    StoresUnchanged,
    /// Everybody may edit everybody's messages.
    EditsOfOthers,
    /// The answer to a question for changes leaves one out.
    ChangesWithAHole,
    /// A search finds what the user may not read.
    SearchSeesAll,
    /// Who leaves a room is sent what is said there for a while.
    LeavesLate,
    /// A client's user has read a room when they write in it.
    ReadsBySending,
    /// Somebody who wants a room by the name of a private one is told that the name is taken.
    NameTold,
    /// An advance of a marker from before it was set by hand counts.
    OldAdvance,
}

/// Gives a repeated message a new id.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    highest: HashMap<DeviceId, u64>,
    made: u64,
}

impl Forgetting {
    /// Adds the fault to the batch.
    pub(crate) fn spoil(&mut self, batch: &mut Batch) {
        for operation in &mut batch.operations {
            if let Operation::Append { id, settled, .. } = operation {
                let highest = self.highest.entry(id.device).or_default();
                if id.counter > *highest {
                    *highest = id.counter;
                    continue;
                }
                self.made += 1;
                let mut device = [0xee; 12];
                device[..8].copy_from_slice(&self.made.to_le_bytes());
                *id = MessageId {
                    device: DeviceId::from_bytes(device),
                    counter: 1,
                };
                *settled = 0;
            }
        }
    }
}

/// Knows who wrote each message, and its text.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    known: HashMap<MessageId, (Arc<Member>, Body)>,
}

impl Messages {
    /// Passes edits of others' messages off as their authors' own.
    pub(crate) fn sign_for_others(&mut self, batch: &mut Batch) {
        self.each_edit(batch, |(author, _), sender, _| *sender = Arc::clone(author));
    }

    /// Makes edits differ that change nothing.
    pub(crate) fn change_unchanged(&mut self, batch: &mut Batch) {
        self.each_edit(batch, |(_, text), _, edit| {
            if text == edit {
                *edit = Body::inert(&format!("{} again", edit.as_str()));
            }
        });
    }

    fn each_edit(
        &mut self,
        batch: &mut Batch,
        spoil: impl Fn(&(Arc<Member>, Body), &mut Arc<Member>, &mut Body),
    ) {
        for operation in &mut batch.operations {
            let Operation::Append {
                id,
                sender,
                content,
                ..
            } = operation
            else {
                continue;
            };
            match content {
                Content::Text(body) => {
                    let message = (Arc::clone(sender), body.clone());
                    self.known.insert(*id, message);
                }
                Content::Edit { target, body } => {
                    if let Some(message) = self.known.get_mut(target) {
                        let text = body.clone();
                        spoil(message, sender, body);
                        message.1 = text;
                    }
                }
                Content::Redaction { .. } => {}
            }
        }
    }
}

/// Replaces this batch's state records by those of the batch before, and returns its own.
pub(crate) fn facts_of_before(batch: &mut Batch, before: &mut Vec<StateRecord>) {
    let mut later = Vec::new();
    for operation in &mut batch.operations {
        if let Operation::PutState(facts) = operation {
            later.append(facts);
            facts.append(before);
        }
    }
    // Without a record to replace, they wait on.
    before.append(&mut later);
}

/// Makes every device look as if opened without a key.
pub(crate) fn forget_owners(batch: &mut Batch) {
    for operation in &mut batch.operations {
        if let Operation::OpenDevice { owner, .. } = operation {
            *owner = None;
        }
    }
}

/// Claims for every message that the one before it was settled.
pub(crate) fn fill_holes(batch: &mut Batch) {
    for operation in &mut batch.operations {
        if let Operation::Append { id, settled, .. } = operation {
            *settled = id.counter - 1;
        }
    }
}

/// Turns the nickname of a `join` into a wish: the one that stands there, or another.
pub(crate) fn ask_again(frame: &mut Vec<u8>, nickname: Option<&Nickname>) {
    let Ok(ClientFrame::Join(mut join)) = parse_client(frame.trim_ascii_end()) else {
        return;
    };
    join.keep_nickname = false;
    if let Some(nickname) = nickname {
        join.nickname = nickname.clone();
    }
    frame.clear();
    encode_client(&ClientFrame::Join(join), frame);
}

/// Moves every start that follows a cursor on by one.
pub(crate) fn off_by_one(joined: &mut Joined) {
    for (start, (_, next)) in joined.welcome.rooms.iter_mut().zip(&mut joined.rooms) {
        if start.next <= start.extent.head {
            start.next += 1;
            *next += 1;
        }
    }
}

/// Swaps the first two messages of each run, numbers and all.
pub(crate) fn out_of_order(publication: &Publication) -> Publication {
    let runs = publication.runs.iter().map(|run| Run {
        room: run.room,
        segment: swap(run),
    });
    Publication {
        runs: runs.collect(),
        ..copy(publication)
    }
}

/// Leaves out the frames that were rewritten.
pub(crate) fn not_rewritten(publication: &Publication) -> Publication {
    Publication {
        rewritten: Vec::new(),
        ..copy(publication)
    }
}

fn copy(publication: &Publication) -> Publication {
    let presence = publication.presence.iter().map(|run| PresenceChanges {
        room: run.room,
        segment: run.segment.clone(),
        changes: run.changes.clone(),
        at: run.at,
    });
    Publication {
        runs: publication.runs.clone(),
        rewritten: publication.rewritten.clone(),
        firsts: publication.firsts.clone(),
        rules: publication.rules.clone(),
        presence: presence.collect(),
    }
}

/// Whether a command ends a room for its connection.
pub(crate) fn ends_room(command: &ConnectionCommand) -> bool {
    match command {
        ConnectionCommand::Leave(_) => true,
        ConnectionCommand::Tell(frame) => matches!(**frame, ServerFrame::RoomLeft { .. }),
        _ => false,
    }
}

/// Turns the result of a request about a private room's name into a refusal.
pub(crate) fn tell_name(command: &mut ConnectionCommand, is_private: impl Fn(Option<u64>) -> bool) {
    let ConnectionCommand::Answer(Some(frame)) = command else {
        return;
    };
    if let ServerFrame::Result(result) = &**frame
        && is_private(result.reference)
    {
        let message = "There is a room of that name already";
        **frame = ServerFrame::Error(ErrorFrame {
            reference: result.reference,
            ..ErrorFrame::new(ErrorCode::NotAllowed, message)
        });
    }
}

/// Gives an advance of a marker the generation in force.
pub(crate) fn renew_advance(request: &mut Request, generation: u64) {
    if let Request::Frame(ClientFrame::Read { marker, .. }) = request {
        marker.generation = generation;
    }
}

fn swap(run: &Run) -> Segment {
    let numbers: Vec<u64> = (run.segment.first()..run.segment.next()).collect();
    if numbers.len() < 2 {
        return run.segment.clone();
    }
    let mut order = numbers.clone();
    order.swap(0, 1);
    let mut built = SegmentBuilder::new(run.segment.first());
    for number in order {
        let frame = run.segment.frame(number).unwrap_or_default();
        built.push(|out| out.extend_from_slice(frame));
    }
    built.finish()
}
