/* Counts the calls that change a folder, notes them, and fails or kills at one of them.
 *
 * Loaded by LD_PRELOAD into a process that forks a child for each trial; the child calls `shim_arm`. Only calls on files
 * below the watched folder count. A call is numbered from 1; `shim_count` says how many there were.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAIL_ONCE = 1, FAIL_EVER, KILL_BEFORE, KILL_AFTER, KILL_HALF, SHORT };

static char watched[PATH_MAX];
static size_t watched_length;
static long count, target;
static int mode, fault, log_handle = -1;

/* Stands for a path that a call does not have. */
static const char none[] = "";

static long real_write(int handle, const void *data, size_t size) { return syscall(SYS_write, handle, data, size); }

/* From now on: below `folder`, the call number `number` fails with `error`, or the process is killed there (`how`). */
void shim_arm(const char *folder, long number, int how, int error, int log) {
    snprintf(watched, sizeof watched, "%s/", folder);
    watched_length = strlen(watched);
    count = 0;
    target = number;
    mode = how;
    fault = error;
    log_handle = log;
}

void shim_disarm(void) { watched_length = 0; }

long shim_count(void) { return count; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* The whole path of what a call is about; 0 where it is not below the watched folder. */
static int path_at(int folder, const char *path, char *whole) {
    if (!watched_length || path == none) return 0;
    if (path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
    } else {
        char base[PATH_MAX];
        ssize_t length;
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            if ((length = readlink(link, base, sizeof base - 1)) < 0) return 0;
            base[length] = 0;
        }
        if ((size_t)snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    return !strncmp(whole, watched, watched_length);
}

static int path_of(int handle, char *whole) {
    char link[64];
    if (!watched_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, whole, PATH_MAX - 1);
    if (length < 0) return 0;
    whole[length] = 0;
    return !strncmp(whole, watched, watched_length);
}

/* A line of JSON for a call that was done; names are of the harness and need no escapes but those of bytes. */
static void put_text(const char *text, char *into, size_t room) {
    size_t at = 0;
    for (; *text && at + 8 < room; text++) {
        unsigned char sign = *text;
        if (sign < 32 || sign == '"' || sign == '\\' || sign > 126) at += snprintf(into + at, room - at, "\\u%04x", sign);
        else into[at++] = sign;
    }
    into[at] = 0;
}

static void note(const char *call, const char *one, const char *other, long handle, long offset, const void *data, size_t size) {
    static char line[6 * PATH_MAX], first[2 * PATH_MAX], second[2 * PATH_MAX];
    if (log_handle < 0) return;
    put_text(one, first, sizeof first);
    put_text(other ? other : "", second, sizeof second);
    struct stat about = {0};
    if (handle >= 0) fstat(handle, &about);
    int length = snprintf(line, sizeof line,
                          "{\"n\": %ld, \"call\": \"%s\", \"path\": \"%s\", \"to\": \"%s\", \"inode\": %lu, \"at\": %ld, \"size\": %zu}\n",
                          count, call, first, second, (unsigned long)about.st_ino, offset, size);
    real_write(log_handle, line, length);
    if (data && size) real_write(log_handle, data, size);
}

/* Before a call that counts: 1 where it is to fail, with errno set. */
static int before(void) {
    count++;
    if (!target) return 0;
    if (mode == KILL_BEFORE && count == target) die();
    if ((mode == FAIL_ONCE && count == target) || (mode == FAIL_EVER && count >= target)) {
        errno = fault;
        return 1;
    }
    return 0;
}

static void after(void) {
    if (target && mode == KILL_AFTER && count == target) die();
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int counts_as_open(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0; }

#define OPEN(name, declared, folder) \
    { \
        char whole[PATH_MAX]; \
        mode_t rights = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            rights = va_arg(more, mode_t); \
            va_end(more); \
        } \
        int watching = counts_as_open(flags) && path_at(folder, path, whole); \
        if (watching && before()) return -1; \
        int handle = syscall(SYS_openat, folder, path, flags, rights); \
        if (watching && handle >= 0) note("open", whole, flags & O_TRUNC ? "truncated" : "", handle, 0, 0, 0); \
        int kept = errno; \
        if (watching) after(); \
        errno = kept; \
        return handle; \
    }

int open(const char *path, int flags, ...) OPEN(open, , AT_FDCWD)
int open64(const char *path, int flags, ...) OPEN(open64, , AT_FDCWD)
int openat(int folder, const char *path, int flags, ...) OPEN(openat, , folder)
int openat64(int folder, const char *path, int flags, ...) OPEN(openat64, , folder)

ssize_t write(int handle, const void *data, size_t size) {
    char whole[PATH_MAX];
    if (!path_of(handle, whole)) return real_write(handle, data, size);
    if (before()) return -1;
    long offset = lseek(handle, 0, fcntl(handle, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    int here = target && count == target;
    if (here && (mode == KILL_HALF || mode == SHORT)) size = size > 1 ? size / 2 : size;
    ssize_t done = real_write(handle, data, size);
    if (here && mode == KILL_HALF) die();
    int kept = errno;
    if (done >= 0) note("write", whole, 0, handle, offset, data, done);
    after();
    errno = kept;
    return done;
}

#define CALL_ON_HANDLE(name, arguments, passed) \
    int name arguments { \
        char whole[PATH_MAX]; \
        REAL(name); \
        int watching = path_of(handle, whole); \
        if (watching && before()) return -1; \
        int done = real passed; \
        int kept = errno; \
        if (watching && !done) note(#name, whole, 0, handle, SIZE, 0, 0); \
        if (watching) after(); \
        errno = kept; \
        return done; \
    }

#define SIZE 0
CALL_ON_HANDLE(fsync, (int handle), (handle))
CALL_ON_HANDLE(fdatasync, (int handle), (handle))
#undef SIZE
#define SIZE size
CALL_ON_HANDLE(ftruncate, (int handle, off_t size), (handle, size))
CALL_ON_HANDLE(ftruncate64, (int handle, off64_t size), (handle, size))

#define CALL_ON_PATHS(name, label, arguments, passed, folder, from, other, to) \
    int name arguments { \
        char whole[PATH_MAX], second[PATH_MAX] = ""; \
        REAL(name); \
        int watching = path_at(folder, from, whole); \
        path_at(other, to, second); \
        if (watching && before()) return -1; \
        int done = real passed; \
        int kept = errno; \
        if (watching && !done) note(label, whole, second, -1, 0, 0, 0); \
        if (watching) after(); \
        errno = kept; \
        return done; \
    }

CALL_ON_PATHS(rename, "rename", (const char *a, const char *b), (a, b), AT_FDCWD, a, AT_FDCWD, b)
CALL_ON_PATHS(renameat, "rename", (int f, const char *a, int g, const char *b), (f, a, g, b), f, a, g, b)
CALL_ON_PATHS(renameat2, flags & RENAME_EXCHANGE ? "exchange" : "rename",
              (int f, const char *a, int g, const char *b, unsigned flags), (f, a, g, b, flags), f, a, g, b)
CALL_ON_PATHS(link, "link", (const char *a, const char *b), (a, b), AT_FDCWD, a, AT_FDCWD, b)
CALL_ON_PATHS(linkat, "link", (int f, const char *a, int g, const char *b, int flags), (f, a, g, b, flags), f, a, g, b)
CALL_ON_PATHS(symlink, "symlink", (const char *b, const char *a), (b, a), AT_FDCWD, a, AT_FDCWD, none)
CALL_ON_PATHS(unlink, "unlink", (const char *a), (a), AT_FDCWD, a, AT_FDCWD, none)
CALL_ON_PATHS(unlinkat, flags & AT_REMOVEDIR ? "rmdir" : "unlink", (int f, const char *a, int flags), (f, a, flags), f, a, AT_FDCWD, none)
CALL_ON_PATHS(rmdir, "rmdir", (const char *a), (a), AT_FDCWD, a, AT_FDCWD, none)
CALL_ON_PATHS(mkdir, "mkdir", (const char *a, mode_t m), (a, m), AT_FDCWD, a, AT_FDCWD, none)
CALL_ON_PATHS(mkdirat, "mkdir", (int f, const char *a, mode_t m), (f, a, m), f, a, AT_FDCWD, none)

/* Copies within the kernel are refused, so that they come as writes. */
ssize_t sendfile(int out, int in, off_t *offset, size_t size) { (void)out, (void)in, (void)offset, (void)size; errno = ENOSYS; return -1; }
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) { (void)out, (void)in, (void)offset, (void)size; errno = ENOSYS; return -1; }
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t size, unsigned flags) {
    (void)in, (void)a, (void)out, (void)b, (void)size, (void)flags;
    errno = ENOSYS;
    return -1;
}
