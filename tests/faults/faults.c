/* Loaded into a server before libc (LD_PRELOAD): faults that no test can have from a healthy machine.
 *
 * What goes wrong is told through memory shared with the test (struct control, the file $FAULTS_CONTROL); what the
 * server did, in its order, is appended to the file $FAULTS_TRACE. Built and driven by tests/support/faults.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
	volatile int64_t clock_offset; /* nanoseconds that the wall clock is ahead */
	volatile int64_t fail_syncs;   /* 1: syncing the write-ahead log fails with EIO */
	volatile int64_t is_full;      /* the errno with which no file of the database grows; 0: they do */
	volatile int64_t kill_at;      /* n > 0: SIGKILL in place of the n-th write to the database's files */
	volatile int64_t writes;       /* how many there were */
	volatile int64_t failed;       /* how many calls were made to fail */
};

static struct control none;
static struct control *control = &none;
static int trace = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
	const char *path = getenv("FAULTS_CONTROL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0) abort();
	void *shared = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) abort();
	control = shared;
	close(fd);
	if ((path = getenv("FAULTS_TRACE"))) trace = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int is_file(int fd, const char *part) {
	char link[32], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, path, sizeof path - 1);
	if (size <= 0) return 0;
	path[size] = 0;
	return strstr(path, part) != NULL;
}

static int is_socket(int fd) {
	struct stat about;
	return fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

/* One record: what it was, how many bytes, the bytes. */
static void note(char kind, const struct iovec *parts, int count) {
	REAL(writev);
	if (trace < 0) return;
	uint32_t size = 0;
	struct iovec all[66];
	if (count > 64) abort();
	for (int i = 0; i < count; i++) size += (all[i + 2] = parts[i]).iov_len;
	all[0] = (struct iovec){&kind, 1};
	all[1] = (struct iovec){&size, sizeof size};
	pthread_mutex_lock(&order);
	if (real(trace, all, count + 2) != (ssize_t)(size + 5)) abort();
	pthread_mutex_unlock(&order);
}

static void note_socket(int fd, const struct iovec *parts, int count) {
	if (trace >= 0 && is_socket(fd)) note('N', parts, count);
}

/* Whether the write is to fail. */
static int to_database(int fd, const void *data, size_t size, off_t end) {
	struct stat about;
	if (!is_file(fd, "/beseda.db")) return 0;
	if (__sync_add_and_fetch(&control->writes, 1) == control->kill_at) kill(getpid(), SIGKILL);
	if (control->is_full && fstat(fd, &about) == 0 && end > about.st_size) {
		__sync_add_and_fetch(&control->failed, 1);
		errno = (int)control->is_full;
		return 1;
	}
	if (is_file(fd, "/beseda.db-wal")) {
		struct iovec part = {(void *)data, size};
		note('W', &part, 1);
	}
	return 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
	REAL(pwrite64);
	return to_database(fd, data, size, at + size) ? -1 : real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
	REAL(write);
	struct iovec part = {(void *)data, size};
	note_socket(fd, &part, 1);
	return real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
	REAL(writev);
	note_socket(fd, parts, count);
	return real(fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
	REAL(send);
	struct iovec part = {(void *)data, size};
	note_socket(fd, &part, 1);
	return real(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
	REAL(sendmsg);
	note_socket(fd, message->msg_iov, (int)message->msg_iovlen);
	return real(fd, message, flags);
}

/* The kind of record is written when the disk has answered. */
static int synced(int fd, int (*real)(int)) {
	if (!is_file(fd, "/beseda.db-wal")) return real(fd);
	if (control->fail_syncs) {
		__sync_add_and_fetch(&control->failed, 1);
		errno = EIO;
		return -1;
	}
	int result = real(fd);
	if (result == 0) note('S', NULL, 0);
	return result;
}

int fsync(int fd) {
	REAL(fsync);
	return synced(fd, real);
}

int fdatasync(int fd) {
	REAL(fdatasync);
	return synced(fd, real);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
	REAL(clock_gettime);
	int result = real(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		int64_t stepped = now->tv_sec * 1000000000LL + now->tv_nsec + control->clock_offset;
		now->tv_sec = stepped / 1000000000LL;
		now->tv_nsec = stepped % 1000000000LL;
	}
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	struct timespec stepped;
	int result = clock_gettime(CLOCK_REALTIME, &stepped);
	(void)zone;
	now->tv_sec = stepped.tv_sec;
	now->tv_usec = stepped.tv_nsec / 1000;
	return result;
}

time_t time(time_t *into) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (into) *into = now.tv_sec;
	return now.tv_sec;
}
