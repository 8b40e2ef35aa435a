//! The checks of one commit: the outcome of each content that the hub gave to the store, the new
//! frames, and the frames that were rewritten.

use std::collections::BTreeMap;

use chat_tui::{
    protocol::{
        Content, Epoch, Extent, MessageId, RoomId, ServerFrame, UserId, wire::parse_server,
    },
    server::log::{Batch, Committed, MessageOutcome, OpResult, Operation, SERVER_DEVICE},
};
use jiff::Timestamp;

use super::{
    Account, Entry, Fault, Log, Member, NOT_KNOWN, Room, Truth, What, key, protocol, rule::Verdict,
    within_a_minute,
};

impl Truth {
    /// Records a commit of the batch that the hub `asked` for, and checks it.
    pub(crate) fn commit(
        &mut self,
        epoch: Epoch,
        asked: &Batch,
        committed: &Committed,
    ) -> Result<(), Fault> {
        let log = self.logs.entry(epoch).or_default();
        let extent = |(id, room): (&RoomId, &Room)| (*id, Extent::new(room.first(), room.head()));
        let before: BTreeMap<_, _> = log.rooms.iter().map(extent).collect();
        let unchanged = log.take_results(asked, committed)?;
        self.unchanged.extend(unchanged);
        self.check_erasers(epoch, asked, committed)?;
        let log = self.logs.entry(epoch).or_default();
        for (room, first) in &committed.firsts {
            let room = log.rooms.entry(*room).or_default();
            if *first <= room.evicted_below || *first > room.head() + 1 {
                return Err(format!("history begins at {first} all at once"));
            }
            room.evicted_below = *first;
        }
        for run in &committed.runs {
            for seq in run.segment.first()..run.segment.next() {
                let frame = run.segment.frame(seq).ok_or("a run has a hole")?;
                log.check_new(run.room, seq, frame)?;
            }
        }
        let rooms: Vec<_> = log.rooms.keys().copied().collect();
        for room in rooms {
            let before = before.get(&room).copied().unwrap_or(Extent::EMPTY);
            let run = committed.runs.iter().find(|run| run.room == room);
            let frames = run.map_or(0, |run| run.segment.next() - run.segment.first());
            let head = log.rooms.get(&room).map_or(0, Room::head);
            if before.head + frames != head {
                return Err(format!(
                    "{frames} frames of {room} from {before:?} to {head}"
                ));
            }
            log.check_changes(room, before, committed)?;
        }
        Ok(())
    }

    /// Checks that whoever erased what others wrote was given a role for it.
    fn check_erasers(
        &mut self,
        epoch: Epoch,
        asked: &Batch,
        committed: &Committed,
    ) -> Result<(), Fault> {
        for (operation, result) in asked.operations.iter().zip(&committed.results) {
            match operation {
                Operation::PutState(records) => {
                    for record in records.iter().filter(|record| &*record.kind == "member") {
                        let member = record.value.as_deref().map(serde_json::from_str::<Member>);
                        if let Some(Ok(Member { moderator: true })) = member
                            && let Some((user, _)) = record.key.split_once(' ')
                            && let Ok(user) = UserId::parse(user)
                        {
                            self.moderators.insert(user);
                        }
                    }
                    for record in records.iter().filter(|record| &*record.kind == "account") {
                        let account = record.value.as_deref().map(serde_json::from_str::<Account>);
                        if let Some(Ok(account)) = account
                            && ["moderator", "owner"].contains(&account.role.as_str())
                            && let Ok(user) = UserId::parse(&record.key)
                        {
                            self.moderators.insert(user);
                        }
                    }
                }
                Operation::Append {
                    sender,
                    content: Content::Redaction { target, .. },
                    ..
                } if matches!(result, OpResult::Done(MessageOutcome::Stored { .. })) => {
                    let place = self.place(epoch, *target);
                    let target = place.and_then(|(room, seq)| self.entry(epoch, room, seq));
                    let own = target.is_some_and(|target| target.user == sender.user);
                    if !own && !self.moderators.contains(&sender.user) {
                        let user = sender.user;
                        return Err(format!("{user}, who has no role, has erased {target:?}"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Log {
    /// Takes the outcomes of the operations, and adds the entries that were stored. Returns the
    /// keys of contents that changed nothing.
    fn take_results(&mut self, asked: &Batch, committed: &Committed) -> Result<Vec<String>, Fault> {
        if asked.operations.len() != committed.results.len() {
            return Err("not every operation has a result".into());
        }
        let mut unchanged = Vec::new();
        let retains = |operation: &Operation| matches!(operation, Operation::Retain(_));
        let retains = asked.operations.iter().any(retains);
        for (operation, result) in asked.operations.iter().zip(&committed.results) {
            if let Operation::Note { room, by, event } = operation {
                let OpResult::Done(MessageOutcome::Stored { seq, time, .. }) = *result else {
                    return Err(format!("{event:?} is {result:?}"));
                };
                let entry = Entry {
                    id: NOT_KNOWN,
                    user: by.user,
                    nickname: by.nickname.clone(),
                    time,
                    clock_was: None,
                    unproven: false,
                    what: What::Noted(event.clone()),
                };
                self.take_stored(*room, seq, entry)?;
                continue;
            }
            let Operation::Append {
                id,
                room,
                sender,
                content,
                mentions,
                moderates,
                ..
            } = operation
            else {
                continue;
            };
            let room = *room;
            let OpResult::Done(outcome) = *result else {
                self.check_repeated(*id, result)?;
                continue;
            };
            let verdict = self.verdict(room, sender.user, content, *moderates);
            let done = match outcome {
                MessageOutcome::Stored { .. } => Verdict::Stored,
                MessageOutcome::Unchanged => Verdict::Unchanged,
                MessageOutcome::Refused(code) => Verdict::Refused(code),
                MessageOutcome::Withdrawn | MessageOutcome::Forgotten => {
                    return Err(format!("{id} of {} is {outcome:?}", sender.user));
                }
            };
            // The target may have been evicted earlier in the batch.
            let evicted = retains && content.target().is_some() && !matches!(done, Verdict::Stored);
            if done != verdict && !evicted {
                return Err(format!(
                    "{content:?} of {} is {outcome:?}, not {verdict:?}",
                    sender.user
                ));
            }
            match outcome {
                MessageOutcome::Stored { seq, time, .. } => {
                    let entry = Entry {
                        id: *id,
                        user: sender.user,
                        nickname: sender.nickname.clone(),
                        time,
                        clock_was: None,
                        unproven: false,
                        what: What::Sent(content.clone(), mentions.clone()),
                    };
                    self.take_stored(room, seq, entry)?;
                }
                MessageOutcome::Unchanged => unchanged.push(key(content)),
                _ => {}
            }
        }
        Ok(unchanged)
    }

    fn take_stored(&mut self, room: RoomId, seq: u64, entry: Entry) -> Result<(), Fault> {
        let head = self.rooms.get(&room).map_or(0, Room::head);
        if seq != head + 1 {
            return Err(format!("number {seq} of {room} follows {head} in the log"));
        }
        self.add(room, seq, entry).map_or(Ok(()), |(key, before)| {
            Err(format!("{key:?} is in the log as {before} and as {seq}"))
        })
    }

    fn check_repeated(&self, id: MessageId, result: &OpResult) -> Result<(), Fault> {
        let known = self.ids.get(&id).map(|(_, seq)| *seq);
        let is_true = match result {
            OpResult::Repeated(MessageOutcome::Stored { seq, .. }) => known == Some(*seq),
            OpResult::Repeated(MessageOutcome::Forgotten) => true,
            _ => known.is_none(),
        };
        if is_true {
            Ok(())
        } else {
            Err(format!(
                "{id} is {known:?} in the log, and {result:?} again"
            ))
        }
    }

    /// Checks the frame of a new entry, and takes from it what only the frame says.
    fn check_new(&mut self, id: RoomId, seq: u64, frame: &[u8]) -> Result<(), Fault> {
        let shown = read(frame)?;
        let room = self.rooms.entry(id).or_default();
        let before = room.entry(seq - 1).map(|before| before.time);
        let head = room.head();
        let at = usize::try_from(seq - 1).map_err(|_| "a number")?;
        let Some(entry) = room.entries.get_mut(at) else {
            return Err(format!("{seq} of {id} was stored, and nobody said so"));
        };
        if entry.id == NOT_KNOWN && shown.id.device == SERVER_DEVICE {
            entry.id = shown.id;
            if self.ids.insert(shown.id, (id, seq)).is_some() {
                return Err(format!("{:?} is there twice", shown.id));
            }
            room.numbers.insert(shown.id, seq);
        }
        entry.clock_was = shown.clock_was;
        entry.unproven = !shown.author.proven;
        let same = shown.seq == seq
            && shown.room == id
            && shown.id == entry.id
            && shown.time == entry.time
            && shown.author.user == entry.user
            && shown.author.nickname == entry.nickname;
        if !same {
            return Err(format!("{entry:?} has the frame {shown:?}"));
        }
        check_clock(seq, (shown.time, shown.clock_was), before)?;
        let expected = room.frame(seq, head, room.first());
        // What was evicted at once is as it was before.
        if expected.as_ref() == Some(&shown.kind) || seq < room.first() {
            Ok(())
        } else {
            Err(format!("{:?} of {seq} is to be {expected:?}", shown.kind))
        }
    }

    /// Checks what a commit says of the entries of earlier ones.
    fn check_changes(
        &self,
        id: RoomId,
        before: Extent,
        committed: &Committed,
    ) -> Result<(), Fault> {
        let Some(room) = self.rooms.get(&id) else {
            return Ok(());
        };
        let head = room.head();
        let mut rewritten = BTreeMap::new();
        for change in committed
            .rewritten
            .iter()
            .filter(|change| change.room == id)
        {
            let shown = read(&change.frame)?;
            if shown.seq != change.seq || shown.room != id {
                return Err(format!("{} of {id} is rewritten as {shown:?}", change.seq));
            }
            if rewritten.insert(shown.seq, shown).is_some() {
                return Err(format!("{} of {id} is rewritten twice", change.seq));
            }
        }
        for seq in room.first()..=before.head {
            let was = room.frame(seq, before.head, before.first);
            let is = room.frame(seq, head, room.first());
            let frame = rewritten.remove(&seq).map(|shown| shown.kind);
            let is_right = if was == is {
                frame.is_none()
            } else {
                frame == is
            };
            if !is_right {
                return Err(format!(
                    "{seq} of {id} was {was:?}, is {is:?}, and rewritten as {frame:?}"
                ));
            }
        }
        if let Some(seq) = rewritten.keys().next() {
            return Err(format!(
                "{seq} of {id}, which is new or evicted, is rewritten"
            ));
        }
        let (was, is) = (room.revised(before.head), room.revised(head));
        let told = committed.revised.iter().find(|(room, _)| *room == id);
        let told = told.map_or(was, |(_, revised)| *revised);
        if told == is {
            Ok(())
        } else {
            Err(format!("{id} is told to be {told:?}, and is {is:?}"))
        }
    }
}

fn check_clock(
    seq: u64,
    (time, clock_was): (Timestamp, Option<Timestamp>),
    before: Option<Timestamp>,
) -> Result<(), Fault> {
    let set_back = clock_was.is_some_and(|was| was > time);
    if before.is_some_and(|before| before > time) && !set_back {
        return Err(format!(
            "the time of {seq} is before that of the one before"
        ));
    }
    if clock_was.is_some_and(|was| within_a_minute(was, time)) {
        return Err(format!("{seq} is marked for next to nothing"));
    }
    Ok(())
}

/// Reads an entry's frame.
fn read(frame: &[u8]) -> Result<protocol::Entry, Fault> {
    match parse_server(frame) {
        Ok(ServerFrame::Entry(entry)) => Ok(entry),
        other => Err(format!("{other:?} is no entry of the log")),
    }
}
