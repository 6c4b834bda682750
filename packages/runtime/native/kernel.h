/*
 * The kernel's interface, without leaning on how new the C library is: numbers and structures that glibc 2.31 or musl
 * may not name yet. Every number here is the same on x86_64, arm64 and armv7.
 */
#ifndef DURE_KERNEL_H
#define DURE_KERNEL_H

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_PIDFD_SEND_SIGNAL 424
#define NR_OPEN_TREE 428
#define NR_MOVE_MOUNT 429
#define NR_PIDFD_OPEN 434
#define NR_CLONE3 435
#define NR_CLOSE_RANGE 436
#define NR_OPENAT2 437
#define NR_MOUNT_SETATTR 442

#define K_OPEN_TREE_CLONE 1U
#define K_MOVE_MOUNT_F_EMPTY_PATH 0x4U
#define K_MOVE_MOUNT_T_EMPTY_PATH 0x40U
#define K_AT_RECURSIVE 0x8000U

#define K_MOUNT_ATTR_RDONLY 0x1ULL
#define K_MOUNT_ATTR_NOSUID 0x2ULL
#define K_MOUNT_ATTR_NODEV 0x4ULL
#define K_MOUNT_ATTR_NOEXEC 0x8ULL
#define K_MOUNT_ATTR_IDMAP 0x100000ULL

#define K_RESOLVE_IN_ROOT 0x10ULL

#define K_CLONE_PIDFD 0x1000ULL
#define K_CLONE_INTO_CGROUP 0x200000000ULL
#define K_CLONE_NEWCGROUP 0x02000000

#define K_CLOSE_RANGE_CLOEXEC 4U

struct k_mount_attr {
  uint64_t attr_set;
  uint64_t attr_clr;
  uint64_t propagation;
  uint64_t userns_fd;
};

struct k_open_how {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};

struct k_clone_args {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack;
  uint64_t stack_size;
  uint64_t tls;
  uint64_t set_tid;
  uint64_t set_tid_size;
  uint64_t cgroup;
};

static inline int k_open_tree(int dir, const char *path, unsigned flags) { return (int)syscall(NR_OPEN_TREE, dir, path, flags); }
static inline int k_move_mount(int tree, int target) {
  return (int)syscall(NR_MOVE_MOUNT, tree, "", target, "", K_MOVE_MOUNT_F_EMPTY_PATH | K_MOVE_MOUNT_T_EMPTY_PATH);
}
static inline int k_mount_setattr(int fd, unsigned flags, struct k_mount_attr *attr) {
  return (int)syscall(NR_MOUNT_SETATTR, fd, "", flags | AT_EMPTY_PATH, attr, sizeof *attr);
}
static inline int k_pidfd_open(pid_t pid) { return (int)syscall(NR_PIDFD_OPEN, pid, 0); }
static inline int k_pidfd_send_signal(int pidfd, int signal_number) { return (int)syscall(NR_PIDFD_SEND_SIGNAL, pidfd, signal_number, NULL, 0); }
static inline int k_close_range(unsigned first, unsigned flags) { return (int)syscall(NR_CLOSE_RANGE, first, ~0U, flags); }
static inline int k_open_in_root(int root, const char *path, uint64_t flags) {
  struct k_open_how how = {.flags = flags | O_CLOEXEC, .mode = 0, .resolve = K_RESOLVE_IN_ROOT};
  return (int)syscall(NR_OPENAT2, root, path, &how, sizeof how);
}

#endif
