/* The programs within the program. Each returns the exit code of the process, or never. */
#ifndef DURE_COMMANDS_H
#define DURE_COMMANDS_H

#define SESSION_FD 3

int command_run(const char *plan_path);
int command_exec(const char *plan_path);
int command_apply(const char *plan_path);
int command_connect(const char *namespace_path, const char *port);

/* 1 when `name` lists it in a plan as `unshare name`. */
struct plan;
int plan_unshares(const struct plan *plan, const char *kind);

#endif
