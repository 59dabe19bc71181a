// Loaded with LD_PRELOAD. Records every operation of a process on the files below $CUT_DIR, in order, in the file
// $CUT_TRACE, and fails the fsyncs that $CUT_FAIL names: "log 3 1" fails only the third fsync of the WAL, "db 2 0" the
// second of the database file and all after it, "log 3 2" the third of the WAL, and kills the process. "restarted 3 2" is
// like "log 3 2", but counts only from the first restart of the WAL, and only fsyncs with something to write. Nothing is
// really fsynced: the reader of the trace decides what an fsync achieved. Processes with the same trace, concurrent or one
// after another, share a disk; its shared state is in the file $CUT_TRACE.disk.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define INODES 256
#define MOST (512UL << 20)

// A record of the trace: this header, then the path, then the data.
struct record {
    uint64_t operation, inode, offset, path_length, data_length;
};

static struct { int tracked, seen; uint64_t inode; char path[512]; } files[FILES];
static struct disk {
    // Failed fsyncs of each inode. As in Linux, each is reported once to each descriptor that was open at the time.
    struct { uint64_t inode; int failed; } inodes[INODES];
    uint64_t records, written_in_all;
} *disk;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char folder[512], fails[16];
static long fail_from, fail_how, counted;
// Whether this process restarted the WAL, and whether it wrote to it since then and since its last fsync.
static int restarted, unsynced;
static int trace = -1;

#define REAL(type, name, ...) static type (*real_##name)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(int, close, int);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, unlink, const char *);
REAL(int, mkdir, const char *, mode_t);
REAL(int, fsync, int);

__attribute__((constructor)) static void begin(void) {
    if (real_fsync) return;
#define LOAD(name) real_##name = dlsym(RTLD_NEXT, #name)
    LOAD(open); LOAD(close); LOAD(write); LOAD(pwrite); LOAD(ftruncate); LOAD(unlink); LOAD(mkdir); LOAD(fsync);
    const char *where = getenv("CUT_DIR"), *to = getenv("CUT_TRACE"), *fail = getenv("CUT_FAIL");
    if (!where || !to) return;
    snprintf(folder, sizeof folder, "%s", where);
    if (fail) sscanf(fail, "%15s %ld %ld", fails, &fail_from, &fail_how);
    char shared[600];
    snprintf(shared, sizeof shared, "%s.disk", to);
    int fd = real_open(shared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || real_ftruncate(fd, sizeof *disk)) abort();
    disk = mmap(0, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (disk == MAP_FAILED) abort();
    trace = real_open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// Locks out all other threads, of this process and others.
static void lock(void) {
    pthread_mutex_lock(&mutex);
    if (trace >= 0) flock(trace, LOCK_EX);
}

static void unlock(void) {
    int before = errno;
    if (trace >= 0) flock(trace, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = before;
}

static int inside(const char *path) {
    size_t length = strlen(folder), all = strlen(path);
    return length && !strncmp(path, folder, length) && (all < 4 || strcmp(path + all - 4, "-shm"));
}

static int ends(const char *path, const char *with) {
    size_t length = strlen(path), end = strlen(with);
    return length >= end && !strcmp(path + length - end, with);
}

static int *failures(uint64_t inode) {
    for (int i = 0; i < INODES; i++) {
        if (!disk->inodes[i].inode) disk->inodes[i].inode = inode;
        if (disk->inodes[i].inode == inode) return &disk->inodes[i].failed;
    }
    abort();
}

// The caller must hold the lock.
static void put(char operation, uint64_t inode, uint64_t offset, const char *path, const void *data, size_t length) {
    int before = errno;
    struct record record = { operation, inode, offset, path ? strlen(path) : 0, length };
    struct iovec parts[3] = { { &record, sizeof record }, { (void *)path, record.path_length }, { (void *)data, length } };
    if (writev(trace, parts, 3) != (ssize_t)(sizeof record + record.path_length + length)) abort();
    disk->records++;
    // A store that never stops writing must not fill the disk of the machine that runs the test.
    if ((disk->written_in_all += length) > MOST) abort();
    errno = before;
}

static int tracked(int fd) { return trace >= 0 && fd >= 0 && fd < FILES && files[fd].tracked; }

static int opened(const char *path, int flags, mode_t mode) {
    begin();
    lock();
    struct stat stat;
    int existed = lstat(path, &stat) == 0, fd = real_open(path, flags, mode), before = errno;
    if (fd >= 0 && fd < FILES && trace >= 0) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, files[fd].path, sizeof files[fd].path - 1);
        files[fd].path[length < 0 ? 0 : length] = 0;
        files[fd].tracked = inside(files[fd].path) && fstat(fd, &stat) == 0;
        if (files[fd].tracked) {
            files[fd].inode = stat.st_ino;
            files[fd].seen = *failures(stat.st_ino);
            if (!existed) put('C', stat.st_ino, 0, files[fd].path, 0, 0);
        }
    }
    errno = before;
    unlock();
    return fd;
}

#define MODE va_list rest; va_start(rest, flags); mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; va_end(rest)
int open(const char *path, int flags, ...) { MODE; return opened(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE; return opened(path, flags, mode); }

int close(int fd) {
    begin();
    if (tracked(fd)) files[fd].tracked = 0;
    return real_close(fd);
}

// Where a WAL header counts the WAL's restarts. Source: https://www.sqlite.org/walformat.html
#define RESTARTS 12

static ssize_t written(int fd, const void *data, size_t length, off_t at) {
    lock();
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_pwrite(fd, data, length, at);
    if (done > 0) put('W', files[fd].inode, at, 0, data, done);
    if (done > 0 && ends(files[fd].path, "-wal")) {
        restarted |= !at && done >= RESTARTS + 4 && memcmp((const char *)data + RESTARTS, "\0\0\0", 4);
        unsynced = restarted;
    }
    unlock();
    return done;
}
ssize_t write(int fd, const void *data, size_t length) {
    begin();
    if (!tracked(fd)) return real_write(fd, data, length);
    ssize_t done = written(fd, data, length, -1);
    if (done > 0) lseek(fd, done, SEEK_CUR);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    begin();
    return tracked(fd) ? written(fd, data, length, at) : real_pwrite(fd, data, length, at);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return pwrite(fd, data, length, at); }

int ftruncate(int fd, off_t length) {
    begin();
    if (!tracked(fd)) return real_ftruncate(fd, length);
    lock();
    int failed = real_ftruncate(fd, length);
    if (!failed) put('T', files[fd].inode, length, 0, 0, 0);
    unlock();
    return failed;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

static int synced(int fd) {
    lock();
    uint64_t before = disk->records;
    const char *kind = ends(files[fd].path, "-wal") ? "log" : ends(files[fd].path, ".db") ? "db" : "";
    int counts = *kind && !strcmp(kind, fails);
    if (!strcmp(kind, "log")) {
        counts |= unsynced && !strcmp("restarted", fails);
        unsynced = 0;
    }
    unlock();
    // As long as a fast disk takes, so that others write meanwhile.
    usleep(200);
    lock();
    int *failed = failures(files[fd].inode), was = *failed;
    if (counts) {
        counted++;
        if (fail_how ? counted == fail_from : counted >= fail_from) ++*failed;
    }
    int fails_here = files[fd].seen < *failed;
    files[fd].seen = *failed;
    // 'F' is the fsync that the disk failed; 'H' reports an earlier failure to another descriptor.
    char operation = *failed != was ? 'F' : fails_here ? 'H' : 'S';
    put(operation, files[fd].inode, before, files[fd].path, 0, 0);
    // The lock is still held, so no other thread does anything after this.
    if (*failed != was && fail_how == 2) _exit(0);
    unlock();
    if (fails_here) errno = EIO;
    return fails_here ? -1 : 0;
}
int fsync(int fd) { begin(); return tracked(fd) ? synced(fd) : real_fsync(fd); }
int fdatasync(int fd) { begin(); return tracked(fd) ? synced(fd) : real_fsync(fd); }

int unlink(const char *path) {
    begin();
    if (trace < 0 || !inside(path)) return real_unlink(path);
    lock();
    int failed = real_unlink(path);
    if (!failed) put('U', 0, 0, path, 0, 0);
    unlock();
    return failed;
}
int mkdir(const char *path, mode_t mode) {
    begin();
    if (trace < 0 || !inside(path)) return real_mkdir(path, mode);
    lock();
    int failed = real_mkdir(path, mode);
    if (!failed) put('K', 0, 0, path, 0, 0);
    unlock();
    return failed;
}
