#include "fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

static enum report_kind sink_kind = REPORT_STDERR;
static int sink_fd = STDERR_FILENO;
static void (*undo_once)(void);

void report_to(enum report_kind kind, int fd) {
  sink_kind = kind;
  sink_fd = fd;
}

void on_failure(void (*undo)(void)) { undo_once = undo; }

size_t json_string(char *out, size_t size, const char *text, size_t length) {
  static const char hex[] = "0123456789abcdef";
  size_t n = 0;
  if (size < 3) return 0;
  out[n++] = '"';
  for (size_t i = 0; i < length && n + 8 < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      out[n++] = '\\';
      out[n++] = (char)c;
    } else if (c < 0x20 || c >= 0x7f) {
      /* Paths are bytes, not text: escaped as Latin-1, so that the report is valid JSON whatever they hold. */
      out[n++] = '\\';
      out[n++] = 'u';
      out[n++] = '0';
      out[n++] = '0';
      out[n++] = hex[c >> 4];
      out[n++] = hex[c & 15];
    } else {
      out[n++] = (char)c;
    }
  }
  out[n++] = '"';
  out[n] = '\0';
  return n;
}

size_t failure_json(char *out, size_t size, int error_number, const char *step, const char *subject) {
  size_t n = 0;
  n += (size_t)snprintf(out + n, size - n, "{\"step\":");
  n += json_string(out + n, size - n > 1024 ? 1024 : size - n, step, strlen(step));
  if (subject) {
    n += (size_t)snprintf(out + n, size - n, ",\"subject\":");
    n += json_string(out + n, size - n > 1600 ? 1600 : size - n, subject, strlen(subject));
  }
  n += (size_t)snprintf(out + n, size - n, ",\"errno\":%d", error_number);
  if (error_number) {
    const char *text = strerror(error_number);
    n += (size_t)snprintf(out + n, size - n, ",\"error\":");
    n += json_string(out + n, size - n, text, strlen(text));
  }
  n += (size_t)snprintf(out + n, size - n, "}");
  return n;
}

_Noreturn void fail_with_json(const char *json, size_t length) {
  /* Undone first: whoever reads of a failure may rely on nothing being left. */
  void (*undo)(void) = undo_once;
  undo_once = NULL;
  if (undo) undo();
  if (sink_kind == REPORT_FRAME) {
    frame_write(sink_fd, FRAME_FAILED, json, length);
  } else if (sink_kind == REPORT_PACKET) {
    char packet[4096];
    if (length > sizeof packet - 1) length = sizeof packet - 1;
    packet[0] = PACKET_FAILED;
    memcpy(packet + 1, json, length);
    while (send(sink_fd, packet, length + 1, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
  } else {
    dprintf(sink_fd, "%.*s\n", (int)length, json);
  }
  _exit(1);
}

_Noreturn void fail(int error_number, const char *step, const char *subject) {
  char json[4000];
  size_t length = failure_json(json, sizeof json, error_number, step, subject);
  fail_with_json(json, length);
}
