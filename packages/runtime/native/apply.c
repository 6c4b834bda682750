/*
 * Changes to the host around containers, in the order of the plan: namespaces that are kept without a process, mounts, and the
 * reaper of a shared PID namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "child.h"
#include "commands.h"
#include "fail.h"
#include "kernel.h"
#include "rootfs.h"
#include "session.h"

#define REAPER_UID 65535
#define WATCHERS_MAX 8

int plan_unshares(const struct plan *plan, const char *kind) {
  for (unsigned i = 0; i < plan->count; i++)
    if (record_is(&plan->records[i], "unshare") && strcmp(plan->records[i].fields[0].text, kind) == 0) return 1;
  return 0;
}

static void loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(errno, "make socket", NULL);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) fail(errno, "read flags of", "lo");
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) fail(errno, "bring up", "lo");
  close(fd);
}

static void write_file(const char *path, const struct field *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail(errno, "open", path);
  if (write(fd, value->text, value->length) != (ssize_t)value->length) fail(errno, "write", path);
  close(fd);
}

static void keep(const char *kind, const char *path) {
  char source[64];
  snprintf(source, sizeof source, "/proc/self/ns/%.16s", kind);
  int fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
  if (fd < 0) fail(errno, "make file for namespace", path);
  close(fd);
  if (mount(source, path, NULL, MS_BIND, NULL) < 0) fail(errno, "keep namespace at", path);
}

static void unmount(const char *path) {
  /* Stacked mounts too; EINVAL: it is no mount (any more). */
  for (int times = 0; times < 64; times++) {
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR) return;
    fail(errno, "unmount", path);
  }
}

static void bind_on_host(const struct record *record, int tree) {
  int target = open(record->fields[1].text, O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (target < 0) fail(errno, "open mount target", record->fields[1].text);
  if (k_move_mount(tree, target) < 0) fail(errno, "mount on", record->fields[1].text);
  close(target);
}

static void mount_on_host(const struct record *record) {
  unsigned long flags = 0;
  const char *names = record->fields[3].text;
  if (strstr(names, "nosuid")) flags |= MS_NOSUID;
  if (strstr(names, "nodev")) flags |= MS_NODEV;
  if (strstr(names, "noexec")) flags |= MS_NOEXEC;
  if (mount(record->fields[1].text, record->fields[2].text, record->fields[0].text, flags, record->fields[4].text) < 0)
    fail(errno, "mount on", record->fields[2].text);
}

/*
 * PID 1 of a PID namespace that several containers share: takes orphans, and holds the namespace. Others in it may look at
 * /proc/1, so it stands in an empty root, without rights.
 */
static _Noreturn void reap(int listener, int ready) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigaddset(&children, SIGTERM);
  int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail(errno, "watch children", NULL);
  prctl(PR_SET_NAME, "dure-reaper", 0, 0, 0);
  char go = PACKET_EXECUTING;
  if (send(ready, &go, 1, MSG_NOSIGNAL) < 0) _exit(1);
  close(ready);
  int watchers[WATCHERS_MAX], count = 0;
  for (;;) {
    struct pollfd polled[2 + WATCHERS_MAX] = {{.fd = signals, .events = POLLIN, .revents = 0}, {.fd = listener, .events = POLLIN, .revents = 0}};
    for (int i = 0; i < count; i++) polled[2 + i] = (struct pollfd){.fd = watchers[i], .events = POLLIN, .revents = 0};
    if (poll(polled, (nfds_t)(2 + count), -1) < 0) continue;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
      if (info.ssi_signo == SIGTERM) _exit(0);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    for (int i = count; i-- > 0;) {
      if (!polled[2 + i].revents) continue;
      close(watchers[i]);
      watchers[i] = watchers[--count];
    }
    /* A watcher only waits for our end, which its socket tells. */
    if (polled[1].revents & POLLIN) {
      int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      if (fd >= 0 && count < WATCHERS_MAX) watchers[count++] = fd;
      else if (fd >= 0) close(fd);
    }
  }
}

static void enter_empty_root(void) {
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail(errno, "make mounts private", "/");
  if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=0k,nr_inodes=1,mode=555") < 0) fail(errno, "mount empty root", NULL);
  if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fail(errno, "enter empty root", NULL);
  if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) fail(errno, "leave old root", NULL);
}

static void drop_rights(void) {
  for (int capability = 0; capability < 64; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (syscall(SYS_setgroups, (size_t)0, NULL) < 0) fail(errno, "drop groups", NULL);
  if (setresgid(REAPER_UID, REAPER_UID, REAPER_UID) < 0 || setresuid(REAPER_UID, REAPER_UID, REAPER_UID) < 0) fail(errno, "drop rights", NULL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int start_reaper(const struct plan *plan, const char *state, char *json, size_t size) {
  const char *cgroup = plan_need(plan, "cgroup")->fields[0].text;
  if (chdir(state) < 0) fail(errno, "enter state directory", state);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "reaper"};
  unlink("reaper");
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0) fail(errno, "make socket of reaper in", state);
  int packets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets) < 0) fail(errno, "make socket pair", NULL);
  int pidfd;
  pid_t pid = clone_into_cgroup((uint64_t)CLONE_NEWNS | (uint64_t)CLONE_NEWPID, cgroup, &pidfd);
  if (pid == 0) {
    report_to(REPORT_PACKET, packets[1]);
    close(packets[0]);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
    close(null);
    close(SESSION_FD);
    enter_empty_root();
    drop_rights();
    reap(listener, packets[1]);
  }
  close(packets[1]);
  char packet[4096];
  ssize_t n = recv(packets[0], packet, sizeof packet, 0);
  if (n < 1) fail(0, "start reaper: it ended early", NULL);
  if (packet[0] == PACKET_FAILED) fail_with_json(packet + 1, (size_t)n - 1);
  return snprintf(json, size, "{\"pid\":%d,\"pidStartTime\":\"%llu\"}", (int)pid, (unsigned long long)process_start_time(pid));
}

int command_apply(const char *plan_path) {
  report_to(REPORT_FRAME, SESSION_FD);
  if (fcntl(SESSION_FD, F_SETFD, FD_CLOEXEC) < 0) fail(errno, "use session descriptor", NULL);
  struct plan plan = plan_read(plan_path);
  int *sources = rootfs_open_sources(&plan);
  char answer[128] = "{}";
  int length = 2;
  for (unsigned i = 0; i < plan.count; i++) {
    const struct record *record = &plan.records[i];
    const struct field *f = record->fields;
    if (record_is(record, "unshare")) {
      int kind = strcmp(f[0].text, "net") == 0 ? CLONE_NEWNET : strcmp(f[0].text, "ipc") == 0 ? CLONE_NEWIPC : strcmp(f[0].text, "uts") == 0 ? CLONE_NEWUTS : 0;
      if (!kind) fail(0, "read plan: unknown kind of namespace", f[0].text);
      if (unshare(kind) < 0) fail(errno, "make namespace of kind", f[0].text);
    } else if (record_is(record, "hostname")) {
      if (sethostname(f[0].text, f[0].length) < 0) fail(errno, "set hostname", f[0].text);
    } else if (record_is(record, "loopback")) loopback_up();
    else if (record_is(record, "sysctl")) write_file(f[0].text, &f[1]);
    else if (record_is(record, "keep")) keep(f[0].text, f[1].text);
    else if (record_is(record, "mount")) mount_on_host(record);
    else if (record_is(record, "bind")) bind_on_host(record, sources[i]);
    else if (record_is(record, "unmount")) unmount(f[0].text);
    else if (record_is(record, "reaper")) length = start_reaper(&plan, f[0].text, answer, sizeof answer);
    else if (!record_is(record, "cgroup")) fail(0, "read plan: not for this command", record->name);
  }
  frame_write(SESSION_FD, FRAME_STARTED, answer, (size_t)length);
  return 0;
}
