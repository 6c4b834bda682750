/* dure-run: executes the plans of Dure's runtime. It decides nothing; see README.md beside this file. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "plan.h"

static const char USAGE[] =
    "usage: dure-run run PLAN               a container: descriptor 3 is the session\n"
    "       dure-run exec PLAN              a program in a running container: descriptor 3 is the session\n"
    "       dure-run apply PLAN             namespaces and mounts on the host\n"
    "       dure-run connect NETNS|- PORT   a connection inside a network namespace, carried over descriptor 3\n"
    "       dure-run check PLAN             reads a plan and says what is wrong with it\n"
    "       dure-run version\n";

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "run") == 0) return command_run(argv[2]);
  if (argc == 3 && strcmp(argv[1], "exec") == 0) return command_exec(argv[2]);
  if (argc == 3 && strcmp(argv[1], "apply") == 0) return command_apply(argv[2]);
  if (argc == 4 && strcmp(argv[1], "connect") == 0) return command_connect(argv[2], argv[3]);
  if (argc == 3 && strcmp(argv[1], "check") == 0) {
    plan_read(argv[2]);
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "version") == 0) {
    puts("dure-run plan 1");
    return 0;
  }
  fputs(USAGE, stderr);
  return 2;
}
