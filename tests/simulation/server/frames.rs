//! The checks of the frames that the server holds, on its disk and in its memory.

use chat_tui::{
    protocol::{ServerFrame, wire::parse_server},
    server::log::{LogReader, LogWriter},
};

use super::Server;
use crate::truth::{Fault, Truth};

impl Server {
    /// Checks that each frame, on the disk and in memory, is as the log has it, and that none holds
    /// what was erased.
    pub(crate) fn check_frames(&mut self, truth: &Truth) -> Result<(), Fault> {
        let Some(running) = &self.running else {
            return Ok(());
        };
        // A commit in doubt is in the log, and nobody knows of it before the next start.
        if self.disk.has_untold() {
            return Ok(());
        }
        let epoch = self.disk.epoch();
        let erased = truth.erased_texts(epoch);
        let starts: Vec<_> = erased
            .iter()
            .filter_map(|text| text.split(' ').next())
            .collect();
        let starts: Vec<_> = starts.iter().map(|word| format!("\"{word} ")).collect();
        let check = |frame: &[u8], place: &str| {
            let shown = match parse_server(frame) {
                Ok(ServerFrame::Entry(shown)) => shown,
                other => return Err(format!("{other:?} is no entry, {place}")),
            };
            truth
                .check_frame(epoch, &shown)
                .map_err(|fault| format!("{fault}, {place}"))?;
            let text = String::from_utf8_lossy(frame);
            match starts.iter().find(|start| text.contains(*start)) {
                Some(start) => Err(format!("{start:?} was erased and is still {place}")),
                None => Ok(()),
            }
        };
        let extents = self.disk.log.extents();
        for (room, extent) in extents {
            let page = self.disk.log.read(room, extent.first, usize::MAX);
            let page = page.map_err(|_| format!("{room} can't be read"))?;
            if (page.first(), page.next()) != (extent.first, extent.next()) {
                return Err(format!("{room} does not hold all of {extent:?}"));
            }
            for seq in page.first()..page.next() {
                check(page.frame(seq).unwrap_or_default(), "on the disk")?;
            }
            let tail = &running.replica.room(room).messages;
            for seq in tail.first().max(extent.first)..tail.next() {
                check(tail.frame(seq).unwrap_or_default(), "in memory")?;
            }
        }
        Ok(())
    }
}
