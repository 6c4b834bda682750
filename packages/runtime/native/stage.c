#include "stage.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fail.h"
#include "kernel.h"
#include "session.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

#define CAPABILITY_MAX 63

struct stage stage_prepare(const struct plan *plan) {
  struct stage stage = {.apparmor = -1};
  const struct record *score = plan_find(plan, "oom-score-adj");
  if (score) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) fail(errno, "open", "/proc/self/oom_score_adj");
    /* Lowering needs CAP_SYS_RESOURCE, which a restricted host lacks; a worse score is no reason to refuse the container. */
    if (write(fd, score->fields[0].text, score->fields[0].length) < 0 && errno != EACCES && errno != EPERM)
      fail(errno, "write oom_score_adj", score->fields[0].text);
    close(fd);
  }
  const struct record *profile = plan_find(plan, "apparmor");
  if (profile) {
    stage.apparmor = open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
    if (stage.apparmor < 0) fail(errno, "open AppArmor's attribute for profile", profile->fields[0].text);
  }
  return stage;
}

static void set_limits(const struct plan *plan) {
  for (unsigned i = 0; i < plan->count; i++) {
    const struct record *record = &plan->records[i];
    if (!record_is(record, "rlimit")) continue;
    int resource = (int)record->fields[0].number;
    struct rlimit wanted = {(rlim_t)record->fields[1].bits, (rlim_t)record->fields[2].bits}, now;
    if (setrlimit(resource, &wanted) == 0) continue;
    if (errno != EPERM || getrlimit(resource, &now) < 0) fail(errno, "set resource limit", record->fields[0].text);
    /* Raising the hard limit is refused here: as high as allowed instead. */
    if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    if (setrlimit(resource, &wanted) < 0) fail(errno, "set resource limit", record->fields[0].text);
  }
}

static void install_seccomp(const struct record *record) {
  if (record->fields[0].length == 0 || record->fields[0].length % sizeof(struct sock_filter) != 0 ||
      record->fields[0].length / sizeof(struct sock_filter) > BPF_MAXINSNS)
    fail(EINVAL, "install seccomp filter: its size is wrong", NULL);
  /* Copied for its alignment: fields lie wherever the plan's text put them. */
  struct sock_filter *filter = malloc(record->fields[0].length);
  if (!filter) fail(ENOMEM, "install seccomp filter", NULL);
  memcpy(filter, record->fields[0].text, record->fields[0].length);
  struct sock_fprog program = {.len = (unsigned short)(record->fields[0].length / sizeof *filter), .filter = filter};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) fail(errno, "install seccomp filter", NULL);
}

static void set_credentials(const struct plan *plan) {
  const struct record *user = plan_find(plan, "user"), *groups = plan_find(plan, "groups"), *caps = plan_find(plan, "capabilities");
  gid_t *list = calloc(groups ? groups->count + 1 : 1, sizeof *list);
  unsigned count = groups ? groups->count : 0;
  if (!list) fail(ENOMEM, "set groups", NULL);
  for (unsigned i = 0; i < count; i++) list[i] = (gid_t)groups->fields[i].number;
  if (syscall(
#ifdef SYS_setgroups32
          SYS_setgroups32,
#else
          SYS_setgroups,
#endif
          (size_t)count, list) < 0)
    fail(errno, "set supplemental groups", NULL);

  if (caps) {
    for (int capability = 0; capability <= CAPABILITY_MAX; capability++) {
      if (caps->fields[0].bits & (1ULL << capability)) continue;
      /* EINVAL: this kernel has no capability of that number, nor any above. */
      if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) fail(errno, "drop capability from bounding set", NULL);
    }
  }
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) fail(errno, "keep capabilities across the change of user", NULL);
  if (user) {
    gid_t gid = (gid_t)user->fields[1].number;
    uid_t uid = (uid_t)user->fields[0].number;
    if (setresgid(gid, gid, gid) < 0) fail(errno, "set group", user->fields[1].text);
    if (setresuid(uid, uid, uid) < 0) fail(errno, "set user", user->fields[0].text);
  }
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) fail(errno, "end keeping capabilities", NULL);
  if (!caps) return;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  for (int half = 0; half < 2; half++) {
    data[half].permitted = (uint32_t)(caps->fields[1].bits >> (32 * half));
    data[half].effective = (uint32_t)(caps->fields[2].bits >> (32 * half));
    data[half].inheritable = (uint32_t)(caps->fields[3].bits >> (32 * half));
  }
  if (syscall(SYS_capset, &header, data) < 0) fail(errno, "set capabilities", NULL);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) fail(errno, "clear ambient capabilities", NULL);
  for (int capability = 0; capability <= CAPABILITY_MAX; capability++)
    if ((caps->fields[4].bits & (1ULL << capability)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
      fail(errno, "raise ambient capability", NULL);
}

/* HOME as login programs set it: the image's own /etc/passwd says where, and `/` where it says nothing. */
static const char *home_of(uid_t uid) {
  static char line[4096];
  FILE *file = fopen("/etc/passwd", "re");
  if (!file) return "/";
  while (fgets(line, sizeof line, file)) {
    char *field = line, *fields[6];
    int n = 0;
    while (n < 6 && field) {
      fields[n++] = field;
      field = strchr(field, ':');
      if (field) *field++ = '\0';
    }
    char *end;
    if (n < 6 || fields[2][0] == '\0') continue;
    unsigned long id = strtoul(fields[2], &end, 10);
    if (*end || id != uid) continue;
    fclose(file);
    return fields[5][0] ? fields[5] : "/";
  }
  fclose(file);
  return "/";
}

static char **strings_of(const struct plan *plan, const char *name, unsigned spare) {
  unsigned count = 0;
  for (unsigned i = 0; i < plan->count; i++) count += record_is(&plan->records[i], name);
  char **list = calloc(count + spare + 1, sizeof *list);
  if (!list) fail(ENOMEM, "make argument list", NULL);
  unsigned at = 0;
  for (unsigned i = 0; i < plan->count; i++)
    if (record_is(&plan->records[i], name)) list[at++] = plan->records[i].fields[0].text;
  return list;
}

static char **environment_of(const struct plan *plan) {
  char **environment = strings_of(plan, "environment", 1);
  if (!plan_find(plan, "home")) return environment;
  unsigned at = 0;
  for (; environment[at]; at++)
    if (strncmp(environment[at], "HOME=", 5) == 0) return environment;
  static char home[4200];
  const struct record *user = plan_find(plan, "user");
  snprintf(home, sizeof home, "HOME=%s", home_of(user ? (uid_t)user->fields[0].number : 0));
  environment[at] = home;
  return environment;
}

static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void execute(char **arguments, char **environment) {
  const char *name = arguments[0];
  if (strchr(name, '/')) {
    execve(name, arguments, environment);
    fail(errno, "exec", name);
  }
  const char *path = "";
  for (char **entry = environment; *entry; entry++)
    if (strncmp(*entry, "PATH=", 5) == 0) path = *entry + 5;
  int seen = ENOENT;
  char whole[4096];
  for (;;) {
    size_t length = strcspn(path, ":");
    int n = length == 0 ? snprintf(whole, sizeof whole, "./%s", name) : snprintf(whole, sizeof whole, "%.*s/%s", (int)length, path, name);
    if (n > 0 && (size_t)n < sizeof whole) {
      execve(whole, arguments, environment);
      /* Found but unusable is worth more to the reader than not found further on. */
      if (errno != ENOENT && errno != ENOTDIR) {
        seen = errno;
        if (errno != EACCES) break;
      }
    }
    if (path[length] == '\0') break;
    path += length + 1;
  }
  fail(seen, seen == ENOENT ? "exec: not found in PATH" : "exec", name);
}

_Noreturn void stage_exec(const struct plan *plan, struct stage stage, int packets) {
  const struct record *seccomp = plan_find(plan, "seccomp"), *mode = plan_find(plan, "umask"), *directory = plan_find(plan, "directory");
  const struct record *profile = plan_find(plan, "apparmor");
  bool restricted = plan_find(plan, "no-new-privileges") != NULL;
  char **arguments = strings_of(plan, "argument", 0);
  if (!arguments[0]) fail(0, "read plan: no argument", NULL);
  char **environment = environment_of(plan);
  reset_signals();
  if (mode) umask((mode_t)mode->fields[0].number);
  set_limits(plan);
  if (stage.apparmor >= 0) {
    char text[512];
    int n = snprintf(text, sizeof text, "exec %s", profile->fields[0].text);
    if (write(stage.apparmor, text, (size_t)n) < 0) fail(errno, "set AppArmor profile", profile->fields[0].text);
  }
  /* As root first, then as the user: root may be kept out (a network file system), the user may be kept out of a parent. */
  const char *where = directory ? directory->fields[0].text : "/";
  bool entered = chdir(where) == 0;
  /* Without no_new_privs only CAP_SYS_ADMIN may install a filter, so it must come before the capabilities go. */
  if (seccomp && !restricted) install_seccomp(seccomp);
  set_credentials(plan);
  /* After the change of user, which would clear it. A program that changes its user itself is left to the agent. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) fail(errno, "tie to supervisor", NULL);
  if (!entered && chdir(where) < 0) fail(errno, "enter working directory", where);
  if (restricted && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(errno, "set no_new_privs", NULL);
  k_close_range(3, K_CLOSE_RANGE_CLOEXEC);
  char packet = PACKET_EXECUTING;
  if (send(packets, &packet, 1, MSG_NOSIGNAL) < 0) _exit(1);
  if (seccomp && restricted) install_seccomp(seccomp);
  execute(arguments, environment);
}
