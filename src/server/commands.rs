//! What the program does instead of hosting: see [`maintenance`].

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
};

use super::{
    config::{Command, data_directory},
    store::sqlite::maintenance::{
        self, Exported, MaintenanceError, Restored, TOMBSTONE, backup, erase, export, import,
        restore,
    },
};

/// Carries a command out, and says on stderr what was done: stdout is for what was asked for.
pub(super) fn run(command: &Command, directory: Option<&Path>) -> Result<(), MaintenanceError> {
    let directory = match directory {
        Some(directory) => directory.to_owned(),
        None => data_directory()?,
    };
    match command {
        Command::Backup { file } => {
            let messages = backup(&directory, file)?;
            say(&format!("{messages} messages are in {}", file.display()));
        }
        Command::Restore { file } => {
            let Restored { messages, aside } = restore(&directory, file)?;
            say(&format!(
                "{messages} messages are in {}",
                directory.display()
            ));
            if let Some(aside) = aside {
                say(&format!("what was there before is in {}", aside.display()));
            }
        }
        Command::Export { room, output } => {
            let Exported { messages, missed } = match output {
                Some(file) => maintenance::into_file(file, |out| export(&directory, room, out))?,
                None => export(&directory, room, &mut BufWriter::new(io::stdout().lock()))?,
            };
            say(&format!("{messages} messages of {room} were exported"));
            if missed > 0 {
                say(&format!(
                    "{missed} in between are missing: retention removed them, and those before \
                     them, meanwhile. Export again for what is left"
                ));
            }
        }
        Command::Import { room, file } => {
            let messages = match file {
                Some(path) => {
                    let refuse = |error| MaintenanceError::File(path.clone(), error);
                    let file = File::open(path).map_err(refuse)?;
                    import(&directory, room, &mut BufReader::new(file))?
                }
                None => import(&directory, room, &mut io::stdin().lock())?,
            };
            say(&format!("{messages} messages of {room} were imported"));
        }
        Command::Erase { room, first, last } => {
            let last = last.unwrap_or(*first);
            erase(&directory, room, *first, last)?;
            say(&format!(
                "the messages {first} to {last} of {room} now read {TOMBSTONE}; backups, and the \
                 clients that have them, keep their texts"
            ));
        }
    }
    Ok(())
}

fn say(words: &str) {
    // Whoever started us may not care to read it.
    let _ = writeln!(io::stderr(), "chat-server: {words}");
}
