#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

static const char MAGIC[] = "dure-run plan 1\n";
#define FIELDS_MAX 1024
#define RECORDS_MAX 65536

/*
 * One letter per field: p absolute path shorter than PATH_MAX, s text without NUL, n signed decimal number, x hexadecimal bits,
 * b bytes. A star repeats the letter before it, also zero times.
 */
struct shape {
  const char *name;
  const char *fields;
};

static const struct shape SHAPES[] = {
    {"state", "p"},          {"log", "p"},
    {"supervisor-cgroup", "p"}, {"cgroup", "p"},
    {"devices", "b"},        {"join", "sp"},
    {"join-process", "snn"}, {"unshare", "s"},
    {"target", "nnpp"},      {"root", "p"},
    {"overlay", "sppp*"},    {"bind", "ppss"},
    {"mount", "sspss"},      {"mkdir", "pn"},
    {"symlink", "sp"},       {"mknod", "psnnnnn"},
    {"mask", "p"},           {"readonly", "p"},
    {"root-flags", "s"},     {"terminal", "nn"},
    {"stdin", "s"},          {"argument", "s"},
    {"environment", "s"},    {"directory", "p"},
    {"home", ""},            {"umask", "n"},
    {"user", "nn"},          {"groups", "n*"},
    {"capabilities", "xxxxx"}, {"no-new-privileges", ""},
    {"seccomp", "b"},        {"rlimit", "nxx"},
    {"oom-score-adj", "n"},  {"apparmor", "s"},
    {"hostname", "s"},       {"sysctl", "ps"},
    {"keep", "sp"},          {"loopback", ""},
    {"reaper", "p"},         {"unmount", "p"},
    {"map", "snnn"},
};

bool record_is(const struct record *record, const char *name) { return strcmp(record->name, name) == 0; }

static const struct shape *shape_of(const char *name) {
  for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
    if (strcmp(SHAPES[i].name, name) == 0) return &SHAPES[i];
  return NULL;
}

static const char *check_field(char type, struct field *field) {
  char *end;
  if (type != 'b' && memchr(field->text, '\0', field->length)) return "a field holds a NUL byte";
  switch (type) {
    case 'p':
      if (field->length == 0 || field->text[0] != '/') return "a path is not absolute";
      if (field->length >= PATH_MAX) return "a path is too long";
      return NULL;
    case 'n':
      errno = 0;
      field->number = strtoll(field->text, &end, 10);
      if (field->length == 0 || field->length > 20 || *end || errno || strchr(" \t\n+", field->text[0])) return "a field is not a number";
      return NULL;
    case 'x':
      errno = 0;
      field->bits = strtoull(field->text, &end, 16);
      if (field->length == 0 || field->length > 16 || *end || errno || strchr(" \t\n+-", field->text[0])) return "a field is not hexadecimal";
      return NULL;
    default:
      return NULL;
  }
}

static const char *check_record(struct record *record) {
  const struct shape *shape = shape_of(record->name);
  if (!shape) return "unknown directive";
  unsigned at = 0;
  const char *type = shape->fields;
  while (*type) {
    bool repeats = type[1] == '*';
    if (repeats) {
      while (at < record->count) {
        const char *wrong = check_field(*type, &record->fields[at++]);
        if (wrong) return wrong;
      }
      return NULL;
    }
    if (at == record->count) return "too few fields";
    const char *wrong = check_field(*type++, &record->fields[at++]);
    if (wrong) return wrong;
  }
  return at == record->count ? NULL : "too many fields";
}

const char *plan_parse(char *bytes, size_t length, struct plan *plan, unsigned *line) {
  size_t at = sizeof MAGIC - 1;
  *line = 1;
  plan->records = NULL;
  plan->count = 0;
  if (length < at || memcmp(bytes, MAGIC, at) != 0) return "not a plan of this version";
  unsigned room = 0;
  for (;;) {
    ++*line;
    if (at >= length) return "the plan is cut short";
    char *name = bytes + at;
    while (at < length && ((bytes[at] >= 'a' && bytes[at] <= 'z') || bytes[at] == '-')) at++;
    if (at >= length) return "the plan is cut short";
    if (bytes + at == name) return "no directive";
    char after = bytes[at];
    if (after != ' ' && after != '\n') return "malformed directive";
    bytes[at++] = '\0';
    if (strcmp(name, "end") == 0) {
      if (after != '\n' || at != length) return "something follows the end";
      return NULL;
    }
    if (plan->count == RECORDS_MAX) return "too many directives";
    if (plan->count == room) {
      room = room ? room * 2 : 64;
      struct record *grown = realloc(plan->records, room * sizeof *grown);
      if (!grown) return "out of memory";
      plan->records = grown;
    }
    struct record *record = &plan->records[plan->count++];
    *record = (struct record){.name = name, .line = *line, .count = 0, .fields = NULL};
    unsigned field_room = 0;
    while (after == ' ') {
      size_t size = 0, digits = 0;
      while (at < length && bytes[at] >= '0' && bytes[at] <= '9') {
        if (++digits > 8) return "a length is too long";
        size = size * 10 + (size_t)(bytes[at++] - '0');
      }
      if (at >= length) return "the plan is cut short";
      if (digits == 0 || bytes[at] != ':') return "a field has no length";
      at++;
      /* The byte after the field must exist too: a blank or the end of the line. */
      if (size >= length - at) return "the plan is cut short";
      if (record->count == FIELDS_MAX) return "too many fields";
      if (record->count == field_room) {
        field_room = field_room ? field_room * 2 : 4;
        struct field *grown = realloc(record->fields, field_room * sizeof *grown);
        if (!grown) return "out of memory";
        record->fields = grown;
      }
      record->fields[record->count++] = (struct field){.text = bytes + at, .length = size, .number = 0, .bits = 0};
      at += size;
      after = bytes[at];
      if (after != ' ' && after != '\n') return "a field does not end where its length says";
      bytes[at++] = '\0';
    }
    const char *wrong = check_record(record);
    if (wrong) return wrong;
  }
}

struct plan plan_read(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0) fail(errno, "open plan", path);
  if (fstat(fd, &status) < 0) fail(errno, "stat plan", path);
  if (!S_ISREG(status.st_mode)) fail(0, "read plan: not a regular file", path);
  if ((uint64_t)status.st_size > PLAN_BYTES_MAX) fail(EFBIG, "read plan", path);
  size_t size = (size_t)status.st_size, have = 0;
  char *bytes = malloc(size + 1);
  if (!bytes) fail(ENOMEM, "read plan", path);
  while (have < size) {
    ssize_t n = read(fd, bytes + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(errno, "read plan", path);
    if (n == 0) break;
    have += (size_t)n;
  }
  close(fd);
  struct plan plan;
  unsigned line;
  const char *wrong = plan_parse(bytes, have, &plan, &line);
  if (wrong) {
    char step[160];
    snprintf(step, sizeof step, "read plan: line %u: %s", line, wrong);
    fail(0, step, path);
  }
  return plan;
}

const struct record *plan_find(const struct plan *plan, const char *name) {
  for (unsigned i = 0; i < plan->count; i++)
    if (record_is(&plan->records[i], name)) return &plan->records[i];
  return NULL;
}

const struct record *plan_need(const struct plan *plan, const char *name) {
  const struct record *record = plan_find(plan, name);
  if (!record) {
    char step[96];
    snprintf(step, sizeof step, "read plan: no %s", name);
    fail(0, step, NULL);
  }
  return record;
}
