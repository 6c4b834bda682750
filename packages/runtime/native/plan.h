/*
 * The plan file: what to do, complete, decided by TypeScript.
 *
 *   dure-run plan 1\n
 *   <directive>[ <length>:<bytes>]...\n
 *   ...
 *   end\n
 *
 * Lengths are decimal byte counts, so fields hold any byte and need no escaping. `end` must be last: a plan cut short is
 * refused. Every directive, its number of fields and each field's type are checked before anything is done.
 */
#ifndef DURE_PLAN_H
#define DURE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_BYTES_MAX (8u << 20)

struct field {
  char *text; /* NUL-terminated; blobs may hold NULs within */
  size_t length;
  int64_t number;   /* fields of type n */
  uint64_t bits;    /* fields of type x */
};

struct record {
  const char *name;
  unsigned line;
  unsigned count;
  struct field *fields;
};

struct plan {
  struct record *records;
  unsigned count;
};

/* Reads and checks the whole file, or fails with a report that names the line. Keeps the memory for the life of the process. */
struct plan plan_read(const char *path);

/* Parses `bytes` (modified in place; bytes[length] must be writable). Returns NULL, or what is wrong, with its line. */
const char *plan_parse(char *bytes, size_t length, struct plan *plan, unsigned *line);

/* The only record of this name, or NULL. */
const struct record *plan_find(const struct plan *plan, const char *name);

/* As above, but fails when it is absent. */
const struct record *plan_need(const struct plan *plan, const char *name);

bool record_is(const struct record *record, const char *name);

#endif
