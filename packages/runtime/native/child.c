#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "fail.h"
#include "kernel.h"
#include "session.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

void become_supervisor(const struct plan *plan, int session) {
  if (fcntl(session, F_SETFD, FD_CLOEXEC) < 0) fail(errno, "use session descriptor", NULL);
  /*
   * Born in the supervisors' cgroup rather than moved there: moving a process costs the kernel an RCU grace period, milliseconds
   * in which nothing else happens. The process the caller started ends here.
   */
  const struct record *group = plan_find(plan, "supervisor-cgroup");
  if (group) {
    int pidfd;
    if (clone_into_cgroup(0, group->fields[0].text, &pidfd) > 0) _exit(0);
  }
  /* What is sent to a whole group or by a closing terminal is not meant for us; the program's exit is our end. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

enum stdin_mode stdin_mode_of(const struct plan *plan) {
  const struct record *record = plan_find(plan, "stdin");
  if (!record || strcmp(record->fields[0].text, "none") == 0) return STDIN_NONE;
  if (strcmp(record->fields[0].text, "open") == 0) return STDIN_OPEN;
  if (strcmp(record->fields[0].text, "once") == 0) return STDIN_ONCE;
  fail(0, "read plan: unknown mode of stdin", record->fields[0].text);
}

static void make_pipe(int *ends, const struct record *user) {
  if (pipe2(ends, O_CLOEXEC) < 0) fail(errno, "make pipe", NULL);
  if (user && fchown(ends[0], (uid_t)user->fields[0].number, (gid_t)user->fields[1].number) < 0) fail(errno, "give pipe to user", user->fields[0].text);
}

struct streams streams_open(const struct plan *plan) {
  struct streams streams = {.terminal = false, .has_stdin = stdin_mode_of(plan) != STDIN_NONE, .columns = 0, .rows = 0,
                            .input = {-1, -1}, .output = {-1, -1}, .errors = {-1, -1}, .packets = {-1, -1}};
  const struct record *terminal = plan_find(plan, "terminal"), *user = plan_find(plan, "user");
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, streams.packets) < 0) fail(errno, "make socket pair", NULL);
  if (terminal) {
    streams.terminal = true;
    streams.columns = (int)terminal->fields[0].number;
    streams.rows = (int)terminal->fields[1].number;
    return streams;
  }
  if (streams.has_stdin) make_pipe(streams.input, user);
  make_pipe(streams.output, user);
  make_pipe(streams.errors, user);
  return streams;
}

static void send_descriptor(int socket, int descriptor) {
  char letter = PACKET_TERMINAL;
  struct iovec part = {.iov_base = &letter, .iov_len = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) fail(errno, "pass terminal to supervisor", NULL);
}

/* The terminal's name within the container, bound on /dev/console, where init systems look for it. */
static void bind_console(int slave) {
  char path[64];
  int number;
  if (ioctl(slave, TIOCGPTN, &number) < 0) fail(errno, "number of terminal", NULL);
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  int console = open("/dev/console", O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (console < 0) return;
  int tree = k_open_tree(AT_FDCWD, path, K_OPEN_TREE_CLONE | O_CLOEXEC);
  if (tree < 0) fail(errno, "clone", path);
  close(console);
  console = open("/dev/console", O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (console < 0 || k_move_mount(tree, console) < 0) fail(errno, "bind terminal on", "/dev/console");
  close(console);
  close(tree);
}

static void enter_terminal(const struct plan *plan, struct streams *streams, bool console) {
  int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
  if (master < 0) fail(errno, "open", "/dev/pts/ptmx");
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) fail(errno, "unlock terminal", NULL);
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) fail(errno, "open terminal", NULL);
  if (streams->columns > 0 && streams->rows > 0) {
    struct winsize size = {.ws_row = (unsigned short)streams->rows, .ws_col = (unsigned short)streams->columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(slave, TIOCSWINSZ, &size);
  }
  const struct record *user = plan_find(plan, "user");
  if (user && fchown(slave, (uid_t)user->fields[0].number, (gid_t)-1) < 0 && errno != EPERM) fail(errno, "give terminal to user", user->fields[0].text);
  if (console) bind_console(master);
  send_descriptor(streams->packets[1], master);
  close(master);
  for (int fd = 0; fd < 3; fd++)
    if (dup2(slave, fd) < 0) fail(errno, "make standard streams", NULL);
  if (ioctl(0, TIOCSCTTY, 0) < 0) fail(errno, "make terminal the controlling one", NULL);
  close(slave);
}

void streams_enter(const struct plan *plan, struct streams *streams, bool console) {
  if (streams->terminal) {
    enter_terminal(plan, streams, console);
    return;
  }
  int input = streams->has_stdin ? streams->input[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (input < 0) fail(errno, "open", "/dev/null");
  if (dup2(input, 0) < 0 || dup2(streams->output[1], 1) < 0 || dup2(streams->errors[1], 2) < 0) fail(errno, "make standard streams", NULL);
}

void streams_handshake(struct streams *streams, struct supervised *program) {
  close(streams->packets[1]);
  if (!streams->terminal) {
    if (streams->has_stdin) close(streams->input[0]);
    close(streams->output[1]);
    close(streams->errors[1]);
    program->input = streams->input[1];
    program->output = streams->output[0];
    program->errors = streams->errors[0];
  }
  bool executing = false;
  for (;;) {
    char packet[4096];
    struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
    union {
      char bytes[CMSG_SPACE(sizeof(int))];
      struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(streams->packets[0], &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (packet[0] == PACKET_EXECUTING) executing = true;
    if (packet[0] == PACKET_FAILED) fail_with_json(packet + 1, (size_t)n - 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (packet[0] == PACKET_TERMINAL && header && header->cmsg_type == SCM_RIGHTS) {
      memcpy(&program->output, CMSG_DATA(header), sizeof(int));
      program->input = fcntl(program->output, F_DUPFD_CLOEXEC, 3);
      program->terminal = true;
    }
  }
  close(streams->packets[0]);
  if (executing) return;
  siginfo_t info;
  memset(&info, 0, sizeof info);
  waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOWAIT);
  char status[64];
  snprintf(status, sizeof status, "%s %d", info.si_code == CLD_EXITED ? "exit code" : "signal", info.si_status);
  fail(0, "start: ended before exec", status);
}

int process_hold(pid_t pid, uint64_t start_time) {
  char text[32];
  snprintf(text, sizeof text, "%d", (int)pid);
  int pidfd = k_pidfd_open(pid);
  if (pidfd < 0) fail(errno, "open process", text);
  if (process_start_time(pid) != start_time) fail(ESRCH, "open process: this pid is another process by now", text);
  return pidfd;
}

static int kind_of(const char *name) {
  static const struct {
    const char *name;
    int flag;
  } KINDS[] = {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
               {"pid", CLONE_NEWPID}, {"user", CLONE_NEWUSER}, {"cgroup", K_CLONE_NEWCGROUP}};
  for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
    if (strcmp(KINDS[i].name, name) == 0) return KINDS[i].flag;
  fail(0, "read plan: unknown kind of namespace", name);
}

struct joins joins_open(const struct plan *plan) {
  struct joins joins;
  memset(&joins, 0, sizeof joins);
  for (unsigned i = 0; i < plan->count; i++) {
    const struct record *record = &plan->records[i];
    bool file = record_is(record, "join"), process = record_is(record, "join-process");
    if (!file && !process) continue;
    if (joins.count == 8) fail(0, "read plan: too many namespaces to join", NULL);
    joins.kinds[joins.count] = kind_of(record->fields[0].text);
    joins.by_process[joins.count] = process;
    int fd = file ? open(record->fields[1].text, O_RDONLY | O_CLOEXEC)
                  : process_hold((pid_t)record->fields[1].number, (uint64_t)record->fields[2].number);
    if (fd < 0) fail(errno, "open namespace", record->fields[1].text);
    joins.descriptors[joins.count++] = fd;
  }
  return joins;
}

void joins_enter(const struct joins *joins, int kinds) {
  for (unsigned i = 0; i < joins->count; i++) {
    if (!(joins->kinds[i] & kinds)) continue;
    if (setns(joins->descriptors[i], joins->kinds[i]) < 0) {
      char kind[32];
      snprintf(kind, sizeof kind, "0x%x", (unsigned)joins->kinds[i]);
      fail(errno, "enter namespace of kind", kind);
    }
  }
}
