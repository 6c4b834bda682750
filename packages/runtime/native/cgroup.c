#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fail.h"
#include "kernel.h"

static int write_text(const char *directory, const char *name, const char *text) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/%s", directory, name);
  if (n < 0 || (size_t)n >= sizeof path) return errno = ENAMETOOLONG, -1;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t wrote = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return wrote < 0 ? -1 : 0;
}

static ssize_t read_text(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t have = 0;
  while (have < size - 1) {
    ssize_t n = read(fd, out + have, size - 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += (size_t)n;
  }
  close(fd);
  out[have] = '\0';
  return (ssize_t)have;
}

void cgroup_join(const char *directory) {
  if (write_text(directory, "cgroup.procs", "0") < 0) fail(errno, "join cgroup", directory);
}

void cgroup_attach_devices(const char *directory, const struct field *program) {
  if (program->length == 0 || program->length % sizeof(struct bpf_insn) != 0) fail(EINVAL, "load device program: its size is wrong", NULL);
  struct bpf_insn *instructions = malloc(program->length);
  if (!instructions) fail(ENOMEM, "load device program", NULL);
  memcpy(instructions, program->text, program->length);
  /* Kernels before 5.11 charge programs to this limit; refused raising shows in the load itself. */
  struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, before;
  int had = getrlimit(RLIMIT_MEMLOCK, &before);
  setrlimit(RLIMIT_MEMLOCK, &unlimited);

  static const char license[] = "Apache-2.0";
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = (uint64_t)(uintptr_t)instructions;
  attr.insn_cnt = (uint32_t)(program->length / sizeof *instructions);
  attr.license = (uint64_t)(uintptr_t)license;
  int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
  if (loaded < 0) fail(errno, "load device program", NULL);
  int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (group < 0) fail(errno, "open cgroup", directory);
  memset(&attr, 0, sizeof attr);
  attr.target_fd = (uint32_t)group;
  attr.attach_bpf_fd = (uint32_t)loaded;
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) < 0) fail(errno, "attach device program to", directory);
  close(group);
  close(loaded);
  free(instructions);
  if (had == 0) setrlimit(RLIMIT_MEMLOCK, &before);
}

void cgroup_kill(const char *directory) {
  if (write_text(directory, "cgroup.kill", "1") == 0 || errno != ENOENT) return;
  /* Before Linux 5.14: one by one, again as long as there are any, since they may fork meanwhile. */
  char path[PATH_MAX], text[16384];
  int n = snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  if (n < 0 || (size_t)n >= sizeof path) return;
  for (int round = 0; round < 100 && read_text(path, text, sizeof text) > 0; round++) {
    for (char *line = text; *line;) {
      char *end;
      long pid = strtol(line, &end, 10);
      if (pid > 1) kill((pid_t)pid, SIGKILL);
      line = *end ? end + 1 : end;
    }
    usleep(1000);
  }
}

uint64_t cgroup_oom_kills(const char *directory) {
  char path[PATH_MAX], text[4096];
  int n = snprintf(path, sizeof path, "%s/memory.events", directory);
  if (n < 0 || (size_t)n >= sizeof path || read_text(path, text, sizeof text) <= 0) return 0;
  const char *at = strstr(text, "oom_kill ");
  return at ? strtoull(at + 9, NULL, 10) : 0;
}

uint64_t process_start_time(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_text(path, text, sizeof text) <= 0) return 0;
  /* The name is in parentheses and may hold anything, parentheses too: count from the last one. Field 22, proc(5). */
  char *at = strrchr(text, ')');
  for (int field = 2; at && field < 22; field++) {
    at = strchr(at, ' ');
    if (at) at++;
  }
  return at ? strtoull(at, NULL, 10) : 0;
}

pid_t clone_into_cgroup(uint64_t flags, const char *directory, int *pidfd) {
  int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (group < 0) fail(errno, "open cgroup", directory);
  int descriptor = -1;
  struct k_clone_args args;
  memset(&args, 0, sizeof args);
  args.flags = flags | K_CLONE_PIDFD | K_CLONE_INTO_CGROUP;
  args.pidfd = (uint64_t)(uintptr_t)&descriptor;
  args.exit_signal = SIGCHLD;
  args.cgroup = (uint64_t)group;
  pid_t pid = (pid_t)syscall(NR_CLONE3, &args, sizeof args);
  /* E2BIG: before 5.7 the structure has no cgroup. ENOSYS: some seccomp filters hide clone3. EINVAL: no such flag. */
  bool joined = !(pid < 0 && (errno == E2BIG || errno == ENOSYS || errno == EINVAL));
  if (!joined) {
    /* The flags of clone(2) must be passed by the raw call: the parent's stack goes on in the child as with fork. */
    pid = (pid_t)syscall(SYS_clone, (unsigned long)(flags | K_CLONE_PIDFD | SIGCHLD), 0, &descriptor, 0, 0);
    if (pid == 0) cgroup_join(directory);
  }
  if (pid < 0) fail(errno, "clone into cgroup", directory);
  if (pid == 0) return 0;
  close(group);
  *pidfd = descriptor;
  return pid;
}
