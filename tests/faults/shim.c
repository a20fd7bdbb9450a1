/* Shim: stands between a program and the C library and sees every change to files below one
   folder. Loaded with LD_PRELOAD; harmless until `chaski_arm` is called.

   It tells a log what was done, in the order in which it was done, and can make the n-th change
   the last one (SIGKILL before it, or in the middle of a write) or let it fail with an errno.
   What changes files in a way that the log cannot tell is logged as ODD: the reader refuses it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, RESIZE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, ODD };
enum { WATCH, KILL, TEAR, ONCE, ALWAYS };
enum { FDS = 4096, LONGEST = 4096 };
enum { GO, HALF, FAIL };

struct record { int32_t what, fd; int64_t first, second; uint32_t text, data; };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char root[LONGEST];
static char known[FDS];
static int armed, out = -1, mode, number;
static unsigned kinds;
static long left;

void chaski_arm(const char *folder, int log, int how, long at, int error, unsigned which) {
    strncpy(root, folder, sizeof root - 1);
    out = log; mode = how; left = at; number = error; kinds = which; armed = 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int ours(const char *path) {
    return armed && path && strncmp(path, root, strlen(root)) == 0;
}
static int held(int fd) { return armed && fd >= 0 && fd < FDS && known[fd]; }

static void put(const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = REAL(write);
    while (size) {
        ssize_t done = real(out, data, size);
        if (done <= 0) _exit(99);
        data = (const char *)data + done;
        size -= done;
    }
}

static void tell(int what, int fd, int64_t first, int64_t second, const char *text,
                 const void *data, size_t size) {
    struct record one = {what, fd, first, second, text ? strlen(text) : 0, size};
    int error = errno;
    put(&one, sizeof one);
    put(text, one.text);
    put(data, size);
    errno = error;
}

/* Whether the next change may happen. Counts it. */
static int next(int what) {
    if (mode == WATCH || !(kinds & (1u << what))) return GO;
    left--;
    if (left > 0) return GO;
    if (left == 0) {
        if (mode == KILL || (mode == TEAR && what != WRITE)) kill(getpid(), SIGKILL);
        if (what == WRITE && mode != ONCE) return HALF;
    } else if (mode == ONCE) return GO;
    errno = number;
    return FAIL;
}

static int opened(const char *path, int flags, mode_t bits) {
    static int (*real)(const char *, int, ...);
    if (!real) real = REAL(open64);
    if (!ours(path)) return real(path, flags | O_LARGEFILE, bits);
    pthread_mutex_lock(&turn);
    int fd = -1, made = (flags & O_CREAT) && access(path, F_OK) != 0;
    int changes = made || (flags & O_TRUNC);
    int readonly = mode == ALWAYS && number == EROFS && left <= 1;
    if (readonly && (flags & O_ACCMODE) != O_RDONLY) errno = EROFS;
    else if (!changes || next(OPEN) != FAIL) fd = real(path, flags | O_LARGEFILE, bits);
    if (fd >= 0 && fd < FDS) {
        known[fd] = 1;
        tell(OPEN, fd, made, (flags & O_TRUNC) != 0, path, 0, 0);
    }
    pthread_mutex_unlock(&turn);
    return fd;
}

#define OPENING(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
    return opened(path, flags, bits); }
OPENING(open)
OPENING(open64)
int __open_2(const char *path, int flags) { return opened(path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(path, flags, 0); }
int creat(const char *path, mode_t bits) { return opened(path, O_WRONLY | O_CREAT | O_TRUNC, bits); }

#define OPENING_AT(name) int name(int at, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
    if (ours(path)) return opened(path, flags, bits); \
    return REAL(name)(at, path, flags, bits); }
OPENING_AT(openat)
OPENING_AT(openat64)

int close(int fd) {
    static int (*real)(int);
    if (!real) real = REAL(close);
    if (!held(fd)) return real(fd);
    pthread_mutex_lock(&turn);
    known[fd] = 0;
    tell(CLOSE, fd, 0, 0, 0, 0, 0);
    int done = real(fd);
    pthread_mutex_unlock(&turn);
    return done;
}

static ssize_t written(int fd, const void *data, size_t size, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = REAL(pwrite64);
    pthread_mutex_lock(&turn);
    off64_t place = at < 0 ? lseek64(fd, 0, SEEK_CUR) : at;
    if (at < 0 && (fcntl(fd, F_GETFL) & O_APPEND)) place = lseek64(fd, 0, SEEK_END);
    int go = next(WRITE);
    ssize_t done = -1;
    if (go != FAIL) {
        done = real(fd, data, go == HALF ? (size + 1) / 2 : size, place);
        if (done > 0) tell(WRITE, fd, place, 0, 0, data, done);
        if (go == HALF && mode == TEAR) kill(getpid(), SIGKILL);
        if (done > 0 && at < 0) lseek64(fd, place + done, SEEK_SET);
    }
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = REAL(write);
    return held(fd) ? written(fd, data, size, -1) : real(fd, data, size);
}
#define WRITING(name, offset) ssize_t name(int fd, const void *data, size_t size, offset at) { \
    return held(fd) ? written(fd, data, size, at) : REAL(name)(fd, data, size, at); }
WRITING(pwrite, off_t)
WRITING(pwrite64, off64_t)

#define CHANGING(what, fd, first, text, call) \
    pthread_mutex_lock(&turn); \
    int done = next(what) == FAIL ? -1 : (call); \
    if (done == 0) tell(what, fd, first, 0, text, 0, 0); \
    pthread_mutex_unlock(&turn); \
    return done;

#define RESIZING(name, offset) int name(int fd, offset size) { \
    if (!held(fd)) return REAL(name)(fd, size); \
    CHANGING(RESIZE, fd, size, 0, REAL(name)(fd, size)) }
RESIZING(ftruncate, off_t)
RESIZING(ftruncate64, off64_t)

#define RESIZING_BY_NAME(name, offset) int name(const char *path, offset size) { \
    if (!ours(path)) return REAL(name)(path, size); \
    CHANGING(RESIZE, -1, size, path, REAL(name)(path, size)) }
RESIZING_BY_NAME(truncate, off_t)
RESIZING_BY_NAME(truncate64, off64_t)

#define SYNCING(name) int name(int fd) { \
    if (!held(fd)) return REAL(name)(fd); \
    CHANGING(SYNC, fd, 0, 0, REAL(name)(fd)) }
SYNCING(fsync)
SYNCING(fdatasync)

static int renamed(const char *from, const char *to) {
    char both[2 * LONGEST];
    size_t first = strlen(from);
    memcpy(both, from, first);
    both[first] = '\n';
    strcpy(both + first + 1, to);
    CHANGING(RENAME, -1, 0, both, REAL(rename)(from, to))
}
int rename(const char *from, const char *to) {
    return ours(from) || ours(to) ? renamed(from, to) : REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    return ours(from) || ours(to) ? renamed(from, to) : REAL(renameat)(a, from, b, to);
}

#define NAMING(what, name, declared, call) int name declared { \
    if (!ours(path)) return REAL(name) call; \
    CHANGING(what, -1, 0, path, REAL(name) call) }
NAMING(UNLINK, unlink, (const char *path), (path))
NAMING(MKDIR, mkdir, (const char *path, mode_t bits), (path, bits))
NAMING(RMDIR, rmdir, (const char *path), (path))
int unlinkat(int at, const char *path, int flags) {
    if (!ours(path)) return REAL(unlinkat)(at, path, flags);
    CHANGING((flags & AT_REMOVEDIR) ? RMDIR : UNLINK, -1, 0, path, REAL(unlinkat)(at, path, flags))
}
int mkdirat(int at, const char *path, mode_t bits) {
    if (!ours(path)) return REAL(mkdirat)(at, path, bits);
    CHANGING(MKDIR, -1, 0, path, REAL(mkdirat)(at, path, bits))
}

/* A disk that refuses also says so when it is asked. */
static int asked(const char *path, struct statvfs64 *found) {
    int done = REAL(statvfs64)(path, found);
    if (done == 0 && ours(path) && mode == ALWAYS && left <= 1) {
        if (number == EROFS) found->f_flag |= ST_RDONLY;
        else found->f_bavail = 0;
    }
    return done;
}
int statvfs64(const char *path, struct statvfs64 *found) { return asked(path, found); }
int statvfs(const char *path, struct statvfs *found) {
    return asked(path, (struct statvfs64 *)found);
}

/* What no part of ours does. If one begins to, its log can no longer be believed. */
#define REFUSED(what) pthread_mutex_lock(&turn); tell(ODD, -1, 0, 0, what, 0, 0); \
    pthread_mutex_unlock(&turn);
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (held(fd)) { REFUSED("writev") }
    return REAL(writev)(fd, parts, count);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    ssize_t (*real)(int, int, off64_t *, size_t) =
        (ssize_t (*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    if (held(to)) { REFUSED("sendfile") }
    return real(to, from, at, size);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    if (held(to)) { REFUSED("copy_file_range") }
    return REAL(copy_file_range)(from, a, to, b, size, flags);
}
int link(const char *from, const char *to) {
    if (ours(to)) { REFUSED("link") }
    return REAL(link)(from, to);
}
int posix_fallocate(int fd, off_t at, off_t size) {
    if (held(fd)) { REFUSED("posix_fallocate") }
    return REAL(posix_fallocate)(fd, at, size);
}
