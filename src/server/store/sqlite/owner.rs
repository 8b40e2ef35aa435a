//! The owner of a data directory, and as which user a process works in it.
//!
//! The owner of a directory decides where its names lead. A command run by root in another user's
//! directory would follow links placed there by that user, and overwrite, or give away, root's
//! files. SQLite opens files by name, so checking first does not help: the user could be faster.
//! Therefore root **becomes the directory's owner** for as long as a command works in it
//! ([`AsOwner`]), and a server, which has many threads, refuses to start there ([`check`]).

use std::{
    fs::Metadata,
    marker::PhantomData,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::{getegid, geteuid};

use super::open_error::{OpenError, directory_error};

/// Mode bit: others may write.
const OTHERS_WRITE: u32 = 0o002;
/// Mode bit: the group may write.
const GROUP_WRITES: u32 = 0o020;

/// Refuses a data directory that other users can write to, and for hosting as root one that another
/// user owns. A missing directory will be created private to this user.
pub(in crate::server) fn check(directory: &Path, hosts: bool) -> Result<(), OpenError> {
    let found = match directory.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(directory_error(directory, error)),
    };
    // Where each user has a group of their own, their directories are often writable by it.
    let by_group = found.mode() & GROUP_WRITES != 0 && found.gid() != getegid().as_raw();
    if by_group || found.mode() & OTHERS_WRITE != 0 {
        return Err(OpenError::Exposed(directory.to_owned()));
    }
    if hosts && is_anothers(&found) {
        return Err(OpenError::OtherOwner(directory.to_owned(), found.uid()));
    }
    Ok(())
}

fn is_anothers(found: &Metadata) -> bool {
    geteuid().is_root() && found.uid() != 0
}

/// Makes root work as the owner of a directory, on this thread, for as long as this lives. For
/// other users, and in root's own directories, nothing changes.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(in crate::server) struct AsOwner {
    was: Option<Was>,
    /// User ids are set for one thread, so this must not move to another.
    _thread: PhantomData<*const ()>,
}

impl AsOwner {
    /// Becomes the owner of a directory, or of its closest existing parent.
    pub(in crate::server) fn of(directory: &Path) -> Result<Self, OpenError> {
        let refuse = |error| directory_error(directory, error);
        let there = existing(directory);
        let found = there.metadata().map_err(refuse)?;
        let was = if is_anothers(&found) {
            Some(Was::become_user(&there, &found)?)
        } else {
            None
        };
        Ok(Self {
            was,
            _thread: PhantomData,
        })
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        if let Some(was) = self.was.take() {
            was.come_back();
        }
    }
}

/// The directory, or its closest existing parent.
fn existing(directory: &Path) -> PathBuf {
    let above = directory.ancestors().find(|path| path.is_dir());
    match above {
        Some(path) if !path.as_os_str().is_empty() => path.to_owned(),
        // The parent of a plain name.
        _ => PathBuf::from("."),
    }
}

/// The former groups of a thread of root's.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Was {
    group: rustix::process::Gid,
    groups: Vec<rustix::process::Gid>,
}

#[cfg(target_os = "linux")]
impl Was {
    fn become_user(directory: &Path, found: &Metadata) -> Result<Self, OpenError> {
        use rustix::{
            process::{Gid, Uid, getgroups},
            thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
        };
        let refuse = |error: rustix::io::Errno| directory_error(directory, error.into());
        let was = Self {
            group: getegid(),
            groups: getgroups().map_err(refuse)?,
        };
        let (user, group) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
        // The user last: after that the groups could not be changed any more.
        let done = set_thread_groups(&[group])
            .and_then(|()| set_thread_res_gid(None, group, None))
            .and_then(|()| set_thread_res_uid(None, user, None));
        match done {
            Ok(()) => Ok(was),
            Err(error) => {
                was.come_back();
                Err(refuse(error))
            }
        }
    }

    /// Becomes root again. If that fails, the thread continues with fewer rights.
    fn come_back(self) {
        use rustix::{
            process::Uid,
            thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
        };
        let _ = set_thread_res_uid(None, Uid::ROOT, None)
            .and_then(|()| set_thread_res_gid(None, self.group, None))
            .and_then(|()| set_thread_groups(&self.groups));
    }
}

/// Other systems have no user ids for single threads: the command has to be run as the owner.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Was;

#[cfg(not(target_os = "linux"))]
impl Was {
    fn become_user(directory: &Path, found: &Metadata) -> Result<Self, OpenError> {
        Err(OpenError::OtherOwner(directory.to_owned(), found.uid()))
    }

    fn come_back(self) {}
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, chown},
    };

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        assert!(check(&data, true).is_ok());
        fs::create_dir(&data).unwrap();
        for (mode, fits) in [
            (0o700, true),
            (0o755, true),
            (0o775, true),
            (0o777, false),
            (0o1777, false),
            (0o702, false),
        ] {
            fs::set_permissions(&data, Permissions::from_mode(mode)).unwrap();
            for hosts in [false, true] {
                assert_eq!(check(&data, hosts).is_ok(), fits, "{mode:o}");
            }
        }
    }

    #[test]
    fn root_works_as_the_owner_of_a_directory_and_hosts_in_its_own() {
        if !geteuid().is_root() {
            return eprintln!("skipped: only root can become another user");
        }
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        let (data, own) = (home.path().join("data"), home.path().join("own"));
        for path in [&data, &own] {
            fs::create_dir(path).unwrap();
        }
        fs::write(own.join("secret"), "secret").unwrap();
        fs::set_permissions(own.join("secret"), Permissions::from_mode(0o600)).unwrap();
        chown(&data, Some(12_345), Some(12_346)).unwrap();
        let groups = rustix::process::getgroups().unwrap();

        let guard = AsOwner::of(&data.join("not/there/yet")).unwrap();
        assert!(fs::read(own.join("secret")).is_err());
        fs::write(data.join("file"), "").unwrap();
        // Repeating it is harmless.
        drop(AsOwner::of(&own).unwrap());
        assert!(fs::read(own.join("secret")).is_err());
        drop(guard);

        assert!(fs::read(own.join("secret")).is_ok());
        assert_eq!(rustix::process::getgroups().unwrap(), groups);
        let made = fs::metadata(data.join("file")).unwrap();
        assert_eq!((made.uid(), made.gid()), (12_345, 12_346));
        assert!(check(&data, false).is_ok());
        let refused = check(&data, true).unwrap_err();
        assert!(matches!(refused, OpenError::OtherOwner(_, 12_345)));
        assert!(check(&own, true).is_ok());
    }
}
