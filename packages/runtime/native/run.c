/* A container: its one program, from the plan to the exit file. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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
#include "stage.h"
#include "supervise.h"

static pid_t child;
static const char *container_cgroup;
static bool listening;
static int64_t started_ns;

/* Names within the state directory, which is our working directory: its whole path may be longer than a socket's name can be. */
#define SOCKET_NAME "socket"
#define STARTED_NAME "started"
#define EXIT_NAME "exit"

static void undo(void) {
  if (child > 0) {
    kill(child, SIGKILL);
    if (container_cgroup) cgroup_kill(container_cgroup);
    waitpid(child, NULL, 0);
  }
  if (listening) unlink(SOCKET_NAME);
}

/* Whole or not at all: written beside, then renamed. The newline at the end says so a second time. */
static void write_state(const char *name, const char *text, size_t length) {
  char beside[64];
  snprintf(beside, sizeof beside, "%s.new", name);
  int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  ssize_t wrote = write(fd, text, length);
  close(fd);
  if (wrote == (ssize_t)length) rename(beside, name);
}

static int listen_here(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail(errno, "make control socket", NULL);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
  unlink(SOCKET_NAME);
  mode_t before = umask(077);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail(errno, "bind control socket", SOCKET_NAME);
  umask(before);
  listening = true;
  if (listen(fd, 16) < 0) fail(errno, "listen on control socket", SOCKET_NAME);
  return fd;
}

static void record_exit(const struct outcome *outcome, void *context) {
  (void)context;
  char json[256];
  int n = snprintf(json, sizeof json, "{\"exitCode\":%d,\"signal\":%d,\"startedAtNs\":\"%lld\",\"finishedAtNs\":\"%lld\",\"oomKills\":%llu}\n",
                   outcome->exit_code, outcome->signal_number, (long long)started_ns, (long long)outcome->finished_ns,
                   (unsigned long long)outcome->oom_kills);
  write_state(EXIT_NAME, json, (size_t)n);
  unlink(SOCKET_NAME);
}

static _Noreturn void become_program(const struct plan *plan, const struct joins *joins, const int *sources, struct streams *streams) {
  report_to(REPORT_PACKET, streams->packets[1]);
  on_failure(NULL);
  close(streams->packets[0]);
  setsid();
  joins_enter(joins, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
  /* Only now: a cgroup namespace's root is where its maker stands, and clone would take the supervisor's place for it. */
  if (plan_unshares(plan, "cgroup") && unshare(K_CLONE_NEWCGROUP) < 0) fail(errno, "make cgroup namespace", NULL);
  struct stage stage = stage_prepare(plan);
  rootfs_enter(plan, sources);
  streams_enter(plan, streams, true);
  stage_exec(plan, stage, streams->packets[1]);
}

int command_run(const char *plan_path) {
  report_to(REPORT_FRAME, SESSION_FD);
  struct plan plan = plan_read(plan_path);
  const char *state = plan_need(&plan, "state")->fields[0].text;
  container_cgroup = plan_need(&plan, "cgroup")->fields[0].text;
  const struct record *log = plan_find(&plan, "log"), *devices = plan_find(&plan, "devices");
  plan_need(&plan, "root");
  plan_need(&plan, "argument");

  become_supervisor(&plan, SESSION_FD);
  on_failure(undo);
  if (chdir(state) < 0) fail(errno, "enter state directory", state);
  int log_fd = -1;
  if (log && (log_fd = log_open(log->fields[0].text)) < 0) fail(errno, "open log", log->fields[0].text);
  int *sources = rootfs_open_sources(&plan);
  struct joins joins = joins_open(&plan);
  if (devices) cgroup_attach_devices(container_cgroup, &devices->fields[0]);
  struct streams streams = streams_open(&plan);
  int listener = listen_here();

  /* A PID namespace is entered by children only. */
  joins_enter(&joins, CLONE_NEWPID);
  int pidfd;
  child = clone_into_cgroup((uint64_t)CLONE_NEWNS | (plan_unshares(&plan, "pid") ? (uint64_t)CLONE_NEWPID : 0), container_cgroup, &pidfd);
  if (child == 0) become_program(&plan, &joins, sources, &streams);

  for (unsigned i = 0; i < plan.count; i++)
    if (sources[i] >= 0) close(sources[i]);
  for (unsigned i = 0; i < joins.count; i++) close(joins.descriptors[i]);
  struct supervised program = {.pid = child, .pidfd = pidfd, .output = -1, .errors = -1, .input = -1, .terminal = false,
                               .stdin_mode = stdin_mode_of(&plan), .log = log ? log->fields[0].text : NULL, .listener = listener,
                               .session = SESSION_FD, .owned = false, .attached = false, .cgroup = container_cgroup, .end_session = NULL};
  streams_handshake(&streams, &program);

  started_ns = wall_clock_ns();
  char json[256];
  int n = snprintf(json, sizeof json, "{\"pid\":%d,\"pidStartTime\":\"%llu\",\"supervisor\":%d,\"supervisorStartTime\":\"%llu\",\"startedAtNs\":\"%lld\"}\n",
                   (int)child, (unsigned long long)process_start_time(child), (int)getpid(), (unsigned long long)process_start_time(getpid()),
                   (long long)started_ns);
  write_state(STARTED_NAME, json, (size_t)n);
  if (frame_write(SESSION_FD, FRAME_STARTED, json, (size_t)n) < 0) {
    /* The caller died meanwhile; the container is its own master now, and the next caller finds it. */
    close(SESSION_FD);
    program.session = -1;
  }
  supervise(&program, log_fd, record_exit, NULL);
  return 0;
}
