/* The container's file system: everything from the first mount to pivot_root. */
#ifndef DURE_ROOTFS_H
#define DURE_ROOTFS_H

#include "plan.h"

/*
 * In the supervisor, so in the host's mount namespace: clones the tree of every bind source. A clone taken here stays a peer of the
 * host's mount, which is what makes mount propagation possible. Returns one descriptor per record of the plan (-1 where it is no bind).
 */
int *rootfs_open_sources(const struct plan *plan);

/* In the child, already in a mount namespace of its own: performs every file system record in order and makes `root` the root. */
void rootfs_enter(const struct plan *plan, const int *sources);

/* Opens `path` as seen from the directory `root`, never leaving it through links; makes what is missing: directories, or a file at the end. */
int open_or_make_in_root(int root, const char *path, bool directory);

#endif
