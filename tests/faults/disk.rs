//! A failing disk: `disk.c`, compiled and preloaded into the server, intercepts its access to the
//! data directory.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use fastrand::Rng;
use tempfile::TempDir;

/// Writes and syncs that fail: after `pass` more, `fail` of them (-1: all), with `errno`.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) pass: i64,
    pub(crate) fail: i64,
    pub(crate) errno: i32,
}

impl Failing {
    pub(crate) const NEVER: Self = Self {
        pass: 0,
        fail: 0,
        errno: 0,
    };
}

/// The data directory, its synced contents after a power cut, and the shared page that controls the
/// failures. (The search index is left out: it can be made again.)
pub(crate) struct Disk {
    home: TempDir,
    control: File,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        for folder in ["data", "shadow"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        let control = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(home.path().join("control"))
            .unwrap();
        control.set_len(4096).unwrap();
        Self { home, control }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn shadow(&self) -> PathBuf {
        self.home.path().join("shadow")
    }

    /// Makes a server use it.
    pub(crate) fn under(&self, server: &mut Command) {
        server
            .env("LD_PRELOAD", library())
            .env("FAULT_DIR", self.data())
            .env("FAULT_SHADOW", self.shadow())
            .env("FAULT_CONTROL", self.home.path().join("control"))
            .env("FAULT_EXCEPT", "index.db");
    }

    pub(crate) fn writes(&self, failing: Failing) {
        self.set(0, failing);
    }

    pub(crate) fn syncs(&self, failing: Failing) {
        self.set(3, failing);
    }

    /// Sets the fields of `struct control`; the one that switches failing on comes last.
    fn set(&self, first: u64, failing: Failing) {
        self.put(first + 1, 0);
        self.put(first, failing.pass);
        self.put(first + 2, failing.errno.into());
        self.put(first + 1, failing.fail);
    }

    fn put(&self, place: u64, number: i64) {
        let bytes = number.to_ne_bytes();
        self.control.write_all_at(&bytes, 8 * place).unwrap();
    }

    /// Cuts the power (the server is dead already). With `torn`, some of the unsynced blocks
    /// reached the disk all the same.
    pub(crate) fn cut_power(&self, torn: Option<&mut Rng>) {
        if let Some(rng) = torn {
            for entry in fs::read_dir(self.shadow()).unwrap() {
                let name = entry.unwrap().file_name();
                tear(&self.data().join(&name), &self.shadow().join(&name), rng);
            }
        }
        let key = self.data().join("tls/key.pem");
        let was = fs::read(&key).unwrap();
        fs::remove_dir_all(self.data()).unwrap();
        copy(&self.shadow(), &self.data());
        assert!(fs::read(&key).unwrap() == was, "it would be another server");
    }
}

/// Copies a random choice of the differing blocks from the written file to the synced one.
fn tear(written: &Path, synced: &Path, rng: &mut Rng) {
    const BLOCK: usize = 512;
    let Ok(written) = fs::read(written) else {
        return;
    };
    let mut kept = fs::read(synced).unwrap();
    let share = rng.f64();
    for (number, block) in written.chunks(BLOCK).enumerate() {
        let at = number * BLOCK;
        if rng.f64() < share {
            if kept.len() < at + block.len() {
                kept.resize(at + block.len(), 0);
            }
            kept[at..at + block.len()].copy_from_slice(block);
        }
    }
    fs::write(synced, kept).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, name) = {
            let entry = entry.unwrap();
            (entry.path(), entry.file_name())
        };
        if from.is_dir() {
            copy(&from, &to.join(name));
        } else {
            fs::copy(&from, to.join(name)).unwrap();
        }
    }
}

/// The library, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libdisk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c");
        let status = Command::new("cc")
            .args([
                "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .arg(&library)
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("a C compiler, as SQLite needs one too");
        assert!(status.success());
        library
    })
}
