/* The last stage, the same for the program of a container and for what is executed in it later: limits, credentials, exec. */
#ifndef DURE_STAGE_H
#define DURE_STAGE_H

#include "plan.h"

/* What must be opened while the host's /proc is still there. */
struct stage {
  int apparmor; /* attribute file that names the profile after exec; -1: none asked for */
};

/* Before the root changes: oom_score_adj, and the LSM's attribute file. */
struct stage stage_prepare(const struct plan *plan);

/* Never returns: the program is running, or the failure is reported. `packets` is the socket to the supervisor. */
_Noreturn void stage_exec(const struct plan *plan, struct stage stage, int packets);

#endif
