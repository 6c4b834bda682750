/* Between the supervisor and the child that becomes the program: streams, the terminal, and the packets until exec. */
#ifndef DURE_CHILD_H
#define DURE_CHILD_H

#include <stdbool.h>

#include "plan.h"
#include "supervise.h"

struct streams {
  bool terminal;
  bool has_stdin;
  int columns, rows;
  int input[2], output[2], errors[2]; /* pipes; -1 with a terminal */
  int packets[2];                     /* [0] the supervisor's, [1] the child's */
};

/* Makes the pipes, owned by the user of the plan: a program may open /dev/stdout again. */
struct streams streams_open(const struct plan *plan);

/* In the child, in its final root: makes 0, 1 and 2, and with a terminal the master, which goes to the supervisor. */
void streams_enter(const struct plan *plan, struct streams *streams, bool console);

/* In the supervisor: waits until the child executes, or fails with the child's report. Fills the streams of `program`. */
void streams_handshake(struct streams *streams, struct supervised *program);

/* The stdin mode the plan names. */
enum stdin_mode stdin_mode_of(const struct plan *plan);

/* Namespaces named by the plan. Process identities are checked after they are held, so that a pid used again is noticed. */
struct joins {
  int descriptors[8];
  int kinds[8]; /* CLONE_NEW*; the descriptor is a pidfd where `by_process` */
  bool by_process[8];
  unsigned count;
};
struct joins joins_open(const struct plan *plan);
/* Enters those of `kinds` (a mask of CLONE_NEW*). */
void joins_enter(const struct joins *joins, int kinds);

/* A pidfd of the process, or a failure when it is another by now. */
int process_hold(pid_t pid, uint64_t start_time);

/* Goes on in a child of the calling process, in the supervisors' cgroup, deaf to signals meant for others. The caller gave it a session. */
void become_supervisor(const struct plan *plan, int session);

#endif
