/*
 * How a failure is told. One JSON object names the step, the file or value it was about, and errno; TypeScript words it for people.
 * Nothing here allocates: the report must get out also when memory is what ran out.
 */
#ifndef DURE_FAIL_H
#define DURE_FAIL_H

#include <stddef.h>

enum report_kind {
  REPORT_STDERR, /* one line of JSON */
  REPORT_FRAME,  /* a frame of type F on a session socket, see session.h */
  REPORT_PACKET, /* a packet that begins with F, from the child to its supervisor */
};

/* Where failures of this process go from now on. */
void report_to(enum report_kind kind, int fd);

/* Called once before the process exits through fail(); undoes what must not outlive it. */
void on_failure(void (*undo)(void));

/* Reports `step` on `subject` (may be NULL) with `error_number` (0: none, then `step` says it all) and exits with 1. */
_Noreturn void fail(int error_number, const char *step, const char *subject);

/* Writes `text` as a JSON string with quotes into out, at most size-1 bytes; returns the bytes written. Cuts what does not fit. */
size_t json_string(char *out, size_t size, const char *text, size_t length);

/* The report as JSON; what fail() sends. */
size_t failure_json(char *out, size_t size, int error_number, const char *step, const char *subject);

/* Sends a report made elsewhere (by the child) and exits like fail(). */
_Noreturn void fail_with_json(const char *json, size_t length);

#endif
