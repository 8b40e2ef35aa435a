/* A failing disk for unmodified programs: preloaded, it intercepts a process's access to the files
 * below FAULT_DIR (except for those whose path contains FAULT_EXCEPT).
 *
 * - It fails writes and syncs as the file FAULT_CONTROL says (see `struct control`; the test maps
 *   or writes the same file).
 * - It keeps, below FAULT_SHADOW, the files as a power cut would leave them: their synced bytes
 *   only. Later writes are recorded as ranges, and copied when a sync has succeeded.
 *
 * Making directories, and linking, renaming and removing files, takes effect at once in the shadow
 * too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Native byte order. A count below zero means for ever. */
struct control {
    _Atomic int64_t write_pass;  /* writes that pass before the first that fails */
    _Atomic int64_t write_fail;  /* writes that then fail */
    _Atomic int64_t write_errno;
    _Atomic int64_t sync_pass;
    _Atomic int64_t sync_fail;
    _Atomic int64_t sync_errno;
    _Atomic int64_t writes; /* seen so far */
    _Atomic int64_t syncs;
};

struct range {
    off_t start, end;
};

struct file {
    char path[PATH_MAX];
    struct range *ranges;
    size_t count, room;
    int resized;
};

#define FILES_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES_MAX];
static size_t files_count;
static struct control *control;
static const char *folder, *shadow, *except;

__attribute__((constructor)) static void start(void) {
    folder = getenv("FAULT_DIR");
    shadow = getenv("FAULT_SHADOW");
    except = getenv("FAULT_EXCEPT");
    const char *path = getenv("FAULT_CONTROL");
    if (!path) return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) abort();
    control = page;
    syscall(SYS_close, fd);
}

static int is_ours(const char *path) {
    return folder && strncmp(path, folder, strlen(folder)) == 0 &&
           !(except && *except && strstr(path, except));
}

/* Returns the path of an open file below FAULT_DIR. */
static int path_of(int fd, char *path) {
    char link[64];
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int shadow_of(const char *path, char *out) {
    if (!shadow) return 0;
    return snprintf(out, PATH_MAX, "%s%s", shadow, path + strlen(folder)) < PATH_MAX;
}

/* Whether this call fails; sets its errno then. */
static int fails(_Atomic int64_t *seen, _Atomic int64_t *pass, _Atomic int64_t *fail,
                 _Atomic int64_t *error) {
    atomic_fetch_add(seen, 1);
    if (atomic_load(fail) == 0) return 0;
    if (atomic_load(pass) > 0 && atomic_fetch_sub(pass, 1) > 0) return 0;
    if (atomic_load(fail) > 0 && atomic_fetch_sub(fail, 1) <= 0) return 0;
    errno = (int)atomic_load(error);
    return 1;
}

static struct file *file_at(const char *path) {
    for (size_t at = 0; at < files_count; at++)
        if (strcmp(files[at].path, path) == 0) return &files[at];
    if (files_count == FILES_MAX) abort();
    struct file *file = &files[files_count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    return file;
}

static void note_write(const char *path, off_t start, size_t length) {
    if (!shadow) return;
    pthread_mutex_lock(&lock);
    struct file *file = file_at(path);
    if (file->count == file->room) {
        file->room = file->room ? 2 * file->room : 64;
        file->ranges = realloc(file->ranges, file->room * sizeof *file->ranges);
        if (!file->ranges) abort();
    }
    file->ranges[file->count++] = (struct range){start, start + (off_t)length};
    pthread_mutex_unlock(&lock);
}

static void note_size(const char *path) {
    if (!shadow) return;
    pthread_mutex_lock(&lock);
    file_at(path)->resized = 1;
    pthread_mutex_unlock(&lock);
}

/* Copies the ranges written so far to the shadow: they are synced. The ranges are taken before the
 * sync and copied after it, so that a write in between is not counted as synced. */
static void keep(int fd, const char *path, struct range *ranges, size_t count, int resized) {
    char target[PATH_MAX];
    if (!shadow_of(path, target)) return;
    int out = syscall(SYS_openat, AT_FDCWD, target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0) abort();
    /* A file open for writing only is read by another descriptor. (Other files are not: closing one
     * descriptor of a database gives its locks up.) */
    int in = fd;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        in = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (in < 0) abort();
    }
    struct stat now;
    if (resized && fstat(fd, &now) == 0 && syscall(SYS_ftruncate, out, now.st_size) != 0) abort();
    for (size_t at = 0; at < count; at++) {
        char buffer[65536];
        off_t from = ranges[at].start;
        while (from < ranges[at].end) {
            size_t want = (size_t)(ranges[at].end - from);
            if (want > sizeof buffer) want = sizeof buffer;
            ssize_t got = syscall(SYS_pread64, in, buffer, want, from);
            if (got <= 0) break;
            if (syscall(SYS_pwrite64, out, buffer, (size_t)got, from) != got) abort();
            from += got;
        }
    }
    if (in != fd) syscall(SYS_close, in);
    syscall(SYS_close, out);
}

static int sync_file(int fd, long call) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return (int)syscall(call, fd);
    if (control && fails(&control->syncs, &control->sync_pass, &control->sync_fail,
                         &control->sync_errno))
        return -1;
    struct stat what;
    if (!shadow || fstat(fd, &what) != 0 || !S_ISREG(what.st_mode)) return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    struct file *file = file_at(path);
    struct range *ranges = file->ranges;
    size_t count = file->count;
    int resized = file->resized;
    file->ranges = NULL;
    file->count = file->room = 0;
    file->resized = 0;
    pthread_mutex_unlock(&lock);
    int outcome = (int)syscall(call, fd);
    if (outcome == 0) keep(fd, path, ranges, count, resized);
    free(ranges);
    return outcome;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }

int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

/* Without free space, a file's existing bytes can still be overwritten. */
static int needs_none(int fd, off_t end) {
    struct stat now;
    return atomic_load(&control->write_errno) == ENOSPC && fstat(fd, &now) == 0 &&
           end <= now.st_size;
}

static int write_fails(int fd, char *path, off_t end) {
    return path_of(fd, path) && control && !needs_none(fd, end) &&
           fails(&control->writes, &control->write_pass, &control->write_fail,
                 &control->write_errno);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    char path[PATH_MAX] = "";
    if (write_fails(fd, path, at + (off_t)length)) return -1;
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, at);
    if (written > 0 && is_ours(path)) note_write(path, at, (size_t)written);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX] = "";
    off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if (write_fails(fd, path, at + (off_t)length)) return -1;
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    if (written > 0 && is_ours(path)) note_write(path, at, (size_t)written);
    return written;
}

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX] = "";
    if (write_fails(fd, path, length)) return -1;
    int outcome = (int)syscall(SYS_ftruncate, fd, length);
    if (outcome == 0 && is_ours(path)) note_size(path);
    return outcome;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static void forget(const char *path) {
    pthread_mutex_lock(&lock);
    for (size_t at = 0; at < files_count; at++)
        if (strcmp(files[at].path, path) == 0) {
            files[at].count = 0;
            files[at].resized = 0;
        }
    pthread_mutex_unlock(&lock);
}

int mkdir(const char *path, mode_t mode) {
    char target[PATH_MAX];
    int outcome = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (outcome == 0 && is_ours(path) && shadow_of(path, target))
        syscall(SYS_mkdirat, AT_FDCWD, target, 0700);
    return outcome;
}

int unlink(const char *path) {
    char target[PATH_MAX];
    int outcome = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (outcome == 0 && is_ours(path) && shadow_of(path, target)) {
        forget(path);
        syscall(SYS_unlinkat, AT_FDCWD, target, 0);
    }
    return outcome;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char shadow_from[PATH_MAX], shadow_to[PATH_MAX];
    int outcome = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    if (outcome == 0 && is_ours(from) && is_ours(to) && shadow_of(from, shadow_from) &&
        shadow_of(to, shadow_to)) {
        forget(to);
        syscall(SYS_linkat, AT_FDCWD, shadow_from, AT_FDCWD, shadow_to, 0);
    }
    return outcome;
}

int rename(const char *from, const char *to) {
    char shadow_from[PATH_MAX], shadow_to[PATH_MAX];
    int outcome = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (outcome == 0 && is_ours(from) && is_ours(to) && shadow_of(from, shadow_from) &&
        shadow_of(to, shadow_to)) {
        forget(from);
        forget(to);
        syscall(SYS_renameat2, AT_FDCWD, shadow_from, AT_FDCWD, shadow_to, 0);
    }
    return outcome;
}
