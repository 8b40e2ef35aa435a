//! The files that the operator's commands open and create.

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

/// Opens a log for reading, whether a server runs or not.
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

/// A log opened for changes, while no server runs.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Whether it was created just now.
    pub(super) is_new: bool,
    pub(super) _lock: Lock,
    pub(super) _owner: AsOwner,
}

/// Opens a log, or creates an empty one if there is none.
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

/// Creates a file that only this user may read; it must not exist yet.
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

/// A file being written: it has a temporary name until it is complete, and is removed if it never
/// is.
pub(super) struct Partial {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) name: PathBuf,
}

impl Partial {
    /// Starts a file of this name, which must not exist yet.
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
            // Users don't know the temporary name.
            MaintenanceError::File(_, error) => of_file(name)(error),
            error => error,
        })?;
        Ok(Self {
            file,
            path,
            name: name.to_owned(),
        })
    }

    /// Syncs the complete file, and gives it its name.
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
        // A leftover file is recognizable by its name.
        let _ = AsOwner::of(parent(&self.name)).map(|_owner| remove(&self.path));
    }
}

/// The directory of a file.
pub(super) fn parent(name: &Path) -> &Path {
    name.parent().unwrap_or(Path::new("."))
}

/// Removes the index, which holds words of erased texts: the next start makes it again.
pub(super) fn remove_index(directory: &Path) -> Result<()> {
    let path = directory.join(INDEX);
    remove(&path).map_err(of_file(&path))
}

/// Writes a new file, which gets its name once it is complete.
pub fn into_file<T>(name: &Path, write: impl FnOnce(&mut dyn io::Write) -> Result<T>) -> Result<T> {
    let partial = Partial::begin(name)?;
    let mut out = io::BufWriter::new(&partial.file);
    let written = write(&mut out)?;
    out.into_inner()
        .map_err(|error| MaintenanceError::File(name.to_owned(), error.into_error()))?;
    partial.finish()?;
    Ok(written)
}
