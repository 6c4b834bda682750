/* One more program in a container that runs, tied to the caller's session. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "child.h"
#include "commands.h"
#include "fail.h"
#include "kernel.h"
#include "session.h"
#include "stage.h"
#include "supervise.h"

static pid_t child;

static void undo(void) {
  if (child <= 0) return;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static pid_t parent_of_process(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  char *at = strrchr(text, ')');
  return at && strlen(at) > 4 ? (pid_t)strtol(at + 4, NULL, 10) : 0;
}

static bool belongs_to(pid_t pid, pid_t session) {
  if (getsid(pid) == session) return true;
  for (int up = 0; pid > 1 && up < 64; up++) {
    if (pid == session) return true;
    pid = parent_of_process(pid);
  }
  return false;
}

/*
 * Everything the session started: its kernel session, and whoever descends from it. Stopped first, so that nothing forks away
 * between the look and the kill. The program itself is not reaped yet, so its pid is still its own.
 */
static void kill_session(struct supervised *program) {
  for (int round = 0; round < 2; round++) {
    DIR *all = opendir("/proc");
    if (!all) break;
    struct dirent *entry;
    while ((entry = readdir(all))) {
      char *end;
      long pid = strtol(entry->d_name, &end, 10);
      if (*end || pid <= 1 || pid == program->pid || pid == getpid()) continue;
      if (belongs_to((pid_t)pid, program->pid)) kill((pid_t)pid, SIGKILL);
    }
    closedir(all);
    if (round == 0) kill(program->pid, SIGSTOP);
  }
  kill(program->pid, SIGKILL);
}

/* Where the container's first process stands, which may be beneath the container's cgroup; joining a cgroup that has children of its own fails. */
static void cgroup_of(pid_t pid, const char *mount, const char *fallback, char *out, size_t size) {
  char path[64], text[PATH_MAX];
  snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
  snprintf(out, size, "%s", fallback);
  FILE *file = fopen(path, "re");
  if (!file) return;
  while (fgets(text, sizeof text, file)) {
    if (strncmp(text, "0::", 3) != 0 || strstr(text, "/../") || strncmp(text + 3, "/..", 3) == 0) continue;
    text[strcspn(text, "\n")] = '\0';
    struct stat status;
    int n = snprintf(out, size, "%s%s", mount, text + 3);
    if (n < 0 || (size_t)n >= size || stat(out, &status) < 0) snprintf(out, size, "%s", fallback);
    break;
  }
  fclose(file);
}

static void nothing(const struct outcome *outcome, void *context) {
  (void)outcome;
  (void)context;
}

int command_exec(const char *plan_path) {
  report_to(REPORT_FRAME, SESSION_FD);
  struct plan plan = plan_read(plan_path);
  const struct record *target = plan_need(&plan, "target");
  plan_need(&plan, "argument");
  become_supervisor(&plan, SESSION_FD);
  on_failure(undo);
  pid_t first = (pid_t)target->fields[0].number;
  int container = process_hold(first, (uint64_t)target->fields[1].number);
  char cgroup[PATH_MAX];
  cgroup_of(first, target->fields[2].text, target->fields[3].text, cgroup, sizeof cgroup);
  struct streams streams = streams_open(&plan);
  int user = plan_unshares(&plan, "user") ? CLONE_NEWUSER : 0;
  if (setns(container, CLONE_NEWPID) < 0) fail(errno, "enter PID namespace of", target->fields[0].text);
  int pidfd;
  child = clone_into_cgroup(0, cgroup, &pidfd);
  if (child == 0) {
    report_to(REPORT_PACKET, streams.packets[1]);
    on_failure(NULL);
    close(streams.packets[0]);
    setsid();
    struct stage stage = stage_prepare(&plan);
    if (setns(container, user | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | K_CLONE_NEWCGROUP) < 0)
      fail(errno, "enter namespaces of", target->fields[0].text);
    streams_enter(&plan, &streams, false);
    stage_exec(&plan, stage, streams.packets[1]);
  }
  struct supervised program = {.pid = child, .pidfd = pidfd, .output = -1, .errors = -1, .input = -1, .terminal = false,
                               .stdin_mode = stdin_mode_of(&plan), .log = NULL, .listener = -1, .session = SESSION_FD, .owned = true,
                               .attached = true, .cgroup = NULL, .end_session = kill_session};
  streams_handshake(&streams, &program);
  char json[64];
  int n = snprintf(json, sizeof json, "{\"pid\":%d}", (int)child);
  if (frame_write(SESSION_FD, FRAME_STARTED, json, (size_t)n) < 0) kill_session(&program);
  supervise(&program, -1, nothing, NULL);
  return 0;
}
