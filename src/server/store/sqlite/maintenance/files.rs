//! The files that commands of the operator open and make.

use crate::server::store::sqlite::{
    OpenError,
    lock::{Lock, take},
    maintenance::error::{MaintenanceError, Result, of_file, of_sqlite},
    open::{check, check_header, check_schema, check_version, make, make_lasting, open_database},
    owner::AsOwner,
    paths::{
        DATABASE, INDEX, RESTORING, has_log, is_there, move_to, private, remove, sync_directory,
    },
    schema::connect_to_read,
};
use rusqlite::Connection;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// A log to be read, whether a server runs or not.
pub(super) fn look_into(directory: &Path) -> Result<(Connection, PathBuf)> {
    let _owner = AsOwner::of(directory)?;
    refuse_half_restored(directory)?;
    let path = directory.join(DATABASE);
    if !has_log(directory)? {
        return Err(OpenError::Missing(path).into());
    }
    check_header(&path)?;
    let connection = connect_to_read(&path).map_err(of_sqlite(&path))?;
    check_version(&connection, &path)?;
    check_schema(&connection, &path)?;
    Ok((connection, path))
}

/// A log to be changed, while no server runs.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Whether there was none before.
    pub(super) is_new: bool,
    pub(super) _lock: Lock,
    pub(super) _owner: AsOwner,
}

pub(super) fn open(directory: &Path) -> Result<Opened> {
    let _owner = AsOwner::of(directory)?;
    // Nothing is made where there is nothing.
    if !is_there(&directory.join(RESTORING))? && !has_log(directory)? {
        return Err(OpenError::Missing(directory.join(DATABASE)).into());
    }
    open_or_make(directory)
}

/// As [`open`], but where there is no log there is an empty one then.
pub(super) fn open_or_make(directory: &Path) -> Result<Opened> {
    let owner = AsOwner::of(directory)?;
    let path = directory.join(DATABASE);
    let lock = take(directory)?;
    refuse_half_restored(directory)?;
    let is_new = !has_log(directory)?;
    if is_new {
        make(directory, None)?;
    }
    let connection = open_database(&path, None)?;
    make_lasting(&connection, &path)?;
    check(&connection, &path)?;
    Ok(Opened {
        connection,
        path,
        is_new,
        _lock: lock,
        _owner: owner,
    })
}

pub(super) fn refuse_half_restored(directory: &Path) -> Result<()> {
    if is_there(&directory.join(RESTORING))? {
        return Err(OpenError::Restoring(directory.to_owned()).into());
    }
    Ok(())
}

/// A file that only this user may read, and that was not there.
pub(super) fn create_new(path: &Path) -> Result<File> {
    let mut options = File::options();
    let options = options.write(true).create_new(true);
    private(options).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            MaintenanceError::Exists(path.to_owned())
        } else {
            MaintenanceError::File(path.to_owned(), error)
        }
    })
}

/// A file on its way: under another name until it is complete, and gone if it never is.
pub(super) struct Partial {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) name: PathBuf,
}

impl Partial {
    /// For a file of this name, of which there must be none.
    pub(super) fn begin(name: &Path) -> Result<Self> {
        let _owner = AsOwner::of(parent(name))?;
        if name.is_dir() {
            return Err(MaintenanceError::Directory(name.to_owned()));
        }
        if name.symlink_metadata().is_ok() {
            return Err(MaintenanceError::Exists(name.to_owned()));
        }
        let mut path = name.as_os_str().to_owned();
        path.push(format!(".part-{}", std::process::id()));
        let path = PathBuf::from(path);
        let file = create_new(&path).map_err(|error| match error {
            // Whoever reads it has never heard of the other name.
            MaintenanceError::File(_, error) => of_file(name)(error),
            error => error,
        })?;
        Ok(Self {
            file,
            path,
            name: name.to_owned(),
        })
    }

    /// Complete: from now on it has its name, and lasts.
    pub(super) fn finish(self) -> Result<()> {
        let refuse = of_file(&self.name);
        let _owner = AsOwner::of(parent(&self.name))?;
        self.file.sync_all().map_err(&refuse)?;
        match move_to(&self.path, &self.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(MaintenanceError::Exists(self.name.clone()));
            }
            moved => moved.map_err(&refuse)?,
        }
        sync_directory(parent(&self.name)).map_err(&refuse)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What can't be removed can be seen by its name to be incomplete.
        let _ = AsOwner::of(parent(&self.name)).map(|_owner| remove(&self.path));
    }
}

/// The directory of a file.
pub(super) fn parent(name: &Path) -> &Path {
    name.parent().unwrap_or(Path::new("."))
}

/// The index holds words of what is gone: it is made anew by the next start.
pub(super) fn remove_index(directory: &Path) -> Result<()> {
    let path = directory.join(INDEX);
    remove(&path).map_err(of_file(&path))
}

/// Writes a file that is not there yet: it has its name when it is complete.
pub fn into_file<T>(name: &Path, write: impl FnOnce(&mut dyn io::Write) -> Result<T>) -> Result<T> {
    let partial = Partial::begin(name)?;
    let mut out = io::BufWriter::new(&partial.file);
    let written = write(&mut out)?;
    out.into_inner()
        .map_err(|error| MaintenanceError::File(name.to_owned(), error.into_error()))?;
    partial.finish()?;
    Ok(written)
}
