/* Control groups (v2), as far as a running container needs them. TypeScript makes them, limits them and removes them. */
#ifndef DURE_CGROUP_H
#define DURE_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

/* Moves the calling process. Fails with a report. */
void cgroup_join(const char *directory);

/* Loads the program (compiled by TypeScript) and attaches it to the cgroup; it then lives as long as the cgroup. */
void cgroup_attach_devices(const char *directory, const struct field *program);

/* SIGKILL to everything in it, without waiting. Nothing is reported: there may be nothing left. */
void cgroup_kill(const char *directory);

/* Processes the kernel has killed in it for want of memory; 0 where the memory controller does not tell. */
uint64_t cgroup_oom_kills(const char *directory);

/* Start time of a process in clock ticks since boot: with the pid, its identity until the next boot. 0: there is none. */
uint64_t process_start_time(pid_t pid);

/*
 * clone3 with `flags`, the child already in the cgroup. Falls back to joining where the kernel is too old or refuses. Returns as fork
 * does; *pidfd is set in the parent.
 */
pid_t clone_into_cgroup(uint64_t flags, const char *directory, int *pidfd);

#endif
