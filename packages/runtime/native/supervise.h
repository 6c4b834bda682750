/* The supervisor's part after exec: streams, log, clients, and the end. The same loop serves a container and one execution in it. */
#ifndef DURE_SUPERVISE_H
#define DURE_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

enum stdin_mode { STDIN_NONE, STDIN_OPEN, STDIN_ONCE };

struct supervised {
  pid_t pid;
  int pidfd;
  int output;      /* the program's stdout, or the terminal's master; -1: none */
  int errors;      /* the program's stderr; -1 with a terminal */
  int input;       /* write end of its stdin, or a copy of the master; -1: none */
  bool terminal;
  enum stdin_mode stdin_mode;
  const char *log; /* CRI log file; NULL: no log */
  int listener;    /* control socket; -1: none */
  int session;     /* the caller's socket; -1: none */
  bool owned;      /* the session's end is the program's end */
  bool attached;   /* the session gets output from the start */
  const char *cgroup; /* killed when the program has ended; NULL: not */
  void (*end_session)(struct supervised *); /* with `owned`: kills what the session started */
};

struct outcome {
  int exit_code;   /* 128 + signal where a signal ended it */
  int signal_number;
  int64_t finished_ns; /* since 1970 */
  uint64_t oom_kills;
};

/* Opens the log, so that a wrong path is told before anything starts. */
int log_open(const char *path);

/* Serves until the program has ended and what it wrote has been taken. `on_exit` runs once, before clients are told. */
void supervise(struct supervised *program, int log, void (*on_exit)(const struct outcome *, void *), void *context);

int64_t wall_clock_ns(void);

#endif
