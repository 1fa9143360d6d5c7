/* A disk that fails now and then. Loaded before the C library, it stands between SQLite and the
 * system: while the file that FAULTY_WHILE names is there, one in FAULTY_ONE_IN of the calls on a
 * hub's files fails, with EIO, or with ENOSPC where that can be, or writes only a part. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static _Atomic uint64_t drawn;

static uint64_t draw(void) {
    uint64_t word = atomic_fetch_add(&drawn, 0x9E3779B97F4A7C15u) + (uint64_t)getpid();
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

/* Whether this call on this file is to fail. */
static int fails(int file) {
    const char *condition = getenv("FAULTY_WHILE"), *share = getenv("FAULTY_ONE_IN");
    char place[64], path[4096];
    if (!condition || !share || draw() % strtoull(share, NULL, 10) != 0) return 0;
    snprintf(place, sizeof place, "/proc/self/fd/%d", file);
    ssize_t length = readlink(place, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/hub.db") && access(condition, F_OK) == 0;
}

static int fail(int error) {
    errno = error;
    return -1;
}

static int full_or_broken(void) { return fail(draw() % 3 ? EIO : ENOSPC); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    if (!fails(file)) return REAL(write)(file, bytes, count);
    return draw() % 4 ? full_or_broken() : REAL(write)(file, bytes, count / 2);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    if (!fails(file)) return REAL(pwrite64)(file, bytes, count, at);
    return draw() % 4 ? full_or_broken() : REAL(pwrite64)(file, bytes, count / 2, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return pwrite64(file, bytes, count, at);
}

ssize_t read(int file, void *bytes, size_t count) {
    return fails(file) ? fail(EIO) : REAL(read)(file, bytes, count);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    return fails(file) ? fail(EIO) : REAL(pread64)(file, bytes, count, at);
}

ssize_t pread(int file, void *bytes, size_t count, off_t at) {
    return pread64(file, bytes, count, at);
}

int fsync(int file) { return fails(file) ? fail(EIO) : REAL(fsync)(file); }

int fdatasync(int file) { return fails(file) ? fail(EIO) : REAL(fdatasync)(file); }

int ftruncate64(int file, off64_t length) {
    return fails(file) ? full_or_broken() : REAL(ftruncate64)(file, length);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }
