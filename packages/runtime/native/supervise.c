#include "supervise.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "fail.h"
#include "kernel.h"
#include "session.h"

#define CLIENTS_MAX 32
#define READ_MAX 32768
/* What a client may leave unread; when it is full, the program waits, as it would on a pipe of its own. */
#define CLIENT_PENDING_MAX (256 * 1024)
/* A client that takes nothing for so long is cut, so that a stopped agent does not stop the program. */
#define CLIENT_STALL_MS 10000
/* How long output may still come after the program and its cgroup are dead. */
#define DRAIN_MS 2000
/* CRI: longer lines are cut into parts, all but the last tagged P. */
#define LINE_MAX_BYTES 16384

struct client {
  int fd;
  bool attached;
  bool gives_stdin;
  bool owner;
  char *out;
  size_t out_start, out_end;
  int64_t stalled_since; /* 0: not */
  char *in;
  size_t in_have;
};

struct stream {
  int fd;
  char frame;
  const char *name;
};

static struct supervised *program;
static struct client clients[CLIENTS_MAX];
static unsigned client_count;
static int log_fd = -1;
static char pending_stdin[FRAME_DATA_MAX];
static size_t pending_start, pending_end;
static bool stdin_ending;
static bool ending;

int64_t wall_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void header_of(char *header, char type, size_t length) {
  uint32_t size = htonl((uint32_t)length);
  header[0] = type;
  memcpy(header + 1, &size, sizeof size);
}

int frame_write(int fd, char type, const void *data, size_t length) {
  char header[FRAME_HEADER];
  header_of(header, type, length);
  const char *parts[2] = {header, data};
  size_t sizes[2] = {sizeof header, length};
  for (int part = 0; part < 2; part++) {
    size_t at = 0;
    while (at < sizes[part]) {
      ssize_t n = send(fd, parts[part] + at, sizes[part] - at, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT, .revents = 0};
        if (poll(&wait, 1, CLIENT_STALL_MS) <= 0) return -1;
        continue;
      }
      if (n < 0) return -1;
      at += (size_t)n;
    }
  }
  return 0;
}

/* ---- log ---- */

int log_open(const char *path) { return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640); }

static void log_flush(const char *text, size_t length) {
  size_t at = 0;
  while (log_fd >= 0 && at < length) {
    ssize_t n = write(log_fd, text + at, length - at);
    if (n < 0 && errno == EINTR) continue;
    /* A full disk costs the lines, not the program: waiting here would stop it. */
    if (n < 0) return;
    at += (size_t)n;
  }
}

/* `2026-01-02T03:04:05.123456789Z stdout `, the time of this read. */
static size_t log_prefix(char *out, size_t size, const char *name) {
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  return (size_t)snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                          utc.tm_min, utc.tm_sec, (long)now.tv_nsec, name);
}

/*
 * Lines are held back until they end or are 16 KiB long, per stream, so that what a program writes in small pieces is one line of the log.
 */
static char held[2][LINE_MAX_BYTES];
static size_t held_bytes[2];
static char rendered[READ_MAX * 2];
static size_t rendered_bytes;

static void log_part(const char *prefix, size_t prefix_bytes, char tag, const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
  size_t need = prefix_bytes + 2 + a_bytes + b_bytes + 1;
  if (rendered_bytes + need > sizeof rendered) {
    log_flush(rendered, rendered_bytes);
    rendered_bytes = 0;
  }
  char *at = rendered + rendered_bytes;
  memcpy(at, prefix, prefix_bytes);
  at += prefix_bytes;
  *at++ = tag;
  *at++ = ' ';
  memcpy(at, a, a_bytes);
  at += a_bytes;
  memcpy(at, b, b_bytes);
  at += b_bytes;
  *at = '\n';
  rendered_bytes += need;
}

static void log_write(struct stream *stream, const char *data, size_t length) {
  int which = stream->frame == FRAME_STDERR;
  char prefix[64];
  size_t prefix_bytes = log_prefix(prefix, sizeof prefix, stream->name);
  while (length > 0) {
    size_t room = LINE_MAX_BYTES - held_bytes[which];
    const char *newline = memchr(data, '\n', length < room + 1 ? length : room + 1);
    if (newline) {
      size_t bytes = (size_t)(newline - data);
      log_part(prefix, prefix_bytes, 'F', held[which], held_bytes[which], data, bytes);
      held_bytes[which] = 0;
      data += bytes + 1;
      length -= bytes + 1;
    } else if (length > room) {
      log_part(prefix, prefix_bytes, 'P', held[which], held_bytes[which], data, room);
      held_bytes[which] = 0;
      data += room;
      length -= room;
    } else {
      memcpy(held[which] + held_bytes[which], data, length);
      held_bytes[which] += length;
      length = 0;
    }
  }
  log_flush(rendered, rendered_bytes);
  rendered_bytes = 0;
}

/* What has no newline at the end stays a part: readers then add none of their own. */
static void log_end(struct stream *stream) {
  int which = stream->frame == FRAME_STDERR;
  if (held_bytes[which] == 0) return;
  char prefix[64];
  log_part(prefix, log_prefix(prefix, sizeof prefix, stream->name), 'P', held[which], held_bytes[which], "", 0);
  held_bytes[which] = 0;
  log_flush(rendered, rendered_bytes);
  rendered_bytes = 0;
}

/* ---- clients ---- */

static void client_add(int fd, bool attached, bool owner) {
  if (client_count == CLIENTS_MAX) {
    close(fd);
    return;
  }
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  clients[client_count++] = (struct client){.fd = fd, .attached = attached, .gives_stdin = attached, .owner = owner};
}

/* Once all who gave stdin are gone, a program that reads it once gets its end. */
static void client_remove(unsigned index) {
  struct client *client = &clients[index];
  bool owner = client->owner, gave = client->gives_stdin;
  close(client->fd);
  free(client->out);
  free(client->in);
  clients[index] = clients[--client_count];
  /* A terminal stays: who detaches from it has not ended its input. */
  if (gave && program->stdin_mode == STDIN_ONCE && !program->terminal) stdin_ending = true;
  if (owner && program->owned && !ending) program->end_session(program);
}

static bool client_flush(struct client *client) {
  while (client->out_start < client->out_end) {
    ssize_t n = send(client->fd, client->out + client->out_start, client->out_end - client->out_start, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (client->stalled_since == 0) client->stalled_since = monotonic_ms();
      return true;
    }
    if (n < 0) return false;
    client->out_start += (size_t)n;
    client->stalled_since = 0;
  }
  client->out_start = client->out_end = 0;
  client->stalled_since = 0;
  return true;
}

/* Queues a frame and sends what goes. False: the client must go. */
static bool client_send(struct client *client, char type, const char *data, size_t length) {
  if (!client->out) {
    client->out = malloc(CLIENT_PENDING_MAX + FRAME_HEADER + READ_MAX);
    if (!client->out) return false;
  }
  if (client->out_end + FRAME_HEADER + length > CLIENT_PENDING_MAX + FRAME_HEADER + READ_MAX) {
    memmove(client->out, client->out + client->out_start, client->out_end - client->out_start);
    client->out_end -= client->out_start;
    client->out_start = 0;
    if (client->out_end + FRAME_HEADER + length > CLIENT_PENDING_MAX + FRAME_HEADER + READ_MAX) return false;
  }
  header_of(client->out + client->out_end, type, length);
  memcpy(client->out + client->out_end + FRAME_HEADER, data, length);
  client->out_end += FRAME_HEADER + length;
  return client_flush(client);
}

static bool clients_have_room(void) {
  for (unsigned i = 0; i < client_count; i++)
    if (clients[i].attached && clients[i].out_end - clients[i].out_start >= CLIENT_PENDING_MAX) return false;
  return true;
}

static void clients_send(char type, const char *data, size_t length, bool all) {
  for (unsigned i = client_count; i-- > 0;)
    if ((all || clients[i].attached) && !client_send(&clients[i], type, data, length)) client_remove(i);
}

/* ---- stdin ---- */

static void close_input(void) {
  if (program->input >= 0) close(program->input);
  program->input = -1;
  pending_start = pending_end = 0;
}

static void flush_stdin(void) {
  while (program->input >= 0 && pending_start < pending_end) {
    ssize_t n = write(program->input, pending_stdin + pending_start, pending_end - pending_start);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0) {
      /* The program has closed its stdin: what comes is nobody's. */
      close_input();
      return;
    }
    pending_start += (size_t)n;
  }
  pending_start = pending_end = 0;
  if (!stdin_ending) return;
  stdin_ending = false;
  if (program->terminal) {
    /* A terminal has no end of its own: the line discipline is told, as a person would (control-D). */
    char end_of_transmission = 4;
    if (program->input >= 0 && write(program->input, &end_of_transmission, 1) < 0) return;
  } else {
    close_input();
  }
}

/* ---- requests ---- */

static void resize(const char *data) {
  uint16_t columns, rows;
  memcpy(&columns, data, 2);
  memcpy(&rows, data + 2, 2);
  struct winsize size = {.ws_row = ntohs(rows), .ws_col = ntohs(columns), .ws_xpixel = 0, .ws_ypixel = 0};
  if (program->terminal && program->output >= 0) ioctl(program->output, TIOCSWINSZ, &size);
}

static bool reply(struct client *client, int error) {
  const char *text = error ? strerror(error) : "";
  return client_send(client, FRAME_REPLY, text, strlen(text));
}

static int reopen_log(void) {
  if (!program->log) return 0;
  int fresh = log_open(program->log);
  if (fresh < 0) return errno;
  if (log_fd >= 0) close(log_fd);
  log_fd = fresh;
  return 0;
}

/* False: the client breaks the protocol and must go. */
static bool handle(struct client *client, char type, const char *data, size_t length) {
  switch (type) {
    case FRAME_ATTACH:
      if (length != 1) return false;
      client->attached = true;
      client->gives_stdin = data[0] == 1;
      return true;
    case FRAME_STDIN:
      if (program->input < 0) return true;
      memcpy(pending_stdin + pending_end, data, length);
      pending_end += length;
      flush_stdin();
      return true;
    case FRAME_CLOSE:
      client->gives_stdin = false;
      if (program->stdin_mode == STDIN_ONCE) {
        stdin_ending = true;
        flush_stdin();
      }
      return true;
    case FRAME_RESIZE:
      if (length != 4) return false;
      resize(data);
      return true;
    case FRAME_REOPEN:
      return reply(client, reopen_log());
    case FRAME_SIGNAL:
      if (length != 1) return false;
      /* The child is not reaped before the loop ends, so this pid cannot be another process. */
      return reply(client, !ending && kill(program->pid, (unsigned char)data[0]) < 0 ? errno : 0);
    default:
      return false;
  }
}

/* Takes whole frames from what was read. Stops before stdin data there is no room for. False: the client must go. */
static bool client_parse(struct client *client) {
  size_t at = 0;
  bool good = true;
  while (good && client->in_have - at >= FRAME_HEADER) {
    uint32_t size;
    memcpy(&size, client->in + at + 1, sizeof size);
    size = ntohl(size);
    if (size > FRAME_DATA_MAX) {
      good = false;
      break;
    }
    if (client->in_have - at < FRAME_HEADER + size) break;
    char type = client->in[at];
    if (type == FRAME_STDIN && pending_end != 0 && program->input >= 0) break;
    good = handle(client, type, client->in + at + FRAME_HEADER, size);
    at += FRAME_HEADER + size;
  }
  memmove(client->in, client->in + at, client->in_have - at);
  client->in_have -= at;
  return good;
}

#define CLIENT_IN_MAX (FRAME_HEADER + FRAME_DATA_MAX)

static bool client_read(struct client *client) {
  if (!client->in) {
    client->in = malloc(CLIENT_IN_MAX);
    if (!client->in) return false;
  }
  ssize_t n = recv(client->fd, client->in + client->in_have, CLIENT_IN_MAX - client->in_have, 0);
  if (n < 0) return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
  if (n == 0) return false;
  client->in_have += (size_t)n;
  return client_parse(client);
}

/* ---- the loop ---- */

/* Reads once. False: the stream has ended. */
static bool stream_read(struct stream *stream) {
  static char data[READ_MAX];
  ssize_t n = read(stream->fd, data, sizeof data);
  if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  /* EIO: every descriptor of the terminal's other side is closed. */
  if (n <= 0) return false;
  if (log_fd >= 0) log_write(stream, data, (size_t)n);
  clients_send(stream->frame, data, (size_t)n, false);
  return true;
}

static void stream_end(struct stream *stream) {
  if (log_fd >= 0) log_end(stream);
  close(stream->fd);
  stream->fd = -1;
}

/* Waits for the program; true once it is gone. Leaves the zombie, so that its pid stays its own. */
static bool has_ended(struct outcome *outcome) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  if (waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return false;
  outcome->finished_ns = wall_clock_ns();
  outcome->signal_number = info.si_code == CLD_EXITED ? 0 : info.si_status;
  outcome->exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  return true;
}

void supervise(struct supervised *supervised, int log, void (*on_exit)(const struct outcome *, void *), void *context) {
  program = supervised;
  log_fd = log;
  struct stream streams[2] = {
      {.fd = program->output, .frame = FRAME_STDOUT, .name = "stdout"},
      {.fd = program->errors, .frame = FRAME_STDERR, .name = "stderr"},
  };
  for (int i = 0; i < 2; i++)
    if (streams[i].fd >= 0) fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
  if (program->input >= 0) fcntl(program->input, F_SETFL, O_WRONLY | O_NONBLOCK);
  if (program->session >= 0) client_add(program->session, program->attached, program->owned);

  struct outcome outcome = {0};
  int64_t drain_until = 0;
  for (;;) {
    struct pollfd polled[4 + CLIENTS_MAX];
    unsigned count = 0;
    polled[count++] = (struct pollfd){.fd = ending ? -1 : program->pidfd, .events = POLLIN, .revents = 0};
    bool room = clients_have_room();
    for (int i = 0; i < 2; i++) polled[count++] = (struct pollfd){.fd = room ? streams[i].fd : -1, .events = POLLIN, .revents = 0};
    polled[count++] = (struct pollfd){.fd = pending_end ? program->input : -1, .events = POLLOUT, .revents = 0};
    unsigned first_client = count, polled_clients = client_count;
    int64_t now = monotonic_ms();
    int timeout = -1;
    for (unsigned i = 0; i < client_count; i++) {
      short events = 0;
      if (clients[i].in_have < CLIENT_IN_MAX && !(pending_end && clients[i].in_have >= FRAME_HEADER)) events |= POLLIN;
      if (clients[i].out_start < clients[i].out_end) {
        events |= POLLOUT;
        if (clients[i].stalled_since) {
          int64_t left = clients[i].stalled_since + CLIENT_STALL_MS - now;
          if (left < 0) left = 0;
          if (timeout < 0 || left < timeout) timeout = (int)left;
        }
      }
      polled[count++] = (struct pollfd){.fd = clients[i].fd, .events = events, .revents = 0};
    }
    struct pollfd listening = {.fd = program->listener, .events = POLLIN, .revents = 0};
    unsigned listener_at = count;
    if (program->listener >= 0 && !ending) polled[count++] = listening;
    if (ending) {
      if (streams[0].fd < 0 && streams[1].fd < 0) break;
      /* A slow client is not the program's silence; it has its own limit. */
      if (!room) drain_until = now + DRAIN_MS;
      int64_t left = program->cgroup || !room ? drain_until - now : 0;
      if (left < 0) break;
      if (timeout < 0 || left < timeout) timeout = (int)left;
    }

    int ready = poll(polled, count, timeout);
    if (ready < 0 && errno != EINTR) break;
    if (ready < 0) continue;
    /* Downwards: removing a client moves the last one into its place. */
    for (unsigned i = polled_clients; i-- > 0;) {
      short seen = polled[first_client + i].revents;
      bool good = true;
      if (seen & POLLOUT) good = client_flush(&clients[i]);
      if (good && (seen & POLLIN)) good = client_read(&clients[i]);
      else if (seen & (POLLHUP | POLLERR | POLLNVAL)) good = false;
      if (good && clients[i].stalled_since && monotonic_ms() - clients[i].stalled_since >= CLIENT_STALL_MS) good = false;
      if (!good) client_remove(i);
    }
    if (pending_end || stdin_ending) flush_stdin();
    if (pending_end == 0)
      for (unsigned i = client_count; i-- > 0;)
        if (clients[i].in_have >= FRAME_HEADER && !client_parse(&clients[i])) client_remove(i);
    bool quiet = true;
    for (int i = 0; i < 2; i++) {
      if (streams[i].fd < 0 || !polled[1 + i].revents) continue;
      quiet = false;
      if (!stream_read(&streams[i])) {
        stream_end(&streams[i]);
        if (i == 0 && program->terminal) program->output = -1;
      }
    }
    if (listener_at < count && polled[listener_at].revents & POLLIN) {
      int fd = accept4(program->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) client_add(fd, false, false);
    }
    if (!ending && polled[0].revents && has_ended(&outcome)) {
      ending = true;
      drain_until = monotonic_ms() + DRAIN_MS;
      if (program->cgroup) {
        outcome.oom_kills = cgroup_oom_kills(program->cgroup);
        cgroup_kill(program->cgroup);
      }
      close_input();
      continue;
    }
    /* An execution may leave others behind that hold the pipes and live on: only what is there now belongs to it. */
    if (ending && quiet && room && (!program->cgroup || monotonic_ms() >= drain_until)) break;
  }
  for (int i = 0; i < 2; i++)
    if (streams[i].fd >= 0) stream_end(&streams[i]);
  on_exit(&outcome, context);
  char json[128];
  int n = snprintf(json, sizeof json, "{\"exitCode\":%d,\"signal\":%d}", outcome.exit_code, outcome.signal_number);
  clients_send(FRAME_EXITED, json, (size_t)n, true);
  /* Those who are slow still get the end, within bounds. */
  int64_t until = monotonic_ms() + CLIENT_STALL_MS;
  for (unsigned i = client_count; i-- > 0;) {
    while (clients[i].out_start < clients[i].out_end && monotonic_ms() < until) {
      struct pollfd wait = {.fd = clients[i].fd, .events = POLLOUT, .revents = 0};
      if (poll(&wait, 1, (int)(until - monotonic_ms())) <= 0 || (wait.revents & (POLLERR | POLLHUP)) || !client_flush(&clients[i])) break;
    }
    close(clients[i].fd);
  }
  waitpid(program->pid, NULL, 0);
}
