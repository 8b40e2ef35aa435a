//! The commands that run instead of hosting: see [`maintenance`], [`erase`], [`invite`] and
//! [`password`].

use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::Path,
};

use self::{error::CommandError, room::room_named};
use super::{
    secrets,
    store::sqlite::{
        maintenance::{
            self, Exported, MaintenanceError, Restored, backup, export, import, restore,
        },
        owner,
    },
};
use crate::server::args::Command;
use crate::stderr;

mod erase;
mod error;
mod invite;
mod password;
mod room;

/// Runs a command and reports on stderr what was done; stdout is for the command's output.
pub(super) fn run(command: &Command, directory: Option<&Path>) -> Result<(), CommandError> {
    let directory = secrets::directory(directory)?;
    owner::check(&directory, false).map_err(MaintenanceError::Open)?;
    match command {
        Command::Invite(wanted) => return invite::run(&directory, wanted),
        Command::Password(wanted) => return password::run(&directory, *wanted),
        Command::Backup { file } => {
            let entries = backup(&directory, file)?;
            say(&format!("{entries} entries are in {}", file.display()));
        }
        Command::Restore { file } => {
            let Restored {
                entries,
                aside,
                again,
            } = restore(&directory, file)?;
            say(&format!("{entries} entries are in {}", directory.display()));
            if again.entries > 0 {
                say(&format!(
                    "{} entries were erased again, because they were erased since the backup",
                    again.entries
                ));
            }
            if again.unread > 0 {
                say(&format!(
                    "{} lines of the ledger of erasures can't be read: what they named may be back",
                    again.unread
                ));
            }
            if let Some(aside) = aside {
                say(&format!("the old log is in {}", aside.display()));
            }
        }
        Command::Export { room, output } => {
            let named = room_named(&directory, room)?;
            let Exported { entries, missed } = match output {
                Some(file) => maintenance::into_file(file, |out| export(&directory, &named, out))?,
                None => export(&directory, &named, &mut BufWriter::new(io::stdout().lock()))?,
            };
            say(&format!("{entries} entries of {room} were exported"));
            if missed > 0 {
                say(&format!(
                    "{missed} in between are missing: retention removed them, and all before \
                     them, meanwhile. Export again to get the rest"
                ));
            }
        }
        Command::Import { room, file } => {
            let named = room_named(&directory, room)?;
            let entries = match file {
                Some(path) => {
                    let refuse = |error| MaintenanceError::File(path.clone(), error);
                    let file = File::open(path).map_err(refuse)?;
                    import(&directory, &named, &mut BufReader::new(file))?
                }
                None => import(&directory, &named, &mut io::stdin().lock())?,
            };
            say(&format!("{entries} entries of {room} were imported"));
        }
        Command::Erase { room, first, last } => {
            let range = (*first, last.unwrap_or(*first));
            say(&erase::run(&directory, room, range)?);
        }
    }
    Ok(())
}

fn say(words: &str) {
    stderr::complain("chat-server", words);
}
