//! Handles the lines that clients receive.

use memchr::{memchr, memmem};

use super::{
    Load,
    speak::{DUE, MARK, NUMBER, PAYLOAD, PUBLISHER, ROOM},
};

impl Load {
    /// Handles all complete lines, and returns where they end.
    pub(super) fn lines(&mut self, number: usize, bytes: &[u8]) -> usize {
        let now = self.now();
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + length];
            at += length + 1;
            if line.starts_with(br#"{"type":"message""#) {
                self.heard(number, line, now);
            } else {
                self.told(number, line);
            }
        }
        at
    }

    fn heard(&mut self, number: usize, line: &[u8], now: u64) {
        let Some(at) = memmem::find(line, MARK) else {
            return;
        };
        let payload = &line[at..at + PAYLOAD];
        let [room, publisher, said, due] =
            [ROOM, PUBLISHER, NUMBER, DUE].map(|part| figure(&payload[part]));
        let room = usize::try_from(room).unwrap();
        self.counts.deliveries += 1;
        if let Some((before, times)) = &mut self.latencies
            && number < *before
        {
            times.push(now.saturating_sub(due));
        }
        let client = &mut self.clients[number];
        let slot = &mut client.slots[room - client.rooms.start];
        let next = &mut slot.next[usize::try_from(publisher).unwrap()];
        match *next {
            Some(expected) if said < expected => self.counts.disordered += 1,
            Some(expected) => self.counts.lost += said - expected,
            None => {}
        }
        if next.is_none_or(|next| said >= next) {
            *next = Some(said + 1);
        }
        if self.keeps_positions {
            let seq = memmem::rfind(line, br#""seq":"#).unwrap();
            let digits = line[seq + 6..].split(|byte| !byte.is_ascii_digit()).next();
            let seq = figure(digits.unwrap());
            if slot.seq > 0 {
                // By the server's own numbers, too.
                self.counts.lost += seq.saturating_sub(slot.seq + 1);
                self.counts.disordered += u64::from(seq <= slot.seq);
            }
            slot.seq = seq;
            let id = memmem::find(line, br#""id":""#).unwrap() + 6;
            let id = line[id..].split(|&byte| byte == b'"').next().unwrap();
            slot.id.clear();
            slot.id.push_str(std::str::from_utf8(id).unwrap());
        }
        let room_number = room;
        let room = &mut self.rooms[room];
        if !room.touched {
            room.touched = true;
            self.touched.push(room_number);
        }
    }

    fn told(&mut self, number: usize, line: &[u8]) {
        let client = &mut self.clients[number];
        let is = |kind: &str| line.starts_with(format!(r#"{{"type":"{kind}""#).as_bytes());
        if line.starts_with(br#"{"type":"joined""#) {
            client.changes += 1;
            self.note(number, line);
        } else if is("members") {
            client.pages += 1;
            self.note(number, line);
        } else if is("left") {
            client.changes += 1;
        } else if is("ping") {
            client.out.extend_from_slice(b"{\"type\":\"pong\"}\n");
        } else if is("challenge") {
            client.challenged(line);
        } else if is("welcome") {
            client.welcomed(line);
            self.joined += 1;
        } else if is("error") || is("bye") {
            let error: serde_json::Value = serde_json::from_slice(line).unwrap();
            self.errors.insert(error["message"].to_string());
        }
    }

    /// Notes the members that a frame names.
    fn note(&mut self, number: usize, line: &[u8]) {
        let client = &mut self.clients[number];
        if client.told.is_empty() {
            return;
        }
        for at in memmem::find_iter(line, br#""nickname":"u"#) {
            let digits = line[at + 13..].split(|byte| !byte.is_ascii_digit()).next();
            let who = usize::try_from(figure(digits.unwrap())).unwrap();
            if !std::mem::replace(&mut client.told[who], true) {
                client.told_count += 1;
                self.complete += usize::from(client.told_count == self.notes);
            }
        }
    }
}

fn figure(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
